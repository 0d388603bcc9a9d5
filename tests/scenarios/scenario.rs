//! The ten stories, each with the load that it means and what happens to the database meanwhile.
//!
//! Demand is told in servers, as an operator thinks of a pool. Peaks of burst, ramp and wave lie
//! beyond a pool of 20, nights far below: else one fixed size would do.

use std::time::Duration;

use crate::arrivals::{Demand, Stream, Work};

/// What happens besides the load, in seconds from its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Incident {
    /// Nothing.
    None,
    /// PostgreSQL dies and is started again.
    Failover {
        /// When it is killed.
        at_s: f64,
        /// For how long it is away.
        for_s: f64,
    },
    /// Clients begin transactions and forget them, one after another, until all are given back.
    Leaks {
        /// When the first one does.
        from_s: f64,
        /// Time between two.
        every_s: f64,
        /// How many.
        count: u32,
        /// When they are given back.
        until_s: f64,
    },
}

/// One story.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What happens, in a sentence.
    pub about: &'static str,
    /// Length of the load in seconds.
    pub length_s: f64,
    /// Who asks for what.
    pub streams: Vec<Stream>,
    /// What happens besides.
    pub incident: Incident,
    /// Sizes that the sweep for the best static one tries, besides 5 and 20.
    pub sweep: Vec<u32>,
    /// The part with too much load, over which throughput is compared.
    pub overload_s: Option<(f64, f64)>,
    /// From when on nothing changes any more, where that is so.
    pub steady_from_s: Option<f64>,
    /// PostgreSQL's `max_connections`.
    pub max_connections: u32,
}

impl Scenario {
    /// Says whether it needs the processors for itself.
    pub fn is_alone(&self) -> bool {
        self.streams.iter().any(|stream| stream.work == Work::Burn)
    }

    /// Gives as how many runs it counts among those at a time.
    ///
    /// Peaks open dozens of servers while somebody waits, and what is measured is how long that takes.
    pub fn weight(&self) -> usize {
        if self.is_peak() { 2 } else { 1 }
    }

    /// Says whether it compares with the best static size in hindsight.
    pub fn is_peak(&self) -> bool {
        PEAKS.contains(&self.name)
    }

    /// Gives the length of the load.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.length_s)
    }

    /// Gives the same story in another length.
    pub fn stretched(&self, factor: f64) -> Self {
        let span = |(from, to): (f64, f64)| (from * factor, to * factor);
        Self {
            length_s: self.length_s * factor,
            streams: self.streams.iter().map(|stream| stream.stretched(factor)).collect(),
            incident: self.incident.stretched(factor),
            overload_s: self.overload_s.map(span),
            steady_from_s: self.steady_from_s.map(|from| from * factor),
            ..self.clone()
        }
    }
}

impl Incident {
    fn stretched(self, factor: f64) -> Self {
        match self {
            Self::None => Self::None,
            Self::Failover { at_s, for_s } => {
                Self::Failover { at_s: at_s * factor, for_s: for_s * factor }
            }
            Self::Leaks { from_s, every_s, count, until_s } => Self::Leaks {
                from_s: from_s * factor,
                every_s: every_s * factor,
                count,
                until_s: until_s * factor,
            },
        }
    }
}

/// Stories that compare with the best static size.
pub const PEAKS: [&str; 3] = ["burst", "ramp", "wave"];
/// Mean service time where the server waits.
const MEAN: Duration = Duration::from_millis(100);

fn app(demand: Demand) -> Stream {
    Stream { database: "app", demand, herds: Vec::new(), work: Work::Sleep, mean: MEAN }
}

fn story(name: &'static str, about: &'static str, length_s: f64, stream: Stream) -> Scenario {
    Scenario {
        name,
        about,
        length_s,
        streams: vec![stream],
        incident: Incident::None,
        sweep: vec![8, 10, 12, 15, 26],
        overload_s: None,
        steady_from_s: None,
        max_connections: 100,
    }
}

/// Gives all stories, in the order of the page.
pub fn all() -> Vec<Scenario> {
    vec![
        steady(),
        burst(),
        ramp(),
        wave(),
        neighbour(),
        slow_database(),
        convoy(),
        leak(),
        herd(),
        failover(),
    ]
}

fn steady() -> Scenario {
    let about = "Eight servers are busy all the time.";
    let load = app(Demand::Lines(vec![(0.0, 8.0)]));
    Scenario { steady_from_s: Some(15.0), ..story("steady", about, 60.0, load) }
}

/// Sizes around what the peaks of burst, ramp and wave need.
fn peaks() -> Vec<u32> {
    vec![26, 30, 34, 38, 42, 48]
}

fn burst() -> Scenario {
    let about = "Four servers are busy; at 15 s, from one moment to the next, 32, for 6 s.";
    let load =
        app(Demand::Lines(vec![(0.0, 4.0), (15.0, 4.0), (15.0, 32.0), (21.0, 32.0), (21.0, 4.0)]));
    Scenario { sweep: peaks(), ..story("burst", about, 60.0, load) }
}

fn ramp() -> Scenario {
    let about = "Demand rises evenly from 4 servers to 33 within 15 s, stays for 6 s, and is gone.";
    let load =
        app(Demand::Lines(vec![(0.0, 4.0), (12.0, 4.0), (27.0, 33.0), (33.0, 33.0), (33.0, 4.0)]));
    Scenario { sweep: peaks(), ..story("ramp", about, 60.0, load) }
}

