//! Which runs a suite is made of, in which order, and how long that takes.
//!
//! Runs of one number come together, whatever the variant: what drifts on this machine drifts for all.
//! Only the best size in hindsight comes later, since it is not known before.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::record::Variant;
use crate::run::Plan;
use crate::scenario::Scenario;

/// Starting and ending the servers of a run, and its warm-up.
const AROUND: Duration = Duration::from_secs(17);

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is a cell of the table.
    Table,
    /// It looks for the best size.
    Sweep,
}

/// A run with what it is for.
#[derive(Debug, Clone)]
pub struct Task {
    /// The run.
    pub plan: Plan,
    /// What it is for.
    pub purpose: Purpose,
}

/// How often, from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Runs of each variant.
    pub runs: u32,
    /// The first seed; run n has this and n.
    pub seed: u64,
}

impl Rounds {
    fn task(self, scenario: &Scenario, variant: Variant, number: u32, purpose: Purpose) -> Task {
        let seed = self.seed.wrapping_add(u64::from(number));
        Task { plan: Plan { scenario: scenario.clone(), variant, number, seed }, purpose }
    }

    /// Gives the runs that need no hindsight: the fixed variants that are wanted, and the sweep.
    pub fn first(self, scenarios: &[Scenario], wanted: &Wanted) -> Vec<Task> {
        let mut all = Vec::new();
        for number in 0..self.runs {
            for scenario in scenarios {
                let mut variants = Vec::new();
                variants.extend(wanted.sizes.iter().map(|size| Variant::Static(*size)));
                variants.extend(wanted.poolwarden.then_some(Variant::Poolwarden));
                let fixed = variants.into_iter().map(|variant| (variant, Purpose::Table));
                all.extend(fixed.map(|(variant, why)| self.task(scenario, variant, number, why)));
                if number == 0 && wanted.best {
                    let sizes = scenario.sweep.iter().filter(|size| !wanted.sizes.contains(size));
                    let sizes = sizes.map(|size| Variant::Static(*size));
                    all.extend(sizes.map(|size| self.task(scenario, size, 0, Purpose::Sweep)));
                }
            }
        }
        all
    }

    /// Gives the runs of the best size, where the first ones do not have them yet, and those of its
    /// counterpart that closes idle servers.
    pub fn second(self, best: &[(Scenario, u32)], wanted: &Wanted) -> Vec<Task> {
        let fresh = best.iter().filter(|(_, size)| !wanted.sizes.contains(size));
        let fresh = fresh.map(|(scenario, size)| (scenario, Variant::Static(*size)));
        let closing = best.iter().filter(|(scenario, _)| scenario.is_peak());
        let closing = closing.map(|(scenario, size)| (scenario, Variant::Closing(*size)));
        let all: Vec<_> = fresh.chain(closing).collect();
        let task = |number, (scenario, variant): &(&Scenario, Variant)| {
            self.task(scenario, *variant, number, Purpose::Table)
        };
        (0..self.runs).flat_map(|number| all.iter().map(move |one| task(number, one))).collect()
    }
}

/// Which variants are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Static sizes.
    pub sizes: BTreeSet<u32>,
    /// The best static size in hindsight.
    pub best: bool,
    /// Poolwarden.
    pub poolwarden: bool,
}

/// Gives how long runs take with so many at a time; those that need the processors come one by one.
pub fn time(tasks: &[Task], jobs: usize) -> Duration {
    let long = |task: &Task| {
        let story = &task.plan.scenario;
        (story.length() + AROUND) * u32::try_from(story.weight()).unwrap_or(1)
    };
    let (alone, beside): (Vec<_>, Vec<_>) =
        tasks.iter().partition(|task| task.plan.scenario.is_alone());
    let alone: Duration = alone.into_iter().map(long).sum();
    let beside: Duration = beside.into_iter().map(long).sum();
    alone + beside / u32::try_from(jobs.max(1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::all;

    fn wanted() -> Wanted {
        Wanted { sizes: BTreeSet::from([5, 20]), best: true, poolwarden: true }
    }

    #[test]
    fn every_variant_of_a_run_has_the_same_seed() {
        let rounds = Rounds { runs: 5, seed: 40 };
        for task in rounds.first(&all(), &wanted()) {
            assert_eq!(task.plan.seed, 40 + u64::from(task.plan.number));
        }
    }

    #[test]
    fn a_sweep_runs_once_and_leaves_out_what_runs_anyway() {
        let mut convoy = all().into_iter().find(|one| one.name == "lock-convoy").expect("there");
        convoy.sweep = vec![2, 5, 8];
        let tasks = Rounds { runs: 3, seed: 1 }.first(&[convoy], &wanted());
        let sweeps = tasks.iter().filter(|task| task.purpose == Purpose::Sweep);
        let sizes: Vec<_> = sweeps.map(|task| task.plan.variant).collect();
        assert_eq!(sizes, [Variant::Static(2), Variant::Static(8)]);
        assert_eq!(tasks.len(), 3 * 3 + 2);
    }

    #[test]
    fn a_best_size_that_has_run_already_is_not_run_again() {
        let scenario = all().remove(0);
        let rounds = Rounds { runs: 5, seed: 1 };
        assert!(rounds.second(&[(scenario.clone(), 20)], &wanted()).is_empty());
        assert_eq!(rounds.second(&[(scenario, 14)], &wanted()).len(), 5);
    }

    #[test]
    fn the_whole_suite_fits_into_fifty_minutes() {
        let rounds = Rounds { runs: 5, seed: 1 };
        let best: Vec<_> = all().into_iter().map(|one| (one, 33)).collect();
        let mut tasks = rounds.first(&all(), &wanted());
        tasks.extend(rounds.second(&best, &wanted()));
        let minutes = time(&tasks, crate::arguments::JOBS).as_secs() / 60;
        assert!((20..=50).contains(&minutes), "{minutes}");
    }
}
