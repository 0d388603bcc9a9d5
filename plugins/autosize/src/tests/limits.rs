//! What bounds a growth: the database, the budget, and what an answer may hold in any case.

use poolwarden_policy::contract::{DatabaseServer, Knob, Window as Columns};
use poolwarden_policy::testing::{PoolRow, ScopeRow};
use poolwarden_policy::{Answer, Proposal, TargetStatus};

use super::{advice, as_resize, resizes, run, sizes, stuck_database};

const NONE: [u32; 0] = [];

fn budget(budget: u32) -> DatabaseServer {
    DatabaseServer { waiting_on_lock: 0, waiting_on_io: 0, budget, ..stuck_database() }
}

/// Asks about two databases, each of one pool.
fn two(
    sizes: [u32; 2],
    pools: [PoolRow; 2],
    memory: &[u8],
    change: impl Fn(&mut Columns),
) -> Answer {
    let scope = |at: usize, name: &str| ScopeRow {
        actionable: true,
        ..ScopeRow::database(name, sizes[at])
    };
    let scopes = [scope(0, "a"), scope(1, "b")];
    let [first, second] = pools;
    run(&scopes, &[first, PoolRow { scope: 1, ..second }], "{}", memory, change)
}

fn by_scope(answer: &Answer) -> Vec<(u32, u32)> {
    answer.proposals.iter().filter_map(as_resize).map(|one| (one.scope, one.size)).collect()
}

/// A full pool whose queue tells of 40 servers: 60 who came within 0.075 s, 50 ms each.
fn hungry(name: &str, size: u32) -> PoolRow {
    PoolRow {
        maxwait_us: 75_000,
        transaction_mean_us: 50_000.0,
        transactions_per_s: 20.0 * f64::from(size),
        ..PoolRow::queueing(name, "app", size, 60, f64::from(size))
    }
}

#[test]
fn two_that_want_more_get_the_same() {
    let pools = || [hungry("a", 10), hungry("b", 10)];
    let free = two([10, 10], pools(), &[], |_| {});
    let wanted = by_scope(&free)[0].1;
    assert!(wanted > 30, "{free:?}");
    let short = two([10, 10], pools(), &[], |it| it.database = Some(budget(50)));
    assert_eq!(by_scope(&short), [(0, 25), (1, 25)]);
    assert!(advice(&short).iter().any(|it| it.0 == "budget-is-short"));
    assert!(resizes(&short)[0].reason.contains("fair share of 50 connections"));
    let unknown = two([10, 10], pools(), &[], |it| it.database = Some(budget(0)));
    assert_eq!(by_scope(&unknown), by_scope(&free), "0 is a budget that is not known");
}

#[test]
fn who_does_not_need_its_size_makes_room_for_who_does() {
    let idle = || PoolRow::serving("b", "app", 30, 2);
    let settled = |at_ms: u64, answer: &Answer| {
        let full = PoolRow { transaction_mean_us: 50_000.0, ..PoolRow::serving("a", "app", 10, 3) };
        let at = move |it: &mut Columns| it.at_ms += at_ms;
        two([10, 30], [full, idle()], &answer.memory, at)
    };
    let nothing = Answer { proposals: Vec::new(), memory: Vec::new() };
    let seen = settled(299_000, &settled(0, &nothing));
    let short = two([10, 30], [hungry("a", 10), idle()], &seen.memory, |it| {
        it.at_ms += 301_000;
        it.database = Some(budget(45));
    });
    let sizes = by_scope(&short);
    let [(0, first), (1, second)] = sizes[..] else { panic!("{sizes:?}") };
    assert!(first > 35 && second < 10 && first + second <= 45, "{sizes:?}");
    // Before its calm is known nobody knows that it needs less: both get the same.
    let early = two([10, 30], [hungry("a", 10), idle()], &[], |it| it.database = Some(budget(50)));
    assert_eq!(by_scope(&early), [(0, 25), (1, 25)]);
}

#[test]
fn a_pool_that_has_not_worked_yet_gives_what_others_need() {
    let scopes = [ScopeRow::default_size(80)];
    let rest = || [PoolRow::serving("a", "app", 80, 0)];
    let first = run(&scopes, &rest(), "{}", &[], |_| {});
    let later = |part: u32| {
        run(&scopes, &rest(), "{}", &first.memory, |it| {
            it.at_ms += 60_000;
            it.database = Some(budget(part));
        })
    };
    assert_eq!(sizes(&later(90)), NONE);
    assert_eq!(sizes(&later(60)), [60]);
}

