//! What a change of a size did: measured before it and after it.

use super::{DecisionId, Evidence, Timestamp};

/// What the pools of a scope did over a while.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measure {
    /// Time that was observed, in seconds; gaps are left out.
    pub observed_s: f64,
    /// Polls that it rests on.
    pub polls: u32,
    /// Transactions that finished.
    pub transactions: f64,
    /// Transactions finished per second.
    pub throughput_per_s: f64,
    /// Mean time of a finished transaction, in microseconds; 0 when none finished.
    pub transaction_mean_us: f64,
    /// Mean wait for a server per finished transaction, in microseconds.
    pub wait_mean_us: f64,
    /// Mean number of clients that waited for a server.
    pub waiting_mean: f64,
    /// Share of the time in which somebody waited, 0 to 1.
    pub waiting_share: f64,
    /// Mean number of servers that were linked to a client.
    pub busy_mean: f64,
    /// Mean number of open server connections.
    pub servers_mean: f64,
    /// Longest wait that was seen, in microseconds.
    pub maxwait_us: u64,
    /// Transactions rolled back, of all that ended; `None` where PostgreSQL is not asked.
    pub rollback_ratio: Option<f64>,
    /// Deadlocks; `None` where PostgreSQL is not asked.
    pub deadlocks: Option<f64>,
}

/// About one second of a scope, for a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EffectPoint {
    /// When it ended.
    pub at: Timestamp,
    /// The size in force.
    pub size: u32,
    /// Open server connections.
    pub servers: f64,
    /// Clients that waited for a server.
    pub waiting: f64,
    /// Transactions finished per second.
    pub throughput_per_s: f64,
    /// Mean time of a finished transaction, in microseconds; 0 when none finished.
    pub transaction_mean_us: f64,
}

/// What was expected of a change, what was measured, and what follows from it.
///
/// It is recorded when the change is in force, again when it is judged, and once more when the chart
/// is complete.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectReport {
    /// The decision that made the change.
    pub decision: DecisionId,
    /// When the change was found in force.
    pub began: Timestamp,
    /// What was expected, in plain words.
    pub expected: String,
    /// The numbers that were expected; each name ends with its unit.
    pub expected_numbers: Vec<Evidence>,
    /// The seconds before the change that it is compared with.
    pub before: Measure,
    /// The time since the change has settled.
    pub after: Measure,
    /// From about 30 s before the change to about 60 s after it, oldest first.
    pub series: Vec<EffectPoint>,
    /// When it was judged; `None` while it is measured.
    pub judged_at: Option<Timestamp>,
    /// What was found, in plain words; empty while it is measured.
    pub judged: String,
}
