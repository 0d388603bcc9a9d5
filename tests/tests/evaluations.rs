//! What an evaluation is given, what it keeps, and that it can be run again to the last bit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use poolwarden::config::PluginLimits;
use poolwarden::evaluate::{Input, Part, PolicyResult, Replay, Replayed, Round, replay};
use poolwarden::model::{Past, PastSpan, PoolKey, Proposal, Subject, Timestamp, Window};
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

/// A week of that many pools: office hours with noise, and a few pools that are too small.
fn week(span: PastSpan, pools: usize, until: Timestamp) -> Past {
    let mut noise = Seeded::new(3);
    let from = until.minus(span.step * (span.steps - 1));
    let mut past = Past { from, step: span.step, steps: span.steps, ..Past::default() };
    for pool in 0..pools {
        for step in 0..span.steps {
            let working = (48..110).contains(&(step % 144));
            let busy = if working { 8 + noise.below(9) } else { 1 + noise.below(3) };
            let waiting = if pool % 20 == 0 && working { noise.below(4) } else { 0 };
            past.samples.push(600);
            past.clients_max.push(busy + noise.below(40));
            past.waiting_max.push(waiting);
            past.waiting_mean.push(f64::from(waiting) / 7.0);
            past.busy_max.push(busy);
            past.busy_mean.push(f64::from(busy * 800 + noise.below(100)) / 1_000.0);
            past.servers_max.push(busy + 1);
            past.size.push(20);
            past.wait_max_us.push(u64::from(waiting) * 150_000);
            past.transactions.push(u64::from(busy) * 40_000 + u64::from(noise.below(9_999)));
            past.transaction_mean_us.push(f64::from(9_000 + noise.below(3_000)));
            past.wait_mean_us.push(f64::from(waiting) * 9_000.0);
        }
    }
    past
}

fn look_back(folder: &Folder, pools: usize) -> Vec<PolicyResult> {
    let mut window = window(pools);
    window.pools.mode.fill(1);
    let until = window.at;
    let set = folder.registry().serving();
    let parts = set.evaluate_round(Round {
        target: &target(),
        window,
        memories: &Default::default(),
        due: &|_| true,
        past: &|span, keys| Some(week(span, keys.len(), until)),
    });
    parts.into_iter().filter_map(Part::result).collect()
}

fn with_shipped_files(plugins: &[&str]) -> Folder {
    let folder = Folder::default();
    for plugin in plugins {
        folder.put(&format!("{plugin}.wasm"), shipped(plugin));
        let file = format!("{}/../policies/{plugin}.toml", env!("CARGO_MANIFEST_DIR"));
        folder.put(&format!("{plugin}.toml"), std::fs::read(file).expect("it is shipped"));
    }
    folder.scan();
    folder
}

#[test]
fn answers_on_a_past_are_replayed_to_the_last_bit() {
    let folder = with_shipped_files(&["advisor", "forecast"]);
    let results = look_back(&folder, 20);
    assert_eq!(results.len(), 2);
    for result in &results {
        let name = result.policy.name();
        assert!(!answered(result).proposals.is_empty(), "{name} says nothing");
        let record = Recorded::of(result);
        let long = Duration::from_secs(10);
        let limits = PluginLimits { deadline: long, memory_bytes: 128 << 20, ..limits() };
        let came = replay(&runtime(), record.as_replay(&limits)).expect("it runs");
        assert_eq!(came, Replayed::Identical, "{name}");
    }
}

#[test]
fn a_policy_that_is_not_due_is_not_asked_and_a_narrow_one_sees_its_own_past() {
    let folder = Folder::default();
    folder.put("advisor.wasm", shipped("advisor"));
    folder.put("advisor.toml", "[scope]\ndatabases = [\"db1\"]\n[limits]\nmemory_mib = 128\n");
    folder.put("counter.wasm", fixture("counter"));
    folder.scan();
    let window = window(3);
    let (until, set) = (window.at, folder.registry().serving());
    let parts = set.evaluate_round(Round {
        target: &target(),
        window,
        memories: &Default::default(),
        due: &|policy| policy.name().as_str() == "advisor",
        past: &|span, keys| Some(week(span, keys.len(), until)),
    });
    let waits: Vec<_> = parts.iter().map(|part| matches!(part, Part::Waits(_))).collect();
    assert_eq!(waits, [false, true], "advisor, counter");
    let results: Vec<PolicyResult> = parts.into_iter().filter_map(Part::result).collect();
    answered(&results[0]);
    let input = results[0].input.to_json().expect("JSON");
    let input: serde_json::Value = serde_json::from_slice(&input).expect("JSON");
    let rows = input.pointer("/window/past/samples").and_then(|column| column.as_array());
    assert_eq!(rows.map(Vec::len), Some(1_008), "one pool of three");
}

/// For `BENCHMARKS.md`: `cargo test -p poolwarden-tests --test evaluations costs -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_a_week_of_many_pools_costs() {
    let folder = with_shipped_files(&["advisor", "forecast"]);
    for pools in [100, 495] {
        for _ in 0..3 {
            for result in look_back(&folder, pools) {
                let begin = Instant::now();
                let bytes = result.input.to_json().expect("JSON").len();
                let (name, took) = (result.policy.name(), result.took);
                let count = answered(&result).proposals.len();
                println!(
                    "{pools} pools {name}: {took:?}, {count} proposals, {bytes} B of input, {:?}",
                    begin.elapsed()
                );
            }
        }
    }
}