#[test]
fn reserves_count_and_each_pool_of_a_scope() {
    let scopes = [ScopeRow { reserve: 5, ..ScopeRow::default_size(10) }];
    let pools = [hungry("a", 10), PoolRow::serving("b", "app", 10, 1)];
    let answer = run(&scopes, &pools, "{}", &[], |it| it.database = Some(budget(50)));
    assert_eq!(sizes(&answer), [20], "two pools of 20 and 5 are 50");
}

#[test]
fn warm_servers_and_reserve_are_asked_for_only_where_that_is_set() {
    let scopes = [ScopeRow { min_size: 2, reserve: 1, ..ScopeRow::default_size(12) }];
    let pools = [PoolRow::serving("orders", "app", 12, 8)];
    assert!(run(&scopes, &pools, "{}", &[], |_| {}).proposals.is_empty());
    let set = r#"{"keep_warm": true, "reserve_share": 0.25}"#;
    let answer = run(&scopes, &pools, set, &[], |_| {});
    let found: Vec<_> = resizes(&answer).iter().map(|one| (one.knob, one.size)).collect();
    assert_eq!(found, [(Knob::MinPoolSize, 12), (Knob::ReservePoolSize, 3)]);
    let unable = run(&scopes, &pools, set, &[], |it| it.scopes.actionable[0] = 1);
    assert!(unable.proposals.is_empty());
}

/// Numbers out of nowhere: a seed gives a window that may be as odd as a guard will ever see.
fn odd_window(seed: &mut u64) -> (Vec<ScopeRow>, Vec<PoolRow>, u32) {
    let mut next = |below: u32| {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(*seed >> 33).expect("31 bits") % below
    };
    let odd = [0.0, -1.0, 1e-9, 0.5, 3.0, 17.0, 40.0, 1e6, 1e18, f64::NAN, f64::INFINITY];
    let scopes: Vec<ScopeRow> = (0..1 + next(3))
        .map(|at| ScopeRow {
            actionable: next(4) > 0,
            floor: 1 + next(5),
            ceiling: 5 + next(40),
            reserve: next(4),
            change: u8::try_from(next(5)).expect("small"),
            change_age_ms: u64::from(next(100_000)),
            change_from: next(40),
            change_to: next(40),
            ..ScopeRow::database(&format!("d{at}"), 1 + next(60))
        })
        .collect();
    let pools = (0..next(6))
        .map(|at| {
            let scope = next(u32::try_from(scopes.len()).expect("few"));
            let mut number = || odd[usize::try_from(next(11)).expect("small")];
            let (load, time, rate) = (number(), number(), number());
            PoolRow {
                scope,
                condition: u8::try_from(next(8)).expect("small"),
                cl_waiting: next(3) * next(2_000),
                maxwait_us: u64::from(next(5_000_000)),
                waiting_for_ms: u64::from(next(20_000)),
                busy_mean: load,
                busy_finished: load,
                demand: rate,
                demand_trend_per_min: load,
                transaction_mean_us: time,
                transactions_per_s: rate,
                wait_mean_us: time,
                waiting_on_lock: next(10),
                ..PoolRow::serving(&format!("p{at}"), "app", 1 + next(60), next(60))
            }
        })
        .collect();
    (scopes, pools, next(120))
}

