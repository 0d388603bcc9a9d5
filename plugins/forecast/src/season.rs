//! Forecasts a pool's demand from the same time of earlier days, and says how wrong that was.
//!
//! The forecast of a step is the mean of the same step of earlier days: newer days weigh more
//! (exponential decay, as in seasonal exponential smoothing), the same day of the week weighs in
//! full, and a working day says little about a weekend. What the last step was off carries over and
//! fades: the adjustment for first-order autocorrelation of J. W. Taylor, "Short-term electricity
//! demand forecasting using double seasonal exponential smoothing", Journal of the Operational
//! Research Society 54 (2003). His recursive weekly season is not used: a week of steps holds each
//! step of the week once, which is nothing to smooth.
//!
//! The band around it is made of past errors (R. J. Hyndman, G. Athanasopoulos, "Forecasting:
//! Principles and Practice", 3rd ed., 5.5: intervals from bootstrapped residuals), in units of the
//! square root of the demand: the number of busy servers of a queue with room is Poisson distributed
//! (M/G/∞), so its variance grows as its mean.

use poolwarden_policy::numbers::{count, quantile_of};

/// Weight of each further day back.
const DECAY: f64 = 0.8;
/// Weight of a day of the other kind (working day or weekend).
const OTHER_KIND: f64 = 0.02;
/// Least weight of all days together: one of the same kind, at most six days back.
const WEIGHT_MIN: f64 = 0.25;
/// Largest part of the last error that carries over by one step.
const CARRY_MAX: f64 = 0.98;
/// Fewest errors from which a band is made.
const ERRORS_MIN: usize = 72;

const DAY_MS: u64 = 86_400_000;

/// What a pool wanted, step by step; NaN where nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub from_ms: u64,
    pub step_ms: u64,
    /// Only steps that are over.
    pub values: Vec<f64>,
}

/// A forecast of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    /// Servers.
    pub mid: f64,
    /// How long before the step its days lie on average, in steps: what a trend is applied to.
    pub lag: f64,
}

/// How wrong forecasts of this pool have been.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Errors {
    /// Part of an error that the next step shares.
    pub carry: f64,
    /// The newest error, servers.
    pub last: f64,
    /// Lower and upper quantile of the errors, in roots of the demand.
    pub band: (f64, f64),
}

impl Series {
    /// Steps of a day.
    pub fn per_day(&self) -> usize {
        usize::try_from(DAY_MS / self.step_ms.max(1)).unwrap_or(1).max(1)
    }

    /// Number of the day since 1970 in which a step begins, UTC.
    pub fn day(&self, step: usize) -> u64 {
        let offset = u64::try_from(step).unwrap_or(u64::MAX).saturating_mul(self.step_ms);
        self.from_ms.saturating_add(offset) / DAY_MS
    }

    /// Expects of a step what earlier days had at its time; `None` where none of its kind is known.
    ///
    /// `step` may lie beyond the end; what is not over yet says nothing.
    pub fn expect(&self, step: usize) -> Option<Expected> {
        let per_day = self.per_day();
        let kind = is_weekend(self.day(step));
        let (mut weights, mut sum, mut lags) = (0.0, 0.0, 0.0);
        let (mut decayed, mut back, mut days) = (1.0, per_day, 1_usize);
        while back <= step {
            if let Some(value) = self.values.get(step - back).filter(|value| !value.is_nan()) {
                let same = is_weekend(self.day(step - back)) == kind;
                let weight = match (days.is_multiple_of(7), same) {
                    (true, _) => 1.0,
                    (false, true) => decayed,
                    (false, false) => decayed * OTHER_KIND,
                };
                weights += weight;
                sum += weight * value;
                lags += weight * count(back);
            }
            decayed *= DECAY;
            back += per_day;
            days += 1;
        }
        (weights >= WEIGHT_MIN).then(|| Expected { mid: sum / weights, lag: lags / weights })
    }

    /// Forecasts every step that has an earlier day to go by, and collects what was wrong.
    ///
    /// `ahead` is how many steps ahead the band is for, `coverage` the part of steps within it.
    pub fn errors(&self, ahead: usize, coverage: f64) -> Option<Errors> {
        let first = self.per_day();
        let expected: Vec<f64> = (first..self.values.len())
            .map(|step| self.expect(step).map_or(f64::NAN, |expected| expected.mid))
            .collect();
        let actual = self.values.get(first..)?;
        let errors: Vec<f64> = actual.iter().zip(&expected).map(|(y, mid)| y - mid).collect();
        let carry = carry(&errors);
        let share = carry.powi(i32::try_from(ahead).unwrap_or(i32::MAX));
        let mut scaled: Vec<f64> = (ahead..errors.len())
            .map(|at| (errors[at] - share * known(errors[at - ahead])) / spread(expected[at]))
            .filter(|error| !error.is_nan())
            .collect();
        if scaled.len() < ERRORS_MIN {
            return None;
        }
        let low = quantile_of(&mut scaled, (1.0 - coverage) / 2.0)?;
        let high = quantile_of(&mut scaled, (1.0 + coverage) / 2.0)?;
        let last = errors.last().copied().map_or(0.0, known);
        Some(Errors { carry, last, band: (low, high) })
    }
}

impl Errors {
    /// Gives what is expected `ahead` steps after the last one, the newest error carried over.
    pub fn corrected(&self, mid: f64, ahead: usize) -> f64 {
        let share = self.carry.powi(i32::try_from(ahead).unwrap_or(i32::MAX));
        (mid + share * self.last).max(0.0)
    }
}

/// Lag-1 autocorrelation of the errors, kept to what fades.
fn carry(errors: &[f64]) -> f64 {
    let (mut product, mut square) = (0.0, 0.0);
    for pair in errors.windows(2) {
        if let [before, now] = pair
            && !before.is_nan()
            && !now.is_nan()
        {
            product += before * now;
            square += before * before;
        }
    }
    if square > 0.0 { (product / square).clamp(0.0, CARRY_MAX) } else { 0.0 }
}

/// An error that is not known carries nothing over.
fn known(error: f64) -> f64 {
    if error.is_nan() { 0.0 } else { error }
}

/// Gives the unit of errors at a demand: its root, and one for less than a server.
pub(crate) fn spread(demand: f64) -> f64 {
    demand.max(1.0).sqrt()
}

/// Saturday or Sunday, UTC; 1970 began on a Thursday.
pub(crate) fn is_weekend(day: u64) -> bool {
    matches!(day % 7, 2 | 3)
}
