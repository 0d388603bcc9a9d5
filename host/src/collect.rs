//! Polls PgBouncer and looks at PostgreSQL, each on its own clock, and says what was seen.
//!
//! A poll that fails is said to have failed and never reads as zero load. While somebody waits, or a
//! pool has no server left, polls come faster, because that is when a second is long. Between polls of a
//! calm target there are glances: quick polls that nobody hears of unless a queue has begun.

mod look;
mod presence;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::config::{Database, Poll, Target};
use crate::console::{Cost, Depth, Poller};
use crate::database::Observer;
use crate::model::{DatabaseSample, LookFailure, Peer, PoolKey, Snapshot, TargetName};
use crate::report::chain;

pub use look::{Looked, look};
pub use presence::attend;

/// What a collector saw.
#[derive(Debug)]
pub enum Collected {
    /// A poll succeeded.
    Polled {
        /// The target.
        target: TargetName,
        /// What was seen.
        snapshot: Box<Snapshot>,
        /// What it cost PgBouncer.
        costs: Vec<Cost>,
    },
    /// Somebody looked who is on the console.
    Attended {
        /// The target.
        target: TargetName,
        /// The sidecars there, this one included.
        peers: Vec<Peer>,
        /// Time to the next look.
        every: Duration,
        /// What it cost PgBouncer.
        cost: Cost,
    },
    /// A poll failed.
    Failed {
        /// The target.
        target: TargetName,
        /// Short stable name of the failure.
        kind: &'static str,
        /// What a person should know of it.
        problem: String,
    },
}

/// Polls one target until it is stopped.
#[derive(Debug)]
pub struct Collector {
    /// The target.
    pub target: Target,
    /// How often to poll.
    pub poll: Poll,
    /// The clock.
    pub clock: Clock,
    /// What PostgreSQL said last.
    pub postgres: watch::Receiver<Option<Arc<DatabaseSample>>>,
    /// Asks for a full poll now, for example because a size was changed.
    pub nudge: Arc<Notify>,
}

impl Collector {
    /// Polls until `stop`, or until nobody listens.
    pub async fn run(self, out: mpsc::Sender<Collected>, stop: CancellationToken) {
        let poll = &self.poll;
        let mut poller = Poller::new(self.target.console.clone(), poll.session_age_max);
        let mut backoff = Backoff::new(poll.interval, poll.backoff_max);
        let mut full_at = Instant::now();
        let mut glancing = Glancing::default();
        loop {
            let start = Instant::now();
            let depth = if start >= full_at { Depth::Full } else { Depth::Quick };
            let polled = tokio::select! {
                () = stop.cancelled() => break,
                polled = poller.poll(&self.clock, depth) => polled,
            };
            if depth == Depth::Full {
                full_at = start + poll.interval;
            }
            let (collected, wait) = match polled {
                Ok(polled) => {
                    backoff.succeeded();
                    let mut snapshot = Box::new(polled.snapshot);
                    snapshot.postgres = self.postgres.borrow().clone();
                    let (is_news, wait) = glancing.take(poll, depth, &snapshot, start);
                    let target = self.target.name.clone();
                    let polled = Collected::Polled { target, snapshot, costs: polled.costs };
                    (is_news.then_some(polled), wait)
                }
                Err(error) => {
                    full_at = start;
                    glancing = Glancing::default();
                    let (target, kind) = (self.target.name.clone(), error.kind());
                    let failed = Collected::Failed { target, kind, problem: chain(&error) };
                    (Some(failed), backoff.failed())
                }
            };
            if let Some(collected) = collected
                && out.send(collected).await.is_err()
            {
                break;
            }
            // A PgBouncer that is slow to answer is not asked again without a pause.
            let next = (start + wait).max(Instant::now() + start.elapsed().min(poll.interval));
            // Glances must not put off what is due.
            let next = if glancing.is_calm { next.min(full_at.max(Instant::now())) } else { next };
            poller.rest(next.saturating_duration_since(Instant::now())).await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.nudge.notified() => full_at = Instant::now(),
                () = sleep_until(next) => {}
            }
        }
        poller.close().await;
    }
}

