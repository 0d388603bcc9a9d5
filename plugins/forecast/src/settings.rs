//! What an operator can set; the docs and ranges here are the JSON Schema that is enforced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `forecast`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Ask for a larger size before a known ramp.
    pub prewarm_enabled: bool,

    /// How long before a ramp the servers should be allowed.
    #[schemars(range(min = 60_000, max = 21_600_000))]
    pub lead_ms: u64,

    /// Part of past steps that the band around a forecast covers; its upper end is what is prepared
    /// for, its two ends are the interval of an alert.
    #[schemars(range(min = 0.5, max = 0.99))]
    pub coverage: f64,

    /// A ramp is a rise of at least this many servers.
    #[schemars(range(min = 1, max = 10_000))]
    pub ramp_min_servers: u32,

    /// A ramp is a rise of at least this part of the expected demand.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub ramp_min_share: f64,

    /// Alert when a pool or the database is expected to run out.
    pub alerts_enabled: bool,

    /// How far alerts look ahead, in hours.
    #[schemars(range(min = 1, max = 168))]
    pub horizon_h: u32,

    /// Days that must be known before anything is said.
    #[schemars(range(min = 2, max = 7))]
    pub min_days: u32,

    /// How long a forecast must say so before its alert fires.
    pub hold_ms: u64,

    /// How long an alert stays silent after it resolved.
    pub cooldown_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prewarm_enabled: true,
            lead_ms: 900_000,
            coverage: 0.9,
            ramp_min_servers: 2,
            ramp_min_share: 0.2,
            alerts_enabled: true,
            horizon_h: 72,
            min_days: 2,
            hold_ms: 120_000,
            cooldown_ms: 3_600_000,
        }
    }
}
