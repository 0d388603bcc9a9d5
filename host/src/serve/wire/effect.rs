//! What a change of a size did.

use serde::Serialize;
use utoipa::ToSchema;

use super::Numbers;
use crate::model::{EffectPoint, EffectReport, Timestamp};

/// What was expected of a change, what was measured, and what follows from it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Effect<'a> {
    /// When the change was found in force, milliseconds since 1970.
    began_ms: u64,
    /// When it was judged; null while it is measured.
    judged_ms: Option<u64>,
    /// What was expected, in plain words.
    expected: &'a str,
    /// The numbers that were expected; each name ends with its unit.
    #[schema(value_type = std::collections::BTreeMap<String, f64>)]
    expected_numbers: Numbers<'a>,
    /// What was found, in plain words; empty while it is measured.
    judged: &'a str,
    /// The seconds before the change that it is compared with.
    before: Measure,
    /// The time since the change has settled.
    after: Measure,
    /// From about 30 s before the change to about 60 s after it, oldest first.
    series: Vec<Point>,
}

/// What the pools of the scope did over a while.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EffectMeasure)]
struct Measure {
    /// Time that was observed.
    observed_s: f64,
    /// Polls that it rests on.
    polls: u32,
    /// Transactions that finished; a share of the database's where pools of several scopes use it.
    transactions: f64,
    /// Transactions finished per second.
    throughput_per_s: f64,
    /// Mean time of a finished transaction; 0 when none finished.
    transaction_mean_us: f64,
    /// Mean wait for a server per finished transaction.
    wait_mean_us: f64,
    /// Mean number of clients that waited for a server.
    waiting_mean: f64,
    /// Share of the time in which somebody waited, 0 to 1.
    waiting_share: f64,
    /// Mean number of servers that were linked to a client.
    busy_mean: f64,
    /// Mean number of open server connections.
    servers_mean: f64,
    /// Longest wait that was seen.
    maxwait_us: u64,
    /// Transactions rolled back, of all that ended; null where PostgreSQL is not asked.
    rollback_ratio: Option<f64>,
    /// Deadlocks; null where PostgreSQL is not asked.
    deadlocks: Option<f64>,
}

/// About one second of the scope.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EffectPoint)]
struct Point {
    /// When it ended, milliseconds since 1970.
    at_ms: u64,
    /// The size in force.
    size: u32,
    /// Open server connections.
    servers: f64,
    /// Clients that waited for a server.
    waiting: f64,
    /// Transactions finished per second.
    throughput_per_s: f64,
    /// Mean time of a finished transaction; 0 when none finished.
    transaction_mean_us: f64,
}

impl<'a> From<&'a EffectReport> for Effect<'a> {
    fn from(report: &'a EffectReport) -> Self {
        Self {
            began_ms: report.began.as_millis(),
            judged_ms: report.judged_at.map(Timestamp::as_millis),
            expected: &report.expected,
            expected_numbers: Numbers(&report.expected_numbers),
            judged: &report.judged,
            before: report.before.into(),
            after: report.after.into(),
            series: report.series.iter().map(Into::into).collect(),
        }
    }
}

impl From<crate::model::Measure> for Measure {
    fn from(measure: crate::model::Measure) -> Self {
        Self {
            observed_s: measure.observed_s,
            polls: measure.polls,
            transactions: measure.transactions,
            throughput_per_s: measure.throughput_per_s,
            transaction_mean_us: measure.transaction_mean_us,
            wait_mean_us: measure.wait_mean_us,
            waiting_mean: measure.waiting_mean,
            waiting_share: measure.waiting_share,
            busy_mean: measure.busy_mean,
            servers_mean: measure.servers_mean,
            maxwait_us: measure.maxwait_us,
            rollback_ratio: measure.rollback_ratio,
            deadlocks: measure.deadlocks,
        }
    }
}

impl From<&EffectPoint> for Point {
    fn from(point: &EffectPoint) -> Self {
        let EffectPoint { at, size, servers, waiting, throughput_per_s, transaction_mean_us } =
            *point;
        let at_ms = at.as_millis();
        Self { at_ms, size, servers, waiting, throughput_per_s, transaction_mean_us }
    }
}
