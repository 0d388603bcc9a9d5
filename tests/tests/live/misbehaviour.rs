//! Every plugin that misbehaves, all in one sidecar: each is found out, named, counted and put into
//! quarantine, and the policies beside them are asked at every tick.

use std::fs;
use std::path::Path;

use poolwarden::sandbox::{DatabaseOptions, Load, LoadOptions, SandboxOptions};
use poolwarden_tests::plugins::fixture;
use poolwarden_tests::{Bench, Sidecar, seconds};
use serde_json::Value;

/// A guest that serves until there are pools: its policy's name, its plugin, its file, and the kind
/// and the words of its fault.
struct Guest {
    policy: &'static str,
    plugin: &'static str,
    file: &'static str,
    kind: &'static str,
    says: &'static str,
}

const fn guest(
    policy: &'static str,
    plugin: &'static str,
    file: &'static str,
    kind: &'static str,
    says: &'static str,
) -> Guest {
    Guest { policy, plugin, file, kind, says }
}

const WHEN: &str = "[settings]\nwhen = \"with-pools\"\n";
/// The same with a deadline that a busy machine keeps, where another fault is waited for.
const PATIENT: &str = "[limits]\ndeadline_ms = 10000\n[settings]\nwhen = \"with-pools\"\n";
/// The same with little memory, which is soon asked for.
const SMALL: &str =
    "[limits]\nmemory_mib = 8\ndeadline_ms = 10000\n[settings]\nwhen = \"with-pools\"\n";

const FOUND_OUT_WHILE_SERVING: [Guest; 11] = [
    guest("loops", "loops", WHEN, "deadline", "took longer than 50 ms"),
    guest("recurses", "overflows-stack", PATIENT, "stack", "overflowed its stack"),
    guest("allocates", "eats-memory", SMALL, "memory", "asked for more memory"),
    guest("traps", "traps", PATIENT, "trap", "unreachable"),
    guest("errs", "errs", PATIENT, "refused", "this guest always returns an error"),
    guest(
        "forges-a-pool",
        "answers-nonsense",
        "[limits]\ndeadline_ms = 10000\n[settings]\nwhat = \"unknown-pool\"\nwhen = \"with-pools\"\n",
        "nonsense",
        "pool 4294967295 is not in the window",
    ),
    guest(
        "forges-beyond-its-scope",
        "answers-nonsense",
        "[limits]\ndeadline_ms = 10000\n[scope]\ndatabases = [\"app\"]\n\
         [settings]\nwhat = \"pool-beyond-scope\"\nwhen = \"with-pools\"\n",
        "nonsense",
        "pool 1 is not in the window",
    ),
    guest(
        "forges-a-scope",
        "answers-nonsense",
        "[limits]\ndeadline_ms = 10000\n[settings]\nwhat = \"unknown-scope\"\nwhen = \"with-pools\"\n",
        "nonsense",
        "scope 4294967295 is not in the window",
    ),
    guest(
        "answers-nan",
        "answers-nonsense",
        "[limits]\ndeadline_ms = 10000\n[settings]\nwhat = \"nan-evidence\"\nwhen = \"with-pools\"\n",
        "nonsense",
        "evidence \"nan\" is not a finite number",
    ),
    guest(
        "answers-a-million",
        "answers-too-much",
        "[limits]\nmemory_mib = 512\ndeadline_ms = 10000\n[settings]\nwhen = \"with-pools\"\n",
        "too_much",
        "answered with too much",
    ),
    guest(
        "remembers-too-much",
        "remembers-too-much",
        "[limits]\ndeadline_ms = 10000\n[settings]\nbytes = 70000\nwhen = \"with-pools\"\n",
        "too_much",
        "65536 are allowed",
    ),
];

/// Guests that never serve, with what is said of them.
const FOUND_OUT_AT_THE_DOOR: [(&str, &str); 4] = [
    ("imports-forbidden", "imports \"acme:net/http"),
    ("future-contract", "is built for contract 2.0.0"),
    ("loops-in-describe", "took longer than"),
    ("traps", "the dry run on an empty window trapped"),
];

const GOOD: [&str; 3] = ["autosize", "counter", "pool-alerts"];

fn put(policies: &Path, name: &str, plugin: &str, file: &str) {
    fs::write(policies.join(format!("{name}.wasm")), fixture(plugin)).expect("written");
    fs::write(policies.join(format!("{name}.toml")), file).expect("written");
}

async fn policy(sidecar: &Sidecar, name: &str) -> Value {
    let list = sidecar.json("/v1/policies").await;
    let mut policies = list["policies"].as_array().into_iter().flatten();
    let found = policies.find(|policy| policy["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}")).clone()
}

