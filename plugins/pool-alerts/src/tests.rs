//! Tells the alerts' behaviour, case by case, through the same functions that the plugin exports.

use poolwarden_policy::contract::{Alert, DatabaseServer, Recommendation, Window as Columns};
use poolwarden_policy::testing::{PoolRow, ScopeRow, columns, name_columns};
use poolwarden_policy::{Answer, Severity, Subject, evaluate};

use super::*;

mod many;

fn run(pools: &[PoolRow], settings: &str, change: impl FnOnce(&mut Columns)) -> Answer {
    let scopes = [ScopeRow::default_size(10)];
    let mut columns = columns(&scopes, pools);
    change(&mut columns);
    let window = name_columns(columns, &scopes, pools).expect("the rows fit together");
    evaluate::<PoolAlerts>(&window, settings, &[]).expect("the policy decides")
}

fn run_pool(pool: PoolRow) -> Answer {
    run(&[pool], "{}", |_| {})
}

fn as_alert(proposal: &Proposal) -> Option<&Alert> {
    match proposal {
        Proposal::Alert(alert) => Some(alert),
        _ => None,
    }
}

fn as_advice(proposal: &Proposal) -> Option<&Recommendation> {
    match proposal {
        Proposal::Recommendation(advice) => Some(advice),
        _ => None,
    }
}

fn alerts(answer: &Answer) -> Vec<&Alert> {
    answer.proposals.iter().filter_map(as_alert).collect()
}

fn names(answer: &Answer) -> Vec<&str> {
    alerts(answer).iter().map(|alert| alert.name.as_str()).collect()
}

fn advice(answer: &Answer) -> Vec<&Recommendation> {
    answer.proposals.iter().filter_map(as_advice).collect()
}

fn alert<'a>(answer: &'a Answer, name: &str) -> &'a Alert {
    let found = alerts(answer).into_iter().find(|alert| alert.name == name);
    found.unwrap_or_else(|| panic!("no {name} among {:?}", names(answer)))
}

fn serving() -> PoolRow {
    PoolRow::serving("orders", "app", 10, 4)
}

/// Full, with three clients whose oldest has waited 200 ms.
fn queueing() -> PoolRow {
    PoolRow { maxwait_us: 200_000, ..PoolRow::queueing("orders", "app", 10, 3, 13.0) }
}

fn database() -> DatabaseServer {
    DatabaseServer {
        reachable: true,
        data_age_ms: 0,
        max_connections: 100,
        reserved_connections: 3,
        connections: 20,
        active: 4,
        idle_in_transaction: 0,
        running: 4,
        waiting_on_lock: 0,
        waiting_on_io: 0,
        waiting_on_other: 0,
        others: 5,
        budget: 90,
    }
}

#[test]
fn a_healthy_pool_has_nothing_to_say() {
    assert!(run_pool(serving()).proposals.is_empty());
}

#[test]
fn an_exhausted_pool_is_named_with_its_numbers() {
    let answer = run_pool(queueing());
    assert_eq!(names(&answer), ["pool-exhausted", "high-utilization"]);
    let alert = alert(&answer, "pool-exhausted");
    assert_eq!(alert.summary, "All 10 servers of orders/app are busy and 3 clients wait.");
    assert_eq!((alert.subject, alert.severity), (Subject::Pool(0), Severity::Critical));
    assert_eq!((alert.hold_ms, alert.cooldown_ms), (1_000, 60_000));
    assert!(alert.evidence.iter().any(|it| it.name == "waiting" && it.value == 3.0));
}

#[test]
fn waiters_beside_free_servers_do_not_exhaust_a_pool() {
    let answer = run_pool(PoolRow { sv_active: 9, utilization: 0.5, ..queueing() });
    assert!(names(&answer).is_empty());
}

#[test]
fn utilization_fires_above_its_threshold_only() {
    let at = |utilization| PoolRow { utilization, ..serving() };
    assert!(names(&run_pool(at(0.8))).is_empty());
    let answer = run_pool(at(0.81));
    assert_eq!(alert(&answer, "high-utilization").hold_ms, 10_000);
}

#[test]
fn a_long_wait_fires_from_its_threshold() {
    let at = |maxwait_us| PoolRow { maxwait_us, ..queueing() };
    assert!(!names(&run_pool(at(999_999))).contains(&"long-wait"));
    assert!(names(&run_pool(at(1_000_000))).contains(&"long-wait"));
}

#[test]
fn a_wedged_queue_is_not_called_exhausted() {
    let at = |unserved_for_ms| PoolRow { condition: 5, unserved_for_ms, ..queueing() };
    assert_eq!(names(&run_pool(at(5_000))), ["wedged-queue", "high-utilization"]);
    assert_eq!(names(&run_pool(at(4_999))), ["high-utilization"]);
}

#[test]
fn a_queue_at_login_is_told_apart() {
    let login = PoolRow { condition: 3, cl_waiting: 2, ..PoolRow::serving("orders", "app", 10, 0) };
    assert_eq!(names(&run_pool(login)), ["login-queue"]);
}

#[test]
fn a_paused_pool_only_warns_of_timeouts() {
    let paused = PoolRow {
        condition: 4,
        cl_waiting: 5,
        maxwait_us: 100_000_000,
        ..PoolRow::serving("orders", "app", 10, 0)
    };
    assert_eq!(names(&run_pool(paused)), ["timeout-near"]);
}

