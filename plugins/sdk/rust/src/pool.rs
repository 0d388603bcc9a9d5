//! Views one pool: a (database, user) pair of the target.
//!
//! A view is an index and a reference; each accessor reads one cell of one column. Ages are
//! `Duration`s, means and rates stay numbers with their unit in the name.

use std::time::Duration;

use crate::names::{PoolName, wire_index};
use crate::proposal::Subject;
use crate::scope::Scope;
use crate::window::Window;

/// What state a pool is in, as the sidecar tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nobody uses it.
    Idle,
    /// Clients are served and nobody waits.
    Serving,
    /// Clients wait for a server.
    Queueing,
    /// Clients wait since login, before any query: they are not in `maxwait`.
    LoginQueue,
    /// An operator has paused the database: clients wait on purpose.
    Paused,
    /// Clients wait and no transaction finishes: more servers would not help.
    Wedged,
    /// The numbers are old or unknown.
    Stale,
}

impl Condition {
    /// Reads the contract's code; an unknown one is [`Condition::Stale`], on which nothing acts.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Idle,
            1 => Self::Serving,
            2 => Self::Queueing,
            3 => Self::LoginQueue,
            4 => Self::Paused,
            5 => Self::Wedged,
            _ => Self::Stale,
        }
    }
}

/// When a client gets a server connection, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// For as long as it is connected.
    Session,
    /// For a transaction.
    Transaction,
    /// For a statement.
    Statement,
}

/// A pool of the window; cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Pool<'w> {
    window: &'w Window,
    index: usize,
}

impl<'w> Pool<'w> {
    pub(crate) fn new(window: &'w Window, index: usize) -> Self {
        Self { window, index }
    }

    /// Returns the position in the window, for a table of one's own.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the subject of a proposal that is about this pool.
    pub fn subject(&self) -> Subject {
        Subject::Pool(wire_index(self.index))
    }

    /// Fetches the name; worth doing only for a pool that is written about.
    pub fn name(&self) -> PoolName {
        self.window.names.pool(self.index)
    }

