//! What pools did, step by step, as it is kept between two readings.
//!
//! A ring of steps per pool: when time moves on, the oldest steps make room for the newest and
//! nothing is copied. Means are handed out in whole thousandths and whole microseconds: finer than a
//! poll a second can tell, and a recorded past is half as long to write down.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::model::{Past, PastSpan, PoolKey, Timestamp};
use crate::record::PoolCounts;

/// The steps that a table covers, by their number since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frame {
    /// Number of the first step.
    first: u64,
    /// Number of steps.
    steps: u32,
    /// Length of a step, in milliseconds.
    step_ms: u64,
}

impl Frame {
    /// Makes the frame whose last step holds a moment.
    pub fn until(now: Timestamp, step: Duration, steps: u32) -> Self {
        let step_ms = u64::try_from(step.as_millis()).unwrap_or(u64::MAX).max(1);
        let end = now.as_millis() / step_ms + 1;
        Self { first: end.saturating_sub(u64::from(steps)), steps, step_ms }
    }

    /// Gives when a step begins.
    pub fn begin_of(self, step: u64) -> Timestamp {
        Timestamp::from_millis(step.saturating_mul(self.step_ms))
    }

    fn end(self) -> u64 {
        self.first + u64::from(self.steps)
    }
}

/// What was seen of a pool in a step; all zero where nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cell {
    samples: u32,
    clients_max: u32,
    waiting_max: u32,
    waiting_sum: u64,
    busy_max: u32,
    busy_sum: u64,
    servers_max: u32,
    size: u32,
    wait_max_us: u64,
    transactions: u64,
    transaction_us: u64,
    wait_us: u64,
}

/// The past of a target's pools.
#[derive(Debug, Default)]
pub struct Table {
    frame: Frame,
    /// One ring a pool: step number modulo the number of steps.
    pools: BTreeMap<PoolKey, Box<[Cell]>>,
    /// Everything before this step has been read.
    read_until: Option<u64>,
}

impl Table {
    /// Says whether it was read to its end at least once.
    pub fn is_read(&self) -> bool {
        self.read_until.is_some()
    }

    /// Gives the number of cells.
    pub fn rows(&self) -> usize {
        self.pools.values().map(|ring| ring.len()).sum()
    }

    /// Moves to a newer frame; gives the steps that are to be read for it.
    pub fn move_to(&mut self, frame: Frame, again: Duration) -> Range<u64> {
        let again = u64::try_from(again.as_millis()).unwrap_or(u64::MAX).div_ceil(frame.step_ms);
        let same_shape = (frame.steps, frame.step_ms) == (self.frame.steps, self.frame.step_ms);
        let known = self.read_until.filter(|_| same_shape && frame.first >= self.frame.first);
        if known.is_none() {
            self.pools.clear();
            self.read_until = None;
        }
        let from = known.map_or(frame.first, |until| until.saturating_sub(again));
        let entered = self.frame.end().clamp(frame.first, frame.end());
        self.frame = frame;
        // What the ring held there is from long ago, and reading may fail before it is overwritten.
        self.clear(entered, u32::try_from(frame.end() - entered).unwrap_or(u32::MAX));
        from.clamp(frame.first, frame.end())..frame.end()
    }

    /// Notes that everything up to the frame's end was read, and lets go of pools without a trace.
    pub fn end_reading(&mut self) {
        self.read_until = Some(self.frame.end());
        self.pools.retain(|_, ring| ring.iter().any(|cell| cell.samples > 0));
    }

    /// Empties steps that are about to be filled.
    pub fn clear(&mut self, first: u64, steps: u32) {
        for step in first..first + u64::from(steps) {
            let Some(at) = self.index(step) else { continue };
            for ring in self.pools.values_mut() {
                ring[at] = Cell::default();
            }
        }
    }