async fn metric(sidecar: &Sidecar, series: &str) -> u64 {
    let (_, text) = sidecar.http("GET", "/metrics", "").await;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Polls that were seen.
async fn polls(sidecar: &Sidecar) -> u64 {
    metric(sidecar, "poolwarden_poll_seconds_count{target=\"main\",command=\"pools\"}").await
}

/// Ticks that came to an end, and evaluations of each good policy.
async fn counts(sidecar: &Sidecar) -> (u64, Vec<u64>) {
    let ticks = "poolwarden_tick_seconds_count{target=\"main\"}";
    let mut evaluations = Vec::new();
    for name in GOOD {
        let labels = format!("{{target=\"main\",policy=\"{name}\"}}");
        let series = format!("poolwarden_policy_evaluation_seconds_count{labels}");
        evaluations.push(metric(sidecar, &series).await);
    }
    (metric(sidecar, ticks).await, evaluations)
}

/// Waits for a moment between two ticks, at which all counts agree.
async fn in_step(bench: &Bench, sidecar: &Sidecar) -> u64 {
    bench
        .until("every good policy was asked at every tick", seconds(30), async || {
            let (before, evaluations) = counts(sidecar).await;
            let (after, _) = counts(sidecar).await;
            let agree = evaluations.iter().all(|count| *count == before);
            (before > 0 && before == after && agree).then_some(before)
        })
        .await
}

#[tokio::test]
async fn misbehaving_plugins_are_found_out_and_cost_the_others_no_tick() {
    let bench = Bench::start(SandboxOptions {
        databases: vec![DatabaseOptions::inherited("app"), DatabaseOptions::inherited("other")],
        ..SandboxOptions::default()
    })
    .await;
    let setup = bench.setup();
    setup.write();
    let policies = setup.dir.join("policies");
    fs::write(policies.join("counter.wasm"), fixture("counter")).expect("written");
    for one in &FOUND_OUT_WHILE_SERVING {
        put(&policies, one.policy, one.plugin, one.file);
    }
    for (plugin, _) in FOUND_OUT_AT_THE_DOOR {
        put(&policies, &format!("door-{plugin}"), plugin, "mode = \"observe\"\n");
    }
    // Two pools, so that there is one beyond a scope of one database.
    let other =
        LoadOptions { clients: 1, database: Some("other".to_owned()), ..LoadOptions::default() };
    let _other = Load::start(&bench.sandbox, other).await.expect("started");
    let _load = bench.load(2).await;
    let sidecar = bench.sidecar(&setup).await;

    for one in &FOUND_OUT_WHILE_SERVING {
        let name = one.policy;
        let found = bench
            .until(&format!("{name} is quarantined"), seconds(60), async || {
                Some(policy(&sidecar, name).await).filter(|it| it["state"] == "quarantined")
            })
            .await;
        assert_eq!((&found["faults"], &found["last_fault_kind"]), (&3.into(), &one.kind.into()));
        for key in ["last_fault", "problem"] {
            let said = found[key].as_str().unwrap_or_default();
            assert!(said.contains(one.says), "{name}: {key}: {said}");
        }
        let series = format!(
            "poolwarden_policy_faults_total{{target=\"main\",policy=\"{name}\",kind=\"{}\"}}",
            one.kind
        );
        assert_eq!(metric(&sidecar, &series).await, 3, "{series}");
        let series = format!("poolwarden_policy_state{{policy=\"{name}\",state=\"quarantined\"}}");
        assert_eq!(metric(&sidecar, &series).await, 1, "{series}");
    }
    for (plugin, says) in FOUND_OUT_AT_THE_DOOR {
        let found = policy(&sidecar, &format!("door-{plugin}")).await;
        let said = found["problem"].as_str().unwrap_or_default();
        assert_eq!(found["state"], "broken", "{found}");
        assert!(said.contains(says), "{plugin}: {said}");
        assert_eq!(found["evaluations"], 0, "{plugin} was asked");
    }

    // Since the start, bad ticks included, and then for twenty more.
    let ticks = in_step(&bench, &sidecar).await;
    let polled = polls(&sidecar).await;
    println!("{polled} polls, {ticks} ticks until all are in quarantine");
    assert!(ticks >= 3, "the guests were asked three times each");
    // What a poll brings while the policies are asked is asked about at the end: three ticks took as
    // long as all guests together may.
    assert!(polled <= ticks + 15, "{polled} polls, {ticks} ticks");
    bench
        .until("there are twenty more ticks", seconds(60), async || {
            (counts(&sidecar).await.0 >= ticks + 20).then_some(())
        })
        .await;
    let more = in_step(&bench, &sidecar).await - ticks;
    let polled = polls(&sidecar).await - polled;
    assert!(polled <= more + 2, "{polled} polls, {more} ticks");
    for name in GOOD {
        let good = policy(&sidecar, name).await;
        assert_eq!((&good["state"], &good["faults"]), (&"serving".into(), &0.into()), "{name}");
    }
    assert!(sidecar.stop().await);
}
