//! What no policy can cross, at every instant, on real servers.

use poolwarden::model::{Outcome, Rule, Word};
use poolwarden::sandbox::{Load, LoadOptions, SUPERUSER, SandboxOptions, Through};
use poolwarden_tests::{Bench, Sampler, seconds};

#[tokio::test]
async fn the_ceiling_holds_where_postgresql_is_not_asked() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.target().limit("ceiling", 6);
    let sidecar = bench.sidecar(&setup).await;
    let sizes = bench.sample_size();
    let _load = bench.load(25).await;
    bench
        .until("the size is at the ceiling", seconds(10), async || {
            (bench.size().await == 6).then_some(())
        })
        .await;
    bench.stays("it stays there", seconds(2), async || bench.size().await == 6).await;
    sizes.assert_within(3, 6);
    let pool = sidecar.pool("app").expect("a pool under load");
    assert!(pool.row.cl_waiting > 0, "more was wanted: {pool:?}");
    assert!(sidecar.target().postgres.is_none());
}

/// A policy that knows of no budget and is heard before all others.
const GREEDY: &str = r#"priority = 10
[[settings.rules]]
name = "all-there-is"
when = "pool.waiting > 0"
resize = "50"
"#;

#[tokio::test]
async fn the_pools_never_take_more_connections_than_postgresql_has_left() {
    let bench = Bench::start(SandboxOptions {
        default_pool_size: 3,
        max_connections: 30,
        ..SandboxOptions::default()
    })
    .await;
    let mut setup = bench.setup();
    setup.rules = Some(GREEDY.to_owned());
    let target = setup.target();
    target.database = bench.database();
    // Looks come seldom beside changes, so that a rule which trusts an old look grows too far.
    target.database_interval_ms = 2000;
    target.limit("ceiling", 50).limit("step_up", 8).limit("cooldown_up_ms", 200);
    target.limit("database_margin", 0);
    let postgres = bench.sandbox.postgres();
    let connections = Sampler::of_connections(postgres.connect_options(SUPERUSER, "postgres"));
    let direct = LoadOptions { clients: 8, through: Through::Postgres, ..LoadOptions::default() };
    let _direct = Load::start(&bench.sandbox, direct).await.expect("started");
    bench
        .until("others are connected", seconds(10), async || {
            connections.seen().last().is_some_and(|count| *count >= 9).then_some(())
        })
        .await;
    let sizes = bench.sample_size();
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(60).await;
    // 30, less 3 reserved, 8 direct ones, the sampler's and the sidecar's own.
    let largest = 17;
    let held = bench
        .until("the budget holds a growth back", seconds(20), async || {
            let all = sidecar.decisions().await;
            all.into_iter().rev().find(|one| {
                let words = one.verdict.iter().flat_map(|verdict| &verdict.rules);
                words.into_iter().any(|said| said.rule == Rule::Budget && said.word == Word::Clamp)
            })
        })
        .await;
    assert_eq!(held.policy.as_str(), "rules");
    assert_ne!(held.verdict.map(|verdict| verdict.outcome), Some(Outcome::Approved));
    bench
        .until("all that is left is taken", seconds(20), async || {
            (bench.size().await >= largest - 3).then_some(())
        })
        .await;
    bench
        .stays("the size is within the budget", seconds(4), async || bench.size().await <= largest)
        .await;
    assert!(bench.size().await >= largest - 3, "{}", bench.story().await);
    sizes.assert_within(3, largest);
    connections.assert_within(1, 27);
    let log = postgres.log();
    assert!(!log.contains("connection slots") && !log.contains("too many clients"), "{log}");
}

#[tokio::test]
async fn a_postgresql_that_refuses_the_sidecar_does_not_stop_the_loop() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    let port = bench.sandbox.postgres().port();
    setup.target().database =
        Some(format!("postgres://{SUPERUSER}:not-the-password@127.0.0.1:{port}/postgres"));
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(12).await;
    bench
        .until("the loop closes", seconds(15), async || {
            let pool = sidecar.pool("app")?;
            (pool.row.cl_waiting == 0 && pool.row.sv_active > 3).then_some(())
        })
        .await;
    let log = bench.log();
    assert!(log.contains("PostgreSQL cannot be looked at"), "{log}");
    assert!(log.contains("password authentication failed"), "{log}");
    assert!(log.contains("mend the login in [target.database]"), "{log}");
    let why = sidecar.target().doubt.expect("nobody knows what is left");
    assert_eq!(why.to_string(), "PostgreSQL does not let the sidecar in");
    assert!(!log.contains("not-the-password"), "{log}");
}
