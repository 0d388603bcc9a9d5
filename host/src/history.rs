//! What past snapshots tell of a target and each of its pools, computed once for all policies.
//!
//! Pure: a snapshot goes in with its time, a window comes out. Everything is kept incrementally in
//! bounded rings, so that a tick costs the same after a month as after a minute.

mod bucket;
mod counters;
mod finished;
mod own_sizes;
mod pool;
mod scopes;
mod sliding;
mod stretch;
mod together;
mod window;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    DatabaseRow, DatabaseSample, Knob, Labels, Limits, Obstacle, Place, PoolKey, PoolRow, ScopeKey,
    Server, Setting, Snapshot, TargetName, TargetStatus, Timestamp,
};
pub use bucket::Bucket;
use counters::CounterTrack;
use finished::Held;
use own_sizes::OwnSizes;
use pool::PoolTrack;
pub use pool::{Backends, PoolView};
use stretch::ScopeTrack;
pub use stretch::{Stretch, Work};
use together::Ends;

/// Spans and thresholds by which history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans {
    /// Span of rates and means.
    pub short: Duration,
    /// Span of percentiles, maxima and trends.
    pub long: Duration,
    /// How soon a queue should be drained: turns waiters into demand.
    pub drain_horizon: Duration,
    /// How long waiters without an age must stand before they count as queued at login.
    pub login_queue_after: Duration,
    /// How long nobody must have been served before a queue counts as wedged.
    pub wedged_after: Duration,
    /// Age at which numbers are stale.
    pub stale_after: Duration,
}

impl Spans {
    /// Gives the longest time between two polls about which they still say something; polls that are
    /// configured to be farther apart than usual are no gaps.
    fn gap(&self) -> Duration {
        self.stale_after.max(Duration::from_secs(5))
    }
}

/// What does not change while a target is watched.
#[derive(Debug, Clone)]
pub struct TargetFacts {
    /// The operator's name of it.
    pub name: TargetName,
    /// The operator's labels.
    pub labels: Arc<Labels>,
    /// What the guard holds to.
    pub limits: Limits,
    /// Whether there is a login that may change sizes.
    pub can_act: bool,
}

/// The memory of one target.
#[derive(Debug)]
pub struct History {
    facts: TargetFacts,
    spans: Spans,
    pools: BTreeMap<PoolKey, PoolTrack>,
    counters: BTreeMap<Arc<str>, CounterTrack>,
    own_sizes: OwnSizes,
    status: TargetStatus,
    status_since: Option<Timestamp>,
    latest: Option<Snapshot>,
    restarted: Option<Timestamp>,
    /// What the pools of each scope did together.
    together: BTreeMap<ScopeKey, ScopeTrack>,
    ends: Ends,
}

impl History {
    /// Makes an empty memory; a target is down until it was seen.
    pub fn new(facts: TargetFacts, spans: Spans) -> Self {
        Self {
            facts,
            spans,
            pools: BTreeMap::new(),
            counters: BTreeMap::new(),
            own_sizes: OwnSizes::default(),
            status: TargetStatus::Down,
            status_since: None,
            latest: None,
            restarted: None,
            together: BTreeMap::new(),
            ends: Ends::default(),
        }
    }

    /// Takes in one snapshot; one that is not newer than the last is ignored.
    pub fn absorb(&mut self, snapshot: Snapshot) {
        let at = snapshot.at;
        if self.latest.as_ref().is_some_and(|latest| at <= latest.at) {
            return;
        }
        self.absorb_counters(&snapshot);
        self.note_restart(&snapshot);
        self.own_sizes.note(&snapshot);
        let known: BTreeSet<&PoolKey> = snapshot.pools.iter().map(|row| &row.key).collect();
        self.pools.retain(|key, _| known.contains(key));
        for row in &snapshot.pools {
            let size = snapshot.size_of(&row.key);
            let track =
                self.pools.entry(row.key.clone()).or_insert_with(|| PoolTrack::new(at, self.spans));
            let counters = self.counters.get(&row.key.database);
            track.absorb(at, row, size, counters);
        }
        let paused = self.looks_paused(&snapshot);
        self.set_status(if paused { TargetStatus::Paused } else { TargetStatus::Up }, at);
        self.latest = Some(snapshot);
        self.note_together(at);
    }

