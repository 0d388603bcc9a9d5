//! Pools with all their numbers, and PostgreSQL's sessions.

use serde::Serialize;
use utoipa::ToSchema;

use super::{micros, millis};
use crate::control::{PoolView, TargetView, View};
use crate::model::{DatabaseSample, PgSessions, PoolKey, Timestamp};

/// A pool at this moment; spans and percentiles as the plugin contract defines them.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Pool<'a> {
    target: &'a str,
    database: &'a str,
    user: &'a str,
    /// Each condition asks for another remedy.
    #[schema(pattern = "^(idle|serving|queueing|login_queue|paused|wedged|stale)$")]
    condition: &'static str,
    /// Servers that the pool may have.
    size: u32,
    /// Further servers for when clients wait.
    reserve: u32,
    pool_mode: Option<&'a str>,
    cl_active: u32,
    cl_waiting: u32,
    cl_active_cancel_req: Option<u32>,
    cl_waiting_cancel_req: Option<u32>,
    sv_active: u32,
    sv_active_cancel: Option<u32>,
    sv_being_canceled: Option<u32>,
    sv_idle: u32,
    sv_used: u32,
    sv_tested: u32,
    sv_login: u32,
    /// Age of the oldest waiter.
    maxwait_us: u64,
    /// Somebody has been waiting for so long.
    waiting_for_ms: u64,
    /// Every server has been busy for so long.
    full_for_ms: u64,
    /// Somebody has been waiting and nobody was served for so long.
    unserved_for_ms: u64,
    /// The sidecar has known the pool for so long.
    observed_for_ms: u64,
    /// Busy servers / size, now.
    utilization: f64,
    utilization_p50: f64,
    utilization_p95: f64,
    wait_p95_us: f64,
    /// Mean number of busy servers over the short span.
    busy_mean: f64,
    /// Servers held by transactions that finished (Little's law).
    busy_finished: f64,
    /// Servers that the pool could use.
    demand: f64,
    demand_max_short: f64,
    demand_max_long: f64,
    demand_trend_per_min: f64,
    clients_trend_per_min: f64,
    transactions_per_s: f64,
    queries_per_s: f64,
    transaction_mean_us: f64,
    query_mean_us: f64,
    wait_mean_us: f64,
    /// PostgreSQL sessions idle inside a transaction; 0 where PostgreSQL is not asked.
    idle_in_transaction: u32,
    idle_in_transaction_max_ms: u64,
}

impl<'a> Pool<'a> {
    fn new(target: &'a TargetView, key: &'a PoolKey, pool: &'a PoolView) -> Self {
        let (row, rates) = (&pool.row, &pool.rates);
        Self {
            target: target.name.as_str(),
            database: &key.database,
            user: &key.user,
            condition: pool.condition.as_str(),
            size: pool.size,
            reserve: pool.reserve,
            pool_mode: row.pool_mode.as_deref(),
            cl_active: row.cl_active,
            cl_waiting: row.cl_waiting,
            cl_active_cancel_req: row.cl_active_cancel_req,
            cl_waiting_cancel_req: row.cl_waiting_cancel_req,
            sv_active: row.sv_active,
            sv_active_cancel: row.sv_active_cancel,
            sv_being_canceled: row.sv_being_canceled,
            sv_idle: row.sv_idle,
            sv_used: row.sv_used,
            sv_tested: row.sv_tested,
            sv_login: row.sv_login,
            maxwait_us: micros(row.maxwait),
            waiting_for_ms: millis(pool.waiting_for),
            full_for_ms: millis(pool.full_for),
            unserved_for_ms: millis(pool.unserved_for),
            observed_for_ms: millis(pool.observed_for),
            utilization: pool.utilization,
            utilization_p50: pool.utilization_p50,
            utilization_p95: pool.utilization_p95,
            wait_p95_us: pool.wait_p95_us,
            busy_mean: pool.busy_mean,
            busy_finished: rates.busy_finished,
            demand: pool.demand,
            demand_max_short: pool.demand_max_short,
            demand_max_long: pool.demand_max_long,
            demand_trend_per_min: pool.demand_trend_per_min,
            clients_trend_per_min: pool.clients_trend_per_min,
            transactions_per_s: rates.transactions_per_s,
            queries_per_s: rates.queries_per_s,
            transaction_mean_us: rates.transaction_mean_us,
            query_mean_us: rates.query_mean_us,
            wait_mean_us: rates.wait_mean_us,
            idle_in_transaction: pool.backends.idle_in_transaction,
            idle_in_transaction_max_ms: millis(pool.backends.idle_in_transaction_max),
        }
    }

