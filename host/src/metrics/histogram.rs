//! Durations counted into fixed buckets.

use std::time::Duration;

use super::text::{Family, Labels};

/// Upper bounds with the seconds that the `le` label shows.
type Bounds = [(Duration, &'static str); 12];

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Console commands and whole ticks: a fraction of a millisecond to seconds.
pub(super) const ROUND_TRIPS: Bounds = [
    (us(250), "0.00025"),
    (us(500), "0.0005"),
    (us(1_000), "0.001"),
    (us(2_500), "0.0025"),
    (us(5_000), "0.005"),
    (us(10_000), "0.01"),
    (us(25_000), "0.025"),
    (us(50_000), "0.05"),
    (us(100_000), "0.1"),
    (us(250_000), "0.25"),
    (us(1_000_000), "1"),
    (us(2_500_000), "2.5"),
];

/// Evaluations: microseconds to the longest deadline that makes sense.
pub(super) const EVALUATIONS: Bounds = [
    (us(20), "0.00002"),
    (us(50), "0.00005"),
    (us(100), "0.0001"),
    (us(200), "0.0002"),
    (us(500), "0.0005"),
    (us(1_000), "0.001"),
    (us(2_000), "0.002"),
    (us(5_000), "0.005"),
    (us(10_000), "0.01"),
    (us(50_000), "0.05"),
    (us(100_000), "0.1"),
    (us(500_000), "0.5"),
];

/// Counts of durations.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    bounds: &'static Bounds,
    /// Counts by bucket, not added up.
    counts: [u64; 12],
    count: u64,
    sum: Duration,
}

impl Histogram {
    pub fn new(bounds: &'static Bounds) -> Self {
        Self { bounds, counts: [0; 12], count: 0, sum: Duration::ZERO }
    }

    pub fn add(&mut self, took: Duration) {
        let bucket = self.bounds.iter().position(|(bound, _)| took <= *bound);
        if let Some(count) = bucket.and_then(|bucket| self.counts.get_mut(bucket)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += took;
    }

    pub fn write(&self, family: &mut Family<'_>, labels: Labels<'_>) {
        let mut below = 0;
        for ((_, bound), count) in self.bounds.iter().zip(self.counts) {
            below += count;
            family.suffixed("_bucket", labels, Some(bound), below);
        }
        family.suffixed("_bucket", labels, Some("+Inf"), self.count);
        family.suffixed("_sum", labels, None, self.sum.as_secs_f64());
        family.suffixed("_count", labels, None, self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{Kind, Text};
    use super::*;

    #[test]
    fn a_duration_counts_in_every_bucket_that_is_large_enough() {
        let mut histogram = Histogram::new(&ROUND_TRIPS);
        histogram.add(us(1_000));
        histogram.add(us(9_000_000));
        let mut text = Text::default();
        histogram.write(&mut text.family("t", Kind::Histogram, "T."), &[]);
        let text = text.into_string();
        for line in [
            "t_bucket{le=\"0.0005\"} 0",
            "t_bucket{le=\"0.001\"} 1",
            "t_bucket{le=\"2.5\"} 1",
            "t_bucket{le=\"+Inf\"} 2",
            "t_sum 9.001",
            "t_count 2",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn labels_and_bounds_agree() {
        for (bound, label) in ROUND_TRIPS.iter().chain(&EVALUATIONS) {
            assert_eq!(label.parse(), Ok(bound.as_secs_f64()));
        }
    }
}
