//! Whether what must be reached is reached: comparisons by the median over the runs, each with the one
//! that had the same requests; what holds "never" by every single run.

use std::collections::BTreeSet;

use crate::best::median;
use crate::record::{Run, Variant};
use crate::run::START_SIZE;
use crate::scenario::{PEAKS, Scenario, all};
use crate::series::{longest_above, size_at};
use crate::sidecar;
use crate::table::{Results, Table};

/// The pool that most people have: PgBouncer's default.
const DEFAULT: Variant = Variant::Static(20);
/// What goes before and after the window: the effect's `settle_ms` as shipped, and two polls.
const AROUND_MS: u32 = 100 + 2 * 100;
/// Scenarios in which more servers do not help.
const STUCK: [&str; 2] = ["slow-database", "lock-convoy"];
/// The scenario in which clients meet errors whatever the size.
const ERRORS_DUE: &str = "failover";
/// The scenario in which nothing changes.
const STEADY: &str = "steady";
/// One step: the guard's `step_up` as shipped, where sidecar.toml does not set it.
const STEP: u32 = 20;
/// The time within which a change is verified or taken back, as shipped, where sidecar.toml does not
/// set it.
const WINDOW_MS: u32 = 10_000;

/// What came of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is reached.
    Reached,
    /// It is not.
    Missed,
    /// The runs that it takes are not there.
    Unknown,
}

/// A target and what was measured for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// What is to be reached.
    pub what: String,
    /// What was measured.
    pub measured: String,
    /// What it may be.
    pub bound: String,
    /// What came of it.
    pub outcome: Outcome,
}

impl Target {
    fn at_most(what: String, measured: Option<f64>, most: f64, unit: &str) -> Self {
        let bound = format!("at most {}", number(most, unit));
        Self::new(what, measured.map(|it| (number(it, unit), it <= most)), bound)
    }

    fn at_least(what: String, measured: Option<f64>, least: f64, unit: &str) -> Self {
        let bound = format!("at least {}", number(least, unit));
        Self::new(what, measured.map(|it| (number(it, unit), it >= least)), bound)
    }

    fn new(what: String, measured: Option<(String, bool)>, bound: String) -> Self {
        let outcome = match &measured {
            None => Outcome::Unknown,
            Some((_, true)) => Outcome::Reached,
            Some((_, false)) => Outcome::Missed,
        };
        let measured = measured.map_or_else(|| "not measured".to_owned(), |(text, _)| text);
        Self { what, measured, bound, outcome }
    }
}

fn number(value: f64, unit: &str) -> String {
    if value.is_infinite() { "none at all".to_owned() } else { format!("{value:.2}{unit}") }
}

/// Judges all targets, in the order of the page.
pub fn judge(table: &Table) -> Vec<Target> {
    let mut all = Vec::new();
    for name in PEAKS {
        all.extend(peak(name, table.find(name)));
    }
    for name in STUCK {
        all.extend(stuck(name, table.find(name)));
    }
    for one in &table.scenarios {
        let what = format!("{}: p99 against static 20", one.name);
        let measured = one.ratio(Variant::Poolwarden, DEFAULT, |run| run.client_ms.p99);
        all.push(Target::at_most(what, measured, 1.05, " ×"));
    }
    all.push(oscillation(table.find(STEADY)));
    all.extend(table.scenarios.iter().map(errors));
    all.push(error_counts(table.find(ERRORS_DUE)));
    all.push(budget(table));
    all.push(alive(table));
    all
}

fn peak(name: &str, found: Option<&Results>) -> [Target; 3] {
    let best = found.and_then(|one| Some((one, Variant::Static(one.best()?))));
    let size = best.map_or_else(|| "best static".to_owned(), |(_, best)| best.to_string());
    let to_best =
        |of: fn(&Run) -> f64| best.and_then(|(one, best)| one.ratio(Variant::Poolwarden, best, of));
    let waits = found.and_then(|one| one.ratio(DEFAULT, Variant::Poolwarden, |run| run.waiting_s));
    let best = |what: &str| format!("{name}: {what} against {size}, the best");
    [
        Target::at_most(best("p99"), to_best(|run| run.client_ms.p99), 1.15, " ×"),
        Target::at_most(best("connection-seconds"), to_best(|run| run.connection_s), 0.60, " ×"),
        Target::at_least(format!("{name}: time with waiters, static 20 to it"), waits, 5.0, " ×"),
    ]
}

