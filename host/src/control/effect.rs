//! What a change did: measured, judged, and taken back when it did harm.
//!
//! A change that was read back is on trial. Its setting has one trial at a time; a growth may extend a
//! growth only when what was seen so far is a gain, so that a slow database is never more than one
//! step above the size at which its throughput peaks.

mod book;
mod judge;
mod trial;

use std::time::Duration;

pub(super) use book::EffectBook;
pub use book::LastChange;
use book::{Past, Record};
use judge::{Baseline, Course, Finding, Moment};
use trial::{CHART_AFTER, TakeBack, Trial};

use super::drift::OwnChange;
use super::going_back::reaching;
use super::scope::{Afterwards, InFlight, Measured};
use super::target::TargetControl;
use super::{Effect, Turn};
use crate::guard::{Facts, Hindrance, Purpose, Room, judge as guard};
use crate::model::{
    DecisionId, Knob, Outcome, PoolSize, Rule, Setting, Status, TargetStatus, Timestamp,
    Transition, Verdict, Window, Word,
};
use crate::record::{Batch, EffectState};

/// How long a target may stay away before a trial of it ends.
const AWAY_MAX: Duration = Duration::from_secs(2);
/// How long a roll-back is tried at the least, however short the wait after it is.
const TRIED_LEAST: Duration = Duration::from_secs(60);
/// For so many windows later growths are compared with the first of a row: what transactions took
/// earlier than that may have been another load's.
const CLIMB_WINDOWS: u32 = 12;
/// By how much the wait after a roll-back may grow.
const REPEATS_MAX: u32 = 3;

impl TargetControl {
    /// Goes on with a change that was read back.
    pub(super) fn in_force(
        &mut self,
        setting: &Setting,
        flight: &InFlight,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        let record = self.effects.record(setting);
        let taken_back = record.take_back.take_if(|one| one.sent == Some(flight.id));
        let running = record.trial.take();
        let grows = flight.from.is_some_and(|from| flight.size > from);
        if let Some(running) = &running {
            let further = if grows { running.may_go_on() } else { running.may_shrink_on() };
            let extends = flight.measured == Measured::Effect && further;
            let (status, words) = if extends {
                let words = format!(
                    "all is well so far ({}); decision {} goes on",
                    running.words(),
                    flight.id
                );
                (Status::Superseded, words)
            } else {
                let words =
                    format!("decision {} set {} before it could be told", flight.id, flight.size);
                (Status::Inconclusive, words)
            };
            self.conclude(setting, running, status, &words, now, batch);
        }
        if !grows || taken_back.is_some() {
            self.effects.record(setting).climb = None;
        }
        if let Some(one) = taken_back {
            self.note_past(setting, one.id, batch);
        }
        let Some(from) = flight.from.filter(|_| flight.measured == Measured::Effect) else {
            let note = "it is as it was before; there is nothing to be measured".to_owned();
            let (id, status) = (flight.id, Status::Verified);
            batch.transitions.push(Transition { id, at: now, status, note });
            return;
        };
        let limits = *self.effects.limits();
        let is_young =
            |climb: &Baseline| now.since(climb.at) <= limits.window.saturating_mul(CLIMB_WINDOWS);
        let climb = self.effects.record(setting).climb.take().filter(is_young).filter(|_| grows);
        let earlier = running.as_ref().filter(|one| one.may_go_on());
        let step = self.facts.limits.step_up;
        let trial = Trial::begin(
            &self.history,
            setting,
            (flight, from),
            earlier,
            climb,
            (&limits, step),
            now,
        );
        let had = trial.had();
        let first = trial.climb.as_ref().map_or(had, |climb| climb.size);
        self.effects.record(setting).climb.clone_from(&trial.climb);
        if setting.knob == Knob::PoolSize {
            self.history.clip(&setting.scope, [had, first]);
        }
        self.history.cut(&setting.scope);
        batch.effects.push(trial.report(&self.history, setting, now));
        self.effects.record(setting).trial = Some(trial);
    }

    /// Judges what is on trial, takes back what did harm, and completes charts.
    pub(super) fn weigh(&mut self, turn: &mut Turn<'_>, batch: &mut Batch) -> Vec<Effect> {
        let now = turn.now;
        self.note_calm(now, batch);
        for setting in self.effects.on_trial() {
            let Some(trial) = self.effects.record(&setting).trial.take() else { continue };
            if let Some(why) = self.disturbed(&setting, &trial) {
                self.conclude(&setting, &trial, Status::Inconclusive, &why, now, batch);
            } else {
                self.weigh_one(&setting, trial, now, batch);
            }
        }
        for (setting, report) in self.effects.due_charts(now) {
            let series =
                self.history.points(&setting.scope, report.began.minus(trial::CHART_BEFORE), now);
            batch.effects.push(crate::model::EffectReport { series, ..report });
        }
        let settings = self.effects.to_take_back();
        settings.iter().filter_map(|setting| self.send_take_back(setting, turn, batch)).collect()
    }

