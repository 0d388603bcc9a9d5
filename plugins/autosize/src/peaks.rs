//! Remembers the greatest load of a stretch of time, in a ring of maxima.
//!
//! A pool is shrunk to what its greatest load of the stretch needs, so that the next peak of the same
//! kind finds its servers. The stretch is a setting and may be longer or shorter than any span of the
//! window. Twelve maxima forget a peak after the stretch and at most a twelfth of it later.

use serde::{Deserialize, Serialize};

/// Maxima of the ring.
const PARTS: u64 = 12;

/// The greatest loads, by part of the stretch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peaks {
    /// When it began to look, milliseconds since 1970.
    since_ms: u64,
    /// Length of a part; another one starts anew.
    part_ms: u64,
    /// Number of the newest part, and what was greatest in it and those before, in hundredths.
    newest: u64,
    most: Vec<u32>,
}

impl Peaks {
    /// Notes a load and gives the greatest of the stretch; `None` until all of it was seen.
    pub(crate) fn note(&mut self, at_ms: u64, stretch_ms: u64, load: f64) -> Option<f64> {
        let part_ms = (stretch_ms / PARTS).max(1);
        let part = at_ms / part_ms;
        if self.most.is_empty() || self.part_ms != part_ms || part < self.newest {
            *self = Self { since_ms: at_ms, part_ms, newest: part, most: vec![0] };
        }
        for _ in 0..(part - self.newest).min(PARTS + 1) {
            self.most.insert(0, 0);
        }
        self.most.truncate(usize::try_from(PARTS + 1).unwrap_or(usize::MAX));
        self.newest = part;
        let load = hundredths(load);
        self.most[0] = self.most[0].max(load);
        let is_whole = at_ms.saturating_sub(self.since_ms) >= stretch_ms;
        is_whole.then(|| f64::from(self.most.iter().copied().max().unwrap_or(0)) / 100.0)
    }
}

fn hundredths(load: f64) -> u32 {
    poolwarden_policy::numbers::whole((load * 100.0).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_that_was_not_seen_whole_says_nothing() {
        let mut peaks = Peaks::default();
        assert_eq!(peaks.note(1_000_000, 120, 5.0), None);
        assert_eq!(peaks.note(1_000_119, 120, 2.0), None);
        assert_eq!(peaks.note(1_000_120, 120, 2.0), Some(5.0));
    }

    #[test]
    fn a_peak_is_forgotten_after_the_stretch() {
        let mut peaks = Peaks::default();
        peaks.note(1_200, 120, 9.25);
        for at in (1_210..=1_320).step_by(10) {
            peaks.note(at, 120, 2.0);
        }
        assert_eq!(peaks.note(1_329, 120, 2.0), Some(9.25));
        assert_eq!(peaks.note(1_330, 120, 2.0), Some(2.0));
        // Longer without a word than the stretch: only what is new counts.
        assert_eq!(peaks.note(9_000, 120, 1.0), Some(1.0));
    }

    #[test]
    fn another_stretch_or_a_clock_that_was_set_back_starts_anew() {
        let mut peaks = Peaks::default();
        peaks.note(1_200, 120, 9.0);
        assert_eq!(peaks.note(1_400, 240, 1.0), None);
        assert_eq!(peaks.note(1_300, 240, 1.0), None);
    }
}
