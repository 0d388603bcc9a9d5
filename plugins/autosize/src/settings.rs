//! What an operator can set; the docs and ranges here are the JSON Schema that is enforced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `autosize`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Part of the servers that should be busy; lower keeps more headroom.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub target_utilization: f64,

    /// A pool grows before anybody waits when more than this part of its servers is busy on average.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub grow_utilization: f64,

    /// The wait for a server that few clients should exceed; 0 sizes by utilization alone.
    pub wait_slo_ms: u64,

    /// The part of the clients that should not exceed it.
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub wait_slo_percentile: f64,

    /// How much more than random ones arrivals and transactions vary: 1 is Poisson and exponential.
    #[schemars(range(min = 0.1, max = 100.0))]
    pub variability: f64,

    /// Servers to keep beyond the present load, whatever else is wanted.
    #[schemars(range(max = 1000))]
    pub min_headroom: u32,

    /// How long somebody must have waited before a pool grows; 0 grows at the first waiter that counts.
    pub confirm_ms: u64,

    /// A queue that could be chance counts once it has stood for so long, and for 20 transactions.
    pub blip_ms: u64,

    /// How far ahead a rising load is followed.
    pub lead_ms: u64,

    /// The stretch of time whose greatest load a pool is kept large enough for.
    #[schemars(range(min = 100))]
    pub shrink_after_ms: u64,

    /// A pool is left alone unless it is too large by more than this part of its size.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub shrink_tolerance: f64,

    /// The most that one shrink takes away, in percent of the size; at least one server.
    #[schemars(range(min = 1, max = 100))]
    pub shrink_step_percent: u32,

    /// The most servers that one shrink takes away.
    #[schemars(range(min = 1))]
    pub shrink_step_max: u32,

    /// No growth while more than this part of the active backends wait on locks or I/O.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub db_wait_share_max: f64,

    /// No growth where so large a part of more concurrency is lost to longer transactions: 0 none, 1 all.
    #[schemars(range(min = 0.1, max = 2.0))]
    pub slowdown_max: f64,

    /// A growth must have raised throughput, or shortened wait and transaction together, by this part.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub growth_gain_min: f64,

    /// After so long a growth that brought nothing is taken back.
    pub growth_judged_ms: u64,

    /// For how long a size that brought nothing is not tried again.
    pub ceiling_expires_ms: u64,

    /// Part of the variance that a fitted capacity curve must explain to be believed; above 1: never.
    #[schemars(range(min = 0.0, max = 2.0))]
    pub curve_r2_min: f64,

    /// After so long what was seen of the database's speed counts half.
    #[schemars(range(min = 1000))]
    pub curve_half_life_ms: u64,

    /// A measured capacity curve (busy servers, transactions per second) to be used instead.
    #[schemars(length(max = 64))]
    pub capacity_curve: Vec<(f64, f64)>,

    /// Also keeps `min_pool_size` at what the load needs, so that servers are open when it rises.
    pub keep_warm: bool,

    /// Also keeps `reserve_pool_size` at this part of the size; 0 leaves it alone.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub reserve_share: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target_utilization: 0.9,
            grow_utilization: 0.95,
            wait_slo_ms: 10,
            wait_slo_percentile: 0.99,
            variability: 1.0,
            min_headroom: 1,
            confirm_ms: 0,
            blip_ms: 2_000,
            lead_ms: 60_000,
            shrink_after_ms: 30_000,
            shrink_tolerance: 0.25,
            shrink_step_percent: 50,
            shrink_step_max: 20,
            db_wait_share_max: 0.6,
            slowdown_max: 0.6,
            growth_gain_min: 0.05,
            growth_judged_ms: 30_000,
            ceiling_expires_ms: 900_000,
            curve_r2_min: 0.9,
            curve_half_life_ms: 21_600_000,
            capacity_curve: Vec::new(),
            keep_warm: false,
            reserve_share: 0.0,
        }
    }
}
