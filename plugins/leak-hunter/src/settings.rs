//! What an operator can set.
//!
//! Two kinds of thresholds: those of suspicion look at numbers that cost nothing and only decide
//! whether to look; those of the verdict look at single sessions and decide whom to name.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `leak-hunter`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Names a session that has idled inside a transaction for this long.
    #[schemars(range(min = 100, max = 86_400_000))]
    pub idle_in_transaction_min_ms: u64,
    /// Names a session that holds its server outside of a transaction and has idled for this long,
    /// while others wait for one (session pooling only).
    #[schemars(range(min = 100, max = 86_400_000))]
    pub session_idle_min_ms: u64,
    /// Suspects a pool of which this many servers are held by transactions that do not finish
    /// (`busy-mean` − `busy-finished`).
    #[schemars(range(min = 0.1, max = 10_000.0))]
    pub unfinished_servers_min: f64,
    /// How long that must last without a break before anybody looks.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub unfinished_for_ms: u64,
    /// Suspects a pool whose clients wait while nothing has finished for this long.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub unserved_min_ms: u64,
    /// Suspects a pool whose clients grow by this many a minute over the long span.
    #[schemars(range(min = 0.001, max = 1_000_000.0))]
    pub growth_per_min_min: f64,
    /// How long a group's clients must only have grown before they are named.
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub growth_for_ms: u64,
    /// By how many clients a group must have grown in that time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub growth_clients_min: u32,
    /// Longest pause between two looks at a suspicious pool in which nobody was to be blamed.
    #[schemars(range(min = 5_000, max = 86_400_000))]
    pub look_pause_max_ms: u64,
    /// Ends a named session that has idled for this long, where the policy's file has
    /// `[actions] end_sessions = true` and the mode is `enforce`; 0 never ends any.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub end_after_ms: u64,
    /// Whether to recommend commands and lines for `pgbouncer.ini` besides alerting.
    pub recommendations_enabled: bool,
    /// How long an alert's condition must hold without a break before it fires.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub hold_ms: u64,
    /// How long an alert stays silent after it resolved.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub cooldown_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_in_transaction_min_ms: 60_000,
            session_idle_min_ms: 300_000,
            unfinished_servers_min: 1.0,
            unfinished_for_ms: 60_000,
            unserved_min_ms: 10_000,
            growth_per_min_min: 0.5,
            growth_for_ms: 1_800_000,
            growth_clients_min: 10,
            look_pause_max_ms: 300_000,
            end_after_ms: 0,
            recommendations_enabled: true,
            hold_ms: 0,
            cooldown_ms: 60_000,
        }
    }
}

impl Settings {
    pub(crate) fn idle_in_transaction_min(&self) -> Duration {
        Duration::from_millis(self.idle_in_transaction_min_ms)
    }

    pub(crate) fn session_idle_min(&self) -> Duration {
        Duration::from_millis(self.session_idle_min_ms)
    }

    /// Returns after how long of idling a session is to be ended, if ever.
    pub(crate) fn end_after(&self) -> Option<Duration> {
        (self.end_after_ms > 0).then(|| Duration::from_millis(self.end_after_ms))
    }

    pub(crate) fn hold(&self) -> Duration {
        Duration::from_millis(self.hold_ms)
    }

    pub(crate) fn cooldown(&self) -> Duration {
        Duration::from_millis(self.cooldown_ms)
    }
}
