//! A rule in CEL, dropped into the policies folder of a running sidecar, tells of a real queue, and
//! a wrong one is told by name.

use std::fs;
use std::path::Path;

use poolwarden::model::{PolicyName, Proposal};
use poolwarden_tests::plugins::shipped;
use poolwarden_tests::process::run;
use poolwarden_tests::{Bench, seconds};

const RULE: &str = r#"plugin = "rules.wasm"
[[settings.rules]]
name = "queue-here"
when = "pool.database == 'app' && pool.waiting > 4 && pool.utilization > 0.9"
severity = "critical"
message = "{{pool.waiting}} clients wait for {{pool.size}} servers."
"#;

/// Puts a file there at once, as a careful person does.
fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let partial = folder.join(format!(".{name}.tmp"));
    fs::write(&partial, bytes).expect("written");
    fs::rename(&partial, folder.join(name)).expect("renamed");
}

#[tokio::test]
async fn a_rule_dropped_into_the_folder_fires_and_resolves() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    // It cannot grow, so that the queue lasts.
    setup.target().limit("ceiling", 3);
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    bench.until("the pool is full", seconds(10), async || sidecar.firing("pool-exhausted")).await;

    let policies = setup.dir.join("policies");
    put(&policies, "rules.wasm", shipped("rules"));
    put(&policies, "rules.toml", RULE);
    let told =
        bench.until("the rule fires", seconds(15), async || sidecar.firing("queue-here")).await;
    assert_eq!(told.alert.key.policy, PolicyName::new("rules").expect("a name"));
    let Some(Proposal::Alert { summary, evidence, .. }) = &told.proposal else {
        panic!("{told:?}")
    };
    assert!(summary.ends_with(" clients wait for 3 servers."), "{summary}");
    let waiting = evidence.iter().find(|one| one.name == "pool.waiting").expect("mentioned");
    assert!(waiting.value > 4.0, "{evidence:?}");

    drop(load);
    bench
        .until("the rule resolves", seconds(15), async || {
            sidecar.firing("queue-here").is_none().then_some(())
        })
        .await;
}

#[tokio::test]
async fn check_says_what_is_wrong_with_a_rule() {
    let bench = Bench::small().await;
    let setup = bench.setup();
    setup.write();
    let policies = setup.dir.join("policies");
    put(&policies, "rules.wasm", shipped("rules"));
    put(&policies, "rules.toml", RULE.replace("utilization", "utilisation"));
    let ran = run(&setup, &["check"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    for part in [
        "rules.toml: ",
        "rule \"queue-here\": when: column 52: expected a field of pool, found `utilisation`",
        "the nearest is pool.utilization",
    ] {
        assert!(ran.text.contains(part), "no {part:?}: {}", ran.text);
    }
}
