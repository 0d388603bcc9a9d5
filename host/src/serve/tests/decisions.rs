//! What is answered from the store.

use std::collections::BTreeSet;

use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::*;
use crate::model::PoolKey;
use crate::record::{HistorySample, PoolCounts};

async fn filled() -> Served {
    let served = Served::start().await;
    let decisions: Vec<_> = (1..=5).map(resize).chain([alert(6)]).collect();
    let transitions = vec![verified(&decisions[4])];
    let evaluations = vec![evaluation(5)];
    served.write(&Batch { decisions, transitions, evaluations, ..Batch::default() }).await;
    served
}

fn ids(page: &Value) -> Vec<String> {
    let decisions = page["decisions"].as_array().expect("a list");
    decisions.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_decision_has_every_field_of_the_contract() {
    let served = filled().await;
    let page = served.get("/v1/decisions?kind=resize&limit=1").await.json();
    assert_eq!(
        page["decisions"][0],
        json!({
            "id": id(5).to_string(),
            "at_ms": START_MS + 5_000,
            "target": "main",
            "kind": "resize",
            "policy": "autosize",
            "plugin_digest": format!("sha256:{}", "07".repeat(32)),
            "plugin_version": "1.2.3",
            "evaluation": Uuid::from_u128(5).to_string(),
            "scope": "default",
            "mode": "enforce",
            "status": "verified",
            "reason": "12 clients wait",
            "evidence": { "waiting_clients": 0.1 + 0.2 },
            "proposal": { "scope": "default", "knob": "pool_size", "size": 40 },
            "verdict": {
                "outcome": "clamped",
                "rules": [{ "rule": "step", "word": "clamp", "reason": "at most 10 at once" }],
            },
            "size_from": 20,
            "size_to": 30,
        })
    );
}

#[tokio::test]
async fn the_sidecars_own_decision_has_no_plugin() {
    let served = filled().await;
    let page = served.get("/v1/decisions?kind=alert").await.json();
    let alert = &page["decisions"][0];
    assert_eq!(alert["plugin_digest"], json!(null));
    assert_eq!(alert["pool"], json!({ "database": "app", "user": "web" }));
    assert_eq!(alert["verdict"], json!(null));
    assert_eq!(alert["proposal"]["severity"], "critical");
}

#[tokio::test]
async fn pages_lead_to_the_end_with_each_decision_once() {
    let served = filled().await;
    let (mut seen, mut path) = (Vec::new(), "/v1/decisions?limit=4".to_owned());
    let mut pages = 0;
    loop {
        let page = served.get(&path).await.json();
        seen.extend(ids(&page));
        pages += 1;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/decisions?limit=4&cursor={cursor}");
    }
    assert_eq!(pages, 2);
    let newest_first: Vec<_> = (1..=6).rev().map(|number| id(number).to_string()).collect();
    assert_eq!(seen, newest_first);
}

#[tokio::test]
async fn every_filter_narrows() {
    let served = filled().await;
    for (filter, count) in [
        ("kind=alert", 1),
        ("target=main", 6),
        ("target=other", 0),
        ("database=app", 1),
        ("user=web", 1),
        ("policy=autosize", 5),
        ("status=verified", 1),
        (&format!("since_ms={}", START_MS + 5_000), 2),
        (&format!("until_ms={}", START_MS + 3_000), 2),
        ("kind=resize&status=proposed&limit=3", 3),
    ] {
        let page = served.get(&format!("/v1/decisions?{filter}")).await.json();
        assert_eq!(ids(&page).len(), count, "{filter}");
    }
}

#[tokio::test]
async fn bad_parameters_are_refused_by_name() {
    let served = filled().await;
    let one = format!("/v1/decisions/{}", id(5));
    for (path, key) in [
        ("/v1/decisions?kind=resizes", "kind"),
        ("/v1/decisions?target=a%2Fb", "target"),
        ("/v1/decisions?policy=", "policy"),
        ("/v1/decisions?status=done", "status"),
        ("/v1/decisions?since_ms=yesterday", "since_ms"),
        ("/v1/decisions?until_ms=-1", "until_ms"),
        ("/v1/decisions?limit=0", "limit"),
        ("/v1/decisions?limit=501", "limit"),
        ("/v1/decisions?cursor=7", "cursor"),
        ("/v1/decisions?knd=alert", "knd"),
        ("/v1/decisions?kind=alert&kind=resize", "kind"),
        ("/v1/decisions/7", "id"),
        (&format!("{one}?input=1"), "input"),
        (&format!("{one}?all=true"), "all"),
        ("/v1/pools?pool=x", "pool"),
        ("/v1/targets?x=1", "x"),
        ("/v1/pools/a%20b/app/web/history", "target"),
        ("/v1/pools/main/app/web/history?points=1", "points"),
        ("/v1/pools/main/app/web/history?since_ms=5&until_ms=5", "since_ms"),
        ("/v1/pools/main/%ff/web/history", "path"),
    ] {
        let problem = served.get(path).await.problem(400);
        assert_eq!(problem["key"], key, "{path}: {problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(key), "{path}: {detail}");
    }
}

#[tokio::test]
async fn one_decision_comes_with_its_story_and_on_request_its_input() {
    let served = filled().await;
    let one = served.get(&format!("/v1/decisions/{}", id(5))).await.json();
    assert_eq!(one["status"], "verified");
    assert_eq!(one["transitions"][0]["note"], "read back: 30 is in force");
    assert_eq!(one["recorded"]["memory_bytes"], 2);
    assert_eq!(one["recorded"].get("input"), None);
    let one = served.get(&format!("/v1/decisions/{}?input=true", id(5))).await.json();
    assert_eq!(one["recorded"]["input"], json!({ "window": { "at_ms": 1 }, "pools": [] }));
    assert_eq!(one["recorded"]["settings"], json!({ "headroom": 0.2 }));
    assert_eq!(one["recorded"]["memory_hex"], "01ab");
    assert_eq!(one["recorded"]["answer"], json!({ "proposals": [] }));
    let pruned = served.get(&format!("/v1/decisions/{}", id(4))).await.json();
    assert_eq!(pruned["recorded"], json!(null));
}

#[tokio::test]
async fn a_decision_that_is_not_there_is_not_found() {
    let served = filled().await;
    let problem = served.get(&format!("/v1/decisions/{}", id(99))).await.problem(404);
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains(&id(99).to_string())));
}

