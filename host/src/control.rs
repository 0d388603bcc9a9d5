//! Carries values from stage to stage: events in, effects out.
//!
//! One task owns this state. `apply` is synchronous and does no I/O, so that every order of events
//! can be tried in a test, and so that nothing can happen in the middle of a decision. Events from
//! outside become rows in a queue; they never act by themselves.

mod advice;
mod alerts;
mod approval;
mod budget;
mod cause;
mod contest;
mod decide;
mod drift;
mod effect;
mod events;
mod going_back;
mod host;
mod ledger;
mod orders;
mod record;
mod scope;
mod sessions;
mod shadow;
mod shrink;
mod silences;
mod takeover;
mod target;
mod view;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use uuid::Uuid;

pub use crate::history::PoolView;
use crate::model::{DecisionId, Silence, Snapshot, TargetName, Timestamp};
use crate::record::Batch;
use alerts::Anew;
pub use effect::LastChange;
pub use events::{
    Acted, Ages, Answer, Effect, EndSession, Event, Heard, Memories, Reconnect, Replayable, Resize,
};
pub use ledger::{Account, Doubt};
pub use orders::{Order, OrderRefusal, TheirSizes};
pub use shadow::{Difference, ShadowView};
use silences::SilenceBook;
pub use silences::SilenceRefusal;
use target::TargetControl;
pub use target::{HandBack, Known, TargetSetup};
pub use view::{AdviceView, AlertView, ScopeView, TargetView, View, WriterView};
pub use writer::Role;

/// Makes identities; passed in because randomness is not pure.
pub type Ids = Box<dyn FnMut(Timestamp) -> Uuid + Send>;

/// One event's moment, and where identities of that moment come from.
struct Turn<'a> {
    now: Timestamp,
    ids: &'a mut Ids,
}

impl Turn<'_> {
    fn uuid(&mut self) -> Uuid {
        (self.ids)(self.now)
    }

    fn decision_id(&mut self) -> DecisionId {
        DecisionId(self.uuid())
    }
}

/// The state of the whole loop.
pub struct Control {
    targets: BTreeMap<TargetName, TargetControl>,
    silences: SilenceBook,
    ids: Ids,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("targets", &self.targets.keys()).finish_non_exhaustive()
    }
}

impl Control {
    /// Makes the state from what is configured and what the store knows.
    pub fn new(targets: Vec<TargetSetup>, ids: Ids) -> Self {
        let targets = targets
            .into_iter()
            .map(|setup| (setup.facts.name.clone(), TargetControl::new(setup)))
            .collect();
        Self { targets, silences: SilenceBook::default(), ids }
    }

    /// Takes over the silences that the store knows.
    #[must_use]
    pub fn with_silences(mut self, silences: Vec<Silence>, now: Timestamp) -> Self {
        self.silences = SilenceBook::new(silences, now);
        self.mute(Anew::All);
        self
    }

    /// Takes in an event and says what is to be done, in this order.
    pub fn apply(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let expired = self.silences.expire(now);
        let silenced = |order: &Order| matches!(order, Order::Silence(_));
        let changed = matches!(
            &event,
            Event::OrderKept { order, kept: Ok(()) } if silenced(order)
        );
        self.targets.values_mut().for_each(|target| target.expire_hold(now));
        let mut effects = self.take(event, now);
        self.mute(if expired || changed { Anew::All } else { Anew::Unmatched });
        effects.extend(self.targets.values_mut().filter_map(|target| target.announcement(now)));
        effects
    }

    fn mute(&mut self, anew: Anew) {
        for target in self.targets.values_mut() {
            target.mute(&self.silences, anew);
        }
    }

    /// Reckons what PostgreSQL can take from a target's pools, at the beginning of its turn.
    fn balance(&mut self, name: &TargetName, now: Timestamp) {
        let account = ledger::account(&self.targets, name, now);
        let doubt = ledger::doubt(&self.targets, name, now);
        if let Some(target) = self.targets.get_mut(name) {
            target.account = account;
            target.note_doubt(doubt);
        }
    }

    /// Takes in a poll, and gives back what PostgreSQL cannot take, whosever it is.
    fn polled(&mut self, name: &TargetName, snapshot: Snapshot, now: Timestamp) -> Vec<Effect> {
        let Some(target) = self.targets.get_mut(name) else { return Vec::new() };
        target.see(snapshot, now);
        self.balance(name, now);
        let turn = &mut Turn { now, ids: &mut self.ids };
        let target = self.targets.get_mut(name);
        let own = |target: &mut TargetControl| {
            let mut effects = target.polled(turn);
            effects.extend(target.go_back(turn));
            effects
        };
        let mut effects = target.map(own).unwrap_or_default();
        effects.extend(ledger::give_back(&mut self.targets, name, turn));
        effects
    }