/// Part of PgBouncer's time that glances may take: one in so many.
const GLANCE_SHARE: u32 = 40;
/// Part of its size from which a pool counts as nearly full.
const NEARLY_FULL: f64 = 0.75;

/// What glances are compared with.
#[derive(Debug, Default)]
struct Glancing {
    /// Pools that were nearly full when that was last told.
    nearly_full: BTreeSet<PoolKey>,
    /// Whether the next poll is a glance.
    is_calm: bool,
}

impl Glancing {
    /// Says whether a snapshot is to be told, and how long to wait for the next.
    fn take(
        &mut self,
        poll: &Poll,
        depth: Depth,
        snapshot: &Snapshot,
        start: Instant,
    ) -> (bool, Duration) {
        let was_calm = std::mem::replace(&mut self.is_calm, false);
        let nearly_full = nearly_full(snapshot);
        let is_urgent = is_urgent(snapshot);
        let is_news = !was_calm
            || depth == Depth::Full
            || is_urgent
            || !nearly_full.is_subset(&self.nearly_full);
        if is_news {
            self.nearly_full = nearly_full;
        }
        match poll.glance_interval {
            _ if is_urgent => (is_news, poll.fast_interval),
            None => (is_news, poll.interval),
            Some(every) => {
                self.is_calm = true;
                let cheap = start.elapsed().saturating_mul(GLANCE_SHARE);
                (is_news, every.max(cheap).min(poll.interval))
            }
        }
    }
}

fn nearly_full(snapshot: &Snapshot) -> BTreeSet<PoolKey> {
    let rows = snapshot.pools.iter().filter(|row| {
        let size = f64::from(snapshot.size_of(&row.key));
        row.sv_active > 0 && f64::from(row.sv_active) >= size * NEARLY_FULL
    });
    rows.map(|row| row.key.clone()).collect()
}

/// Says whether somebody waits, or would have to if one more client came.
fn is_urgent(snapshot: &Snapshot) -> bool {
    if snapshot.server.paused == Some(true) {
        return false;
    }
    snapshot.pools.iter().any(|row| {
        let size = snapshot.size_of(&row.key);
        row.cl_waiting > 0 || (size > 0 && row.sv_active >= size)
    })
}

/// Looks at PostgreSQL until it is stopped; while looks fail, the last good sample stays, marked.
pub async fn observe(
    target: TargetName,
    database: Database,
    clock: Clock,
    out: watch::Sender<Option<Arc<DatabaseSample>>>,
    stop: CancellationToken,
) {
    let every = database.interval;
    let mut observer = Observer::new(database);
    let mut backoff = Backoff::new(every, every.saturating_mul(6));
    let mut failing = false;
    loop {
        let start = Instant::now();
        let looked = tokio::select! {
            () = stop.cancelled() => break,
            looked = observer.look(clock.now()) => looked,
        };
        let wait = match looked {
            Ok(sample) => {
                backoff.succeeded();
                failing = false;
                out.send_replace(Some(Arc::new(sample)));
                every
            }
            Err(error) => {
                let failure = error.kind();
                if !failing {
                    let was_known = out.borrow().as_ref().is_some_and(|it| it.is_known());
                    let growth = growth(failure, was_known);
                    let (target, problem) = (target.as_str(), chain(&error));
                    tracing::warn!(
                        target,
                        problem,
                        growth,
                        "PostgreSQL cannot be looked at; the loop goes on"
                    );
                }
                failing = true;
                let unseen = observer.unseen(clock.now(), failure);
                out.send_modify(|latest| mark_failed(latest, unseen));
                backoff.failed()
            }
        };
        observer.rest(wait).await;
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep_until(start + wait) => {}
        }
    }
    observer.close().await;
}

