//! What a policy was shown of single pools, for people who ask why it said what it said.

use super::convert::Input;
use crate::model::{PoolKey, ScopeKey};

/// One pool as a policy was shown it.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSeen {
    /// The pool.
    pub pool: PoolKey,
    /// The scope that sizes it.
    pub scope: Option<ScopeKey>,
    /// Its size.
    pub size: u32,
    /// Servers that were linked to a client.
    pub sv_active: u32,
    /// Open servers that were not.
    pub sv_idle: u32,
    /// Clients with a server, or idle.
    pub cl_active: u32,
    /// Clients that waited for a server.
    pub cl_waiting: u32,
    /// Age of the oldest waiter, in microseconds.
    pub maxwait_us: u64,
    /// Busy servers / size, 95th percentile over the long span.
    pub utilization_p95: f64,
    /// Transactions finished per second, over the short span.
    pub transactions_per_s: f64,
    /// Mean time of these transactions, in microseconds.
    pub transaction_mean_us: f64,
}

impl Input {
    /// Gives every pool of the window with what matters most of it.
    pub fn seen(&self) -> Vec<PoolSeen> {
        (0..).map_while(|index| self.pool_seen(index)).collect()
    }

    fn pool_seen(&self, index: u32) -> Option<PoolSeen> {
        let (key, columns) = (self.pool(index)?, &self.window.pools);
        let row = usize::try_from(index).ok()?;
        let count = |column: &[u32]| column.get(row).copied().unwrap_or_default();
        let number = |column: &[f64]| column.get(row).copied().unwrap_or_default();
        Some(PoolSeen {
            pool: key.clone(),
            scope: columns.scope.get(row).and_then(|scope| self.scope(*scope)).cloned(),
            size: count(&columns.size),
            sv_active: count(&columns.sv_active),
            sv_idle: count(&columns.sv_idle),
            cl_active: count(&columns.cl_active),
            cl_waiting: count(&columns.cl_waiting),
            maxwait_us: columns.maxwait_us.get(row).copied().unwrap_or_default(),
            utilization_p95: number(&columns.utilization_p95),
            transactions_per_s: number(&columns.transactions_per_s),
            transaction_mean_us: number(&columns.transaction_mean_us),
        })
    }
}
