//! Sums up what a pool did in its past.
//!
//! One pass over the columns and two selections; nothing is kept per step. What counts is what was
//! seen: a step without a poll says nothing.

use poolwarden_policy::numbers::{count, quantile_of};
use poolwarden_policy::{Past, Pool, PoolPast};

use crate::settings::Settings;

/// A pool and what its past tells.
#[derive(Debug, Clone)]
pub(crate) struct Stats<'w> {
    pub pool: Pool<'w>,
    pub past: PoolPast<'w>,
    /// Days that were seen.
    pub days: f64,
    pub busy_max: u32,
    pub servers_max: u32,
    pub clients_max: u32,
    /// Servers wanted in all but 1 % of the steps: busy ones, and what would drain the queue.
    pub wanted_p99: f64,
    /// Mean number of servers that were wanted in the busiest 5 % of the steps, in erlangs.
    pub load_p95: f64,
    /// Longest wait in all but 1 % of the steps, and of all, µs.
    pub wait_p99_us: f64,
    pub wait_max_us: f64,
    /// Mean wait of a transaction in the busiest 5 % of the steps, µs; the database's.
    pub wait_mean_p95_us: f64,
    /// Mean time of a transaction over the whole past, µs; the database's.
    pub took_us: f64,
    /// Transactions of the database.
    pub transactions: f64,
    /// Parts of the steps: full with somebody waiting; more servers than the size; any waiter.
    pub full_share: f64,
    pub reserve_share: f64,
    pub waiting_share: f64,
    /// The size was another one in some step: somebody or something moves it.
    pub size_moved: bool,
}

impl<'w> Stats<'w> {
    /// Sums a pool up; `None` when it was never seen.
    pub fn of(settings: &Settings, past: &Past<'w>, pool: Pool<'w>) -> Option<Self> {
        let of_pool = past.of(&pool);
        let seen = of_pool.seen();
        if seen == 0 {
            return None;
        }
        let mut sums = Sums::default();
        let (mut wanted, mut loads) = (Vec::with_capacity(seen), Vec::with_capacity(seen));
        let (mut waits, mut mean_waits) = (Vec::with_capacity(seen), Vec::with_capacity(seen));
        for step in of_pool.steps().flatten() {
            wanted.push(step.wanted());
            loads.push(step.wanted_mean());
            let wait_us = micros(step.wait_max());
            waits.push(wait_us);
            mean_waits.push(step.wait_mean_us());
            let counts = wait_us >= micros(std::time::Duration::from_millis(settings.wait_min_ms));
            let is_full = step.busy_max() >= step.size() && step.waiting_max() > 0;
            sums.full += usize::from(is_full && counts);
            sums.waiting += usize::from(step.waiting_max() > 0);
            sums.reserve += usize::from(step.servers_max() > step.size());
            sums.moved |= step.size() != pool.size();
            let transactions = f64::from(u32::try_from(step.transactions()).unwrap_or(u32::MAX));
            sums.transactions += transactions;
            sums.took += transactions * step.transaction_mean_us();
        }
        let share = |steps: usize| count(steps) / count(seen);
        Some(Self {
            pool,
            past: of_pool,
            days: count(seen) * past.step().as_secs_f64() / 86_400.0,
            busy_max: of_pool.busy_max().iter().copied().max()?,
            servers_max: of_pool.servers_max().iter().copied().max()?,
            clients_max: of_pool.clients_max().iter().copied().max()?,
            wanted_p99: quantile_of(&mut wanted, 0.99)?,
            load_p95: quantile_of(&mut loads, 0.95)?,
            wait_p99_us: quantile_of(&mut waits, 0.99)?,
            wait_max_us: quantile_of(&mut waits, 1.0)?,
            wait_mean_p95_us: quantile_of(&mut mean_waits, 0.95)?,
            took_us: if sums.transactions > 0.0 { sums.took / sums.transactions } else { 0.0 },
            transactions: sums.transactions,
            full_share: share(sums.full),
            reserve_share: share(sums.reserve),
            waiting_share: share(sums.waiting),
            size_moved: sums.moved,
        })
    }
}

#[derive(Default)]
struct Sums {
    full: usize,
    waiting: usize,
    reserve: usize,
    moved: bool,
    transactions: f64,
    took: f64,
}

/// Gives microseconds; beyond 71 minutes, that much.
pub(crate) fn micros(time: std::time::Duration) -> f64 {
    f64::from(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))
}
