//! One request over plain HTTP/1.1, with a deadline and a bound on the answer.
//!
//! hyper alone rather than a full client: there is one server, nothing to pool and nowhere to be
//! redirected to.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;

use super::{AskError, DEFAULT_URL, Sidecar, TOKEN_VARIABLE, URL_VARIABLE};
use crate::config::Secret;

/// Time for a whole question; the sidecar itself gives up after ten seconds.
const DEADLINE: Duration = Duration::from_secs(15);
/// Largest answer: thousands of pools with all their numbers fit several times.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const DEFAULT_PORT: u16 = 7432;

/// An answer of the sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub url: String,
    pub status: u16,
    pub body: Bytes,
}

/// The part of a problem that a person reads.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
}

impl Answer {
    /// Refuses everything but success.
    pub fn success(self) -> Result<Self, AskError> {
        match self.status {
            200..=299 => Ok(self),
            401 => Err(AskError::Unauthorized { url: self.url }),
            status => {
                let detail = match serde_json::from_slice::<Problem>(&self.body) {
                    Ok(problem) => problem.detail,
                    Err(_) => "it does not say why".to_owned(),
                };
                Err(AskError::Refused { status, detail })
            }
        }
    }

    pub fn read<T: DeserializeOwned>(&self) -> Result<T, AskError> {
        let unread = |source| AskError::Answer { url: self.url.clone(), source };
        serde_json::from_slice(&self.body).map_err(unread)
    }
}

/// Where to connect to and what to put before each path.
#[derive(Debug, PartialEq, Eq)]
struct Base {
    authority: String,
    host: String,
    port: u16,
    prefix: String,
}

impl Base {
    fn new(url: &str) -> Result<Self, AskError> {
        let bad = |why| AskError::Url { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|_| bad("it is no URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(bad("TLS is not spoken here; use http, or curl")),
            _ => return Err(bad("it does not begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad(
                "a user has no meaning; the token goes into a file or the environment",
            ));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            authority: authority.to_string(),
            host,
            port: authority.port_u16().unwrap_or(DEFAULT_PORT),
            prefix,
        })
    }
}

/// What is asked.
#[derive(Debug)]
struct Question<'a> {
    method: Method,
    path: &'a str,
    body: Option<Bytes>,
}

impl Sidecar {
    /// Asks for a path; the caller judges the status.
    pub(crate) async fn ask(&self, path: &str) -> Result<Answer, AskError> {
        self.put(Question { method: Method::GET, path, body: None }).await
    }

    /// Sends JSON to a path; the caller judges the status.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, AskError> {
        let body = Some(Bytes::from(body.to_string()));
        self.put(Question { method: Method::POST, path, body }).await
    }

    /// Deletes what a path names; the caller judges the status.
    pub(super) async fn delete(&self, path: &str) -> Result<Answer, AskError> {
        self.put(Question { method: Method::DELETE, path, body: None }).await
    }

    async fn put(&self, question: Question<'_>) -> Result<Answer, AskError> {
        let url = self.url();
        let base = Base::new(&url)?;
        let token = self.token()?;
        match tokio::time::timeout(DEADLINE, ask(&url, &base, question, token)).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::Timeout { url, within: DEADLINE }),
        }
    }

    fn url(&self) -> String {
        let named = self.url.clone().or_else(|| std::env::var(URL_VARIABLE).ok());
        named.filter(|url| !url.is_empty()).unwrap_or_else(|| DEFAULT_URL.to_owned())
    }

    fn token(&self) -> Result<Option<Secret>, AskError> {
        let text = match &self.token_file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|source| AskError::Token { path: path.clone(), source })?,
            ),
            None => std::env::var(TOKEN_VARIABLE).ok(),
        };
        let token = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(token.map(Secret::new))
    }
}

async fn ask(
    url: &str,
    base: &Base,
    question: Question<'_>,
    token: Option<Secret>,
) -> Result<Answer, AskError> {
    let unreachable = |source| AskError::Unreachable { url: url.to_owned(), source };
    let broken = |source| AskError::Broken { url: url.to_owned(), source };
    let stream = TcpStream::connect((base.host.as_str(), base.port)).await.map_err(unreachable)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.into()))?;
    let request = request(base, question, token)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| broken(error.into()))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(broken)?.to_bytes();
        Ok(Answer { url: url.to_owned(), status, body })
    };
    // The connection ends by itself once the answer is there; what it ends with does not matter.
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
}

fn request(
    base: &Base,
    question: Question<'_>,
    token: Option<Secret>,
) -> Result<Request<Full<Bytes>>, AskError> {
    let Question { method, path, body } = question;
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", base.prefix))
        .header(HOST, base.authority.as_str())
        .header(ACCEPT, "application/json");
    let request = match &body {
        Some(_) => request.header(CONTENT_TYPE, "application/json"),
        None => request,
    };
    let request = match token {
        Some(token) => {
            let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
            let mut value = value.map_err(|_| AskError::TokenText)?;
            value.set_sensitive(true);
            request.header(AUTHORIZATION, value)
        }
        None => request,
    };
    request
        .body(Full::new(body.unwrap_or_default()))
        .map_err(|error| AskError::Broken { url: base.authority.clone(), source: error.into() })
}

/// Writes parameters as a query, percent-encoded; those without a value are left out.
pub(crate) fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let mut query = String::new();
    for (key, value) in given {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(key);
        query.push('=');
        query.push_str(&encoded(value));
    }
    query
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_be_asked_say_why() {
        for (url, word) in [
            ("https://localhost", "TLS"),
            ("localhost:7432", "http://"),
            ("http://user@host", "token"),
            ("http://a b", "no URL"),
        ] {
            let error = Base::new(url).expect_err(url).to_string();
            assert!(error.contains(word), "{url}: {error}");
        }
    }

    #[test]
    fn a_url_may_leave_out_the_port_and_have_a_path() {
        let base = Base::new("http://[::1]/warden/").expect("a fine URL");
        assert_eq!((base.host.as_str(), base.port), ("::1", DEFAULT_PORT));
        assert_eq!(base.prefix, "/warden");
        assert_eq!(Base::new("http://h:1").expect("a fine URL").port, 1);
    }

    #[test]
    fn parameters_with_any_character_stay_one_parameter() {
        let query = query(&[("a", None), ("user", Some("x&y=ü".into())), ("n", Some("1".into()))]);
        assert_eq!(query, "?user=x%26y%3D%C3%BC&n=1");
    }
}
