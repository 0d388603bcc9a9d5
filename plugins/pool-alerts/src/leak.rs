//! Servers that are held by transactions which do not finish.

use std::time::Duration;

use poolwarden_policy::Pool;

use crate::settings::ConnectionLeak;

/// Says whether servers are held by transactions that do not finish.
///
/// Little's law over finished transactions gives the servers that work; what the mean of busy
/// servers has beyond it is held by the others. PostgreSQL's own word on idle transactions is the
/// second sign.
pub(crate) fn leaks(rule: &ConnectionLeak, pool: &Pool<'_>) -> bool {
    let idle_min = Duration::from_millis(rule.idle_in_transaction_min_ms);
    unfinished(pool) >= rule.servers_min
        || (pool.idle_in_transaction() > 0 && pool.idle_in_transaction_max() >= idle_min)
}

/// Returns the mean number of servers that unfinished transactions hold.
pub(crate) fn unfinished(pool: &Pool<'_>) -> f64 {
    (pool.busy_mean() - pool.busy_finished()).max(0.0)
}
