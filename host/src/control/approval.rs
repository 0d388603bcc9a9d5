//! What waits for a person: approved, it goes the way of every change; rejected, it stays away.

use std::time::Duration;

use super::advice::Standing;
use super::scope::Afterwards;
use super::target::TargetControl;
use super::{Effect, OrderRefusal, Turn};
use crate::guard::{Facts, Hindrance, judge};
use crate::model::{
    DecisionId, Mode, Outcome, PoolSize, Proposal, Setting, Signature, Status, Timestamp,
    Transition, Verdict, Word,
};
use crate::record::{Approval, Batch};

/// A change that the guard lets pass at a person's word.
struct Passed {
    size_from: Option<PoolSize>,
    size_to: Option<PoolSize>,
    verdict: Verdict,
}

impl TargetControl {
    /// Judges an approval, and keeps what is approved from being said anew until it is recorded.
    pub fn judge_approval(
        &mut self,
        id: DecisionId,
        by: &Signature,
        now: Timestamp,
    ) -> Result<Batch, OrderRefusal> {
        let standing = self.advice.get(id).ok_or(OrderRefusal::NotStanding(id))?;
        let passed = self.judge_as_a_person(id, standing, now)?;
        let clamped = match passed.verdict.outcome {
            Outcome::Clamped => format!(", {}", clamps(&passed.verdict)),
            _ => String::new(),
        };
        let size = passed.size_to.map(|size| format!(" at {size}")).unwrap_or_default();
        let note = format!("approved by {}; the guard lets it pass{size}{clamped}", by.words());
        self.advice.take_away(id);
        let Passed { size_from, size_to, .. } = passed;
        Ok(Batch {
            approvals: vec![Approval { id, size_from, size_to }],
            transitions: vec![Transition { id, at: now, status: Status::Proposed, note }],
            ..Batch::default()
        })
    }

    /// Carries out what was approved and recorded, if the guard still lets it pass.
    pub fn approve(&mut self, id: DecisionId, by: &Signature, turn: &mut Turn<'_>) -> Vec<Effect> {
        let Some(standing) = self.advice.approved(id) else { return Vec::new() };
        tracing::info!(%id, author = by.author, "a person approved a decision");
        let passed = match self.judge_as_a_person(id, &standing, turn.now) {
            Ok(passed) => passed,
            Err(why) => {
                let note = format!("it was approved, and then not done: {why}");
                let failed = Transition { id, at: turn.now, status: Status::Failed, note };
                let batch = Batch { transitions: vec![failed], ..Batch::default() };
                return vec![Effect::Record(Box::new(batch))];
            }
        };
        let effect = match &standing.proposal {
            Proposal::Resize { setting, .. } => self.take_off_approved(id, setting, &passed, turn),
            Proposal::EndSession { session, .. } => {
                Some(self.take_off_ending(id, session, Batch::default(), turn.now))
            }
            Proposal::Alert { .. } | Proposal::Recommendation { .. } => None,
        };
        effect.into_iter().collect()
    }

    fn take_off_approved(
        &mut self,
        id: DecisionId,
        setting: &Setting,
        passed: &Passed,
        turn: &Turn<'_>,
    ) -> Option<Effect> {
        let (from, size) = (passed.size_from, passed.size_to?);
        let measured = super::scope::Measured::Effect;
        let change = super::drift::TakeOff { id, at: turn.now, setting, from, size, measured };
        Some(self.send_off(change, Batch::default(), Afterwards::KeepUp))
    }

    /// Judges what stands as a person's own act: it needs no mode, and the rest of the guard holds.
    fn judge_as_a_person(
        &self,
        id: DecisionId,
        standing: &Standing,
        now: Timestamp,
    ) -> Result<Passed, OrderRefusal> {
        let passed = match &standing.proposal {
            Proposal::Resize { setting, size, .. } => {
                let facts = self.guard_facts(setting, Mode::Enforce, now);
                // A person knows what the last change did.
                let judged = judge(*size, &Facts { effect: Hindrance::default(), ..facts });
                let size_from = self.size_of(setting);
                if let Some(now) = size_from.filter(|now| !standing.goes_from(*now)) {
                    let then = standing.size_from;
                    return Err(OrderRefusal::Moved { id, then, now: now.get() });
                }
                Passed { size_from, size_to: judged.size, verdict: judged.verdict }
            }
            // What it says of the policy's leave in this mode is right: a person ends the session.
            Proposal::EndSession { session, .. } => Passed {
                size_from: None,
                size_to: None,
                verdict: self.judge_ending_in(session, Mode::Recommend, now),
            },
            Proposal::Alert { .. } | Proposal::Recommendation { .. } => {
                return Err(OrderRefusal::NothingToDo(id));
            }
        };
        match passed.verdict.outcome {
            Outcome::Approved | Outcome::Clamped => Ok(passed),
            Outcome::Rejected | Outcome::Shadowed => {
                Err(OrderRefusal::Guard(refusals(&passed.verdict)))
            }
        }
    }

    /// Judges a rejection.
    pub fn judge_rejection(
        &mut self,
        id: DecisionId,
        by: &Signature,
        now: Timestamp,
    ) -> Result<Batch, OrderRefusal> {
        if self.advice.get(id).is_none() {
            return Err(OrderRefusal::NotStanding(id));
        }
        let minutes = self.rejected_for.as_secs().div_ceil(60);
        let note = format!("rejected by {}; not said again for {minutes} min", by.words());
        let transitions = vec![Transition { id, at: now, status: Status::Rejected, note }];
        Ok(Batch { transitions, ..Batch::default() })
    }

    /// Puts away what was rejected.
    pub fn reject(&mut self, id: DecisionId, now: Timestamp) {
        let until = now.plus(self.rejected_for.max(Duration::from_millis(1)));
        self.advice.reject(id, until);
    }
}

fn words(verdict: &Verdict, word: Word) -> String {
    let said = verdict.rules.iter().filter(|said| said.word == word);
    let said: Vec<_> = said.map(|one| format!("{}: {}", one.rule.as_str(), one.reason)).collect();
    said.join("; ")
}

fn refusals(verdict: &Verdict) -> String {
    words(verdict, Word::Reject)
}

fn clamps(verdict: &Verdict) -> String {
    words(verdict, Word::Clamp)
}