    fn all(target: &'a TargetView) -> impl Iterator<Item = Self> {
        target.pools.iter().map(|(key, pool)| Self::new(target, key, pool))
    }
}

/// The pools of every target.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct PoolList<'a> {
    /// The moment that this shows, milliseconds since 1970.
    at_ms: u64,
    pools: Vec<Pool<'a>>,
}

impl<'a> PoolList<'a> {
    /// Keeps the pools that a filter lets pass.
    pub fn new(view: &'a View, keep: impl Fn(&TargetView, &PoolKey) -> bool) -> Self {
        let keep = &keep;
        let pools = view.targets.iter().flat_map(|target| {
            let kept = target.pools.iter().filter(move |(key, _)| keep(target, key));
            kept.map(move |(key, pool)| Pool::new(target, key, pool))
        });
        Self { at_ms: view.at.as_millis(), pools: pools.collect() }
    }
}

/// Every connection that is known of, by target.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Connections<'a> {
    /// The moment that this shows, milliseconds since 1970.
    at_ms: u64,
    targets: Vec<TargetConnections<'a>>,
}

/// The connections of one PgBouncer.
#[derive(Debug, Serialize, ToSchema)]
struct TargetConnections<'a> {
    target: &'a str,
    #[schema(pattern = "^(up|paused|down)$")]
    status: &'static str,
    /// Age of these numbers; null before the first good poll.
    data_age_ms: Option<u64>,
    /// Clients now.
    clients: u32,
    /// `max_client_conn`.
    clients_max: Option<u32>,
    /// Server connections now, those logging in included.
    servers: u32,
    pools: Vec<Pool<'a>>,
    /// The sessions of PostgreSQL; null where the sidecar may not look.
    postgres: Option<Sessions<'a>>,
}

/// PostgreSQL's client sessions by database, user and application.
#[derive(Debug, Serialize, ToSchema)]
struct Sessions<'a> {
    /// Whether the last look succeeded; if not, these are the last known numbers.
    reachable: bool,
    data_age_ms: u64,
    max_connections: u32,
    reserved_connections: u32,
    connections: u32,
    sessions: Vec<SessionGroup<'a>>,
}

/// The sessions of one application.
#[derive(Debug, Serialize, ToSchema)]
struct SessionGroup<'a> {
    database: &'a str,
    user: &'a str,
    application: &'a str,
    total: u32,
    active: u32,
    idle_in_transaction: u32,
    idle_in_transaction_max_ms: u64,
    waiting_on_lock: u32,
    waiting_on_io: u32,
    waiting_on_other: u32,
}

impl<'a> From<&'a View> for Connections<'a> {
    fn from(view: &'a View) -> Self {
        let targets = view.targets.iter().map(|target| TargetConnections::new(target, view.at));
        Self { at_ms: view.at.as_millis(), targets: targets.collect() }
    }
}

impl<'a> TargetConnections<'a> {
    fn new(target: &'a TargetView, at: Timestamp) -> Self {
        let sum = |number: fn(&PoolView) -> u32| {
            target.pools.iter().fold(0_u32, |sum, (_, pool)| sum.saturating_add(number(pool)))
        };
        Self {
            target: target.name.as_str(),
            status: target.status.as_str(),
            data_age_ms: target.data_age.map(millis),
            clients: sum(|pool| pool.row.cl_active.saturating_add(pool.row.cl_waiting)),
            clients_max: target.server.max_client_conn,
            servers: sum(|pool| pool.row.servers()),
            pools: Pool::all(target).collect(),
            postgres: target.postgres.as_deref().map(|sample| Sessions::new(sample, at)),
        }
    }
}

impl<'a> Sessions<'a> {
    fn new(sample: &'a DatabaseSample, at: Timestamp) -> Self {
        let group = |group: &'a PgSessions| SessionGroup {
            database: &group.database,
            user: &group.user,
            application: &group.application,
            total: group.total,
            active: group.active,
            idle_in_transaction: group.idle_in_transaction,
            idle_in_transaction_max_ms: millis(group.idle_in_transaction_max),
            waiting_on_lock: group.waiting_on_lock,
            waiting_on_io: group.waiting_on_io,
            waiting_on_other: group.waiting_on_other,
        };
        Self {
            reachable: sample.is_reachable(),
            data_age_ms: at.millis_since(sample.at),
            max_connections: sample.max_connections,
            reserved_connections: sample.reserved_connections,
            connections: sample.sum(|group| group.total),
            sessions: sample.sessions.iter().map(group).collect(),
        }
    }
}
