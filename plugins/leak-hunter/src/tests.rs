//! Windows row by row, and what the policy makes of them.

use std::time::Duration;

use poolwarden_policy::testing::{self, HolderRow, PoolRow, ScopeRow};
use poolwarden_policy::{PoolName, Proposal, evaluate};

use super::*;

const START_MS: u64 = 1_000_000_000;

fn calm() -> PoolRow {
    PoolRow::serving("orders", "app", 10, 4)
}

/// Transactions that do not finish hold two servers.
fn unfinished() -> PoolRow {
    PoolRow { busy_finished: 2.0, ..calm() }
}

fn idle_in_transaction() -> PoolRow {
    PoolRow { idle_in_transaction: 1, idle_in_transaction_max_ms: 90_000, ..calm() }
}

struct Scene {
    settings: String,
    memory: Vec<u8>,
    at_ms: u64,
}

impl Scene {
    fn new(settings: &str) -> Self {
        Self { settings: settings.to_owned(), memory: Vec::new(), at_ms: START_MS }
    }

    fn after(&mut self, time: Duration) -> &mut Self {
        self.at_ms += u64::try_from(time.as_millis()).expect("a short time");
        self
    }

    fn sees(
        &mut self,
        pool: PoolRow,
        sessions: Option<poolwarden_policy::contract::Sessions>,
    ) -> Vec<Proposal> {
        let (scopes, pools) = ([ScopeRow::default_size(10)], [pool]);
        let mut columns = testing::columns(&scopes, &pools);
        (columns.at_ms, columns.sessions) = (self.at_ms, sessions);
        let window = testing::name_columns(columns, &scopes, &pools).expect("rows that fit");
        let answer = evaluate::<LeakHunter>(&window, &self.settings, &self.memory);
        let answer = answer.expect("it decides");
        self.memory = answer.memory;
        answer.proposals
    }

    fn looks(&mut self, pool: PoolRow) -> bool {
        let proposals = self.sees(pool, None);
        proposals.iter().any(|one| matches!(one, Proposal::LookAtSessions(_)))
    }
}

fn alerts(proposals: &[Proposal]) -> Vec<&poolwarden_policy::contract::Alert> {
    let mut alerts = Vec::new();
    for one in proposals {
        if let Proposal::Alert(alert) = one {
            alerts.push(alert);
        }
    }
    alerts
}

fn ends(proposals: &[Proposal]) -> Vec<u32> {
    let end = |one: &Proposal| match one {
        Proposal::EndSession(end) => Some(end.holder),
        _ => None,
    };
    proposals.iter().filter_map(end).collect()
}

fn leak(idle_ms: u64) -> HolderRow {
    HolderRow::idle_in_transaction("shop", 77, idle_ms)
}

#[test]
fn nobody_is_looked_at_while_nothing_is_suspicious() {
    let mut scene = Scene::new("{}");
    for _ in 0..100 {
        assert!(!scene.after(Duration::from_secs(60)).looks(calm()));
    }
}

#[test]
fn an_idle_transaction_is_looked_at_from_its_threshold_on() {
    let mut scene = Scene::new("{}");
    let young = PoolRow { idle_in_transaction_max_ms: 59_999, ..idle_in_transaction() };
    assert!(!scene.looks(young));
    assert!(scene.looks(idle_in_transaction()));
}

#[test]
fn transactions_that_do_not_finish_must_last_before_anybody_looks() {
    let mut scene = Scene::new("{}");
    assert!(!scene.looks(unfinished()));
    assert!(!scene.after(Duration::from_secs(59)).looks(unfinished()));
    assert!(scene.after(Duration::from_secs(1)).looks(unfinished()));
    assert!(!scene.looks(calm()), "a break");
    assert!(!scene.after(Duration::from_secs(59)).looks(unfinished()), "starts it anew");
}

