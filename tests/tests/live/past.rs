//! Policies that look back: what they see comes from the store, also from before the start.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use poolwarden::evaluate::{Replay, Replayed, Runtime, replay};
use poolwarden::model::{Decision, Origin, PoolKey, Proposal, Status, TargetName, Timestamp};
use poolwarden::record::{HistorySample, PoolCounts, Store, StoreOptions};
use poolwarden_tests::plugins::{fixture, shipped};
use poolwarden_tests::{Bench, Setup, Sidecar, came_into_force, seconds};

const STEP: Duration = Duration::from_secs(600);
/// Steps of a week.
const WEEK: u32 = 1_008;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_millis(u64::try_from(since.as_millis()).expect("before the year 292 000 000"))
}

/// Puts a policy beside the setup's own.
fn add(setup: &Setup, name: &str, plugin: &[u8], file: &str) {
    let policies = setup.dir.join("policies");
    fs::create_dir_all(&policies).expect("the test's folder can be made");
    fs::write(policies.join(format!("{name}.wasm")), plugin).expect("written");
    fs::write(policies.join(format!("{name}.toml")), file).expect("written");
}

/// Writes a week of history as a sidecar would have, a poll a second, and rolls it up.
///
/// `counts` gives what was seen in the step that began so many steps before the present one.
async fn remember(setup: &Setup, counts: impl Fn(u32) -> PoolCounts) {
    let options = StoreOptions {
        dir: setup.store.clone(),
        decisions_kept: 30 * 144 * STEP,
        inputs_kept: 7 * 144 * STEP,
        size_max_bytes: 1 << 30,
    };
    let store = Store::open(&options).await.expect("the store opens");
    let now = now();
    let step_ms = 600_000;
    let present = Timestamp::from_millis(now.as_millis() / step_ms * step_ms);
    let sample = |ago: u32| HistorySample {
        at: present.minus(STEP * ago),
        target: TargetName::new("main").expect("a fair name"),
        pool: PoolKey::new("app", "app"),
        counts: counts(ago),
    };
    let samples: Vec<_> = (1..WEEK).rev().map(sample).collect();
    store.write_history(&samples).await.expect("written");
    while store.maintain(now).await.expect("maintained").unfinished {}
    store.close().await.expect("closed");
}

/// What 600 polls see of a pool of 3 with so many busy servers and waiters.
fn seen(busy: u32, waiting: u32) -> PoolCounts {
    PoolCounts {
        samples: 600,
        cl_active_max: busy,
        cl_waiting_max: waiting,
        cl_waiting_sum: u64::from(waiting) * 600,
        sv_active_max: busy.min(3),
        sv_active_sum: u64::from(busy.min(3)) * 500,
        servers_max: busy.min(3),
        size: 3,
        maxwait_us_max: u64::from(waiting) * 400_000,
        transactions: u64::from(busy) * 2_400,
        queries: u64::from(busy) * 2_400,
        transaction_us: u64::from(busy) * 2_400 * 250_000,
        query_us: u64::from(busy) * 2_400 * 250_000,
        wait_us: u64::from(waiting) * 600_000_000,
    }
}

fn of_policy(decisions: Vec<Decision>, policy: &str) -> Vec<Decision> {
    decisions.into_iter().filter(|one| one.policy.as_str() == policy).collect()
}

async fn replays(sidecar: &Sidecar, decision: &Decision) {
    let Origin::Plugin { digest, evaluation, .. } = decision.origin else {
        panic!("{decision:?} is no plugin's")
    };
    let store = sidecar.store();
    let recorded = store.evaluation(evaluation).await.expect("readable").expect("recorded");
    let plugin = store.plugin(digest).await.expect("readable").expect("recorded");
    let input = String::from_utf8_lossy(&recorded.input);
    assert!(input.contains("\"past\":{\"from-ms\":") || input.contains("\"past\":{\"from_ms\":"));
    let mut limits = poolwarden_tests::setup::plugin_limits();
    limits.deadline = seconds(10);
    limits.memory_bytes = 128 << 20;
    let runtime = Arc::new(Runtime::new(None).expect("a Wasm runtime"));
    let record = Replay {
        plugin: &plugin,
        limits: &limits,
        settings: &recorded.settings,
        input: &recorded.input,
        memory: &recorded.memory,
        answer: &recorded.answer,
    };
    assert_eq!(replay(&runtime, record).expect("it runs again"), Replayed::Identical);
}

