//! What changes do is measured on real servers, and what does harm is taken back.

use std::time::Duration;

use poolwarden::model::{Decision, Origin, PoolSize, Status};
use poolwarden::sandbox::{Load, LoadOptions};
use poolwarden_tests::{Bench, Setup, Sidecar, came_into_force, seconds};

/// One transaction at a time, whatever the pool's size: each holds the same lock for 20 ms.
const CONVOY: &str = "begin;\nselect pg_advisory_xact_lock(1);\nselect pg_sleep(0.02);\ncommit;\n";

async fn convoy(bench: &Bench, clients: u32) -> Load {
    let options = LoadOptions { clients, script: CONVOY.to_owned(), ..LoadOptions::default() };
    Load::start(&bench.sandbox, options).await.expect("started")
}

async fn with_status(sidecar: &Sidecar, status: Status) -> Option<Decision> {
    let mut all = sidecar.changes().await;
    all.retain(|one| one.status == status && one.size_to > one.size_from);
    all.pop()
}

fn measured(bench: &Bench) -> Setup {
    let mut setup = bench.setup();
    setup.target().effect = "window_ms = 4000\nrollback_wait_ms = 60000\n".to_owned();
    // Sized by utilization alone: the warming up is to grow nothing.
    setup.autosize.push_str("wait_slo_ms = 0\n");
    setup
}

/// Some work before the burst, to compare with.
async fn warm_up(bench: &Bench, script: &str) {
    let script = script.to_owned();
    let duration = Some(seconds(3));
    let options = LoadOptions { clients: 2, script, duration, ..LoadOptions::default() };
    let load = Load::start(&bench.sandbox, options).await.expect("started");
    load.finish().await.expect("finished");
}

async fn servers(sidecar: &Sidecar) -> u32 {
    sidecar.pool("app").map_or(0, |pool| pool.row.servers())
}

#[tokio::test]
async fn a_growth_that_helps_is_verified_with_its_numbers() {
    let bench = Bench::small().await;
    let mut setup = measured(&bench);
    // One growth gets there: none follows that would go on with it.
    setup.target().limit("ceiling", 8);
    let sidecar = bench.sidecar(&setup).await;
    warm_up(&bench, "select pg_sleep(0.05);").await;
    let _load = bench.load(14).await;
    let verified = bench
        .until("a growth is verified", seconds(20), async || {
            with_status(&sidecar, Status::Verified).await
        })
        .await;
    let detail = sidecar.json(&format!("/v1/decisions/{}", verified.id)).await;
    let number = |path: &str| detail.pointer(path).and_then(serde_json::Value::as_f64);
    let (before, after) = ("/effect/before/throughput_per_s", "/effect/after/throughput_per_s");
    // At least half of what the added servers could do at best.
    let [from, to] = ["/size_from", "/size_to"].map(|path| number(path).expect("a size"));
    let least = 1.0 + 0.5 * (to / from - 1.0);
    assert!(number(after) > number(before).map(|was| was * least), "{detail:#}");
    let series = detail.pointer("/effect/series").and_then(|all| all.as_array());
    assert!(series.is_some_and(|all| all.len() > 1), "{detail:#}");
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn a_growth_into_a_lock_convoy_is_taken_back_and_waits_over_a_restart() {
    let bench = Bench::small().await;
    let setup = measured(&bench);
    let sidecar = bench.sidecar(&setup).await;
    let sizes = bench.sample_size();
    warm_up(&bench, CONVOY).await;
    let _load = convoy(&bench, 16).await;
    let rolled_back = bench
        .until("the growth is taken back", seconds(20), async || {
            with_status(&sidecar, Status::RolledBack).await
        })
        .await;
    bench
        .until("the size is back", seconds(5), async || (bench.size().await == 3).then_some(()))
        .await;
    let all = sidecar.changes().await;
    let back = all.iter().rev().find(|one| one.origin == Origin::Host).expect("it is on record");
    let sizes_of_it = (back.size_from, back.size_to.map(PoolSize::get));
    assert_eq!(sizes_of_it, (rolled_back.size_to, Some(3)), "all parts of it at once: {back:?}");
    let step = rolled_back.size_to.map_or(0, PoolSize::get);
    bench.stays("it stays there", seconds(2), async || bench.size().await == 3).await;
    sizes.assert_within(3, step);
    let told = bench
        .until("what holds the shrink up is told", seconds(10), async || {
            sidecar.firing("shrink-held-up")
        })
        .await;
    assert!(told.proposal.is_some());
    assert!(servers(&sidecar).await > 3, "without RECONNECT it stays as large");

    assert!(sidecar.stop().await);
    let sidecar = bench.sidecar(&setup).await;
    let held = async || sidecar.scope().and_then(|scope| scope.hindrance.growth);
    let why = bench.until("growth is held", seconds(5), held).await;
    assert!(why.contains("taken back"), "{why}");
    bench.stays("no growth", seconds(2), async || bench.size().await == 3).await;
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn a_shrink_under_load_becomes_real_without_a_client_error() {
    let bench = Bench::small().await;
    let mut setup = measured(&bench);
    setup.target().reconnect = true;
    let sidecar = bench.sidecar(&setup).await;
    warm_up(&bench, CONVOY).await;
    let mut load = convoy(&bench, 16).await;
    bench
        .until("the growth is taken back", seconds(20), async || {
            with_status(&sidecar, Status::RolledBack).await
        })
        .await;
    bench
        .until("the pool has three servers while clients queue", seconds(15), async || {
            let pool = sidecar.pool("app")?;
            (pool.row.servers() <= 3 && pool.row.cl_waiting > 0).then_some(())
        })
        .await;
    bench.stays("they stay three", seconds(1), async || servers(&sidecar).await <= 3).await;
    assert!(load.is_running(), "no client has given up");
    let report = load.stop().await.expect("stopped");
    let (failed, aborted) = (report.failed_transactions, report.aborted_clients);
    assert_eq!((failed, aborted, report.errors.len()), (0, 0, 0), "{report:?}");
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn a_load_that_ends_leaves_it_open_what_a_growth_did() {
    let bench = Bench::small().await;
    let mut setup = measured(&bench);
    // Nothing else is to change the size meanwhile.
    setup.target().limit("cooldown_down_ms", 60_000);
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(30).await;
    let grown = bench
        .until("the pool is grown", seconds(20), async || {
            sidecar.changes().await.into_iter().find(came_into_force)
        })
        .await;
    load.stop().await.expect("stopped");
    let ended = bench
        .until("every trial has ended", seconds(15), async || {
            let all = sidecar.changes().await;
            let open = |one: &Decision| one.status == Status::Applied;
            (!all.iter().any(open)).then_some(all)
        })
        .await;
    assert!(ended.iter().any(|one| one.id == grown.id));
    assert!(ended.iter().all(|one| one.status != Status::RolledBack), "{ended:?}");
    tokio::time::timeout(Duration::from_secs(5), sidecar.stop()).await.expect("it stops");
}
