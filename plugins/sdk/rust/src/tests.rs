//! Checks the crate as an author uses it: a policy, natively, on windows built row by row.

use serde::{Deserialize, Serialize};

use super::*;
use crate::testing::{PastStep, PoolRow, ScopeRow, columns, name_columns, past, window};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Least number of waiters.
    waiting_min: u32,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Memory {
    calls: u32,
}

struct Queues;

impl Policy for Queues {
    const NAME: &'static str = "queues";
    const VERSION: &'static str = "1.2.3";
    const PURPOSE: &'static str = "Alerts when clients queue.";
    type Settings = Settings;
    type Memory = Memory;

    fn evaluate(
        settings: &Settings,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<Vec<Proposal>, String> {
        memory.calls += 1;
        let queueing = window.pools().filter(|pool| pool.cl_waiting() > settings.waiting_min);
        Ok(queueing.map(|pool| alert(&pool, memory.calls)).collect())
    }
}

fn alert(pool: &Pool<'_>, calls: u32) -> Proposal {
    Alert::new("queue", pool.subject())
        .summary(format!("{} clients wait for {}", pool.cl_waiting(), pool.name()))
        .evidence("calls", calls)
        .into()
}

fn two_pools() -> Window {
    let rows = [
        PoolRow::serving("orders", "app", 10, 4),
        PoolRow::queueing("billing", "app", 10, 3, 13.0),
    ];
    window(&[ScopeRow::default_size(10)], &rows).expect("the rows name the one scope")
}

fn summaries(answer: &Answer) -> Vec<&str> {
    answer
        .proposals
        .iter()
        .filter_map(|proposal| match proposal {
            Proposal::Alert(alert) => Some(alert.summary.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_policy_sees_pools_and_their_names() {
    let answer = evaluate::<Queues>(&two_pools(), "{}", &[]).expect("the policy decides");
    assert_eq!(summaries(&answer), ["3 clients wait for billing/app"]);
}

#[test]
fn settings_reach_the_policy() {
    let answer = evaluate::<Queues>(&two_pools(), r#"{"waiting_min": 3}"#, &[]);
    assert!(answer.expect("the policy decides").proposals.is_empty());
}

#[test]
fn settings_that_do_not_fit_are_an_error() {
    let error = evaluate::<Queues>(&two_pools(), r#"{"waiting": 3}"#, &[]);
    let error = error.expect_err("the field does not exist");
    assert!(error.contains("waiting"), "{error}");
}

#[test]
fn memory_comes_back() {
    let first = evaluate::<Queues>(&two_pools(), "{}", &[]).expect("the policy decides");
    let second = evaluate::<Queues>(&two_pools(), "{}", &first.memory).expect("it decides");
    assert_eq!(second.memory, br#"{"calls":2}"#);
}

#[test]
fn unreadable_memory_becomes_the_default() {
    let answer = evaluate::<Queues>(&two_pools(), "{}", &[0xff, 0x00]).expect("it decides");
    assert_eq!(answer.memory, br#"{"calls":1}"#);
}

#[test]
fn the_same_input_gives_the_same_answer() {
    let answers = [(); 2].map(|()| evaluate::<Queues>(&two_pools(), "{}", &[]));
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_description_carries_docs_and_defaults_in_its_schema() {
    let description = describe::<Queues>();
    let schema: serde_json::Value =
        serde_json::from_str(&description.settings_schema).expect("the schema is JSON");
    let field = &schema["properties"]["waiting_min"];
    assert_eq!(field["description"], "Least number of waiters.");
    assert_eq!(field["default"], 0);
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!((description.name.as_str(), description.version.as_str()), ("queues", "1.2.3"));
}

#[test]
fn columns_of_unequal_length_are_refused() {
    let scopes = [ScopeRow::default_size(10)];
    let pools = [PoolRow::serving("orders", "app", 10, 4)];
    let mut odd = columns(&scopes, &pools);
    odd.pools.demand.push(1.0);
    let error = name_columns(odd, &scopes, &pools).expect_err("one column is longer");
    let expected = WindowError::UnequalColumns { column: "demand", rows: 2, expected: 1 };
    assert_eq!(error, expected);
}

#[test]
fn a_pool_of_an_unknown_scope_is_refused() {
    let lost = PoolRow { scope: 1, ..PoolRow::serving("orders", "app", 10, 4) };
    let error = window(&[ScopeRow::default_size(10)], &[lost]).expect_err("there is one scope");
    assert_eq!(error, WindowError::UnknownScope { pool: 0, scope: 1 });
}

#[test]
fn an_unknown_condition_is_stale() {
    assert_eq!(Condition::from_code(2), Condition::Queueing);
    assert_eq!(Condition::from_code(7), Condition::Stale);
}

#[test]
fn a_pool_leads_to_the_scope_that_sizes_it() {
    let scopes = [ScopeRow::default_size(10), ScopeRow::database("billing", 4)];
    let pool = PoolRow { scope: 1, ..PoolRow::serving("billing", "app", 4, 1) };
    let window = window(&scopes, &[pool]).expect("the scope exists");
    let scope = window.pools().next().expect("there is one pool").scope();
    assert_eq!((scope.kind(), scope.name().as_str()), (ScopeKind::Database, "billing"));
    assert_eq!((scope.size(), scope.pool_count()), (4, 1));
}

const HOUR_MS: u64 = 3_600_000;

#[test]
fn a_pool_leads_to_its_own_past() {
    let courses = [
        vec![Some(PastStep::busy(10, 4)), None, Some(PastStep::busy(10, 6))],
        vec![None, Some(PastStep::queueing(10, 3))],
    ];
    // 1970-01-05 was a Monday.
    let monday = 4 * 24 * HOUR_MS;
    let window = two_pools().with_past(past(monday + 7 * HOUR_MS, HOUR_MS, &courses));
    let window = window.expect("two pools, two courses");
    let past = window.past().expect("it was put in");
    let busy: Vec<Vec<Option<u32>>> = window
        .pools()
        .map(|pool| past.of(&pool).steps().map(|step| step.map(|step| step.busy_max())).collect())
        .collect();
    assert_eq!(busy, [[Some(4), None, Some(6)], [None, Some(10), None]]);
    let first = past.of(&window.pools().next().expect("two pools"));
    assert_eq!((first.seen(), first.busy_max()), (2, [4, 0, 6].as_slice()));
    let last = first.step(2).expect("seen");
    assert_eq!(last.begin().to_string(), "Mon 09:00 UTC");
    assert_eq!(past.begin_of(15).to_string(), "Mon 22:00 UTC");
    assert_eq!(past.steps_until(monday + 9 * HOUR_MS + 1), 2, "the third is under way");
    assert!(first.step(3).is_none());
}

#[test]
fn a_past_of_other_pools_is_refused() {
    let one = past(0, HOUR_MS, &[vec![None]]);
    let error = two_pools().with_past(one).expect_err("the window has two pools");
    let expected = WindowError::UnequalColumns { column: "past.samples", rows: 1, expected: 2 };
    assert_eq!(error, expected);
}

#[test]
fn moments_know_the_day_of_the_week() {
    let days = (0..8).map(|day| Moment::from_millis(day * 24 * HOUR_MS).day_of_week());
    assert_eq!(days.collect::<Vec<_>>(), [4, 5, 6, 7, 1, 2, 3, 4]);
    assert!(Moment::from_millis(2 * 24 * HOUR_MS).is_weekend());
    assert_eq!(Moment::from_millis(1_767_258_000_000).to_string(), "Thu 09:00 UTC");
}