/// Judges by every single run: a size that is too large once has been too large.
fn stuck(name: &str, found: Option<&Results>) -> [Target; 2] {
    let runs: Vec<&Run> =
        found.map(|one| one.of(Variant::Poolwarden).collect()).unwrap_or_default();
    let peak = found.and_then(Results::peak).filter(|_| !runs.is_empty());
    // Where the file's size is above the peak, what counts is what was added to it.
    let base = peak.map(|peak| peak.max(START_SIZE));
    let largest = runs.iter().map(|run| f64::from(run.largest())).fold(0.0, f64::max);
    // A size from before the load rose, whose servers rested, was not chosen for it.
    let above = |base: u32| {
        let of = |run: &&Run| {
            let (rises_s, over_s) = overload(run);
            let base = base.max(size_at(&run.path, rises_s));
            let later = run.path.iter().copied().filter(|(at, _)| *at >= rises_s);
            longest_above(&later.collect::<Vec<_>>(), base, over_s)
        };
        runs.iter().map(of).fold(0.0, f64::max)
    };
    let longest = base.map(above);
    let shown = peak.map_or_else(|| "the peak".to_owned(), |peak| format!("the peak at {peak}"));
    let step = sidecar::setting("step_up").unwrap_or(STEP);
    let window_ms = sidecar::setting("window_ms").unwrap_or(WINDOW_MS);
    let most = base.map_or(0, |base| base + step);
    [
        Target::at_most(
            format!(
                "{name}: largest size; throughput has {shown}, the file says {START_SIZE}, a step is {step}"
            ),
            base.map(|_| largest),
            f64::from(most),
            " servers",
        ),
        Target::at_most(
            format!(
                "{name}: longest time above {}, or the size before, from the overload's begin until its queue \
                 is gone; a verification with its settling",
                base.unwrap_or(START_SIZE)
            ),
            longest,
            f64::from(window_ms + AROUND_MS) / 1e3,
            " s",
        ),
    ]
}

/// Gives the scenario of a run, as long as the run.
fn story(run: &Run) -> Option<Scenario> {
    let scenario = all().into_iter().find(|one| one.name == run.scenario)?;
    Some(scenario.stretched(run.length_s / scenario.length_s))
}

/// Says when the load of a run rises, and when that is over with all that it left behind: nobody waits.
///
/// What a pool has in the calm before and after is not chosen for the overload, and a peak of throughput
/// that was measured in it does not say what is right there.
fn overload(run: &Run) -> (f64, f64) {
    let story = story(run);
    let stream = story.as_ref().and_then(|it| it.streams.first());
    let rises_s = stream.and_then(|it| it.demand.rises_at()).unwrap_or(0.0);
    let ends_s = story.and_then(|it| it.overload_s).map_or(run.end_s, |(_, ends_s)| ends_s);
    let mut later = run.timeline.iter().filter(|(at, ..)| *at >= ends_s);
    (rises_s, later.find(|(_, _, _, waiting)| *waiting == 0).map_or(run.end_s, |(at, ..)| *at))
}

fn oscillation(found: Option<&Results>) -> Target {
    let runs = found.into_iter().flat_map(|one| one.of(Variant::Poolwarden));
    let rates: Vec<f64> = runs.filter_map(Run::steady_changes_per_hour).collect();
    let what = "steady: changes per steady hour, for which 36 s of the run stand";
    let measured = median(&rates).map(|rate| (format!("{rate:.2}"), rate < 6.0));
    Target::new(what.to_owned(), measured, "under 6".to_owned())
}

