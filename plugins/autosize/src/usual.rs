//! Remembers how long a scope's transactions usually take.
//!
//! The load is arrivals × mean time (Little's law). In a short span few transactions finish where they
//! are long, and the mean of n times that vary as exponential ones do is off by 1/√n of it, which is as
//! much again as the number of arrivals is off. The mean of many more says the same with less chance in
//! it, as long as nothing has changed; when more than chance is between the two, the new one counts.

use serde::{Deserialize, Serialize};

/// A mean that is off by more standard deviations is no chance.
const SIGMAS: f64 = 2.0;
/// The newest span counts as so large a part of all at the least.
const NEWEST: f64 = 0.1;

/// The mean time of the transactions of the last spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usual {
    /// Mean time in the server, µs.
    us: f64,
    /// How many transactions it counts as.
    count: f64,
}

impl Usual {
    /// Adds the mean time of so many transactions, which are none of those that were added before.
    pub(crate) fn add(&mut self, mean_us: f64, transactions: f64) {
        let is_sound = mean_us > 0.0 && transactions >= 1.0 && (mean_us + transactions).is_finite();
        if !is_sound {
            return;
        }
        let most = if self.explains(mean_us, transactions) { 1.0 / NEWEST - 1.0 } else { 0.0 };
        let before = self.count.min(transactions * most);
        self.count = before + transactions;
        self.us += (mean_us - self.us) * transactions / self.count;
    }

    /// Gives the mean time to count with, where so many transactions had this one, µs.
    pub(crate) fn time_us(&self, mean_us: f64, transactions: f64) -> f64 {
        if self.explains(mean_us, transactions) { self.us } else { mean_us }
    }

    /// Says whether no more than chance is between a mean and the usual one.
    fn explains(&self, mean_us: f64, transactions: f64) -> bool {
        let (count, transactions) = (self.count.max(1.0), transactions.max(1.0));
        let deviation = self.us * (1.0 / transactions + 1.0 / count).sqrt();
        self.us > 0.0 && (mean_us - self.us).abs() <= SIGMAS * deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Usual {
        let mut usual = Usual::default();
        for _ in 0..20 {
            usual.add(100_000.0, 100.0);
        }
        usual
    }

    #[test]
    fn a_mean_that_is_off_by_chance_is_the_usual_one() {
        // 2 · √(1/25 + 1/1000) is 40 %.
        assert_eq!(usual().time_us(138_000.0, 25.0), 100_000.0);
        assert_eq!(usual().time_us(62_000.0, 25.0), 100_000.0);
        assert_eq!(usual().time_us(142_000.0, 25.0), 142_000.0);
        assert_eq!(usual().time_us(142_000.0, 4.0), 100_000.0);
        assert_eq!(usual().time_us(107_000.0, 10_000.0), 107_000.0);
    }

    #[test]
    fn nothing_is_usual_at_first() {
        assert_eq!(Usual::default().time_us(42.0, 3.0), 42.0);
        let mut usual = Usual::default();
        usual.add(f64::NAN, 3.0);
        usual.add(0.0, 3.0);
        usual.add(5.0, 0.0);
        assert_eq!(usual, Usual::default());
        usual.add(5.0, 10.0);
        assert_eq!(usual, Usual { us: 5.0, count: 10.0 });
    }

    #[test]
    fn a_change_is_followed_at_once_and_is_then_the_usual_one() {
        let mut usual = usual();
        assert_eq!(usual.time_us(300_000.0, 100.0), 300_000.0);
        usual.add(300_000.0, 100.0);
        assert_eq!(usual.time_us(310_000.0, 100.0), 300_000.0);
    }

    #[test]
    fn a_slow_drift_is_followed_within_ten_spans() {
        let mut usual = usual();
        for _ in 0..10 {
            usual.add(110_000.0, 100.0);
        }
        let time = usual.time_us(110_000.0, 100.0);
        assert!((106_000.0..110_000.0).contains(&time), "{time}");
    }
}
