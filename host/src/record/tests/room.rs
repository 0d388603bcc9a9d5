//! What is old goes, what is too much goes, and what is still needed stays.

use std::time::Duration;

use super::*;
use crate::model::{Alert, AlertKey, AlertState, PoolKey};
use crate::record::{AlertChange, DecisionFilter, HistorySample, PoolCounts};

/// Decisions that must stay however old they are, and one beside each that may go.
fn old_batch() -> Batch {
    let firing = Decision { status: Status::Firing, mode: Mode::Observe, ..resize(1) };
    let referred = Decision { status: Status::Resolved, ..resize(2) };
    let settled = Decision { status: Status::Verified, ..resize(4) };
    let observed = Decision { mode: Mode::Observe, ..resize(5) };
    let key = AlertKey {
        policy: policy("pool-alerts"),
        name: "exhausted".into(),
        subject: Subject::Target,
    };
    let alert = Alert { key, state: AlertState::Firing(referred.id), since: referred.at };
    Batch {
        evaluations: (1..=5).map(evaluation).collect(),
        transitions: vec![changed(&settled, Status::Verified, Duration::ZERO)],
        decisions: vec![firing, referred, resize(3), settled, observed],
        alerts: vec![AlertChange::Set { target: target("main"), alert }],
        ..Batch::default()
    }
}

async fn ids(store: &Store) -> Vec<DecisionId> {
    let filter = DecisionFilter { limit: 500, ..DecisionFilter::default() };
    let page = store.decisions(&filter).await.expect("read");
    page.decisions.iter().rev().map(|decision| decision.id).collect()
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_goes_and_what_is_open_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    write(&store, &old_batch()).await;
    let done = maintain(&store, at(6 * DAY)).await;
    assert_eq!((done.evaluations_deleted, done.decisions_deleted), (0, 0));
    let done = maintain(&store, at(8 * DAY)).await;
    assert_eq!((done.evaluations_deleted, done.decisions_deleted), (5, 0));
    let young = Decision { at: at(20 * DAY), ..resize(9) };
    write(&store, &Batch { decisions: vec![young], ..Batch::default() }).await;
    let done = maintain(&store, at(31 * DAY)).await;
    assert_eq!((done.evaluations_deleted, done.decisions_deleted), (0, 2));
    assert_eq!(ids(&store).await, [1, 2, 3, 9].map(id));
    let settled = changed(&resize(3), Status::Failed, DAY);
    write(&store, &Batch { transitions: vec![settled], ..Batch::default() }).await;
    maintain(&store, at(31 * DAY)).await;
    assert_eq!(ids(&store).await, [1, 2, 9].map(id));
}

#[tokio::test]
async fn a_plugin_stays_while_it_is_loaded_or_an_evaluation_needs_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let (needed, unneeded) = (Digest([7; 32]), Digest([8; 32]));
    for digest in [needed, unneeded] {
        store.put_plugin(digest, b"component", at(Duration::ZERO)).await.expect("put");
    }
    let young = Evaluation { at: at(10 * DAY), ..evaluation(1) };
    write(&store, &Batch { evaluations: vec![young], ..Batch::default() }).await;
    assert_eq!(maintain(&store, at(12 * DAY)).await.plugins_deleted, 0);
    drop(store);
    let store = open(dir.path()).await;
    assert_eq!(maintain(&store, at(12 * DAY)).await.plugins_deleted, 1);
    assert_eq!(store.plugin(unneeded).await.expect("read"), None);
    assert!(store.plugin(needed).await.expect("read").is_some());
    assert_eq!(maintain(&store, at(18 * DAY)).await.plugins_deleted, 1);
}

async fn fill_history(store: &Store, buckets: u32, pools: u32) {
    for bucket in 0..buckets {
        let sample = |pool| HistorySample {
            at: at(Duration::from_secs(10) * bucket),
            target: target("main"),
            pool: PoolKey::new("shop", &format!("user{pool}")),
            counts: PoolCounts { samples: 10, wait_us: 1 << 40, ..PoolCounts::default() },
        };
        let samples: Vec<_> = (0..pools).map(sample).collect();
        store.write_history(&samples).await.expect("written");
    }
}

#[tokio::test]
async fn the_largest_size_is_kept_inputs_first_then_history_then_decisions() {
    const MIB: u64 = 1 << 20;
    let dir = tempfile::tempdir().expect("a folder");
    let now = at(Duration::from_secs(1000));
    let limited = async |size_max_bytes| {
        let options = StoreOptions { size_max_bytes, ..options(dir.path()) };
        Store::open(&options).await.expect("opens")
    };
    let store = limited(1 << 30).await;
    write(&store, &old_batch()).await;
    for number in 10..310 {
        let evaluation = Evaluation { input: noise(number, 60_000), ..evaluation(number) };
        let settled = Decision { status: Status::Verified, ..resize(number) };
        let batch =
            Batch { evaluations: vec![evaluation], decisions: vec![settled], ..Batch::default() };
        write(&store, &batch).await;
    }
    fill_history(&store, 100, 300).await;
    let before = maintain(&store, now).await;
    assert!(before.used_bytes > 18 * MIB, "{before:?}");
    store.close().await.expect("closed");

    let store = limited(20 * MIB).await;
    let done = maintain(&store, now).await;
    assert!(done.used_bytes <= 10 * MIB && done.evaluations_deleted > 100, "{done:?}");
    assert_eq!((done.history_deleted, done.decisions_deleted), (0, 0));
    assert!(store.evaluation(evaluation(309).id).await.expect("read").is_some());
    assert!(store.evaluation(evaluation(10).id).await.expect("read").is_none());
    store.close().await.expect("closed");
    let file = std::fs::metadata(dir.path().join("poolwarden.db")).expect("there").len();
    assert!(file <= 20 * MIB, "{file} bytes");

    let store = limited(2 * MIB).await;
    let done = maintain(&store, now).await;
    assert!(done.history_deleted > 0 && done.decisions_deleted == 0, "{done:?}");
    assert_eq!(ids(&store).await.len(), 305);
    store.close().await.expect("closed");

    let store = limited(1).await;
    let done = maintain(&store, now).await;
    assert!(done.over_limit && done.decisions_deleted > 0, "{done:?}");
    assert_eq!(ids(&store).await, [1, 2, 3].map(id));
    write(&store, &Batch { decisions: vec![resize(400)], ..Batch::default() }).await;
}

#[tokio::test]
async fn the_maintenance_folds_the_log_in_so_that_writes_need_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let unfolded = async || {
        let mut writer = store.writer().await;
        let (_, pages, folded): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(NOOP)")
            .fetch_one(&mut writer.connection)
            .await
            .expect("asked");
        pages - folded
    };
    for number in 0..80 {
        let evaluation = Evaluation { input: noise(number, 60_000), ..evaluation(number) };
        write(&store, &Batch { evaluations: vec![evaluation], ..Batch::default() }).await;
    }
    assert!(unfolded().await > 1000);
    maintain(&store, at(Duration::ZERO)).await;
    assert_eq!(unfolded().await, 0);
}
