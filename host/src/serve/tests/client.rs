//! A small HTTP client for tests.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub head: hyper::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        assert_eq!(self.kind, "application/json", "{}", self.body);
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// Checks the shape that every error has, and gives it.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!((self.status, self.kind.as_str()), (status, "application/problem+json"));
        let problem: Value = serde_json::from_str(&self.body).expect("the body is JSON");
        let of_us = |text: &str| text.starts_with("urn:poolwarden:problem:");
        assert!(problem["type"].as_str().is_some_and(of_us), "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        problem
    }
}

/// Sends one request and gives the answer with its body still to be read.
pub async fn open(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Response<Incoming> {
    open_with(address, method, path, headers, "").await
}

/// Sends one request with a body.
pub async fn open_with(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Incoming> {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1");
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request =
        request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a fine request");
    sender.send_request(request).await.expect("an answer")
}

pub async fn read(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
    Answer {
        status: head.status.as_u16(),
        kind: kind.unwrap_or_default().to_owned(),
        head: head.headers.clone(),
        body: String::from_utf8(body.to_vec()).expect("UTF-8"),
    }
}

pub async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    read(open(address, Method::GET, path, headers).await).await
}
