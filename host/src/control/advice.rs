//! Recommendations that stand: recorded when new or changed, and withdrawn when no longer given.
//!
//! A policy repeats its advice in every evaluation. Small changes of its numbers are not news, so an
//! advice is recorded again only when what to do has changed and a while has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{
    Decision, DecisionId, Knob, PolicyName, PoolSize, Proposal, Subject, Timestamp,
};

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
    /// The size in force when it was said; 0 for what has none.
    pub size_from: u32,
    mentioned: Timestamp,
}

impl Standing {
    /// Says whether a size is still the one that was in force when it was said.
    pub fn goes_from(&self, size: PoolSize) -> bool {
        self.size_from == 0 || self.size_from == size.get()
    }
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
    /// Approved, and being recorded; not said anew meanwhile.
    away: BTreeMap<AdviceKey, Standing>,
    /// What people said no to, and until when it is not said again.
    rejected: BTreeMap<AdviceKey, (Gist, Timestamp)>,
}

/// What a person says no to: the same words, or a size in the same direction.
#[derive(Debug, Clone, PartialEq)]
enum Gist {
    Words(String),
    Session(String, u32),
    Grow,
    Shrink,
}

impl AdviceBook {
    /// Makes a book from what the store knows.
    pub fn new(decisions: Vec<Decision>, now: Timestamp) -> Self {
        let entry = |decision: Decision| {
            let key = key_of(&decision.policy, &decision.proposal)?;
            let Decision { id, at, proposal, size_from, .. } = decision;
            let size_from = size_from.map_or(0, PoolSize::get);
            Some((key, Standing { id, since: at, proposal, size_from, mentioned: now }))
        };
        let standing = decisions.into_iter().filter_map(entry).collect();
        Self { standing, ..Self::default() }
    }

    /// Takes over what people have said no to before the start.
    pub fn with_rejected(mut self, rejected: Vec<(Decision, Timestamp)>) -> Self {
        for (decision, until) in rejected {
            let size_from = decision.size_from.map_or(0, PoolSize::get);
            let gist = gist_of(&decision.proposal, size_from);
            if let Some((key, gist)) = key_of(&decision.policy, &decision.proposal).zip(gist) {
                self.rejected.insert(key, (gist, until));
            }
        }
        self
    }

    pub fn get(&self, id: DecisionId) -> Option<&Standing> {
        self.standing.values().find(|standing| standing.id == id)
    }

    /// Keeps what is being approved from being said anew or approved twice.
    pub fn take_away(&mut self, id: DecisionId) {
        self.away.extend(self.standing.extract_if(.., |_, standing| standing.id == id));
    }

    /// Lets what could not be recorded stand again.
    pub fn put_back(&mut self, id: DecisionId) {
        self.standing.extend(self.away.extract_if(.., |_, standing| standing.id == id));
    }

    /// Gives what was approved and recorded.
    pub fn approved(&mut self, id: DecisionId) -> Option<Standing> {
        self.away.extract_if(.., |_, standing| standing.id == id).map(|(_, one)| one).next()
    }

    /// Puts away what a person said no to.
    pub fn reject(&mut self, id: DecisionId, until: Timestamp) {
        for (key, standing) in self.standing.extract_if(.., |_, standing| standing.id == id) {
            if let Some(gist) = gist_of(&standing.proposal, standing.size_from) {
                self.rejected.insert(key, (gist, until));
            }
        }
    }

    /// Says whether a person has said no to this a short while ago, or is being heard about it.
    fn is_unwanted(&self, key: &AdviceKey, proposal: &Proposal, size_from: u32) -> bool {
        let rejected = self
            .rejected
            .get(key)
            .is_some_and(|(gist, _)| gist_of(proposal, size_from).as_ref() == Some(gist));
        rejected || self.away.contains_key(key)
    }

    pub fn standing(&self) -> impl Iterator<Item = (&AdviceKey, &Standing)> {
        self.standing.iter()
    }

    /// Takes in all advice of one policy, each with the size in force that it is about.
    pub fn observe(
        &mut self,
        policy: &PolicyName,
        given: &[(Proposal, u32)],
        now: Timestamp,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        self.rejected.retain(|_, (_, until)| now < *until);
        for (proposal, size_from) in given {
            let Some(key) = key_of(policy, proposal) else { continue };
            if self.is_unwanted(&key, proposal, *size_from) {
                continue;
            }
            let full = self.standing.len() + changes.len() >= STANDING_MAX;
            match self.standing.get_mut(&key) {
                // Whoever gives this much advice is not heard in full.
                None if full => {}
                None => changes.push(Change::Record(key, proposal.clone(), None)),
                Some(old) => {
                    old.mentioned = now;
                    let is_resize = matches!(proposal, Proposal::Resize { .. });
                    let moved = is_resize && old.size_from != *size_from;
                    let news = moved || to_do(&old.proposal) != to_do(proposal);
                    // What has turned round may not be approved for another minute as it was.
                    let turned =
                        gist_of(&old.proposal, old.size_from) != gist_of(proposal, *size_from);
                    if news && (is_resize && turned || now.since(old.since) >= QUIET) {
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
    pub fn recorded(
        &mut self,
        key: AdviceKey,
        (proposal, size_from): (Proposal, u32),
        id: DecisionId,
        now: Timestamp,
    ) {
        let standing = Standing { id, since: now, proposal, size_from, mentioned: now };
        self.standing.insert(key, standing);
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

fn gist_of(proposal: &Proposal, size_from: u32) -> Option<Gist> {
    match proposal {
        Proposal::Recommendation { action, .. } => Some(Gist::Words(action.clone())),
        Proposal::Resize { size, .. } if *size > size_from => Some(Gist::Grow),
        Proposal::Resize { .. } => Some(Gist::Shrink),
        Proposal::EndSession { session, .. } => {
            Some(Gist::Session(session.client.clone(), session.backend_pid))
        }
        Proposal::Alert { .. } => None,
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
        let changes = book.observe(&policy, &[(advice("a"), 0)], at(0));
        let [Change::Record(key, proposal, None)] = changes.as_slice() else {
            panic!("{changes:?} is not one new record");
        };
        book.recorded(key.clone(), (proposal.clone(), 0), DecisionId(Uuid::nil()), at(0));
        assert_eq!(book.observe(&policy, &[(advice("a"), 0)], at(100)), []);
        let changed = book.observe(&policy, &[(advice("b"), 0)], at(100));
        assert!(matches!(changed.as_slice(), [Change::Record(_, _, Some(_))]), "{changed:?}");
    }

    #[test]
    fn advice_that_is_no_longer_given_is_withdrawn_after_a_while() {
        let policy = PolicyName::new("p").expect("a fine name");
        let mut book = AdviceBook::default();
        let Some(Change::Record(key, proposal, _)) =
            book.observe(&policy, &[(advice("a"), 0)], at(0)).pop()
        else {
            panic!("new advice is recorded");
        };
        book.recorded(key, (proposal, 0), DecisionId(Uuid::nil()), at(0));
        assert_eq!(book.observe(&policy, &[], at(59)), []);
        assert_eq!(book.observe(&policy, &[], at(60)), [Change::Withdraw(DecisionId(Uuid::nil()))]);
    }
}
