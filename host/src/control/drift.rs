//! Sizes that changed without the sidecar: put back after a restart or reload, respected otherwise.
//!
//! What has happened is read in `cause`; this does what follows from it.

use std::collections::BTreeSet;

use super::cause::{Cause, Drift, Restart, Signs, recognise};
use super::host::number;
use super::scope::{Afterwards, Followed, InFlight, Measured, NewFile, ScopeControl};
use super::target::{HandBack, TargetControl};
use super::{Ages, Effect, Resize, Turn};
use crate::guard::{Facts, Purpose, judge};
use crate::model::{
    Decision, DecisionId, HoldKind, Mode, Origin, Outcome, PolicyName, PoolSize, Proposal, Setting,
    Status, Subject, Timestamp, Verdict,
};
use crate::record::Batch;

/// A change that the sidecar decides on itself.
pub(super) struct OwnChange<'a> {
    pub setting: &'a Setting,
    pub size: PoolSize,
    /// Why, in plain words.
    pub reason: String,
    /// The guard's word, where it was asked.
    pub verdict: Option<Verdict>,
}

/// A change that is to be made now.
pub(super) struct TakeOff<'a> {
    pub id: DecisionId,
    pub at: Timestamp,
    pub setting: &'a Setting,
    /// The size that must be in force before.
    pub from: Option<PoolSize>,
    pub size: PoolSize,
    pub measured: Measured,
}

impl TargetControl {
    /// Says whether the newest snapshot's sizes were read after the sidecar's last change of a setting.
    pub fn is_fresh(&self, setting: &Setting) -> bool {
        let scope = self.scopes.get(setting);
        let changed = scope.and_then(ScopeControl::last_change).unwrap_or_default();
        self.history.latest().is_some_and(|latest| latest.sizes_at > changed)
    }

    /// Compares every size in force with the wanted one.
    pub fn reconcile(&mut self, turn: &mut Turn<'_>, batch: &mut Batch) -> Vec<Effect> {
        if let Some(restart) = self.has_restarted() {
            // Each keeps it until it is reckoned with: right now the sidecar may not be allowed to act.
            self.scopes.values_mut().for_each(|scope| scope.restarted = Some(restart));
        }
        self.respect_inherited(turn.now, batch);
        let reverted = self.reverted();
        let mut settings: BTreeSet<Setting> = self.scopes.keys().cloned().collect();
        settings.insert(Setting::DEFAULT);
        settings.extend(self.set_by_another());
        let mut effects = Vec::new();
        for setting in settings {
            let reloaded = reverted.iter().any(|other| *other != setting);
            let file = self.size_in_file(&setting);
            let signs = Signs { mode: self.mode, file, restart: None, reloaded };
            effects.extend(self.reconcile_one(&setting, signs, turn, batch));
        }
        effects
    }

    /// Gives the settings that fell from the sidecar's value to the file's since the last look.
    fn reverted(&self) -> Vec<Setting> {
        let fell = |(setting, scope): &(&Setting, &ScopeControl)| {
            let current = self.size_of(setting).filter(|_| self.is_fresh(setting));
            let ours = scope.wanted.is_some() && scope.seen == scope.wanted;
            ours && scope.in_flight.is_none()
                && current == Some(scope.file_size())
                && scope.wanted != current
        };
        let fallen = self.scopes.iter().filter(fell);
        fallen.map(|(setting, _)| setting.clone()).collect()
    }

