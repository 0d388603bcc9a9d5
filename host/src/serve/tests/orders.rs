//! Orders of people: what they must say, and what they are told.

use hyper::Method;
use serde_json::json;

use super::*;

const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(served: &Served, path: &str, body: serde_json::Value) -> Answer {
    let body = body.to_string();
    client::read(client::open_with(served.address, Method::POST, path, &[JSON], &body).await).await
}

#[tokio::test]
async fn orders_that_say_too_little_are_refused_by_the_field() {
    let served = Served::start().await;
    for (path, body, key) in [
        ("/v1/targets/main/pause", json!({ "author": "", "comment": "x" }), "author"),
        ("/v1/targets/main/pause", json!({ "author": "ada", "comment": " " }), "comment"),
        ("/v1/targets/main/pause", json!({ "author": "a", "comment": "x", "for_ms": 0 }), "for_ms"),
        ("/v1/targets/a%20b/resume", json!({ "author": "ada" }), "target"),
        ("/v1/panic", json!({ "author": "" }), "author"),
        ("/v1/decisions/seven/approve", json!({ "author": "ada" }), "id"),
    ] {
        assert_eq!(post(&served, path, body).await.problem(400)["key"], key, "{path}");
    }
    post(&served, "/v1/panic", json!({ "targets": "main" })).await.problem(400);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_ordered_about() {
    let served = Served::start().await;
    let told = json!({ "author": "ada", "comment": "why" });
    for path in ["/v1/targets/nowhere/pause", "/v1/targets/nowhere/panic"] {
        let problem = post(&served, path, told.clone()).await.problem(404);
        assert!(problem["detail"].as_str().expect("text").contains("nowhere"), "{problem}");
    }
    let missing = format!("/v1/decisions/{}/approve", id(9));
    post(&served, &missing, told.clone()).await.problem(404);
    // One that is there and does not wait for anybody.
    served.write(&Batch { decisions: vec![resize(1)], ..Batch::default() }).await;
    for order in ["approve", "reject"] {
        let path = format!("/v1/decisions/{}/{order}", id(1));
        let problem = post(&served, &path, told.clone()).await.problem(409);
        assert!(problem["detail"].as_str().expect("text").contains("does not wait"), "{problem}");
    }
}

#[tokio::test]
async fn an_order_is_no_link_and_says_so() {
    let served = Served::start().await;
    for path in ["/v1/panic", "/v1/targets/main/pause", "/v1/decisions/x/reject"] {
        let answer = served.get(path).await;
        answer.problem(405);
        assert_eq!(answer.head["allow"], "POST", "{path}");
    }
}
