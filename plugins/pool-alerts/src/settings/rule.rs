//! One table of settings per alert.
//!
//! Every alert has a type of its own, although most fields repeat: a table that sets only its
//! threshold keeps the other defaults of that alert, and each default and range shows in the JSON
//! Schema.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Timing, timing};

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

/// Clients wait beside room for servers that PgBouncer does not open.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerLogins {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires when somebody has waited without a break for this long.
    pub waiting_min_ms: u64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for ServerLogins {
    fn default() -> Self {
        Self { enabled: true, waiting_min_ms: 5_000, hold_ms: 2_000, cooldown_ms: 60_000 }
    }
}

impl Timing for ServerLogins {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// Clients queue for long and nothing ends their wait.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnboundedQueue {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires when the oldest waiter of any pool has waited this long.
    pub maxwait_min_ms: u64,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for UnboundedQueue {
    fn default() -> Self {
        Self { enabled: true, maxwait_min_ms: 30_000, hold_ms: 0, cooldown_ms: 60_000 }
    }
}

impl Timing for UnboundedQueue {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// Many pools have waiters whom nobody serves: the trouble is PostgreSQL's.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseTrouble {
    /// Whether the alert is proposed at all.
    pub enabled: bool,
    /// Fires when this part of the pools in use is stuck.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share_min: f64,
    /// Fires when at least this many pools are stuck.
    #[schemars(range(min = 1))]
    pub pools_min: u32,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for DatabaseTrouble {
    fn default() -> Self {
        Self { enabled: true, share_min: 0.5, pools_min: 2, hold_ms: 1_000, cooldown_ms: 60_000 }
    }
}

impl Timing for DatabaseTrouble {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}

/// More pools are in one trouble than a person wants to be told of one by one.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ManyPools {
    /// Whether the alert is proposed at all; `told_max` holds all the same.
    pub enabled: bool,
    /// Most pools that are told one by one of each trouble: those that have waited longest.
    #[schemars(range(min = 1, max = 500))]
    pub told_max: usize,
    /// How long the condition must hold without a break before the alert fires.
    pub hold_ms: u64,
    /// How long the alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for ManyPools {
    fn default() -> Self {
        Self { enabled: true, told_max: 20, hold_ms: 0, cooldown_ms: 60_000 }
    }
}

impl Timing for ManyPools {
    fn timing(&self) -> Option<(Duration, Duration)> {
        timing(self.enabled, self.hold_ms, self.cooldown_ms)
    }
}