#[tokio::test]
async fn a_week_of_history_becomes_a_recommendation_with_its_lines() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.target().mode = "recommend";
    let file = "every_ms = 1000\nmode = \"recommend\"\n[limits]\ndeadline_ms = 5000\n";
    add(&setup, "advisor", &shipped("advisor"), file);
    // An hour a day it is full, and two wait all the time.
    remember(&setup, |ago| if ago % 144 < 6 { seen(3, 2) } else { seen(1, 0) }).await;
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(1).await;
    let advice = bench
        .until("the advice stands", seconds(20), async || {
            let advice = of_policy(sidecar.decisions().await, "advisor");
            advice.into_iter().find(|one| {
                matches!(&one.proposal, Proposal::Recommendation { name, .. } if name == "pool-too-small")
            })
        })
        .await;
    assert_eq!(advice.status, Status::Proposed);
    let Proposal::Recommendation { action, .. } = &advice.proposal else { panic!("{advice:?}") };
    // 3 busy and 2 missing, divided by 0.75.
    assert!(action.contains("default_pool_size = 7"), "{action}");
    let (_, served) = sidecar.http("GET", "/v1/recommendations", "").await;
    assert!(
        served.contains("pool-too-small") && served.contains("SET default_pool_size = 7"),
        "{served}"
    );
    replays(&sidecar, &advice).await;
    let (_, metrics) = sidecar.http("GET", "/metrics", "").await;
    assert!(metrics.contains("poolwarden_past_read_seconds_count{target=\"main\"}"), "{metrics}");
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn a_pool_is_prepared_for_a_ramp_that_every_day_had() {
    let bench = Bench::small().await;
    let setup = bench.setup();
    let file = "every_ms = 1000\nmode = \"enforce\"\n[limits]\ndeadline_ms = 5000\n\
                [settings]\nalerts_enabled = false\n";
    add(&setup, "forecast", &shipped("forecast"), file);
    // Every day, from the step after the present one on, 8 servers are wanted for two hours.
    remember(&setup, |ago| if (132..144).contains(&(ago % 144)) { seen(3, 5) } else { seen(1, 0) })
        .await;
    // The margin to the end of the step, for a machine that is slow to start things.
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(1).await;
    let prepared = bench
        .until("the pool is prepared", seconds(20), async || {
            let changes = of_policy(sidecar.changes().await, "forecast");
            changes.into_iter().find(came_into_force)
        })
        .await;
    // While the past is being read autosize may already have found it too large.
    assert!(prepared.size_from.is_some_and(|size| size.get() <= 3), "{prepared:?}");
    let wanted = prepared.size_to.expect("a size").get();
    // Days are smoothed, so early in a step the ramp's first one is still a little lower than the rest.
    assert!((7..=9).contains(&wanted), "{prepared:?}");
    replays(&sidecar, &prepared).await;
    // autosize would shrink after a second of calm; the forecast's word stands between its answers.
    bench
        .stays("it is not taken back before the ramp", seconds(4), async || {
            bench.size().await == wanted
        })
        .await;
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn a_policy_is_asked_at_its_own_pace_and_its_alert_stands_in_between() {
    let bench = Bench::small().await;
    let setup = bench.setup();
    add(&setup, "counter", &fixture("counter"), "every_ms = 1500\nmode = \"enforce\"\n");
    let sidecar = bench.sidecar(&setup).await;
    bench.until("it fires", seconds(10), async || sidecar.firing("counter")).await;
    let (begin, before) = (Instant::now(), sidecar.policy("counter"));
    let others = sidecar.policy("pool-alerts").evaluations;
    assert_eq!(before.every, Some(Duration::from_millis(1_500)));
    bench.stays("it fires", seconds(5), async || sidecar.firing("counter").is_some()).await;
    let after = sidecar.policy("counter");
    let asked = after.evaluations - before.evaluations;
    let most = u64::try_from(begin.elapsed().as_millis() / 1_500).expect("a few") + 1;
    assert!((1..=most).contains(&asked), "{asked} times, {most} at the most");
    assert!(sidecar.policy("pool-alerts").evaluations > others + 2 * asked);
    assert!(after.evaluated_at > before.evaluated_at);
    let told = of_policy(sidecar.decisions().await, "counter");
    assert_eq!(told.iter().map(|one| one.status).collect::<Vec<_>>(), [Status::Firing]);
    // A new version is asked at once.
    add(&setup, "counter", &fixture("counter"), "every_ms = 86400000\n");
    bench
        .until("the new version is asked", seconds(15), async || {
            let now = sidecar.policy("counter");
            let is_new = now.every == Some(Duration::from_secs(86_400));
            // A window is as old as its newest sample.
            let asked_at = now.evaluated_at?.plus(Duration::from_millis(400));
            (is_new && asked_at > now.loaded_at?).then_some(())
        })
        .await;
    assert!(sidecar.stop().await);
}
