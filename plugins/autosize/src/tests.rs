//! Tells the policy's behaviour, case by case, through the same functions that the plugin exports.

mod limits;
mod loops;
mod sim;

use poolwarden_policy::contract::{DatabaseServer, Resize, Window as Columns};
use poolwarden_policy::testing::{PoolRow, ScopeRow, columns, name_columns};
use poolwarden_policy::{Answer, Proposal, Subject, TargetStatus, evaluate};

use super::*;

const AFTER_MS: u64 = 30_000;
const NONE: [u32; 0] = [];

/// Evaluates one window that was built from rows and changed by hand.
fn run(
    scopes: &[ScopeRow],
    pools: &[PoolRow],
    settings: &str,
    memory: &[u8],
    change: impl FnOnce(&mut Columns),
) -> Answer {
    let mut columns = columns(scopes, pools);
    change(&mut columns);
    let window = name_columns(columns, scopes, pools).expect("the rows fit together");
    evaluate::<Autosize>(&window, settings, memory).expect("the policy decides")
}

fn run_default(size: u32, pool: PoolRow) -> Answer {
    run(&[ScopeRow::default_size(size)], &[pool], "{}", &[], |_| {})
}

/// Evaluates the same pools twice, the second time `later_ms` later.
fn run_twice(size: u32, pools: &[PoolRow], later_ms: u64) -> Answer {
    let scopes = [ScopeRow::default_size(size)];
    let first = run(&scopes, pools, "{}", &[], |_| {});
    run(&scopes, pools, "{}", &first.memory, |columns| columns.at_ms += later_ms)
}

fn as_resize(proposal: &Proposal) -> Option<&Resize> {
    match proposal {
        Proposal::Resize(resize) => Some(resize),
        _ => None,
    }
}

fn as_advice(proposal: &Proposal) -> Option<(&str, &str, Subject)> {
    match proposal {
        Proposal::Recommendation(it) => Some((&it.name, &it.action, it.subject)),
        _ => None,
    }
}

fn resizes(answer: &Answer) -> Vec<&Resize> {
    answer.proposals.iter().filter_map(as_resize).collect()
}

fn sizes(answer: &Answer) -> Vec<u32> {
    resizes(answer).iter().map(|resize| resize.size).collect()
}

fn advice(answer: &Answer) -> Vec<(&str, &str, Subject)> {
    answer.proposals.iter().filter_map(as_advice).collect()
}

fn stuck_database() -> DatabaseServer {
    DatabaseServer {
        reachable: true,
        data_age_ms: 0,
        max_connections: 100,
        reserved_connections: 3,
        connections: 20,
        active: 10,
        idle_in_transaction: 0,
        running: 2,
        waiting_on_lock: 6,
        waiting_on_io: 1,
        waiting_on_other: 1,
        others: 0,
        budget: 90,
    }
}

#[test]
fn grows_to_the_demand_at_target_utilization_when_clients_wait() {
    let answer = run_default(4, PoolRow::queueing("orders", "app", 4, 5, 9.0));
    // Four are busy; with seven one in a hundred waits for longer than a transaction takes.
    assert_eq!(sizes(&answer), [7]);
    let resize = resizes(&answer)[0];
    assert!(resize.reason.contains("5 clients wait for orders/app"), "{}", resize.reason);
    assert!(resize.evidence.iter().any(|it| it.name == "waiting" && it.value == 5.0));
}

#[test]
fn leaves_a_pool_alone_that_is_large_enough() {
    let blip = PoolRow {
        waiting_for_ms: 100,
        busy_mean: 8.0,
        busy_finished: 8.0,
        ..PoolRow::queueing("orders", "app", 12, 3, 12.1)
    };
    assert_eq!(sizes(&run_default(12, blip)), NONE, "three who wait for a moment are chance");
    assert!(run_default(13, PoolRow::serving("orders", "app", 13, 9)).proposals.is_empty());
}