#[tokio::test]
async fn history_has_means_and_a_trend() {
    let served = Served::start().await;
    let samples: Vec<_> = (0..6)
        .map(|step| HistorySample {
            at: at(step * 10),
            target: sample::target_name("main"),
            pool: PoolKey::new("a/b", "web"),
            counts: PoolCounts {
                samples: 10,
                sv_active_sum: step * 10,
                size: 10,
                ..Default::default()
            },
        })
        .collect();
    served.store.write_history(&samples).await.expect("written");
    let path = format!(
        "/v1/pools/main/a%2Fb/web/history?since_ms={START_MS}&until_ms={}",
        START_MS + 60_000
    );
    let history = served.get(&path).await.json();
    assert_eq!(history["database"], "a/b");
    assert_eq!(history["step_ms"], 10_000);
    assert_eq!(history["points"].as_array().map(Vec::len), Some(6));
    assert_eq!(history["points"][3]["utilization_mean"], 0.3);
    let rise = history["trend"]["utilization_per_min"].as_f64().expect("a slope");
    assert!((rise - 0.6).abs() < 1e-6, "{rise}");
    let full = history["trend"]["full_in_ms"].as_u64().expect("it rises");
    assert!((49_000..=51_000).contains(&full), "{full}");
}

#[tokio::test]
async fn a_known_pool_without_history_is_empty_and_an_unknown_one_not_found() {
    let served = Served::start().await;
    let history = served.get("/v1/pools/main/app/web/history").await.json();
    assert_eq!((&history["points"], &history["trend"]), (&json!([]), &json!(null)));
    served.get("/v1/pools/main/app/nobody/history").await.problem(404);
    served.get("/v1/pools/other/app/web/history").await.problem(404);
}

