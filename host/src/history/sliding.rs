//! Statistics over a sliding span, exact and without a pass over the span.
//!
//! Sums are integers because a float sum from which old values are taken again drifts over weeks.

use std::collections::VecDeque;

/// Counts per bin of the values inside the span; what leaves the span is taken out again.
#[derive(Debug, Clone)]
pub struct SlidingHistogram {
    bins: Vec<u16>,
    total: u32,
}

impl SlidingHistogram {
    /// Makes an empty histogram; values are bin indices below `bins`.
    pub fn new(bins: usize) -> Self {
        Self { bins: vec![0; bins], total: 0 }
    }

    /// Adds a value.
    pub fn add(&mut self, bin: u8) {
        if let Some(count) = self.bins.get_mut(usize::from(bin)) {
            *count = count.saturating_add(1);
            self.total += 1;
        }
    }

    /// Takes out a value that was added before.
    pub fn remove(&mut self, bin: u8) {
        if let Some(count) = self.bins.get_mut(usize::from(bin))
            && *count > 0
        {
            *count -= 1;
            self.total -= 1;
        }
    }

    /// Gives the bin below or in which `percent` of the values lie; `None` when empty.
    pub fn percentile(&self, percent: u32) -> Option<u8> {
        if self.total == 0 {
            return None;
        }
        // Nearest rank: the smallest value such that at least `percent` of all are not above it.
        let rank = (u64::from(self.total) * u64::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        for (bin, count) in (0..=u8::MAX).zip(&self.bins) {
            seen += u64::from(*count);
            if seen >= rank {
                return Some(bin);
            }
        }
        None
    }
}

/// The bin of a duration in microseconds: four bins to a doubling, from 1 µs to about 18 minutes.
pub fn wait_bin(micros: u64) -> u8 {
    if micros < 4 {
        return u8::try_from(micros).unwrap_or(0);
    }
    let exponent = micros.ilog2();
    let quarter = (micros >> (exponent - 2)) & 3;
    let bin = u64::from(exponent - 1) * 4 + quarter;
    u8::try_from(bin).unwrap_or(u8::MAX).min(WAIT_BINS - 1)
}

/// Number of wait bins.
pub const WAIT_BINS: u8 = 124;

/// The smallest duration of a bin, in microseconds: at most a quarter below the value.
pub fn wait_of_bin(bin: u8) -> u64 {
    if bin < 4 {
        return u64::from(bin);
    }
    let exponent = u32::from(bin / 4) + 1;
    (4 + u64::from(bin % 4)) << (exponent - 2)
}

/// Least-squares slope of a value over time, both integers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slope {
    n: i128,
    t: i128,
    tt: i128,
    y: i128,
    ty: i128,
}

impl Slope {
    /// Adds a point.
    pub fn add(&mut self, t: i64, y: i64) {
        self.change(t, y, 1);
    }

    /// Takes out a point that was added before.
    pub fn remove(&mut self, t: i64, y: i64) {
        self.change(t, y, -1);
    }

    fn change(&mut self, t: i64, y: i64, sign: i128) {
        let (t, y) = (i128::from(t), i128::from(y));
        self.n += sign;
        self.t += sign * t;
        self.tt += sign * t * t;
        self.y += sign * y;
        self.ty += sign * t * y;
    }

    /// Gives the change of the value per unit of time; 0 for fewer than two moments.
    ///
    /// Ordinary least squares: (n·Σty − Σt·Σy) / (n·Σt² − (Σt)²).
    pub fn per_unit(&self) -> f64 {
        let denominator = self.n * self.tt - self.t * self.t;
        if denominator == 0 {
            return 0.0;
        }
        float(self.n * self.ty - self.t * self.y) / float(denominator)
    }
}

#[expect(clippy::as_conversions, reason = "there is no From for i128; rounding is harmless here")]
fn float(value: i128) -> f64 {
    value as f64
}

/// Largest value of a sliding span, in amortised constant time.
#[derive(Debug, Clone, Default)]
pub struct SlidingMax {
    /// Falling values; the first is the largest.
    falling: VecDeque<(u64, f64)>,
}

impl SlidingMax {
    /// Adds a value at a moment not before the last one.
    pub fn add(&mut self, at: u64, value: f64) {
        while self.falling.back().is_some_and(|(_, last)| *last <= value) {
            self.falling.pop_back();
        }
        self.falling.push_back((at, value));
    }

    /// Forgets what is older than `from`.
    pub fn forget_before(&mut self, from: u64) {
        while self.falling.front().is_some_and(|(at, _)| *at < from) {
            self.falling.pop_front();
        }
    }

    /// Gives the largest value; `None` when empty.
    pub fn max(&self) -> Option<f64> {
        self.falling.front().map(|(_, value)| *value)
    }

    /// Gives the largest value since a moment.
    pub fn max_since(&self, from: u64) -> Option<f64> {
        self.falling.iter().find(|(at, _)| *at >= from).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_is_inside_the_span() {
        let mut histogram = SlidingHistogram::new(101);
        (1..=100).for_each(|bin| histogram.add(bin));
        assert_eq!(histogram.percentile(50), Some(50));
        assert_eq!(histogram.percentile(95), Some(95));
        (1..=90).for_each(|bin| histogram.remove(bin));
        assert_eq!(histogram.percentile(50), Some(95));
        assert_eq!(SlidingHistogram::new(1).percentile(50), None);
    }

    #[test]
    fn a_wait_bin_is_at_most_a_quarter_below_its_value() {
        for micros in [0, 1, 3, 4, 5, 7, 8, 1000, 250_000, 3_600_000, 900_000_000] {
            let low = wait_of_bin(wait_bin(micros));
            assert!(low <= micros && micros - low <= micros / 4, "{micros} in bin from {low}");
        }
        assert_eq!(wait_bin(u64::MAX), WAIT_BINS - 1);
    }

    #[test]
    fn a_slope_forgets_what_left() {
        let mut slope = Slope::default();
        slope.add(0, 900);
        for t in 1..=10 {
            slope.add(t, 3 * t + 7);
        }
        slope.remove(0, 900);
        assert!((slope.per_unit() - 3.0).abs() < 1e-12);
        assert_eq!(Slope::default().per_unit(), 0.0);
    }

    #[test]
    fn a_maximum_is_of_the_span_asked_for() {
        let mut max = SlidingMax::default();
        for (at, value) in [(1, 9.0), (2, 3.0), (3, 5.0), (4, 1.0)] {
            max.add(at, value);
        }
        assert_eq!(
            (max.max(), max.max_since(2), max.max_since(4)),
            (Some(9.0), Some(5.0), Some(1.0))
        );
        max.forget_before(2);
        assert_eq!(max.max(), Some(5.0));
        max.forget_before(9);
        assert_eq!(max.max(), None);
    }
}
