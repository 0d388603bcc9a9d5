//! Builds windows row by row, for unit tests and benchmarks on the author's own machine.
//!
//! The contract's columns are cheap to cross a border and tedious to write down; a test wants to
//! say "a pool like this one, but with three waiters". Not compiled into a plugin.

mod past;

pub use past::{PastStep, past};

use crate::contract::{Pools, Scopes, Sessions, Target, TargetStatus, Window as Columns};
use crate::{PoolName, Window, WindowError};

/// One pool, field by field as in the contract; start from [`PoolRow::serving`].
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields are the contract's columns and documented there")]
pub struct PoolRow {
    pub name: PoolName,
    pub scope: u32,
    pub condition: u8,
    pub mode: u8,
    pub cl_active: u32,
    pub cl_waiting: u32,
    pub sv_active: u32,
    pub sv_idle: u32,
    pub sv_login: u32,
    pub size: u32,
    pub reserve: u32,
    pub maxwait_us: u64,
    pub waiting_for_ms: u64,
    pub full_for_ms: u64,
    pub unserved_for_ms: u64,
    pub observed_for_ms: u64,
    pub utilization: f64,
    pub utilization_p50: f64,
    pub utilization_p95: f64,
    pub wait_p95_us: f64,
    pub busy_mean: f64,
    pub busy_finished: f64,
    pub demand: f64,
    pub demand_max_short: f64,
    pub demand_max_long: f64,
    pub demand_trend_per_min: f64,
    pub clients_trend_per_min: f64,
    pub transactions_per_s: f64,
    pub queries_per_s: f64,
    pub transaction_mean_us: f64,
    pub query_mean_us: f64,
    pub wait_mean_us: f64,
    pub idle_in_transaction: u32,
    pub idle_in_transaction_max_ms: u64,
    pub running: u32,
    pub waiting_on_lock: u32,
    pub waiting_on_io: u32,
}

impl PoolRow {
    /// Makes a pool of the first scope that serves, without waiters, known for an hour.
    pub fn serving(database: &str, user: &str, size: u32, busy: u32) -> Self {
        let servers = f64::from(busy);
        let utilization = servers / f64::from(size);
        Self {
            name: PoolName::new(database, user),
            condition: 1,
            mode: 1,
            cl_active: busy,
            sv_active: busy,
            sv_idle: size.saturating_sub(busy),
            size,
            observed_for_ms: 3_600_000,
            utilization,
            utilization_p50: utilization,
            utilization_p95: utilization,
            busy_mean: servers,
            busy_finished: servers,
            demand: servers,
            demand_max_short: servers,
            demand_max_long: servers,
            transactions_per_s: 100.0 * servers,
            queries_per_s: 100.0 * servers,
            transaction_mean_us: 10_000.0,
            query_mean_us: 10_000.0,
            ..Self::default()
        }
    }

    /// Makes a full pool of the first scope in which `waiting` clients have queued for a second.
    pub fn queueing(database: &str, user: &str, size: u32, waiting: u32, demand: f64) -> Self {
        Self {
            condition: 2,
            cl_waiting: waiting,
            maxwait_us: 1_000_000,
            waiting_for_ms: 1_000,
            full_for_ms: 1_000,
            demand,
            demand_max_short: demand,
            demand_max_long: demand,
            ..Self::serving(database, user, size, size)
        }
    }
}

/// One client that holds a server, field by field as in the contract; start from
/// [`HolderRow::idle_in_transaction`].
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields are the contract's columns and documented there")]
pub struct HolderRow {
    pub pool: u32,
    pub state: u8,
    pub endable: bool,
    pub client: String,
    pub application: String,
    pub address: String,
    pub backend_pid: u32,
    pub connected_ms: u64,
    pub request_age_ms: u64,
    pub state_age_ms: u64,
    pub transaction_age_ms: u64,
    pub statement_age_ms: u64,
}

