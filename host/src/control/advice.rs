//! Recommendations that stand: recorded when new or changed, and withdrawn when no longer given.
//!
//! A policy repeats its advice in every evaluation. Small changes of its numbers are not news, so an
//! advice is recorded again only when what to do has changed and a while has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{Decision, DecisionId, Knob, PolicyName, Proposal, Subject, Timestamp};

/// Shortest time between two records of the same advice, and how long it outlives its last mention.
const QUIET: Duration = Duration::from_secs(60);

/// Most pieces of advice that stand about one target.
const STANDING_MAX: usize = 1_000;

/// What makes two pieces of advice the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AdviceKey {
    pub policy: PolicyName,
    pub name: String,
    pub subject: Subject,
}

#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub id: DecisionId,
    pub since: Timestamp,
    pub proposal: Proposal,
    mentioned: Timestamp,
}

/// What changes about advice.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a handful live for the length of one turn")]
pub(super) enum Change {
    /// New, or changed: the caller records it; the older record, if any, is superseded.
    Record(AdviceKey, Proposal, Option<DecisionId>),
    /// No longer given.
    Withdraw(DecisionId),
}

/// The standing advice about one target.
#[derive(Debug, Default)]
pub(super) struct AdviceBook {
    standing: BTreeMap<AdviceKey, Standing>,
}

impl AdviceBook {
    /// Makes a book from what the store knows.
    pub fn new(decisions: Vec<Decision>, now: Timestamp) -> Self {
        let entry = |decision: Decision| {
            let key = key_of(&decision.policy, &decision.proposal)?;
            let Decision { id, at, proposal, .. } = decision;
            Some((key, Standing { id, since: at, proposal, mentioned: now }))
        };
        Self { standing: decisions.into_iter().filter_map(entry).collect() }
    }

    pub fn standing(&self) -> impl Iterator<Item = (&AdviceKey, &Standing)> {
        self.standing.iter()
    }

    /// Takes in all advice of one policy.
    pub fn observe(
        &mut self,
        policy: &PolicyName,
        given: &[Proposal],
        now: Timestamp,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for proposal in given {
            let Some(key) = key_of(policy, proposal) else { continue };
            let full = self.standing.len() + changes.len() >= STANDING_MAX;
            match self.standing.get_mut(&key) {
                // Whoever gives this much advice is not heard in full.
                None if full => {}
                None => changes.push(Change::Record(key, proposal.clone(), None)),
                Some(old) => {
                    old.mentioned = now;
                    let news = to_do(&old.proposal) != to_do(proposal);
                    if news && now.since(old.since) >= QUIET {
                        changes.push(Change::Record(key, proposal.clone(), Some(old.id)));
                    }
                }
            }
        }
        changes.extend(self.withdraw(policy, now));
        changes
    }

    /// Withdraws the advice of policies that are no longer asked.
    pub fn keep_policies(&mut self, asked: &BTreeSet<PolicyName>) -> Vec<DecisionId> {
        let orphans = self.standing.extract_if(.., |key, _| !asked.contains(&key.policy));
        orphans.map(|(_, standing)| standing.id).collect()
    }

    /// Notes under which decision an advice was recorded.
    pub fn recorded(&mut self, key: AdviceKey, proposal: Proposal, id: DecisionId, now: Timestamp) {
        self.standing.insert(key, Standing { id, since: now, proposal, mentioned: now });
    }

    fn withdraw(&mut self, policy: &PolicyName, now: Timestamp) -> Vec<Change> {
        let mut gone = Vec::new();
        self.standing.retain(|key, standing| {
            let stays = key.policy != *policy || now.since(standing.mentioned) < QUIET;
            if !stays {
                gone.push(Change::Withdraw(standing.id));
            }
            stays
        });
        gone
    }
}

fn key_of(policy: &PolicyName, proposal: &Proposal) -> Option<AdviceKey> {
    let (name, subject) = match proposal {
        Proposal::Recommendation { name, subject, .. } => (name.clone(), subject.clone()),
        // A resize that waits for a person is advice too.
        Proposal::Resize { setting, .. } => {
            (resize_name(setting.knob), Subject::Scope(setting.scope.clone()))
        }
        Proposal::EndSession { session, .. } => {
            let name = format!("end-session-{}", session.backend_pid);
            (name, Subject::Pool(session.pool.clone()))
        }
        Proposal::Alert { .. } => return None,
    };
    Some(AdviceKey { policy: policy.clone(), name, subject })
}

/// Gives the name under which sizes of a knob are compared: one scope has one of each.
pub(super) fn resize_name(knob: Knob) -> String {
    match knob {
        Knob::PoolSize => "resize".to_owned(),
        knob => format!("resize-{knob}"),
    }
}

fn to_do(proposal: &Proposal) -> (&str, u32) {
    match proposal {
        Proposal::Recommendation { action, .. } => (action, 0),
        Proposal::Resize { size, .. } => ("", *size),
        Proposal::EndSession { session, .. } => (&session.client, session.backend_pid),
        Proposal::Alert { .. } => ("", 0),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn advice(action: &str) -> Proposal {
        Proposal::Recommendation {
            name: "bound-the-queue".into(),
            subject: Subject::Target,
            summary: "clients queue for ever".into(),
            action: action.into(),
            evidence: Vec::new(),
        }
    }

    fn at(s: u64) -> Timestamp {
        Timestamp::from_millis(s * 1_000)
    }

    #[test]
    fn advice_is_recorded_once_and_again_when_it_changed() {
        let policy = PolicyName::new("p").expect("a fine name");
        let mut book = AdviceBook::default();
        let changes = book.observe(&policy, &[advice("a")], at(0));
        let [Change::Record(key, proposal, None)] = changes.as_slice() else {
            panic!("{changes:?} is not one new record");
        };
        book.recorded(key.clone(), proposal.clone(), DecisionId(Uuid::nil()), at(0));
        assert_eq!(book.observe(&policy, &[advice("a")], at(100)), []);
        let changed = book.observe(&policy, &[advice("b")], at(100));
        assert!(matches!(changed.as_slice(), [Change::Record(_, _, Some(_))]), "{changed:?}");
    }

    #[test]
    fn advice_that_is_no_longer_given_is_withdrawn_after_a_while() {
        let policy = PolicyName::new("p").expect("a fine name");
        let mut book = AdviceBook::default();
        let Some(Change::Record(key, proposal, _)) =
            book.observe(&policy, &[advice("a")], at(0)).pop()
        else {
            panic!("new advice is recorded");
        };
        book.recorded(key, proposal, DecisionId(Uuid::nil()), at(0));
        assert_eq!(book.observe(&policy, &[], at(59)), []);
        assert_eq!(book.observe(&policy, &[], at(60)), [Change::Withdraw(DecisionId(Uuid::nil()))]);
    }
}