fn errors(one: &Results) -> Target {
    let runs: Vec<&Run> = one.of(Variant::Poolwarden).collect();
    let texts = |run: &&Run| run.errors.keys().map(|text| shape(text)).collect::<Vec<_>>();
    if one.name == ERRORS_DUE {
        let statics = one.runs.iter().chain(&one.sweep);
        let statics = statics.filter(|run| run.variant != Variant::Poolwarden);
        let known: BTreeSet<String> = statics.flat_map(|run| texts(&run)).collect();
        let own: BTreeSet<String> = runs.iter().flat_map(texts).collect();
        let new: Vec<&str> = own.difference(&known).map(String::as_str).collect();
        let text = if new.is_empty() { "none".to_owned() } else { new.join("; ") };
        let measured = (!runs.is_empty() && !known.is_empty()).then_some((text, new.is_empty()));
        let what = format!("{}: errors of clients that static sizes do not have", one.name);
        return Target::new(what, measured, "none".to_owned());
    }
    let count: u64 = runs.iter().map(|run| run.error_count()).sum();
    let measured = (!runs.is_empty()).then(|| (count.to_string(), count == 0));
    Target::new(format!("{}: errors of clients", one.name), measured, "0".to_owned())
}

/// Judges whether clients meet more errors where they meet some whatever the size.
fn error_counts(found: Option<&Results>) -> Target {
    let count = |run: &Run| u32::try_from(run.error_count()).map_or(f64::INFINITY, f64::from);
    let measured = found.and_then(|one| one.ratio(Variant::Poolwarden, DEFAULT, count));
    Target::at_most(
        format!("{ERRORS_DUE}: errors of clients against static 20"),
        measured,
        1.05,
        " ×",
    )
}

/// Gives an error's text without the numbers in it.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

fn poolwarden(table: &Table) -> Vec<&Run> {
    table.scenarios.iter().flat_map(|one| one.of(Variant::Poolwarden)).collect()
}

fn budget(table: &Table) -> Target {
    let runs = poolwarden(table);
    let over: u64 = runs.iter().map(|run| run.over_budget).sum();
    let samples: u64 = runs.iter().map(|run| run.samples).sum();
    let room = runs.iter().map(|run| run.budget_room).min();
    let text = room.map(|room| format!("{over} of {samples} samples, least room {room}"));
    let what = "all: more could be open than PostgreSQL has".to_owned();
    Target::new(what, text.map(|text| (text, over == 0)), "0".to_owned())
}

