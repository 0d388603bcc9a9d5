//! One target's part of the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::advice::AdviceBook;
use super::alerts::{AlertBook, Anew, Sight};
use super::contest::Contest;
use super::decide::Said;
use super::effect::EffectBook;
use super::ledger::{Account, Bracket, Doubt};
use super::record::{is_empty, memories};
use super::scope::{Afterwards, InFlight, Measured, ScopeControl};
use super::sessions::SessionBook;
use super::shadow::ShadowBook;
use super::shrink::ShrinkBook;
use super::silences::SilenceBook;
use super::writer::Writer;
use super::{Acted, Effect, Heard, Memories, Turn};
use crate::history::{History, Spans, TargetFacts};
use crate::model::{
    Claim, Decision, DecisionId, EffectLimits, Hold, Kind, Mode, PolicyName, PoolSize, Proposal,
    Reach, SessionLimits, Setting, Snapshot, Status, TargetName, TargetStatus, Theirs, Timestamp,
    Told, Transition,
};
use crate::record::{Batch, EffectState, Memory, ScopeState, StoredAlert};

/// What control starts a target with.
#[derive(Debug)]
pub struct TargetSetup {
    /// Name, labels, limits.
    pub facts: TargetFacts,
    /// The operator's mode.
    pub mode: Mode,
    /// Spans of the history.
    pub spans: Spans,
    /// How what a change does is measured.
    pub effect: EffectLimits,
    /// What is done about single sessions.
    pub sessions: SessionLimits,
    /// Whether sizes are handed back when the sidecar stops.
    pub hand_back: HandBack,
    /// How long what a person has rejected is not said again.
    pub rejected_for: Duration,
    /// What the store knows.
    pub known: Known,
    /// How often PostgreSQL is to be looked at; `None` where it is not.
    pub looks_every: Option<Duration>,
    /// This sidecar's own instance, where it may act; it first looks who else does.
    pub instance: Option<Uuid>,
}

/// What becomes of the sizes when the sidecar stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandBack {
    /// They stay.
    Keep,
    /// They go back to the file's values.
    HandBack,
}

/// What the store knows of a target from before.
#[derive(Debug, Default)]
pub struct Known {
    /// Size scopes.
    pub scopes: Vec<ScopeState>,
    /// Alerts that are not over.
    pub alerts: Vec<StoredAlert>,
    /// Standing advice.
    pub advice: Vec<Decision>,
    /// What the policies remember.
    pub memories: Vec<Memory>,
    /// What the last changes did.
    pub effects: Vec<EffectState>,
    /// Intents whose outcome nobody recorded.
    pub unsettled: Vec<Decision>,
    /// Changes of sizes within the last hour, with when each came into force.
    pub changes: Vec<(Decision, Timestamp)>,
    /// A person's word that nothing is to be changed.
    pub hold: Option<Hold>,
    /// What people have rejected, and when.
    pub rejected: Vec<(Decision, Timestamp)>,
    /// The moment of the start.
    pub now: Timestamp,
}

/// The state of one target.
#[derive(Debug)]
pub(super) struct TargetControl {
    pub facts: TargetFacts,
    pub mode: Mode,
    pub hand_back: HandBack,
    spans: Spans,
    pub history: History,
    pub scopes: BTreeMap<Setting, ScopeControl>,
    pub alerts: AlertBook,
    pub advice: AdviceBook,
    pub contest: Contest,
    pub shadows: ShadowBook,
    /// What was last said about a scope by a policy, so that a repetition is not recorded.
    pub said: BTreeMap<(PolicyName, Setting), Said>,
    /// A person's word that nothing is to be changed.
    pub hold: Option<Hold>,
    /// How long what a person has rejected is not said again.
    pub rejected_for: Duration,
    pub problem: Option<(&'static str, String)>,
    /// Which settings can be acted on; `None` until that was looked at.
    pub reach: Option<Arc<Reach>>,
    pub restarted: Option<Timestamp>,
    pub sessions: SessionBook,
    /// What changes did.
    pub effects: EffectBook,
    /// Shrinks that may be held up by queueing clients.
    pub shrinks: ShrinkBook,
    unsettled: Vec<Unsettled>,
    /// Ends of sessions that were begun before the start.
    lost: Vec<DecisionId>,
    memories: Memories,
    evaluation: Evaluation,
    /// What the policies that are being asked can see.
    pub sight: Sight,
    /// How often PostgreSQL is to be looked at; `None` where it is not.
    pub looks_every: Option<Duration>,
    /// Servers around the looks at PostgreSQL.
    pub servers: Bracket,
    /// What PostgreSQL can take, as of this turn.
    pub account: Option<Account>,
    /// Why that is not known, if it is not.
    pub doubt: Option<Doubt>,
    /// Connections that the pools that lead there needed lately.
    pub demand: u32,
    /// When a size was last given back for want of connections.
    pub gave_back: Option<Timestamp>,
    /// Who acts on this PgBouncer.
    pub writer: Writer,
    /// What this sidecar last said of itself on the console.
    pub announced: Option<(Claim, Told)>,
    /// Sizes that were a person's for the sidecar before, until sizes are known.
    pub inherited: Theirs,
}

/// A change of which nobody knows whether PgBouncer took it.
#[derive(Debug, Clone)]
struct Unsettled {
    id: DecisionId,
    setting: Setting,
    at: Timestamp,
    from: Option<PoolSize>,
    to: Option<PoolSize>,
    afterwards: Afterwards,
    measured: Measured,
    /// Whether it is among the changes that the store knows.
    is_counted: bool,
    /// The change as it was sent; `None` after a restart of the sidecar.
    flight: Option<InFlight>,
}

/// Whether the policies are being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evaluation {
    Idle,
    Running,
    /// News came in meanwhile: ask again at once.
    Again,
}

