//! Who may ask, what is refused, and how it ends.

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::serve::problem::shield;

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_token_is_asked_for_everywhere_but_in_the_quick_check() {
    let served = Served::start_with(Some("s3cret")).await;
    let ask = async |path: &str, shown: &str| {
        client::get(served.address, path, &[("authorization", shown)]).await
    };
    for (path, _) in crate::serve::route::all() {
        if path == "/health/quick" {
            assert_eq!(served.get(path).await.status, 200);
            continue;
        }
        let answer = served.get(path).await;
        let problem = answer.problem(401);
        assert_eq!(answer.head["www-authenticate"], "Bearer");
        assert!(!problem.to_string().contains("s3cret"));
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret", "Bearer "] {
            ask(path, wrong).await.problem(401);
        }
    }
    served.get("/no/such/route").await.problem(401);
    assert_eq!(ask("/v1/pools", "Bearer s3cret").await.status, 200);
    assert_eq!(ask("/metrics", "bearer s3cret").await.status, 200);
}

#[tokio::test]
async fn without_a_token_everybody_may_ask() {
    let served = Served::start().await;
    assert_eq!(served.get("/v1/pools").await.status, 200);
}

#[tokio::test]
async fn unknown_routes_and_other_methods_are_problems() {
    let served = Served::start().await;
    served.get("/v1/nothing").await.problem(404);
    for method in [Method::POST, Method::DELETE, Method::PUT] {
        let response = client::open(served.address, method, "/v1/decisions", &[]).await;
        let answer = client::read(response).await;
        answer.problem(405);
        let allowed = answer.head["allow"].to_str().expect("text");
        assert!(allowed.contains("GET"), "{allowed}");
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_and_costs_nobody_else() {
    async fn panics() -> &'static str {
        panic!("the secret is 42")
    }
    let router = Router::new()
        .route("/panics", get(panics))
        .route("/works", get(|| async { "fine" }))
        .layer(from_fn(shield));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    tokio::spawn(serve(listener, router, CancellationToken::new()));
    let problem = client::get(address, "/panics", &[]).await.problem(500);
    assert!(!problem.to_string().contains("42"), "{problem}");
    assert_eq!(client::get(address, "/works", &[]).await.body, "fine");
}

#[tokio::test]
async fn too_many_listeners_are_refused_until_one_leaves() {
    let served = Served::start().await;
    let open =
        async || client::open(served.address, Method::GET, "/v1/decisions/stream", &[]).await;
    let mut listeners = Vec::new();
    for _ in 0..crate::serve::LISTENERS_MAX {
        listeners.push(open().await);
    }
    client::read(open().await).await.problem(503);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let served = Served::start().await;
    let mut stream = TcpStream::connect(served.address).await.expect("the server listens");
    let head = format!("GET /health HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(64 << 10));
    // The server may close before all of it is sent.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[tokio::test]
async fn stopping_ends_streams_and_idle_connections() {
    let served = Served::start().await;
    let _idle = TcpStream::connect(served.address).await.expect("the server listens");
    let _stream = client::open(served.address, Method::GET, "/v1/decisions/stream", &[]).await;
    served.stop.cancel();
    let ended = tokio::time::timeout(DEADLINE, served.task).await.expect("it ends in time");
    ended.expect("no panic").expect("no error");
    assert!(TcpStream::connect(served.address).await.is_err(), "still listening");
}
