//! Polls PgBouncer and looks at PostgreSQL, each on its own clock, and says what was seen.
//!
//! A poll that fails is said to have failed and never reads as zero load. While somebody waits, or a
//! pool has no server left, polls come faster, because that is when a second is long.

mod look;
mod presence;

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
use crate::model::{DatabaseSample, Peer, Snapshot, TargetName};
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
                    let wait =
                        if is_urgent(&snapshot) { poll.fast_interval } else { poll.interval };
                    let target = self.target.name.clone();
                    (Collected::Polled { target, snapshot, costs: polled.costs }, wait)
                }
                Err(error) => {
                    full_at = start;
                    let (target, kind) = (self.target.name.clone(), error.kind());
                    (Collected::Failed { target, kind, problem: chain(&error) }, backoff.failed())
                }
            };
            if out.send(collected).await.is_err() {
                break;
            }
            // A PgBouncer that is slow to answer is not asked again without a pause.
            let next = (start + wait).max(Instant::now() + start.elapsed().min(poll.interval));
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
                if !failing {
                    let problem = chain(&error);
                    let target = target.as_str();
                    tracing::warn!(
                        target,
                        problem,
                        "PostgreSQL cannot be looked at; the loop goes on"
                    );
                }
                failing = true;
                let unseen = observer.unseen(clock.now());
                out.send_modify(|latest| mark_unreachable(latest, unseen));
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

fn mark_unreachable(latest: &mut Option<Arc<DatabaseSample>>, unseen: DatabaseSample) {
    match latest {
        Some(sample) => Arc::make_mut(sample).reachable = false,
        None => *latest = Some(Arc::new(unseen)),
    }
}