fn alive(table: &Table) -> Target {
    let runs = poolwarden(table);
    let dead = runs.iter().filter(|run| run.sidecar_alive != Some(true)).count();
    let measured = (!runs.is_empty()).then(|| (dead.to_string(), dead == 0));
    Target::new("all: sidecars that ended by themselves".to_owned(), measured, "0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Line;
    use crate::table::tests::run;

    const WARDEN: Variant = Variant::Poolwarden;

    fn outcome(targets: &[Target], what: &str) -> Outcome {
        let found = targets.iter().find(|target| target.what.contains(what));
        found.unwrap_or_else(|| panic!("{what}: {targets:#?}")).outcome
    }

    fn burst(p99: f64, connection_s: f64, waiting_s: f64) -> Vec<Target> {
        let own = Run { connection_s, waiting_s, ..run("burst", WARDEN, 0, p99) };
        let twenty = Run { waiting_s: 10.0, ..run("burst", DEFAULT, 0, 4_000.0) };
        let best = run("burst", Variant::Static(34), 0, 400.0);
        judge(&Table::of([own, twenty, best].map(Line::Run)))
    }

    /// What sidecar.toml does not set is as the product ships it.
    #[test]
    fn what_is_not_set_is_as_shipped() {
        let example = include_str!("../../deploy/poolwarden.example.toml");
        let lines: Vec<&str> = example.lines().collect();
        let shipped = [
            ("step_up", STEP),
            ("window_ms", WINDOW_MS),
            ("settle_ms", AROUND_MS - 200),
            ("database_margin", crate::watch::MARGIN),
        ];
        for (key, value) in shipped {
            assert!(lines.contains(&format!("#{key} = {value}").as_str()), "{key}");
        }
        let twice = 2 * sidecar::setting("interval_ms").expect("it is set");
        assert_eq!(AROUND_MS, 100 + twice, "and two polls");
    }

    #[test]
    fn a_peak_is_judged_against_the_best_and_against_twenty() {
        let good = burst(459.0, 60.0, 2.0);
        let bad = burst(461.0, 60.1, 2.1);
        for what in ["burst: p99 against static 34", "burst: connection-s", "burst: time with"] {
            assert_eq!(outcome(&good, what), Outcome::Reached, "{what}");
            assert_eq!(outcome(&bad, what), Outcome::Missed, "{what}");
        }
    }

    #[test]
    fn no_waiters_at_all_are_fewer_than_any() {
        assert_eq!(outcome(&burst(400.0, 60.0, 0.0), "burst: time with"), Outcome::Reached);
    }

    #[test]
    fn what_did_not_run_is_not_reached() {
        let all = judge(&Table::default());
        assert!(!all.is_empty());
        assert!(all.iter().all(|target| target.outcome == Outcome::Unknown), "{all:#?}");
    }

    #[test]
    fn one_run_that_goes_too_far_or_stays_too_long_misses() {
        let rate = |size, rate| Run {
            overload_per_s: Some(rate),
            ..run("lock-convoy", Variant::Static(size), 0, 1.0)
        };
        let own = |path: &[(f64, u32)]| Run {
            path: path.to_vec(),
            length_s: 40.0,
            timeline: vec![(18.0, 6, 6, 40), (24.0, 6, 6, 9), (25.0, 6, 6, 0), (26.0, 6, 6, 3)],
            ..run("lock-convoy", WARDEN, 0, 1.0)
        };
        let judged = |path: &[(f64, u32)]| {
            let fine = own(&[(0.0, 5)]);
            let runs = [rate(4, 80.0), rate(6, 99.0), rate(12, 100.0), fine, own(path)];
            let all = judge(&Table::of(runs.map(Line::Run)));
            ["lock-convoy: largest size", "longest time above 6"].map(|what| outcome(&all, what))
        };
        assert_eq!(judged(&[(0.0, 5), (10.1, 26), (11.3, 6)]), [Outcome::Reached; 2]);
        assert_eq!(judged(&[(0.0, 5), (10.1, 27), (11.3, 6)]), [Outcome::Missed, Outcome::Reached]);
        assert_eq!(judged(&[(0.0, 5), (10.1, 26)]), [Outcome::Reached, Outcome::Missed]);
        let rested_with_nine = [(0.0, 5), (4.0, 9), (10.1, 26), (11.3, 9)];
        assert_eq!(judged(&rested_with_nine), [Outcome::Reached; 2]);
        let before_the_load = [(0.0, 5), (2.0, 9), (9.0, 5), (10.1, 9), (11.0, 5)];
        assert_eq!(judged(&before_the_load), [Outcome::Reached; 2]);
        let after_the_queue = [(0.0, 5), (25.1, 9), (38.0, 6)];
        assert_eq!(judged(&after_the_queue), [Outcome::Reached; 2]);
        let beside_the_queue = [(0.0, 5), (20.0, 9), (38.0, 6)];
        assert_eq!(judged(&beside_the_queue), [Outcome::Reached, Outcome::Missed]);
    }

    #[test]
    fn a_steady_hour_has_fewer_than_six_changes() {
        let judged = |changes| {
            let own = Run { steady: Some((changes, 45.0)), ..run("steady", WARDEN, 0, 1.0) };
            outcome(&judge(&Table::of([Line::Run(own)])), "steady hour")
        };
        // 7 in 45 s are 5.6 in 36 s.
        assert_eq!((judged(7), judged(8)), (Outcome::Reached, Outcome::Missed));
    }

    #[test]
    fn an_error_counts_unless_a_static_size_has_it_in_the_failover_too() {
        let judged = |scenario: &str, text: &str| {
            let with = |variant, text: &str| Run {
                errors: [(text.to_owned(), 2)].into(),
                ..run(scenario, variant, 0, 1.0)
            };
            let runs = [with(DEFAULT, "server 12 crashed"), with(WARDEN, text)];
            let what = format!("{scenario}: errors");
            outcome(&judge(&Table::of(runs.map(Line::Run))), &what)
        };
        assert_eq!(judged("steady", "server 12 crashed"), Outcome::Missed);
        assert_eq!(judged("failover", "server 34 crashed"), Outcome::Reached);
        assert_eq!(judged("failover", "no such database"), Outcome::Missed);
    }

    #[test]
    fn a_single_sample_beyond_the_budget_misses() {
        let own = Run { over_budget: 1, ..run("leak", WARDEN, 0, 1.0) };
        let table = Table::of([Line::Run(own), Line::Run(run("leak", WARDEN, 1, 1.0))]);
        assert_eq!(outcome(&judge(&table), "more could be open"), Outcome::Missed);
    }
}
