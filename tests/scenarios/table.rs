//! All runs of a suite by scenario, and what they say together: medians, spreads, best sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::best::{Tried, median, peak, shortest};
use crate::record::{Line, Run, Suite, Variant};
use crate::scenario::Scenario;

/// Runs of each variant that a verdict takes.
const RUNS_MIN: usize = 5;

/// A whole suite.
#[derive(Debug, Default)]
pub struct Table {
    /// What all runs have in common.
    pub suite: Option<Suite>,
    /// The scenarios that ran, in the order of their first run.
    pub scenarios: Vec<Results>,
}

/// The runs of one scenario.
#[derive(Debug, Default)]
pub struct Results {
    /// Its name.
    pub name: String,
    /// The runs of the table.
    pub runs: Vec<Run>,
    /// Those that looked for the best size.
    pub sweep: Vec<Run>,
}

/// A median with the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub most: f64,
}

impl Table {
    /// Sorts lines of a record.
    pub fn of(lines: impl IntoIterator<Item = Line>) -> Self {
        let mut table = Self::default();
        for line in lines {
            match line {
                Line::Suite(suite) => table.suite = Some(suite),
                Line::Run(run) => table.results(&run.scenario).runs.push(run),
                Line::Sweep(run) => table.results(&run.scenario).sweep.push(run),
            }
        }
        table
    }

    /// Gives the runs of a scenario.
    pub fn find(&self, name: &str) -> Option<&Results> {
        self.scenarios.iter().find(|one| one.name == name)
    }

    /// Says whether it is what the page shows: all stories at their length, each variant often enough.
    pub fn is_whole(&self, stories: &[Scenario]) -> bool {
        let is_there = |story: &Scenario| {
            let variants = [Variant::Static(5), Variant::Static(20), Variant::Poolwarden];
            let has = |one: &Results| {
                let mut wanted = variants.into_iter().chain(one.best().map(Variant::Static));
                wanted.all(|variant| one.of(variant).count() >= RUNS_MIN)
            };
            self.find(story.name).is_some_and(has)
        };
        self.suite.as_ref().is_some_and(|suite| suite.stretch >= 1.0)
            && stories.iter().all(is_there)
    }

    fn results(&mut self, name: &str) -> &mut Results {
        let at = self.scenarios.iter().position(|one| one.name == name).unwrap_or_else(|| {
            self.scenarios.push(Results { name: name.to_owned(), ..Results::default() });
            self.scenarios.len() - 1
        });
        &mut self.scenarios[at]
    }
}