fn mark_failed(latest: &mut Option<Arc<DatabaseSample>>, unseen: DatabaseSample) {
    match latest {
        Some(sample) if sample.is_known() => Arc::make_mut(sample).failure = unseen.failure,
        _ => *latest = Some(Arc::new(unseen)),
    }
}

/// Says what it means for growth that PostgreSQL cannot be looked at.
pub fn growth(failure: LookFailure, was_known: bool) -> &'static str {
    match (failure, was_known) {
        (LookFailure::Refused, false) => {
            "sizes may grow to the ceiling: mend the login in [target.database]"
        }
        (LookFailure::Full, _) => "no size grows while PostgreSQL has no connection left",
        (_, true) => "no size grows when the last answer is old",
        (_, false) => "no size grows before PostgreSQL has answered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PoolRow, Server, Timestamp};

    fn snapshot(busy: u32, waiting: u32) -> Snapshot {
        let row = PoolRow {
            key: PoolKey::new("app", "app"),
            cl_active: busy,
            cl_waiting: waiting,
            cl_active_cancel_req: None,
            cl_waiting_cancel_req: None,
            sv_active: busy,
            sv_active_cancel: None,
            sv_being_canceled: None,
            sv_idle: 0,
            sv_used: 0,
            sv_tested: 0,
            sv_login: 0,
            maxwait: Duration::ZERO,
            pool_mode: None,
        };
        Snapshot {
            at: Timestamp::default(),
            sizes_at: Timestamp::default(),
            pools: vec![row],
            counters: Vec::new(),
            databases: Arc::default(),
            server: Arc::new(Server { default_pool_size: Some(8), ..Server::default() }),
            console_queries: None,
            postgres: None,
        }
    }

    #[test]
    fn a_look_that_fails_keeps_the_last_numbers_and_the_newest_reason() {
        let failed = |at: u64, failure| DatabaseSample {
            at: Timestamp::from_millis(at),
            server: (None, Some(5432)),
            identity: None,
            failure: Some(failure),
            max_connections: 0,
            reserved_connections: 0,
            sessions: Vec::new(),
            xact_ends: None,
        };
        let mut latest = None;
        mark_failed(&mut latest, failed(1, LookFailure::Refused));
        mark_failed(&mut latest, failed(2, LookFailure::Full));
        let never = latest.as_deref().expect("it is told");
        assert_eq!((never.failure, never.is_known()), (Some(LookFailure::Full), false));
        let good = DatabaseSample { failure: None, max_connections: 100, ..(*never).clone() };
        latest = Some(Arc::new(good));
        mark_failed(&mut latest, failed(3, LookFailure::Unreachable));
        let kept = latest.as_deref().expect("it is kept");
        assert_eq!((kept.max_connections, kept.at.as_millis()), (100, 2));
        assert_eq!(kept.failure, Some(LookFailure::Unreachable));
    }

    #[test]
    fn a_glance_is_told_only_when_something_has_begun() {
        let poll = Poll {
            interval: Duration::from_secs(1),
            fast_interval: Duration::from_millis(100),
            glance_interval: Some(Duration::from_millis(200)),
            session_age_max: Duration::from_secs(2),
            backoff_max: Duration::from_secs(10),
        };
        let mut glancing = Glancing::default();
        let mut take = |depth, busy, waiting| {
            glancing.take(&poll, depth, &snapshot(busy, waiting), Instant::now())
        };
        let (told, calm) = (true, Duration::from_millis(200));
        assert_eq!(take(Depth::Full, 1, 0), (told, calm));
        assert_eq!(take(Depth::Quick, 2, 0), (!told, calm), "a calm glance");
        assert_eq!(take(Depth::Quick, 6, 0), (told, calm), "three quarters of eight are busy");
        assert_eq!(take(Depth::Quick, 7, 0), (!told, calm), "which was told");
        assert_eq!(take(Depth::Quick, 8, 1), (told, poll.fast_interval), "somebody waits");
        assert_eq!(take(Depth::Quick, 2, 0), (told, calm), "and nobody any more");
        assert_eq!(take(Depth::Full, 2, 0), (told, calm));
    }
}
