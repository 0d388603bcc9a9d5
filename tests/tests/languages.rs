//! One decision in four languages: the examples answer the same, to the last bit.
//!
//! What is compared is what the sidecar reads of the answers: proposals with their texts and
//! floats, and the bytes that each remembers.

use std::sync::Arc;
use std::time::Duration;

use poolwarden::config::PluginLimits;
use poolwarden::evaluate::{PolicyResult, PolicyStatus, Replayed, replay};
use poolwarden::model::{PoolKey, Proposal, ScopeKey, Subject, Window};
use poolwarden_tests::plugins::{
    Folder, Recorded, Seeded, answered, awkward_window, example, limits, result_of, runtime, window,
};

const LANGUAGES: [&str; 4] = ["rust", "javascript", "python", "c"];

/// What interpreters need on a machine that is busy with other things.
fn roomy() -> PluginLimits {
    PluginLimits { memory_bytes: 128 << 20, deadline: Duration::from_secs(5), ..limits() }
}

/// All four, each with these settings.
fn four(settings: &str) -> Folder {
    let folder = Folder::with_limits(roomy());
    for language in LANGUAGES {
        folder.put(&format!("{language}.wasm"), example(language));
        folder.put(&format!("{language}.toml"), format!("[settings]\n{settings}"));
    }
    folder.scan();
    for language in LANGUAGES {
        assert_eq!(folder.status(language).problem, None, "{language}");
    }
    folder
}

/// Checks that all four answered like the first, and gives what that was.
fn same(results: &[PolicyResult], case: &str) -> (Vec<Proposal>, String) {
    let first = answered(result_of(results, LANGUAGES[0]));
    let memory = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("memory is JSON");
    for language in LANGUAGES {
        let other = answered(result_of(results, language));
        assert_eq!(other.proposals, first.proposals, "{case}: {language}");
        assert_eq!(memory(&other.memory), memory(&first.memory), "{case}: {language}");
    }
    (first.proposals.clone(), memory(&first.memory))
}

#[test]
fn four_languages_decide_the_same_on_awkward_windows() {
    let folder = four("waiting_min = 40\nheadroom = 1.37\n");
    let (mut seed, mut proposals) = (Seeded::new(11), 0);
    for round in 0..30 {
        let results = folder.tick(awkward_window(round % 13, &mut seed));
        proposals += same(&results, &format!("round {round}")).0.len();
    }
    assert!(proposals > 100, "only {proposals} proposals were compared");
}

#[test]
fn four_languages_decide_the_same_about_several_scopes_and_remember_it() {
    let folder = four("");
    let mut last = String::new();
    for round in 1..=5_u32 {
        let (proposals, memory) = same(&folder.tick(two_scopes()), "two scopes");
        let sizes: Vec<_> = proposals.iter().filter_map(size_of).collect();
        assert_eq!(sizes, ["default: 32", "database:billing: pool_size=9"]);
        assert!(memory.starts_with(&format!("{{\"rounds\":{round},")), "{memory}");
        last = memory;
    }
    assert_eq!(last, r#"{"rounds":5,"since_ms":1700000000123}"#);
    let (proposals, memory) = same(&folder.tick(window(3)), "a calm window");
    assert_eq!((proposals.len(), memory.as_str()), (0, r#"{"rounds":0,"since_ms":0}"#));
}

#[test]
fn every_language_is_replayed_to_the_last_bit() {
    let folder = four("waiting_min = 40\n");
    let mut seed = Seeded::new(3);
    for _ in 0..4 {
        for result in &folder.tick(awkward_window(7, &mut seed)) {
            let came = replay(&runtime(), Recorded::of(result).as_replay(&roomy()));
            assert_eq!(came.expect("it runs"), Replayed::Identical, "{}", result.policy.name());
        }
    }
}

#[test]
fn four_languages_describe_themselves_alike() {
    let folder = four("");
    let first = folder.status("rust");
    for language in LANGUAGES {
        let status = folder.status(language);
        assert_eq!(status.plugin_version, first.plugin_version);
        assert_eq!(status.purpose, first.purpose);
        for name in ["waiting_min", "waiting_ms", "headroom"] {
            let setting =
                |status: &PolicyStatus| status.settings_schema["properties"][name].clone();
            let (one, other) = (setting(&status), setting(&first));
            assert_eq!(one["description"], other["description"], "{language}: {name}");
            assert_eq!(one["default"], other["default"], "{language}: {name}");
        }
    }
}

/// Two pools that queue, one whose size can be changed and one whose can only be recommended.
fn two_scopes() -> Window {
    let mut window = window(3);
    window.pool_keys[1] = PoolKey::new("billing", "app");
    window.scope_keys.push(ScopeKey::Database(Arc::from("billing")));
    let scopes = &mut window.scopes;
    (scopes.kind, scopes.size) = (vec![0, 1], vec![20, 4]);
    (scopes.actionable, scopes.pools) = (vec![1, 0], vec![2, 1]);
    (scopes.min_size, scopes.reserve) = (vec![0, 1], vec![2, 3]);
    (scopes.change, scopes.change_age_ms) = (vec![0, 2], vec![0, 61_000]);
    (scopes.change_from, scopes.change_to) = (vec![0, 3], vec![0, 4]);
    (scopes.floor, scopes.ceiling) = (vec![1, 1], vec![100, 100]);
    let pools = &mut window.pools;
    pools.scope = vec![0, 1, 0];
    pools.cl_waiting = vec![7, 5, 6];
    pools.cl_active = vec![3, 0, 4];
    pools.waiting_for_ms = vec![1_000, 2_500, 999_999];
    pools.maxwait_us = vec![1_234_567, 61_001_999, 999];
    pools.demand = vec![28.3, 7.3, 0.1];
    window
}

fn size_of(proposal: &Proposal) -> Option<String> {
    match proposal {
        Proposal::Resize { setting, size, .. } => Some(format!("{setting}: {size}")),
        Proposal::Recommendation { action, subject: Subject::Scope(scope), .. } => {
            Some(format!("{scope}: {action}"))
        }
        _ => None,
    }
}
