//! Shows the columns of a window as pools and scopes.
//!
//! A window crosses the border as one list per metric, which is the cheapest shape that is still
//! typed. An author thinks in pools, so [`Window`] hands out views that are an index and a
//! reference: iterating costs what reading the slices costs, and nothing is allocated per pool.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bindings::poolwarden::policy::types;
use crate::names::{Names, PoolName};
use crate::past::Past;
use crate::pool::Pool;
use crate::proposal::Subject;
use crate::scope::Scope;
use crate::session::Sessions;

/// What the sidecar knows of one target at one moment.
#[derive(Debug, Clone)]
pub struct Window {
    pub(crate) columns: types::Window,
    pub(crate) names: Names,
}

/// Says why a window's columns do not belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowError {
    /// A column has another length than the first one of its table.
    UnequalColumns {
        /// The column's name in the contract.
        column: &'static str,
        /// Its length, in rows.
        rows: usize,
        /// The table's length, in rows.
        expected: usize,
    },
    /// A pool names a scope that the window does not have.
    UnknownScope {
        /// Index of the pool.
        pool: usize,
        /// Index that it gives.
        scope: u32,
    },
    /// A session names a pool that the window does not have.
    UnknownPool {
        /// Index that it gives.
        pool: u32,
    },
    /// More rows than an index of the contract can count.
    TooManyRows,
}

impl std::fmt::Display for WindowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnequalColumns { column, rows, expected } => {
                write!(f, "column {column} has {rows} rows instead of {expected}")
            }
            Self::UnknownScope { pool, scope } => {
                write!(f, "pool {pool} is sized by scope {scope}, which the window does not have")
            }
            Self::UnknownPool { pool } => {
                write!(f, "a session is of pool {pool}, which the window does not have")
            }
            Self::TooManyRows => write!(f, "the window has more rows than an index can count"),
        }
    }
}

impl std::error::Error for WindowError {}

impl Window {
    /// Wraps columns whose names the sidecar knows; for use under Wasm only.
    ///
    /// # Errors
    /// When the columns do not belong together.
    pub fn from_host(columns: types::Window) -> Result<Self, WindowError> {
        check(&columns)?;
        Ok(Self { columns, names: Names::Host })
    }

    /// Wraps columns with names by index, for tests and benchmarks.
    ///
    /// # Errors
    /// When the columns do not belong together.
    pub fn with_names(
        columns: types::Window,
        pools: Vec<PoolName>,
        scopes: Vec<String>,
    ) -> Result<Self, WindowError> {
        check(&columns)?;
        let settings = BTreeMap::new();
        Ok(Self { columns, names: Names::Given { pools, scopes, settings } })
    }

    /// Adds a setting of the PgBouncer to a window with given names.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        if let Names::Given { settings, .. } = &mut self.names {
            settings.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// Puts a past into a window, for tests and benchmarks.
    ///
    /// # Errors
    /// When it has another number of pools than the window.
    pub fn with_past(mut self, past: types::Past) -> Result<Self, WindowError> {
        check_past(&past, self.columns.pools.scope.len())?;
        self.columns.past = Some(past);
        Ok(self)
    }

    /// Returns the wall-clock time of the newest sample, milliseconds since 1970.
    pub fn at_ms(&self) -> u64 {
        self.columns.at_ms
    }

    /// Returns the length of the short span, over which rates and means are taken.
    pub fn short_span(&self) -> Duration {
        Duration::from_millis(self.columns.short_span_ms)
    }

    /// Returns the length of the long span, over which percentiles and trends are taken.
    pub fn long_span(&self) -> Duration {
        Duration::from_millis(self.columns.long_span_ms)
    }

    /// Returns the PgBouncer that this window is about.
    pub fn target(&self) -> &types::Target {
        &self.columns.target
    }

    /// Returns the PostgreSQL server behind it, when the sidecar may look at it.
    pub fn database_server(&self) -> Option<&types::DatabaseServer> {
        self.columns.database.as_ref()
    }

