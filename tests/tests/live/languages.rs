//! The example policy in four languages, dropped into one running sidecar, side by side.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use poolwarden::control::AlertView;
use poolwarden::model::Proposal;
use poolwarden_tests::plugins::{example, variant};
use poolwarden_tests::{Bench, Sidecar, seconds};

const LANGUAGES: [&str; 4] = ["rust", "javascript", "python", "c"];
/// A machine that is busy with other things shall not decide this.
const FILE: &str = "[limits]\ndeadline_ms = 5000\n[settings]\nwaiting_min = 1\nwaiting_ms = 0\n";

/// Replaces a plugin at once, as `poolwarden policy build` does.
fn put(policies: &Path, name: &str, plugin: &[u8]) {
    let partial = policies.join(format!(".{name}.tmp"));
    fs::write(&partial, plugin).expect("written");
    fs::rename(&partial, policies.join(format!("{name}.wasm"))).expect("renamed");
}

/// The firing alerts about the queue, by policy.
fn firing(sidecar: &Sidecar) -> BTreeMap<String, AlertView> {
    let alerts = sidecar.target().alerts;
    let queue = alerts.iter().filter(|one| one.alert.key.name == "queue" && one.is_firing());
    queue.map(|one| (one.alert.key.policy.to_string(), one.clone())).collect()
}

async fn serves(sidecar: &Sidecar, name: &str) -> Option<(String, u64)> {
    let list = sidecar.json("/v1/policies").await;
    let policy = list["policies"].as_array()?.iter().find(|one| one["name"] == name)?.clone();
    assert_eq!((&policy["problem"], &policy["faults"]), (&serde_json::Value::Null, &0.into()));
    Some((policy["plugin_digest"].as_str()?.to_owned(), policy["evaluations"].as_u64()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn four_languages_are_taken_over_while_running_and_fire_on_the_same_queue() {
    let bench = Bench::start(poolwarden::sandbox::SandboxOptions {
        default_pool_size: 2,
        ..poolwarden::sandbox::SandboxOptions::default()
    })
    .await;
    let mut setup = bench.setup();
    setup.target().mode = "observe";
    let sidecar = bench.sidecar(&setup).await;
    let policies = setup.dir.join("policies");
    let _load = bench.load(12).await;
    for language in LANGUAGES {
        fs::write(policies.join(format!("{language}.toml")), FILE).expect("written");
        put(&policies, language, &example(language));
    }
    let alerts = bench
        .until("all four fire", seconds(180), async || {
            let firing = firing(&sidecar);
            (firing.len() == LANGUAGES.len()).then_some(firing)
        })
        .await;
    let first = &alerts["rust"];
    for (language, alert) in &alerts {
        assert_eq!(alert.alert.key.subject, first.alert.key.subject, "{language}");
        let Some(Proposal::Alert { labels, runbook, .. }) = &alert.proposal else {
            panic!("{language}: {:?}", alert.proposal)
        };
        assert_eq!(labels, &[("pool_mode".to_owned(), "transaction".to_owned())], "{language}");
        assert_eq!(runbook, "https://example.com/runbooks/queue");
    }

    // An interpreter takes seconds to compile: the version before it decides meanwhile.
    let (old, before) = serves(&sidecar, "python").await.expect("it serves");
    put(&policies, "python", &variant(&example("python"), 1));
    let (mut asked, mut while_old) = (before, 0);
    bench
        .until("the new version serves", seconds(180), async || {
            let (digest, evaluations) = serves(&sidecar, "python").await?;
            while_old += u64::from(digest == old && evaluations > asked);
            asked = evaluations;
            (digest != old).then_some(())
        })
        .await;
    assert!(while_old > 0, "the old version was asked while the new one was compiled");
    bench
        .until("the new version is asked", seconds(20), async || {
            (serves(&sidecar, "python").await?.1 > asked).then_some(())
        })
        .await;
    let still = firing(&sidecar);
    assert_eq!(still["python"].alert.state, alerts["python"].alert.state, "the same alert");
}
