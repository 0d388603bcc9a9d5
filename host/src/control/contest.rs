//! Several policies on one setting: whose size is heard.
//!
//! The rule: of the policies that ask for a size of the same scope, with the same effective mode, the
//! one of highest priority is heard; of equal priority the larger size, because a queue hurts
//! clients and an idle connection only costs; of equal sizes the first by name. What a policy asked
//! for stands until it answers again, so one that is asked seldom is not outvoted in between. A
//! policy that only observes takes no part, and neither does one that may not size the scope.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Heard;
use crate::model::{Mode, PolicyName, Proposal, ScopeKey};

/// A size that a policy asked for in its newest answer.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// The policy and its evaluation, without the answer.
    pub heard: Heard,
    pub proposal: Proposal,
    pub scope: ScopeKey,
    pub size: u32,
    /// Said in this turn, not in an earlier one.
    pub fresh: bool,
}

/// What every policy asks for.
#[derive(Debug, Default)]
pub(super) struct Contest {
    asks: BTreeMap<PolicyName, Vec<Ask>>,
}

impl Contest {
    /// Takes in an answer, which replaces the one before; one that gave none leaves it standing.
    pub fn hear(&mut self, heard: &Heard) {
        let Some(answer) = &heard.answer else { return };
        let silent = Heard { answer: None, ..heard.clone() };
        let asks = answer.proposals.iter().filter_map(|proposal| match proposal {
            Proposal::Resize { scope, size, .. } => Some(Ask {
                heard: silent.clone(),
                proposal: proposal.clone(),
                scope: scope.clone(),
                size: *size,
                fresh: true,
            }),
            Proposal::Alert { .. }
            | Proposal::Recommendation { .. }
            | Proposal::EndSession { .. } => None,
        });
        self.asks.insert(heard.policy.clone(), asks.collect());
    }

    /// Marks everything as said before.
    pub fn next_turn(&mut self) {
        self.asks.values_mut().flatten().for_each(|ask| ask.fresh = false);
    }

    /// Forgets the policies that are no longer asked.
    pub fn keep_policies(&mut self, asked: &BTreeSet<PolicyName>) {
        self.asks.retain(|policy, _| asked.contains(policy));
    }

    /// Gives what is to be heard now: what was said in this turn, and what won with an earlier word.
    ///
    /// Losers come first, so that each is judged by what holds before the winner's change begins.
    pub fn turn(&self, target: Mode) -> Vec<(Ask, Option<String>)> {
        let all = || self.asks.values().flatten();
        let mut turn: Vec<(Ask, Option<String>)> = all()
            .map(|ask| (ask.clone(), self.beaten_by(ask, target)))
            .filter(|(ask, beaten)| ask.fresh || (beaten.is_none() && contends(ask, target)))
            .collect();
        turn.sort_by_key(|(_, beaten)| beaten.is_none());
        turn
    }

    /// Says who else is heard about the scope, if somebody is.
    pub fn beaten_by(&self, ask: &Ask, target: Mode) -> Option<String> {
        if !contends(ask, target) {
            return None;
        }
        let mode = target.stricter(ask.heard.mode);
        let rank =
            |ask: &Ask| (Reverse(ask.heard.priority), Reverse(ask.size), ask.heard.policy.clone());
        let rivals = self.asks.values().flatten().filter(|other| {
            other.scope == ask.scope
                && contends(other, target)
                && target.stricter(other.heard.mode) == mode
        });
        let first = rivals.min_by_key(|other| rank(other))?;
        let is_rival = first.heard.policy != ask.heard.policy && first.size != ask.size;
        is_rival.then(|| {
            format!(
                "{} (priority {}) asks for {}, {} (priority {}) for {}",
                first.heard.policy,
                first.heard.priority,
                first.size,
                ask.heard.policy,
                ask.heard.priority,
                ask.size
            )
        })
    }

    /// Says who else is heard about what one policy asks of a scope, if somebody is.
    pub fn rival(&self, policy: &PolicyName, scope: &ScopeKey, target: Mode) -> Option<String> {
        let asks = self.asks.get(policy)?;
        let ask = asks.iter().find(|ask| ask.scope == *scope)?;
        self.beaten_by(ask, target)
    }
}

fn contends(ask: &Ask, target: Mode) -> bool {
    target.stricter(ask.heard.mode) != Mode::Observe && !ask.heard.beyond.contains(&ask.scope)
}
