//! What an evaluation is given, what it keeps, and that it can be run again to the last bit.

use std::sync::Arc;

use poolwarden::evaluate::{Input, Replay, Replayed, replay};
use poolwarden::model::{PoolKey, Proposal, Subject, Window};
use poolwarden_tests::plugins::{
    Folder, Recorded, Seeded, answered, awkward_window, evidence, fixture, hostile_names, limits,
    result_of, runtime, shipped, target, window,
};

/// A window in which somebody waits everywhere.
fn in_trouble(pools: usize) -> Window {
    let mut window = window(pools);
    window.pools.condition.fill(2);
    window.pools.cl_waiting.fill(400);
    window.pools.maxwait_us.fill(30_000_000);
    window.pools.waiting_for_ms.fill(60_000);
    window.pools.full_for_ms.fill(60_000);
    window.pools.observed_for_ms.fill(3_600_000);
    window.pools.sv_active.fill(20);
    window.pools.utilization.fill(1.0);
    window
}

#[test]
fn the_worst_hour_of_many_pools_is_told_and_no_fault() {
    let folder = Folder::default();
    for plugin in ["autosize", "pool-alerts"] {
        folder.put(&format!("{plugin}.wasm"), shipped(plugin));
    }
    folder.scan();
    for pools in [20, 400, 10_000] {
        let results = folder.tick(in_trouble(pools));
        answered(result_of(&results, "autosize"));
        let alerts = &answered(result_of(&results, "pool-alerts")).proposals;
        let tells_of_all =
            |one: &Proposal| matches!(one, Proposal::Alert { name, .. } if name == "many-pools");
        assert_eq!(alerts.iter().any(tells_of_all), pools > 20, "{pools} pools");
    }
}

#[test]
fn many_pools_and_hostile_names_are_an_ordinary_window() {
    let folder = Folder::default();
    for plugin in ["autosize", "pool-alerts"] {
        folder.put(&format!("{plugin}.wasm"), shipped(plugin));
    }
    folder.put("counter.wasm", fixture("counter"));
    folder.scan();
    let results = folder.tick(window(10_000));
    assert_eq!(evidence(result_of(&results, "counter"), "pools"), 10_000.0);
    for result in &results {
        answered(result);
    }
    let mut odd = in_trouble(hostile_names().len());
    for (key, name) in odd.pool_keys.iter_mut().zip(hostile_names()) {
        *key = PoolKey::new(&name, &name);
    }
    let keys = odd.pool_keys.clone();
    let results = folder.tick(odd);
    let alerts = &answered(result_of(&results, "pool-alerts")).proposals;
    for key in keys {
        let pool = Subject::Pool(key);
        let of_pool =
            |one: &Proposal| matches!(one, Proposal::Alert { subject, .. } if *subject == pool);
        assert!(alerts.iter().any(of_pool), "nothing about {pool:?}");
    }
    for result in &results {
        assert_eq!(folder.replay(result).expect("it runs"), Replayed::Identical);
    }
}

#[test]
fn every_answer_is_replayed_to_the_last_bit() {
    let folder = Folder::default();
    for plugin in ["autosize", "pool-alerts"] {
        folder.put(&format!("{plugin}.wasm"), shipped(plugin));
    }
    folder.put("counter.wasm", fixture("counter"));
    folder.scan();
    let (runtime, mut seed, mut replayed) = (runtime(), Seeded::new(7), 0);
    for round in 0..40 {
        let results = folder.tick(awkward_window(round % 9, &mut seed));
        assert_eq!(results.len(), 3);
        for result in &results {
            let input = result.input.to_json().expect("JSON");
            let again = Input::from_json(&input).expect("what was written");
            assert_eq!(again.to_json().expect("JSON"), input);
            if let Err(fault) = &result.outcome {
                // Numbers near the end of a float's range may come to infinity in a plugin.
                assert_eq!(fault.kind(), "nonsense", "round {round}: {fault}");
                continue;
            }
            let record = Recorded::of(result);
            let came = replay(&runtime, record.as_replay(&limits())).expect("it runs");
            assert_eq!(came, Replayed::Identical, "round {round}, {}", result.policy.name());
            replayed += 1;
        }
    }
    assert!(replayed >= 80, "only {replayed} of 120 answered");
}

