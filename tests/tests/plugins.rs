//! What a plugin may do wrong, and what the sidecar makes of it: a value, a count, and never more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use poolwarden::config::PluginLimits;
use poolwarden::evaluate::{Fault, Input, PolicyState, Replayed};
use poolwarden::model::Proposal;
use poolwarden_tests::plugins::{
    Folder, answered, evidence, fault, fixture, limits, result_of, summary, target, window,
};

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(5);
/// What is said of a guest that wants more than its memory.
const OUT_OF_MEMORY: &str = "asked for more memory than its 16777216 bytes (`memory_mib` under \
                             `[limits]` of the policy's file says how much)";
/// Lets a guest pass its dry run on an empty window, and misbehave as soon as there are pools.
const WITH_POOLS: &str = "settings = { when = \"with-pools\" }\n";

/// A folder with a counter and one guest that misbehaves once there are pools.
fn beside_counter(guest: &str) -> Folder {
    let folder = Folder::with_counter();
    folder.put(&format!("{guest}.wasm"), fixture(guest));
    folder.put(&format!("{guest}.toml"), WITH_POOLS);
    folder.scan();
    assert_eq!(folder.status(guest).problem, None);
    folder
}

/// Runs ticks until the guest is quarantined, and checks each.
fn faults_and_is_quarantined(guest: &str, kind: &'static str) {
    let folder = beside_counter(guest);
    for tick in 1..=3_u32 {
        let start = Instant::now();
        let results = folder.tick(window(3));
        assert!(start.elapsed() < limits().deadline + SLACK, "{:?}", start.elapsed());
        assert_eq!(fault(result_of(&results, guest)).kind(), kind);
        assert_eq!(evidence(result_of(&results, "counter"), "count"), f64::from(tick));
        let status = folder.status(guest);
        assert_eq!((status.faults, status.last_fault_kind), (u64::from(tick), Some(kind)));
        let expected = if tick < 3 { PolicyState::Serving } else { PolicyState::Quarantined };
        assert_eq!(status.state, expected, "{status:?}");
    }
    let said = folder.problem(guest);
    assert!(said.starts_with("quarantined after faults in a row: the plugin "), "{said}");
    assert_eq!(folder.serving(), ["counter"]);
    folder.scan();
    assert_eq!(folder.serving(), ["counter"], "an unchanged file stays in quarantine");
    assert_eq!(evidence(result_of(&folder.tick(window(3)), "counter"), "count"), 4.0);
}

#[test]
fn a_loop_ends_at_its_deadline_and_in_quarantine() {
    faults_and_is_quarantined("loops", "deadline");
}

#[test]
fn a_memory_bomb_is_stopped_at_its_limit_and_quarantined() {
    faults_and_is_quarantined("eats-memory", "memory");
}

#[test]
fn a_panic_is_a_fault_and_ends_in_quarantine() {
    faults_and_is_quarantined("traps", "trap");
}

#[test]
fn an_endless_recursion_is_a_fault_and_ends_in_quarantine() {
    faults_and_is_quarantined("overflows-stack", "stack");
}

#[test]
fn an_error_answer_is_a_fault_and_ends_in_quarantine() {
    faults_and_is_quarantined("errs", "refused");
}

#[test]
fn a_deadline_is_kept_and_not_cut_short() {
    let folder = beside_counter("loops");
    let took = result_of(&folder.tick(window(1)), "loops").took;
    assert!(took >= limits().deadline, "{took:?}");
}

#[test]
fn a_guest_that_always_misbehaves_is_found_out_by_its_dry_run() {
    let folder = Folder::with_counter();
    let said = [
        ("traps", "trapped: wasm trap: wasm `unreachable` instruction executed"),
        ("overflows-stack", "overflowed its stack"),
        ("eats-memory", OUT_OF_MEMORY),
        ("errs", "answered with an error: this guest always returns an error"),
        ("loops", "took longer than 2000 ms"),
        ("remembers-too-much", OUT_OF_MEMORY),
    ];
    for (guest, _) in said {
        folder.put(&format!("{guest}.wasm"), fixture(guest));
    }
    let start = Instant::now();
    folder.scan();
    assert!(start.elapsed() < Duration::from_secs(2) + 4 * SLACK, "{:?}", start.elapsed());
    for (guest, why) in said {
        assert_eq!(folder.status(guest).state, PolicyState::Broken);
        let problem = format!("{guest}.wasm: the dry run on an empty window {why}");
        assert_eq!(folder.problem(guest), problem);
    }
    assert_eq!(folder.serving(), ["counter"]);
}