    /// Notes that a poll failed: the last numbers stay and grow old, and nothing reads as zero.
    pub fn fail(&mut self, at: Timestamp) {
        self.set_status(TargetStatus::Down, at);
    }

    /// Gives the newest snapshot.
    pub fn latest(&self) -> Option<&Snapshot> {
        self.latest.as_ref()
    }

    /// Gives the target's status and since when it is that.
    pub fn status(&self) -> (TargetStatus, Option<Timestamp>) {
        (self.status, self.status_since)
    }

    /// Gives the first poll that saw a new PgBouncer process.
    pub fn restarted(&self) -> Option<Timestamp> {
        self.restarted
    }

    /// Gives the scope that sizes a pool: its user's, else its database's, else the default.
    pub fn scope_of(&self, pool: &PoolKey) -> ScopeKey {
        if self.latest.as_ref().is_some_and(|l| l.server.user_sizes.contains_key(&pool.user)) {
            return ScopeKey::User(Arc::clone(&pool.user));
        }
        match self.own_sizes.contains(&pool.database) {
            true => ScopeKey::Database(Arc::clone(&pool.database)),
            false => ScopeKey::Default,
        }
    }

    /// Gives every pool with its numbers, in the order of the window.
    pub fn pools(&self, now: Timestamp) -> Vec<(PoolKey, PoolView)> {
        let Some(latest) = &self.latest else { return Vec::new() };
        let context = self.context(latest, now);
        self.pools.iter().map(|(key, track)| (key.clone(), track.view(key, &context))).collect()
    }

    /// Takes the finished ten-second buckets of every pool, for the store.
    pub fn take_buckets(&mut self) -> Vec<(PoolKey, Bucket)> {
        let pools = self.pools.iter_mut();
        pools.flat_map(|(key, t)| t.take_buckets().map(|b| (key.clone(), b))).collect()
    }

    fn set_status(&mut self, status: TargetStatus, at: Timestamp) {
        if self.status != status || self.status_since.is_none() {
            self.status = status;
            self.status_since = Some(at);
        }
    }

    fn absorb_counters(&mut self, snapshot: &Snapshot) {
        let known: BTreeSet<&Arc<str>> = snapshot.counters.iter().map(|(name, _)| name).collect();
        self.counters.retain(|name, _| known.contains(name));
        let mut held: BTreeMap<&Arc<str>, Held> = BTreeMap::new();
        for row in &snapshot.pools {
            let sum = held.entry(&row.key.database).or_default();
            sum.waiting += u64::from(row.cl_waiting);
            sum.busy += u64::from(row.sv_active);
        }
        for (name, counters) in &snapshot.counters {
            let track = self.counters.entry(Arc::clone(name)).or_default();
            let held = held.get(name).copied().unwrap_or_default();
            track.absorb(snapshot.at, *counters, held, (self.spans.short, self.spans.gap()));
        }
    }

    /// Every poll asks the console something, so its count only falls with a new process.
    fn note_restart(&mut self, snapshot: &Snapshot) {
        let before = self.latest.as_ref().and_then(|latest| latest.console_queries);
        if let (Some(before), Some(now)) = (before, snapshot.console_queries)
            && now < before
        {
            self.restarted = Some(snapshot.at);
        }
    }

    /// Before 1.19 a pause shows nowhere: then no server at all while clients wait, with PostgreSQL
    /// answering, is taken for one.
    fn looks_paused(&self, snapshot: &Snapshot) -> bool {
        if let Some(paused) = snapshot.server.paused {
            return paused;
        }
        let old = (1..11900).contains(&snapshot.server.version_number);
        // `PAUSE db` shows, and explains the queues of that database only.
        let held =
            |row: &PoolRow| snapshot.databases.get(&row.key.database).is_some_and(|db| db.paused);
        let rows = || snapshot.pools.iter().filter(|row| !held(row));
        let waiting = rows().any(|row| row.cl_waiting > 0);
        let servers = rows().any(|row| row.servers() > 0);
        let answers = snapshot.postgres.as_ref().is_some_and(|postgres| postgres.is_reachable());
        let long = rows()
            .filter_map(|row| self.pools.get(&row.key))
            .any(|track| track.waiting_for(snapshot.at) >= self.spans.login_queue_after);
        old && waiting && !servers && answers && long
    }

