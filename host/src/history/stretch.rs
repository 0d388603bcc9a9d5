//! What the pools of one scope did together, second by second, for the last two minutes.
//!
//! Two stretches of this are what the effect of a change is judged by, so each second can be cut off
//! early: at the moment of a change, and when it has settled. Between two polls a number is taken for
//! the mean of both (trapezoidal rule); counters are exact.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::counters::{Delta, float};
use crate::model::{EffectPoint, Measure, Timestamp};

/// Seconds that are remembered; the two more are for cuts.
const CELLS_MAX: usize = 130;
/// Length at which a cell is complete.
const CELL: Duration = Duration::from_secs(1);

/// What finished of one database's transactions, or a scope's share of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work {
    /// Transactions that finished.
    pub transactions: f64,
    /// Their time, in microseconds.
    pub transaction_us: f64,
    /// Waits for a server that ended, in microseconds.
    pub wait_us: f64,
}

impl Work {
    pub(super) fn share(delta: Delta, share: f64) -> Self {
        Self {
            transactions: float(delta.transactions) * share,
            transaction_us: float(delta.transaction_us) * share,
            wait_us: float(delta.wait_us) * share,
        }
    }

    fn add(&mut self, other: Self) {
        self.transactions += other.transactions;
        self.transaction_us += other.transaction_us;
        self.wait_us += other.wait_us;
    }

    /// Gives the mean time of a transaction in microseconds; `None` when none finished.
    pub fn mean_us(&self) -> Option<f64> {
        (self.transactions > 0.0).then(|| self.transaction_us / self.transactions)
    }
}

/// What a scope's pools show at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Gauges {
    pub size: u32,
    pub waiting: u32,
    pub servers: u32,
    /// Busy servers of each pool that has any.
    pub busy: Vec<u32>,
    /// The most that one pool has of busy servers and waiters together.
    pub load: u32,
    pub maxwait_us: u64,
    pub work: Vec<(Arc<str>, Work)>,
}

impl Gauges {
    fn busy(&self) -> f64 {
        self.busy.iter().map(|busy| f64::from(*busy)).sum()
    }

    fn clipped(&self, at: u32) -> f64 {
        self.busy.iter().map(|busy| f64::from((*busy).min(at))).sum()
    }
}

/// Up to a second of a scope. Each `_ms` but the first two is a number times milliseconds.
#[derive(Debug, Clone, Default)]
struct Cell {
    from: Timestamp,
    to: Timestamp,
    observed_ms: f64,
    polls: u32,
    size: u32,
    waiting_ms: f64,
    waited_ms: f64,
    busy_ms: f64,
    clipped_ms: [f64; 2],
    servers_ms: f64,
    load_ms: f64,
    maxwait_us: u64,
    work: Vec<(Arc<str>, Work)>,
}

/// The last two minutes of a scope.
#[derive(Debug)]
pub(super) struct ScopeTrack {
    /// Polls farther apart than this say nothing about the time between them.
    gap: Duration,
    cells: VecDeque<Cell>,
    open: Option<Cell>,
    last: Option<(Timestamp, Gauges)>,
    clips: [u32; 2],
}

/// A sum over some time of a scope.
#[derive(Debug, Clone, Default)]
pub struct Stretch {
    observed_ms: f64,
    polls: u32,
    waiting_ms: f64,
    waited_ms: f64,
    busy_ms: f64,
    clipped_ms: [f64; 2],
    servers_ms: f64,
    load_ms: f64,
    maxwait_us: u64,
    work: BTreeMap<Arc<str>, Work>,
}

impl ScopeTrack {
    pub fn new(gap: Duration) -> Self {
        let (cells, clips) = (VecDeque::new(), [0; 2]);
        Self { gap, cells, open: None, last: None, clips }
    }

    pub fn absorb(&mut self, at: Timestamp, mut now: Gauges) {
        let work = std::mem::take(&mut now.work);
        let before = self.last.replace((at, now));
        let Some((then, before)) = before.filter(|(then, _)| at.since(*then) <= self.gap) else {
            self.cut();
            return;
        };
        let Some((_, now)) = &self.last else { return };
        let clips = self.clips;
        let cell = self.open.get_or_insert_with(|| Cell { from: then, ..Cell::default() });
        cell.add((then, &before), (at, now), clips);
        for (database, done) in work {
            match cell.work.iter_mut().find(|(name, _)| *name == database) {
                Some((_, sum)) => sum.add(done),
                None => cell.work.push((database, done)),
            }
        }
        if at.since(cell.from) >= CELL {
            self.cut();
        }
    }