    fn reconcile_one(
        &mut self,
        setting: &Setting,
        signs: Signs,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) -> Option<Effect> {
        let in_flight = self.scopes.get(setting).is_some_and(|scope| scope.in_flight.is_some());
        if in_flight || !self.is_fresh(setting) {
            return None;
        }
        let current = self.size_of(setting)?;
        if !self.writer.may_act(turn.now) {
            self.follow(setting, current, signs.file, turn.now, batch);
            return None;
        }
        let scope =
            self.scopes.entry(setting.clone()).or_insert_with(|| ScopeControl::first_seen(current));
        scope.learn(signs.file);
        let signs = Signs { restart: scope.restarted.take(), ..signs };
        let drift = recognise(scope, current, signs);
        let before = scope.clone();
        scope.seen = Some(current);
        match drift {
            Drift::None | Drift::Lost(_) => scope.take_up(),
            Drift::NotOurs => *scope = ScopeControl::first_seen(current),
            Drift::NewFile(cause) => {
                let (what, before) = (cause.words(), before.file_size());
                *scope = ScopeControl::loaded(current);
                scope.new_file = Some(NewFile { at: turn.now, cause, before });
                tracing::info!(%setting, %before, %current, what, "its file has another size");
            }
            Drift::Foreign(cause) => {
                if scope.stood_down.is_none() {
                    let what = cause.words();
                    tracing::warn!(%setting, %current, what, "a person's size is respected");
                }
                scope.respect(current, cause, turn.now);
            }
        }
        let anew = matches!(drift, Drift::NewFile(_) | Drift::NotOurs);
        if before.stood_down != scope.stood_down || anew {
            batch.scopes.push(scope.state(&self.facts.name, setting, turn.now));
        }
        // A person has set it, or handed it back: what hindered before them is settled.
        if before.stood_down.is_some() != scope.stood_down.is_some() {
            self.forgive(setting, batch);
        }
        match drift {
            Drift::Lost(cause) => self.put_back(setting, current, cause, turn, batch),
            _ => None,
        }
    }

    /// Takes what another sidecar sets for its own. Before it is known who acts, nothing is told.
    fn follow(
        &mut self,
        setting: &Setting,
        current: PoolSize,
        file: Option<PoolSize>,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        let (follows, theirs) = (self.writer.follows(), self.writer.theirs());
        let first = || ScopeControl::first_seen(current);
        let scope = self.scopes.entry(setting.clone()).or_insert_with(first);
        if !follows {
            return;
        }
        let name = &self.facts.name;
        let before = scope.state(name, setting, now);
        let is_theirs = theirs.contains(setting);
        scope.follow(current, Followed { file, is_theirs }, now);
        let after = scope.state(name, setting, now);
        if before != after {
            batch.scopes.push(after);
        }
    }

    /// Says, once, how PgBouncer has started anew; only when the sizes were read after that, because a
    /// quick poll may see the start and still carry the sizes of before.
    fn has_restarted(&mut self) -> Option<Restart> {
        let at = self.history.restarted();
        let latest = self.history.latest()?;
        if at <= self.restarted || Some(latest.sizes_at) < at {
            return None;
        }
        self.restarted = at;
        let restart = if latest.server.taken_over { Restart::Online } else { Restart::Cold };
        let (target, what) = (self.facts.name.as_str(), Cause::Restarted(restart).words());
        tracing::info!(target, what, "a new process answers");
        Some(restart)
    }

    /// Puts sizes back to the file's values before the sidecar stops, if it should. While a person has it
    /// paused they stay: the next start knows them.
    pub fn hand_back(&mut self, turn: &mut Turn<'_>) -> Vec<Effect> {
        let paused = self.hold(turn.now).is_some_and(|hold| hold.kind == HoldKind::Pause);
        let wanted = self.mode == Mode::Enforce && self.hand_back == HandBack::HandBack;
        if !wanted || paused || self.writer.follows() {
            return Vec::new();
        }
        if let Some(why) = self.writer.objection(turn.now) {
            let target = self.facts.name.as_str();
            tracing::warn!(target, why, "sizes are not handed back");
            return Vec::new();
        }
        let settings: Vec<Setting> = self.scopes.keys().cloned().collect();
        let effects = settings.iter().filter_map(|setting| {
            let scope = self.scopes.get(setting)?;
            let (file, current) = (scope.file_size(), self.size_of(setting)?);
            if scope.wanted != Some(current) || file == current {
                return None;
            }
            let size = self.fitting(setting, file, current);
            let mut reason = "Poolwarden stops and hands the file's size back".to_owned();
            let mut after = Afterwards::LetGo;
            if size != file {
                reason = format!("{reason}, as far as PostgreSQL can take it: {file} is too large");
                // The next start must know it for its own.
                after = Afterwards::KeepUp;
            }
            let change = OwnChange { setting, size, reason, verdict: None };
            Some(self.resize_by_host(change, after, turn))
        });
        effects.collect()
    }