    /// Returns the value of one of the operator's labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        let labels = &self.columns.target.labels;
        labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns every pool, in the order of their indices.
    pub fn pools(&self) -> impl ExactSizeIterator<Item = Pool<'_>> + DoubleEndedIterator {
        (0..self.columns.pools.scope.len()).map(|index| Pool::new(self, index))
    }

    /// Returns every size scope, in the order of their indices.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = Scope<'_>> + DoubleEndedIterator {
        (0..self.columns.scopes.kind.len()).map(|index| Scope::new(self, index))
    }

    /// Returns the longer past that [`Policy::PAST`](crate::Policy::PAST) asks for.
    ///
    /// `None` until the sidecar has read it, and while its store cannot be read.
    pub fn past(&self) -> Option<Past<'_>> {
        self.columns.past.as_ref().map(Past::new)
    }

    /// Returns the subject of a proposal that is about the whole target.
    pub fn target_subject(&self) -> Subject {
        Subject::Target
    }

    /// Returns the sidecar's last look at single sessions, for a short while after one.
    pub fn sessions(&self) -> Option<Sessions<'_>> {
        self.columns.sessions.as_ref().map(|columns| Sessions::new(self, columns))
    }

    /// Fetches a setting of the PgBouncer as `SHOW CONFIG` gives it, if it is known.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.names.setting(name)
    }

    /// Returns the columns as they crossed the border.
    pub fn columns(&self) -> &types::Window {
        &self.columns
    }
}

/// Refuses columns that would make a view read past its table.
fn check(window: &types::Window) -> Result<(), WindowError> {
    let scopes = check_scopes(&window.scopes)?;
    let pools = check_pools(&window.pools)?;
    if u32::try_from(scopes).is_err() || u32::try_from(pools).is_err() {
        return Err(WindowError::TooManyRows);
    }
    if let Some(sessions) = &window.sessions {
        check_sessions(sessions, pools)?;
    }
    if let Some(past) = &window.past {
        check_past(past, pools)?;
    }
    let unknown = |scope: &u32| usize::try_from(*scope).map_or(true, |scope| scope >= scopes);
    match window.pools.scope.iter().position(unknown) {
        Some(pool) => Err(WindowError::UnknownScope { pool, scope: window.pools.scope[pool] }),
        None => Ok(()),
    }
}

fn check_sessions(sessions: &types::Sessions, pools: usize) -> Result<(), WindowError> {
    let (h, g) = (&sessions.holders, &sessions.groups);
    same_length(
        h.pool.len(),
        &[
            ("holders.state", h.state.len()),
            ("holders.endable", h.endable.len()),
            ("holders.client", h.client.len()),
            ("holders.application", h.application.len()),
            ("holders.address", h.address.len()),
            ("holders.backend-pid", h.backend_pid.len()),
            ("holders.connected-ms", h.connected_ms.len()),
            ("holders.request-age-ms", h.request_age_ms.len()),
            ("holders.state-age-ms", h.state_age_ms.len()),
            ("holders.transaction-age-ms", h.transaction_age_ms.len()),
            ("holders.statement-age-ms", h.statement_age_ms.len()),
        ],
    )?;
    same_length(
        g.pool.len(),
        &[
            ("groups.application", g.application.len()),
            ("groups.address", g.address.len()),
            ("groups.clients", g.clients.len()),
            ("groups.holding", g.holding.len()),
            ("groups.oldest-ms", g.oldest_ms.len()),
        ],
    )?;
    let unknown = |pool: &&u32| usize::try_from(**pool).map_or(true, |pool| pool >= pools);
    match h.pool.iter().chain(&g.pool).find(unknown) {
        Some(pool) => Err(WindowError::UnknownPool { pool: *pool }),
        None => Ok(()),
    }
}

