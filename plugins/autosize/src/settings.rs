//! What an operator can set; the docs and ranges here are the JSON Schema that is enforced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `autosize`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Part of the servers that should be busy at the present demand; lower keeps more headroom.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub target_utilization: f64,

    /// A pool is left alone unless it is too large by more than this part of its size.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub shrink_tolerance: f64,

    /// How long nobody may have waited, and the size not have changed, before each shrink.
    pub shrink_after_ms: u64,

    /// The most that one shrink takes away, in percent of the size; at least one server.
    #[schemars(range(min = 1, max = 100))]
    pub shrink_step_percent: u32,

    /// Servers to keep beyond the present demand, whatever the target utilization says.
    #[schemars(range(max = 1000))]
    pub min_headroom: u32,

    /// How long somebody must have waited before a pool grows; 0 grows at the first waiter.
    pub confirm_ms: u64,

    /// No growth while more than this part of the database's active backends wait on locks or I/O.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub db_wait_share_max: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target_utilization: 0.75,
            shrink_tolerance: 0.2,
            shrink_after_ms: 300_000,
            shrink_step_percent: 25,
            min_headroom: 1,
            confirm_ms: 0,
            db_wait_share_max: 0.6,
        }
    }
}
