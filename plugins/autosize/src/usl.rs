//! Fits the Universal Scalability Law to what a database did at several levels of concurrency.
//!
//! N. J. Gunther, "A Simple Capacity Model of Massively Parallel Transaction Systems", CMG 1993:
//! X(N) = γN / (1 + α(N − 1) + βN(N − 1)), with γ what one server does alone, α the part that is done
//! in turn (contention) and β what each pays for every other (coherency). Its peak is at
//! N* = √((1 − α) / β).
//!
//! A pool that was not full shows how much was asked for and not how much could be done. By Little's
//! law X = N / R(N), so what carries information at any load is the time R of a transaction at
//! concurrency N, and the law is linear in it: R(N) = r + s(N − 1) + t·N(N − 1) with r = 1/γ,
//! s = α/γ, t = β/γ. That is a least-squares fit with s, t ≥ 0; where it comes out negative the term is
//! left out, and of the fits that remain the best is taken.

/// What was seen at one level of concurrency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Busy servers.
    pub servers: f64,
    /// Mean time of a transaction; any unit, the same in all points.
    pub time: f64,
    /// How much it counts.
    pub weight: f64,
}

/// A fit of the law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fit {
    /// Time of a transaction alone.
    alone: f64,
    pub alpha: f64,
    pub beta: f64,
    /// Part of the times' variance that the fit explains.
    pub r2: f64,
    /// Greatest concurrency that was seen.
    seen: f64,
}

/// Fewer points than these tell nothing.
const POINTS_MIN: usize = 5;
/// The greatest concurrency must be so many times the least.
const RANGE_MIN: f64 = 3.0;
/// The greatest concurrency must be as large as this.
const SEEN_MIN: f64 = 4.0;
/// A peak is believed up to so many times the greatest concurrency that was seen.
const BEYOND_MAX: f64 = 2.0;
/// Without a peak: the part of the greatest throughput that is enough.
const ENOUGH: f64 = 0.95;

impl Fit {
    /// Fits the law; `None` when there are too few points or they are too near to one another.
    pub(crate) fn of(points: &[Point]) -> Option<Self> {
        let least = points.iter().map(|point| point.servers).fold(f64::INFINITY, f64::min);
        let seen = points.iter().map(|point| point.servers).fold(0.0, f64::max);
        if points.len() < POINTS_MIN || seen < SEEN_MIN || seen < RANGE_MIN * least {
            return None;
        }
        let candidates = [[true, true], [true, false], [false, true], [false, false]];
        let fits = candidates.into_iter().filter_map(|terms| fit(points, terms));
        let (times, error) = fits.min_by(|one, other| one.1.total_cmp(&other.1))?;
        let [alone, turn, each] = times;
        let variance = spread(points);
        let r2 = if variance > 0.0 { 1.0 - error / variance } else { 0.0 };
        (alone > 0.0).then(|| Self { alone, alpha: turn / alone, beta: each / alone, r2, seen })
    }

    /// Gives the throughput at a concurrency, in transactions per unit of the points' time.
    pub(crate) fn throughput(&self, servers: f64) -> f64 {
        let others = servers - 1.0;
        servers / (self.alone * (1.0 + self.alpha * others + self.beta * servers * others))
    }

    /// Gives the concurrency beyond which more servers bring nothing, if it is near what was seen.
    ///
    /// Where the law has no peak (β = 0) throughput still nears 1 / (α·r); 95 % of it is enough.
    pub(crate) fn most(&self) -> Option<f64> {
        let most = if self.beta > 0.0 {
            ((1.0 - self.alpha).max(0.0) / self.beta).sqrt()
        } else if self.alpha > 0.0 {
            ENOUGH / (1.0 - ENOUGH) * (1.0 - self.alpha).max(0.0) / self.alpha
        } else {
            return None;
        };
        (most <= BEYOND_MAX * self.seen).then(|| most.max(1.0))
    }
}

/// Fits the times with the chosen terms; gives r, s, t and the sum of squared errors.
fn fit(points: &[Point], [turn, each]: [bool; 2]) -> Option<([f64; 3], f64)> {
    let terms = |n: f64| {
        let use_term = |is_used: bool, value: f64| if is_used { value } else { 0.0 };
        [1.0, use_term(turn, n - 1.0), use_term(each, n * (n - 1.0))]
    };
    let mut normal = [[0.0; 4]; 3];
    for point in points {
        let row = terms(point.servers);
        for (line, left) in normal.iter_mut().zip(row) {
            for (cell, right) in line.iter_mut().zip(row) {
                *cell += point.weight * left * right;
            }
            line[3] += point.weight * left * point.time;
        }
    }
    // A term that is left out gets an equation of its own: it is zero.
    for (at, is_used) in [(1, turn), (2, each)] {
        if !is_used {
            normal[at] = [0.0; 4];
            normal[at][at] = 1.0;
        }
    }
    let times = solve(normal)?;
    if times.iter().any(|time| *time < 0.0 || !time.is_finite()) {
        return None;
    }
    let error = |point: &Point| {
        let row = terms(point.servers);
        let fitted: f64 = row.iter().zip(times).map(|(term, time)| term * time).sum();
        point.weight * (point.time - fitted).powi(2)
    };
    Some((times, points.iter().map(error).sum()))
}