fn wave() -> Scenario {
    let about = "A day in a minute: 3 servers are busy at night, from 6 s on more and more, 34 at the noon of 24 s, \
                 and 3 again from 42 s on.";
    let load = app(Demand::Day { night: 3.0, noon: 34.0, light_s: (6.0, 42.0) });
    Scenario { sweep: peaks(), ..story("wave", about, 60.0, load) }
}

fn neighbour() -> Scenario {
    let about = "Two databases share PostgreSQL's 60 connections: one always keeps 4 servers busy, its \
                 neighbour 2, and 28 from 8 s to 18 s.";
    let noisy = Demand::Lines(vec![(0.0, 2.0), (8.0, 2.0), (8.0, 28.0), (18.0, 28.0), (18.0, 2.0)]);
    let noisy = Stream { database: "noisy", ..app(noisy) };
    let mut all = story("noisy-neighbour", about, 40.0, app(Demand::Lines(vec![(0.0, 4.0)])));
    all.streams.push(noisy);
    Scenario { sweep: vec![10, 15, 22, 24], max_connections: 60, ..all }
}

fn slow_database() -> Scenario {
    let about = "PostgreSQL has one processor and each request burns 12 ms of it: at half load, and from \
                 5 s to 9 s with nearly twice what it can do.";
    let load = Demand::Lines(vec![(0.0, 0.5), (5.0, 0.5), (5.0, 1.8), (9.0, 1.8), (9.0, 0.4)]);
    let stream = Stream { work: Work::Burn, mean: Duration::from_millis(12), ..app(load) };
    Scenario {
        sweep: vec![1, 2, 3, 10],
        overload_s: Some((5.5, 9.0)),
        ..story("slow-database", about, 25.0, stream)
    }
}

fn convoy() -> Scenario {
    let about = "Each transaction works for 40 ms, the last quarter of it with the one hot row locked, so \
                 that 100 a second is all there can be: 50 come, and 130 from 10 s to 18 s.";
    let load = Demand::Lines(vec![(0.0, 2.0), (10.0, 2.0), (10.0, 5.2), (18.0, 5.2), (18.0, 2.0)]);
    let work = Work::Locked { share: 0.25 };
    let stream = Stream { work, mean: Duration::from_millis(40), ..app(load) };
    Scenario {
        sweep: vec![2, 3, 4, 6, 8, 12],
        overload_s: Some((11.0, 18.0)),
        ..story("lock-convoy", about, 40.0, stream)
    }
}

fn leak() -> Scenario {
    let about = "Three servers are busy; from 8 s on every 2 s a client begins a transaction and forgets it, \
                 six in all, which are given back at 26 s.";
    let load = app(Demand::Lines(vec![(0.0, 3.0)]));
    let incident = Incident::Leaks { from_s: 8.0, every_s: 2.0, count: 6, until_s: 26.0 };
    Scenario { incident, ..story("leak", about, 40.0, load) }
}

fn herd() -> Scenario {
    let about =
        "Four servers are busy; at 8, 16, 24 and 32 s a hundred clients come in the same instant.";
    let mut load = app(Demand::Lines(vec![(0.0, 4.0)]));
    load.herds = vec![(8.0, 100), (16.0, 100), (24.0, 100), (32.0, 100)];
    Scenario { sweep: vec![26, 34, 42, 50, 60, 75], ..story("thundering-herd", about, 40.0, load) }
}

fn failover() -> Scenario {
    let about = "Six servers are busy; at 12 s PostgreSQL is killed, and started again 3 s later.";
    let load = app(Demand::Lines(vec![(0.0, 6.0)]));
    let incident = Incident::Failover { at_s: 12.0, for_s: 3.0 };
    Scenario { incident, ..story("failover", about, 40.0, load) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_lie_beyond_a_pool_of_twenty_and_nights_far_below() {
        for one in [burst(), ramp(), wave()] {
            let demand = &one.streams[0].demand;
            assert!((30.0..=35.0).contains(&demand.most()), "{}", one.name);
            let moments = (0..600).map(|at| demand.at(f64::from(at) / 10.0));
            let mean = moments.sum::<f64>() / 600.0;
            assert!(mean < 13.0, "{}: {mean}", one.name);
        }
    }

    #[test]
    fn each_story_has_a_name_of_its_own_and_sizes_to_try() {
        let all = all();
        let mut names: Vec<_> = all.iter().map(|one| one.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 10);
        assert!(all.iter().all(|one| !one.sweep.is_empty() && one.length_s >= 25.0));
    }

    #[test]
    fn only_what_burns_the_processor_runs_alone() {
        let alone: Vec<_> = all().into_iter().filter(Scenario::is_alone).collect();
        assert_eq!(alone.iter().map(|one| one.name).collect::<Vec<_>>(), ["slow-database"]);
    }

    #[test]
    fn a_stretched_story_moves_all_its_moments() {
        let short = failover().stretched(0.5);
        assert_eq!(short.incident, Incident::Failover { at_s: 6.0, for_s: 1.5 });
        assert_eq!(short.length(), Duration::from_secs(20));
    }
}
