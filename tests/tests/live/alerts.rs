//! The life of alerts across restarts and reloads, and silences, on a real PgBouncer.

use std::fs;

use poolwarden::control::AlertView;
use poolwarden::model::{Alert, AlertState, DecisionId, Kind, Proposal, Status};
use poolwarden::sandbox::SandboxOptions;
use poolwarden_tests::plugins::variant;
use poolwarden_tests::process::{Ran, ask};
use poolwarden_tests::{Bench, Setup, Sidecar, seconds};
use serde_json::{Value, json};

/// The pool cannot grow, so that what is wrong with it lasts.
fn stuck(bench: &Bench, settings: &str) -> Setup {
    let mut setup = bench.setup();
    setup.target().limit("ceiling", 3);
    setup.alerts = format!("[settings.labels]\nteam = \"shop\"\n{settings}");
    setup
}

fn id(alert: &Alert) -> DecisionId {
    match alert.state {
        AlertState::Firing(id) => id,
        other => panic!("{other:?} is not firing"),
    }
}

fn of(sidecar: &Sidecar, name: &str) -> Option<AlertView> {
    let target = sidecar.target();
    target.alerts.into_iter().find(|one| one.alert.key.name == name)
}

async fn firing(bench: &Bench, sidecar: &Sidecar, name: &str) -> AlertView {
    bench.until(&format!("{name} fires"), seconds(20), async || sidecar.firing(name)).await
}

/// The alerts of a name that were recorded, with their status of now.
async fn recorded(sidecar: &Sidecar, name: &str) -> Vec<(DecisionId, Status)> {
    let all = sidecar.decisions().await.into_iter();
    let alerts = all.filter(|one| one.kind() == Kind::Alert);
    let named = alerts.filter(
        |one| matches!(&one.proposal, Proposal::Alert { name: known, .. } if known == name),
    );
    named.map(|one| (one.id, one.status)).collect()
}