    /// Adds what was seen, after what was added of the same step before.
    pub fn add(&mut self, pool: &PoolKey, step: u64, counts: &PoolCounts) {
        let Some(at) = self.index(step) else { return };
        if !self.pools.contains_key(pool) {
            let steps = usize::try_from(self.frame.steps).unwrap_or(0);
            self.pools.insert(pool.clone(), vec![Cell::default(); steps].into_boxed_slice());
        }
        if let Some(cell) = self.pools.get_mut(pool).and_then(|ring| ring.get_mut(at)) {
            cell.add(counts);
        }
    }

    /// Makes the past of a window's pools; one that is not known has no samples.
    pub fn past(&self, span: PastSpan, pools: &[PoolKey]) -> Past {
        // A window may have more pools than the store knew when it was read.
        let room = PastSpan::ROWS_MAX / pools.len().max(1);
        let steps = self.frame.steps.min(span.steps).min(u32::try_from(room).unwrap_or(u32::MAX));
        let first = self.frame.end() - u64::from(steps);
        let mut past =
            Past { from: self.frame.begin_of(first), step: span.step, steps, ..Past::default() };
        reserve(&mut past, pools.len() * usize::try_from(steps).unwrap_or(0));
        for pool in pools {
            let ring = self.pools.get(pool);
            for step in first..self.frame.end() {
                let cell = ring.zip(self.index(step)).and_then(|(ring, at)| ring.get(at));
                cell.copied().unwrap_or_default().push_to(&mut past);
            }
        }
        past
    }

    fn index(&self, step: u64) -> Option<usize> {
        let inside = (self.frame.first..self.frame.end()).contains(&step);
        usize::try_from(step % u64::from(self.frame.steps.max(1))).ok().filter(|_| inside)
    }
}

impl Cell {
    fn add(&mut self, counts: &PoolCounts) {
        let clients = counts.cl_active_max.saturating_add(counts.cl_waiting_max);
        self.samples = self.samples.saturating_add(counts.samples);
        self.clients_max = self.clients_max.max(clients);
        self.waiting_max = self.waiting_max.max(counts.cl_waiting_max);
        self.waiting_sum = self.waiting_sum.saturating_add(counts.cl_waiting_sum);
        self.busy_max = self.busy_max.max(counts.sv_active_max);
        self.busy_sum = self.busy_sum.saturating_add(counts.sv_active_sum);
        self.servers_max = self.servers_max.max(counts.servers_max);
        self.size = counts.size;
        self.wait_max_us = self.wait_max_us.max(counts.maxwait_us_max);
        self.transactions = self.transactions.saturating_add(counts.transactions);
        self.transaction_us = self.transaction_us.saturating_add(counts.transaction_us);
        self.wait_us = self.wait_us.saturating_add(counts.wait_us);
    }

    fn push_to(self, past: &mut Past) {
        let samples = u64::from(self.samples);
        past.samples.push(self.samples);
        past.clients_max.push(self.clients_max);
        past.waiting_max.push(self.waiting_max);
        past.waiting_mean.push(thousandths(self.waiting_sum, samples));
        past.busy_max.push(self.busy_max);
        past.busy_mean.push(thousandths(self.busy_sum, samples));
        past.servers_max.push(self.servers_max);
        past.size.push(self.size);
        past.wait_max_us.push(self.wait_max_us);
        past.transactions.push(self.transactions);
        past.transaction_mean_us.push(whole_mean(self.transaction_us, self.transactions));
        past.wait_mean_us.push(whole_mean(self.wait_us, self.transactions));
    }
}

fn reserve(past: &mut Past, rows: usize) {
    past.samples.reserve_exact(rows);
    past.clients_max.reserve_exact(rows);
    past.waiting_max.reserve_exact(rows);
    past.waiting_mean.reserve_exact(rows);
    past.busy_max.reserve_exact(rows);
    past.busy_mean.reserve_exact(rows);
    past.servers_max.reserve_exact(rows);
    past.size.reserve_exact(rows);
    past.wait_max_us.reserve_exact(rows);
    past.transactions.reserve_exact(rows);
    past.transaction_mean_us.reserve_exact(rows);
    past.wait_mean_us.reserve_exact(rows);
}

/// Gives a mean rounded to a thousandth; 0 of nothing.
fn thousandths(sum: u64, count: u64) -> f64 {
    whole_mean(sum.saturating_mul(1_000), count) / 1_000.0
}

