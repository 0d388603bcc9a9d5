//! What an operator can set: one table per alert.
//!
//! The tables themselves stand in [`rule`]; what holds for all alerts stands here.

mod rule;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rule::{
    ClientsGrowing, Condition, ConnectionLeak, DatabaseTrouble, HighUtilization, LimitNear,
    LongWait, ManyPools, ServerLogins, TimeoutNear, UnboundedQueue, WedgedQueue,
};

/// Settings of `pool-alerts`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Many servers of a pool are busy.
    pub high_utilization: HighUtilization,
    /// Every server of a pool is busy and clients wait.
    pub pool_exhausted: Condition,
    /// A client waits long for a server.
    pub long_wait: LongWait,
    /// Clients wait and no transaction finishes.
    pub wedged_queue: WedgedQueue,
    /// Clients wait since login, where `maxwait` does not see them.
    pub login_queue: Condition,
    /// Clients wait beside room for servers that PgBouncer does not open: its logins fail.
    pub server_logins_failing: ServerLogins,
    /// A client is about to be thrown out by `query_wait_timeout`.
    pub timeout_near: TimeoutNear,
    /// Clients queue for long while `query_wait_timeout` is 0, so that nothing ends their wait.
    pub unbounded_queue: UnboundedQueue,
    /// Servers are held by transactions that do not finish.
    pub connection_leak: ConnectionLeak,
    /// A pool's clients become more and more; off by default.
    pub clients_growing: ClientsGrowing,
    /// More pools are in one trouble than are told one by one.
    pub many_pools: ManyPools,
    /// Many pools have waiters whom nobody serves: the trouble is PostgreSQL's.
    pub database_trouble: DatabaseTrouble,
    /// PgBouncer does not answer.
    pub pgbouncer_down: Condition,
    /// An operator has paused PgBouncer.
    pub pgbouncer_paused: Condition,
    /// PostgreSQL does not answer the sidecar.
    pub database_unreachable: Condition,
    /// `max_client_conn` is nearly reached.
    pub client_limit_near: LimitNear,
    /// PostgreSQL's `max_connections` is nearly reached.
    pub database_connections_near: LimitNear,
    /// Whether to recommend lines for `pgbouncer.ini` besides alerting.
    pub recommendations_enabled: bool,
    /// Labels that every alert carries, for routing and silences.
    #[schemars(extend(
        "maxProperties" = 8,
        "propertyNames" = { "pattern": "^[a-zA-Z_][a-zA-Z0-9_]{0,62}$" },
        "additionalProperties" = { "type": "string", "maxLength": 64 }
    ))]
    pub labels: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            high_utilization: HighUtilization::default(),
            pool_exhausted: Condition::default(),
            long_wait: LongWait::default(),
            wedged_queue: WedgedQueue::default(),
            login_queue: Condition::default(),
            server_logins_failing: ServerLogins::default(),
            timeout_near: TimeoutNear::default(),
            unbounded_queue: UnboundedQueue::default(),
            connection_leak: ConnectionLeak::default(),
            clients_growing: ClientsGrowing::default(),
            many_pools: ManyPools::default(),
            database_trouble: DatabaseTrouble::default(),
            pgbouncer_down: Condition::default(),
            pgbouncer_paused: Condition::default(),
            database_unreachable: Condition::default(),
            client_limit_near: LimitNear::default(),
            database_connections_near: LimitNear::default(),
            recommendations_enabled: true,
            labels: BTreeMap::new(),
        }
    }
}

/// How long an alert must hold and then stay silent.
pub(crate) trait Timing {
    /// Returns whether the alert is wanted, its hold time and its cooldown.
    fn timing(&self) -> Option<(Duration, Duration)>;
}

fn timing(enabled: bool, hold_ms: u64, cooldown_ms: u64) -> Option<(Duration, Duration)> {
    enabled.then(|| (Duration::from_millis(hold_ms), Duration::from_millis(cooldown_ms)))
}