    fn weigh_one(
        &mut self,
        setting: &Setting,
        mut trial: Trial,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        let limits = *self.effects.limits();
        trial.settle(&mut self.history, setting);
        let moment = match now {
            now if now >= trial.began.plus(limits.window) => Moment::Last,
            now if now >= trial.due => Moment::Due,
            _ => Moment::Early,
        };
        let finding =
            trial.weigh(&self.history, setting, (&limits, self.facts.limits.step_up), now, moment);
        let in_flight = self.scopes.get(setting).is_some_and(|scope| scope.in_flight.is_some());
        match finding {
            // A change under way may be in force already without our knowing: nothing is judged now.
            _ if in_flight => self.effects.record(setting).trial = Some(trial),
            Finding::Open(_) | Finding::Gain(_) | Finding::Part(_) => {
                self.effects.record(setting).trial = Some(trial);
            }
            Finding::Good(words) => {
                self.conclude(setting, &trial, Status::Verified, &words, now, batch);
            }
            Finding::Unclear(words) => {
                self.conclude(setting, &trial, Status::Inconclusive, &words, now, batch);
            }
            Finding::Unneeded(words) => {
                self.conclude(setting, &trial, Status::Inconclusive, &words, now, batch);
                let freed = self.effects.record(setting).free_growth();
                batch.effect_states.extend(freed.map(|past| self.effect_state(setting, &past)));
            }
            Finding::Incomparable(words) => {
                self.conclude(setting, &trial, Status::Inconclusive, &words, now, batch);
                self.forgive(setting, batch);
            }
            Finding::Harm(words) => {
                let to = trial.from;
                self.condemn(setting, &trial, to, &words, (now, batch));
            }
            Finding::HarmOfAll(words) => {
                let first = trial.climb.as_ref().map_or(trial.from.get(), |climb| climb.set);
                let to = PoolSize::of(setting.knob, first).unwrap_or(trial.from);
                self.condemn(setting, &trial, to, &words, (now, batch));
            }
        }
    }

    /// Says what makes a trial worthless, if something does.
    fn disturbed(&self, setting: &Setting, trial: &Trial) -> Option<String> {
        if self.history.status().0 == TargetStatus::Paused {
            return Some("the target was paused before it could be told".to_owned());
        }
        if self.history.restarted().is_some_and(|at| at > trial.began) {
            return Some("PgBouncer started anew before it could be told".to_owned());
        }
        let scope = self.scopes.get(setting)?;
        if scope.stood_down.is_some() {
            return Some("a person set another size before it could be told".to_owned());
        }
        let settled = scope.in_flight.is_none() && self.is_fresh(setting);
        let current = self.size_of(setting).filter(|size| settled && *size != trial.to)?;
        Some(format!("the size is {current} meanwhile; what {} did cannot be told", trial.to))
    }

    /// Ends the trials of a target that stays away, or of all when the sidecar stops.
    pub(super) fn give_up_trials(&mut self, why: &str, now: Timestamp) -> Batch {
        let mut batch = Batch::default();
        for setting in self.effects.on_trial() {
            if let Some(trial) = self.effects.record(&setting).trial.take() {
                self.conclude(&setting, &trial, Status::Inconclusive, why, now, &mut batch);
            }
        }
        batch
    }

    /// Says whether a target has been away for too long to go on measuring.
    pub(super) fn is_away(&self, now: Timestamp) -> bool {
        self.history.latest().is_none_or(|latest| now.since(latest.at) > AWAY_MAX)
    }

    #[expect(clippy::too_many_arguments, reason = "what is known at the end of a trial")]
    fn conclude(
        &mut self,
        setting: &Setting,
        trial: &Trial,
        status: Status,
        words: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        let (id, note) = (trial.id, words.to_owned());
        batch.transitions.push(Transition { id, at: now, status, note });
        let mut report = trial.report(&self.history, setting, now);
        report.judged_at = Some(now);
        words.clone_into(&mut report.judged);
        batch.effects.push(report.clone());
        self.effects.chart_later(setting, report, trial.began.plus(CHART_AFTER));
        let limits = *self.effects.limits();
        let record = self.effects.record(setting);
        if status == Status::RolledBack || status == Status::Inconclusive {
            record.climb = None;
        }
        let past = record.past_of(trial);
        past.status = status;
        past.repeats = match status {
            Status::RolledBack => past.repeats.saturating_add(1),
            Status::Verified => 0,
            _ => past.repeats,
        };
        past.until = match status {
            Status::RolledBack => {
                let doubled = 1 << past.repeats.saturating_sub(1).min(REPEATS_MAX);
                let wait = if trial.course() == Course::Shrink {
                    self.facts.limits.cooldown_down.saturating_mul(2)
                } else {
                    limits.rollback_wait
                };
                Some(now.plus(wait.saturating_mul(doubled)))
            }
            Status::Inconclusive if trial.course() == Course::Growth => {
                Some(now.plus(limits.rollback_wait))
            }
            _ => None,
        };
        let past = past.clone();
        batch.effect_states.push(self.effect_state(setting, &past));
    }