fn check_scopes(scopes: &types::Scopes) -> Result<usize, WindowError> {
    let rows = scopes.kind.len();
    same_length(
        rows,
        &[
            ("scopes.size", scopes.size.len()),
            ("scopes.actionable", scopes.actionable.len()),
            ("scopes.floor", scopes.floor.len()),
            ("scopes.ceiling", scopes.ceiling.len()),
            ("scopes.pools", scopes.pools.len()),
            ("scopes.min-size", scopes.min_size.len()),
            ("scopes.reserve", scopes.reserve.len()),
            ("scopes.change", scopes.change.len()),
            ("scopes.change-age-ms", scopes.change_age_ms.len()),
            ("scopes.change-from", scopes.change_from.len()),
            ("scopes.change-to", scopes.change_to.len()),
        ],
    )
}

fn check_pools(pools: &types::Pools) -> Result<usize, WindowError> {
    let rows = pools.scope.len();
    same_length(
        rows,
        &[
            ("condition", pools.condition.len()),
            ("mode", pools.mode.len()),
            ("cl-active", pools.cl_active.len()),
            ("cl-waiting", pools.cl_waiting.len()),
            ("sv-active", pools.sv_active.len()),
            ("sv-idle", pools.sv_idle.len()),
            ("sv-login", pools.sv_login.len()),
            ("size", pools.size.len()),
            ("reserve", pools.reserve.len()),
            ("maxwait-us", pools.maxwait_us.len()),
            ("waiting-for-ms", pools.waiting_for_ms.len()),
            ("full-for-ms", pools.full_for_ms.len()),
            ("unserved-for-ms", pools.unserved_for_ms.len()),
            ("observed-for-ms", pools.observed_for_ms.len()),
            ("utilization", pools.utilization.len()),
            ("utilization-p50", pools.utilization_p50.len()),
            ("utilization-p95", pools.utilization_p95.len()),
            ("wait-p95-us", pools.wait_p95_us.len()),
            ("busy-mean", pools.busy_mean.len()),
            ("busy-finished", pools.busy_finished.len()),
            ("demand", pools.demand.len()),
            ("demand-max-short", pools.demand_max_short.len()),
            ("demand-max-long", pools.demand_max_long.len()),
            ("demand-trend-per-min", pools.demand_trend_per_min.len()),
            ("clients-trend-per-min", pools.clients_trend_per_min.len()),
            ("transactions-per-s", pools.transactions_per_s.len()),
            ("queries-per-s", pools.queries_per_s.len()),
            ("transaction-mean-us", pools.transaction_mean_us.len()),
            ("query-mean-us", pools.query_mean_us.len()),
            ("wait-mean-us", pools.wait_mean_us.len()),
            ("idle-in-transaction", pools.idle_in_transaction.len()),
            ("idle-in-transaction-max-ms", pools.idle_in_transaction_max_ms.len()),
            ("running", pools.running.len()),
            ("waiting-on-lock", pools.waiting_on_lock.len()),
            ("waiting-on-io", pools.waiting_on_io.len()),
        ],
    )
}

fn check_past(past: &types::Past, pools: usize) -> Result<(), WindowError> {
    let steps = usize::try_from(past.steps).map_err(|_| WindowError::TooManyRows)?;
    let rows = pools.checked_mul(steps).ok_or(WindowError::TooManyRows)?;
    let columns = [
        ("past.samples", past.samples.len()),
        ("past.clients-max", past.clients_max.len()),
        ("past.waiting-max", past.waiting_max.len()),
        ("past.waiting-mean", past.waiting_mean.len()),
        ("past.busy-max", past.busy_max.len()),
        ("past.busy-mean", past.busy_mean.len()),
        ("past.servers-max", past.servers_max.len()),
        ("past.size", past.size.len()),
        ("past.wait-max-us", past.wait_max_us.len()),
        ("past.transactions", past.transactions.len()),
        ("past.transaction-mean-us", past.transaction_mean_us.len()),
        ("past.wait-mean-us", past.wait_mean_us.len()),
    ];
    same_length(rows, &columns).map(drop)
}

fn same_length(expected: usize, columns: &[(&'static str, usize)]) -> Result<usize, WindowError> {
    match columns.iter().find(|(_, rows)| *rows != expected) {
        Some(&(column, rows)) => Err(WindowError::UnequalColumns { column, rows, expected }),
        None => Ok(expected),
    }
}