impl TargetControl {
    pub fn new(setup: TargetSetup) -> Self {
        let mut known = setup.known;
        let is_end = |decision: &mut Decision| decision.kind() == Kind::EndSession;
        let lost = known.unsettled.extract_if(.., is_end).map(|decision| decision.id).collect();
        let scope = |state: &ScopeState| {
            let is_of = |one: &Decision| matches!(&one.proposal, Proposal::Resize { setting, .. } if *setting == state.setting);
            let changes = known.changes.iter().filter(|(one, _)| is_of(one)).map(|(_, at)| *at);
            (state.setting.clone(), ScopeControl::known(state, changes, known.now))
        };
        let scopes = known.scopes.iter().map(scope).collect();
        let mut shrinks = ShrinkBook::default();
        shrinks.recall(&known.changes);
        Self {
            history: History::new(setup.facts.clone(), setup.spans),
            facts: setup.facts,
            mode: setup.mode,
            hand_back: setup.hand_back,
            spans: setup.spans,
            scopes,
            alerts: AlertBook::new(known.alerts, known.now),
            advice: AdviceBook::new(known.advice, known.now)
                .with_rejected(rejected(known.rejected, setup.rejected_for)),
            hold: known.hold,
            rejected_for: setup.rejected_for,
            contest: Contest::default(),
            shadows: ShadowBook::default(),
            said: BTreeMap::new(),
            problem: None,
            reach: None,
            restarted: None,
            sessions: SessionBook::new(setup.sessions),
            effects: EffectBook::new(setup.effect, known.effects, known.now),
            shrinks,
            unsettled: known.unsettled.iter().filter_map(Unsettled::of).collect(),
            lost,
            memories: memories(known.memories),
            evaluation: Evaluation::Idle,
            sight: Sight::of(0),
            looks_every: setup.looks_every,
            servers: Bracket::default(),
            account: None,
            doubt: None,
            demand: 0,
            gave_back: None,
            writer: Writer::new(setup.instance),
            announced: None,
            inherited: Theirs::default(),
        }
    }

    /// Takes in what a poll saw; what follows from it comes with [`TargetControl::polled`].
    pub fn see(&mut self, mut snapshot: Snapshot, now: Timestamp) {
        self.problem = None;
        self.believe(&mut snapshot);
        self.servers.note(&snapshot, now);
        self.history.absorb(snapshot);
    }

    pub fn polled(&mut self, turn: &mut Turn<'_>) -> Vec<Effect> {
        let now = turn.now;
        let mut batch = self.settle(now);
        self.settle_lost(now, &mut batch);
        let mut effects = self.reconcile(turn, &mut batch);
        effects.extend(self.weigh(turn, &mut batch));
        effects.extend(self.watch_shrinks(now, &mut batch));
        self.tell(turn, &mut batch);
        if !is_empty(&batch) {
            effects.insert(0, Effect::Record(Box::new(batch)));
        }
        effects.extend(self.ask(now));
        effects
    }

    pub fn poll_failed(
        &mut self,
        kind: &'static str,
        problem: String,
        now: Timestamp,
    ) -> Vec<Effect> {
        self.problem = Some((kind, problem));
        self.history.fail(now);
        let mut effects = Vec::new();
        if self.is_away(now) {
            let batch = self.give_up_trials("the target went away before it could be told", now);
            effects.extend(record(batch));
        }
        effects.extend(self.ask(now));
        effects
    }

