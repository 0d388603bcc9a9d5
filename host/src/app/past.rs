//! The longer past that some policies see: read from the store beside the ticks, and kept at hand.
//!
//! A target's past is read once in full, a piece at a time, and from then on only its newest steps:
//! when a step has begun and every quarter of a step. A policy that wants a past is not asked before
//! the first reading has ended; later ones are served from what is at hand while new rows are read.
//! While the store cannot be read it is served what there is, and in the end nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use super::recorder::Recorder;
use crate::model::{Past, PastSpan, PoolKey, TargetName, Timestamp};
use crate::record::{PastQuery, PastRow, RecordError};
use crate::report::chain;

mod table;

use table::{Frame, Table};

/// Steps that are read again although they were known: rows may come late from a store that failed.
const AGAIN: Duration = Duration::from_secs(3_600);

/// A past that nobody has wanted for so long is let go: its policy was replaced.
const UNWANTED: Duration = Duration::from_secs(7_200);

/// The pasts of all targets.
#[derive(Debug)]
pub struct Pasts {
    recorder: Arc<Recorder>,
    kept: Mutex<BTreeMap<(TargetName, PastSpan), Kept>>,
}

/// One target's past of one span.
#[derive(Debug, Default)]
struct Kept {
    table: Arc<Mutex<Table>>,
    reading: Reading,
    /// When it was last read, or tried to be.
    read_at: Option<Timestamp>,
    /// When a policy last wanted it.
    wanted_at: Timestamp,
    /// Whether it was said that steps are left out.
    said_cut: bool,
}

/// How far reading has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    #[default]
    Never,
    First,
    Done,
    Again,
}

/// What a reading needs to know.
#[derive(Debug, Clone)]
struct Order {
    target: TargetName,
    span: PastSpan,
    now: Timestamp,
    table: Arc<Mutex<Table>>,
}

impl Pasts {
    /// Makes an empty cache.
    pub fn new(recorder: Arc<Recorder>) -> Self {
        Self { recorder, kept: Mutex::default() }
    }

    /// Says whether a past can be handed out, and starts a reading where one is due.
    pub fn ready(
        self: &Arc<Self>,
        target: &TargetName,
        span: PastSpan,
        now: Timestamp,
        work: &TaskTracker,
    ) -> bool {
        let mut all = lock(&self.kept);
        all.retain(|_, kept| now.since(kept.wanted_at) < UNWANTED);
        let kept = all.entry((target.clone(), span)).or_default();
        kept.wanted_at = now;
        if kept.is_due(span, now) {
            kept.reading = match kept.reading {
                Reading::Never => Reading::First,
                _ => Reading::Again,
            };
            kept.read_at = Some(now);
            let table = Arc::clone(&kept.table);
            let order = Order { target: target.clone(), span, now, table };
            let pasts = Arc::clone(self);
            work.spawn(async move { pasts.read(order).await });
        }
        matches!(kept.reading, Reading::Done | Reading::Again)
    }

    /// Makes the past of a window's pools; `None` when nothing could be read so far.
    ///
    /// Copies some megabytes where there are many pools: call it on a thread that may block.
    pub fn of(&self, target: &TargetName, span: PastSpan, pools: &[PoolKey]) -> Option<Past> {
        let table = Arc::clone(&lock(&self.kept).get(&(target.clone(), span))?.table);
        let table = lock(&table);
        table.is_read().then(|| table.past(span, pools))
    }

    async fn read(self: Arc<Self>, order: Order) {
        // Also when it dies half-way: after a failed first reading policies are asked without a past
        // rather than never.
        let _ended = Ended { pasts: &self, order: &order };
        let start = Instant::now();
        let read = self.try_read(&order).await;
        let metrics = &self.recorder.metrics;
        if let Err(error) = &read {
            metrics.store_failed(error.kind());
            let (target, error) = (order.target.as_str(), chain(error));
            tracing::warn!(target, error, "the past cannot be read; policies see the last one");
        } else {
            let rows = lock(&order.table).rows();
            metrics.past_read(&order.target, start.elapsed(), rows);
        }
    }

    /// Reads what is missing; what was read stays also when the rest fails.
    async fn try_read(&self, order: &Order) -> Result<(), RecordError> {
        let store = &self.recorder.store;
        let since = order.now.minus(order.span.length());
        let pools = store.past_pools(&order.target, since).await?;
        let steps = self.cut(order, pools.len());
        let frame = Frame::until(order.now, order.span.step, steps);
        let missing = lock(&order.table).move_to(frame, AGAIN);
        let mut at = missing.start;
        while at < missing.end {
            let steps = PastQuery::PIECE.min(u32::try_from(missing.end - at).unwrap_or(u32::MAX));
            let query = PastQuery {
                target: order.target.clone(),
                from: frame.begin_of(at),
                step: order.span.step,
                steps,
            };
            let rows = store.past(&query).await?;
            put(order, &pools, (at, steps), &rows);
            at += u64::from(steps);
        }
        lock(&order.table).end_reading();
        Ok(())
    }

    /// Gives how many steps there is room for, and says once when that is less than was asked for.
    fn cut(&self, order: &Order, pools: usize) -> u32 {
        let room = PastSpan::ROWS_MAX / pools.max(1);
        let steps = order.span.steps.min(u32::try_from(room).unwrap_or(u32::MAX));
        if steps < order.span.steps {
            let mut all = lock(&self.kept);
            let kept = all.entry((order.target.clone(), order.span)).or_default();
            if !std::mem::replace(&mut kept.said_cut, true) {
                let (target, asked) = (order.target.as_str(), order.span.steps);
                tracing::warn!(target, pools, asked, steps, "a past is cut: there are many pools");
            }
        }
        steps
    }
}

/// Notes that a reading is over, however it ended.
struct Ended<'a> {
    pasts: &'a Pasts,
    order: &'a Order,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.pasts.kept);
        if let Some(kept) = all.get_mut(&(self.order.target.clone(), self.order.span)) {
            kept.reading = Reading::Done;
        }
    }
}

/// Sorts the rows of some steps into the table.
fn put(order: &Order, pools: &HashMap<i64, PoolKey>, (first, steps): (u64, u32), rows: &[PastRow]) {
    let mut table = lock(&order.table);
    table.clear(first, steps);
    for row in rows {
        if let Some(pool) = pools.get(&row.pool) {
            table.add(pool, first + u64::from(row.step), &row.counts);
        }
    }
}

impl Kept {
    fn is_due(&self, span: PastSpan, now: Timestamp) -> bool {
        let Some(read_at) = self.read_at else { return true };
        let number = |at: Timestamp| at.as_millis() / millis(span.step).max(1);
        let idle = matches!(self.reading, Reading::Done);
        let age = now.since(read_at);
        idle && (number(now) != number(read_at) || age >= span.step / 4)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