#[tokio::test]
async fn an_unreadable_store_leaves_the_rest_working() {
    let served = Served::start().await;
    // Nothing was read yet, so no reader has the file open.
    std::fs::remove_file(served.dir.path().join("store/poolwarden.db")).expect("removed");
    for path in ["/v1/decisions", &format!("/v1/decisions/{}", id(1))] {
        let problem = served.get(path).await.problem(503);
        let text = problem.to_string();
        assert!(!text.contains("poolwarden.db"), "{text} tells a path");
    }
    for path in ["/v1/pools", "/v1/alerts", "/health/quick", "/health", "/metrics"] {
        assert_eq!(served.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_command_line_understands_every_answer() {
    let served = filled().await;
    let (own, plugins) = (id(6).to_string(), id(5).to_string());
    for words in [
        &["pools"][..],
        &["decisions", "--limit=3", "--kind=resize"],
        &["decisions"],
        &["alerts", "--all"],
        &["explain", &own],
        &["explain", &plugins],
        &["health"],
        &["health", "--full"],
    ] {
        let code = crate::ask::tests::run(words, served.address).await;
        let code = code.unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert!(crate::ask::tests::is_success(code), "{words:?}");
    }
}

/// Reads events until one of this name, and gives its data.
async fn event(body: &mut Incoming, name: &str) -> Value {
    let mut text = String::new();
    loop {
        let frame = body.frame().await.expect("the stream goes on").expect("a whole frame");
        text.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
        let found = text.split("\n\n").find(|event| event.contains(&format!("event: {name}\n")));
        if let Some(found) = found.filter(|_| text.ends_with("\n\n")) {
            let data = found.lines().find_map(|line| line.strip_prefix("data: "));
            return serde_json::from_str(data.expect("data")).expect("JSON");
        }
    }
}

#[tokio::test]
async fn the_stream_tells_decisions_and_transitions() {
    let served = Served::start().await;
    let response = client::open(served.address, Method::GET, "/v1/decisions/stream", &[]).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let decision = resize(1);
    let transitions = vec![verified(&decision)];
    let decisions = vec![decision];
    let batch = Batch { decisions, transitions, ..Batch::default() };
    served.told.send(Arc::new(batch)).expect("somebody listens");
    assert_eq!(event(&mut body, "decision").await["size_to"], 30);
    let batch = Batch { transitions: vec![verified(&resize(2))], ..Batch::default() };
    served.told.send(Arc::new(batch)).expect("somebody listens");
    let transition = event(&mut body, "transition").await;
    assert_eq!(transition["status"], "verified");
}

#[tokio::test]
async fn a_listener_that_lags_is_told_so() {
    let served = Served::start().await;
    let response = client::open(served.address, Method::GET, "/v1/decisions/stream", &[]).await;
    let mut body = response.into_body();
    // The channel holds four batches; without a pause the listener gets no turn between them.
    for number in 1..=10 {
        let batch = Batch { decisions: vec![resize(number)], ..Batch::default() };
        served.told.send(Arc::new(batch)).expect("somebody listens");
    }
    assert_eq!(event(&mut body, "lagged").await["missed_batches"], 6);
}

#[test]
fn filters_are_all_documented() {
    let document: Value = serde_json::from_str(&super::super::api::document()).expect("JSON");
    let parameters = document["paths"]["/v1/decisions"]["get"]["parameters"].as_array();
    let names: BTreeSet<_> =
        parameters.into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    let wanted = [
        "kind", "target", "database", "user", "policy", "status", "since_ms", "until_ms", "limit",
        "cursor",
    ];
    assert_eq!(names, BTreeSet::from(wanted));
}