    pub fn evaluated(&mut self, results: &[Heard], turn: &mut Turn<'_>) -> Vec<Effect> {
        let again = self.evaluation == Evaluation::Again;
        self.evaluation = Evaluation::Idle;
        for result in results {
            if let Some(answer) = &result.answer {
                self.memories.insert(result.policy.clone(), Arc::clone(&answer.memory));
            }
        }
        let mut effects = self.decide(results, turn);
        if again {
            effects.extend(self.ask(turn.now));
        }
        effects
    }

    /// Goes on after an evaluation that ended without an answer, through a defect of the host.
    pub fn evaluation_died(&mut self, now: Timestamp) -> Vec<Effect> {
        let again = self.evaluation == Evaluation::Again;
        self.evaluation = Evaluation::Idle;
        if again { self.ask(now) } else { Vec::new() }
    }

    pub fn acted(&mut self, id: DecisionId, acted: &Acted, now: Timestamp) -> Vec<Effect> {
        let name = self.facts.name.clone();
        let read = self.history.latest().map(|latest| latest.sizes_at);
        let Some((key, scope)) =
            self.scopes.iter_mut().find(|(_, s)| s.in_flight.is_some_and(|f| f.id == id))
        else {
            return Vec::new();
        };
        let Some(flight) = scope.in_flight.take() else { return Vec::new() };
        if !matches!(acted, Acted::NotRecorded(_)) {
            scope.note_sent(flight.size, *acted == Acted::Verified, read, now);
        }
        let setting = key.clone();
        let mut batch = Batch::default();
        if let Acted::NotInForce(None) = acted {
            scope.changed(now);
            self.unsettled.push(Unsettled::of_flight(setting, &flight, now));
        } else {
            let (status, note) = outcome(acted, flight.size.get());
            match acted {
                Acted::Failed(_) | Acted::NotRecorded(_) => scope.failed(now),
                _ => scope.changed(now),
            }
            if status == Status::Applied {
                scope.brought(flight.size, flight.afterwards);
            }
            // One that could not be recorded may be in the store: an approved decision was before.
            batch.transitions.push(Transition { id, at: now, status, note });
            if !matches!(acted, Acted::NotRecorded(_)) {
                batch.scopes.push(scope.state(&name, key, now));
            }
            if status == Status::Applied {
                self.in_force(&setting, &flight, now, &mut batch);
                self.shrinks.note(&setting, &flight);
            }
        }
        record(batch).into_iter().collect()
    }

    /// Ends what is being measured, and hands sizes back if it should.
    pub fn stop(&mut self, turn: &mut Turn<'_>) -> Vec<Effect> {
        let why = "Poolwarden stopped before it could be told";
        let trials = self.give_up_trials(why, turn.now);
        let take_backs = self.give_up_take_backs("Poolwarden stopped before it was", turn.now);
        let mut effects: Vec<Effect> =
            record(trials).into_iter().chain(record(take_backs)).collect();
        effects.extend(self.hand_back(turn));
        effects
    }

    pub fn memory_rows(&self, target: &TargetName) -> Vec<Memory> {
        let row = |(policy, blob): (&PolicyName, &Arc<[u8]>)| Memory {
            policy: policy.clone(),
            target: target.clone(),
            blob: blob.to_vec(),
        };
        self.memories.iter().map(row).collect()
    }

    /// Looks up which silences mute which alerts.
    pub fn mute(&mut self, silences: &SilenceBook, anew: Anew) {
        self.alerts.match_silences(silences, (&self.facts.name, &self.facts.labels), anew);
    }

    /// Ends the state of policies that are no longer heard, or no longer twins.
    pub fn forget_others(&mut self, heard: &BTreeSet<PolicyName>, twins: &BTreeSet<PolicyName>) {
        self.said.retain(|(policy, _), _| heard.contains(policy));
        self.contest.keep_policies(heard);
        self.shadows.keep_policies(heard, twins);
    }

    pub fn ask(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.evaluation != Evaluation::Idle {
            self.evaluation = Evaluation::Again;
            return Vec::new();
        }
        let Some(mut window) = self.history.window(now) else { return Vec::new() };
        self.show_reach(&mut window);
        self.show_changes(&mut window, now);
        self.show_sessions(&mut window, now);
        self.show_share(&mut window);
        self.evaluation = Evaluation::Running;
        let old = window.target.data_age > self.spans.stale_after;
        let blind = old || window.target.status == TargetStatus::Down;
        self.sight = Sight { blind, ..Sight::of(window.pool_keys.len()) };
        vec![Effect::Evaluate {
            target: self.facts.name.clone(),
            window: Box::new(window),
            memories: self.memories.clone(),
        }]
    }

