//! A pool's history with its trend.

use serde::Serialize;
use utoipa::ToSchema;

use super::{float, millis};
use crate::record;

const MS_PER_MIN: f64 = 60_000.0;

/// A pool's past.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct PoolHistory<'a> {
    target: &'a str,
    database: &'a str,
    user: &'a str,
    since_ms: u64,
    until_ms: u64,
    /// Length of each step; null without points.
    step_ms: Option<u64>,
    /// Oldest first; steps in which the pool was not seen are left out.
    points: Vec<Point>,
    /// Null with fewer than three points.
    trend: Option<Trend>,
}

/// What was seen in one step.
#[derive(Debug, Serialize, ToSchema)]
struct Point {
    /// Begin of the step, milliseconds since 1970.
    at_ms: u64,
    /// Polls in it.
    samples: u32,
    cl_active_max: u32,
    cl_waiting_max: u32,
    cl_waiting_mean: f64,
    sv_active_max: u32,
    sv_active_mean: f64,
    /// Most open server connections.
    servers_max: u32,
    /// Pool size at the end of the step.
    size: u32,
    /// Mean busy servers / size.
    utilization_mean: f64,
    maxwait_us_max: u64,
    /// Counts and means of the database, as PgBouncer counts them.
    transactions: u64,
    queries: u64,
    transaction_mean_us: f64,
    query_mean_us: f64,
    /// Mean wait for a server per transaction.
    wait_mean_us: f64,
}

/// Straight lines through the points (least squares).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
struct Trend {
    utilization_per_min: f64,
    cl_waiting_per_min: f64,
    /// When utilization reaches 1 if it goes on like this, from the last point on; 0 when it has,
    /// null when it does not rise.
    full_in_ms: Option<u64>,
}

fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { float(sum) / float(count) }
}

impl From<&record::HistoryPoint> for Point {
    fn from(point: &record::HistoryPoint) -> Self {
        let counts = &point.counts;
        let busy = mean(counts.sv_active_sum, counts.samples.into());
        Self {
            at_ms: point.at.as_millis(),
            samples: counts.samples,
            cl_active_max: counts.cl_active_max,
            cl_waiting_max: counts.cl_waiting_max,
            cl_waiting_mean: mean(counts.cl_waiting_sum, counts.samples.into()),
            sv_active_max: counts.sv_active_max,
            sv_active_mean: busy,
            servers_max: counts.servers_max,
            size: counts.size,
            utilization_mean: if counts.size == 0 { 0.0 } else { busy / f64::from(counts.size) },
            maxwait_us_max: counts.maxwait_us_max,
            transactions: counts.transactions,
            queries: counts.queries,
            transaction_mean_us: mean(counts.transaction_us, counts.transactions),
            query_mean_us: mean(counts.query_us, counts.queries),
            wait_mean_us: mean(counts.wait_us, counts.transactions),
        }
    }
}

impl<'a> PoolHistory<'a> {
    pub fn new(query: &'a record::HistoryQuery, points: &[record::HistoryPoint]) -> Self {
        let step_ms = points.first().map(|point| millis(point.span));
        let points: Vec<Point> = points.iter().map(Into::into).collect();
        Self {
            target: query.target.as_str(),
            database: &query.pool.database,
            user: &query.pool.user,
            since_ms: query.since.as_millis(),
            until_ms: query.until.as_millis(),
            step_ms,
            trend: trend(&points),
            points,
        }
    }
}

/// A straight line: its value at the last point, and its slope per minute.
#[derive(Debug, Clone, Copy)]
struct Line {
    last: f64,
    per_min: f64,
}

/// Fits a line; `None` with fewer than three points, through which anything fits.
///
/// slope = Σ(x−x̄)(y−ȳ) / Σ(x−x̄)²; x is the time before the last point, in minutes.
fn fit(points: &[Point], value: impl Fn(&Point) -> f64) -> Option<Line> {
    if points.len() < 3 {
        return None;
    }
    let end = points.last()?.at_ms;
    let at = |point: &Point| -float(end.saturating_sub(point.at_ms)) / MS_PER_MIN;
    let count = float(u64::try_from(points.len()).unwrap_or(u64::MAX));
    let x_mean = points.iter().map(at).sum::<f64>() / count;
    let y_mean = points.iter().map(&value).sum::<f64>() / count;
    let sum = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().map(|point| term(at(point) - x_mean, value(point) - y_mean)).sum()
    };
    let per_min = sum(&|x, y| x * y) / sum(&|x, _| x * x);
    per_min.is_finite().then_some(Line { last: y_mean - per_min * x_mean, per_min })
}

fn trend(points: &[Point]) -> Option<Trend> {
    let utilization = fit(points, |point| point.utilization_mean)?;
    let waiting = fit(points, |point| point.cl_waiting_mean)?;
    let minutes = (1.0 - utilization.last) / utilization.per_min;
    let full_in_ms = match (utilization.last >= 1.0, utilization.per_min > 0.0) {
        (true, _) => Some(0),
        (false, true) => whole_millis(minutes),
        (false, false) => None,
    };
    Some(Trend {
        utilization_per_min: utilization.per_min,
        cl_waiting_per_min: waiting.per_min,
        full_in_ms,
    })
}

/// Gives minutes as milliseconds; `None` beyond what a duration holds, which is as good as never.
fn whole_millis(minutes: f64) -> Option<u64> {
    std::time::Duration::try_from_secs_f64(minutes * 60.0).ok().map(millis)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Timestamp;
    use crate::record::{HistoryPoint, PoolCounts};

    fn points(busy: &[u64]) -> Vec<Point> {
        let point = |(minute, busy): (u64, &u64)| HistoryPoint {
            at: Timestamp::from_millis(minute * 60_000),
            span: Duration::from_secs(60),
            counts: PoolCounts { samples: 1, sv_active_sum: *busy, size: 10, ..Default::default() },
        };
        (0..).zip(busy).map(|(minute, busy)| Point::from(&point((minute, busy)))).collect()
    }

    #[test]
    fn a_rising_line_tells_when_the_size_is_reached() {
        let trend = trend(&points(&[2, 3, 4, 5])).expect("four points have a trend");
        assert!((trend.utilization_per_min - 0.1).abs() < 1e-9, "{trend:?}");
        let full = trend.full_in_ms.expect("it rises");
        assert!((299_999..=300_001).contains(&full), "{full} ms are not five minutes");
    }

    #[test]
    fn a_line_that_does_not_rise_never_reaches_the_size() {
        assert_eq!(trend(&points(&[5, 5, 5])).expect("three points").full_in_ms, None);
        assert_eq!(trend(&points(&[5, 4, 3])).expect("three points").full_in_ms, None);
        assert_eq!(trend(&points(&[10, 10, 10])).expect("three points").full_in_ms, Some(0));
        assert_eq!(trend(&points(&[5, 6])), None);
    }
}
