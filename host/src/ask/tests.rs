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

#[test]
fn an_explanation_tells_the_whole_story() {
    let detail = serde_json::from_value(json!({
        "id": "019b", "at_ms": 1_767_225_600_000_u64, "target": "main", "kind": "resize",
        "policy": "autosize", "plugin_digest": "sha256:07", "plugin_version": "1.2.3",
        "scope": "default", "mode": "enforce", "status": "verified",
        "reason": "12 clients wait\u{1b}[2J", "evidence": { "cl_waiting": 12.0, "demand": 31.5 },
        "proposal": { "scope": "default", "size": 40 },
        "verdict": { "outcome": "clamped", "rules": [
            { "rule": "bounds", "word": "pass", "reason": "within 5 and 60" },
            { "rule": "step", "word": "clamp", "reason": "at most 10 at once" },
        ] },
        "size_from": 20, "size_to": 30,
        "transitions": [
            { "at_ms": 1_767_225_600_007_u64, "status": "applied", "note": "PgBouncer took it" },
            { "at_ms": 1_767_225_600_009_u64, "status": "verified", "note": "read back: 30" },
        ],
        "recorded": { "id": "1" },
    }));
    let text = explain::text(&detail.expect("a fine decision"));
    assert_eq!(
        text,
        "Decision 019b\n\
         resize about default on main, taken 2026-01-01 00:00:00.000Z, now verified\n\
         Policy autosize (plugin version 1.2.3, sha256:07) in mode enforce\n\
         Its input is kept: `poolwarden replay` can decide it again.\n\
         \n\
         What was seen\n\
         \x20 cl_waiting   12.0\n\
         \x20 demand       31.5\n\
         \n\
         What the policy said\n\
         \x20 size 40 for default, from 20\n\
         \x20 because: 12 clients wait\u{fffd}[2J\n\
         \n\
         What the guard said: clamped, the size is to be 30\n\
         \x20 RULE    WORD   WHY\n\
         \x20 bounds  pass   within 5 and 60\n\
         \x20 step    clamp  at most 10 at once\n\
         \n\
         What was done\n\
         \x20 2026-01-01 00:00:00.007Z  applied   PgBouncer took it\n\
         \x20 2026-01-01 00:00:00.009Z  verified  read back: 30\n"
    );
}
