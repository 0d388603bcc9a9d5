//! Sizes that changed without the sidecar: put back after a restart or reload, respected otherwise.
//!
//! The console says what is in force and never who set it. So values decide: the file's value again
//! means a restart or a `RELOAD`; any other value is a person's.

use super::alerts::Sight;
use super::decide::host_alert;
use super::scope::{Afterwards, InFlight, ScopeControl};
use super::target::{HandBack, TargetControl};
use super::{Effect, Resize, Turn};
use crate::guard::{Facts, Judged, Purpose, judge};
use crate::model::{
    Decision, Evidence, Mode, Origin, Outcome, PolicyName, PoolSize, Proposal, ScopeKey, Status,
    Subject, Verdict,
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

impl TargetControl {
    /// Gives `default_pool_size` as it is in force.
    pub fn default_size(&self) -> Option<PoolSize> {
        self.size_of(&ScopeKey::Default)
    }

    /// Says whether the newest snapshot's sizes were read after the sidecar's last change of them.
    pub fn sizes_are_fresh(&self) -> bool {
        let scope = self.scopes.get(&ScopeKey::Default);
        let changed = scope.and_then(ScopeControl::last_change).unwrap_or_default();
        self.history.latest().is_some_and(|latest| latest.sizes_at > changed)
    }

    /// Compares the size in force with the wanted one.
    pub fn reconcile(&mut self, turn: &mut Turn<'_>, batch: &mut Batch) -> Vec<Effect> {
        let in_flight =
            self.scopes.get(&ScopeKey::Default).is_some_and(|scope| scope.in_flight.is_some());
        if in_flight || !self.sizes_are_fresh() {
            return Vec::new();
        }
        let (mode, restarted) = (self.mode, self.has_restarted());
        let Some(current) = self.default_size() else { return Vec::new() };
        let scope = self
            .scopes
            .entry(ScopeKey::Default)
            .or_insert_with(|| ScopeControl::first_seen(current));
        let drift = drift(scope, current, restarted, mode);
        let before = scope.clone();
        match drift {
            Drift::None | Drift::Lost => scope.stood_down = None,
            Drift::NotOurs => *scope = ScopeControl::first_seen(current),
            Drift::NewFile => {
                *scope = ScopeControl::first_seen(current);
                tracing::info!(%current, "PgBouncer started with another size in its file");
            }
            Drift::Foreign => {
                if scope.stood_down.is_none() {
                    tracing::warn!(%current, "somebody else set the size; it is respected");
                }
                scope.stood_down = scope.stood_down.or(Some(turn.now));
            }
        }
        let anew = matches!(drift, Drift::NewFile | Drift::NotOurs);
        if before.stood_down != scope.stood_down || anew {
            batch.scopes.push(scope.state(&self.facts.name, &ScopeKey::Default));
        }
        self.tell_of_stand_down(current, turn, batch);
        if drift == Drift::Lost { self.put_back(current, turn, batch) } else { Vec::new() }
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
        let base = self.scopes.get(&ScopeKey::Default).map(|scope| scope.base);
        let (Some(base), Some(current)) = (base, self.default_size()) else { return Vec::new() };
        let scope = self.scopes.get(&ScopeKey::Default);
        let ours = scope.is_some_and(|scope| scope.wanted == Some(current));
        let acts = self.mode == Mode::Enforce && self.hand_back == HandBack::HandBack;
        if !acts || !ours || base == current {
            return Vec::new();
        }
        let reason = "Poolwarden stops and hands the file's size back".to_owned();
        vec![self.resize_by_host(base, Afterwards::LetGo, reason, None, turn)]
    }

    fn put_back(
        &mut self,
        current: PoolSize,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) -> Vec<Effect> {
        let scope = ScopeKey::Default;
        let wanted = self.scopes.get(&scope).and_then(|scope| scope.wanted);
        let Some(wanted) = wanted.filter(|_| self.mode == Mode::Enforce) else { return Vec::new() };
        let facts =
            Facts { purpose: Purpose::Reapply, ..self.guard_facts(&scope, self.mode, turn.now) };
        let judged = judge(wanted.get(), &facts);
        let passed = matches!(judged.verdict.outcome, Outcome::Approved | Outcome::Clamped);
        let reason = format!(
            "PgBouncer is back at its file's size of {current} (a restart or RELOAD); the size of \
             {wanted} is to be in force again"
        );
        let Some(size) = judged.size.filter(|_| passed) else {
            self.refuse_by_host(wanted, reason, judged, turn, batch);
            return Vec::new();
        };
        vec![self.resize_by_host(size, Afterwards::KeepUp, reason, Some(judged.verdict), turn)]
    }

    fn resize_by_host(
        &mut self,
        size: PoolSize,
        afterwards: Afterwards,
        reason: String,
        verdict: Option<Verdict>,
        turn: &mut Turn<'_>,
    ) -> Effect {
        let decision = self.decision_of_host(size, reason, verdict, turn);
        self.take_off(decision, Batch::default(), afterwards)
    }

    /// Records that a size could not be put back; a repetition is no news.
    fn refuse_by_host(
        &mut self,
        size: PoolSize,
        reason: String,
        judged: Judged,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) {
        let (host, scope) = (PolicyName::host(), ScopeKey::Default);
        if self.is_news(&host, &scope, size.get(), &judged, turn.now) {
            batch.decisions.push(self.decision_of_host(size, reason, Some(judged.verdict), turn));
        }
    }

    fn decision_of_host(
        &self,
        size: PoolSize,
        reason: String,
        verdict: Option<Verdict>,
        turn: &mut Turn<'_>,
    ) -> Decision {
        let current = self.default_size();
        let evidence = |name: &str, value: PoolSize| Evidence {
            name: name.to_owned(),
            value: f64::from(value.get()),
        };
        Decision {
            id: turn.decision_id(),
            at: turn.now,
            target: self.facts.name.clone(),
            policy: PolicyName::host(),
            origin: Origin::Host,
            subject: Subject::Scope(ScopeKey::Default),
            mode: self.mode,
            status: Status::Proposed,
            proposal: Proposal::Resize {
                scope: ScopeKey::Default,
                size: size.get(),
                reason,
                evidence: current.map(|size| evidence("size_in_force", size)).into_iter().collect(),
            },
            verdict,
            size_from: current,
            size_to: Some(size),
        }
    }

    /// Marks a scope as changing and hands the change to the actuator.
    pub fn take_off(
        &mut self,
        decision: Decision,
        mut intent: Batch,
        afterwards: Afterwards,
    ) -> Effect {
        let (id, size) = (decision.id, decision.size_to.unwrap_or(PoolSize::ONE));
        let key = ScopeKey::Default;
        let target = self.facts.name.clone();
        if let Some(scope) = self.scopes.get_mut(&key) {
            scope.in_flight = Some(InFlight { id, size, afterwards });
            intent.scopes.push(scope.state(&target, &key));
        }
        let (from, until) = (decision.size_from, decision.at.plus(self.facts.limits.data_age_max));
        intent.decisions.push(decision);
        Effect::Resize(Box::new(Resize { id, target, scope: key, from, size, until, intent }))
    }

    fn tell_of_stand_down(&mut self, current: PoolSize, turn: &mut Turn<'_>, batch: &mut Batch) {
        let scope = self.scopes.get(&ScopeKey::Default);
        let theirs = scope.and_then(|scope| scope.stood_down.map(|_| (scope.base, scope.wanted)));
        let holding = theirs.map(|(base, wanted)| host_alert(current, base, wanted));
        let host = PolicyName::host();
        let moves = self.alerts.observe(&host, holding.as_slice(), Sight::of(1), turn.now);
        for one in moves {
            self.record_move(one, Origin::Host, &host, turn, batch);
        }
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