#[test]
fn waits_for_the_confirmation_time() {
    let scopes = [ScopeRow::default_size(4)];
    let pools = [PoolRow::queueing("orders", "app", 4, 5, 9.0)];
    let late = run(&scopes, &pools, r#"{"confirm_ms": 1001}"#, &[], |_| {});
    assert_eq!(sizes(&late), NONE);
    let due = run(&scopes, &pools, r#"{"confirm_ms": 1000}"#, &[], |_| {});
    assert_eq!(sizes(&due), [7]);
}

#[test]
fn does_not_grow_for_a_queue_beside_unused_room() {
    for open in [0, 3] {
        let pool = PoolRow::queueing("orders", "app", 4, 5, 8.0);
        let pool = PoolRow { sv_active: open, sv_idle: 0, sv_login: 1, ..pool };
        assert_eq!(sizes(&run_default(4, pool)), NONE, "{open} of 4 servers are open");
    }
}

#[test]
fn grows_before_anybody_waits() {
    let nearly = PoolRow { busy_finished: 9.7, ..PoolRow::serving("orders", "app", 10, 9) };
    assert_eq!(sizes(&run_default(10, nearly.clone())), [13]);
    let fits = PoolRow { busy_finished: 6.5, ..nearly.clone() };
    assert_eq!(sizes(&run_default(10, fits)), NONE);
    // Little more than half is busy and rises by a server a second: 6.5 · 1.25 within the lead time.
    let rising = PoolRow { busy_finished: 6.5, demand_trend_per_min: 60.0, ..nearly.clone() };
    let answer = run_default(10, rising);
    assert_eq!(sizes(&answer), [12]);
    assert!(resizes(&answer)[0].reason.contains("rises by 60.0 servers a minute"));
    let jumped = PoolRow { busy_finished: 2.0, busy_mean: 2.5, sv_active: 20, ..nearly };
    assert_eq!(sizes(&run_default(20, PoolRow { size: 20, ..jumped })), [24]);
}

#[test]
fn does_not_grow_for_a_queue_that_servers_would_not_shorten() {
    for condition in [3, 4, 5, 6] {
        let pool = PoolRow { condition, ..PoolRow::queueing("orders", "app", 4, 5, 9.0) };
        assert!(run_default(4, pool).proposals.is_empty(), "condition {condition}");
    }
}

#[test]
fn does_nothing_and_forgets_the_calm_while_the_target_is_not_up() {
    let scopes = [ScopeRow::default_size(20)];
    let queue = [PoolRow::queueing("orders", "app", 20, 5, 9.0)];
    let calm = [PoolRow::serving("orders", "app", 20, 3)];
    let first = run(&scopes, &calm, "{}", &[], |_| {});
    for status in [TargetStatus::Down, TargetStatus::Paused] {
        let away = run(&scopes, &queue, "{}", &first.memory, |it| {
            it.target.status = status;
            it.at_ms += 1_000;
        });
        assert!(away.proposals.is_empty());
        let back = run(&scopes, &calm, "{}", &away.memory, |it| it.at_ms += AFTER_MS);
        assert_eq!(sizes(&back), NONE, "what was not seen was not calm");
    }
}

#[test]
fn memory_that_cannot_be_known_is_none() {
    let scopes = [ScopeRow::default_size(20)];
    let calm = [PoolRow::serving("orders", "app", 20, 3)];
    for memory in [r#"{"":[4,1]}"#, r#"{"version":1}"#, r#"{"version":3,"scopes":7}"#, "�"] {
        assert_eq!(sizes(&run(&scopes, &calm, "{}", memory.as_bytes(), |_| {})), NONE);
    }
}

#[test]
fn a_scope_gets_what_its_neediest_pool_wants() {
    let pools = [
        PoolRow::queueing("orders", "app", 4, 1, 5.0),
        PoolRow::queueing("billing", "app", 4, 5, 9.0),
        PoolRow::serving("reports", "app", 4, 1),
    ];
    assert_eq!(sizes(&run(&[ScopeRow::default_size(4)], &pools, "{}", &[], |_| {})), [7]);
}

#[test]
fn does_not_grow_against_a_database_that_waits_on_itself() {
    let scopes = [ScopeRow::default_size(4)];
    let pools = [PoolRow::queueing("orders", "app", 4, 5, 9.0)];
    let answer = run(&scopes, &pools, "{}", &[], |it| it.database = Some(stuck_database()));
    assert_eq!(sizes(&answer), NONE);
    assert_eq!(advice(&answer)[0].0, "database-is-slow");

    let few = DatabaseServer { active: 3, waiting_on_lock: 3, ..stuck_database() };
    let answer = run(&scopes, &pools, "{}", &[], |it| it.database = Some(few));
    assert_eq!(sizes(&answer), [7]);

    let unknown = DatabaseServer { reachable: false, ..stuck_database() };
    let answer = run(&scopes, &pools, "{}", &[], |it| it.database = Some(unknown));
    assert_eq!(sizes(&answer), [7]);
}

#[test]
fn says_nothing_of_a_slow_database_when_nothing_wants_to_grow() {
    let scopes = [ScopeRow::default_size(10)];
    let pools = [PoolRow::serving("orders", "app", 10, 7)];
    let answer = run(&scopes, &pools, "{}", &[], |it| it.database = Some(stuck_database()));
    assert!(answer.proposals.is_empty());
}

#[test]
fn grows_to_the_ceiling_and_asks_for_more() {
    let scopes = [ScopeRow { ceiling: 5, ..ScopeRow::default_size(4) }];
    let pools = [PoolRow::queueing("orders", "app", 4, 5, 9.0)];
    let answer = run(&scopes, &pools, "{}", &[], |_| {});
    assert_eq!(sizes(&answer), [5]);
    assert_eq!(advice(&answer)[0].0, "raise-ceiling");

    let scopes = [ScopeRow { ceiling: 4, ..ScopeRow::default_size(4) }];
    let answer = run(&scopes, &pools, "{}", &[], |_| {});
    assert_eq!(sizes(&answer), NONE);
    assert_eq!(advice(&answer)[0].0, "raise-ceiling");
}

#[test]
fn recommends_the_line_for_a_size_that_it_cannot_set() {
    let scopes = [ScopeRow::database("orders", 4)];
    let pools = [PoolRow::queueing("orders", "app", 4, 5, 9.0)];
    let answer = run(&scopes, &pools, "{}", &[], |_| {});
    assert_eq!(sizes(&answer), NONE);
    let line = "[databases]\norders = … pool_size=7";
    assert_eq!(advice(&answer), [("set-pool-size", line, Subject::Scope(0))]);
}

#[test]
fn shrinks_one_step_after_the_calm_and_not_before() {
    let pools = [PoolRow::serving("orders", "app", 20, 3)];
    assert_eq!(sizes(&run_twice(20, &pools, AFTER_MS - 1)), NONE);
    assert_eq!(sizes(&run_twice(20, &pools, AFTER_MS)), [10]);
}

#[test]
fn shrinks_one_step_after_the_other_while_no_growth_is_being_measured() {
    let pools = [PoolRow::serving("orders", "app", 20, 3)];
    let shrunk = run_twice(20, &pools, AFTER_MS);
    let smaller = [PoolRow::serving("orders", "app", 10, 3)];
    let later = |it: &mut Columns| it.at_ms += AFTER_MS + 1_000;
    let scope = ScopeRow { change_from: 20, change_to: 10, ..ScopeRow::default_size(10) };
    let measured = [ScopeRow { change: 1, ..scope.clone() }];
    assert_eq!(sizes(&run(&measured, &smaller, "{}", &shrunk.memory, later)), [8]);
    let grown = [ScopeRow { change: 1, change_from: 5, ..scope.clone() }];
    assert_eq!(sizes(&run(&grown, &smaller, "{}", &shrunk.memory, later)), NONE);
    let verified = [ScopeRow { change: 2, ..scope }];
    assert_eq!(sizes(&run(&verified, &smaller, "{}", &shrunk.memory, later)), [8]);
}

#[test]
fn gives_up_half_of_what_may_be_chance_and_all_of_what_is_plainly_gone() {
    let calm = PoolRow::serving("orders", "app", 20, 9);
    // 9 busy ones want 13 or 14, half of the surplus stays.
    assert_eq!(sizes(&run_twice(20, &[calm], AFTER_MS)), [17]);
    // Of 17 on average 7 are left now, ten at most by chance, which want 13.
    let before = PoolRow {
        busy_finished: 17.0,
        busy_mean: 17.0,
        ..PoolRow::serving("orders", "app", 20, 7)
    };
    assert_eq!(sizes(&run_twice(20, &[before], AFTER_MS)), [13]);
}

/// A pool of 40 with so many busy servers, so much later.
fn forty(busy: u32, memory: &[u8], later_ms: u64) -> Answer {
    let scopes = [ScopeRow::default_size(40)];
    let pools = [PoolRow::serving("orders", "app", 40, busy)];
    run(&scopes, &pools, "{}", memory, |columns| columns.at_ms += later_ms)
}

#[test]
fn a_pool_that_has_not_worked_yet_is_left_alone_and_looked_at_anew_when_it_does() {
    let first = forty(0, &[], 0);
    let night = forty(0, &first.memory, 10 * AFTER_MS);
    assert_eq!(sizes(&night), NONE);
    let morning = forty(2, &night.memory, 10 * AFTER_MS + 1_000);
    assert_eq!(sizes(&morning), NONE, "it has only begun to work");
    assert_eq!(sizes(&forty(2, &morning.memory, 11 * AFTER_MS + 1_000)), [20]);
    assert_eq!(sizes(&forty(0, &morning.memory, 11 * AFTER_MS + 1_000)), [20], "its load is gone");
}

#[test]
fn a_waiter_starts_the_calm_anew() {
    let scopes = [ScopeRow::default_size(20)];
    let quiet = PoolRow::serving("orders", "app", 20, 3);
    let noisy = PoolRow::queueing("orders", "app", 20, 1, 3.0);
    let first = run(&scopes, std::slice::from_ref(&quiet), "{}", &[], |_| {});
    let second = run(&scopes, &[noisy], "{}", &first.memory, |it| it.at_ms += AFTER_MS);
    let third = run(&scopes, &[quiet], "{}", &second.memory, |it| it.at_ms += AFTER_MS + 1);
    assert_eq!(sizes(&third), NONE);
}

#[test]
fn does_not_shrink_while_somebody_waits_be_it_by_chance() {
    let pool = |waiting: u32| PoolRow {
        cl_waiting: waiting,
        maxwait_us: u64::from(waiting) * 100_000,
        waiting_for_ms: u64::from(waiting) * 100,
        ..PoolRow::serving("orders", "app", 20, 3)
    };
    let scopes = [ScopeRow::default_size(20)];
    let first = run(&scopes, &[pool(0)], "{}", &[], |_| {});
    let second =
        |waiting| run(&scopes, &[pool(waiting)], "{}", &first.memory, |it| it.at_ms += AFTER_MS);
    assert_eq!((sizes(&second(1)), sizes(&second(0))), (Vec::new(), vec![10]));
}

#[test]
fn does_not_shrink_below_what_the_peak_of_the_stretch_wanted() {
    let peak = forty(28, &[], 0);
    let later = forty(3, &peak.memory, AFTER_MS);
    assert_eq!(sizes(&later), NONE, "28 want 32, within the tolerance of 40");
    let much_later = forty(3, &later.memory, AFTER_MS + 30_000);
    assert_eq!(sizes(&much_later), [20]);
}

#[test]
fn does_not_shrink_below_the_floor() {
    let scopes = [ScopeRow { floor: 18, ..ScopeRow::default_size(20) }];
    let pools = [PoolRow::serving("orders", "app", 20, 3)];
    let first = run(&scopes, &pools, "{}", &[], |_| {});
    let answer = run(&scopes, &pools, "{}", &first.memory, |it| it.at_ms += AFTER_MS);
    assert_eq!(sizes(&answer), NONE);
}

#[test]
fn does_not_shrink_a_pool_whose_clients_wait_for_something_else() {
    let stuck = PoolRow {
        sv_active: 2,
        busy_mean: 2.0,
        busy_finished: 0.0,
        waiting_for_ms: 60_000,
        ..PoolRow::queueing("orders", "app", 20, 4, 6.0)
    };
    assert_eq!(sizes(&run_twice(20, &[stuck], AFTER_MS)), NONE);
}

#[test]
fn does_not_shrink_on_numbers_that_are_missing() {
    let known = PoolRow::serving("orders", "app", 20, 3);
    let stale = PoolRow { condition: 6, ..known.clone() };
    assert_eq!(sizes(&run_twice(20, &[known.clone(), stale], AFTER_MS)), NONE);
    let away =
        PoolRow { sv_active: 0, sv_idle: 0, ..PoolRow::queueing("orders", "app", 20, 1, 1.0) };
    assert_eq!(sizes(&run_twice(20, &[known, away], AFTER_MS)), NONE, "the database is away");
}

#[test]
fn a_scope_without_pools_is_left_alone() {
    assert!(run_twice(20, &[], AFTER_MS).proposals.is_empty());
}

#[test]
fn a_clock_that_was_set_back_delays_a_shrink() {
    let scopes = [ScopeRow::default_size(20)];
    let pools = [PoolRow::serving("orders", "app", 20, 3)];
    let first = run(&scopes, &pools, "{}", &[], |_| {});
    let answer = run(&scopes, &pools, "{}", &first.memory, |it| it.at_ms -= AFTER_MS);
    assert_eq!(sizes(&answer), NONE);
}

#[test]
fn the_schema_holds_ranges_and_defaults() {
    let schema = poolwarden_policy::describe::<Autosize>().settings_schema;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("the schema is JSON");
    let field = &schema["properties"]["target_utilization"];
    assert_eq!((&field["minimum"], &field["maximum"]), (&0.1.into(), &1.0.into()));
    assert_eq!(field["default"], 0.9);
    assert_eq!(schema["additionalProperties"], false);
}
