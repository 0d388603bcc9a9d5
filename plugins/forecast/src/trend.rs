//! How much a load grows a day, and how sure that is.
//!
//! The slope is the median of the slopes between pairs of days (Theil-Sen), so that a day that fell
//! out of line does not move it. Only days of one kind are paired, working days with working days,
//! and the confidence interval follows Kendall's test with the kinds as its seasons: P. K. Sen,
//! "Estimates of the regression coefficient based on Kendall's tau", Journal of the American
//! Statistical Association 63 (1968); R. M. Hirsch, J. R. Slack, R. A. Smith, "Techniques of trend
//! analysis for monthly water quality data", Water Resources Research 18 (1982). Least squares was
//! rejected: one busy day at the end of a week is a trend to it.

use poolwarden_policy::numbers::{count, median_of, quantile_of, whole};

use crate::season::{Series, is_weekend};

/// Part of a day that must be known for the day to count.
const KNOWN_MIN: f64 = 0.8;
/// What counts of a day: it is above this for 5 % of the day.
const PEAK: f64 = 0.95;
/// Standard normal quantile of a two-sided interval of 90 %.
const Z: f64 = 1.645;

/// Growth of the daily peak, in servers a day, with the ends of its 90 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trend {
    pub low: f64,
    pub mid: f64,
    pub high: f64,
}

impl Trend {
    /// No growth.
    pub const NONE: Self = Self { low: 0.0, mid: 0.0, high: 0.0 };

    /// Says whether the load grows, rather than only seems to.
    pub fn is_growth(&self) -> bool {
        self.low > 0.0
    }
}

/// Gives the peak of each whole day, with the day's number.
pub(crate) fn daily_peaks(series: &Series) -> Vec<(u64, f64)> {
    let per_day = series.per_day();
    let mut peaks = Vec::new();
    let mut step = 0;
    while step < series.values.len() {
        let day = series.day(step);
        let mut end = step;
        while end < series.values.len() && series.day(end) == day {
            end += 1;
        }
        let known = series.values[step..end].iter().copied().filter(|value| !value.is_nan());
        let mut known: Vec<f64> = known.collect();
        let enough = count(per_day) * KNOWN_MIN;
        if count(known.len()) >= enough {
            peaks.extend(quantile_of(&mut known, PEAK).map(|peak| (day, peak)));
        }
        step = end;
    }
    peaks
}

/// Fits the growth of daily peaks; `None` when there are too few days to say anything.
pub(crate) fn fit(peaks: &[(u64, f64)]) -> Option<Trend> {
    let mut slopes = Vec::new();
    let (mut kinds, mut variance) = ([0_u32; 2], 0.0);
    for (at, (day, peak)) in peaks.iter().enumerate() {
        kinds[usize::from(is_weekend(*day))] += 1;
        for (later, later_peak) in peaks.iter().skip(at + 1) {
            if is_weekend(*day) == is_weekend(*later) {
                let days = u32::try_from(later - day).unwrap_or(u32::MAX);
                slopes.push((later_peak - peak) / f64::from(days));
            }
        }
    }
    for days in kinds.map(f64::from) {
        variance += days * (days - 1.0) * (2.0 * days + 5.0) / 18.0;
    }
    // With three days of a kind no interval of 90 % leaves anything out.
    if slopes.len() < 6 {
        return None;
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let pairs = count(slopes.len());
    let reach = Z * variance.sqrt();
    let low = usize::try_from(whole(((pairs - reach) / 2.0).max(0.0))).ok()?;
    let high = usize::try_from(whole((pairs + reach) / 2.0)).ok()?.min(slopes.len() - 1);
    let mid = median_of(&mut slopes)?;
    Some(Trend { low: slopes[low], mid, high: slopes[high] })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday to Saturday; 1970-01-05 was a Monday.
    fn days(peaks: [f64; 6]) -> Vec<(u64, f64)> {
        (4..).zip(peaks).collect()
    }

    #[test]
    fn steady_growth_is_found_with_an_interval() {
        let trend = fit(&days([10.0, 11.2, 11.9, 13.1, 14.0, 6.0])).expect("enough days");
        assert!((trend.mid - 1.0).abs() < 0.1, "{trend:?}");
        assert!(trend.is_growth() && trend.low < trend.mid && trend.mid < trend.high, "{trend:?}");
    }

    #[test]
    fn a_weekend_is_no_decline_and_one_odd_day_no_growth() {
        let trend = fit(&days([10.0, 10.0, 10.0, 10.0, 10.0, 3.0])).expect("enough days");
        assert_eq!(trend, Trend::NONE);
        let trend = fit(&days([10.0, 9.0, 10.5, 9.5, 30.0, 3.0])).expect("enough days");
        assert!(!trend.is_growth(), "{trend:?}");
    }

    #[test]
    fn three_days_say_nothing() {
        assert_eq!(fit(&days([10.0, 11.0, 12.0, 0.0, 0.0, 0.0])[..3]), None);
    }

    #[test]
    fn a_day_that_is_half_known_does_not_count() {
        let mut values = vec![4.0; 144 * 3];
        values[144..220].fill(f64::NAN);
        let series = Series { from_ms: 4 * 86_400_000, step_ms: 600_000, values };
        assert_eq!(daily_peaks(&series), [(4, 4.0), (6, 4.0)]);
    }
}