impl HolderRow {
    /// Makes a client of the first pool that left a transaction open `idle_ms` ago.
    pub fn idle_in_transaction(application: &str, backend_pid: u32, idle_ms: u64) -> Self {
        Self {
            state: 2,
            endable: true,
            client: backend_pid.to_string(),
            application: application.to_owned(),
            address: "10.0.0.9:4711".to_owned(),
            backend_pid,
            connected_ms: 3_600_000,
            request_age_ms: idle_ms,
            state_age_ms: idle_ms,
            transaction_age_ms: idle_ms + 10,
            statement_age_ms: idle_ms + 5,
            ..Self::default()
        }
    }
}

/// One group of clients: pool, application, address, clients, and those that hold a server.
pub type GroupRow<'a> = (u32, &'a str, &'a str, u32, u32);

/// Makes a look at sessions a second ago, to be put into columns.
pub fn sessions(holders: &[HolderRow], groups: &[GroupRow<'_>]) -> Sessions {
    let mut sessions = Sessions { age_ms: 1_000, ..Sessions::default() };
    let to = &mut sessions.holders;
    for row in holders {
        to.pool.push(row.pool);
        to.state.push(row.state);
        to.endable.push(u8::from(row.endable));
        to.client.push(row.client.clone());
        to.application.push(row.application.clone());
        to.address.push(row.address.clone());
        to.backend_pid.push(row.backend_pid);
        to.connected_ms.push(row.connected_ms);
        to.request_age_ms.push(row.request_age_ms);
        to.state_age_ms.push(row.state_age_ms);
        to.transaction_age_ms.push(row.transaction_age_ms);
        to.statement_age_ms.push(row.statement_age_ms);
    }
    let to = &mut sessions.groups;
    for (pool, application, address, clients, holding) in groups {
        to.pool.push(*pool);
        to.application.push((*application).to_owned());
        to.address.push((*address).to_owned());
        to.clients.push(*clients);
        to.holding.push(*holding);
        to.oldest_ms.push(3_600_000);
    }
    sessions
}

/// One size scope, field by field as in the contract; start from [`ScopeRow::default_size`].
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields are the contract's columns and documented there")]
pub struct ScopeRow {
    pub name: String,
    pub kind: u8,
    pub size: u32,
    pub actionable: bool,
    pub min_size: u32,
    pub reserve: u32,
    pub floor: u32,
    pub ceiling: u32,
    pub change: u8,
    pub change_age_ms: u64,
    pub change_from: u32,
    pub change_to: u32,
}

impl ScopeRow {
    /// Makes the `default_pool_size` of the target, to be kept between 1 and 100.
    pub fn default_size(size: u32) -> Self {
        Self { size, actionable: true, floor: 1, ceiling: 100, ..Self::default() }
    }

    /// Makes a database's own `pool_size`, which the sidecar cannot change.
    pub fn database(name: &str, size: u32) -> Self {
        Self { name: name.to_owned(), kind: 1, actionable: false, ..Self::default_size(size) }
    }
}

/// Makes columns with a target that is up and no database server, at second 1 000 000.
pub fn columns(scopes: &[ScopeRow], pools: &[PoolRow]) -> Columns {
    let mut scope_columns = Scopes::default();
    for (index, row) in scopes.iter().enumerate() {
        let sized = |pool: &&PoolRow| usize::try_from(pool.scope).is_ok_and(|at| at == index);
        let count = u32::try_from(pools.iter().filter(sized).count()).unwrap_or(u32::MAX);
        push_scope(&mut scope_columns, row, count);
    }
    let mut pool_columns = Pools::default();
    for row in pools {
        push_pool(&mut pool_columns, row);
    }
    Columns {
        at_ms: 1_000_000_000,
        short_span_ms: 10_000,
        long_span_ms: 300_000,
        target: target(),
        database: None,
        scopes: scope_columns,
        pools: pool_columns,
        past: None,
        sessions: None,
    }
}

/// Makes a window of those rows, with their names.
///
/// # Errors
/// When a pool names a scope that is not given.
pub fn window(scopes: &[ScopeRow], pools: &[PoolRow]) -> Result<Window, WindowError> {
    name_columns(columns(scopes, pools), scopes, pools)
}

/// Puts the rows' names to columns that were changed by hand.
///
/// # Errors
/// When the columns do not belong together.
pub fn name_columns(
    columns: Columns,
    scopes: &[ScopeRow],
    pools: &[PoolRow],
) -> Result<Window, WindowError> {
    let pool_names = pools.iter().map(|row| row.name.clone()).collect();
    let scope_names = scopes.iter().map(|row| row.name.clone()).collect();
    Window::with_names(columns, pool_names, scope_names)
}

/// Makes a PgBouncer 1.25.2 that is up, with `default_pool_size` 20.
pub fn target() -> Target {
    Target {
        name: "main".to_owned(),
        status: TargetStatus::Up,
        status_for_ms: 3_600_000,
        data_age_ms: 0,
        labels: Vec::new(),
        version: 12_502,
        default_pool_size: 20,
        min_pool_size: 0,
        reserve_pool_size: 0,
        clients: 50,
        clients_max: 1_000,
        query_wait_timeout_ms: 120_000,
    }
}

fn push_scope(columns: &mut Scopes, row: &ScopeRow, pools: u32) {
    columns.kind.push(row.kind);
    columns.size.push(row.size);
    columns.actionable.push(if row.actionable { 7 } else { 0 });
    columns.min_size.push(row.min_size);
    columns.reserve.push(row.reserve);
    columns.floor.push(row.floor);
    columns.ceiling.push(row.ceiling);
    columns.pools.push(pools);
    columns.change.push(row.change);
    columns.change_age_ms.push(row.change_age_ms);
    columns.change_from.push(row.change_from);
    columns.change_to.push(row.change_to);
}

fn push_pool(columns: &mut Pools, row: &PoolRow) {
    columns.scope.push(row.scope);
    columns.condition.push(row.condition);
    columns.mode.push(row.mode);
    columns.cl_active.push(row.cl_active);
    columns.cl_waiting.push(row.cl_waiting);
    columns.sv_active.push(row.sv_active);
    columns.sv_idle.push(row.sv_idle);
    columns.sv_login.push(row.sv_login);
    columns.size.push(row.size);
    columns.reserve.push(row.reserve);
    columns.maxwait_us.push(row.maxwait_us);
    columns.waiting_for_ms.push(row.waiting_for_ms);
    columns.full_for_ms.push(row.full_for_ms);
    columns.unserved_for_ms.push(row.unserved_for_ms);
    columns.observed_for_ms.push(row.observed_for_ms);
    columns.utilization.push(row.utilization);
    columns.utilization_p50.push(row.utilization_p50);
    columns.utilization_p95.push(row.utilization_p95);
    columns.wait_p95_us.push(row.wait_p95_us);
    columns.busy_mean.push(row.busy_mean);
    columns.busy_finished.push(row.busy_finished);
    columns.demand.push(row.demand);
    columns.demand_max_short.push(row.demand_max_short);
    columns.demand_max_long.push(row.demand_max_long);
    columns.demand_trend_per_min.push(row.demand_trend_per_min);
    columns.clients_trend_per_min.push(row.clients_trend_per_min);
    columns.transactions_per_s.push(row.transactions_per_s);
    columns.queries_per_s.push(row.queries_per_s);
    columns.transaction_mean_us.push(row.transaction_mean_us);
    columns.query_mean_us.push(row.query_mean_us);
    columns.wait_mean_us.push(row.wait_mean_us);
    columns.idle_in_transaction.push(row.idle_in_transaction);
    columns.idle_in_transaction_max_ms.push(row.idle_in_transaction_max_ms);
    columns.running.push(row.running);
    columns.waiting_on_lock.push(row.waiting_on_lock);
    columns.waiting_on_io.push(row.waiting_on_io);
}
