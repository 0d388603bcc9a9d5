//! The questions' answers as people read them.

use std::net::SocketAddr;

use clap::Parser;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[derive(Debug, Parser)]
enum Cli {
    Pools(Pools),
    Decisions(Decisions),
    Alerts(Alerts),
    Explain(Explain),
    Health(Health),
}

impl Cli {
    async fn run(self) -> Result<std::process::ExitCode, AskError> {
        match self {
            Self::Pools(ask) => ask.run().await,
            Self::Decisions(ask) => ask.run().await,
            Self::Alerts(ask) => ask.run().await,
            Self::Explain(ask) => ask.run().await,
            Self::Health(ask) => ask.run().await,
        }
    }
}

/// Answers every request with one body, and gives its address.
async fn server(status: u16, body: serde_json::Value) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let body = body.to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} \r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let byte = stream.read_u8().await.expect("a whole request");
                asked.push(byte);
            }
            stream.write_all(answer.as_bytes()).await.expect("the answer is taken");
        }
    });
    address
}

pub(crate) async fn run(
    words: &[&str],
    address: SocketAddr,
) -> Result<std::process::ExitCode, AskError> {
    let url = format!("--url=http://{address}");
    let words = ["poolwarden"].iter().chain(words).copied().chain([url.as_str()]);
    Cli::try_parse_from(words).expect("fine words").run().await
}

pub(crate) fn is_success(code: std::process::ExitCode) -> bool {
    format!("{code:?}") == format!("{:?}", std::process::ExitCode::SUCCESS)
}

#[tokio::test]
async fn health_is_its_exit_code() {
    let well = server(200, json!({ "status": "ok" })).await;
    assert!(is_success(run(&["health"], well).await.expect("an answer")));
    let ill = server(503, json!({ "status": "failing", "reason": "no target is up" })).await;
    assert!(!is_success(run(&["health"], ill).await.expect("an answer")));
}

#[tokio::test]
async fn a_sidecar_that_does_not_run_is_said_with_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    drop(listener);
    let error = run(&["pools"], address).await.expect_err("nobody listens").to_string();
    assert!(error.contains("is it running?") && error.contains("--url"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_said_in_the_sidecars_words() {
    let address = server(400, json!({ "detail": "limit: 0 is not fine" })).await;
    let error = run(&["decisions", "--limit=0"], address).await.expect_err("refused");
    assert!(error.to_string().contains("limit: 0 is not fine"), "{error}");
    let address = server(401, json!({ "detail": "no" })).await;
    let error = run(&["alerts"], address).await.expect_err("refused");
    assert!(error.to_string().contains("POOLWARDEN_HTTP__TOKEN"), "{error}");
}

#[tokio::test]
async fn an_answer_of_something_else_is_an_error() {
    let address = server(200, json!({ "hello": "world" })).await;
    let error = run(&["pools"], address).await.expect_err("not pools");
    assert!(matches!(error, AskError::Answer { .. }), "{error}");
    assert!(is_success(run(&["pools", "--output=json"], address).await.expect("as it came")));
}