    /// Returns the setting that sizes this pool.
    pub fn scope(&self) -> Scope<'w> {
        Scope::new(self.window, self.scope_index())
    }

    /// Returns the position of that setting among the window's scopes.
    pub fn scope_index(&self) -> usize {
        usize::try_from(self.window.columns.pools.scope[self.index])
            .expect("scope indices were checked against the scopes on entry")
    }

    /// Says what state the pool is in.
    pub fn condition(&self) -> Condition {
        Condition::from_code(self.window.columns.pools.condition[self.index])
    }

    /// Says when a client gets a server connection, and for how long.
    pub fn mode(&self) -> PoolMode {
        match self.window.columns.pools.mode[self.index] {
            1 => PoolMode::Transaction,
            2 => PoolMode::Statement,
            _ => PoolMode::Session,
        }
    }

    /// Returns the clients that are linked to a server or idle.
    pub fn cl_active(&self) -> u32 {
        self.window.columns.pools.cl_active[self.index]
    }

    /// Returns the clients that wait for a server.
    pub fn cl_waiting(&self) -> u32 {
        self.window.columns.pools.cl_waiting[self.index]
    }

    /// Returns the servers that are busy.
    pub fn sv_active(&self) -> u32 {
        self.window.columns.pools.sv_active[self.index]
    }

    /// Returns the servers that are open and not busy.
    pub fn sv_idle(&self) -> u32 {
        self.window.columns.pools.sv_idle[self.index]
    }

    /// Returns the servers that are logging in.
    pub fn sv_login(&self) -> u32 {
        self.window.columns.pools.sv_login[self.index]
    }

    /// Returns how many servers the pool may have, without the reserve.
    pub fn size(&self) -> u32 {
        self.window.columns.pools.size[self.index]
    }

    /// Returns how many servers the reserve adds.
    pub fn reserve(&self) -> u32 {
        self.window.columns.pools.reserve[self.index]
    }

    /// Returns the age of the oldest waiter; 0 while queued at login.
    pub fn maxwait(&self) -> Duration {
        Duration::from_micros(self.window.columns.pools.maxwait_us[self.index])
    }

    /// Returns how long somebody has been waiting without a break.
    pub fn waiting_for(&self) -> Duration {
        Duration::from_millis(self.window.columns.pools.waiting_for_ms[self.index])
    }

    /// Returns how long every server has been busy without a break.
    pub fn full_for(&self) -> Duration {
        Duration::from_millis(self.window.columns.pools.full_for_ms[self.index])
    }

    /// Returns how long somebody waited while no transaction finished.
    pub fn unserved_for(&self) -> Duration {
        Duration::from_millis(self.window.columns.pools.unserved_for_ms[self.index])
    }

    /// Returns how long the sidecar has known the pool.
    pub fn observed_for(&self) -> Duration {
        Duration::from_millis(self.window.columns.pools.observed_for_ms[self.index])
    }

    /// Returns busy servers divided by size, now.
    pub fn utilization(&self) -> f64 {
        self.window.columns.pools.utilization[self.index]
    }

    /// Returns the median utilization over the long span.
    pub fn utilization_p50(&self) -> f64 {
        self.window.columns.pools.utilization_p50[self.index]
    }

    /// Returns the 95th percentile of utilization over the long span.
    pub fn utilization_p95(&self) -> f64 {
        self.window.columns.pools.utilization_p95[self.index]
    }

    /// Returns the 95th percentile of `maxwait` over the long span, µs.
    pub fn wait_p95_us(&self) -> f64 {
        self.window.columns.pools.wait_p95_us[self.index]
    }

    /// Returns the mean number of busy servers over the short span.
    pub fn busy_mean(&self) -> f64 {
        self.window.columns.pools.busy_mean[self.index]
    }

    /// Returns the servers held by finished transactions, short span.
    pub fn busy_finished(&self) -> f64 {
        self.window.columns.pools.busy_finished[self.index]
    }

    /// Returns the servers that the pool could use now.
    pub fn demand(&self) -> f64 {
        self.window.columns.pools.demand[self.index]
    }

    /// Returns the greatest demand in the short span, servers.
    pub fn demand_max_short(&self) -> f64 {
        self.window.columns.pools.demand_max_short[self.index]
    }

    /// Returns the greatest demand in the long span, servers.
    pub fn demand_max_long(&self) -> f64 {
        self.window.columns.pools.demand_max_long[self.index]
    }

    /// Returns the slope of demand, servers per minute.
    pub fn demand_trend_per_min(&self) -> f64 {
        self.window.columns.pools.demand_trend_per_min[self.index]
    }

    /// Returns the slope of the number of clients, per minute.
    pub fn clients_trend_per_min(&self) -> f64 {
        self.window.columns.pools.clients_trend_per_min[self.index]
    }

    /// Returns transactions per second over the short span.
    pub fn transactions_per_s(&self) -> f64 {
        self.window.columns.pools.transactions_per_s[self.index]
    }

    /// Returns queries per second over the short span.
    pub fn queries_per_s(&self) -> f64 {
        self.window.columns.pools.queries_per_s[self.index]
    }

    /// Returns the mean time of a transaction, µs.
    pub fn transaction_mean_us(&self) -> f64 {
        self.window.columns.pools.transaction_mean_us[self.index]
    }

    /// Returns the mean time of a query, µs.
    pub fn query_mean_us(&self) -> f64 {
        self.window.columns.pools.query_mean_us[self.index]
    }

    /// Returns the mean wait for a server per transaction, µs.
    pub fn wait_mean_us(&self) -> f64 {
        self.window.columns.pools.wait_mean_us[self.index]
    }

    /// Returns the servers that sit idle in a transaction.
    pub fn idle_in_transaction(&self) -> u32 {
        self.window.columns.pools.idle_in_transaction[self.index]
    }

    /// Returns the age of the longest of those transactions.
    pub fn idle_in_transaction_max(&self) -> Duration {
        Duration::from_millis(self.window.columns.pools.idle_in_transaction_max_ms[self.index])
    }

    /// Returns how many of the pool's backends are active and wait for nothing; 0 where PostgreSQL may
    /// not be asked, as for the next two.
    pub fn running(&self) -> u32 {
        self.window.columns.pools.running[self.index]
    }

    /// Returns how many of the pool's active backends wait for a lock.
    pub fn waiting_on_lock(&self) -> u32 {
        self.window.columns.pools.waiting_on_lock[self.index]
    }

    /// Returns how many of the pool's active backends wait for I/O.
    pub fn waiting_on_io(&self) -> u32 {
        self.window.columns.pools.waiting_on_io[self.index]
    }
}
