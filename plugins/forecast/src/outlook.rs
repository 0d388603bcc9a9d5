//! Says when a load will outgrow its limit, with an interval.
//!
//! The path of a load is its season with its trend on top; it runs out where the path first crosses
//! the limit. The interval's early end follows the upper end of the band and the fastest growth, its
//! late end the lower end of the band and the slowest.

use poolwarden_policy::numbers::count;

use crate::season::{Errors, Series, spread};
use crate::trend::{Trend, daily_peaks, fit};

/// When a load will be larger than its limit, in hours from now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RunsOut {
    pub low_h: f64,
    pub mid_h: f64,
    /// As far as alerts look, when it may not happen by then.
    pub high_h: f64,
    /// The step in which it happens, counted from the oldest one.
    pub step: usize,
    /// Servers that are expected then.
    pub expected: f64,
    /// Growth of the daily peak; zero when it does not grow beyond doubt.
    pub trend: Trend,
}

/// Finds the first step within the horizon that is expected to want more than the limit.
///
/// `None` too for a load that is over its limit already: that is no forecast.
pub(crate) fn runs_out(
    series: &Series,
    errors: &Errors,
    limit: u32,
    horizon_h: u32,
) -> Option<RunsOut> {
    let limit = f64::from(limit);
    if series.values.last().is_some_and(|newest| *newest > limit) {
        return None;
    }
    let trend = fit(&daily_peaks(series)).filter(Trend::is_growth).unwrap_or(Trend::NONE);
    let steps = series.per_day().saturating_mul(usize::try_from(horizon_h).ok()?) / 24;
    let (mut low, mut mid, mut high) = (None, None, None);
    for ahead in 1..=steps {
        let step = series.values.len() + ahead - 1;
        let Some(expected) = series.expect(step) else { continue };
        let days = expected.lag / count(series.per_day());
        let base = errors.corrected(expected.mid, ahead);
        let unit = spread(expected.mid);
        let path = |growth: f64, off: f64| base + growth * days + off * unit;
        if low.is_none() && path(trend.high, errors.band.1) > limit {
            low = Some(ahead);
        }
        let at_mid = path(trend.mid, 0.0);
        if mid.is_none() && at_mid > limit {
            mid = Some((ahead, step, at_mid));
        }
        if mid.is_some() && high.is_none() && path(trend.low, errors.band.0) > limit {
            high = Some(ahead);
            break;
        }
    }
    let (ahead, step, expected) = mid?;
    // A step ahead of 1 is the one under way: it begins now.
    let hours = |ahead: usize| count(ahead - 1) * 24.0 / count(series.per_day());
    Some(RunsOut {
        low_h: low.map_or(0.0, hours).min(hours(ahead)),
        mid_h: hours(ahead),
        high_h: high.map_or(f64::from(horizon_h), hours),
        step,
        expected,
        trend,
    })
}
