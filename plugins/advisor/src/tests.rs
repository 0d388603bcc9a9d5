//! Checks each piece of advice on a past that asks for it, and on one that does not.

use poolwarden_policy::contract::{DatabaseServer, Recommendation};
use poolwarden_policy::testing::{PastStep, PoolRow, ScopeRow, columns, name_columns, past};
use poolwarden_policy::{Proposal, Window, evaluate};

use crate::Advisor;

const STEP_MS: u64 = 600_000;
const DAY: usize = 144;
const WEEK: usize = 1_008;

/// A target with one pool, `shop/app`.
struct Scene {
    pool: PoolRow,
    scope: ScopeRow,
    course: Vec<Option<PastStep>>,
    settings: Vec<(&'static str, &'static str)>,
    timeout_ms: u64,
    clients_limit: u32,
    min_size: u32,
    reserve: u32,
    database: Option<DatabaseServer>,
}

impl Scene {
    /// A pool of 10 servers that needs 7 at its busiest, and nobody waits.
    fn fits() -> Self {
        Self::of(10, |step| PastStep::busy(10, if step % DAY < 60 { 7 } else { 2 }))
    }

    fn of(size: u32, course: impl Fn(usize) -> PastStep) -> Self {
        Self {
            pool: PoolRow::serving("shop", "app", size, 2),
            scope: ScopeRow::default_size(size),
            course: (0..WEEK).map(|step| Some(course(step))).collect(),
            settings: Vec::new(),
            timeout_ms: 15_000,
            clients_limit: 1_000,
            min_size: 0,
            reserve: 0,
            database: None,
        }
    }

    fn asks(&self, settings: &str) -> Vec<Recommendation> {
        let (scopes, pools) = ([self.scope.clone()], [self.pool.clone()]);
        let mut columns = columns(&scopes, &pools);
        columns.at_ms = 20_458 * 86_400_000;
        columns.target.query_wait_timeout_ms = self.timeout_ms;
        columns.target.clients_max = self.clients_limit;
        columns.target.min_pool_size = self.min_size;
        columns.target.reserve_pool_size = self.reserve;
        columns.database = self.database;
        let from_ms = columns.at_ms - 1_008 * STEP_MS;
        let mut window = name_columns(columns, &scopes, &pools).expect("they belong together");
        for (name, value) in &self.settings {
            window = window.with_setting(name, value);
        }
        let past = past(from_ms, STEP_MS, std::slice::from_ref(&self.course));
        decide(&window.with_past(past).expect("one pool"), settings)
    }

    fn says(&self) -> Vec<String> {
        self.asks("{}").into_iter().map(|one| one.name).collect()
    }
}

fn decide(window: &Window, settings: &str) -> Vec<Recommendation> {
    let answer = evaluate::<Advisor>(window, settings, &[]).expect("it decides");
    let advice = |one| match one {
        Proposal::Recommendation(advice) => advice,
        other => panic!("{other:?} is no recommendation"),
    };
    answer.proposals.into_iter().map(advice).collect()
}