async fn shown(sidecar: &Sidecar, name: &str) -> Value {
    let list = sidecar.json("/v1/alerts?all=true").await;
    let mut alerts = list["alerts"].as_array().into_iter().flatten();
    alerts.find(|alert| alert["name"] == name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_firing_alert_and_its_silence_outlive_a_restart() {
    let bench = Bench::small().await;
    let setup = stuck(&bench, "[settings.pool_exhausted]\nhold_ms = 200\ncooldown_ms = 60000\n");
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    let before = firing(&bench, &sidecar, "pool-exhausted").await;
    let silence = json!({
        "matchers": { "alert": "pool-*", "database": "app", "labels": { "team": "shop" } },
        "for_ms": 600_000, "author": "ada", "comment": "a migration",
    });
    let (status, body) = sidecar.http("POST", "/v1/silences", &silence.to_string()).await;
    assert_eq!(status, 201, "{body}");
    let alert = shown(&sidecar, "pool-exhausted").await;
    assert_eq!(alert["silenced_by"]["comment"], "a migration", "at once: {alert}");
    assert_eq!(alert["labels"], json!({ "team": "shop" }));
    assert_eq!(alert["runbook"], "docs/runbooks/pool-exhausted.md");
    assert!(sidecar.stop().await);

    let sidecar = bench.sidecar(&setup).await;
    let known = of(&sidecar, "pool-exhausted").expect("known from the start");
    assert_eq!((known.alert.clone(), known.is_heard()), (before.alert.clone(), false));
    let Some(Proposal::Alert { runbook, .. }) = &known.proposal else { panic!("{known:?}") };
    assert_eq!(runbook, "docs/runbooks/pool-exhausted.md", "before the policy has spoken");
    bench
        .until("it was evaluated anew", seconds(10), async || {
            let policies = sidecar.json("/v1/policies").await;
            let all = policies["policies"].as_array()?;
            let alerts = all.iter().find(|policy| policy["name"] == "pool-alerts")?;
            (alerts["evaluations"].as_u64()? >= 5).then_some(())
        })
        .await;
    let after = sidecar.firing("pool-exhausted").expect("it fires on");
    assert_eq!(after.alert, before.alert);
    let fired = id(&before.alert);
    assert_eq!(recorded(&sidecar, "pool-exhausted").await, [(fired, Status::Firing)], "once");
    let muted = "poolwarden_alert_silenced{target=\"main\",policy=\"pool-alerts\",\
                 alert=\"pool-exhausted\",severity=\"critical\"} 1";
    let (_, metrics) = sidecar.http("GET", "/metrics", "").await;
    assert!(metrics.contains(muted), "{muted} is missing");

    load.stop().await.expect("stopped");
    let cooling = bench
        .until("it resolves, and cools", seconds(20), async || {
            let alert = of(&sidecar, "pool-exhausted")?.alert;
            matches!(alert.state, AlertState::Cooling(_)).then_some(alert)
        })
        .await;
    bench
        .until("that is recorded", seconds(5), async || {
            let all = recorded(&sidecar, "pool-exhausted").await;
            (all == [(fired, Status::Resolved)]).then_some(())
        })
        .await;
    assert!(sidecar.stop().await);

    let sidecar = bench.sidecar(&setup).await;
    let still = of(&sidecar, "pool-exhausted").expect("it cools").alert;
    assert_eq!(still, cooling, "its cooldown ends when it would have");
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn an_alert_that_is_over_when_the_sidecar_starts_again_resolves() {
    let bench = Bench::small().await;
    let setup = stuck(&bench, "[settings.pool_exhausted]\nhold_ms = 200\n");
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    let fired = id(&firing(&bench, &sidecar, "pool-exhausted").await.alert);
    assert!(sidecar.stop().await);
    load.stop().await.expect("stopped");
    let sidecar = bench.sidecar(&setup).await;
    assert!(sidecar.firing("pool-exhausted").is_some(), "nobody has looked yet");
    bench
        .until("it resolves", seconds(30), async || {
            let all = recorded(&sidecar, "pool-exhausted").await;
            (all == [(fired, Status::Resolved)]).then_some(())
        })
        .await;
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn a_hold_time_goes_on_through_a_reload_and_a_restart() {
    let bench = Bench::small().await;
    let setup = stuck(&bench, "[settings.high_utilization]\nhold_ms = 3600000\n");
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(12).await;
    let name = "high-utilization";
    let before = bench.until("it is pending", seconds(10), async || of(&sidecar, name)).await.alert;
    assert_eq!(before.state, AlertState::Pending);
    let left = shown(&sidecar, name).await["hold_left_ms"].as_u64();
    assert!(left.is_some_and(|left| left > 3_500_000), "{left:?}");

    let plugin = setup.dir.join("policies/pool-alerts.wasm");
    let digest = |list: &Value| {
        let all = list["policies"].as_array().into_iter().flatten();
        let mut named = all.filter(|policy| policy["name"] == "pool-alerts");
        named.next().map(|policy| policy["plugin_digest"].clone())
    };
    let old = digest(&sidecar.json("/v1/policies").await);
    let partial = setup.dir.join("policies/.pool-alerts.tmp");
    fs::write(&partial, variant(&fs::read(&plugin).expect("read"), 1)).expect("written");
    fs::rename(&partial, &plugin).expect("renamed");
    bench
        .until("the new plugin serves", seconds(30), async || {
            (digest(&sidecar.json("/v1/policies").await) != old).then_some(())
        })
        .await;
    bench
        .until("it has spoken", seconds(10), async || {
            let now = of(&sidecar, name)?.alert;
            (sidecar.view().at.since(now.since) > seconds(1)).then_some(())
        })
        .await;
    assert_eq!(of(&sidecar, name).expect("pending").alert, before, "it does not start anew");
    let held = sidecar.view().at.since(before.since);
    assert!(sidecar.stop().await);

    let sidecar = bench.sidecar(&setup).await;
    let after = of(&sidecar, name).expect("known from the start").alert;
    assert_eq!(after.state, AlertState::Pending);
    let now = sidecar.view().at.since(after.since);
    assert!(now >= held, "{now:?} of its hold time are over, it were {held:?}");
    assert_eq!(recorded(&sidecar, name).await, [], "it has not fired");
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn silences_are_made_and_ended_from_the_command_line() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&stuck(&bench, "[settings.pool_exhausted]\nhold_ms = 0\n")).await;
    let _load = bench.load(12).await;
    firing(&bench, &sidecar, "pool-exhausted").await;
    let url = sidecar.url();
    let run = async |words: &'static [&'static str]| -> Ran {
        let url = url.clone();
        tokio::task::spawn_blocking(move || ask(&url, words)).await.expect("no panic")
    };
    let added = run(&[
        "silence",
        "add",
        "--alert",
        "pool-*",
        "--label",
        "team=shop",
        "--for",
        "2h",
        "--comment",
        "a migration",
        "--author",
        "ada",
        "--output",
        "json",
    ])
    .await;
    assert_eq!(added.code, Some(0), "{}", added.text);
    let added: Value = serde_json::from_str(&added.text).expect("JSON");
    assert_eq!(added["alerts"], 1, "{added}");
    let id: &'static str = Box::leak(added["id"].as_str().expect("an id").to_owned().into());
    let list = run(&["silence", "list"]).await.text;
    assert!(list.contains(id) && list.contains("alert=pool-* team=shop"), "{list}");
    let alerts = run(&["alerts"]).await.text;
    for part in ["firing (silenced)", "a migration", "docs/runbooks/pool-exhausted.md"] {
        assert!(alerts.contains(part), "{part} is missing in {alerts}");
    }
    let wrong = run(&["silence", "add", "--for", "2h", "--comment", "x", "--author", "ada"]).await;
    assert_eq!(wrong.code, Some(1), "{}", wrong.text);
    assert!(wrong.text.contains("no matcher is given"), "{}", wrong.text);
    let words: &'static [&'static str] = Box::leak(Box::new(["silence", "remove", id]));
    assert_eq!(run(words).await.code, Some(0));
    assert!(run(words).await.text.contains("no silence"), "twice");
    assert!(run(&["silence", "list"]).await.text.starts_with("no silences"));
    assert!(sidecar.firing("pool-exhausted").is_some_and(|alert| alert.is_heard()));
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn a_pool_that_postgresql_does_not_let_grow_is_told_with_what_is_seen_of_it() {
    let options = SandboxOptions { default_pool_size: 5, ..SandboxOptions::default() };
    let bench = Bench::start(options).await;
    let limited = "alter role app connection limit 2";
    bench.sandbox.postgres().query("postgres", limited).await.expect("altered");
    let mut setup = bench.setup();
    setup.target().mode = "observe";
    setup.target().database = bench.database();
    setup.alerts =
        "[settings.server_logins_failing]\nwaiting_min_ms = 1000\nhold_ms = 300\n".to_owned();
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    // It is served, slowly: neither exhausted nor wedged, and no mean shows it.
    let alert = firing(&bench, &sidecar, "server-logins-failing").await;
    let Some(Proposal::Alert { summary, .. }) = &alert.proposal else { panic!("{alert:?}") };
    assert!(summary.contains("has 2 of 5 servers"), "{summary}");
    assert!(summary.contains("connections in use."), "{summary}");
    for other in ["wedged-queue", "pool-exhausted", "database-trouble"] {
        assert!(sidecar.firing(other).is_none(), "{other}");
    }
    load.stop().await.expect("stopped");
    bench
        .until("it is over", seconds(10), async || {
            sidecar.firing("server-logins-failing").is_none().then_some(())
        })
        .await;
    assert!(sidecar.stop().await);
}
