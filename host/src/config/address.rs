//! PostgreSQL URLs: `postgres://user:password@host:port/database?sslmode=…`.
//!
//! libpq's rules where they can be kept: percent-encoding, a socket folder as `?host=` or as the
//! encoded host, `sslmode` with `prefer` as its default. A parameter that is not understood is an
//! error, since leaving it out could mean less security than was asked for.

use std::path::PathBuf;

use url::{ParseError, Url};

use super::{Address, Secret, Tls};

/// What a URL says; what it leaves out is `None`.
#[derive(Debug)]
pub struct Parts {
    /// Where to connect.
    pub address: Address,
    /// How the connection is protected.
    pub tls: Tls,
    /// Who logs in.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<Secret>,
    /// Which database.
    pub database: Option<String>,
}

const PARAMETERS: [&str; 6] = ["host", "port", "user", "password", "sslmode", "sslrootcert"];

/// Reads a URL.
///
/// # Errors
/// A reason in words that holds nothing of the URL but host, port and names of parameters.
pub fn parse(text: &str, port: u16) -> Result<Parts, String> {
    let url = open(text)?;
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, v)| v);
    if let Some((key, _)) = url.query_pairs().find(|(key, _)| !PARAMETERS.contains(&&**key)) {
        let known = PARAMETERS.join(", ");
        return Err(format!("parameter {key:?} is not understood; known are {known}"));
    }
    let password = match (url.password(), parameter("password")) {
        (Some(_), Some(_)) => return Err("the password is given twice".to_owned()),
        (Some(encoded), None) => Some(decode(encoded)?),
        (None, given) => given.map(String::from),
    };
    let user = match url.username() {
        "" => parameter("user").map(String::from),
        encoded => Some(decode(encoded)?),
    };
    let port = match (url.port(), parameter("port")) {
        (Some(port), _) => port,
        (None, Some(text)) => text.parse().map_err(|_| "the port is not a number".to_owned())?,
        (None, None) => port,
    };
    if port == 0 {
        return Err("the port must not be 0".to_owned());
    }
    let host = match parameter("host") {
        Some(host) => host.into_owned(),
        None => decode(url.host_str().unwrap_or_default())?,
    };
    let address = address(&host, port)?;
    let database = decode(url.path().trim_start_matches('/'))?;
    Ok(Parts {
        tls: tls(&address, parameter("sslmode").as_deref(), parameter("sslrootcert").as_deref())?,
        address,
        user: user.filter(|user| !user.is_empty()),
        password: password.filter(|password| !password.is_empty()).map(Secret::new),
        database: Some(database).filter(|database| !database.is_empty()),
    })
}

/// Turns an app's URL into that of the console behind the same address.
///
/// The app's own database and the parameters of its client library do not matter there.
pub fn console_of(text: &str) -> String {
    let Ok(mut url) = open(text) else { return text.to_owned() };
    let known = url.query_pairs().filter(|(key, _)| PARAMETERS.contains(&&**key));
    let known: Vec<(String, String)> = known.map(|(k, v)| (k.into(), v.into())).collect();
    url.set_path("/pgbouncer");
    url.set_query(None);
    if !known.is_empty() {
        url.query_pairs_mut().extend_pairs(known);
    }
    url.into()
}

/// Shows a URL without its password; nothing of a text that is not a URL.
pub fn redacted(text: &str) -> String {
    let Ok(mut url) = open(text) else { return super::problem::SECRET.to_owned() };
    // Whether a password may be set depends on the host; where it may not, there is none.
    if url.password().is_some() && url.set_password(None).is_err() {
        return super::problem::SECRET.to_owned();
    }
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

fn open(text: &str) -> Result<Url, String> {
    // `user@/database` is libpq's way to leave the host to `?host=`; RFC 3986 has no such form.
    let url = match Url::parse(text) {
        Err(ParseError::EmptyHost) if text.contains("host=") => {
            Url::parse(&text.replacen("@/", "@localhost/", 1))
        }
        other => other,
    };
    let url = url.map_err(|error| format!("is not a URL ({error}); {FORM}"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") || url.cannot_be_a_base() {
        return Err(FORM.to_owned());
    }
    // Past the host these are the rest of a password that was not encoded: never go on with them.
    let rest = [url.path(), url.query().unwrap_or_default()];
    if url.fragment().is_some() || rest.iter().any(|part| part.contains('@')) {
        return Err("has '@' or '#' past the host; encode '/', '?', '#' and '@' in user and \
                    password as %2F, %3F, %23 and %40"
            .to_owned());
    }
    Ok(url)
}

const FORM: &str = "must have the form postgres://user@host:port/database";

fn address(host: &str, port: u16) -> Result<Address, String> {
    if host.is_empty() {
        return Err(format!("names no host; {FORM}"));
    }
    if host.starts_with('/') {
        return Ok(Address::Unix { dir: PathBuf::from(host), port });
    }
    if host.contains(',') {
        return Err("names more than one host; make each PgBouncer its own target".to_owned());
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Address::Tcp { host, port })
}

fn tls(address: &Address, mode: Option<&str>, ca_file: Option<&str>) -> Result<Tls, String> {
    let unix = matches!(address, Address::Unix { .. });
    let tls = match mode {
        None if unix => Tls::Disable,
        None | Some("prefer") => Tls::Prefer,
        Some("disable") => Tls::Disable,
        Some("require") => Tls::Require,
        Some("verify-full") => {
            let ca_file = ca_file.map(PathBuf::from);
            if let Some(Err(error)) = ca_file.as_ref().map(std::fs::File::open) {
                return Err(format!("sslrootcert cannot be read: {error}"));
            }
            return Ok(Tls::VerifyFull { ca_file });
        }
        Some(_) => {
            return Err("sslmode must be one of disable, prefer, require, verify-full".to_owned());
        }
    };
    match ca_file {
        Some(_) => Err("sslrootcert has an effect only with sslmode=verify-full".to_owned()),
        None => Ok(tls),
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, String> {
    let wrong = || "has a '%' that is not followed by two hex digits, or is not UTF-8".to_owned();
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).ok_or_else(wrong)?;
        if hex.starts_with('+') {
            return Err(wrong());
        }
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| wrong())?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}