fn number(advice: &Recommendation, name: &str) -> f64 {
    let found = advice.evidence.iter().find(|evidence| evidence.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", advice.evidence)).value
}

#[test]
fn a_pool_that_fits_gets_no_advice() {
    assert_eq!(Scene::fits().says(), [""; 0]);
}

#[test]
fn nothing_is_said_before_enough_is_known() {
    let mut scene = Scene::of(4, |_| PastStep::queueing(4, 6));
    assert!(scene.says().contains(&"pool-too-small".to_owned()));
    scene.course[..WEEK - DAY / 2].fill(None);
    assert_eq!(scene.says(), [""; 0], "half a day");
    let (scopes, pools) = ([scene.scope.clone()], [scene.pool.clone()]);
    let window = name_columns(columns(&scopes, &pools), &scopes, &pools).expect("one pool");
    assert_eq!(decide(&window, "{}"), [], "no past at all");
}

#[test]
fn a_pool_that_was_full_with_waiters_should_grow_and_is_told_what_it_gains() {
    let busy = |step: usize| match step % DAY {
        50..60 => PastStep {
            transaction_mean_us: 250_000.0,
            wait_mean_us: 900_000.0,
            ..PastStep::queueing(4, 3)
        },
        _ => PastStep::busy(4, 2),
    };
    let advice = Scene::of(4, busy).asks("{}");
    let [advice] = advice.as_slice() else { panic!("{advice:?}") };
    assert_eq!(advice.name, "pool-too-small");
    // 4 busy and 3 missing, divided by 0.75.
    assert_eq!(number(advice, "wanted"), 10.0);
    assert!(advice.action.contains("default_pool_size = 10"), "{}", advice.action);
    assert!(advice.summary.contains("from 900 ms to about "), "{}", advice.summary);
    let mut short = Scene::of(4, busy);
    short.course[..].iter_mut().flatten().for_each(|step| step.wait_max_us /= 100);
    assert_eq!(short.says(), [""; 0], "20 ms are no wait");
}

#[test]
fn a_pool_that_was_never_half_used_should_shrink() {
    let mut scene = Scene::of(20, |_| PastStep::busy(20, 3));
    let advice = scene.asks("{}");
    let [advice] = advice.as_slice() else { panic!("{advice:?}") };
    assert_eq!((advice.name.as_str(), number(advice, "wanted")), ("pool-too-big", 4.0));
    assert_eq!(number(advice, "frees"), 16.0);
    scene.course[700] = Some(PastStep::busy(20, 11));
    assert_eq!(scene.says(), [""; 0], "once it needed more than half");
    let mut waited = Scene::of(20, |_| PastStep::busy(20, 3));
    waited.course[3] = Some(PastStep { waiting_max: 1, ..PastStep::busy(20, 3) });
    assert_eq!(waited.says(), [""; 0], "once somebody waited");
    let mut known = Scene::of(20, |_| PastStep::busy(20, 3));
    known.course[..2 * DAY].fill(None);
    assert_eq!(known.says(), [""; 0], "five days are not long enough for never");
}

#[test]
fn sizes_that_something_moves_are_left_to_it() {
    let mut scene = Scene::of(20, |_| PastStep::busy(20, 3));
    scene.course[0] = Some(PastStep { size: 18, ..PastStep::busy(20, 3) });
    assert_eq!(scene.says(), [""; 0]);
}

#[test]
fn a_reserve_is_advised_on_when_it_is_never_or_always_used() {
    let mut scene = Scene { reserve: 5, ..Scene::fits() };
    scene.pool.reserve = 5;
    assert_eq!(scene.says(), ["reserve-never-used"]);
    for step in scene.course.iter_mut().flatten().step_by(50) {
        step.servers_max = 12;
    }
    assert_eq!(scene.says(), [""; 0], "now and then is what it is for");
    for step in scene.course.iter_mut().flatten().step_by(2) {
        step.servers_max = 12;
    }
    let advice = scene.asks("{}");
    assert_eq!(advice[0].name, "reserve-always-used");
    assert!(advice[0].action.contains("default_pool_size = 15"), "{}", advice[0].action);
}

#[test]
fn a_daily_ramp_that_finds_no_servers_asks_for_a_least_size() {
    let ramp = |step: usize| match step % DAY {
        48 => PastStep { waiting_max: 3, wait_max_us: 50_000, ..PastStep::busy(10, 8) },
        49..100 => PastStep::busy(10, 8),
        _ => PastStep { servers_max: 2, ..PastStep::busy(10, 1) },
    };
    let scene = Scene::of(10, ramp);
    let advice = scene.asks("{}");
    let [advice] = advice.as_slice() else { panic!("{advice:?}") };
    assert_eq!(advice.name, "keep-servers-for-ramp");
    assert!(advice.summary.contains("at about 08:00 UTC"), "{}", advice.summary);
    assert!(advice.action.contains("shop = … min_pool_size=8"), "{}", advice.action);
    assert_eq!(Scene { min_size: 8, ..Scene::of(10, ramp) }.says(), [""; 0]);
    let mut twice = Scene::of(10, ramp);
    twice.course[2 * DAY..].iter_mut().flatten().for_each(|step| step.waiting_max = 0);
    assert_eq!(twice.says(), [""; 0], "two days are no habit");
}

#[test]
fn timeouts_are_held_against_what_was_measured() {
    let mut long = Scene { timeout_ms: 120_000, ..Scene::fits() };
    long.course[9] = Some(PastStep { wait_max_us: 2_500_000, ..PastStep::busy(10, 7) });
    let advice = long.asks("{}");
    assert_eq!(advice[0].name, "query-wait-timeout-long");
    assert!(advice[0].action.contains("query_wait_timeout = 25"), "{}", advice[0].action);
    let mut reached = Scene::fits();
    reached.course[9] = Some(PastStep { wait_max_us: 15_000_000, ..PastStep::busy(10, 7) });
    assert_eq!(reached.says(), ["query-wait-timeout-reached"]);
    let none = Scene { timeout_ms: 0, ..Scene::fits() };
    assert_eq!(none.says(), [""; 0], "an unbounded queue is an alert's");
}

#[test]
fn servers_that_come_and_go_are_kept_through_the_gap() {
    let bursts = |step: usize| match step % 6 {
        0 => PastStep::busy(10, 6),
        _ => PastStep { servers_max: 0, ..PastStep::busy(10, 0) },
    };
    let mut scene = Scene::of(10, bursts);
    scene.settings = vec![("server_idle_timeout", "600")];
    let advice = scene.asks("{}");
    let [advice] = advice.as_slice() else { panic!("{advice:?}") };
    // Five empty steps after ten minutes of idleness.
    assert_eq!(
        (advice.name.as_str(), number(advice, "wanted-s")),
        ("server-idle-timeout-short", 3600.0)
    );
    scene.settings = vec![("server_idle_timeout", "0")];
    assert_eq!(scene.says(), [""; 0], "never closed");
}

#[test]
fn a_forgotten_transaction_needs_a_timeout() {
    let mut scene = Scene::fits();
    scene.settings = vec![("idle_transaction_timeout", "0")];
    let advice = scene.asks("{}");
    let [advice] = advice.as_slice() else { panic!("{advice:?}") };
    assert_eq!(
        (advice.name.as_str(), number(advice, "wanted-s")),
        ("idle-transaction-timeout-unset", 60.0)
    );
    scene.settings = vec![("idle_transaction_timeout", "300")];
    assert_eq!(scene.says(), [""; 0]);
}

#[test]
fn many_clients_in_session_mode_are_told_of_the_other_mode() {
    let crowded = |_| PastStep {
        clients_max: 60,
        waiting_max: 20,
        wait_max_us: 50_000,
        ..PastStep::busy(10, 10)
    };
    let mut scene = Scene::of(10, crowded);
    scene.pool.mode = 0;
    let advice = scene.asks("{}");
    let [advice] = advice.as_slice() else { panic!("{advice:?}") };
    assert_eq!(advice.name, "use-transaction-pooling");
    assert!(advice.action.contains("shop = … pool_mode=transaction"), "{}", advice.action);
    scene.pool.mode = 1;
    assert_eq!(scene.says(), [""; 0]);
}

#[test]
fn the_client_limit_is_called_near_before_it_is_reached() {
    let mut scene = Scene { clients_limit: 100, ..Scene::fits() };
    assert_eq!(scene.says(), [""; 0]);
    scene.course[5] = Some(PastStep { clients_max: 80, ..PastStep::busy(10, 7) });
    let advice = scene.asks("{}");
    assert_eq!(
        (advice[0].name.as_str(), number(&advice[0], "wanted")),
        ("client-limit-near", 200.0)
    );
    assert_eq!(number(&advice[0], "files"), 210.0);
}

#[test]
fn sizes_beyond_the_budget_are_added_up() {
    let database = DatabaseServer {
        reachable: true,
        data_age_ms: 0,
        max_connections: 12,
        reserved_connections: 3,
        connections: 5,
        active: 1,
        idle_in_transaction: 0,
        running: 1,
        waiting_on_lock: 0,
        waiting_on_io: 0,
        waiting_on_other: 0,
        others: 2,
        budget: 90,
    };
    let scene = Scene { database: Some(database), ..Scene::fits() };
    let advice = scene.asks("{}");
    let [advice] = advice.as_slice() else { panic!("{advice:?}") };
    assert_eq!((advice.name.as_str(), number(advice, "room")), ("budget-overrun", 7.0));
    assert!(advice.action.contains("default_pool_size = 7"), "{}", advice.action);
    let enough = DatabaseServer { max_connections: 15, ..database };
    assert_eq!(Scene { database: Some(enough), ..Scene::fits() }.says(), [""; 0]);
}

#[test]
fn dangerous_settings_are_named_with_what_to_set_instead() {
    let mut scene = Scene::fits();
    for (name, bad, good, advice) in [
        ("server_lifetime", "0", "3600", "server-lifetime-zero"),
        ("server_round_robin", "1", "0", "servers-round-robin"),
        ("tcp_keepalive", "0", "1", "keepalive-off"),
        ("server_reset_query_always", "1", "0", "server-reset-always"),
    ] {
        scene.settings = vec![(name, bad)];
        let said = scene.asks("{}");
        let [one] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(one.name, advice);
        assert!(one.action.contains(&format!("SET {name} = {good}")), "{}", one.action);
        scene.settings = vec![(name, good)];
        assert_eq!(scene.says(), [""; 0], "{name} = {good}");
    }
    scene.settings = vec![("server_check_delay", "0"), ("server_check_query", "<empty>")];
    assert_eq!(scene.says(), [""; 0], "there is nothing to run");
    scene.settings = vec![("server_check_delay", "0"), ("server_check_query", "select 1")];
    assert_eq!(scene.says(), ["server-check-always"]);
}
