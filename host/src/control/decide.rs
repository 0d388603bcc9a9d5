//! From what the policies say to what is recorded and done.

use std::collections::BTreeSet;
use std::time::Duration;

use super::advice::{AdviceKey, Change};
use super::alerts::Move;
use super::contest::Ask;
use super::record::{Recording, is_empty};
use super::scope::Afterwards;
use super::target::TargetControl;
use super::{Effect, Heard, Turn};
use crate::guard::{Facts, Judged, Purpose, judge};
use crate::model::{
    AlertKey, Decision, Knob, Mode, Origin, Outcome, PolicyName, PoolSize, Proposal, Rule,
    RuleWord, Setting, Status, Subject, Timestamp, Transition, Verdict, Word,
};
use crate::record::{AlertChange, Batch};

/// After this long a verdict that repeats itself is recorded again.
const REPEAT: Duration = Duration::from_secs(60);

/// What was last recorded about a scope, for one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    outcome: Outcome,
    refused_by: Option<Rule>,
    grows: bool,
    at: Timestamp,
}

impl TargetControl {
    /// Hears every policy in order.
    pub fn decide(&mut self, results: &[Heard], turn: &mut Turn<'_>) -> Vec<Effect> {
        let name = self.facts.name.clone();
        let mut recording = Recording::new(&name, turn.now);
        let (twins, heard): (Vec<_>, Vec<_>) =
            results.iter().partition(|result| result.shadow_of.is_some());
        for result in &heard {
            self.contest.hear(result);
            self.shadows.note(result);
        }
        let mut ends = Vec::new();
        for result in &heard {
            // A policy that faulted, or was not asked this time, has said nothing: what it said
            // before stands.
            let Some(answer) = &result.answer else { continue };
            self.hear_alerts(result, &answer.proposals, turn, &mut recording);
            self.hear_advice(result, &answer.proposals, turn, &mut recording);
            for proposal in &answer.proposals {
                ends.extend(self.hear_ending(result, proposal, turn, &mut recording));
            }
        }
        self.retire(results, turn, &mut recording.batch);
        // Before a change is under way, which would be in the way of everything.
        for twin in twins {
            self.hear_twin(twin, turn, &mut recording);
        }
        let mut resizes = Vec::new();
        for ask in self.contest.turn(&heard, self.mode) {
            resizes.extend(self.hear(ask, turn, &mut recording));
        }
        let mut effects = Vec::new();
        if !is_empty(&recording.batch) {
            effects.push(Effect::Record(Box::new(recording.batch)));
        }
        effects.extend(resizes);
        effects.extend(ends);
        effects.extend(self.want_look(&heard, turn.now));
        effects
    }

    /// Ends what policies left behind that are no longer asked.
    fn retire(&mut self, results: &[Heard], turn: &mut Turn<'_>, batch: &mut Batch) {
        let (twins, mut asked): (BTreeSet<PolicyName>, BTreeSet<PolicyName>) = {
            let names = |are_twins| {
                let some = results.iter().filter(move |one| one.shadow_of.is_some() == are_twins);
                some.map(|result| result.policy.clone()).collect()
            };
            (names(true), names(false))
        };
        // What a policy said before it became a shadow is not kept up by anybody.
        self.forget_others(&asked, &twins);
        asked.insert(PolicyName::host());
        let mut orphans = self.advice.keep_policies(&asked);
        for one in self.alerts.keep_policies(&asked, turn.now) {
            match one {
                Move::Resolve(key, id) => {
                    batch.alerts.extend(self.alert_now(&key));
                    orphans.push(id);
                }
                other => self.record_move(other, Origin::Host, &PolicyName::host(), turn, batch),
            }
        }
        let gone = |id| Transition {
            id,
            at: turn.now,
            status: Status::Resolved,
            note: "its policy is not asked any more".to_owned(),
        };
        batch.transitions.extend(orphans.into_iter().map(gone));
    }

