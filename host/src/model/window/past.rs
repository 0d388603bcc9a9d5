//! What every pool did in a longer past, in equal steps.
//!
//! Rows lie pool by pool, because most questions are about one pool's course over time.

use std::time::Duration;

use crate::model::Timestamp;

/// How much of the past a policy sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PastSpan {
    /// Length of a step.
    pub step: Duration,
    /// Number of steps.
    pub steps: u32,
}

impl PastSpan {
    /// The shortest step, of which every step is a multiple: the store's coarsest level.
    pub const STEP_MIN: Duration = Duration::from_secs(600);
    /// The most steps.
    pub const STEPS_MAX: u32 = 1_008;
    /// The longest span: what the store keeps.
    pub const SPAN_MAX: Duration = Duration::from_secs(35 * 24 * 3_600);
    /// The most rows of a past, pools times steps; beyond it the oldest steps are left out.
    pub const ROWS_MAX: usize = 500_000;

    /// Gives the whole length.
    pub fn length(self) -> Duration {
        self.step.saturating_mul(self.steps)
    }
}

/// A longer past of all pools of a window; the row of a pool's step is `pool * steps + step`.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "each column is documented in plugins/wit")]
pub struct Past {
    /// Begin of the first step.
    pub from: Timestamp,
    /// Length of a step.
    pub step: Duration,
    /// Number of steps.
    pub steps: u32,
    pub samples: Vec<u32>,
    pub clients_max: Vec<u32>,
    pub waiting_max: Vec<u32>,
    pub waiting_mean: Vec<f64>,
    pub busy_max: Vec<u32>,
    pub busy_mean: Vec<f64>,
    pub servers_max: Vec<u32>,
    pub size: Vec<u32>,
    pub wait_max_us: Vec<u64>,
    pub transactions: Vec<u64>,
    pub transaction_mean_us: Vec<f64>,
    pub wait_mean_us: Vec<f64>,
}

impl Past {
    /// Gives the past of only some pools, by their rows in the window.
    pub fn narrowed(&self, pools: &[usize]) -> Self {
        let steps = usize::try_from(self.steps).unwrap_or(usize::MAX);
        let rows: Vec<usize> = pools
            .iter()
            .flat_map(|pool| {
                pool.saturating_mul(steps)..pool.saturating_add(1).saturating_mul(steps)
            })
            .collect();
        Self {
            from: self.from,
            step: self.step,
            steps: self.steps,
            samples: pick(&self.samples, &rows),
            clients_max: pick(&self.clients_max, &rows),
            waiting_max: pick(&self.waiting_max, &rows),
            waiting_mean: pick(&self.waiting_mean, &rows),
            busy_max: pick(&self.busy_max, &rows),
            busy_mean: pick(&self.busy_mean, &rows),
            servers_max: pick(&self.servers_max, &rows),
            size: pick(&self.size, &rows),
            wait_max_us: pick(&self.wait_max_us, &rows),
            transactions: pick(&self.transactions, &rows),
            transaction_mean_us: pick(&self.transaction_mean_us, &rows),
            wait_mean_us: pick(&self.wait_mean_us, &rows),
        }
    }
}

/// Picks rows of a column.
pub(super) fn pick<T: Clone>(column: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().filter_map(|at| column.get(*at).cloned()).collect()
}