#[test]
fn whatever_is_seen_bounds_are_kept() {
    let (mut seed, mut asked) = (7, 0);
    let mut memory = Vec::new();
    for round in 0..4_000_u64 {
        let (scopes, pools, room) = odd_window(&mut seed);
        let status = match round % 10 {
            0 => TargetStatus::Down,
            1 => TargetStatus::Paused,
            _ => TargetStatus::Up,
        };
        let answer = run(&scopes, &pools, "{}", &memory, |it| {
            it.at_ms += round * 7_000;
            it.target.status = status;
            it.database = Some(budget(room));
        });
        memory = answer.memory.clone();
        assert!(memory.len() < 16_384, "{} bytes", memory.len());
        let sizes = by_scope(&answer);
        assert!(status == TargetStatus::Up || answer.proposals.is_empty());
        for (scope, size) in &sizes {
            let row = &scopes[usize::try_from(*scope).expect("small")];
            assert!(row.actionable && *size != row.size && *size >= 1, "{size} for {row:?}");
            assert!(*size <= row.ceiling.max(row.size), "{size} for {row:?}");
            assert!(*size >= row.floor.min(row.size), "{size} for {row:?}");
        }
        let grows = sizes
            .iter()
            .any(|(at, size)| *size > scopes[usize::try_from(*at).expect("small")].size);
        let total: u64 = (0_u32..)
            .zip(&scopes)
            .map(|(at, row)| {
                let size =
                    sizes.iter().find(|(scope, _)| *scope == at).map_or(row.size, |one| one.1);
                let count = pools.iter().filter(|pool| pool.scope == at).count();
                u64::try_from(count).expect("few") * u64::from(size + row.reserve)
            })
            .sum();
        let was: u64 = (0_u32..)
            .zip(&scopes)
            .map(|(at, row)| {
                let count = pools.iter().filter(|pool| pool.scope == at).count();
                u64::try_from(count).expect("few") * u64::from(row.size + row.reserve)
            })
            .sum();
        assert!(!grows || room == 0 || total <= u64::from(room).max(was), "{total} of {room}");
        asked += sizes.len();
    }
    assert!(asked > 500, "{asked} sizes were asked for");
}

#[test]
fn a_growth_that_the_sidecar_took_back_is_not_asked_for_again() {
    let taken_back = ScopeRow {
        change: 3,
        change_age_ms: 60_000,
        change_from: 10,
        change_to: 20,
        ..ScopeRow::default_size(10)
    };
    let answer = run(std::slice::from_ref(&taken_back), &[hungry("a", 10)], "{}", &[], |_| {});
    assert_eq!(sizes(&answer), NONE);
    let said = answer.proposals.iter().find_map(|one| match one {
        Proposal::Recommendation(advice) => Some(advice.summary.as_str()),
        _ => None,
    });
    assert!(said.is_some_and(|it| it.contains("more than 10 servers brought neither")), "{said:?}");
    let long_ago = ScopeRow { change_age_ms: 900_000, ..taken_back };
    assert!(!sizes(&run(&[long_ago], &[hungry("a", 10)], "{}", &[], |_| {})).is_empty());
}

#[test]
fn beyond_a_size_that_once_brought_nothing_steps_are_small_until_one_gains() {
    const NOW_MS: u64 = 1_700_000_000_000;
    let after = |age_ms: u64, was_calm: bool| {
        let memory = format!(
            r#"{{"version":3,"at_ms":{},"scopes":{{"":{{"ceiling":{{"at_ms":{},"size":10,"was_calm":{was_calm}}},"size":10}}}}}}"#,
            NOW_MS - 1_000,
            NOW_MS - age_ms,
        );
        let scopes = [ScopeRow::default_size(10)];
        let answer =
            run(&scopes, &[hungry("a", 10)], "{}", memory.as_bytes(), |it| it.at_ms = NOW_MS);
        sizes(&answer)
    };
    let free = after(4 * 900_000, true);
    assert_eq!(after(899_999, true), NONE);
    assert_eq!(after(900_000, true), [12]);
    assert_eq!(after(4 * 900_000 - 1, true), [12]);
    assert!(free.iter().all(|size| *size > 12), "{free:?}");
    assert_eq!(after(2 * 900_000 - 1, false), NONE, "the same queue has stood ever since");
    assert_eq!(after(2 * 900_000, false), [12]);
}

