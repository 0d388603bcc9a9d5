//! Sizes that changed without the sidecar: put back after a restart or reload, respected otherwise.
//!
//! The console says what is in force and never who set it. So values decide: the file's value again
//! means a restart or a `RELOAD`; any other value is a person's.

use std::collections::BTreeSet;

use super::host::number;
use super::scope::{Afterwards, InFlight, ScopeControl};
use super::target::{HandBack, TargetControl};
use super::{Effect, Resize, Turn};
use crate::guard::{Facts, Purpose, judge};
use crate::model::{
    Decision, Mode, Origin, Outcome, PolicyName, PoolSize, Proposal, Setting, Status, Subject,
    Verdict,
};
use crate::record::Batch;

/// What a size in force tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drift {
    /// As it should be.
    None,
    /// The file's value is back: apply the wanted one again.
    Lost,
    /// A new file's value after a restart: start from it.
    NewFile,
    /// Any value where the sidecar does not act: it is what there is to start from.
    NotOurs,
    /// A person's value.
    Foreign,
}

/// A change that the sidecar decides on itself.
pub(super) struct OwnChange<'a> {
    pub setting: &'a Setting,
    pub size: PoolSize,
    /// Why, in plain words.
    pub reason: String,
    /// The guard's word, where it was asked.
    pub verdict: Option<Verdict>,
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
        let restarted = self.has_restarted();
        let mut settings: BTreeSet<Setting> = self.scopes.keys().cloned().collect();
        settings.insert(Setting::DEFAULT);
        let mut effects = Vec::new();
        for setting in settings {
            effects.extend(self.reconcile_one(&setting, restarted, turn, batch));
        }
        effects
    }

    fn reconcile_one(
        &mut self,
        setting: &Setting,
        restarted: bool,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) -> Option<Effect> {
        let in_flight = self.scopes.get(setting).is_some_and(|scope| scope.in_flight.is_some());
        if in_flight || !self.is_fresh(setting) {
            return None;
        }
        let mode = self.mode;
        let current = self.size_of(setting)?;
        if !self.writer.may_act(turn.now) {
            self.follow(setting, current, restarted, batch);
            return None;
        }
        let scope =
            self.scopes.entry(setting.clone()).or_insert_with(|| ScopeControl::first_seen(current));
        let drift = drift(scope, current, restarted, mode);
        let before = scope.clone();
        match drift {
            Drift::None | Drift::Lost => scope.stood_down = None,
            Drift::NotOurs => *scope = ScopeControl::first_seen(current),
            Drift::NewFile => {
                *scope = ScopeControl::first_seen(current);
                tracing::info!(%setting, %current, "PgBouncer started with another size in its file");
            }
            Drift::Foreign => {
                if scope.stood_down.is_none() {
                    tracing::warn!(%setting, %current, "somebody else set the size; it is respected");
                }
                scope.stood_down = scope.stood_down.or(Some(turn.now));
            }
        }
        let anew = matches!(drift, Drift::NewFile | Drift::NotOurs);
        if before.stood_down != scope.stood_down || anew {
            batch.scopes.push(scope.state(&self.facts.name, setting));
        }
        if drift == Drift::Lost { self.put_back(setting, current, turn, batch) } else { None }
    }

    /// Takes what another sidecar sets for its own, so that it goes on from there if it has to take
    /// over. The file's value stays as it was first seen; before it is known who acts, nothing is told.
    fn follow(&mut self, setting: &Setting, current: PoolSize, restarted: bool, batch: &mut Batch) {
        let first = ScopeControl::first_seen(current);
        let scope = self.scopes.entry(setting.clone()).or_insert_with(|| first.clone());
        if !self.writer.follows() {
            return;
        }
        let before = scope.clone();
        if restarted {
            *scope = first;
        }
        scope.wanted = (current != scope.base).then_some(current);
        scope.stood_down = None;
        if (before.base, before.wanted, before.stood_down) != (scope.base, scope.wanted, None) {
            batch.scopes.push(scope.state(&self.facts.name, setting));
        }
    }

    /// Says, once, that PgBouncer has started anew; only when the sizes were read after that, because a
    /// quick poll may see the start and still carry the sizes of before.
    fn has_restarted(&mut self) -> bool {
        let at = self.history.restarted();
        let read = self.history.latest().map(|latest| latest.sizes_at);
        let news = at > self.restarted && read >= at;
        if news {
            self.restarted = at;
        }
        news
    }

    /// Puts sizes back to the file's values before the sidecar stops, if it should.
    pub fn hand_back(&mut self, turn: &mut Turn<'_>) -> Vec<Effect> {
        let acts = self.mode == Mode::Enforce && self.writer.may_act(turn.now);
        if !acts || self.hand_back != HandBack::HandBack {
            return Vec::new();
        }
        let settings: Vec<Setting> = self.scopes.keys().cloned().collect();
        let effects = settings.iter().filter_map(|setting| {
            let scope = self.scopes.get(setting)?;
            let (base, current) = (scope.base, self.size_of(setting)?);
            if scope.wanted != Some(current) || base == current {
                return None;
            }
            let size = self.fitting(setting, base, current);
            let mut reason = "Poolwarden stops and hands the file's size back".to_owned();
            if size != base {
                reason = format!("{reason}, as far as PostgreSQL can take it: {base} is too large");
            }
            let change = OwnChange { setting, size, reason, verdict: None };
            Some(self.resize_by_host(change, Afterwards::LetGo, turn))
        });
        effects.collect()
    }

    fn put_back(
        &mut self,
        setting: &Setting,
        current: PoolSize,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) -> Option<Effect> {
        let wanted = self.scopes.get(setting).and_then(|scope| scope.wanted);
        let wanted = wanted.filter(|_| self.mode == Mode::Enforce)?;
        let facts =
            Facts { purpose: Purpose::Reapply, ..self.guard_facts(setting, self.mode, turn.now) };
        let judged = judge(wanted.get(), &facts);
        let passed = matches!(judged.verdict.outcome, Outcome::Approved | Outcome::Clamped);
        let reason = format!(
            "PgBouncer is back at its file's size of {current} (a restart or RELOAD); the size of \
             {wanted} is to be in force again"
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

    fn decision_of_host(&self, change: OwnChange<'_>, turn: &mut Turn<'_>) -> Decision {
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
        let (id, size) = (decision.id, decision.size_to.unwrap_or(PoolSize::ONE));
        let target = self.facts.name.clone();
        if let Some(current) = decision.size_from {
            let first = || ScopeControl::first_seen(current);
            let scope = self.scopes.entry(setting.clone()).or_insert_with(first);
            scope.in_flight = Some(InFlight { id, size, afterwards });
            intent.scopes.push(scope.state(&target, setting));
        }
        let (from, until) = (decision.size_from, decision.at.plus(self.facts.limits.data_age_max));
        intent.decisions.push(decision);
        let setting = setting.clone();
        Effect::Resize(Box::new(Resize { id, target, setting, from, size, until, intent }))
    }
}

fn drift(scope: &ScopeControl, current: PoolSize, restarted: bool, mode: Mode) -> Drift {
    let wanted = scope.wanted.unwrap_or(scope.base);
    if current == wanted {
        return Drift::None;
    }
    if mode != Mode::Enforce {
        return Drift::NotOurs;
    }
    if current == scope.base {
        return Drift::Lost;
    }
    if restarted { Drift::NewFile } else { Drift::Foreign }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(size: u32) -> PoolSize {
        PoolSize::new(size).expect("above zero")
    }

    #[test]
    fn the_size_in_force_tells_who_set_it() {
        let mut scope = ScopeControl::first_seen(size(5));
        assert_eq!(drift(&scope, size(5), false, Mode::Enforce), Drift::None);
        assert_eq!(
            drift(&scope, size(7), false, Mode::Enforce),
            Drift::Foreign,
            "before the first change too"
        );
        scope.wanted = Some(size(12));
        assert_eq!(drift(&scope, size(12), false, Mode::Enforce), Drift::None);
        assert_eq!(drift(&scope, size(5), false, Mode::Enforce), Drift::Lost, "a RELOAD");
        assert_eq!(drift(&scope, size(5), true, Mode::Enforce), Drift::Lost, "a restart");
        assert_eq!(drift(&scope, size(9), false, Mode::Enforce), Drift::Foreign);
        assert_eq!(drift(&scope, size(9), true, Mode::Enforce), Drift::NewFile);
        assert_eq!(drift(&scope, size(9), false, Mode::Observe), Drift::NotOurs);
    }
}