    /// Notes a change of which nobody will know what it did.
    pub(super) fn not_measured(
        &mut self,
        setting: &Setting,
        (id, from, to): (DecisionId, PoolSize, PoolSize),
        now: Timestamp,
        batch: &mut Batch,
    ) {
        let until = (to > from).then(|| now.plus(self.effects.limits().rollback_wait));
        let record = self.effects.record(setting);
        let slot = if to > from { &mut record.growth } else { &mut record.shrink };
        let repeats = slot.as_ref().map_or(0, |past| past.repeats);
        let status = Status::Inconclusive;
        let past = Past { id: Some(id), status, at: now, from, to, until, repeats };
        *slot = Some(past.clone());
        batch.effect_states.push(self.effect_state(setting, &past));
    }

    fn effect_state(&self, setting: &Setting, past: &Past) -> EffectState {
        let going_back = self.effects.going_back(setting).filter(|one| past.id == Some(one.id));
        EffectState {
            target: self.facts.name.clone(),
            setting: setting.clone(),
            status: past.status,
            at: past.at,
            from: past.from,
            to: past.to,
            until: past.until,
            repeats: past.repeats,
            going_back: going_back.map(|one| (one.id, one.to)),
        }
    }

    /// Records anew what came of a change.
    fn note_past(&mut self, setting: &Setting, id: DecisionId, batch: &mut Batch) {
        if let Some(past) = self.effects.record(setting).past(id).cloned() {
            batch.effect_states.push(self.effect_state(setting, &past));
        }
    }

    /// Records that a change did harm, and notes that it is to be taken back.
    fn condemn(
        &mut self,
        setting: &Setting,
        trial: &Trial,
        to: PoolSize,
        words: &str,
        (now, batch): (Timestamp, &mut Batch),
    ) {
        let (id, of, from) = (trial.id, trial.to, trial.from);
        let before = if to == from {
            String::new()
        } else {
            format!(", and the growths before it, back to {to}")
        };
        let told = format!("takes back decision {id} ({from} to {of}){before}: {words}");
        let one = TakeBack { id, since: now, of, to, words: told, sent: None };
        self.effects.record(setting).take_back = Some(one);
        self.conclude(setting, trial, Status::RolledBack, words, now, batch);
        // What did harm is all that is taken back.
        if let Some(past) = self.effects.record(setting).past(id).filter(|past| past.from != to) {
            past.from = to;
            self.note_past(setting, id, batch);
        }
    }

    fn send_take_back(
        &mut self,
        setting: &Setting,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) -> Option<Effect> {
        let one = self.effects.record(setting).take_back.clone()?;
        if self.scopes.get(setting).is_some_and(|scope| scope.in_flight.is_some()) {
            return None;
        }
        if let Some(why) = self.is_over(setting, &one, turn.now) {
            self.let_go(setting, &one, &why, turn.now, batch);
            return None;
        }
        // What the change left may have been outside of the bounds.
        let limits = reaching(&self.facts.limits, one.to);
        let facts = self.guard_facts(setting, self.mode, turn.now);
        let room = match facts.room {
            // PostgreSQL had all of these open before the shrink.
            Room::Unknown(why) => Room::Ceiling(format!("{why}; the size was in force before")),
            known => known,
        };
        let facts = Facts { purpose: Purpose::TakeBack, limits: &limits, room, ..facts };
        let judged = guard(one.to.get(), &facts);
        let in_vain = is_in_vain(&judged.verdict);
        let passed = matches!(judged.verdict.outcome, Outcome::Approved | Outcome::Clamped);
        let (words, verdict) = (one.words.clone(), Some(judged.verdict));
        if in_vain {
            let change = OwnChange { setting, size: one.to, reason: words, verdict };
            let refused = self.decision_of_host(change, turn);
            let why = format!("the guard refuses it for good, see decision {}", refused.id);
            batch.decisions.push(refused);
            self.let_go(setting, &one, &why, turn.now, batch);
            return None;
        }
        let size = judged.size.filter(|_| passed)?;
        let change = OwnChange { setting, size, reason: words, verdict };
        let effect = self.resize_by_host(change, Afterwards::KeepUp, turn);
        if let (Effect::Resize(resize), Some(one)) =
            (&effect, &mut self.effects.record(setting).take_back)
        {
            one.sent = Some(resize.id);
        }
        Some(effect)
    }

