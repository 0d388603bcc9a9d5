//! What is remembered of one pool, and the numbers that a window gets from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Spans;
use super::bucket::{Bucket, start_of};
use super::counters::{CounterTrack, Delta, Rates, float};
use super::sliding::{SlidingHistogram, SlidingMax, Slope, WAIT_BINS, wait_bin, wait_of_bin};
use crate::model::{Condition, PoolKey, PoolRow, Snapshot, Timestamp};

/// Bins of utilization: one per percent, the last for everything above 100 %.
const UTILIZATION_BINS: usize = 102;

/// The trend of demand looks back so small a part of the long span: over all of it a rise would be
/// told when it is half over.
const TREND_PART: u64 = 2;

/// How far the moment at which a queue's head came may seem to move: a poll's time is taken before its
/// login and its questions, and PgBouncer's clock is that of its event loop.
const HEAD_SLACK: Duration = Duration::from_millis(250);

/// What the view of one pool needs beyond the pool.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub now: Timestamp,
    pub snapshot: &'a Snapshot,

    pub target_paused: bool,
    pub stale: bool,
    /// Mean busy servers and number of pools of each database, to share its rates out.
    pub busy_by_database: BTreeMap<Arc<str>, (f64, u32)>,
    pub counters: &'a BTreeMap<Arc<str>, CounterTrack>,
    pub backends: BackendsByRole<'a>,
}

/// Numbers of one pool at one moment; meanings as in `plugins/wit`.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each number is documented in plugins/wit")]
pub struct PoolView {
    pub row: PoolRow,
    pub condition: Condition,
    pub size: u32,
    pub reserve: u32,
    pub waiting_for: Duration,
    pub full_for: Duration,
    pub unserved_for: Duration,
    pub observed_for: Duration,
    pub utilization: f64,
    pub utilization_p50: f64,
    pub utilization_p95: f64,
    pub wait_p95_us: f64,
    pub busy_mean: f64,
    pub demand: f64,
    pub demand_max_short: f64,
    pub demand_max_long: f64,
    pub demand_trend_per_min: f64,
    pub clients_trend_per_min: f64,
    pub rates: Rates,
    pub backends: Backends,
}

/// What the backends of a pool do, as PostgreSQL told last; all 0 where it may not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backends {
    /// Idle inside a transaction, and the age of the oldest one's last statement.
    pub idle_in_transaction: u32,
    /// Age of the oldest idle transaction's last statement.
    pub idle_in_transaction_max: Duration,
    /// Active, and waiting for nothing.
    pub running: u32,
    /// Active, and waiting for a lock.
    pub waiting_on_lock: u32,
    /// Active, and waiting for I/O.
    pub waiting_on_io: u32,
}

/// The worst of one second; several polls in it leave one entry.
#[derive(Debug, Clone, Copy)]
struct Second {
    at_s: u64,
    utilization: u8,
    wait: u8,
    demand: f64,
    clients: u32,
}

/// The memory of one pool.
#[derive(Debug)]
pub(super) struct PoolTrack {
    spans: Spans,
    first: Timestamp,
    latest: Option<(Timestamp, PoolRow, u32)>,
    waiting_since: Option<Timestamp>,
    full_since: Option<Timestamp>,
    unserved_since: Option<Timestamp>,
    /// When the head of the queue came, as seen when it was last seen to be another.
    head: Option<Timestamp>,
    /// (moment, busy servers) inside the short span, and one from before it.
    busy: VecDeque<(Timestamp, u32)>,
    second: Option<Second>,
    seconds: VecDeque<Second>,
    /// How many of them, from the front, the trend of demand has left behind.
    before_trend: usize,
    utilization: SlidingHistogram,
    wait: SlidingHistogram,
    demand: SlidingMax,
    demand_slope: Slope,
    clients_slope: Slope,
    demand_now: f64,
    bucket: Bucket,
    finished: Vec<Bucket>,
}

impl PoolTrack {
    pub fn new(at: Timestamp, spans: Spans) -> Self {
        Self {
            spans,
            first: at,
            latest: None,
            waiting_since: None,
            full_since: None,
            unserved_since: None,
            head: None,
            busy: VecDeque::new(),
            second: None,
            seconds: VecDeque::new(),
            before_trend: 0,
            utilization: SlidingHistogram::new(UTILIZATION_BINS),
            wait: SlidingHistogram::new(usize::from(WAIT_BINS)),
            demand: SlidingMax::default(),
            demand_slope: Slope::default(),
            clients_slope: Slope::default(),
            demand_now: 0.0,
            bucket: Bucket { at: start_of(at), ..Bucket::default() },
            finished: Vec::new(),
        }
    }