/// Solves three equations by elimination with row pivoting; `None` when they are not independent.
fn solve(mut rows: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for at in 0..3 {
        let pivot = (at..3).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, pivot);
        let scale = rows[at].iter().take(3).fold(0.0_f64, |most, cell| most.max(cell.abs()));
        if rows[at][at].abs() <= scale * 1e-12 {
            return None;
        }
        let line = rows[at];
        for (_, row) in rows.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            let factor = row[at] / line[at];
            for (cell, from) in row.iter_mut().zip(line) {
                *cell -= factor * from;
            }
        }
    }
    Some([rows[0][3] / rows[0][0], rows[1][3] / rows[1][1], rows[2][3] / rows[2][2]])
}

/// Gives the weighted sum of the times' squared distances from their mean.
fn spread(points: &[Point]) -> f64 {
    let weight: f64 = points.iter().map(|point| point.weight).sum();
    let mean = points.iter().map(|point| point.weight * point.time).sum::<f64>() / weight;
    points.iter().map(|point| point.weight * (point.time - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(gamma: f64, alpha: f64, beta: f64, levels: &[u32]) -> Vec<Point> {
        let point = |n: &u32| {
            let n = f64::from(*n);
            let time = (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0)) / gamma;
            Point { servers: n, time, weight: 1.0 }
        };
        levels.iter().map(point).collect()
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{found}, {expected}");
    }

    #[test]
    fn the_law_is_found_in_its_own_points() {
        let fit = Fit::of(&law(50.0, 0.04, 0.006, &[1, 2, 4, 8, 12, 16])).expect("enough");
        near(fit.alpha, 0.04);
        near(fit.beta, 0.006);
        near(fit.r2, 1.0);
        // √(0.96 / 0.006) = √160, where 12.649 · 50 / (1 + 0.46596 + 0.88410) = 269.12.
        near(fit.most().expect("a peak"), 160.0_f64.sqrt());
        assert!((fit.throughput(160.0_f64.sqrt()) - 269.12).abs() < 0.05);
    }

    #[test]
    fn noise_moves_the_peak_little() {
        let mut points = law(50.0, 0.04, 0.006, &[1, 2, 4, 6, 8, 12, 16]);
        for (at, point) in points.iter_mut().enumerate() {
            point.time *= if at % 2 == 0 { 1.04 } else { 0.96 };
        }
        let fit = Fit::of(&points).expect("enough");
        let peak = fit.most().expect("a peak");
        assert!((10.0..=16.0).contains(&peak) && fit.r2 > 0.9, "{peak} {fit:?}");
    }

    #[test]
    fn a_database_that_scales_has_no_most() {
        let fit = Fit::of(&law(50.0, 0.0, 0.0, &[1, 2, 4, 8, 16])).expect("enough");
        assert_eq!(fit.most(), None);
        assert!(fit.r2 <= 0.5, "equal times prove nothing: {fit:?}");
    }

    #[test]
    fn one_processor_is_enough_with_one_server() {
        let fit = Fit::of(&law(80.0, 1.0, 0.0, &[1, 2, 4, 8, 12])).expect("enough");
        near(fit.most().expect("a limit"), 1.0);
        near(fit.throughput(12.0), 80.0);
    }

    #[test]
    fn a_peak_far_beyond_what_was_seen_is_not_believed() {
        let fit = Fit::of(&law(50.0, 0.0, 0.0001, &[1, 2, 3, 4, 5])).expect("enough");
        assert_eq!(fit.most(), None);
    }

    #[test]
    fn few_or_near_points_are_not_fitted() {
        assert_eq!(Fit::of(&law(50.0, 0.1, 0.01, &[1, 2, 4, 8])), None);
        assert_eq!(Fit::of(&law(50.0, 0.1, 0.01, &[8, 9, 10, 11, 12])), None);
        assert_eq!(Fit::of(&law(50.0, 0.1, 0.01, &[1, 1, 1, 1, 1])), None);
        assert_eq!(Fit::of(&[]), None);
    }
}