    /// Asks every target for its part, one after the other: each may take what the others leave.
    fn one_by_one(
        &mut self,
        now: Timestamp,
        part: impl Fn(&mut TargetControl, &mut Turn<'_>) -> Vec<Effect>,
    ) -> Vec<Effect> {
        let names: Vec<TargetName> = self.targets.keys().cloned().collect();
        let mut effects = Vec::new();
        for name in names {
            self.balance(&name, now);
            let turn = &mut Turn { now, ids: &mut self.ids };
            let target = self.targets.get_mut(&name);
            effects.extend(target.map(|target| part(target, turn)).unwrap_or_default());
        }
        effects
    }

    fn take(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let event = match event {
            Event::Polled { target, snapshot } => return self.polled(&target, snapshot, now),
            Event::Stopping => return self.one_by_one(now, TargetControl::stop),
            Event::Evaluated { ref target, .. } | Event::Acted { ref target, .. } => {
                self.balance(target, now);
                event
            }
            Event::OrderKept { .. } => {
                let names: Vec<TargetName> = self.targets.keys().cloned().collect();
                names.iter().for_each(|name| self.balance(name, now));
                event
            }
            other => other,
        };
        let turn = &mut Turn { now, ids: &mut self.ids };
        match event {
            Event::Attended { target, peers, every } => {
                self.targets.get_mut(&target).map(|t| t.attended(&peers, every, now))
            }
            Event::PollFailed { target, kind, problem } => {
                self.targets.get_mut(&target).map(|t| t.poll_failed(kind, problem, now))
            }
            Event::Evaluated { target, results } => {
                self.targets.get_mut(&target).map(|t| t.evaluated(&results, turn))
            }
            Event::EvaluationDied { target } => {
                self.targets.get_mut(&target).map(|t| t.evaluation_died(now))
            }
            Event::Sent { id, commands, .. } => Some(vec![record::sent(id, &commands, now)]),
            Event::Reached { target, reach } => {
                if let Some(target) = self.targets.get_mut(&target) {
                    target.reached(reach);
                }
                None
            }
            Event::Acted { target, id, acted } => self.targets.get_mut(&target).map(|t| {
                let mut effects = t.acted(id, &acted, now);
                effects.extend(t.go_back(turn));
                effects
            }),
            Event::Looked { target, look } => {
                self.targets.get_mut(&target).map(|t| t.looked(look.map(|look| *look), now))
            }
            Event::Ended { target, id, ended } => {
                self.targets.get_mut(&target).map(|t| t.ended(id, &ended, now))
            }
            Event::Reconnected { target, id, sent } => {
                self.targets.get_mut(&target).map(|t| t.reconnected(id, &sent, now))
            }
            Event::Ordered(order) => Some(vec![self.ordered(*order, now)]),
            Event::OrderKept { order, kept } => Some(self.order_kept(*order, kept, now)),
            Event::Polled { .. } | Event::Stopping => None,
        }
        .unwrap_or_default()
    }

    /// Gives the finished history buckets of every target, for the store.
    pub fn take_buckets(&mut self) -> Vec<(TargetName, Vec<PoolBucket>)> {
        let targets = self.targets.iter_mut();
        targets.map(|(name, target)| (name.clone(), target.history.take_buckets())).collect()
    }

    /// Gives how far pending alerts have come, for the store.
    pub fn pending_alerts(&mut self, now: Timestamp) -> Batch {
        let targets = self.targets.iter_mut();
        let alerts = targets.flat_map(|(name, target)| target.alerts.pending_changes(name, now));
        Batch { alerts: alerts.collect(), ..Batch::default() }
    }

    /// Gives what the policies remember, for the store.
    pub fn memories(&self) -> Vec<crate::record::Memory> {
        self.targets.iter().flat_map(|(name, target)| target.memory_rows(name)).collect()
    }

    fn view_of(&self, target: &TargetControl, now: Timestamp) -> TargetView {
        let name = &target.facts.name;
        let budget = ledger::account(&self.targets, name, now);
        let doubt = ledger::doubt(&self.targets, name, now);
        TargetView { budget, doubt, ..target.view(now) }
    }

    /// Shows everything at one moment.
    pub fn view(&self, now: Timestamp) -> View {
        View {
            at: now,
            targets: self.targets.values().map(|target| self.view_of(target, now)).collect(),
            silences: self.silences.holding().filter(|one| one.holds(now)).cloned().collect(),
        }
    }
}

/// A history bucket with its pool.
pub type PoolBucket = (crate::model::PoolKey, crate::history::Bucket);