    /// Gives the clients that wait now.
    pub fn waiting(&self) -> u32 {
        self.last.as_ref().map_or(0, |(_, now)| now.waiting)
    }

    /// Gives the most servers of one pool that are at work now.
    pub fn most_busy(&self) -> u32 {
        self.last.as_ref().and_then(|(_, now)| now.busy.iter().copied().max()).unwrap_or(0)
    }

    /// Ends the present cell, so that what follows can be told from what was before.
    pub fn cut(&mut self) {
        self.cells.extend(self.open.take());
        while self.cells.len() > CELLS_MAX {
            self.cells.pop_front();
        }
    }

    /// Says which busy servers count as those that smaller sizes would have had too.
    pub fn clip(&mut self, at: [u32; 2]) {
        self.clips = at;
    }

    /// Sums the cells that lie within a span of time.
    pub fn sum(&self, from: Timestamp, to: Timestamp) -> Stretch {
        let cells = self.cells.iter().chain(&self.open);
        let mut sum = Stretch::default();
        for cell in cells.filter(|cell| cell.from >= from && cell.to <= to) {
            sum.add(cell);
        }
        sum
    }

    /// Gives the cells of a span of time, for a chart.
    pub fn points(&self, from: Timestamp, to: Timestamp) -> Vec<EffectPoint> {
        let within = |cell: &&Cell| cell.to >= from && cell.to <= to && cell.observed_ms > 0.0;
        self.cells.iter().chain(&self.open).filter(within).map(Cell::point).collect()
    }
}

impl Cell {
    fn add(&mut self, before: (Timestamp, &Gauges), now: (Timestamp, &Gauges), clips: [u32; 2]) {
        let ((then, before), (at, now)) = (before, now);
        let span = float(at.millis_since(then));
        let mean = |number: fn(&Gauges) -> f64| (number(before) + number(now)) / 2.0 * span;
        self.to = at;
        self.observed_ms += span;
        self.polls += 1;
        self.size = now.size;
        self.waiting_ms += mean(|one| f64::from(one.waiting));
        self.waited_ms += mean(|one| if one.waiting > 0 { 1.0 } else { 0.0 });
        self.busy_ms += mean(Gauges::busy);
        for (sum, clip) in self.clipped_ms.iter_mut().zip(clips) {
            *sum += (before.clipped(clip) + now.clipped(clip)) / 2.0 * span;
        }
        self.servers_ms += mean(|one| f64::from(one.servers));
        self.load_ms += mean(|one| f64::from(one.load));
        self.maxwait_us = self.maxwait_us.max(now.maxwait_us);
    }

    fn point(&self) -> EffectPoint {
        let mut all = Work::default();
        self.work.iter().for_each(|(_, work)| all.add(*work));
        EffectPoint {
            at: self.to,
            size: self.size,
            servers: self.servers_ms / self.observed_ms,
            waiting: self.waiting_ms / self.observed_ms,
            throughput_per_s: all.transactions * 1_000.0 / self.observed_ms,
            transaction_mean_us: all.mean_us().unwrap_or(0.0),
        }
    }
}

impl Stretch {
    fn add(&mut self, cell: &Cell) {
        self.observed_ms += cell.observed_ms;
        self.polls += cell.polls;
        self.waiting_ms += cell.waiting_ms;
        self.waited_ms += cell.waited_ms;
        self.busy_ms += cell.busy_ms;
        self.servers_ms += cell.servers_ms;
        self.load_ms += cell.load_ms;
        self.maxwait_us = self.maxwait_us.max(cell.maxwait_us);
        for (sum, more) in self.clipped_ms.iter_mut().zip(cell.clipped_ms) {
            *sum += more;
        }
        for (database, work) in &cell.work {
            self.work.entry(Arc::clone(database)).or_default().add(*work);
        }
    }

    /// Gives the time that was observed.
    pub fn observed(&self) -> Duration {
        Duration::from_secs_f64((self.observed_ms / 1_000.0).max(0.0))
    }

    /// Gives the number of transactions that finished.
    pub fn transactions(&self) -> f64 {
        self.work.values().map(|work| work.transactions).sum()
    }