    pub fn absorb(&mut self, at: Timestamp, row: &PoolRow, size: u32, db: Option<&CounterTrack>) {
        let delta = db.map(CounterTrack::last_delta).unwrap_or_default();
        let rates = db.map(CounterTrack::rates).unwrap_or_default();
        self.note_stretches(at, row, size, delta);
        self.note_busy(at, row.sv_active);
        self.demand_now = demand(row, rates.transaction_mean_us, self.spans.drain_horizon);
        self.note_second(at, row, size);
        self.note_bucket(at, row, size, delta);
        self.latest = Some((at, row.clone(), size));
    }

    pub fn waiting_for(&self, now: Timestamp) -> Duration {
        for_how_long(self.waiting_since, now)
    }

    /// Gives the time-weighted mean of busy servers over the short span.
    pub fn busy_mean(&self) -> f64 {
        let (mut weighted, mut total) = (0.0, 0.0);
        for ((from, busy), (to, _)) in self.busy.iter().zip(self.busy.iter().skip(1)) {
            let weight = float(to.millis_since(*from));
            weighted += f64::from(*busy) * weight;
            total += weight;
        }
        let newest = self.busy.back().map_or(0.0, |(_, busy)| f64::from(*busy));
        if total > 0.0 { weighted / total } else { newest }
    }

    pub fn take_buckets(&mut self) -> std::vec::IntoIter<Bucket> {
        std::mem::take(&mut self.finished).into_iter()
    }

    pub fn view(&self, key: &PoolKey, context: &Context<'_>) -> PoolView {
        let (_, row, size) = self.latest.as_ref().expect("a track is made with its first row");
        let now = context.now;
        let percent = |histogram: &SlidingHistogram, p| histogram.percentile(p).map(f64::from);
        let from_s = now.minus(self.spans.short).as_millis() / 1_000;
        PoolView {
            condition: self.condition(key, context),
            size: *size,
            reserve: context.snapshot.reserve_of(key),
            waiting_for: self.waiting_for(now),
            full_for: for_how_long(self.full_since, now),
            unserved_for: for_how_long(self.unserved_since, now),
            observed_for: now.since(self.first),
            utilization: utilization(row, *size),
            utilization_p50: percent(&self.utilization, 50).unwrap_or(0.0) / 100.0,
            utilization_p95: percent(&self.utilization, 95).unwrap_or(0.0) / 100.0,
            wait_p95_us: self.wait.percentile(95).map_or(0.0, |bin| float(wait_of_bin(bin))),
            busy_mean: self.busy_mean(),
            demand: self.demand_now,
            demand_max_short: self.demand.max_since(from_s).unwrap_or(0.0).max(self.demand_now),
            demand_max_long: self.demand.max().unwrap_or(0.0).max(self.demand_now),
            demand_trend_per_min: self.demand_slope.per_unit() * 60.0 / 1_000.0,
            clients_trend_per_min: self.clients_slope.per_unit() * 60.0,
            rates: self.share_of_rates(key, context),
            backends: backends_of(key, context),
            row: row.clone(),
        }
    }

    fn condition(&self, key: &PoolKey, context: &Context<'_>) -> Condition {
        let Some((_, row, size)) = &self.latest else { return Condition::Stale };
        let database = context.snapshot.databases.get(&key.database);
        if context.stale {
            return Condition::Stale;
        }
        if context.target_paused || database.is_some_and(|db| db.paused) {
            return Condition::Paused;
        }
        if row.cl_waiting == 0 {
            let idle = row.cl_active == 0 && row.sv_active == 0;
            return if idle { Condition::Idle } else { Condition::Serving };
        }
        let room = row.sv_active < *size;
        let waiting_for = self.waiting_for(context.now);
        let unserved_for = for_how_long(self.unserved_since, context.now);
        if room && row.maxwait.is_zero() && waiting_for >= self.spans.login_queue_after {
            Condition::LoginQueue
        } else if room && unserved_for >= self.spans.wedged_after {
            Condition::Wedged
        } else {
            Condition::Queueing
        }
    }

