//! What is answered from memory.

use serde_json::json;

use super::*;
use crate::model::TargetStatus;

#[tokio::test]
async fn quick_health_is_ok_while_a_target_is_up() {
    let served = Served::start().await;
    let answer = served.get("/health/quick").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "status": "ok" })));
}

#[tokio::test]
async fn quick_health_fails_when_no_target_is_up_or_the_loop_is_stuck() {
    let served = Served::start().await;
    served.change_view(|view| {
        view.targets[0].status = TargetStatus::Down;
        view.targets[0].problem = Some(("refused", "wrong password".into()));
    });
    let answer = served.get("/health/quick").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reason"], "no target is up (main: refused)");

    let served = Served::start().await;
    let old = served.clock.now().minus(Duration::from_secs(6));
    served.change_view(|view| view.at = old);
    let answer = served.get("/health/quick").await;
    assert_eq!(answer.status, 503);
    let reason = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.starts_with("the loop has shown nothing for "), "{reason}");
}

#[tokio::test]
async fn quick_health_is_ok_with_nothing_to_watch() {
    let served = Served::start().await;
    served.change_view(|view| *view = View::default());
    assert_eq!(served.get("/health/quick").await.status, 200);
}

#[tokio::test]
async fn health_shows_what_an_on_call_person_looks_at_first() {
    let served = Served::start().await;
    let answer = served.get("/health").await;
    assert_eq!(answer.status, 200);
    let health = answer.json();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["targets"][0]["status"], "up");
    assert_eq!(health["pools"][0]["utilization"], 1.0);
    assert_eq!(health["pools"][0]["condition"], "queueing");
    assert_eq!(health["alerts"][0]["name"], "pool-exhausted");
    assert_eq!(health["recommendations"][0]["action"], "SET query_wait_timeout = 30");
    assert_eq!(health["store"]["status"], "ok");
    assert!(health["store"]["size_bytes"].as_u64() > Some(0));
    assert_eq!(health["policies"][0]["state"], "broken");
    let problems = health["problems"].as_array().expect("a list");
    assert!(problems.contains(&json!("pool-exhausted fires on main")), "{problems:?}");
}

#[tokio::test]
async fn health_fails_while_nothing_is_recorded() {
    let served = Served::start().await;
    served.problem.send_replace(Some("the disk is full".into()));
    let answer = served.get("/health").await;
    assert_eq!((answer.status, answer.json()["status"].clone()), (503, json!("failing")));
    assert_eq!(answer.json()["problems"][0], "nothing is recorded: the disk is full");
    assert_eq!(served.get("/health/quick").await.status, 200);
}

#[tokio::test]
async fn connections_show_pools_and_sessions_by_application() {
    let served = Served::start().await;
    let connections = served.get("/health/connections").await.json();
    let target = &connections["targets"][0];
    assert_eq!(target["clients"], 27);
    assert_eq!(target["pools"][0]["wait_p95_us"], 2_000_000.0);
    assert_eq!(target["pools"][0]["maxwait_us"], 2_500_000);
    assert_eq!(target["postgres"]["connections"], 22);
    assert_eq!(target["postgres"]["sessions"][1]["application"], "psql");
    served.change_view(|view| view.targets[0].postgres = None);
    let connections = served.get("/health/connections").await.json();
    assert_eq!(connections["targets"][0]["postgres"], json!(null));
}

#[tokio::test]
async fn pools_are_filtered() {
    let served = Served::start().await;
    served.change_view(|view| view.targets.push(sample::target("other", view.at)));
    let count =
        async |path: &str| served.get(path).await.json()["pools"].as_array().expect("a list").len();
    assert_eq!(count("/v1/pools").await, 2);
    assert_eq!(count("/v1/pools?target=other&database=app&user=web").await, 1);
    assert_eq!(count("/v1/pools?user=nobody").await, 0);
}

#[tokio::test]
async fn alerts_are_those_that_fire_or_all() {
    let served = Served::start().await;
    let firing = served.get("/v1/alerts").await.json();
    let firing = firing["alerts"].as_array().expect("a list");
    assert_eq!(firing.len(), 1);
    assert_eq!(firing[0]["decision"], sample::ALERT_ID.to_string());
    assert_eq!(firing[0]["pool"], json!({ "database": "app", "user": "web" }));
    assert_eq!(firing[0]["evidence"], json!({ "cl_waiting": 7.0 }));
    let all = served.get("/v1/alerts?all=true").await.json();
    let states: Vec<_> =
        all["alerts"].as_array().into_iter().flatten().map(|a| &a["state"]).collect();
    assert_eq!(states, ["firing", "pending", "cooling"]);
    assert_eq!(served.get("/v1/alerts?all=yes").await.problem(400)["key"], "all");
}

#[tokio::test]
async fn recommendations_say_what_to_do() {
    let served = Served::start().await;
    let list = served.get("/v1/recommendations").await.json();
    assert_eq!(list["recommendations"][0]["subject"], "target");
    assert_eq!(list["recommendations"][0]["kind"], "recommendation");
    assert_eq!(list["recommendations"][0]["action"], "SET query_wait_timeout = 30");
}

#[tokio::test]
async fn policies_show_what_is_wrong() {
    let served = Served::start().await;
    let list = served.get("/v1/policies").await.json();
    assert_eq!(list["folder_problem"], json!(null));
    assert_eq!(list["policies"][0]["name"], "bad");
    assert_eq!(list["policies"][0]["state"], "broken");
    assert!(list["policies"][0]["problem"].is_string(), "{list}");
}

#[tokio::test]
async fn targets_show_scopes_limits_and_connections() {
    let served = Served::start().await;
    let list = served.get("/v1/targets").await.json();
    let target = &list["targets"][0];
    assert_eq!(target["labels"], json!({ "role": "primary" }));
    assert_eq!(target["scopes"][0]["scope"], "default");
    assert_eq!(target["scopes"][0]["base_size"], 10);
    assert_eq!(target["scopes"][0]["wanted_size"], 20);
    assert_eq!(target["limits"]["ceiling"], 60);
    let connections = &target["connections"];
    assert_eq!(
        (&connections["pools"], &connections["others"], &connections["free"]),
        (&json!(20), &json!(2), &json!(75))
    );
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let served = Served::start().await;
    let answer = served.get("/metrics?any=thing").await;
    assert_eq!((answer.status, answer.kind.as_str()), (200, crate::metrics::CONTENT_TYPE));
    for line in [
        "pgbouncer_up 1",
        "poolwarden_policy_state{policy=\"bad\",state=\"broken\"} 1",
        "poolwarden_store_failing 0",
    ] {
        assert!(answer.body.lines().any(|written| written == line), "{line} is missing");
    }
}

#[tokio::test]
async fn the_openapi_document_has_every_route_and_schema() {
    let served = Served::start().await;
    let document = served.get("/openapi.json").await.json();
    let described: std::collections::BTreeSet<_> =
        document["paths"].as_object().expect("an object").keys().map(String::as_str).collect();
    let routed = super::super::route::all();
    let routed: std::collections::BTreeSet<_> = routed.iter().map(|(path, _)| *path).collect();
    assert_eq!(described, routed);
    let text = document.to_string();
    for sort in ["schemas", "responses"] {
        let there = document["components"][sort].as_object().expect("an object");
        let before = format!("#/components/{sort}/");
        let mut references = text.split(before.as_str()).skip(1).peekable();
        assert!(references.peek().is_some(), "nothing refers to {sort}");
        for reference in references {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(there.contains_key(name), "{name} is missing in {sort}");
        }
    }
}