    /// Says why a change is no longer to be taken back, if so.
    fn is_over(&self, setting: &Setting, one: &TakeBack, now: Timestamp) -> Option<String> {
        if let Some(current) = self.size_of(setting).filter(|current| *current != one.of) {
            return Some(format!("the size is {current} meanwhile"));
        }
        // One that was only away for a moment goes on when it acts again.
        if self.writer.follows() {
            return self.writer.objection(now);
        }
        let wait = self.effects.limits().rollback_wait.max(TRIED_LEAST);
        let late = now.since(one.since) >= wait;
        late.then(|| format!("that could not be done for {} s", wait.as_secs()))
    }

    /// Lets go of a roll-back; where the size stays, that is recorded.
    fn let_go(
        &mut self,
        setting: &Setting,
        one: &TakeBack,
        why: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        self.effects.record(setting).take_back = None;
        if self.size_of(setting) == Some(one.to) {
            return self.note_past(setting, one.id, batch);
        }
        let note = format!("it did harm and is not taken back: {why}");
        let status = Status::Inconclusive;
        batch.transitions.push(Transition { id: one.id, at: now, status, note });
        if let Some(past) = self.effects.record(setting).is_not_taken_back(one.id) {
            batch.effect_states.push(self.effect_state(setting, &past));
        }
    }

    /// Lets go of all roll-backs that are not done when the sidecar stops.
    pub(super) fn give_up_take_backs(&mut self, why: &str, now: Timestamp) -> Batch {
        let mut batch = Batch::default();
        for setting in self.effects.to_take_back() {
            if let Some(one) = self.effects.record(&setting).take_back.clone() {
                self.let_go(&setting, &one, why, now, &mut batch);
            }
        }
        batch
    }

    /// Notes since when nobody waits; long enough, it lets go of what could not be told.
    fn note_calm(&mut self, now: Timestamp, batch: &mut Batch) {
        for setting in self.effects.settings() {
            let waiting = self.history.waiting(&setting.scope);
            let calm = self.effects.limits().calm;
            let record = self.effects.record(&setting);
            if let Some(past) = record.note_calm(waiting, calm, now) {
                let state = self.effect_state(&setting, &past);
                batch.effect_states.push(state);
            }
        }
    }

    /// Lets go of what hinders further changes of a setting, because a person has acted.
    pub fn forgive(&mut self, setting: &Setting, batch: &mut Batch) {
        for past in self.effects.record(setting).forgive() {
            batch.effect_states.push(self.effect_state(setting, &past));
        }
    }

    /// Says why what earlier changes did forbids a further one.
    pub(super) fn hindrance(&self, setting: &Setting, now: Timestamp) -> Hindrance {
        self.effects.hindrance(setting, now)
    }

    /// Shows policies what came of the last change of each scope's size.
    pub(super) fn show_changes(&self, window: &mut Window, now: Timestamp) {
        for (at, scope) in window.scope_keys.iter().enumerate() {
            let Some(last) = self.effects.last(&Setting::size_of(scope.clone())) else { continue };
            let columns = &mut window.scopes;
            let age = u64::try_from(now.since(last.at).as_millis()).unwrap_or(u64::MAX);
            put(&mut columns.change, at, last.code());
            put(&mut columns.change_age_ms, at, age);
            put(&mut columns.change_from, at, last.from.get());
            put(&mut columns.change_to, at, last.to.get());
        }
    }

    /// Gives the status that a change of a setting has by now.
    pub(super) fn status_of(&self, setting: &Setting, id: DecisionId) -> Status {
        self.effects.status_of(setting, id)
    }
}

fn put<T>(column: &mut [T], at: usize, value: T) {
    if let Some(slot) = column.get_mut(at) {
        *slot = value;
    }
}

/// Says whether the bounds, or what others have taken of PostgreSQL meanwhile, leave nothing of a
/// roll-back. Every other rule waits for something that ends.
fn is_in_vain(verdict: &Verdict) -> bool {
    let mut rejects = verdict.rules.iter().filter(|said| said.word == Word::Reject);
    rejects.next().is_some_and(|said| said.rule == Rule::Change) && rejects.next().is_none()
}

impl Record {
    fn past_of(&mut self, trial: &Trial) -> &mut Past {
        let slot = if trial.to > trial.from { &mut self.growth } else { &mut self.shrink };
        let repeats = slot.as_ref().map_or(0, |past| past.repeats);
        slot.insert(Past {
            id: Some(trial.id),
            status: Status::Applied,
            at: trial.began,
            from: trial.from,
            to: trial.to,
            until: None,
            repeats,
        })
    }
}
