//! A batch is written whole or not at all, and writing it again does no harm.

use std::time::{Duration, Instant};

use sqlx::Executor;

use super::*;
use crate::model::{
    Alert, AlertKey, AlertState, EffectPoint, EffectReport, Measure, PoolKey, Setting,
};
use crate::record::{
    AlertChange, DecisionFilter, EffectState, Memory, RecordError, ScopeState, StoredAlert,
    peek_scopes,
};

fn alert(state: AlertState) -> Alert {
    let subject = Subject::Pool(PoolKey::new("a/b", "\"ü\""));
    let key = AlertKey { policy: policy("pool-alerts"), name: "exhausted".into(), subject };
    Alert { key, state, since: at(Duration::ZERO) }
}

fn found(alert: Alert, proposal: Option<Proposal>) -> StoredAlert {
    StoredAlert { alert, held_until: None, proposal }
}

fn full_batch() -> Batch {
    let decision = resize(1);
    let transitions = [(Status::Applied, 10), (Status::Verified, 20)];
    let scope = |scope, wanted, stood_down| ScopeState {
        at: Timestamp::default(),
        setting: Setting::size_of(scope),
        target: target("main"),
        base: size(20),
        wanted,
        stood_down,
        changed_at: at(Duration::from_secs(1)),
    };
    Batch {
        evaluations: vec![evaluation(1)],
        transitions: transitions
            .map(|(status, ms)| changed(&decision, status, Duration::from_millis(ms)))
            .into(),
        decisions: vec![decision],
        scopes: vec![
            scope(ScopeKey::Database("a:b".into()), Some(size(30)), None),
            scope(ScopeKey::Default, None, Some(at(Duration::ZERO))),
            scope(ScopeKey::User("x".into()), Some(size(1)), None),
        ],
        alerts: vec![AlertChange::Set {
            target: target("main"),
            alert: alert(AlertState::Firing(id(1))),
        }],
        silences: Vec::new(),
        holds: Vec::new(),
        approvals: Vec::new(),
        memories: vec![Memory {
            policy: policy("autosize"),
            target: target("main"),
            blob: vec![0, 255],
        }],
        effects: vec![report()],
        effect_states: vec![EffectState {
            target: target("main"),
            setting: Setting::DEFAULT,
            status: Status::RolledBack,
            at: at(Duration::from_secs(1)),
            from: size(5),
            to: size(15),
            until: Some(at(Duration::from_secs(601))),
            repeats: 2,
            going_back: Some((id(1), size(5))),
        }],
    }
}

fn report() -> EffectReport {
    let measure =
        Measure { throughput_per_s: 250.5, rollback_ratio: Some(0.25), ..Measure::default() };
    EffectReport {
        decision: id(1),
        began: at(Duration::from_secs(1)),
        expected: "more".into(),
        expected_numbers: vec![Evidence { name: "throughput_per_s".into(), value: 750.0 }],
        before: measure,
        after: Measure { maxwait_us: 7, ..measure },
        series: vec![EffectPoint {
            at: at(Duration::from_secs(2)),
            size: 15,
            servers: 14.5,
            waiting: 0.25,
            throughput_per_s: 700.0,
            transaction_mean_us: 20_000.0,
        }],
        judged_at: Some(at(Duration::from_secs(11))),
        judged: "fine".into(),
    }
}

async fn assert_holds(store: &Store, batch: &Batch) {
    let stored = store.decision(id(1)).await.expect("read").expect("there");
    let expected = Decision { status: Status::Verified, ..batch.decisions[0].clone() };
    assert_eq!(stored.decision, expected);
    assert_eq!(stored.transitions, batch.transitions);
    let effect = store.effect(id(1)).await.expect("read").expect("there");
    assert_eq!(effect, batch.effects[0]);
    let states = store.effect_states(&target("main")).await.expect("read");
    assert_eq!(states, batch.effect_states);
    let evaluation = store.evaluation(batch.evaluations[0].id).await.expect("read");
    assert_eq!(evaluation.as_ref(), batch.evaluations.first());
    assert_eq!(store.scope_states(&target("main")).await.expect("read"), batch.scopes);
    let alerts = store.alerts(&target("main")).await.expect("read");
    let proposal = Some(batch.decisions[0].proposal.clone());
    assert_eq!(alerts, [found(alert(AlertState::Firing(id(1))), proposal)]);
    assert_eq!(store.memories().await.expect("read"), batch.memories);
}

