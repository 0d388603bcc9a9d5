//! Shrinks that queueing clients hold up, and what is done about them.
//!
//! PgBouncer hands a released server to the next client that waits, whatever the size is: while
//! clients queue, a pool stays as large as it was. `RECONNECT` of its database closes each server
//! as it is released, and only as many as the size allows are opened again. No client sees an error,
//! the remaining servers log in anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::host::{host_alert, with_runbook};
use super::scope::{InFlight, Measured};
use super::target::TargetControl;
use super::{Effect, Reconnect};
use crate::model::{
    Decision, DecisionId, Evidence, Knob, Mode, PoolSize, Proposal, Setting, Severity, Status,
    Subject, TargetStatus, Timestamp, Transition,
};
use crate::record::Batch;

/// How long a shrink must be held up before something is done.
const HELD_UP: Duration = Duration::from_secs(2);
/// How long after a refusal that may end it is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// The newest shrinks, by setting.
#[derive(Debug, Default)]
pub(super) struct ShrinkBook(BTreeMap<Setting, Shrunk>);

#[derive(Debug, Clone)]
struct Shrunk {
    id: DecisionId,
    size: PoolSize,
    held_up_since: Option<Timestamp>,
    state: State,
    /// When help is tried again that was refused.
    retry_at: Option<Timestamp>,
    /// What came of a change of before the start, which nobody measures any more.
    settled: Option<Status>,
    /// Whether it goes back to what was before, which a person's hold does not stop.
    measured: Measured,
    /// The databases that hold it up, and the servers beyond the size.
    excess: BTreeMap<Arc<str>, u32>,
}

/// What was done about a shrink that is held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Watched,
    Told,
    Sent,
}

impl ShrinkBook {
    /// Notes that a change is in force.
    pub fn note(&mut self, setting: &Setting, flight: &InFlight) {
        if setting.knob != Knob::PoolSize {
            return;
        }
        if flight.from.is_some_and(|from| flight.size >= from) {
            self.0.remove(setting);
            return;
        }
        let shrunk = Shrunk::new(flight.id, flight.size, flight.measured);
        self.0.insert(setting.clone(), shrunk);
    }

    /// Watches again what was shrunk before the start; changes of before, the oldest first.
    pub fn recall(&mut self, changes: &[(Decision, Timestamp)]) {
        for (decision, _) in changes {
            let Proposal::Resize { setting, .. } = &decision.proposal else { continue };
            let Some(size) = decision.size_to else { continue };
            let sizes = (decision.size_from, size);
            self.recall_one(setting, decision.id, sizes, decision.status);
        }
    }

    /// Watches again what was shrunk before the start.
    pub fn recall_one(
        &mut self,
        setting: &Setting,
        id: DecisionId,
        (from, size): (Option<PoolSize>, PoolSize),
        status: Status,
    ) {
        self.0.remove(setting);
        if setting.knob == Knob::PoolSize && from.is_some_and(|from| size < from) {
            // What was open is settled so with the first poll.
            let is_open = matches!(status, Status::Proposed | Status::Applied);
            let settled = Some(if is_open { Status::Inconclusive } else { status });
            let shrunk = Shrunk { settled, ..Shrunk::new(id, size, Measured::Effect) };
            self.0.insert(setting.clone(), shrunk);
        }
    }

    fn shrunk_of(&mut self, id: DecisionId) -> Option<(&Setting, &mut Shrunk)> {
        self.0.iter_mut().find(|(_, shrunk)| shrunk.id == id)
    }
}

impl Shrunk {
    fn new(id: DecisionId, size: PoolSize, measured: Measured) -> Self {
        Self {
            id,
            size,
            held_up_since: None,
            state: State::Watched,
            retry_at: None,
            settled: None,
            measured,
            excess: BTreeMap::new(),
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        match self.state {
            State::Watched => true,
            State::Told => self.retry_at.is_some_and(|at| now >= at),
            State::Sent => false,
        }
    }
}

impl TargetControl {
    /// Helps, or tells of, shrinks that are held up for long.
    pub(super) fn watch_shrinks(&mut self, now: Timestamp, batch: &mut Batch) -> Vec<Effect> {
        if self.history.status().0 != TargetStatus::Up {
            return Vec::new();
        }
        let mut effects = Vec::new();
        for (setting, mut shrunk) in std::mem::take(&mut self.shrinks.0) {
            // Another size, by whomever, makes this one a thing of the past.
            if self.size_of(&setting) != Some(shrunk.size) {
                continue;
            }
            shrunk.excess = self.excess(&setting, shrunk.size);
            let held_up = !shrunk.excess.is_empty();
            shrunk.held_up_since = held_up.then(|| shrunk.held_up_since.unwrap_or(now));
            let long = shrunk.held_up_since.is_some_and(|since| now.since(since) >= HELD_UP);
            if long && shrunk.is_due(now) {
                effects.extend(self.help(&setting, &mut shrunk, now, batch));
            }
            self.shrinks.0.insert(setting, shrunk);
        }
        effects
    }

