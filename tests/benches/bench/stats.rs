//! Samples of a time, and what a page says of them.
//!
//! Medians with the 10th and 90th percentile, never means: on a shared machine the slow tail tells
//! of the neighbours and not of the code.

use std::time::Duration;

/// Times of one thing, in the order in which they were taken.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the value below which `percent` of the samples lie; zero without samples.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = sorted.len().saturating_sub(1) * percent.min(100) / 100;
        sorted.get(at).copied().unwrap_or_default()
    }

    /// Returns the median.
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// Writes median and spread, for a table's cell.
    pub fn cell(&self) -> String {
        let (low, high) = (self.percentile(10), self.percentile(90));
        format!("{} ({}-{})", short(self.median()), short(low), short(high))
    }

    /// Returns this median divided by another.
    pub fn ratio(&self, to: &Self) -> f64 {
        self.median().as_secs_f64() / to.median().as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl Extend<Duration> for Samples {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, times: T) {
        self.0.extend(times);
    }
}

/// Writes a time with three digits and its unit.
pub fn short(time: Duration) -> String {
    let ns = time.as_secs_f64() * 1e9;
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let digits = if value < 9.95 {
        2
    } else if value < 99.5 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {unit}")
}
