//! What an operator can set: one table per alert.
//!
//! Every alert has a type of its own, although most fields repeat: a table that sets only its
//! threshold keeps the other defaults of that alert, and each default and range shows in the JSON
//! Schema.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// A client is about to be thrown out by `query_wait_timeout`.
    pub timeout_near: TimeoutNear,
    /// Servers are held by transactions that do not finish.
    pub connection_leak: ConnectionLeak,
    /// A pool's clients become more and more; off by default.
    pub clients_growing: ClientsGrowing,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            high_utilization: HighUtilization::default(),
            pool_exhausted: Condition::default(),
            long_wait: LongWait::default(),
            wedged_queue: WedgedQueue::default(),
            login_queue: Condition::default(),
            timeout_near: TimeoutNear::default(),
            connection_leak: ConnectionLeak::default(),
            clients_growing: ClientsGrowing::default(),
            pgbouncer_down: Condition::default(),
            pgbouncer_paused: Condition::default(),
            database_unreachable: Condition::default(),
            client_limit_near: LimitNear::default(),
            database_connections_near: LimitNear::default(),
            recommendations_enabled: true,
        }
    }
}

/// How long an alert must hold and then stay silent.
pub(crate) trait Timing {
    /// Returns whether the alert is wanted, its hold time and its cooldown.
    fn timing(&self) -> Option<(Duration, Duration)>;
}

/// An alert whose condition has no threshold.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for Condition {
    fn default() -> Self {
        Self { enabled: true, hold_ms: 1_000, cooldown_ms: 60_000 }
    }
}

impl Timing for Condition {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// Many servers of a pool are busy.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HighUtilization {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires above this part of busy servers.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub utilization_min: f64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for HighUtilization {
    fn default() -> Self {
        Self { enabled: true, utilization_min: 0.8, hold_ms: 10_000, cooldown_ms: 60_000 }
    }
}

impl Timing for HighUtilization {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// A client waits long for a server.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LongWait {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires when the oldest waiter has waited this long.
    pub maxwait_min_ms: u64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for LongWait {
    fn default() -> Self {
        Self { enabled: true, maxwait_min_ms: 1_000, hold_ms: 0, cooldown_ms: 60_000 }
    }
}

impl Timing for LongWait {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// Clients wait and no transaction finishes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WedgedQueue {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires when nothing has finished for this long.
    pub unserved_min_ms: u64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for WedgedQueue {
    fn default() -> Self {
        Self { enabled: true, unserved_min_ms: 5_000, hold_ms: 0, cooldown_ms: 60_000 }
    }
}

impl Timing for WedgedQueue {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// A client is about to be thrown out by `query_wait_timeout`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutNear {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires when the oldest waiter has used up this part of the timeout.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub timeout_share_min: f64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for TimeoutNear {
    fn default() -> Self {
        Self { enabled: true, timeout_share_min: 0.8, hold_ms: 0, cooldown_ms: 60_000 }
    }
}

impl Timing for TimeoutNear {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// Servers are held by transactions that do not finish.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionLeak {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires when on average this many servers are held by unfinished transactions.
    #[schemars(range(min = 0.1))]
    pub servers_min: f64,
    /// Fires when a transaction has been idle for this long.
    pub idle_in_transaction_min_ms: u64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for ConnectionLeak {
    fn default() -> Self {
        Self {
            enabled: true,
            servers_min: 1.0,
            idle_in_transaction_min_ms: 300_000,
            hold_ms: 300_000,
            cooldown_ms: 60_000,
        }
    }
}

impl Timing for ConnectionLeak {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// A pool's clients become more and more; off by default.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientsGrowing {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires when a pool gains this many clients a minute over the long span.
    #[schemars(range(min = 0.1))]
    pub clients_per_min_min: f64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for ClientsGrowing {
    fn default() -> Self {
        Self { enabled: false, clients_per_min_min: 10.0, hold_ms: 60_000, cooldown_ms: 60_000 }
    }
}

impl Timing for ClientsGrowing {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// Something is nearly used up.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitNear {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires from this part of the limit.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share_min: f64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for LimitNear {
    fn default() -> Self {
        Self { enabled: true, share_min: 0.9, hold_ms: 5_000, cooldown_ms: 60_000 }
    }
}

impl Timing for LimitNear {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

fn timing(enabled: bool, hold_ms: u64, cooldown_ms: u64) -> Option<(Duration, Duration)> {
    enabled.then(|| (Duration::from_millis(hold_ms), Duration::from_millis(cooldown_ms)))
}