    fn hear_alerts(
        &mut self,
        result: &Heard,
        proposals: &[Proposal],
        turn: &mut Turn<'_>,
        recording: &mut Recording<'_>,
    ) {
        let policy = &result.policy;
        for one in self.alerts.observe(policy, proposals, self.sight, turn.now) {
            let origin = match one {
                Move::Fire(..) | Move::Escalate(..) => recording.origin(result, || turn.uuid()),
                Move::Resolve(..) | Move::Forget(_) => Origin::Host,
            };
            self.record_move(one, origin, policy, turn, &mut recording.batch);
        }
    }

    /// Records what an alert does next.
    pub fn record_move(
        &mut self,
        one: Move,
        origin: Origin,
        policy: &PolicyName,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) {
        let target = self.facts.name.clone();
        match one {
            Move::Fire(key, proposal) => {
                let decision = self.decision(policy, origin, proposal, Status::Firing, turn);
                let alert = self.alerts.fired(&key, decision.id, turn.now);
                batch.decisions.push(decision);
                batch.alerts.extend(alert.map(|alert| AlertChange::Set { target, alert }));
            }
            Move::Escalate(key, proposal, old) => {
                let decision = self.decision(policy, origin, proposal, Status::Firing, turn);
                let note = format!("it got worse: decision {} goes on with it", decision.id);
                let status = Status::Superseded;
                batch.transitions.push(Transition { id: old, at: turn.now, status, note });
                let alert = self.alerts.fired(&key, decision.id, turn.now);
                batch.decisions.push(decision);
                batch.alerts.extend(alert.map(|alert| AlertChange::Set { target, alert }));
            }
            Move::Resolve(key, id) => {
                let note = "the condition no longer holds".to_owned();
                let status = Status::Resolved;
                batch.transitions.push(Transition { id, at: turn.now, status, note });
                batch.alerts.extend(self.alert_now(&key));
            }
            Move::Forget(key) => batch.alerts.push(AlertChange::Forget { target, key }),
        }
    }

    fn alert_now(&self, key: &AlertKey) -> Option<AlertChange> {
        let target = self.facts.name.clone();
        self.alerts.get(key).map(|alert| AlertChange::Set { target, alert: alert.clone() })
    }

    fn hear_advice(
        &mut self,
        result: &Heard,
        proposals: &[Proposal],
        turn: &mut Turn<'_>,
        recording: &mut Recording<'_>,
    ) {
        let policy = &result.policy;
        let waits = self.mode.stricter(result.mode) == Mode::Recommend;
        let waits_for = |setting| self.mode_of(setting).stricter(result.mode) == Mode::Recommend;
        let given: Vec<Proposal> = proposals
            .iter()
            .filter(|one| match one {
                Proposal::Recommendation { .. } => true,
                Proposal::Resize { setting, size, .. } => {
                    let sees_all = !result.beyond.contains(&setting.scope);
                    let first = self.contest.rival(policy, setting, self.mode).is_none();
                    waits_for(setting)
                        && sees_all
                        && first
                        && self.may_stand(setting, *size, turn.now)
                }
                Proposal::EndSession { session, .. } => {
                    let word = self.judge_ending(result, session, Mode::Recommend, turn.now);
                    waits && word.outcome != Outcome::Rejected
                }
                Proposal::Alert { .. } => false,
            })
            .cloned()
            .collect();
        let with_size = |one: Proposal| {
            let size = self.size_of_advice(&one);
            (one, size)
        };
        let given: Vec<_> = given.into_iter().map(with_size).collect();
        for change in self.advice.observe(policy, &given, turn.now) {
            match change {
                Change::Record(key, proposal, old) => {
                    let origin = recording.origin(result, || turn.uuid());
                    let decision = self.stand(result, origin, (key, proposal), turn);
                    let note = format!("decision {} says it anew", decision.id);
                    recording.batch.decisions.push(decision);
                    let newer =
                        |id| Transition { id, at: turn.now, status: Status::Superseded, note };
                    recording.batch.transitions.extend(old.map(newer));
                }
                Change::Withdraw(id) => recording.batch.transitions.push(Transition {
                    id,
                    at: turn.now,
                    status: Status::Resolved,
                    note: "the policy no longer says so".to_owned(),
                }),
            }
        }
    }

