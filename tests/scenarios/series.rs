//! What samples of a PgBouncer add up to: connection-seconds, time with waiters, changes of size.
//!
//! A sample holds until the next one: no interpolation, nothing smoothed.

/// The PgBouncer at one moment, over all its pools.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Seconds from the start of the load.
    pub at_s: f64,
    /// Server connections that are open, in whatever state.
    pub open: u32,
    /// Clients that wait for one.
    pub waiting: u32,
    /// Each database's pool size.
    pub sizes: Vec<u32>,
    /// Server connections that could be open: sizes and reserves, or what is open where that is more.
    pub could_open: u32,
    /// What PostgreSQL has for them: `max_connections` less reserved slots, direct users and margin.
    pub budget: u32,
}

impl Sample {
    /// Gives the sum of the sizes.
    pub fn size(&self) -> u32 {
        self.sizes.iter().sum()
    }
}

/// Adds up a number over time, from 0 to `end_s`.
pub fn integral(samples: &[Sample], end_s: f64, value: impl Fn(&Sample) -> f64) -> f64 {
    let ends = samples.iter().skip(1).map(|next| next.at_s).chain([end_s]);
    let spans = samples.iter().zip(ends);
    spans.map(|(one, end)| value(one) * (end.min(end_s) - one.at_s.max(0.0)).max(0.0)).sum()
}

/// Gives the server connections in seconds.
pub fn connection_seconds(samples: &[Sample], end_s: f64) -> f64 {
    integral(samples, end_s, |sample| f64::from(sample.open))
}

/// Gives the time in seconds in which somebody waited.
pub fn waiting_seconds(samples: &[Sample], end_s: f64) -> f64 {
    integral(samples, end_s, |sample| if sample.waiting > 0 { 1.0 } else { 0.0 })
}

/// Counts changes of any size after a moment; those that undo each other between two samples are not
/// seen.
pub fn changes(samples: &[Sample], from_s: f64) -> u32 {
    let later = |pair: &&[Sample]| pair[1].at_s >= from_s && pair[0].sizes != pair[1].sizes;
    u32::try_from(samples.windows(2).filter(later).count()).unwrap_or(u32::MAX)
}

/// Gives the sum of the sizes at the start and whenever it changes.
pub fn path(samples: &[Sample]) -> Vec<(f64, u32)> {
    let mut path: Vec<(f64, u32)> = Vec::new();
    for sample in samples {
        if path.last().is_none_or(|(_, size)| *size != sample.size()) {
            path.push((sample.at_s.max(0.0), sample.size()));
        }
    }
    path
}

/// Gives the size at a moment; 0 before the first.
pub fn size_at(path: &[(f64, u32)], at_s: f64) -> u32 {
    path.iter().take_while(|(from, _)| *from <= at_s).last().map_or(0, |(_, size)| *size)
}

/// Gives the longest time in seconds without a break for which a path was above a size.
pub fn longest_above(path: &[(f64, u32)], size: u32, end_s: f64) -> f64 {
    let (mut longest, mut since) = (0.0_f64, None);
    let before_end = path.iter().copied().take_while(|(at, _)| *at < end_s);
    for (at, now) in before_end.chain([(end_s, 0)]) {
        if now > size {
            since = since.or(Some(at));
        } else if let Some(from) = since.take() {
            longest = longest.max(at - from);
        }
    }
    longest
}

/// Gives one sample for each second, for the record.
pub fn timeline(samples: &[Sample]) -> Vec<(f64, u32, u32, u32)> {
    let mut next = 0.0;
    let mut line = Vec::new();
    for one in samples.iter().filter(|one| one.at_s >= 0.0) {
        if one.at_s >= next {
            line.push(((one.at_s * 10.0).round() / 10.0, one.size(), one.open, one.waiting));
            next = one.at_s.floor() + 1.0;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: f64, open: u32, waiting: u32, size: u32) -> Sample {
        Sample { at_s, open, waiting, sizes: vec![size], ..Sample::default() }
    }

    fn samples() -> Vec<Sample> {
        vec![
            sample(-0.5, 2, 9, 5),
            sample(0.5, 4, 0, 5),
            sample(1.0, 10, 3, 12),
            sample(3.0, 10, 0, 12),
            sample(3.5, 8, 1, 8),
        ]
    }

    #[test]
    fn connection_seconds_are_the_area_below_the_open_servers() {
        // 2 × 0.5 + 4 × 0.5 + 10 × 2 + 10 × 0.5 + 8 × 0.5, from 0 s to 4 s.
        assert!((connection_seconds(&samples(), 4.0) - 32.0).abs() < 1e-9);
    }

    #[test]
    fn what_lies_beyond_the_end_does_not_count() {
        assert!((connection_seconds(&samples(), 1.0) - 3.0).abs() < 1e-9);
        assert!(connection_seconds(&[], 4.0).abs() < 1e-9);
    }

    #[test]
    fn time_with_waiters_is_the_time_of_the_samples_that_have_some() {
        // The first half second, the two seconds from 1 s on, and the last half second.
        assert!((waiting_seconds(&samples(), 4.0) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn changes_are_counted_from_a_moment_on() {
        assert_eq!((changes(&samples(), 0.0), changes(&samples(), 2.0)), (2, 1));
    }

    #[test]
    fn a_path_names_each_size_once() {
        assert_eq!(path(&samples()), [(0.0, 5), (1.0, 12), (3.5, 8)]);
    }

    #[test]
    fn the_longest_excursion_is_found_and_one_that_lasts_to_the_end_counts() {
        let path = [(0.0, 5), (1.0, 12), (3.5, 8), (5.0, 20), (6.0, 5)];
        assert!((longest_above(&path, 5, 9.0) - 5.0).abs() < 1e-9);
        assert!((longest_above(&path, 9, 9.0) - 2.5).abs() < 1e-9);
        assert!(longest_above(&path, 20, 9.0).abs() < 1e-9);
        assert!((longest_above(&path[..2], 5, 9.0) - 8.0).abs() < 1e-9);
        assert!((longest_above(&path, 5, 3.0) - 2.0).abs() < 1e-9, "what is later does not count");
    }

    #[test]
    fn a_timeline_has_a_sample_a_second() {
        let seconds: Vec<f64> = timeline(&samples()).iter().map(|one| one.0).collect();
        assert_eq!(seconds, [0.5, 1.0, 3.0]);
    }
}
