//! Remembers how long transactions took at each level of concurrency.
//!
//! A level is a quarter wider than the one before, so a few dozen numbers cover any pool. Each keeps a
//! mean that forgets: what is older than the half-life counts half, and no level counts more than so
//! many samples, so that a database which was upgraded is soon seen as it is.

use std::collections::BTreeMap;

use poolwarden_policy::numbers::whole;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::usl::{Fit, Point};

/// Ratio of neighbouring levels.
const RATIO: f64 = 1.25;
/// Highest level: 1.25⁴⁰ is 7 500 servers.
const LEVEL_MAX: u32 = 40;
/// The most samples that a level counts as.
const WEIGHT_MAX: f64 = 30.0;
/// Levels that count less are left out of a fit.
const WEIGHT_MIN: f64 = 2.0;
/// What is compared must be so many times apart in concurrency.
const APART: f64 = 1.5;

/// Means of one level: busy servers, time of a transaction (µs), how much they count.
type Level = (f64, f64, f64);

/// What was seen of a database's speed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// When the newest sample was taken, milliseconds since 1970.
    at_ms: u64,
    levels: BTreeMap<u32, Level>,
}

impl Curve {
    /// Says whether the time has come for a sample that shares nothing with the last one.
    pub(crate) fn is_due(&self, at_ms: u64, span_ms: u64) -> bool {
        at_ms < self.at_ms || at_ms - self.at_ms >= span_ms
    }

    /// Adds a sample: mean busy servers of a span, and the mean time of its transactions.
    pub(crate) fn add(&mut self, at_ms: u64, servers: f64, time_us: f64, settings: &Settings) {
        let is_sound = servers > 0.0 && time_us > 0.0 && (servers + time_us).is_finite();
        if !is_sound {
            return;
        }
        let age = millis(at_ms.saturating_sub(self.at_ms));
        let fade = 0.5_f64.powf(age / millis(settings.curve_half_life_ms.max(1)));
        self.at_ms = at_ms;
        for (_, _, weight) in self.levels.values_mut() {
            *weight *= fade;
        }
        let (mean, time, weight) = self.levels.entry(level(servers)).or_default();
        *weight = (*weight + 1.0).min(WEIGHT_MAX);
        *mean += (servers - *mean) / *weight;
        *time += (time_us - *time) / *weight;
        self.levels.retain(|_, level| level.2 >= 0.05);
    }

    /// Fits the law to it, or to the operator's own curve; `None` where the fit is not to be believed.
    pub(crate) fn fit(&self, settings: &Settings) -> Option<Fit> {
        let points: Vec<Point> = if settings.capacity_curve.is_empty() {
            let enough = self.levels.values().filter(|level| level.2 >= WEIGHT_MIN);
            enough.map(|(servers, time, weight)| point(*servers, *time, *weight)).collect()
        } else {
            let given = settings.capacity_curve.iter();
            let sound = given.filter(|(servers, per_s)| *servers >= 1.0 && *per_s > 0.0);
            sound.map(|(servers, per_s)| point(*servers, servers / per_s * 1e6, 1.0)).collect()
        };
        Fit::of(&points).filter(|fit| fit.r2 >= settings.curve_r2_min)
    }

    /// Gives the part of more concurrency that longer transactions eat up, against a calmer time.
    ///
    /// ln(R/R₀) / ln(N/N₀): 0 where transactions take as long as before, 1 where N/N₀ times as many
    /// servers take N/N₀ times as long each, so that throughput X = N/R stays what it was. `None` when
    /// nothing is known of half-way lower a concurrency.
    pub(crate) fn slowdown(&self, servers: f64, time_us: f64) -> Option<f64> {
        let calmer = self.levels.values().filter(|level| level.2 >= 1.0);
        let calmer = calmer.filter(|level| level.0.max(1.0) * APART <= servers);
        let (before, time, _) = calmer.min_by(|one, other| one.0.total_cmp(&other.0))?;
        let ratio = servers / before.max(1.0);
        (time_us > 0.0).then(|| (time_us / time).ln() / ratio.ln())
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn point(servers: f64, time: f64, weight: f64) -> Point {
    Point { servers, time, weight }
}

fn level(servers: f64) -> u32 {
    whole((servers.max(1.0).ln() / RATIO.ln()).round()).min(LEVEL_MAX)
}

fn millis(duration: u64) -> f64 {
    std::time::Duration::from_millis(duration).as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(samples: &[(f64, f64)]) -> Curve {
        let mut curve = Curve::default();
        for (at, (servers, time)) in (1_u64..).zip(samples) {
            curve.add(1_000_000 + at * 1_000, *servers, *time, &Settings::default());
        }
        curve
    }

    #[test]
    fn a_slowdown_is_the_part_of_concurrency_that_is_lost() {
        let curve = seen(&[(2.0, 10_000.0), (2.1, 10_000.0)]);
        // Twice as long at four times as many: half of it.
        let half = curve.slowdown(8.2, 20_000.0).expect("known");
        assert!((half - 0.5).abs() < 1e-5, "{half}");
        assert_eq!(curve.slowdown(8.0, 10_000.0), Some(0.0));
        assert_eq!(curve.slowdown(2.5, 20_000.0), None);
        assert_eq!(Curve::default().slowdown(8.0, 20_000.0), None);
    }

    #[test]
    fn the_law_is_fitted_to_what_was_seen_often_enough() {
        let law = |n: f64| (n, 20_000.0 * (1.0 + 0.05 * (n - 1.0) + 0.01 * n * (n - 1.0)));
        let once: Vec<_> = [1.0, 2.0, 4.0, 6.0, 9.0, 12.0].map(law).into();
        assert_eq!(seen(&once).fit(&Settings::default()), None);
        let often = [once.clone(), once.clone(), once].concat();
        let fit = seen(&often).fit(&Settings::default()).expect("believed");
        // √(0.95 / 0.01) = 9.75.
        let most = fit.most().expect("a peak");
        assert!((most - 9.75).abs() < 0.1, "{most}");
        let never = Settings { curve_r2_min: 2.0, ..Settings::default() };
        assert_eq!(seen(&often).fit(&never), None);
    }

    #[test]
    fn an_operators_curve_comes_first() {
        let tps = |n: f64| (n, 50.0 * n / (1.0 + 0.02 * n * (n - 1.0)));
        let capacity_curve = [1.0, 2.0, 4.0, 8.0, 12.0].map(tps).to_vec();
        let settings = Settings { capacity_curve, ..Settings::default() };
        let most = Curve::default().fit(&settings).and_then(|fit| fit.most()).expect("a peak");
        assert!((most - 50.0_f64.sqrt()).abs() < 1e-3, "{most}");
    }

    #[test]
    fn what_is_old_is_forgotten_and_the_memory_is_bounded() {
        let mut curve = seen(&[(4.0, 10_000.0); 20]);
        let day = 86_400_000;
        curve.add(day, 4.0, 30_000.0, &Settings::default());
        assert_eq!(curve.slowdown(8.0, 60_000.0).map(|it| it > 0.9), Some(true));
        let wide: Vec<_> = (1..2_000).map(|n| (f64::from(n), 1e4)).collect();
        assert!(seen(&wide).levels.len() <= 41);
        let odd = seen(&[(f64::NAN, 1.0), (1.0, f64::INFINITY), (0.0, 1.0), (1.0, -1.0)]);
        assert_eq!(odd.levels.len(), 0);
    }
}
