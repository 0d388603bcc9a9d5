//! Who asks for what and when: drawn in advance from a seed, so that every variant meets the same work.
//!
//! An open loop: arrivals do not wait for answers. A closed one would send less while a pool queues,
//! which hides the very thing that is measured (coordinated omission).

use std::time::Duration;

use fastrand::Rng;

/// Service times beyond so many means are cut, so that one draw does not decide a run.
const LONGEST_MEANS: f64 = 6.0;

/// How many servers the clients of a stream keep busy where nobody waits (λ·W), over time.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// Straight lines between points of (seconds, servers); two points at one time are a step.
    Lines(Vec<(f64, f64)>),
    /// Night, a day that rises to its noon and falls, and night again.
    Day {
        /// Servers at night.
        night: f64,
        /// Servers at noon.
        noon: f64,
        /// When the night ends and when it begins again, in seconds.
        light_s: (f64, f64),
    },
}

impl Demand {
    /// Gives the servers at a moment in seconds.
    pub fn at(&self, at_s: f64) -> f64 {
        match self {
            Self::Lines(points) => line_at(points, at_s),
            Self::Day { night, noon, light_s: (from, to) } => {
                let share = ((at_s - from) / (to - from)).clamp(0.0, 1.0);
                let wave = (1.0 - (std::f64::consts::TAU * share).cos()) / 2.0;
                // The third power makes a noon that is shorter than the day.
                night + (noon - night) * wave.powi(3)
            }
        }
    }

    /// Gives the greatest demand.
    pub fn most(&self) -> f64 {
        match self {
            Self::Lines(points) => points.iter().map(|(_, servers)| *servers).fold(0.0, f64::max),
            Self::Day { noon, .. } => *noon,
        }
    }

    /// Gives the moment in seconds at which lines first reach the greatest demand.
    pub fn rises_at(&self) -> Option<f64> {
        let Self::Lines(points) = self else { return None };
        points.iter().find(|(_, servers)| *servers >= self.most()).map(|(at, _)| *at)
    }

    fn stretched(&self, factor: f64) -> Self {
        match self {
            Self::Lines(points) => {
                Self::Lines(points.iter().map(|(at, servers)| (at * factor, *servers)).collect())
            }
            Self::Day { night, noon, light_s: (from, to) } => {
                let light_s = (from * factor, to * factor);
                Self::Day { night: *night, noon: *noon, light_s }
            }
        }
    }
}

fn line_at(points: &[(f64, f64)], at_s: f64) -> f64 {
    let after = points.iter().position(|(point, _)| *point > at_s);
    let Some(after) = after else { return points.last().map_or(0.0, |(_, servers)| *servers) };
    let Some(before) = after.checked_sub(1) else { return points[after].1 };
    let ((from_s, from), (to_s, to)) = (points[before], points[after]);
    from + (to - from) * (at_s - from_s) / (to_s - from_s)
}

/// What a server does for one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    /// It waits, as for another service: no processor is needed.
    Sleep,
    /// It computes: rows of a series are counted.
    Burn,
    /// It works, then takes the one hot row and works on with the lock held.
    Locked {
        /// Part of the service time with the lock held.
        share: f64,
    },
}

impl Work {
    /// Writes the statement that takes `needs` where nothing is in its way.
    fn sql(self, needs: Duration, rows_per_ms: f64) -> String {
        let seconds = needs.as_secs_f64();
        match self {
            Self::Sleep => format!("select pg_sleep({seconds:.4})"),
            Self::Burn => {
                let rows = (seconds * 1e3 * rows_per_ms).max(1.0);
                format!("select count(*) from generate_series(1, {rows:.0})")
            }
            // Several statements in one simple query are one transaction.
            Self::Locked { share } => format!(
                "select pg_sleep({:.4}); update hot set n = n + 1; select pg_sleep({:.4})",
                seconds * (1.0 - share),
                seconds * share,
            ),
        }
    }
}

/// The requests of one database's clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// The database.
    pub database: &'static str,
    /// Servers that are busy where nobody waits.
    pub demand: Demand,
    /// Requests that come all at once, besides: (seconds, requests).
    pub herds: Vec<(f64, u32)>,
    /// What a request does.
    pub work: Work,
    /// Mean service time; the times are exponential, as in M/M/c.
    pub mean: Duration,
}

impl Stream {
    /// Gives the demand with which the story begins, and nothing else of it.
    pub fn calm(&self) -> Self {
        let demand = Demand::Lines(vec![(0.0, self.demand.at(0.0))]);
        Self { demand, herds: Vec::new(), ..self.clone() }
    }