#[test]
fn a_replay_tells_what_differs_and_what_cannot_be_run() {
    let folder = Folder::with_counter();
    let results = folder.tick(window(2));
    let (record, runtime, limits) = (Recorded::of(&results[0]), runtime(), limits());
    let whole = record.as_replay(&limits);
    let other = Replay { memory: b"41", ..whole };
    let Replayed::Different { now } = replay(&runtime, other).expect("it runs") else {
        panic!("another memory gives another answer")
    };
    assert!(now.contains("evaluation 42."), "{now}");
    let other = Replay { input: b"{}", ..whole };
    let error = replay(&runtime, other).expect_err("no input");
    assert_eq!(error.to_string(), "the recorded input cannot be read");
    let other = Replay { plugin: b"\0asm", ..whole };
    let error = replay(&runtime, other).expect_err("no plugin");
    assert_eq!(error.to_string(), "the recorded plugin cannot be loaded");
    let other = Replay { settings: "7", ..whole };
    let error = replay(&runtime, other).expect_err("no settings");
    assert!(error.to_string().contains("settings do not fit"), "{error}");
}

#[test]
fn every_evaluation_is_a_fresh_instance() {
    let folder = Folder::with_counter();
    let set = folder.registry().serving();
    for _ in 0..3 {
        let results = set.evaluate(&target(), window(1), &Default::default());
        assert_eq!(evidence(&results[0], "count"), 1.0, "nothing is kept but the memory");
    }
    for count in 1..=3_u32 {
        assert_eq!(evidence(&folder.tick(window(1))[0], "count"), f64::from(count));
    }
}

#[test]
fn unreadable_memory_starts_anew() {
    let folder = Folder::with_counter();
    let set = folder.registry().serving();
    for garbage in [b"not json".as_slice(), b"\xff\xfe", b"-1", b"{}"] {
        let name = set.policies()[0].name().clone();
        let memories = [(name, Arc::from(garbage))].into();
        let results = set.evaluate(&target(), window(1), &memories);
        assert_eq!(evidence(&results[0], "count"), 1.0);
    }
}

#[test]
fn many_evaluations_at_once_wait_for_their_turn() {
    let folder = Folder::with_counter();
    let set = folder.registry().serving();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|_| {
                let set = &set;
                scope.spawn(move || {
                    for _ in 0..20 {
                        let results = set.evaluate(&target(), window(50), &Default::default());
                        answered(&results[0]);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no evaluation failed for want of room");
        }
    });
}

#[test]
fn a_policy_sees_only_the_databases_of_its_scope() {
    let folder = Folder::with_counter();
    folder.put("counter.toml", "[scope]\ndatabases = [\"db1*\"]\n");
    folder.put("elsewhere.toml", "plugin = \"counter.wasm\"\n[scope]\ntargets = [\"eu-*\"]\n");
    folder.scan();
    let results = folder.tick(window(20));
    assert_eq!(results.len(), 1, "the other covers other targets");
    assert_eq!(evidence(&results[0], "pools"), 11.0, "db1 and db10 to db19");
}

#[test]
fn policies_are_asked_in_the_order_of_their_priority() {
    let folder = Folder::default();
    folder.put("counter.wasm", fixture("counter"));
    for (name, priority) in [("a", -1), ("b", 5), ("c", 0), ("d", 5)] {
        let text = format!("plugin = \"counter.wasm\"\npriority = {priority}\n");
        folder.put(&format!("{name}.toml"), text);
    }
    folder.scan();
    assert_eq!(folder.serving(), ["b", "d", "c", "a"]);
}