    /// Makes the decision under which an advice stands.
    fn stand(
        &mut self,
        result: &Heard,
        origin: Origin,
        (key, proposal): (AdviceKey, Proposal),
        turn: &mut Turn<'_>,
    ) -> Decision {
        let mut decision =
            self.decision(&key.policy, origin, proposal.clone(), Status::Proposed, turn);
        if let Proposal::Resize { setting, size, .. } = &proposal {
            let judged = judge(*size, &self.guard_facts(setting, Mode::Recommend, turn.now));
            decision.size_to = judged.size;
            decision.verdict = Some(judged.verdict);
            decision.mode = Mode::Recommend;
        }
        if let Proposal::EndSession { session, .. } = &proposal {
            let verdict = self.judge_ending(result, session, Mode::Recommend, turn.now);
            decision.verdict = Some(verdict);
            decision.mode = Mode::Recommend;
        }
        let size = self.size_of_advice(&proposal);
        self.advice.recorded(key, (proposal, size), decision.id, turn.now);
        decision
    }

    /// Gives the size in force that a proposed one would replace; 0 for what has none.
    fn size_of_advice(&self, proposal: &Proposal) -> u32 {
        match proposal {
            Proposal::Resize { setting, .. } => self.size_of(setting).map_or(0, PoolSize::get),
            _ => 0,
        }
    }

    /// Says whether a size that waits for a person would pass the guard.
    fn may_stand(&self, setting: &Setting, size: u32, now: Timestamp) -> bool {
        let judged = judge(size, &self.guard_facts(setting, Mode::Recommend, now));
        judged.verdict.outcome != Outcome::Rejected
    }

    /// Hears one proposed size; gives the change if it is to be made.
    fn hear(
        &mut self,
        ask: Ask<'_>,
        turn: &mut Turn<'_>,
        recording: &mut Recording<'_>,
    ) -> Option<Effect> {
        let Ask { heard: result, proposal, setting, size: asked, rival } = ask;
        if self.size_of(setting).is_some_and(|size| size.get() == asked) {
            return None; // Asks for nothing, and only holds its place against rivals.
        }
        let policy = &result.policy;
        let mode = self.mode_of(setting).stricter(result.mode);
        let mut facts = self.guard_facts(setting, mode, turn.now);
        facts.rival = rival;
        if result.beyond.contains(&setting.scope) {
            facts.not_actionable = Some("the policy does not see every pool that this size is for");
        }
        let judged = judge(asked, &facts);
        let passed = matches!(judged.verdict.outcome, Outcome::Approved | Outcome::Clamped);
        if passed && mode == Mode::Recommend {
            return None; // Stands as advice.
        }
        let acts = passed && mode == Mode::Enforce;
        if !acts && !self.is_news(policy, setting, asked, &judged, turn.now) {
            return None;
        }
        let origin = recording.origin(result, || turn.uuid());
        let evaluation = match &origin {
            Origin::Plugin { evaluation, .. } => recording.evaluation(*evaluation),
            Origin::Host => None,
        };
        let superseded = judged.verdict.only_refusal() == Some(Rule::Priority);
        let status = if superseded { Status::Superseded } else { Status::Proposed };
        let mut decision = self.decision(policy, origin, proposal.clone(), status, turn);
        decision.mode = mode;
        decision.size_to = judged.size;
        decision.verdict = Some(judged.verdict);
        if acts {
            let evaluations = evaluation.into_iter().collect();
            let intent = Batch { evaluations, ..Batch::default() };
            return Some(self.take_off(setting, decision, intent, Afterwards::KeepUp));
        }
        recording.batch.decisions.push(decision);
        None
    }

    /// Compares a twin with the policy that it shadows, and records what it would have done.
    fn hear_twin(&mut self, result: &Heard, turn: &mut Turn<'_>, recording: &mut Recording<'_>) {
        let Some(of) = &result.shadow_of else { return };
        for proposal in self.shadows.hear(result, of, turn.now) {
            let origin = recording.origin(result, || turn.uuid());
            let (verdict, size_to) = self.shadowed(&proposal, of, turn.now);
            let policy = &result.policy;
            let mut decision = self.decision(policy, origin, proposal, Status::Proposed, turn);
            decision.mode = Mode::Observe;
            decision.verdict = Some(verdict);
            decision.size_to = size_to;
            recording.batch.decisions.push(decision);
        }
    }

