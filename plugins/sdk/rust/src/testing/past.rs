//! Builds a longer past step by step.

use crate::contract::Past;

/// One step of one pool, field by field as in the contract; start from [`PastStep::busy`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields are the contract's columns and documented there")]
pub struct PastStep {
    pub samples: u32,
    pub clients_max: u32,
    pub waiting_max: u32,
    pub waiting_mean: f64,
    pub busy_max: u32,
    pub busy_mean: f64,
    pub servers_max: u32,
    pub size: u32,
    pub wait_max_us: u64,
    pub transactions: u64,
    pub transaction_mean_us: f64,
    pub wait_mean_us: f64,
}

impl PastStep {
    /// Makes a step in which at most `busy` of `size` servers were busy, with transactions of 10 ms.
    pub fn busy(size: u32, busy: u32) -> Self {
        Self {
            samples: 600,
            clients_max: busy,
            busy_max: busy,
            busy_mean: f64::from(busy) * 0.8,
            servers_max: busy,
            size,
            transactions: u64::from(busy) * 48_000,
            transaction_mean_us: 10_000.0,
            ..Self::default()
        }
    }

    /// Makes a step in which every server was busy and `waiting` clients queued all the time.
    pub fn queueing(size: u32, waiting: u32) -> Self {
        Self {
            clients_max: size.saturating_add(waiting),
            waiting_max: waiting,
            waiting_mean: f64::from(waiting),
            busy_mean: f64::from(size),
            wait_max_us: 2_000_000,
            wait_mean_us: 500_000.0,
            ..Self::busy(size, size)
        }
    }
}

/// Makes a past that begins at `from_ms`, of one course a pool; `None` is a step that is not known.
///
/// Courses that are shorter than the longest one are not known at their end.
pub fn past(from_ms: u64, step_ms: u64, courses: &[Vec<Option<PastStep>>]) -> Past {
    let steps = courses.iter().map(Vec::len).max().unwrap_or(0);
    let count = u32::try_from(steps).unwrap_or(u32::MAX);
    let mut past = Past { from_ms, step_ms, steps: count, ..Past::default() };
    for course in courses {
        for at in 0..steps {
            push(&mut past, &course.get(at).copied().flatten().unwrap_or_default());
        }
    }
    past
}

fn push(past: &mut Past, step: &PastStep) {
    past.samples.push(step.samples);
    past.clients_max.push(step.clients_max);
    past.waiting_max.push(step.waiting_max);
    past.waiting_mean.push(step.waiting_mean);
    past.busy_max.push(step.busy_max);
    past.busy_mean.push(step.busy_mean);
    past.servers_max.push(step.servers_max);
    past.size.push(step.size);
    past.wait_max_us.push(step.wait_max_us);
    past.transactions.push(step.transactions);
    past.transaction_mean_us.push(step.transaction_mean_us);
    past.wait_mean_us.push(step.wait_mean_us);
}