    /// Gives the same story in another length.
    pub fn stretched(&self, factor: f64) -> Self {
        let herds = self.herds.iter().map(|(at, count)| (at * factor, *count)).collect();
        Self { demand: self.demand.stretched(factor), herds, ..self.clone() }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// When it is due, from the start of the load.
    pub at: Duration,
    /// Its service time where nothing is in its way.
    pub needs: Duration,
    /// What is sent.
    pub sql: String,
}

/// Draws all requests of a stream, in order of time.
///
/// A Poisson process whose rate follows the demand, by thinning (P. Lewis and G. Shedler,
/// "Simulation of Nonhomogeneous Poisson Processes by Thinning", 1979): candidates come at the greatest
/// rate, each is kept with the probability of the present rate to it.
pub fn draw(stream: &Stream, length: Duration, seed: u64, rows_per_ms: f64) -> Vec<Arrival> {
    let mut rng = Rng::with_seed(seed);
    let mean = stream.mean.as_secs_f64();
    let (most, end) = (stream.demand.most(), length.as_secs_f64());
    let mut times = Vec::new();
    let mut at = 0.0;
    loop {
        at += exponential(&mut rng, mean / most);
        if at >= end {
            break;
        }
        if rng.f64() * most < stream.demand.at(at) {
            times.push(at);
        }
    }
    for (herd, count) in &stream.herds {
        times.extend((0..*count).map(|_| *herd));
    }
    times.sort_by(f64::total_cmp);
    let mut one = |at: f64| {
        let needs = exponential(&mut rng, mean).min(mean * LONGEST_MEANS);
        let needs = Duration::from_secs_f64(needs);
        let sql = stream.work.sql(needs, rows_per_ms);
        Arrival { at: Duration::from_secs_f64(at), needs, sql }
    };
    times.into_iter().map(&mut one).collect()
}

fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream {
            database: "app",
            demand: Demand::Lines(vec![(0.0, 4.0), (10.0, 4.0), (10.0, 30.0), (20.0, 30.0)]),
            herds: vec![(5.0, 50)],
            work: Work::Sleep,
            mean: Duration::from_millis(100),
        }
    }

    const LENGTH: Duration = Duration::from_secs(20);

    #[test]
    fn one_seed_makes_the_same_arrivals_and_another_makes_others() {
        let one = draw(&stream(), LENGTH, 7, 1.0);
        assert_eq!(one, draw(&stream(), LENGTH, 7, 1.0));
        assert_ne!(one, draw(&stream(), LENGTH, 8, 1.0));
    }

    #[test]
    fn arrivals_come_in_order_and_follow_the_demand() {
        let all = draw(&stream(), LENGTH, 1, 1.0);
        assert!(all.is_sorted_by_key(|one| one.at));
        assert!(all.iter().all(|one| one.at < LENGTH));
        let early = all.iter().filter(|one| one.at < LENGTH / 2).count() - 50;
        let late = all.iter().filter(|one| one.at >= LENGTH / 2).count();
        // 400 and 3 000 are expected, ± 3 standard deviations.
        assert!((340..=460).contains(&early), "{early}");
        assert!((2_835..=3_165).contains(&late), "{late}");
    }

    #[test]
    fn the_work_in_sum_is_the_demand() {
        let all = draw(&stream(), LENGTH, 3, 1.0);
        let work: f64 = all.iter().map(|one| one.needs.as_secs_f64()).sum();
        // 4 × 10 s + 30 × 10 s + 50 × 0.1 s.
        assert!((work - 345.0).abs() < 30.0, "{work}");
    }

    #[test]
    fn a_herd_comes_all_at_once() {
        let all = draw(&stream(), LENGTH, 3, 1.0);
        assert_eq!(all.iter().filter(|one| one.at == Duration::from_secs(5)).count(), 50);
    }

    #[test]
    fn a_day_has_a_night_and_a_noon() {
        let day = Demand::Day { night: 3.0, noon: 33.0, light_s: (6.0, 42.0) };
        for (at, servers) in [(0.0, 3.0), (6.0, 3.0), (24.0, 33.0), (50.0, 3.0)] {
            assert!((day.at(at) - servers).abs() < 1e-9, "{at}: {}", day.at(at));
        }
        let mean: f64 = (0..600).map(|at| day.at(f64::from(at) / 10.0)).sum::<f64>() / 600.0;
        assert!(mean < 10.0, "{mean}");
    }

    #[test]
    fn lines_are_interpolated_and_last() {
        let ramp = Demand::Lines(vec![(2.0, 4.0), (4.0, 8.0)]);
        let seen = [0.0, 2.0, 3.0, 9.0].map(|at| ramp.at(at));
        assert_eq!(seen, [4.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn a_stretched_story_is_the_same_story() {
        let short = stream().stretched(0.5);
        assert_eq!(short.demand.at(6.0), stream().demand.at(12.0));
        assert_eq!(short.herds, [(2.5, 50)]);
    }

    #[test]
    fn each_work_is_one_statement_of_the_simple_protocol() {
        let needs = Duration::from_millis(40);
        assert_eq!(Work::Sleep.sql(needs, 1.0), "select pg_sleep(0.0400)");
        assert_eq!(Work::Burn.sql(needs, 50.0), "select count(*) from generate_series(1, 2000)");
        let locked = Work::Locked { share: 0.25 }.sql(needs, 1.0);
        assert!(locked.starts_with("select pg_sleep(0.0300); update hot"), "{locked}");
    }
}