impl Results {
    /// Gives a measure over all runs of a variant; `None` without any.
    pub fn spread(&self, variant: Variant, of: impl Fn(&Run) -> f64) -> Option<Spread> {
        let values: Vec<f64> = self.of(variant).map(of).collect();
        Some(Spread {
            median: median(&values)?,
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// Divides the measures of two variants run by run, which have the same requests, and gives the
    /// median; nothing by nothing is 1.
    pub fn ratio(
        &self,
        above: Variant,
        below: Variant,
        of: impl Fn(&Run) -> f64 + Copy,
    ) -> Option<f64> {
        let by_number =
            |variant| self.of(variant).map(|run| (run.number, of(run))).collect::<BTreeMap<_, _>>();
        let below = by_number(below);
        let pairs = by_number(above).into_iter().filter_map(|(number, above)| {
            let below = *below.get(&number)?;
            Some(if above == below { 1.0 } else { above / below })
        });
        median(&pairs.collect::<Vec<_>>())
    }

    /// Gives the runs of a variant.
    pub fn of(&self, variant: Variant) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.variant == variant)
    }

    /// Gives how often the variant that ran least has run.
    pub fn times(&self) -> usize {
        self.variants().into_iter().map(|variant| self.of(variant).count()).min().unwrap_or(0)
    }

    /// Gives the best static size in hindsight, by the 99th percentile of client time.
    pub fn best(&self) -> Option<u32> {
        shortest(&self.tried(|run| Some(run.client_ms.p99)))
    }

    /// Gives the size at which throughput peaks under too much load.
    pub fn peak(&self) -> Option<u32> {
        peak(&self.tried(|run| run.overload_per_s))
    }

    /// Gives what each static size measured with the arrivals of the first run.
    pub fn tried(&self, of: impl Fn(&Run) -> Option<f64>) -> Vec<Tried> {
        let first = self.sweep.iter().chain(self.runs.iter().filter(|run| run.number == 0));
        let one = |run: &Run| match run.variant {
            Variant::Static(size) => Some(Tried { size, value: of(run)? }),
            Variant::Closing(_) | Variant::Poolwarden => None,
        };
        let mut all: Vec<Tried> = first.filter_map(one).collect();
        all.sort_by_key(|one| one.size);
        // A size of the sweep that became the best has run twice with these arrivals.
        all.dedup_by_key(|one| one.size);
        all
    }

    /// Gives the variants of the table in its order: by size, Poolwarden last.
    pub fn variants(&self) -> BTreeSet<Variant> {
        self.runs.iter().map(|run| run.variant).collect()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Makes a run of which only the named is of interest.
    pub fn run(scenario: &str, variant: Variant, number: u32, p99: f64) -> Run {
        let json = serde_json::json!({
            "scenario": scenario, "variant": "poolwarden", "number": number, "seed": 1,
            "length_s": 60.0, "requests": 10, "work_s": 1.0, "served": 10, "unserved": 0,
            "errors": {}, "client_ms": {"p50": 1.0, "p99": p99, "max": p99},
            "wait_ms": {"p50": 0.0, "p99": 0.0, "max": 0.0}, "database_ms": {},
            "late_ms": {"p50": 0.0, "p99": 0.0, "max": 0.0}, "latest_s": 0.0, "throughput_per_s": 10.0,
            "overload_per_s": null, "connection_s": 100.0, "waiting_s": 1.0, "changes": 0,
            "steady": null, "path": [[0.0, 5]], "end_s": 60.0, "samples": 10, "over_budget": 0,
            "budget_room": 50, "sessions": 7, "sidecar_alive": true, "timeline": []
        });
        let run: Run = serde_json::from_value(json).expect("a run");
        Run { variant, ..run }
    }

    #[test]
    fn lines_survive_being_written_and_read() {
        let mut one = run("burst", Variant::Static(20), 3, 460.0);
        one.path = vec![(0.0, 20)];
        one.timeline = vec![(0.1, 20, 7, 0)];
        let line = Line::Sweep(one);
        let text = serde_json::to_string(&line).expect("JSON");
        assert!(!text.contains('\n'));
        assert_eq!(serde_json::from_str::<Line>(&text).expect("a line"), line);
    }

    #[test]
    fn a_spread_is_over_the_runs_of_its_variant() {
        let runs = [(20, 1.0), (20, 9.0), (20, 2.0), (5, 100.0)];
        let lines = runs.map(|(size, p99)| Line::Run(run("wave", Variant::Static(size), 0, p99)));
        let table = Table::of(lines);
        let wave = table.find("wave").expect("it ran");
        let spread = wave.spread(Variant::Static(20), |run| run.client_ms.p99);
        assert_eq!(spread, Some(Spread { median: 2.0, least: 1.0, most: 9.0 }));
        assert_eq!(wave.spread(Variant::Poolwarden, |run| run.client_ms.p99), None);
    }

    #[test]
    fn variants_are_compared_run_by_run() {
        let of = |variant, number, p99| Line::Run(run("wave", variant, number, p99));
        let (own, twenty) = (Variant::Poolwarden, Variant::Static(20));
        let table = Table::of([
            of(own, 0, 10.0),
            of(twenty, 0, 100.0),
            of(own, 1, 90.0),
            of(twenty, 1, 100.0),
            of(own, 2, 600.0),
            of(twenty, 2, 1_000.0),
            of(own, 3, 1.0),
        ]);
        let wave = table.find("wave").expect("it ran");
        assert_eq!(wave.ratio(own, twenty, |run| run.client_ms.p99), Some(0.6));
        assert_eq!(wave.ratio(own, Variant::Static(5), |run| run.client_ms.p99), None);
        assert_eq!(wave.ratio(own, twenty, |_| 0.0), Some(1.0));
    }

    #[test]
    fn a_suite_is_whole_with_five_runs_of_every_variant_of_all_stories() {
        let suite = serde_json::json!({
            "date": "", "source": "", "sidecar": "", "processor": "", "servers": [], "seed": 1,
            "jobs": 1, "rows_per_ms": 1.0, "load_before": "", "stretch": 1.0
        });
        let suite: Suite = serde_json::from_value(suite).expect("a suite");
        let stories = crate::scenario::all();
        let variants = [Variant::Static(5), Variant::Static(20), Variant::Poolwarden];
        let mut lines = vec![Line::Suite(suite)];
        for story in &stories {
            for variant in variants {
                lines.extend((0..5).map(|number| Line::Run(run(story.name, variant, number, 1.0))));
            }
        }
        assert!(Table::of(lines.clone()).is_whole(&stories));
        lines.pop();
        assert!(!Table::of(lines).is_whole(&stories));
    }

    #[test]
    fn the_best_size_is_looked_for_with_the_arrivals_of_the_first_run() {
        let of = |size, number, p99| run("burst", Variant::Static(size), number, p99);
        let table = Table::of([
            Line::Run(of(20, 0, 4_000.0)),
            Line::Run(of(20, 1, 1.0)),
            Line::Sweep(of(34, 0, 480.0)),
            Line::Sweep(of(48, 0, 470.0)),
            Line::Run(run("burst", Variant::Poolwarden, 0, 1.0)),
        ]);
        assert_eq!(table.find("burst").and_then(Results::best), Some(34));
    }
}