#[test]
fn a_description_has_a_deadline_too() {
    let folder = Folder::with_counter();
    folder.put("loops-in-describe.wasm", fixture("loops-in-describe"));
    let start = Instant::now();
    folder.scan();
    assert!(start.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", start.elapsed());
    let said = folder.problem("loops-in-describe");
    let why = "the plugin's describe() took longer than 2000 ms";
    assert_eq!(said, format!("loops-in-describe.wasm: {why}"));
    assert_eq!(folder.serving(), ["counter"]);
}

#[test]
fn a_plugin_that_asks_for_more_or_for_another_contract_is_refused_by_name() {
    let folder = Folder::with_counter();
    folder.put("imports-forbidden.wasm", fixture("imports-forbidden"));
    folder.put("future-contract.wasm", fixture("future-contract"));
    folder.scan();
    let said = folder.problem("imports-forbidden");
    assert!(said.contains("imports \"acme:net/http"), "{said}");
    let said = folder.problem("future-contract");
    let why = "the plugin is built for contract 2.0.0; this Poolwarden speaks 1.0.0: run it on one \
               that speaks 2.0.0, or build it against 1.0.0";
    assert_eq!(said, format!("future-contract.wasm: {why}"));
    assert_eq!(folder.serving(), ["counter"]);
}

#[test]
fn each_kind_of_nonsense_is_a_fault_that_says_what() {
    let folder = Folder::with_counter();
    folder.put("answers-nonsense.wasm", fixture("answers-nonsense"));
    let cases = [
        ("unknown-pool", "pool 4294967295 is not in the window"),
        ("unknown-scope", "scope 4294967295 is not in the window"),
        ("nan-evidence", "evidence \"nan\" is not a finite number"),
        ("empty-name", "name \"\" is not 1 to 64 letters, digits, '-', '_' or '.'"),
        ("all", "two of pool_size for scope 0"),
    ];
    for (what, why) in cases {
        let text = format!("settings = {{ what = \"{what}\", when = \"with-pools\" }}");
        folder.put("answers-nonsense.toml", text);
        folder.scan();
        let results = folder.tick(window(2));
        let said = fault(result_of(&results, "answers-nonsense"));
        assert_eq!(*said, Fault::Nonsense(why.to_owned()), "{what}");
        answered(result_of(&results, "counter"));
    }
    assert_eq!(folder.status("answers-nonsense").faults, 5);
}

#[test]
fn a_pool_that_the_scope_leaves_out_cannot_be_forged() {
    let folder = Folder::with_counter();
    folder.put("answers-nonsense.wasm", fixture("answers-nonsense"));
    folder.put(
        "answers-nonsense.toml",
        "settings = { what = \"pool-beyond-scope\", when = \"with-pools\" }\n\
         [scope]\ndatabases = [\"db0\"]\n",
    );
    folder.scan();
    // The target has three pools; the policy sees the first and names the second.
    let results = folder.tick(window(3));
    let said = fault(result_of(&results, "answers-nonsense"));
    assert_eq!(*said, Fault::Nonsense("pool 1 is not in the window".to_owned()));
    answered(result_of(&results, "counter"));
}

#[test]
fn an_impossible_size_is_left_to_the_guard() {
    let folder = Folder::default();
    folder.put("answers-nonsense.wasm", fixture("answers-nonsense"));
    for (what, expected) in [("zero-size", 0), ("huge-size", u32::MAX)] {
        let text = format!("settings = {{ what = \"{what}\", when = \"with-pools\" }}");
        folder.put("answers-nonsense.toml", text);
        folder.scan();
        let results = folder.tick(window(2));
        let proposals = &answered(result_of(&results, "answers-nonsense")).proposals;
        let [Proposal::Resize { size, .. }] = proposals.as_slice() else { panic!("{proposals:?}") };
        assert_eq!(*size, expected);
    }
}

#[test]
fn the_limit_of_an_answer_is_obeyed_and_enforced() {
    let folder = Folder::default();
    folder.put("answers-too-much.wasm", fixture("answers-too-much"));
    let with = |proposals: u32, answer_kib: u32| {
        let limits = format!(
            "[limits]\nanswer_kib = {answer_kib}\nmemory_blob_kib = 1\nmemory_mib = 512\n\
             deadline_ms = 10000\n[settings]\ncount = {proposals}\n"
        );
        folder.put("answers-too-much.toml", limits);
        folder.scan();
        folder.status("answers-too-much").problem
    };
    assert_eq!(with(1, 1), None);
    let said = with(1_000, 1).expect("a thousand proposals do not fit into a KiB");
    assert!(said.contains("answered with too much"), "{said}");
    assert_eq!(with(100, 1_024), None);
    let said = with(101, 1_024).expect("nobody has this much to say of no pool");
    assert!(said.contains("101 proposals, 100 are allowed"), "{said}");
    let start = Instant::now();
    let said = with(1_000_000, 256).expect("a million proposals are too many");
    assert!(said.contains("answered with too much"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(10) + SLACK, "{:?}", start.elapsed());
}

#[test]
fn the_limit_of_the_memory_between_evaluations_is_obeyed_and_enforced() {
    let folder = Folder::default();
    folder.put("remembers-too-much.wasm", fixture("remembers-too-much"));
    let with = |bytes: u32| {
        // Two more bytes are the quotes.
        folder.put("remembers-too-much.toml", format!("settings = {{ bytes = {} }}", bytes - 2));
        folder.scan();
    };
    with(64 << 10);
    assert_eq!(folder.status("remembers-too-much").problem, None);
    let results = folder.tick(window(1));
    assert_eq!(answered(&results[0]).memory.len(), 64 << 10);
    let results = folder.tick(window(1));
    assert_eq!(results[0].memory_before.len(), 64 << 10, "it is handed back");
    with((64 << 10) + 1);
    let said = folder.problem("remembers-too-much");
    assert!(said.contains("a memory of 65537 bytes, 65536 are allowed"), "{said}");
    assert_eq!(folder.status("remembers-too-much").state, PolicyState::LastGood);
}

#[test]
fn wasi_gives_nothing_and_always_the_same() {
    let folder = Folder::default();
    folder.put("uses-wasi.wasm", fixture("uses-wasi"));
    folder.scan();
    let first = folder.tick(window(1));
    let first = result_of(&first, "uses-wasi");
    for nothing in ["environment", "arguments", "seconds", "nanoseconds"] {
        assert_eq!(evidence(first, nothing), 0.0, "{nothing}");
    }
    assert_eq!(summary(first), "[] [] None");
    let second = folder.tick(window(1));
    let second = result_of(&second, "uses-wasi");
    assert_eq!(answered(first).proposals, answered(second).proposals);
    assert_eq!(folder.replay(second).expect("it runs"), Replayed::Identical);
}

#[test]
fn sleeping_is_refused_at_once() {
    let folder = Folder::default();
    folder.put("uses-wasi.wasm", fixture("uses-wasi"));
    folder.put("uses-wasi.toml", "settings = { sleep_ms = 3600000 }");
    let start = Instant::now();
    folder.scan();
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
    let said = folder.problem("uses-wasi");
    assert!(said.ends_with("trapped: a policy may not sleep"), "{said}");
}

#[test]
fn the_last_good_version_serves_on_until_the_file_is_fixed() {
    let folder = Folder::with_counter();
    let good = folder.status("counter").digest;
    folder.tick(window(1));
    folder.put("counter.toml", WITH_POOLS);
    folder.put("counter.wasm", fixture("traps"));
    folder.scan();
    assert_eq!(folder.status("counter").state, PolicyState::Serving);
    assert_ne!(folder.status("counter").digest, good);
    for _ in 0..3 {
        assert_eq!(fault(&folder.tick(window(1))[0]).kind(), "trap");
    }
    let status = folder.status("counter");
    assert_eq!((status.state, status.digest), (PolicyState::LastGood, good));
    assert!(folder.problem("counter").contains("quarantined after faults in a row"));
    assert_eq!(evidence(&folder.tick(window(1))[0], "count"), 2.0, "its memory was kept");

    folder.put("counter.toml", "settings = { label = \"fixed\" }");
    folder.put("counter.wasm", fixture("counter"));
    folder.scan();
    let status = folder.status("counter");
    assert_eq!((status.state, status.problem), (PolicyState::Serving, None));
    assert_eq!(summary(&folder.tick(window(1))[0]), "fixed: evaluation 3.");
}

#[test]
fn two_bad_versions_in_a_row_do_not_push_the_last_good_one_out() {
    let folder = Folder::with_counter();
    let good = folder.status("counter").digest;
    folder.tick(window(1));
    folder.put("counter.toml", WITH_POOLS);
    for bad in ["traps", "errs"] {
        folder.put("counter.wasm", fixture(bad));
        folder.scan();
        fault(&folder.tick(window(1))[0]);
    }
    folder.tick(window(1));
    folder.tick(window(1));
    let status = folder.status("counter");
    assert_eq!((status.state, status.digest), (PolicyState::LastGood, good), "{status:?}");
    assert_eq!(evidence(&folder.tick(window(1))[0], "count"), 2.0);
}

#[test]
fn a_fixed_file_lifts_the_quarantine_where_nothing_served_on() {
    let folder = beside_counter("errs");
    for _ in 0..3 {
        folder.tick(window(1));
    }
    assert_eq!(folder.status("errs").state, PolicyState::Quarantined);
    folder.delete("errs.toml");
    folder.put("errs.wasm", fixture("counter"));
    folder.scan();
    let status = folder.status("errs");
    assert_eq!((status.state, status.problem), (PolicyState::Serving, None));
    answered(result_of(&folder.tick(window(1)), "errs"));
    assert_eq!(folder.status("errs").faults, 3, "what it did wrong before stays counted");
}

#[test]
fn faults_that_are_not_in_a_row_do_not_quarantine() {
    let folder = beside_counter("errs");
    for _ in 0..5 {
        fault(result_of(&folder.tick(window(1)), "errs"));
        fault(result_of(&folder.tick(window(1)), "errs"));
        answered(result_of(&folder.tick(window(0)), "errs"));
    }
    let status = folder.status("errs");
    assert_eq!((status.state, status.faults), (PolicyState::Serving, 10));
    assert_eq!(status.evaluations, 15);
}

#[test]
fn a_tighter_limit_of_the_policy_is_the_one_that_holds() {
    let folder = Folder::with_limits(PluginLimits { deadline: SLACK * 4, ..limits() });
    folder.put("loops.wasm", fixture("loops"));
    folder.put("loops.toml", format!("{WITH_POOLS}[limits]\ndeadline_ms = 20\n"));
    folder.scan();
    let results = folder.tick(window(1));
    assert_eq!(*fault(&results[0]), Fault::Deadline(Duration::from_millis(20)));
    assert!(results[0].took < SLACK, "{:?}", results[0].took);
}

#[test]
fn a_deadline_is_not_cut_short_by_neighbours() {
    let folder = beside_counter("loops");
    let set = folder.registry().serving();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let counter = set.policies().iter().find(|one| one.name().as_str() == "counter");
            let counter = counter.expect("it serves");
            let input = Arc::new(Input::new(window(1)));
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                counter.evaluate(&input, Arc::from([]));
            }
        });
        let results = set.evaluate(&target(), window(1), &Default::default());
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        let loops = result_of(&results, "loops");
        assert_eq!(fault(loops).kind(), "deadline");
        assert!(loops.took >= limits().deadline, "ended after {:?}", loops.took);
        assert!(loops.took < limits().deadline + SLACK, "ended after {:?}", loops.took);
    });
}
