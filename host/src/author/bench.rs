//! How long a plugin takes and how much memory it needs, by number of pools.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::given::{Given, GivenError};
use super::synthetic::window_of;
use crate::config::PluginLimits;
use crate::evaluate::{Fault, Input, LoadError, Policy, Runtime, Trial};

/// Evaluations of one row of the table, unless they take too long.
const EVALUATIONS: usize = 400;
/// Time for one row of the table.
const TIME: Duration = Duration::from_secs(2);
/// Fewest evaluations that a percentile is worth being called so.
const EVALUATIONS_MIN: usize = 5;
/// Calls of one live instance, the first of which is left out.
const CALLS: usize = 41;
const SEED: u64 = 7;

/// A plugin at one number of pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Number of pools.
    pub pools: u32,
    /// What came of it.
    pub outcome: Result<Figures, Fault>,
}

/// Figures of a plugin at one number of pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Evaluations that were measured.
    pub evaluations: usize,
    /// Median of an evaluation as the sidecar makes it, in a fresh instance.
    pub median: Duration,
    /// 95th percentile of the same.
    pub p95: Duration,
    /// Median of a call alone, in an instance that lives.
    pub call: Duration,
    /// Memory and tables of the instance in the end.
    pub memory_bytes: usize,
    /// Number of proposals.
    pub proposals: usize,
}

/// What was measured of one plugin.
#[derive(Debug)]
pub struct Bench {
    /// The policy's name.
    pub name: String,
    /// Time that compiling and loading took, cache included.
    pub loaded_in: Duration,
    /// One row for each number of pools; or why it cannot be loaded.
    pub rows: Result<Vec<Measured>, LoadError>,
}

/// Measures a plugin at each number of pools.
///
/// # Errors
/// When the plugin cannot be read.
pub fn bench(runtime: &Arc<Runtime>, given: &Given, pools: &[u32]) -> Result<Bench, GivenError> {
    let bytes = given.bytes()?;
    let start = Instant::now();
    let policy = load(runtime, given, &bytes);
    let loaded_in = start.elapsed();
    let rows = policy.map(|(trial, policy)| {
        let row = |count: &u32| {
            let input = Arc::new(window_of(*count, SEED, trial.past()));
            Measured { pools: *count, outcome: measure(&policy, &input) }
        };
        pools.iter().map(row).collect()
    });
    Ok(Bench { name: given.name.to_string(), loaded_in, rows })
}

fn load(
    runtime: &Arc<Runtime>,
    given: &Given,
    bytes: &[u8],
) -> Result<(Trial, Arc<Policy>), LoadError> {
    let mut file = given.file.clone();
    // What it takes is measured here, and whether it may is said by `policy check`.
    file.limits = PluginLimits { memory_bytes: file.limits.memory_bytes, ..PluginLimits::widest() };
    let trial = Trial::load(runtime, bytes, &file.limits)?;
    let policy = trial.policy(given.name.clone(), file)?;
    Ok((trial, policy))
}

fn measure(policy: &Arc<Policy>, input: &Arc<Input>) -> Result<Figures, Fault> {
    let first = policy.evaluate(input, Arc::from([])).outcome?;
    // From the second evaluation on a policy has something to remember.
    let memory: Arc<[u8]> = Arc::from(first.memory.as_slice());
    let mut times = Vec::with_capacity(EVALUATIONS);
    let start = Instant::now();
    while times.len() < EVALUATIONS_MIN || (times.len() < EVALUATIONS && start.elapsed() < TIME) {
        let result = policy.evaluate(input, Arc::clone(&memory));
        result.outcome?;
        times.push(result.took);
    }
    let slow = times.iter().max().copied().unwrap_or_default();
    let calls = if slow > TIME / 40 { EVALUATIONS_MIN } else { CALLS };
    let mut calls = policy.time_calls(input, &memory, calls)?;
    calls.drain(..1.min(calls.len()));
    Ok(Figures {
        evaluations: times.len(),
        median: percentile(&mut times, 50),
        p95: percentile(&mut times, 95),
        call: percentile(&mut calls, 50),
        memory_bytes: policy.measure_memory(input, &memory)?,
        proposals: first.proposals.len(),
    })
}

/// Gives the smallest time such that at least that part of all is not above it.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let mut times: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 50), Duration::from_millis(10));
        assert_eq!(percentile(&mut times, 95), Duration::from_millis(19));
        assert_eq!(percentile(&mut [], 95), Duration::ZERO);
    }
}
