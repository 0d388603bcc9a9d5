//! Silences over HTTP.

use hyper::Method;
use serde_json::{Value, json};

use super::*;
use crate::model::Silence;

const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(served: &Served, body: &str) -> Answer {
    let open = client::open_with(served.address, Method::POST, "/v1/silences", &[JSON], body);
    client::read(open.await).await
}

async fn delete(served: &Served, id: &str) -> Answer {
    let path = format!("/v1/silences/{id}");
    client::read(client::open(served.address, Method::DELETE, &path, &[]).await).await
}

fn wanted(change: impl FnOnce(&mut Value)) -> String {
    let mut wanted = json!({
        "matchers": { "alert": "pool-*", "database": "app", "labels": { "team": "shop" } },
        "for_ms": 3_600_000, "author": "ada", "comment": "a migration",
    });
    change(&mut wanted);
    wanted.to_string()
}

#[tokio::test]
async fn a_silence_is_added_listed_and_removed() {
    let served = Served::start().await;
    let answer = post(&served, &wanted(|_| ())).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let added = answer.json();
    let lasts = added["until_ms"].as_u64().zip(added["since_ms"].as_u64());
    assert_eq!(lasts.map(|(until, since)| until - since), Some(3_600_000));
    let listed = served.get("/v1/silences").await.json();
    assert_eq!(listed["silences"], json!([added]));
    let wanted: Value = serde_json::from_str(&wanted(|_| ())).expect("JSON");
    assert_eq!(listed["silences"][0]["matchers"], wanted["matchers"]);
    let now = served.clock.now();
    assert_eq!(served.store.silences(now).await.expect("read").len(), 1, "it is recorded");

    let id = added["id"].as_str().expect("an id");
    let answer = delete(&served, id).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(served.get("/v1/silences").await.json()["silences"], json!([]));
    assert_eq!(served.store.silences(now).await.expect("read"), []);
    let problem = delete(&served, id).await.problem(404);
    assert!(problem["detail"].as_str().expect("text").contains(id), "{problem}");
    assert_eq!(delete(&served, "seven").await.problem(400)["key"], "id");
}

#[tokio::test]
async fn a_silence_that_says_too_little_or_too_much_is_refused_by_the_field() {
    let served = Served::start().await;
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 9] = [
        ("matchers", |it| it["matchers"] = json!({})),
        ("alert", |it| it["matchers"] = json!({ "alert": "" })),
        ("labels", |it| it["matchers"] = json!({ "labels": { "a-b": "x" } })),
        ("for_ms", |it| it["for_ms"] = Value::Null),
        ("for_ms", |it| it["until_ms"] = json!(1)),
        ("until_ms", |it| it["for_ms"] = json!(30_u64 * 86_400_000 + 1)),
        ("until_ms", |it| it["for_ms"] = json!(0)),
        ("author", |it| it["author"] = json!("")),
        ("comment", |it| it["comment"] = json!(" ")),
    ];
    for (key, change) in cases {
        let body = wanted(change);
        assert_eq!(post(&served, &body).await.problem(400)["key"], key, "{body}");
    }
    let longest = wanted(|it| it["for_ms"] = json!(30_u64 * 86_400_000));
    assert_eq!(post(&served, &longest).await.status, 201);
}

#[tokio::test]
async fn a_body_that_is_something_else_is_refused_with_what_is_wrong() {
    let served = Served::start().await;
    let said = |problem: Value| problem["detail"].as_str().expect("text").to_owned();
    let typo = wanted(|it| it["matchers"] = json!({ "databse": "app" }));
    let detail = said(post(&served, &typo).await.problem(400));
    assert!(detail.contains("databse") && detail.contains("database"), "{detail}");
    for body in ["", "{", "[]", "null"] {
        post(&served, body).await.problem(400);
    }
    let large = wanted(|it| it["comment"] = json!("x".repeat(20_000)));
    assert!(said(post(&served, &large).await.problem(400)).contains("16384 bytes"));
    let fine = wanted(|_| ());
    let plain = client::open_with(
        served.address,
        Method::POST,
        "/v1/silences",
        &[("content-type", "text/plain")],
        &fine,
    );
    client::read(plain.await).await.problem(415);
    assert_eq!(served.get("/v1/silences").await.json()["silences"], json!([]));
}

#[tokio::test]
async fn there_are_only_so_many_silences_and_that_is_said() {
    let served = Served::start().await;
    for _ in 0..Silence::MOST {
        assert_eq!(post(&served, &wanted(|_| ())).await.status, 201);
    }
    let problem = post(&served, &wanted(|_| ())).await.problem(409);
    assert!(problem["detail"].as_str().expect("text").contains("remove some"), "{problem}");
}

#[tokio::test]
async fn orders_need_the_token_where_one_is_configured() {
    let served = Served::start_with(Some("s3cret")).await;
    post(&served, &wanted(|_| ())).await.problem(401);
    delete(&served, "0198c0de-0000-7000-8000-000000000000").await.problem(401);
    let shown = [JSON, ("authorization", "Bearer s3cret")];
    let body = wanted(|_| ());
    let open = client::open_with(served.address, Method::POST, "/v1/silences", &shown, &body);
    assert_eq!(client::read(open.await).await.status, 201);
}

#[tokio::test]
async fn other_methods_are_told_what_there_is() {
    let served = Served::start().await;
    for (method, path, allowed) in [
        (Method::PUT, "/v1/silences", "GET, HEAD, POST"),
        (Method::GET, "/v1/silences/7", "DELETE"),
        (Method::POST, "/v1/alerts", "GET, HEAD"),
    ] {
        let answer = client::read(client::open(served.address, method, path, &[]).await).await;
        answer.problem(405);
        assert_eq!(answer.head["allow"], allowed, "{path}");
    }
}

#[tokio::test]
async fn a_silenced_alert_says_so_and_no_longer_degrades() {
    let served = Served::start().await;
    let silence = Silence {
        id: crate::model::SilenceId(Uuid::from_u128(5)),
        matchers: crate::model::Matchers::default(),
        since: at(0),
        until: at(60),
        author: "ada".into(),
        comment: "a migration".into(),
    };
    served.change_view(|view| {
        view.targets[0].alerts[0].silenced_by = Some(Arc::new(silence));
    });
    let list = served.get("/v1/alerts").await.json();
    let alert = &list["alerts"][0];
    assert_eq!(alert["state"], "firing");
    assert_eq!(
        alert["silenced_by"],
        json!({
            "id": Uuid::from_u128(5).to_string(), "until_ms": at(60).as_millis(), "author": "ada",
            "comment": "a migration",
        })
    );
    let problems = served.get("/health").await.json()["problems"].to_string();
    assert!(!problems.contains("pool-exhausted fires"), "{problems}");
    let metrics = served.get("/metrics").await.body;
    for line in [
        "poolwarden_alerts_firing{target=\"main\",severity=\"critical\"} 0",
        "poolwarden_alerts_silenced{target=\"main\",severity=\"critical\"} 1",
    ] {
        assert!(metrics.lines().any(|written| written == line), "{line} is missing");
    }
}