/// Four servers and twenty clients that ask again when answered, from nothing: a mean of the first
/// moments lacks most of the time of those that began before it.
#[test]
fn a_growth_is_not_judged_by_the_first_moments_of_a_load() {
    let circle = |size: u32, observed_for_ms, time_us: f64| PoolRow {
        observed_for_ms,
        maxwait_us: 150_000,
        transaction_mean_us: time_us,
        transactions_per_s: f64::from(size) / time_us * 1e6,
        ..PoolRow::queueing("app", "app", size, 20 - size, f64::from(size))
    };
    let mut memory = Vec::new();
    let mut at = |ms: u64, size, pool: PoolRow| {
        let scopes = [ScopeRow::default_size(size)];
        let answer = run(&scopes, &[pool], "{}", &memory, |it| it.at_ms += ms);
        memory.clone_from(&answer.memory);
        answer
    };
    at(0, 4, circle(4, 18, 18_000.0));
    at(100, 5, circle(5, 118, 35_000.0));
    let answer = at(4_100, 5, circle(5, 4_118, 50_000.0));
    assert!(sizes(&answer).first().is_some_and(|size| *size > 20), "{answer:?}");
    assert!(advice(&answer).is_empty(), "{answer:?}");
}

/// Right after a load has begun the short transactions have finished and the long ones have not.
#[test]
fn a_growth_is_compared_with_what_transactions_take_and_not_with_those_that_finished_first() {
    let seen = |size: u32, observed_for_ms, time_us: f64, per_s: f64| PoolRow {
        observed_for_ms,
        transaction_mean_us: time_us,
        transactions_per_s: per_s,
        busy_finished: per_s * time_us / 1e6,
        maxwait_us: 90_000,
        ..PoolRow::queueing("app", "app", size, 9, f64::from(size))
    };
    let mut memory = Vec::new();
    let mut at = |ms: u64, size, pool: PoolRow| {
        let scopes = [ScopeRow::default_size(size)];
        let answer = run(&scopes, &[pool], "{}", &memory, |it| it.at_ms += ms);
        memory.clone_from(&answer.memory);
        answer
    };
    at(0, 7, seen(7, 500, 50_000.0, 70.0));
    at(100, 8, seen(8, 600, 50_000.0, 70.0));
    let answer = at(4_100, 8, seen(8, 4_600, 88_000.0, 90.0));
    assert!(sizes(&answer).first().is_some_and(|size| *size > 8), "{answer:?}");
    assert!(advice(&answer).is_empty(), "{answer:?}");
}

#[test]
fn a_size_that_was_doubted_is_not_held_again_by_slow_transactions_alone() {
    const NOW_MS: u64 = 1_700_000_000_000;
    let memory = format!(
        r#"{{"version":3,"at_ms":{},"scopes":{{"":{{"ceiling":{{"at_ms":{},"size":10,"time_us":100000.0,"was_calm":true}},"size":10}}}}}}"#,
        NOW_MS - 1_000,
        NOW_MS - 1_000_000,
    );
    let at = |ms: u64, size, time_us, memory: &[u8]| {
        let pool = PoolRow { transaction_mean_us: time_us, ..hungry("a", size) };
        run(&[ScopeRow::default_size(size)], &[pool], "{}", memory, |it| it.at_ms = NOW_MS + ms)
    };
    let held = at(0, 10, 90_000.0, memory.as_bytes());
    assert_eq!(sizes(&held), NONE, "they take as long as then");
    let doubted = at(1_000, 10, 50_000.0, &held.memory);
    assert_eq!(sizes(&doubted), [12]);
    let slow = at(2_000, 12, 90_000.0, &doubted.memory);
    assert!(sizes(&slow).iter().all(|size| *size > 12), "{slow:?}");
}

/// A `RELOAD` takes the size for a moment, and the sidecar puts it back: that is no growth to be judged,
/// though transactions take longer by the time that one would be.
#[test]
fn a_size_that_was_lost_and_put_back_is_no_growth() {
    let seen = |size: u32, time_us: f64, at_ms: u64, memory: &[u8]| {
        let busy = 14.0;
        let pool = PoolRow {
            transaction_mean_us: time_us,
            transactions_per_s: busy * 1e6 / time_us,
            ..PoolRow::serving("orders", "app", size, 14)
        };
        run(&[ScopeRow::default_size(size)], &[pool], "{}", memory, |it| it.at_ms += at_ms)
    };
    let after = |first: u32| {
        let before = seen(first, 20_000.0, 0, &[]);
        let lost = seen(5, 20_000.0, 1_000, &before.memory);
        let back = seen(20, 20_000.0, 2_000, &lost.memory);
        sizes(&seen(20, 22_500.0, 40_000, &back.memory))
    };
    assert_eq!(after(20), NONE);
    assert_eq!(after(5), [5], "one that is new is judged");
}
