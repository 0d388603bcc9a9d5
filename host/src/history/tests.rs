//! Snapshots in, numbers out: each state of a pool told apart from the others.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::{Condition, Counters, LookFailure, PoolRow, PoolSize};

struct Watch {
    history: History,
    now: Timestamp,
    xacts: u64,
    server: Server,
    postgres: Option<DatabaseSample>,
    database_paused: bool,
    sizes: Vec<(&'static str, u32)>,
    console_queries: u64,
}

impl Watch {
    fn new() -> Self {
        let limits = Limits {
            floor: PoolSize::ONE,
            ceiling: PoolSize::new(50).expect("above zero"),
            step_up: 10,
            step_down: 5,
            cooldown_up: Duration::ZERO,
            cooldown_down: Duration::ZERO,
            changes_per_hour: 60,
            database_margin: 5,
            data_age_max: Duration::from_secs(3),
            reconnect: false,
        };
        let name = TargetName::new("main").expect("a fine name");
        let facts = TargetFacts { name, labels: Arc::default(), limits, can_act: true };
        let spans = Spans {
            short: Duration::from_secs(10),
            long: Duration::from_secs(60),
            drain_horizon: Duration::from_millis(250),
            login_queue_after: Duration::from_secs(1),
            wedged_after: Duration::from_secs(3),
            stale_after: Duration::from_secs(3),
        };
        Self {
            history: History::new(facts, spans),
            now: Timestamp::from_millis(1_000_000_000),
            xacts: 0,
            server: Server {
                version_number: 11800,
                default_pool_size: Some(5),
                ..Server::default()
            },
            postgres: None,
            database_paused: false,
            sizes: vec![("app", 5)],
            console_queries: 0,
        }
    }

    /// One poll, a second later; `xacts` transactions of 50 ms finished since the last.
    fn poll(&mut self, rows: &[PoolRow], xacts: u64) {
        self.now = self.now.plus(Duration::from_secs(1));
        self.xacts += xacts;
        self.console_queries += 4;
        // PgBouncer counts those that wait and those that hold a server too.
        let asked = |row: &PoolRow| u64::from(row.cl_waiting) + u64::from(row.sv_active);
        let counters = Counters {
            xact_count: self.xacts + rows.iter().map(asked).sum::<u64>(),
            xact_time_us: self.xacts * 50_000,
            ..Counters::default()
        };
        let database = |(name, size): &(&str, u32)| DatabaseRow {
            name: Arc::from(*name),
            database: Arc::from(*name),
            host: None,
            port: None,
            force_user: None,
            pool_size: Some(*size),
            min_pool_size: None,
            reserve_pool: None,
            pool_mode: None,
            max_connections: None,
            current_connections: None,
            paused: self.database_paused,
            disabled: false,
        };
        self.history.absorb(Snapshot {
            at: self.now,
            sizes_at: self.now,
            pools: rows.to_vec(),
            counters: vec![(Arc::from("app"), counters)],
            databases: Arc::new(
                self.sizes.iter().map(|size| (Arc::from(size.0), database(size))).collect(),
            ),
            server: Arc::new(self.server.clone()),
            console_queries: Some(self.console_queries),
            postgres: self.postgres.clone().map(Arc::new),
        });
    }