    fn share_of_rates(&self, key: &PoolKey, context: &Context<'_>) -> Rates {
        let Some(track) = context.counters.get(&key.database) else { return Rates::default() };
        let (busy, pools) =
            context.busy_by_database.get(&key.database).copied().unwrap_or_default();
        let share = match (busy > 0.0, pools) {
            (_, 0 | 1) => 1.0,
            (true, _) => self.busy_mean() / busy,
            (false, _) => 1.0 / f64::from(pools),
        };
        let rates = track.rates();
        Rates {
            transactions_per_s: rates.transactions_per_s * share,
            queries_per_s: rates.queries_per_s * share,
            busy_finished: rates.busy_finished * share,
            ..rates
        }
    }

    fn note_stretches(&mut self, at: Timestamp, row: &PoolRow, size: u32, delta: Delta) {
        let since = |flag: bool, since: Option<Timestamp>| flag.then(|| since.unwrap_or(at));
        let unserved = row.cl_waiting > 0 && !self.was_served(at, row, delta);
        let full = size > 0 && row.sv_active >= size;
        self.waiting_since = since(row.cl_waiting > 0, self.waiting_since);
        self.full_since = since(full, self.full_since);
        self.unserved_since = since(unserved, self.unserved_since);
    }

    /// Says whether a waiter got a server since the last row.
    ///
    /// The queue is first in, first out, so `maxwait` is the age of its head, and tells when the head
    /// came: as long as that moment does not move, the head is still the same. Waiters without an age
    /// (queued at login) show nothing there; for them a finished transaction or a shorter queue counts.
    fn was_served(&mut self, at: Timestamp, row: &PoolRow, delta: Delta) -> bool {
        let came = at.minus(row.maxwait);
        let before = self.latest.as_ref().map_or(0, |(_, old, _)| old.cl_waiting);
        let shorter = row.cl_waiting < before;
        let head = self.head.replace(came);
        if before == 0 || shorter {
            return true;
        }
        if row.maxwait.is_zero() {
            return delta.transactions > 0;
        }
        let Some(head) = head else { return false };
        let moved = came.since(head) > HEAD_SLACK;
        if !moved {
            // Against the first look, so that small steps of a slow queue add up.
            self.head = Some(head);
        }
        moved
    }

    fn note_busy(&mut self, at: Timestamp, busy: u32) {
        self.busy.push_back((at, busy));
        let span = self.spans.short;
        while self.busy.get(1).is_some_and(|(second, _)| at.since(*second) >= span) {
            self.busy.pop_front();
        }
    }

    fn note_second(&mut self, at: Timestamp, row: &PoolRow, size: u32) {
        let fresh = Second {
            at_s: at.as_millis() / 1_000,
            utilization: percent_bin(utilization(row, size)),
            wait: wait_bin(u64::try_from(row.maxwait.as_micros()).unwrap_or(u64::MAX)),
            demand: self.demand_now,
            clients: row.cl_active.saturating_add(row.cl_waiting),
        };
        match &mut self.second {
            Some(second) if second.at_s == fresh.at_s => second.worsen(fresh),
            slot => {
                if let Some(done) = slot.replace(fresh) {
                    self.finish_second(done);
                }
            }
        }
        let long_s = self.spans.long.as_secs();
        self.age_trend(fresh.at_s.saturating_sub(long_s / TREND_PART));
        self.forget_seconds(fresh.at_s.saturating_sub(long_s));
    }

    fn finish_second(&mut self, second: Second) {
        self.utilization.add(second.utilization);
        self.wait.add(second.wait);
        self.demand.add(second.at_s, second.demand);
        let at = second.slope_time();
        self.demand_slope.add(at, second.demand_milli());
        self.clients_slope.add(at, i64::from(second.clients));
        self.seconds.push_back(second);
    }

    /// Takes out of the trend of demand what is older than it looks back.
    fn age_trend(&mut self, from: u64) {
        while let Some(old) = self.seconds.get(self.before_trend).filter(|old| old.at_s < from) {
            self.demand_slope.remove(old.slope_time(), old.demand_milli());
            self.before_trend += 1;
        }
    }