#[tokio::test]
async fn a_batch_reads_back_as_it_was_written_and_writing_it_again_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let batch = full_batch();
    for _ in 0..2 {
        write(&store, &batch).await;
        assert_holds(&store, &batch).await;
    }
    assert_eq!(store.scope_states(&target("other")).await.expect("read"), []);
}

#[tokio::test]
async fn a_peek_reads_scopes_beside_a_running_sidecar_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let peek = async || peek_scopes(dir.path(), &target("main")).await.expect("read");
    let files = || std::fs::read_dir(dir.path()).expect("listed").count();
    assert_eq!((peek().await, files()), (Vec::new(), 0), "there is no store");
    let (store, batch) = (open(dir.path()).await, full_batch());
    write(&store, &batch).await;
    assert_eq!(peek().await, batch.scopes);
    store.close().await.expect("closed");
    let before = files();
    assert_eq!((peek().await, files()), (batch.scopes, before));
}

#[tokio::test]
async fn an_old_batch_written_again_does_not_bring_an_old_status_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let decision = resize(1);
    let old = Batch {
        transitions: vec![changed(&decision, Status::Applied, Duration::from_millis(1))],
        decisions: vec![decision.clone()],
        ..Batch::default()
    };
    let failed = changed(&decision, Status::Failed, Duration::from_millis(1));
    write(&store, &old).await;
    write(&store, &Batch { transitions: vec![failed], ..Batch::default() }).await;
    write(&store, &old).await;
    let stored = store.decision(decision.id).await.expect("read").expect("there");
    assert_eq!(stored.decision.status, Status::Failed);
    assert_eq!(stored.transitions.len(), 2);
}

#[tokio::test]
async fn what_waited_for_the_disk_is_not_written_over_what_came_after() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let decision = resize(1);
    write(&store, &Batch { decisions: vec![decision.clone()], ..Batch::default() }).await;
    let of = |ms, wanted, status| {
        let mut scope = full_batch().scopes.remove(0);
        (scope.at, scope.wanted) = (at(Duration::from_millis(ms)), Some(size(wanted)));
        let transitions = vec![changed(&decision, status, Duration::from_millis(ms))];
        Batch { scopes: vec![scope], transitions, ..Batch::default() }
    };
    write(&store, &of(5, 40, Status::Applied)).await;
    write(&store, &of(9, 50, Status::Verified)).await;
    write(&store, &of(7, 45, Status::Applied)).await;
    let states = store.scope_states(&target("main")).await.expect("read");
    assert_eq!(states[0].wanted, Some(size(50)));
    let stored = store.decision(decision.id).await.expect("read").expect("there");
    assert_eq!(stored.decision.status, Status::Verified);
    let last = stored.transitions.last().map(|one| one.status);
    assert_eq!((stored.transitions.len(), last), (3, Some(Status::Verified)));
    write(&store, &of(9, 55, Status::Verified)).await;
    let states = store.scope_states(&target("main")).await.expect("read");
    assert_eq!(states[0].wanted, Some(size(55)), "of the same moment the later counts");
}

#[tokio::test]
async fn alerts_change_state_and_are_forgotten() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let main = target("main");
    for state in [
        AlertState::Pending,
        AlertState::Firing(id(3)),
        AlertState::Cooling(at(Duration::from_secs(9))),
    ] {
        let alert = alert(state);
        let set = AlertChange::Set { target: main.clone(), alert: alert.clone() };
        write(&store, &Batch { alerts: vec![set], ..Batch::default() }).await;
        assert_eq!(store.alerts(&main).await.expect("read"), [found(alert, None)]);
    }
    let key = alert(AlertState::Pending).key;
    let (since, held_until) = (at(Duration::ZERO), at(Duration::from_secs(7)));
    let pending =
        AlertChange::Pending { target: main.clone(), key: key.clone(), since, held_until };
    write(&store, &Batch { alerts: vec![pending], ..Batch::default() }).await;
    let held =
        StoredAlert { held_until: Some(held_until), ..found(alert(AlertState::Pending), None) };
    assert_eq!(store.alerts(&main).await.expect("read"), [held]);
    let forget = AlertChange::Forget { target: main.clone(), key };
    write(&store, &Batch { alerts: vec![forget], ..Batch::default() }).await;
    assert_eq!(store.alerts(&main).await.expect("read"), []);
}

