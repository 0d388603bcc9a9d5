//! What an operator can set; the docs and ranges here are the JSON Schema that is enforced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `advisor`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Days that must be known before anything is said.
    #[schemars(range(min = 0.1, max = 7.0))]
    pub min_days: f64,

    /// Days that must be known before it is said that something is never needed.
    #[schemars(range(min = 1.0, max = 7.0))]
    pub never_days: f64,

    /// Part of the servers that should be busy at the peak.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub target_utilization: f64,

    /// A pool is too small when it was full with waiters in more than this part of the steps.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub full_share_max: f64,

    /// A waiter counts from this age on, in milliseconds.
    pub wait_min_ms: u64,

    /// A pool is too large when never more than this part of its servers was busy.
    #[schemars(range(min = 0.05, max = 0.9))]
    pub unused_below: f64,

    /// The reserve is part of normal operation when it was in use in more than this part of steps.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub reserve_share_max: f64,

    /// Days with the same ramp, with waiters in it, before a least size is advised.
    #[schemars(range(min = 2, max = 7))]
    pub ramp_days: u32,

    /// Clients per server from which session pooling is questioned.
    #[schemars(range(min = 1.0))]
    pub clients_per_server_max: f64,

    /// Part of `max_client_conn` from which its peak is called near.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub clients_share_max: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_days: 1.0,
            never_days: 6.0,
            target_utilization: 0.75,
            full_share_max: 0.01,
            wait_min_ms: 100,
            unused_below: 0.5,
            reserve_share_max: 0.2,
            ramp_days: 3,
            clients_per_server_max: 4.0,
            clients_share_max: 0.8,
        }
    }
}