    /// Gives the guard's word on what a twin proposes.
    fn shadowed(
        &self,
        proposal: &Proposal,
        of: &PolicyName,
        now: Timestamp,
    ) -> (Verdict, Option<PoolSize>) {
        if let Proposal::Resize { setting, size, .. } = proposal {
            let judged = judge(*size, &self.guard_facts(setting, Mode::Observe, now));
            return (judged.verdict, judged.size);
        }
        let reason = format!("a shadow of {of} is recorded and not heard");
        let rules = vec![RuleWord { rule: Rule::Mode, word: Word::Shadow, reason }];
        (Verdict { outcome: Outcome::Shadowed, rules }, None)
    }

    /// Says whether a verdict differs from the last one on the scope, and notes it.
    pub fn is_news(
        &mut self,
        policy: &PolicyName,
        setting: &Setting,
        asked: u32,
        judged: &Judged,
        now: Timestamp,
    ) -> bool {
        let refused = judged.verdict.rules.iter().find(|said| said.word == Word::Reject);
        let current = self.size_of(setting).map_or(0, PoolSize::get);
        let said = Said {
            outcome: judged.verdict.outcome,
            refused_by: refused.map(|said| said.rule),
            grows: asked > current,
            at: now,
        };
        let key = (policy.clone(), setting.clone());
        let same = self.said.get(&key).is_some_and(|old| {
            let alike = Said { at: old.at, ..said.clone() } == *old;
            alike && now.since(old.at) < REPEAT
        });
        if !same {
            self.said.insert(key, said);
        }
        !same
    }

    /// Gives a setting's size that is in force.
    pub fn size_of(&self, setting: &Setting) -> Option<PoolSize> {
        let latest = self.history.latest()?;
        let wanted = || self.scopes.get(setting).and_then(|scope| scope.wanted);
        // What was read before the last change is out of date; that change was read back.
        if !self.is_fresh(setting)
            && let Some(wanted) = wanted()
        {
            return Some(wanted);
        }
        PoolSize::of(setting.knob, latest.size_in_force(setting)?).ok()
    }

    /// Gathers what the guard must know of a setting.
    pub fn guard_facts(&self, setting: &Setting, mode: Mode, now: Timestamp) -> Facts<'_> {
        let control = self.scopes.get(setting);
        let latest = self.history.latest();
        let of = |knob| self.size_of(&Setting { scope: setting.scope.clone(), knob });
        Facts {
            now,
            purpose: Purpose::Decide,
            knob: setting.knob,
            limits: &self.facts.limits,
            current: self.size_of(setting),
            pool_size: of(Knob::PoolSize),
            out_of_reach: self.out_of_reach(setting),
            not_actionable: None,
            status: self.history.status().0,
            data_age: latest.map_or(Duration::MAX, |latest| now.since(latest.at)),
            writer: self.writer.objection(now),
            stood_down: control.and_then(|control| control.stood_down),
            held: self.held(now),
            in_flight: control.is_some_and(|control| control.in_flight.is_some()),
            effect: self.hindrance(setting, now),
            retry_at: control.and_then(|control| control.retry_at),
            last_change: control.and_then(|control| control.last_change()),
            changes_last_hour: control.map_or(0, |control| control.changes_last_hour(now)),
            room: self.room_of(setting),
            rival: None,
            mode,
        }
    }

    pub fn decision(
        &self,
        policy: &PolicyName,
        origin: Origin,
        proposal: Proposal,
        status: Status,
        turn: &mut Turn<'_>,
    ) -> Decision {
        let (subject, size_from) = match &proposal {
            Proposal::Alert { subject, .. } | Proposal::Recommendation { subject, .. } => {
                (subject.clone(), None)
            }
            Proposal::Resize { setting, .. } => {
                (Subject::Scope(setting.scope.clone()), self.size_of(setting))
            }
            Proposal::EndSession { session, .. } => (Subject::Pool(session.pool.clone()), None),
        };
        Decision {
            id: turn.decision_id(),
            at: turn.now,
            target: self.facts.name.clone(),
            policy: policy.clone(),
            origin,
            subject,
            mode: self.mode,
            status,
            proposal,
            verdict: None,
            size_from,
            size_to: None,
        }
    }
}