#[test]
fn a_session_pool_is_not_suspected_for_holding_servers() {
    let mut scene = Scene::new(r#"{"unfinished_for_ms": 0}"#);
    let session = PoolRow { mode: 0, ..unfinished() };
    assert!(!scene.looks(session.clone()));
    let waiting = PoolRow { cl_waiting: 2, full_for_ms: 10_000, ..session };
    assert!(scene.looks(waiting), "while clients wait for one it is");
}

#[test]
fn looks_that_find_nobody_become_rarer() {
    let mut scene = Scene::new(r#"{"unfinished_for_ms": 0}"#);
    assert!(scene.looks(unfinished()));
    let busy = || Some(testing::sessions(&[HolderRow { state: 1, ..leak(90_000) }], &[]));
    let second = || Duration::from_secs(1);
    assert_eq!(ends(&scene.after(second()).sees(unfinished(), busy())), [0_u32; 0]);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let mut pause = 1;
        while !scene.after(second()).looks(unfinished()) {
            pause += 1;
        }
        pauses.push(pause);
        scene.after(second()).sees(unfinished(), busy());
    }
    assert_eq!(pauses, [14, 29, 59, 119, 239, 299]);
}

#[test]
fn a_leak_is_named_from_the_application_to_the_backend() {
    let mut scene = Scene::new("{}");
    let sessions = testing::sessions(&[leak(90_000)], &[]);
    let proposals = scene.sees(idle_in_transaction(), Some(sessions));
    let alerts = alerts(&proposals);
    let [alert] = alerts.as_slice() else { panic!("{proposals:?}") };
    assert_eq!(alert.name, "idle-in-transaction");
    assert_eq!(alert.runbook, "docs/runbooks/idle-in-transaction.md");
    for part in ["shop", "10.0.0.9:4711", "client 77", "backend 77", "idle for 90 s", "3600 s"] {
        assert!(alert.summary.contains(part), "{part} is not in {}", alert.summary);
    }
    let advice = proposals.iter().find_map(|one| match one {
        Proposal::Recommendation(advice) => Some(advice),
        _ => None,
    });
    let lines: Vec<&str> = advice.expect("a remedy").action.lines().collect();
    assert_eq!(lines[0], "select pg_terminate_backend(77); -- in PostgreSQL");
    assert_eq!(lines[1], "KILL_CLIENT 77; -- in PgBouncer's console");
    assert!(lines[2].starts_with("idle_transaction_timeout = "), "{lines:?}");
    assert_eq!(ends(&proposals), [0_u32; 0], "nothing is ended unless it is set");
}

#[test]
fn sessions_that_work_or_are_young_are_not_blamed() {
    let mut scene = Scene::new(r#"{"end_after_ms": 1000}"#);
    let rows = [
        HolderRow { state: 1, ..leak(900_000) },
        leak(59_999),
        HolderRow { state: 3, ..leak(900_000) },
    ];
    let proposals = scene.sees(unfinished(), Some(testing::sessions(&rows, &[])));
    assert!(alerts(&proposals).is_empty() && ends(&proposals).is_empty(), "{proposals:?}");
}

#[test]
fn only_what_can_be_ended_and_idled_long_enough_is_to_be_ended() {
    let mut scene = Scene::new(r#"{"end_after_ms": 120000}"#);
    let rows = [HolderRow { endable: false, ..leak(500_000) }, leak(119_999), leak(120_000)];
    let proposals = scene.sees(idle_in_transaction(), Some(testing::sessions(&rows, &[])));
    assert_eq!(ends(&proposals), [2]);
    assert_eq!(alerts(&proposals).len(), 1, "one alert names them all");
}

#[test]
fn without_postgresql_silence_is_what_gives_a_leak_away() {
    let mut scene = Scene::new(r#"{"end_after_ms": 1000}"#);
    let silent = HolderRow {
        state: 0,
        endable: false,
        backend_pid: 0,
        state_age_ms: 0,
        statement_age_ms: 0,
        ..leak(90_000)
    };
    let proposals = scene.sees(unfinished(), Some(testing::sessions(&[silent], &[])));
    let alerts = alerts(&proposals);
    assert_eq!(alerts[0].name, "idle-in-transaction");
    assert!(!alerts[0].summary.contains("backend"), "{}", alerts[0].summary);
    assert_eq!(ends(&proposals), [0_u32; 0]);
}

#[test]
fn an_idle_session_is_blamed_only_while_others_wait() {
    let held = HolderRow { state: 3, ..leak(400_000) };
    let sessions = || Some(testing::sessions(std::slice::from_ref(&held), &[]));
    let pool = PoolRow { mode: 0, ..calm() };
    let mut scene = Scene::new("{}");
    assert!(alerts(&scene.sees(pool.clone(), sessions())).is_empty());
    let proposals = scene.sees(PoolRow { cl_waiting: 1, ..pool }, sessions());
    assert_eq!(alerts(&proposals)[0].name, "session-held-idle");
}

#[test]
fn a_group_that_only_grows_is_named_and_one_that_shrank_is_not() {
    let mut scene = Scene::new("{}");
    let growing = PoolRow { clients_trend_per_min: 1.0, ..calm() };
    assert!(!scene.looks(growing.clone()), "it may be an ordinary morning");
    assert!(scene.after(Duration::from_secs(600)).looks(growing.clone()));
    let mut told = Vec::new();
    for step in 0..=6 {
        let groups = [
            (0, "shop", "10.0.0.9", 10 + 2 * step, 1),
            (0, "jobs", "10.0.0.8", 30 + 9 * (step % 3), 1),
        ];
        let proposals = scene.sees(growing.clone(), Some(testing::sessions(&[], &groups)));
        told = alerts(&proposals).into_iter().map(|one| one.summary.clone()).collect();
        assert!(step == 6 || told.is_empty(), "{told:?} after {step}");
        scene.after(Duration::from_secs(300));
    }
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("shop at 10.0.0.9"), "{told:?}");
    assert!(told[0].contains("30 min, from 10 to 22"), "{told:?}");
    let between = scene.sees(growing, None);
    assert_eq!(alerts(&between).len(), 1, "it holds between two looks");
}

#[test]
fn memory_stays_small_in_the_worst_hour() {
    let names: Vec<String> = (0..1_000).map(|at| format!("{at:0>63}")).collect();
    let long: Vec<String> = (0..1_000).map(|at| format!("{at:\"<128}")).collect();
    let groups: Vec<testing::GroupRow<'_>> =
        long.iter().map(|name| (0, name.as_str(), "2001:db8::1", 1, 0)).collect();
    let pools: Vec<PoolRow> = names
        .iter()
        .map(|name| PoolRow { name: PoolName::new(name, name), ..unfinished() })
        .collect();
    let scopes = [ScopeRow::default_size(10)];
    let mut columns = testing::columns(&scopes, &pools);
    columns.sessions = Some(testing::sessions(&[], &groups));
    let window = testing::name_columns(columns, &scopes, &pools).expect("rows that fit");
    let answer = evaluate::<LeakHunter>(&window, "{}", &[]).expect("it decides");
    assert!(answer.memory.len() < 60 << 10, "{} bytes", answer.memory.len());
}

#[test]
fn a_target_that_is_down_is_neither_judged_nor_looked_at() {
    let (scopes, pools) = ([ScopeRow::default_size(10)], [idle_in_transaction()]);
    let mut columns = testing::columns(&scopes, &pools);
    columns.target.status = TargetStatus::Down;
    columns.sessions = Some(testing::sessions(&[leak(90_000)], &[]));
    let window = testing::name_columns(columns, &scopes, &pools).expect("rows that fit");
    let answer = evaluate::<LeakHunter>(&window, "{}", &[]).expect("it decides");
    assert_eq!(answer.proposals, []);
}