#[test]
fn a_timeout_is_near_from_its_share() {
    let at = |maxwait_us| PoolRow { maxwait_us, ..queueing() };
    assert!(!names(&run_pool(at(95_999_999))).contains(&"timeout-near"));
    assert!(names(&run_pool(at(96_000_000))).contains(&"timeout-near"));
    let unbounded = run(&[at(96_000_000)], "{}", |it| it.target.query_wait_timeout_ms = 0);
    assert!(!names(&unbounded).contains(&"timeout-near"));
}

#[test]
fn servers_that_finish_nothing_are_a_leak() {
    let leaking = |busy_finished| PoolRow { busy_mean: 4.0, busy_finished, ..serving() };
    assert!(names(&run_pool(leaking(3.1))).is_empty());
    let answer = run_pool(leaking(3.0));
    let alert = alert(&answer, "connection-leak");
    assert_eq!(alert.hold_ms, 300_000);
    let named = |name| alert.evidence.iter().any(|it| it.name == name);
    assert!(named("busy-finished") && named("idle-in-transaction-max-s"));
    assert!(advice(&answer).is_empty(), "a long query is no reason to end idle clients");
}

#[test]
fn an_old_idle_transaction_is_a_leak_with_a_remedy() {
    let idle = PoolRow { idle_in_transaction: 1, idle_in_transaction_max_ms: 300_000, ..serving() };
    let answer = run_pool(idle);
    assert_eq!(names(&answer), ["connection-leak"]);
    assert!(alerts(&answer)[0].summary.contains("1 session is idle in a transaction"));
    assert_eq!(advice(&answer)[0].name, "leak-remedy");
    assert!(advice(&answer)[0].action.ends_with("idle_transaction_timeout = 300"));
}

#[test]
fn stale_pools_are_silent() {
    assert!(run_pool(PoolRow { condition: 6, ..queueing() }).proposals.is_empty());
}

#[test]
fn a_target_that_is_down_silences_its_pools() {
    let answer = run(&[queueing()], "{}", |it| it.target.status = TargetStatus::Down);
    assert_eq!(names(&answer), ["pgbouncer-down"]);
    assert_eq!(alerts(&answer)[0].subject, Subject::Target);
}

#[test]
fn a_paused_target_is_told() {
    let answer = run(&[serving()], "{}", |it| it.target.status = TargetStatus::Paused);
    assert_eq!(names(&answer), ["pgbouncer-paused"]);
}

#[test]
fn the_limit_of_clients_is_told_before_it_is_reached() {
    let with = |clients| run(&[], "{}", |it| it.target.clients = clients);
    assert!(names(&with(899)).is_empty());
    assert_eq!(names(&with(900)), ["client-limit-near"]);
}

#[test]
fn the_limit_of_database_connections_counts_without_the_reserved_ones() {
    let with = |connections| {
        run(&[], "{}", |it| it.database = Some(DatabaseServer { connections, ..database() }))
    };
    assert!(names(&with(87)).is_empty());
    assert_eq!(names(&with(88)), ["database-connections-near"]);
}

#[test]
fn an_unreachable_database_is_told_and_its_old_numbers_are_not_used() {
    let lost = DatabaseServer { reachable: false, connections: 97, ..database() };
    let answer = run(&[], "{}", |it| it.database = Some(lost));
    assert_eq!(names(&answer), ["database-unreachable"]);
}

#[test]
fn clients_that_grow_are_told_only_when_asked_for() {
    let growing = PoolRow { clients_trend_per_min: 50.0, ..serving() };
    assert!(names(&run_pool(growing.clone())).is_empty());
    let answer = run(&[growing], r#"{"clients_growing": {"enabled": true}}"#, |_| {});
    assert_eq!(names(&answer), ["clients-growing"]);
}

#[test]
fn a_queue_without_a_timeout_is_advised_against() {
    let unbounded = |it: &mut Columns| it.target.query_wait_timeout_ms = 0;
    let answer = run(&[serving()], "{}", unbounded);
    assert_eq!(advice(&answer)[0].name, "unbounded-queue");
    let quiet = run(&[serving()], r#"{"recommendations_enabled": false}"#, unbounded);
    assert!(quiet.proposals.is_empty());
}

#[test]
fn an_alert_can_be_switched_off_or_retimed_by_itself() {
    let off = r#"{"pool_exhausted": {"enabled": false}, "high_utilization": {"hold_ms": 1}}"#;
    let answer = run(&[queueing()], off, |_| {});
    assert_eq!(names(&answer), ["high-utilization"]);
    let alert = alert(&answer, "high-utilization");
    assert_eq!((alert.hold_ms, alert.cooldown_ms), (1, 60_000));
}

#[test]
fn an_unknown_setting_is_refused() {
    let window = name_columns(columns(&[], &[]), &[], &[]).expect("an empty window is one");
    let error = evaluate::<PoolAlerts>(&window, r#"{"long_wait": {"maxwait": 3}}"#, &[]);
    assert!(error.expect_err("the field does not exist").contains("maxwait"));
}

#[test]
fn pools_come_before_the_target() {
    let answer = run(&[queueing()], "{}", |it| it.target.clients = 1_000);
    assert_eq!(names(&answer), ["pool-exhausted", "high-utilization", "client-limit-near"]);
}