    /// Gives what finished, by database.
    pub fn work(&self) -> &BTreeMap<Arc<str>, Work> {
        &self.work
    }

    /// Gives the mean number of busy servers.
    pub fn busy(&self) -> f64 {
        self.mean(self.busy_ms)
    }

    /// Gives the mean number of busy servers that the clips' sizes would have had too.
    pub fn clipped(&self) -> [f64; 2] {
        self.clipped_ms.map(|sum| self.mean(sum))
    }

    /// Gives the mean of what the busiest pool had to do: busy servers and waiters.
    pub fn load(&self) -> f64 {
        self.mean(self.load_ms)
    }

    /// Gives the mean number of waiters.
    pub fn waiting(&self) -> f64 {
        self.mean(self.waiting_ms)
    }

    /// Gives the share of the time in which somebody waited.
    pub fn waiting_share(&self) -> f64 {
        self.mean(self.waited_ms)
    }

    /// Gives the numbers that people are shown.
    pub fn measure(&self) -> Measure {
        let mut all = Work::default();
        self.work.values().for_each(|work| all.add(*work));
        let per = |sum: f64| if all.transactions > 0.0 { sum / all.transactions } else { 0.0 };
        Measure {
            observed_s: self.observed_ms / 1_000.0,
            polls: self.polls,
            transactions: all.transactions,
            throughput_per_s: self.mean(all.transactions * 1_000.0),
            transaction_mean_us: per(all.transaction_us),
            wait_mean_us: per(all.wait_us),
            waiting_mean: self.waiting(),
            waiting_share: self.waiting_share(),
            busy_mean: self.busy(),
            servers_mean: self.mean(self.servers_ms),
            maxwait_us: self.maxwait_us,
            rollback_ratio: None,
            deadlocks: None,
        }
    }

    fn mean(&self, sum: f64) -> f64 {
        if self.observed_ms > 0.0 { sum / self.observed_ms } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn gauges(busy: u32, waiting: u32, finished: f64) -> Gauges {
        let work = Work { transactions: finished, transaction_us: finished * 20e3, wait_us: 0.0 };
        Gauges {
            size: 5,
            waiting,
            servers: busy,
            busy: vec![busy],
            load: busy + waiting,
            maxwait_us: 0,
            work: vec![(Arc::from("app"), work)],
        }
    }

    #[test]
    fn numbers_are_weighted_by_time_and_counts_are_exact() {
        let mut track = ScopeTrack::new(Duration::from_secs(5));
        track.absorb(at(0), gauges(5, 0, 0.0));
        track.absorb(at(100), gauges(5, 10, 25.0));
        track.absorb(at(400), gauges(5, 10, 75.0));
        let sum = track.sum(at(0), at(400));
        assert_eq!(sum.observed(), Duration::from_millis(400));
        assert_eq!(sum.transactions(), 100.0);
        assert_eq!(sum.measure().throughput_per_s, 250.0);
        assert_eq!(sum.measure().transaction_mean_us, 20e3);
        assert_eq!(sum.waiting(), (5.0 * 100.0 + 10.0 * 300.0) / 400.0);
        assert_eq!(sum.busy(), 5.0);
    }

    #[test]
    fn a_cut_tells_before_from_after() {
        let mut track = ScopeTrack::new(Duration::from_secs(5));
        track.absorb(at(0), gauges(5, 4, 0.0));
        track.absorb(at(100), gauges(5, 4, 25.0));
        track.cut();
        track.clip([5, 5]);
        track.absorb(at(200), gauges(9, 0, 45.0));
        track.absorb(at(300), gauges(9, 0, 45.0));
        assert_eq!(track.sum(at(0), at(150)).transactions(), 25.0);
        let after = track.sum(at(100), at(300));
        assert_eq!((after.busy(), after.clipped()), (8.0, [5.0, 5.0]));
    }

    #[test]
    fn a_gap_is_left_out_and_memory_is_bounded() {
        let mut track = ScopeTrack::new(Duration::from_secs(5));
        for second in 0..300 {
            track.absorb(at(second * 1_000), gauges(5, 0, 10.0));
        }
        track.absorb(at(400_000), gauges(5, 0, 999.0));
        assert_eq!(track.sum(at(0), at(500_000)).observed(), Duration::from_secs(130));
        assert_eq!(track.points(at(290_000), at(500_000)).len(), 10);
    }
}