    fn context<'a>(&'a self, latest: &'a Snapshot, now: Timestamp) -> pool::Context<'a> {
        pool::Context {
            now,
            snapshot: latest,
            target_paused: self.status == TargetStatus::Paused,
            stale: self.status == TargetStatus::Down
                || now.since(latest.at) > self.spans.stale_after,
            busy_by_database: self.busy_by_database(),
            counters: &self.counters,
            backends: pool::backends(latest),
        }
    }

    fn busy_by_database(&self) -> BTreeMap<Arc<str>, (f64, u32)> {
        let mut sums: BTreeMap<Arc<str>, (f64, u32)> = BTreeMap::new();
        for (key, track) in &self.pools {
            let sum = sums.entry(Arc::clone(&key.database)).or_default();
            sum.0 += track.busy_mean();
            sum.1 += 1;
        }
        sums
    }
}

impl Snapshot {
    /// Gives the number that is in force for a setting, as far as the console shows it.
    pub fn size_in_force(&self, setting: &Setting) -> Option<u32> {
        let server = &self.server;
        match &setting.scope {
            ScopeKey::Default => match setting.knob {
                Knob::PoolSize => server.default_pool_size,
                Knob::MinPoolSize => server.min_pool_size,
                Knob::ReservePoolSize => server.reserve_pool_size,
            },
            ScopeKey::Database(name) => {
                let row = self.databases.get(name)?;
                match setting.knob {
                    Knob::PoolSize => row.pool_size,
                    Knob::MinPoolSize => row.min_pool_size,
                    Knob::ReservePoolSize => row.reserve_pool,
                }
            }
            ScopeKey::User(name) => match setting.knob {
                Knob::PoolSize => server.user_sizes.get(name).copied(),
                Knob::ReservePoolSize => server.user_reserves.get(name).copied(),
                Knob::MinPoolSize => None,
            },
        }
    }

    /// Gives the effective size of a pool: the user's, else the database's, else the default.
    pub fn size_of(&self, key: &PoolKey) -> u32 {
        let of_user = self.server.user_sizes.get(&key.user).copied();
        let of_database = || self.databases.get(&key.database).and_then(|row| row.pool_size);
        of_user.or_else(of_database).or(self.server.default_pool_size).unwrap_or(0)
    }

    /// Says which pools lead to the PostgreSQL server that is asked.
    ///
    /// With one server behind all databases there is no question; with several, host and port of the
    /// database decide, as they stand in PgBouncer's file.
    pub fn leads_to_postgres(&self) -> impl Fn(&PoolKey) -> bool {
        let asked = self.postgres.as_deref().map(DatabaseSample::place);
        let several = Place::are_several(self.databases.values().map(DatabaseRow::place));
        move |key| {
            let row = self.databases.get(&key.database).map(DatabaseRow::place);
            !several || row.zip(asked).is_some_and(|(row, asked)| row.leads_to(asked))
        }
    }

    /// Says why that cannot be told, where it cannot.
    pub fn led_elsewhere(&self) -> Option<Obstacle> {
        let asked = self.postgres.as_deref()?.place();
        asked.missing_among(self.databases.values().map(DatabaseRow::place))
    }

    /// Gives the effective reserve of a pool: the user's, else the database's, else the default.
    pub fn reserve_of(&self, key: &PoolKey) -> u32 {
        let of_user = self.server.user_reserves.get(&key.user).copied();
        let of_database = || self.databases.get(&key.database).and_then(|row| row.reserve_pool);
        of_user.or_else(of_database).or(self.server.reserve_pool_size).unwrap_or(0)
    }
}

/// Gives the facts of the PgBouncer as a whole that a window needs.
fn server(latest: Option<&Snapshot>) -> Arc<Server> {
    latest.map_or_else(Arc::default, |latest| Arc::clone(&latest.server))
}