    fn pool(&self) -> PoolView {
        self.history.pools(self.now).remove(0).1
    }
}

fn row(user: &str, sv_active: u32, cl_waiting: u32, maxwait_ms: u64) -> PoolRow {
    PoolRow {
        key: PoolKey::new("app", user),
        cl_active: sv_active,
        cl_waiting,
        cl_active_cancel_req: None,
        cl_waiting_cancel_req: None,
        sv_active,
        sv_active_cancel: None,
        sv_being_canceled: None,
        sv_idle: 0,
        sv_used: 0,
        sv_tested: 0,
        sv_login: 0,
        maxwait: Duration::from_millis(maxwait_ms),
        pool_mode: None,
    }
}

fn postgres(reachable: bool) -> DatabaseSample {
    DatabaseSample {
        at: Timestamp::default(),
        server: (None, None),
        identity: None,
        failure: (!reachable).then_some(LookFailure::Unreachable),
        max_connections: 100,
        reserved_connections: 3,
        sessions: Vec::new(),
        xact_ends: None,
    }
}

#[test]
fn a_busy_pool_serves_and_an_overfull_one_queues() {
    let mut watch = Watch::new();
    watch.poll(&[row("app", 3, 0, 0)], 60);
    assert_eq!(watch.pool().condition, Condition::Serving);
    watch.poll(&[row("app", 5, 4, 30)], 60);
    let pool = watch.pool();
    assert_eq!((pool.condition, pool.utilization), (Condition::Queueing, 1.0));
    watch.poll(&[row("app", 0, 0, 0)], 60);
    assert_eq!(watch.pool().condition, Condition::Idle);
}

#[test]
fn demand_is_what_would_drain_the_queue_in_time() {
    let mut watch = Watch::new();
    watch.poll(&[row("app", 5, 20, 30)], 0);
    assert_eq!(watch.pool().demand, 25.0, "without a known duration each waiter counts whole");
    watch.poll(&[row("app", 5, 20, 30)], 100);
    assert_eq!(watch.pool().demand, 9.0, "20 waiters of 50 ms within 250 ms take 4 servers");
}

#[test]
fn littles_law_tells_held_servers_from_busy_ones() {
    let mut watch = Watch::new();
    for _ in 0..12 {
        watch.poll(&[row("app", 4, 0, 0)], 60);
    }
    let pool = watch.pool();
    assert_eq!(pool.busy_mean, 4.0);
    assert_eq!(pool.rates.busy_finished, 3.0, "60 a second of 50 ms: the fourth is a leak");
}

#[test]
fn a_queue_whose_head_ages_with_the_clock_is_wedged_unless_every_server_works() {
    let mut watch = Watch::new();
    for second in 1..=6 {
        watch.poll(&[row("app", 1, 3, second * 1_000)], 0);
    }
    assert_eq!(watch.pool().condition, Condition::Wedged);
    let mut watch = Watch::new();
    for second in 1..=6 {
        watch.poll(&[row("app", 5, 3, second * 1_000)], 0);
    }
    let pool = watch.pool();
    assert_eq!(pool.condition, Condition::Queueing, "five long statements are no wedge");
    assert!(pool.unserved_for >= Duration::from_secs(3));
}

#[test]
fn a_wedged_queue_is_seen_through_the_jitter_of_polls() {
    let mut watch = Watch::new();
    for (second, late_ms) in (1..=8).zip([0, 180, 20, 200, 0, 90, 150, 0]) {
        watch.poll(&[row("app", 1, 3, second * 1_000 + late_ms)], 0);
    }
    assert_eq!(watch.pool().condition, Condition::Wedged);
}

#[test]
fn a_queue_that_moves_is_not_wedged_however_long_it_is() {
    let mut watch = Watch::new();
    for _ in 1..=8 {
        watch.poll(&[row("app", 4, 30, 700)], 50);
    }
    let pool = watch.pool();
    assert_eq!((pool.condition, pool.unserved_for), (Condition::Queueing, Duration::ZERO));
    assert!(pool.waiting_for >= Duration::from_secs(6));
}

#[test]
fn waiters_without_an_age_are_queued_at_login() {
    let mut watch = Watch::new();
    for _ in 1..=3 {
        watch.poll(&[row("app", 0, 4, 0)], 0);
    }
    assert_eq!(watch.pool().condition, Condition::LoginQueue);
}

#[test]
fn a_paused_database_is_not_load() {
    let mut watch = Watch::new();
    watch.database_paused = true;
    watch.poll(&[row("app", 0, 4, 900)], 0);
    assert_eq!(watch.pool().condition, Condition::Paused);
}

#[test]
fn a_version_that_can_say_paused_is_believed() {
    let mut watch = Watch::new();
    watch.server.version_number = 12502;
    watch.server.paused = Some(true);
    watch.poll(&[row("app", 0, 4, 900)], 0);
    assert_eq!(watch.history.status().0, TargetStatus::Paused);
}

#[test]
fn a_version_that_cannot_say_paused_is_judged_by_its_servers_and_postgresql() {
    for (reachable, expected) in [(true, TargetStatus::Paused), (false, TargetStatus::Up)] {
        let mut watch = Watch::new();
        watch.postgres = Some(postgres(reachable));
        for second in 0..4 {
            watch.poll(&[row("app", 0, 4, second * 1_000)], 0);
        }
        assert_eq!(watch.history.status().0, expected);
    }
}

#[test]
fn a_target_that_does_not_answer_keeps_its_last_numbers_as_stale_ones() {
    let mut watch = Watch::new();
    watch.poll(&[row("app", 5, 4, 30)], 60);
    watch.history.fail(watch.now.plus(Duration::from_secs(1)));
    let pool = watch.pool();
    assert_eq!((pool.condition, pool.row.cl_waiting), (Condition::Stale, 4));
    assert_eq!(watch.history.status().0, TargetStatus::Down);
}

#[test]
fn maxima_and_percentiles_leave_with_the_long_span() {
    let mut watch = Watch::new();
    watch.poll(&[row("app", 5, 20, 30)], 0);
    for _ in 0..30 {
        watch.poll(&[row("app", 2, 0, 0)], 10);
    }
    let pool = watch.pool();
    assert_eq!((pool.demand_max_short, pool.demand_max_long), (2.0, 25.0));
    assert_eq!(pool.utilization_p50, 0.4);
    for _ in 0..40 {
        watch.poll(&[row("app", 2, 0, 0)], 10);
    }
    assert_eq!(watch.pool().demand_max_long, 2.0);
}

#[test]
fn the_trend_of_demand_is_that_of_the_later_half_of_the_long_span() {
    let mut watch = Watch::new();
    for busy in 1..=20 {
        watch.poll(&[row("app", busy, 0, 0)], 10);
    }
    let rising = watch.pool().demand_trend_per_min;
    assert!((rising - 60.0).abs() < 1e-6, "one more each second, not {rising} a minute");
    for _ in 0..32 {
        watch.poll(&[row("app", 20, 0, 0)], 10);
    }
    let pool = watch.pool();
    assert_eq!(pool.demand_trend_per_min, 0.0, "it has stood for half the span");
    assert!(pool.clients_trend_per_min > 1.0, "the other trend looks back farther");
    for _ in 0..90 {
        watch.poll(&[row("app", 20, 0, 0)], 10);
    }
    assert_eq!(watch.pool().demand_trend_per_min, 0.0);
}

#[test]
fn a_rising_number_of_clients_has_a_trend() {
    let mut watch = Watch::new();
    for clients in 1..=30 {
        let mut row = row("app", 1, 0, 0);
        row.cl_active = clients;
        watch.poll(&[row], 10);
    }
    let trend = watch.pool().clients_trend_per_min;
    assert!((trend - 60.0).abs() < 1e-6, "one more each second, not {trend} a minute");
}

#[test]
fn pools_of_one_database_share_its_rates_by_their_busy_servers() {
    let mut watch = Watch::new();
    for _ in 0..5 {
        watch.poll(&[row("a", 3, 0, 0), row("b", 1, 0, 0)], 40);
    }
    let pools = watch.history.pools(watch.now);
    let rate = |at: usize| pools[at].1.rates.transactions_per_s;
    assert_eq!((rate(0), rate(1)), (30.0, 10.0));
}

#[test]
fn a_database_whose_size_ever_differed_has_a_scope_of_its_own() {
    let mut watch = Watch::new();
    watch.sizes = vec![("app", 7)];
    watch.poll(&[row("app", 1, 0, 0)], 1);
    watch.poll(&[row("app", 1, 0, 0)], 1);
    watch.server.default_pool_size = Some(7);
    watch.poll(&[row("app", 1, 0, 0)], 1);
    assert!(
        watch.history.scope_of(&PoolKey::new("app", "app")) != ScopeKey::Default,
        "equal by chance is still its own"
    );
    let window = watch.history.window(watch.now).expect("the target was seen");
    assert_eq!(window.scope_keys.len(), 2);
    assert_eq!((window.scopes.actionable[1], window.pools.scope[0]), (0, 1));
}

#[test]
fn a_restart_shows_in_the_consoles_own_counter() {
    let mut watch = Watch::new();
    watch.poll(&[row("app", 1, 0, 0)], 50);
    watch.poll(&[row("app", 1, 0, 0)], 50);
    assert_eq!(watch.history.restarted(), None);
    watch.console_queries = 0;
    watch.poll(&[row("app", 1, 0, 0)], 0);
    assert_eq!(watch.history.restarted(), Some(watch.now));
}

#[test]
fn every_ten_seconds_a_bucket_is_finished() {
    let mut watch = Watch::new();
    for _ in 0..25 {
        watch.poll(&[row("app", 2, 1, 40)], 10);
    }
    let buckets = watch.history.take_buckets();
    assert_eq!(buckets.len(), 2);
    let whole = buckets[1].1;
    assert_eq!((whole.samples, whole.sv_active_sum, whole.transactions), (10, 20, 100));
    assert!(watch.history.take_buckets().is_empty(), "each is taken once");
}

#[test]
fn a_window_has_columns_of_one_length() {
    let mut watch = Watch::new();
    watch.poll(&[row("a", 1, 0, 0), row("b", 2, 3, 10)], 1);
    let mut window = watch.history.window(watch.now).expect("the target was seen");
    window.scopes.actionable[0] = 7;
    let pools = &window.pools;
    let lengths = [
        pools.scope.len(),
        pools.condition.len(),
        pools.demand.len(),
        pools.wait_mean_us.len(),
        pools.idle_in_transaction_max_ms.len(),
        window.pool_keys.len(),
    ];
    assert!(lengths.iter().all(|length| *length == 2), "{lengths:?}");
    let narrow = window.narrowed(|pool| &*pool.user == "b");
    assert_eq!((narrow.pool_keys.len(), narrow.pools.cl_waiting[0]), (1, 3));
    assert_eq!((narrow.scopes.actionable[0], narrow.scopes.pools[0]), (0, 1), "it sees only half");
    assert_eq!(narrow.beyond, [ScopeKey::Default]);
    let whole = window.narrowed(|_| true);
    assert_eq!((whole.scopes.actionable[0], whole.beyond.len()), (7, 0));
}

#[test]
fn a_users_own_size_goes_before_the_databases() {
    let mut watch = Watch::new();
    watch.server.user_sizes = [(Arc::from("batch"), 2)].into();
    watch.server.user_reserves = [(Arc::from("batch"), 3)].into();
    watch.poll(&[row("app", 1, 0, 0), row("batch", 2, 1, 5)], 1);
    let window = watch.history.window(watch.now).expect("the target was seen");
    assert_eq!((window.pools.size[0], window.pools.size[1]), (5, 2));
    assert_eq!((window.pools.reserve[0], window.pools.reserve[1]), (0, 3));
    assert_eq!(window.pools.utilization[1], 1.0);
    let scope = usize::try_from(window.pools.scope[1]).expect("a small index");
    assert_eq!((window.scopes.kind[scope], window.scopes.actionable[scope]), (2, 0));
    assert_eq!(window.scopes.reserve[scope], 3);
}
