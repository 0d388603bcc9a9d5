//! Several policies on one pool: one is heard, the others are superseded or only shadow.

use std::fs;

use poolwarden::model::{Decision, Mode, Outcome, Rule, Status};
use poolwarden_tests::{Bench, Setup, Sidecar, came_into_force, seconds};

/// Adds a policy that uses the sizing plugin, with its own file.
fn add(setup: &Setup, name: &str, text: &str) {
    let file = setup.dir.join("policies").join(format!("{name}.toml"));
    fs::create_dir_all(file.parent().expect("it is in a folder")).expect("made");
    fs::write(file, format!("plugin = \"autosize.wasm\"\n{text}")).expect("written");
}

async fn of(sidecar: &Sidecar, policy: &str) -> Vec<Decision> {
    let mut all = sidecar.decisions().await;
    all.retain(|decision| decision.policy.as_str() == policy);
    all
}

#[tokio::test]
async fn of_two_that_size_a_pool_one_is_heard_and_the_other_superseded() {
    let bench = Bench::small().await;
    let setup = bench.setup();
    // Wants many servers for the same demand, and goes second.
    add(&setup, "generous", "mode = \"enforce\"\npriority = -1\n[settings]\nmin_headroom = 9\n");
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(8).await;
    let superseded = bench
        .until("the second is superseded", seconds(20), async || {
            let mut all = of(&sidecar, "generous").await;
            all.retain(|one| one.status == Status::Superseded);
            all.pop()
        })
        .await;
    let verdict = superseded.verdict.as_ref().expect("a resize has a verdict");
    assert_eq!(verdict.only_refusal(), Some(Rule::Priority));
    let word = verdict.rules.iter().find(|said| said.rule == Rule::Priority).expect("it spoke");
    assert!(word.reason.contains("autosize (priority 0) asks for"), "{}", word.reason);
    let changed = sidecar.changes().await;
    assert!(!changed.is_empty(), "the first has acted");
    let acted = changed.iter().filter(|one| came_into_force(one));
    for one in acted.filter(|one| one.policy.as_str() == "generous") {
        // Only while the first asked for nothing at all.
        let rivals = of(&sidecar, "autosize").await;
        let same_moment = rivals.iter().any(|rival| rival.at == one.at);
        assert!(!same_moment, "{one:?} acted against the first");
    }
}

#[tokio::test]
async fn a_shadow_twin_stands_beside_the_real_one_and_changes_nothing() {
    let bench = Bench::small().await;
    let setup = bench.setup();
    add(
        &setup,
        "same",
        "shadow_of = \"autosize\"\n[settings]\nshrink_after_ms = 1000\nshrink_step_percent = 60\n",
    );
    add(
        &setup,
        "generous",
        "shadow_of = \"autosize\"\npriority = 50\n[settings]\ntarget_utilization = 0.3\n",
    );
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(8).await;
    let target = bench
        .until("both were compared", seconds(20), async || {
            let target = sidecar.target();
            let compared =
                target.shadows.iter().filter(|twin| twin.compared >= 1 && twin.rounds >= 5).count();
            (compared == 2).then_some(target)
        })
        .await;
    let twin = |name: &str| {
        let found = target.shadows.iter().find(|twin| twin.policy.as_str() == name);
        found.expect("it is compared").clone()
    };
    let (same, generous) = (twin("same"), twin("generous"));
    assert_eq!(same.agreed, same.compared, "the same plugin, settings and windows: {same:?}");
    assert!(generous.agreed < generous.compared, "{generous:?}");
    assert!(!generous.differences.is_empty(), "{generous:?}");
    let recorded = of(&sidecar, "generous").await;
    assert!(!recorded.is_empty(), "what it would have done stands in the store");
    for one in recorded {
        assert_eq!((one.mode, one.status), (Mode::Observe, Status::Proposed));
        let outcome = one.verdict.expect("the guard had its word").outcome;
        assert!(matches!(outcome, Outcome::Shadowed | Outcome::Rejected), "{outcome:?}");
    }
    assert!(sidecar.changes().await.iter().all(|one| one.policy.as_str() == "autosize"));
}