    fn put_back(
        &mut self,
        setting: &Setting,
        current: PoolSize,
        cause: Cause,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) -> Option<Effect> {
        let wanted = self.scopes.get(setting).and_then(|scope| scope.wanted);
        let wanted = wanted.filter(|_| self.mode == Mode::Enforce)?;
        if self.is_panicked(turn.now) {
            return None; // It is where it is to be.
        }
        let facts =
            Facts { purpose: Purpose::Reapply, ..self.guard_facts(setting, self.mode, turn.now) };
        let judged = judge(wanted.get(), &facts);
        let passed = matches!(judged.verdict.outcome, Outcome::Approved | Outcome::Clamped);
        let reason = format!(
            "{}, and {} is back at the file's {current}; {wanted} is to be in force again",
            cause.words(),
            setting.words(),
        );
        let Some(size) = judged.size.filter(|_| passed) else {
            // That it could not be put back is recorded; a repetition is no news.
            if self.is_news(&PolicyName::host(), setting, wanted.get(), &judged, turn.now) {
                let verdict = Some(judged.verdict);
                let change = OwnChange { setting, size: wanted, reason, verdict };
                batch.decisions.push(self.decision_of_host(change, turn));
            }
            return None;
        };
        let change = OwnChange { setting, size, reason, verdict: Some(judged.verdict) };
        Some(self.resize_by_host(change, Afterwards::KeepUp, turn))
    }

    /// Makes a change of the sidecar's own.
    pub fn resize_by_host(
        &mut self,
        change: OwnChange<'_>,
        afterwards: Afterwards,
        turn: &mut Turn<'_>,
    ) -> Effect {
        let setting = change.setting;
        let decision = self.decision_of_host(change, turn);
        self.take_off(setting, decision, Batch::default(), afterwards)
    }

    pub fn decision_of_host(&self, change: OwnChange<'_>, turn: &mut Turn<'_>) -> Decision {
        let OwnChange { setting, size, reason, verdict } = change;
        let current = self.size_of(setting);
        let evidence = current.map(|size| number("size_in_force", size)).into_iter().collect();
        let (setting, scope) = (setting.clone(), setting.scope.clone());
        Decision {
            id: turn.decision_id(),
            at: turn.now,
            target: self.facts.name.clone(),
            policy: PolicyName::host(),
            origin: Origin::Host,
            subject: Subject::Scope(scope),
            mode: self.mode,
            status: Status::Proposed,
            proposal: Proposal::Resize { setting, size: size.get(), reason, evidence },
            verdict,
            size_from: current,
            size_to: Some(size),
        }
    }

    /// Marks a setting as changing and hands the change to the actuator.
    pub fn take_off(
        &mut self,
        setting: &Setting,
        decision: Decision,
        mut intent: Batch,
        afterwards: Afterwards,
    ) -> Effect {
        let Decision { id, at, size_from: from, size_to, .. } = decision;
        let size = size_to.unwrap_or(PoolSize::ONE);
        let measured = Measured::of(&decision.origin);
        intent.decisions.push(decision);
        let change = TakeOff { id, at, setting, from, size, measured };
        self.send_off(change, intent, afterwards)
    }

    /// Does so for a decision that is recorded already, or stands in the intent.
    pub fn send_off(
        &mut self,
        change: TakeOff<'_>,
        mut intent: Batch,
        afterwards: Afterwards,
    ) -> Effect {
        let TakeOff { id, at, setting, from, size, measured } = change;
        let target = self.facts.name.clone();
        if let Some(current) = from {
            let first = || ScopeControl::first_seen(current);
            let scope = self.scopes.entry(setting.clone()).or_insert_with(first);
            let from = Some(current);
            scope.in_flight = Some(InFlight { id, at, from, size, afterwards, measured });
            self.history.cut(&setting.scope);
            intent.scopes.push(scope.state(&target, setting, at));
        }
        let ages = match measured {
            Measured::Effect => Ages::Since(at),
            Measured::Nothing => Ages::FromItsTurn,
        };
        let (setting, age_max) = (setting.clone(), self.facts.limits.data_age_max);
        Effect::Resize(Box::new(Resize { id, target, setting, from, size, ages, age_max, intent }))
    }
}
