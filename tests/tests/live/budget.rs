//! One PostgreSQL behind two PgBouncers, and others that connect past both.

use poolwarden::model::{Decision, PolicyName, Status};
use poolwarden::sandbox::{Load, LoadOptions, SUPERUSER, SandboxOptions, Through};
use poolwarden_tests::{Bench, Sampler, SecondPgBouncer, Setup, Sidecar, seconds};

const MAX: u32 = 40;
const RESERVED: u32 = 3;
const MARGIN: u32 = 8;

async fn bench() -> Bench {
    Bench::start(SandboxOptions {
        default_pool_size: 3,
        max_connections: MAX,
        ..SandboxOptions::default()
    })
    .await
}

/// One sidecar on both, each target reaching PostgreSQL under another name.
fn setup(bench: &Bench, second: &SecondPgBouncer) -> Setup {
    let mut setup = bench.setup();
    let mut other = second.target("other", bench.sandbox.pgbouncer());
    other.database = bench.database().map(|url| url.replace("127.0.0.1", "localhost"));
    setup.targets.push(other);
    setup.target().database = bench.database();
    for target in &mut setup.targets {
        target.limit("ceiling", 60).limit("step_up", 6).limit("cooldown_up_ms", 200);
        target.limit("changes_per_hour", 10_000);
        target.limit("database_margin", u64::from(MARGIN));
    }
    setup
}

/// What both targets' pools could open, as the sidecar reckons it.
fn could_open(sidecar: &Sidecar) -> Option<(u32, u32, u32)> {
    let budget = sidecar.target_of("main").budget?;
    let both = budget.members.len() == 2;
    both.then(|| (budget.could_open, budget.rest, budget.left()))
}

async fn given_back(sidecar: &Sidecar) -> Vec<Decision> {
    let mut all = sidecar.changes().await;
    let host = PolicyName::host();
    all.retain(|one| one.policy == host && one.size_to < one.size_from);
    all
}

#[tokio::test]
async fn pools_of_two_pgbouncers_compete_and_never_take_more_than_there_is() {
    let bench = bench().await;
    let first = bench.sandbox.pgbouncer();
    let second = SecondPgBouncer::beside(first);
    let connections =
        Sampler::of_connections(bench.sandbox.postgres().connect_options(SUPERUSER, "postgres"));
    let (one, other) = (bench.sample_size(), Sampler::of_size(second.console_options(first)));
    let sidecar = bench.sidecar(&setup(&bench, &second)).await;
    bench.until("both targets share an account", seconds(15), async || could_open(&sidecar)).await;
    let _load = bench.load(40).await;
    let load = second.load(40, first);
    let (mine, rest, _) = bench
        .until("all that is left is taken", seconds(30), async || {
            could_open(&sidecar).filter(|(mine, rest, left)| *left <= 1 && mine + rest >= 20)
        })
        .await;
    println!("{mine} and {rest} of {}", MAX - RESERVED - MARGIN);
    bench
        .stays("it stays within the budget", seconds(4), async || {
            sidecar.target_of("main").budget.is_some_and(|budget| budget.exceeded() == 0)
        })
        .await;
    // Sizes only grew, so their largest were in force together.
    let largest = |sampler: &Sampler| sampler.seen().into_iter().max().unwrap_or(0);
    let (mine, rest) = (largest(&one), largest(&other));
    println!("sizes of {mine} and {rest}");
    // The sampler's own connection and the sidecar's two looks are others.
    assert!(mine + rest + 3 <= MAX - RESERVED - MARGIN, "{mine} + {rest}: {}", bench.story().await);
    connections.assert_within(1, MAX - RESERVED - MARGIN);
    assert!(load.errors().is_empty(), "{:?}", load.errors());
    let shown = sidecar.json("/v1/targets").await;
    let shared = &shown["targets"][0]["connections"]["shared_by"];
    assert_eq!(shared.as_array().map(Vec::len), Some(2), "{shown}");
}

#[tokio::test]
async fn when_others_take_connections_sizes_go_back_before_anybody_is_refused() {
    let bench = bench().await;
    let first = bench.sandbox.pgbouncer();
    let second = SecondPgBouncer::beside(first);
    let connections =
        Sampler::of_connections(bench.sandbox.postgres().connect_options(SUPERUSER, "postgres"));
    let mut setup = setup(&bench, &second);
    // Its policy would give back by itself what nobody needs.
    setup.autosize = "shrink_after_ms = 600000\n".to_owned();
    // While clients queue, a smaller size closes nothing by itself.
    setup.targets.iter_mut().for_each(|target| target.reconnect = true);
    let sidecar = bench.sidecar(&setup).await;
    let main = bench.load(30).await;
    let load = second.load(30, first);
    bench
        .until("all that is left is taken", seconds(40), async || {
            could_open(&sidecar).filter(|(.., left)| *left <= 1)
        })
        .await;
    // The clients of one go home, and its pool keeps its size.
    drop(load);
    let direct = LoadOptions { clients: 7, through: Through::Postgres, ..LoadOptions::default() };
    let _direct = Load::start(&bench.sandbox, direct).await.expect("started");
    bench
        .until("sizes are given back", seconds(15), async || {
            let all = given_back(&sidecar).await;
            all.iter().any(|one| one.status == Status::Verified).then_some(())
        })
        .await;
    for one in given_back(&sidecar).await {
        println!("{} {:?} -> {:?}: {}", one.target, one.size_from, one.size_to, one.reason());
    }
    bench
        .until("all that could be opened fits again", seconds(15), async || {
            let budget = sidecar.target_of("main").budget?;
            (budget.exceeded() == 0 && sidecar.firing("budget-exceeded").is_none()).then_some(())
        })
        .await;
    connections.assert_within(1, MAX - RESERVED);
    let report = main.stop().await.expect("it ran");
    assert!(report.errors.is_empty() && report.aborted_clients == 0, "{:?}", report.errors);
    let log = bench.sandbox.postgres().log();
    assert!(!log.contains("connection slots") && !log.contains("too many clients"), "{log}");
    let alerted = sidecar.decisions().await;
    let alerted = alerted.iter().any(|one| one.reason().contains("more than the"));
    assert!(alerted, "people were told: {}", bench.story().await);
}