#[tokio::test]
async fn a_transition_of_an_unknown_decision_does_not_hold_up_the_rest() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let batch = Batch {
        transitions: vec![changed(&resize(9), Status::Resolved, Duration::ZERO)],
        memories: full_batch().memories,
        ..Batch::default()
    };
    write(&store, &batch).await;
    assert_eq!(store.decision(id(9)).await.expect("read"), None);
    assert_eq!(store.memories().await.expect("read"), batch.memories);
}

#[tokio::test]
async fn a_full_disk_takes_nothing_of_a_batch_and_the_same_batch_succeeds_later() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let mut batch = full_batch();
    batch.evaluations.push(Evaluation { input: noise(1, 400_000), ..evaluation(2) });
    limit_pages(&store, "PRAGMA max_page_count = 60").await;
    for _ in 0..2 {
        let error = store.write(&batch).await.expect_err("no room");
        assert!(matches!(error, RecordError::DiskFull { .. }), "{error:?}");
        let told = error.to_string();
        assert!(told.contains("disk is full") && told.contains("poolwarden.db"), "{told}");
        let page = store.decisions(&DecisionFilter::default()).await.expect("still readable");
        assert_eq!(page.decisions, []);
        assert_eq!(store.evaluation(evaluation(1).id).await.expect("read"), None);
        assert_eq!(store.memories().await.expect("read"), []);
    }
    limit_pages(&store, "PRAGMA max_page_count = 1000000").await;
    write(&store, &batch).await;
    assert_holds(&store, &batch).await;
}

async fn limit_pages(store: &Store, pragma: &'static str) {
    store.writer().await.connection.execute(pragma).await.expect("limited");
}

/// Counts scopes and memories as of one moment: a commit that was under way may still come through
/// between two reads.
async fn settled_counts(store: &Store) -> (usize, usize) {
    loop {
        let before = store.scope_states(&target("main")).await.expect("read").len();
        let memories = store.memories().await.expect("read").len();
        let after = store.scope_states(&target("main")).await.expect("read").len();
        if before == after {
            return (after, memories);
        }
    }
}

#[tokio::test]
async fn a_write_that_is_dropped_half_way_leaves_nothing_and_stops_nobody() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    for polls in 1..40 {
        let batch = full_batch();
        let mut write = Box::pin(store.write(&batch));
        for _ in 0..polls {
            let ended = futures_util::poll!(&mut write);
            if ended.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(write);
        let (scopes, memories) = settled_counts(&store).await;
        assert!(
            (scopes, memories) == (0, 0) || (scopes, memories) == (3, 1),
            "{scopes} scopes and {memories} memories are neither nothing nor all"
        );
    }
    write(&store, &full_batch()).await;
    assert_holds(&store, &full_batch()).await;
}

#[tokio::test]
async fn what_a_write_takes_is_printed() {
    const WRITES: u64 = 300;
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let mut times = Vec::new();
    for number in 0..WRITES {
        let batch = Batch {
            evaluations: vec![evaluation(number)],
            decisions: vec![resize(number)],
            ..Batch::default()
        };
        let begin = Instant::now();
        write(&store, &batch).await;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times.last().expect("some"));
    println!("one evaluation and one decision: median {median:?}, worst {worst:?}");
    let large = Evaluation { input: evaluation(1).input.repeat(70), ..evaluation(WRITES) };
    let bytes = large.input.len();
    let begin = Instant::now();
    write(&store, &Batch { evaluations: vec![large], ..Batch::default() }).await;
    println!("an input of {bytes} bytes: {:?}", begin.elapsed());
    let all = DecisionFilter { limit: 500, ..DecisionFilter::default() };
    let page = store.decisions(&all).await.expect("read");
    assert_eq!(u64::try_from(page.decisions.len()), Ok(WRITES));
}