/// Gives a mean rounded to a whole number; 0 of nothing.
fn whole_mean(sum: u64, count: u64) -> f64 {
    let mean = sum.saturating_add(count / 2).checked_div(count).unwrap_or(0);
    // Beyond 71 minutes a mean in microseconds says no more than that it is long.
    f64::from(u32::try_from(mean).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(600);
    const SPAN: PastSpan = PastSpan { step: STEP, steps: 4 };

    fn at(steps: u64) -> Timestamp {
        Timestamp::from_millis(steps * 600_000 + 1)
    }

    fn busy(servers: u32) -> PoolCounts {
        PoolCounts {
            samples: 3,
            sv_active_max: servers,
            sv_active_sum: u64::from(servers) * 2,
            transactions: 3,
            transaction_us: 1_000,
            size: 20,
            ..PoolCounts::default()
        }
    }

    fn key(user: &str) -> PoolKey {
        PoolKey::new("app", user)
    }

    /// A table of the steps 7 to 10, with one busier pool in each of them.
    fn read() -> Table {
        let mut table = Table::default();
        assert_eq!(table.move_to(Frame::until(at(10), STEP, 4), STEP), 7..11);
        for step in 7..11 {
            table.add(&key("a"), step, &busy(u32::try_from(step).expect("small")));
        }
        table.end_reading();
        table
    }

    #[test]
    fn time_moves_on_and_only_the_newest_steps_are_read_again() {
        let mut table = read();
        assert_eq!(table.move_to(Frame::until(at(10), STEP, 4), STEP), 10..11, "the same step");
        assert_eq!(table.move_to(Frame::until(at(12), STEP, 4), STEP), 10..13);
        table.clear(10, 3);
        table.add(&key("a"), 10, &busy(5));
        table.end_reading();
        let past = table.past(SPAN, &[key("a")]);
        assert_eq!(
            (past.from, past.busy_max),
            (at(9).minus(Duration::from_millis(1)), vec![9, 5, 0, 0])
        );
        assert_eq!(past.samples, [3, 3, 0, 0]);
    }

    #[test]
    fn a_pool_that_is_not_known_has_no_samples() {
        let past = read().past(SPAN, &[key("b"), key("a")]);
        assert_eq!(past.samples, [0, 0, 0, 0, 3, 3, 3, 3]);
        assert_eq!(past.busy_max, [0, 0, 0, 0, 7, 8, 9, 10]);
        assert_eq!(past.busy_mean[4], 4.667, "a thousandth is enough");
        assert_eq!(past.transaction_mean_us[4], 333.0);
    }

    #[test]
    fn parts_of_a_step_add_up() {
        let mut table = read();
        table.add(&key("a"), 10, &PoolCounts { size: 21, ..busy(4) });
        let past = table.past(SPAN, &[key("a")]);
        assert_eq!((past.samples[3], past.busy_max[3], past.size[3]), (6, 10, 21));
    }

    #[test]
    fn a_long_gap_or_another_shape_starts_anew() {
        let mut table = read();
        assert_eq!(table.move_to(Frame::until(at(90), STEP, 4), STEP), 87..91);
        table.end_reading();
        assert_eq!(table.rows(), 0, "what is older than the frame is let go");
        let mut table = read();
        assert_eq!(table.move_to(Frame::until(at(10), STEP, 3), STEP), 8..11);
    }

    #[test]
    fn more_rows_than_there_is_room_for_cost_the_oldest_steps() {
        let mut table = Table::default();
        table.move_to(Frame::until(at(2_000), STEP, 1_008), STEP);
        table.end_reading();
        let pools: Vec<PoolKey> = (0..1_000).map(|at| key(&at.to_string())).collect();
        let span = PastSpan { step: STEP, steps: 1_008 };
        let past = table.past(span, &pools);
        assert_eq!((past.steps, past.samples.len()), (500, 500_000));
        assert_eq!(past.from, at(1_501).minus(Duration::from_millis(1)));
    }
}