    /// Closes what was begun before the start: a session that was to be ended cannot be told from
    /// another one any more.
    fn settle_lost(&mut self, now: Timestamp, batch: &mut Batch) {
        let unknown = |id| Transition {
            id,
            at: now,
            status: Status::Failed,
            note: "settled afterwards: the sidecar stopped before it knew what came of it".into(),
        };
        batch.transitions.extend(self.lost.drain(..).map(unknown));
    }

    /// Settles changes without an outcome by what is in force now: after a crash between intent and
    /// outcome, or when PgBouncer went away in the middle of a change.
    fn settle(&mut self, now: Timestamp) -> Batch {
        let mut batch = Batch::default();
        let mut open = std::mem::take(&mut self.unsettled);
        while let Some(first) = open.first() {
            let setting = first.setting.clone();
            let of_it: Vec<_> = open.extract_if(.., |one| one.setting == setting).collect();
            match self.size_of(&setting).filter(|_| self.is_fresh(&setting)) {
                Some(current) => self.settle_one(&setting, current, of_it, now, &mut batch),
                None => self.unsettled.extend(of_it),
            }
        }
        batch
    }

    fn settle_one(
        &mut self,
        setting: &Setting,
        current: PoolSize,
        open: Vec<Unsettled>,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        let newest = open.last().map(|open| open.id);
        for open in open {
            let in_force = open.to == Some(current) && Some(open.id) == newest;
            let (status, note) = match (in_force, Some(open.id) == newest) {
                (true, _) => (Status::Applied, "settled afterwards: the size is in force"),
                (false, true) => (Status::Failed, "settled afterwards: the size is not in force"),
                (false, false) => (Status::Superseded, "settled afterwards: a newer one followed"),
            };
            let transition =
                |status, note: &str| Transition { id: open.id, at: now, status, note: note.into() };
            batch.transitions.push(transition(status, note));
            if in_force {
                let note =
                    "nobody measured what it did: the sidecar was not there, or did not know";
                batch.transitions.push(transition(Status::Inconclusive, note));
            }
            let first = ScopeControl::first_seen(open.from.unwrap_or(current));
            let scope = self.scopes.entry(setting.clone()).or_insert(first);
            if in_force {
                scope.brought(current, open.afterwards);
                // One that was sent since the start, or came into force before it, is counted already.
                if open.flight.is_none() && !open.is_counted {
                    scope.changed(open.at);
                }
            }
            batch.scopes.push(scope.state(&self.facts.name, setting, now));
            match &open.flight {
                _ if !in_force => {}
                Some(flight) => self.shrinks.note(setting, flight),
                None => self.shrinks.recall_one(setting, open.id, (open.from, current), status),
            }
            let is_new = in_force && open.measured == Measured::Effect;
            if let Some(from) = open.from.filter(|from| is_new && *from != current) {
                self.not_measured(setting, (open.id, from, current), now, batch);
            }
        }
    }
}

impl Unsettled {
    fn of(decision: &Decision) -> Option<Self> {
        let Proposal::Resize { setting, .. } = &decision.proposal else { return None };
        Some(Self {
            id: decision.id,
            setting: setting.clone(),
            at: decision.at,
            from: decision.size_from,
            to: decision.size_to,
            afterwards: Afterwards::KeepUp,
            measured: Measured::of(&decision.origin),
            is_counted: decision.status == Status::Applied,
            flight: None,
        })
    }

    fn of_flight(setting: Setting, flight: &InFlight, at: Timestamp) -> Self {
        let InFlight { id, from, size, afterwards, measured, .. } = *flight;
        let flight = Some(*flight);
        let (to, is_counted) = (Some(size), true);
        Self { id, setting, at, from, to, afterwards, measured, is_counted, flight }
    }
}

/// Puts rows into the store, if there are any.
fn record(batch: Batch) -> Option<Effect> {
    (!is_empty(&batch)).then(|| Effect::Record(Box::new(batch)))
}

/// Says until when what was rejected is not said again.
fn rejected(known: Vec<(Decision, Timestamp)>, span: Duration) -> Vec<(Decision, Timestamp)> {
    known.into_iter().map(|(decision, at)| (decision, at.plus(span))).collect()
}

fn outcome(acted: &Acted, wanted: u32) -> (Status, String) {
    match acted {
        Acted::Verified => (Status::Applied, format!("read back: {wanted} is in force")),
        Acted::NotInForce(Some(read)) => {
            (Status::Failed, format!("read back: {read} is in force instead of {wanted}"))
        }
        Acted::NotInForce(None) => (Status::Failed, "the size could not be read back".into()),
        Acted::Failed(why) | Acted::NotRecorded(why) => (Status::Failed, why.clone()),
    }
}