    /// Forgets what is older than the long span; the trend, which looks back less far, has it no more.
    fn forget_seconds(&mut self, from: u64) {
        while let Some(old) = self.seconds.front().copied().filter(|old| old.at_s < from) {
            self.seconds.pop_front();
            self.utilization.remove(old.utilization);
            self.wait.remove(old.wait);
            self.before_trend = self.before_trend.saturating_sub(1);
            self.clients_slope.remove(old.slope_time(), i64::from(old.clients));
        }
        self.demand.forget_before(from);
    }

    fn note_bucket(&mut self, at: Timestamp, row: &PoolRow, size: u32, delta: Delta) {
        let start = start_of(at);
        if self.bucket.at != start {
            let fresh = Bucket { at: start, ..Bucket::default() };
            let done = std::mem::replace(&mut self.bucket, fresh);
            if done.samples > 0 {
                self.finished.push(done);
            }
        }
        self.bucket.add(row, size, delta);
    }
}

impl Second {
    fn worsen(&mut self, other: Self) {
        self.utilization = self.utilization.max(other.utilization);
        self.wait = self.wait.max(other.wait);
        self.demand = self.demand.max(other.demand);
        self.clients = self.clients.max(other.clients);
    }

    fn slope_time(&self) -> i64 {
        i64::try_from(self.at_s).unwrap_or(i64::MAX)
    }

    /// Gives demand in thousandths of a server, because the slope sums integers.
    #[expect(clippy::as_conversions, reason = "saturating by definition; demand is far smaller")]
    fn demand_milli(&self) -> i64 {
        (self.demand * 1_000.0).round() as i64
    }
}

/// Servers that the pool could use: busy ones, and what would drain the queue within the horizon.
///
/// A waiter needs W seconds of a server, so Q waiters are drained in H seconds by Q·W/H more servers
/// (Little's law, L = λ·W with λ = Q/H), and never by more than Q. While no transaction has finished,
/// W is unknown and each waiter counts as one server.
pub(super) fn demand(row: &PoolRow, transaction_mean_us: f64, horizon: Duration) -> f64 {
    let waiting = f64::from(row.cl_waiting);
    let horizon_us = horizon.as_secs_f64() * 1e6;
    let extra = if transaction_mean_us > 0.0 && horizon_us > 0.0 {
        waiting * (transaction_mean_us / horizon_us).min(1.0)
    } else {
        waiting
    };
    f64::from(row.sv_active) + extra
}

fn utilization(row: &PoolRow, size: u32) -> f64 {
    if size == 0 { 0.0 } else { f64::from(row.sv_active) / f64::from(size) }
}

#[expect(clippy::as_conversions, reason = "clamped to the bins just before")]
fn percent_bin(utilization: f64) -> u8 {
    (utilization * 100.0).round().clamp(0.0, 101.0) as u8
}

fn for_how_long(since: Option<Timestamp>, now: Timestamp) -> Duration {
    since.map_or(Duration::ZERO, |since| now.since(since))
}

/// PostgreSQL's backends by database and role.
pub(super) type BackendsByRole<'a> = BTreeMap<(&'a str, &'a str), Backends>;

/// Sums backends by database and role.
pub(super) fn backends(snapshot: &Snapshot) -> BackendsByRole<'_> {
    let mut all = BackendsByRole::new();
    for session in snapshot.postgres.iter().flat_map(|postgres| &postgres.sessions) {
        let sum = all.entry((&*session.database, &*session.user)).or_default();
        let waiting = session.waiting_on_lock + session.waiting_on_io + session.waiting_on_other;
        sum.idle_in_transaction += session.idle_in_transaction;
        sum.idle_in_transaction_max =
            sum.idle_in_transaction_max.max(session.idle_in_transaction_max);
        sum.running += session.active.saturating_sub(waiting);
        sum.waiting_on_lock += session.waiting_on_lock;
        sum.waiting_on_io += session.waiting_on_io;
    }
    all
}

/// Finds the backends of a pool, by the names that it uses on the server.
fn backends_of(key: &PoolKey, context: &Context<'_>) -> Backends {
    let database = context.snapshot.databases.get(&key.database);
    let name = database.map_or(&key.database, |row| &row.database);
    let user = database.and_then(|row| row.force_user.as_ref()).unwrap_or(&key.user);
    context.backends.get(&(&**name, &**user)).copied().unwrap_or_default()
}
