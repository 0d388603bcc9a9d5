//! A dead target, a paused pool, a wedged queue and waiters at login are told apart, and none of
//! them is taken for load.

use poolwarden::model::{Condition, TargetStatus};
use poolwarden::sandbox::{Load, LoadOptions, SandboxOptions};
use poolwarden_tests::{Bench, Sidecar, seconds};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{ConnectOptions, Connection};

async fn until_condition(bench: &Bench, sidecar: &Sidecar, condition: Condition) {
    bench
        .until(&format!("the pool is {condition:?}"), seconds(15), async || {
            (sidecar.pool("app")?.condition == condition).then_some(())
        })
        .await;
}

async fn until_status(bench: &Bench, sidecar: &Sidecar, status: TargetStatus) {
    bench
        .until(&format!("the target is {status:?}"), seconds(15), async || {
            (sidecar.target().status == status).then_some(())
        })
        .await;
}

async fn stays_unchanged(bench: &Bench, sidecar: &Sidecar, size: u32) {
    let before = sidecar.changes().await.len();
    bench.stays("the size stays", seconds(2), async || bench.size().await == size).await;
    assert_eq!(sidecar.changes().await.len(), before, "{}", bench.story().await);
}

#[tokio::test]
async fn a_dead_target_is_no_calm_one() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    // It cannot grow, so that the alert about the full pool lasts.
    setup.target().limit("ceiling", 3);
    let sidecar = bench.sidecar(&setup).await;
    let pgbouncer = bench.sandbox.pgbouncer();
    let _load = bench.load(12).await;
    bench.until("the pool is full", seconds(10), async || sidecar.firing("pool-exhausted")).await;

    pgbouncer.freeze().expect("it runs");
    until_status(&bench, &sidecar, TargetStatus::Down).await;
    assert_eq!(sidecar.target().problem.expect("a problem").0, "timeout");
    until_condition(&bench, &sidecar, Condition::Stale).await;
    pgbouncer.thaw().expect("it runs");
    until_status(&bench, &sidecar, TargetStatus::Up).await;
    assert!(sidecar.target().problem.is_none());

    bench
        .until("the pool is full again", seconds(10), async || sidecar.firing("pool-exhausted"))
        .await;
    let changes = sidecar.changes().await.len();
    pgbouncer.kill9().await.expect("killed");
    until_status(&bench, &sidecar, TargetStatus::Down).await;
    bench
        .until("that it is down is told", seconds(10), async || sidecar.firing("pgbouncer-down"))
        .await;
    assert_eq!(sidecar.target().problem.expect("a problem").0, "unreachable");
    bench
        .stays("what it cannot see is not over", seconds(2), async || {
            sidecar.firing("pool-exhausted").is_some()
        })
        .await;
    assert_eq!(sidecar.changes().await.len(), changes, "nothing shrinks on missing data");

    pgbouncer.start().await.expect("started");
    until_status(&bench, &sidecar, TargetStatus::Up).await;
    bench
        .until("all is over when it is seen to be", seconds(10), async || {
            let over = sidecar.firing("pool-exhausted").is_none();
            (over && sidecar.firing("pgbouncer-down").is_none()).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_pause_is_not_load() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.target().database = bench.database();
    // Sized by utilization alone: to be prepared for waits is another matter.
    setup.autosize.push_str("wait_slo_ms = 0\n");
    let sidecar = bench.sidecar(&setup).await;
    // Fewer than the pool has room for.
    let _load = bench.load(2).await;
    until_condition(&bench, &sidecar, Condition::Serving).await;

    bench.admin("PAUSE app").await;
    until_condition(&bench, &sidecar, Condition::Paused).await;
    bench
        .until("clients queue", seconds(5), async || {
            (sidecar.pool("app")?.row.cl_waiting == 2).then_some(())
        })
        .await;
    assert_eq!(sidecar.target().status, TargetStatus::Up, "one database is not all");
    stays_unchanged(&bench, &sidecar, 3).await;
    bench.admin("RESUME app").await;
    until_condition(&bench, &sidecar, Condition::Serving).await;

    // Before 1.19 no command shows a pause of everything.
    bench.admin("PAUSE").await;
    until_status(&bench, &sidecar, TargetStatus::Paused).await;
    until_condition(&bench, &sidecar, Condition::Paused).await;
    bench
        .until("the pause is told", seconds(10), async || sidecar.firing("pgbouncer-paused"))
        .await;
    stays_unchanged(&bench, &sidecar, 3).await;
    bench.admin("RESUME").await;
    until_status(&bench, &sidecar, TargetStatus::Up).await;
    until_condition(&bench, &sidecar, Condition::Serving).await;
    stays_unchanged(&bench, &sidecar, 3).await;
}

#[tokio::test]
async fn a_wedged_queue_does_not_grow_its_pool() {
    let bench = Bench::start(SandboxOptions { default_pool_size: 5, ..SandboxOptions::default() });
    let bench = bench.await;
    bench
        .sandbox
        .postgres()
        .query("postgres", "alter role app connection limit 2")
        .await
        .expect("altered");
    let sidecar = bench.sidecar(&bench.setup()).await;
    let script = "select pg_sleep(60);".to_owned();
    let options = LoadOptions { clients: 6, script, ..LoadOptions::default() };
    let _load = Load::start(&bench.sandbox, options).await.expect("started");
    until_condition(&bench, &sidecar, Condition::Wedged).await;
    let size = bench.size().await;
    stays_unchanged(&bench, &sidecar, size).await;
    assert_eq!(size, 5, "a queue beside unused room is no reason to grow: {}", bench.story().await);
    bench
        .until("that it is wedged is told", seconds(10), async || sidecar.firing("wedged-queue"))
        .await;
}

#[tokio::test]
async fn waiters_at_login_are_seen_and_do_not_grow_their_pool() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&bench.setup()).await;
    let postgres = bench.sandbox.postgres();
    let pid = postgres.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let pid = pid.expect("it runs");
    // Its port accepts and nobody answers, so that no login ends, well or badly.
    kill_process(pid, Signal::STOP).expect("a process of ours");
    let through = bench.sandbox.pgbouncer().connect_options("app", "app");
    let logins: Vec<_> = (0..6)
        .map(|_| {
            let through = through.clone();
            tokio::spawn(async move { through.connect().await?.close().await })
        })
        .collect();
    until_condition(&bench, &sidecar, Condition::LoginQueue).await;
    bench.until("it is told", seconds(10), async || sidecar.firing("login-queue")).await;
    stays_unchanged(&bench, &sidecar, 3).await;
    kill_process(pid, Signal::CONT).expect("a process of ours");
    for login in logins {
        login.await.expect("no panic").expect("PostgreSQL answers again");
    }
    bench
        .until("it is over", seconds(10), async || {
            sidecar.firing("login-queue").is_none().then_some(())
        })
        .await;
}