    /// Counts the servers beyond size and reserve, by database, where clients wait.
    fn excess(&self, setting: &Setting, size: PoolSize) -> BTreeMap<Arc<str>, u32> {
        let mut excess = BTreeMap::new();
        let Some(latest) = self.history.latest() else { return excess };
        for row in latest.pools.iter().filter(|row| row.cl_waiting > 0) {
            let most = size.get().saturating_add(latest.reserve_of(&row.key));
            let more = row.servers().saturating_sub(most);
            if more > 0 && self.history.scope_of(&row.key) == setting.scope {
                *excess.entry(Arc::clone(&row.key.database)).or_default() += more;
            }
        }
        excess
    }

    fn help(
        &self,
        setting: &Setting,
        shrunk: &mut Shrunk,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Option<Effect> {
        let allowed = self.facts.limits.reconnect && self.mode == Mode::Enforce;
        let facts = self.guard_facts(setting, self.mode, now);
        let may = facts.not_actionable.is_none() && facts.writer.is_none();
        let may = may && (facts.held.is_none() || shrunk.measured == Measured::Nothing);
        let commands = commands(shrunk.excess.keys());
        let more: u32 = shrunk.excess.values().sum();
        let why = format!("queueing clients keep {more} servers open beyond {}", shrunk.size);
        let status = shrunk.settled.unwrap_or_else(|| self.status_of(setting, shrunk.id));
        let transition = |note| Transition { id: shrunk.id, at: now, status, note };
        if !allowed || !may {
            // A configuration stays; a pause, another sidecar and what is out of reach may not.
            shrunk.retry_at = allowed.then(|| now.plus(RETRY));
            if std::mem::replace(&mut shrunk.state, State::Told) == State::Watched {
                let note =
                    format!("{why}; {commands} would close them (limits.reconnect allows it)");
                batch.transitions.push(transition(note));
            }
            return None;
        }
        shrunk.state = State::Sent;
        let intent = Batch {
            transitions: vec![transition(format!("{why}: sending {commands}"))],
            ..Batch::default()
        };
        Some(Effect::Reconnect(Box::new(Reconnect {
            id: shrunk.id,
            target: self.facts.name.clone(),
            databases: shrunk.excess.keys().cloned().collect(),
            setting: setting.clone(),
            size: shrunk.size,
            until: now.plus(self.facts.limits.data_age_max),
            intent,
        })))
    }

    /// Records what came of a `RECONNECT`.
    pub fn reconnected(
        &mut self,
        id: DecisionId,
        sent: &Result<(), String>,
        now: Timestamp,
    ) -> Vec<Effect> {
        let Some((setting, shrunk)) = self.shrinks.shrunk_of(id) else { return Vec::new() };
        let note = match sent {
            Ok(()) => {
                "PgBouncer reconnects: servers beyond the size close as they are released".into()
            }
            Err(why) => {
                (shrunk.state, shrunk.retry_at) = (State::Told, Some(now.plus(RETRY)));
                format!("RECONNECT failed: {why}")
            }
        };
        let (setting, settled) = (setting.clone(), shrunk.settled);
        let status = settled.unwrap_or_else(|| self.status_of(&setting, id));
        let transitions = vec![Transition { id, at: now, status, note }];
        vec![Effect::Record(Box::new(Batch { transitions, ..Batch::default() }))]
    }

    /// Tells of shrinks that are held up and are not helped.
    pub(super) fn shrinks_held_up(&self) -> impl Iterator<Item = Proposal> {
        let told = |shrunk: &&Shrunk| shrunk.state == State::Told && !shrunk.excess.is_empty();
        self.shrinks.0.iter().filter(move |(_, shrunk)| told(shrunk)).map(|(setting, shrunk)| {
            let more: u32 = shrunk.excess.values().sum();
            let summary = format!(
                "{} is {}, but queueing clients keep {more} more servers open; to close them as they \
                 are released: {}",
                setting.words(),
                shrunk.size,
                commands(shrunk.excess.keys())
            );
            let name = "servers_beyond_size".to_owned();
            let evidence = vec![Evidence { name, value: f64::from(more) }];
            let subject = Subject::Scope(setting.scope.clone());
            let alert =
                host_alert("shrink-held-up", subject, Severity::Info, summary, evidence);
            with_runbook(alert, "docs/runbooks/shrink-held-up.md")
        })
    }
}

/// Writes the commands as a person would send them.
fn commands<'a>(databases: impl Iterator<Item = &'a Arc<str>>) -> String {
    let names: BTreeSet<String> =
        databases.map(|name| format!("RECONNECT \"{}\"", name.replace('"', "\"\""))).collect();
    names.into_iter().collect::<Vec<_>>().join("; ")
}
