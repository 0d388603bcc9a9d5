//! Several policies on one setting: whose size is heard.
//!
//! The rule: of the policies that ask for a size of the same scope, with the same effective mode, the
//! one of highest priority is heard; of equal priority the larger size, because a queue hurts
//! clients and an idle connection only costs; of equal sizes the first by name. A policy that only
//! observes takes no part, and neither does one that may not size the scope.
//!
//! What a policy asked for stands until it answers again, so one that is asked seldom is not
//! outvoted in between. It only holds its place: nothing is ever changed on an earlier word, because
//! the size that it was about may be another one by now.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Heard;
use crate::model::{Digest, Mode, PolicyName, Proposal, Setting};

/// A size that a policy asks for in this turn, and who is heard instead, if somebody is.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub heard: &'a Heard,
    pub proposal: &'a Proposal,
    pub setting: &'a Setting,
    pub size: u32,
    pub rival: Option<String>,
}

/// What one policy asked for in its newest answer.
#[derive(Debug)]
struct Standing {
    digest: Digest,
    mode: Mode,
    priority: i32,
    /// Sizes by setting, those left out that the policy may not decide.
    sizes: BTreeMap<Setting, u32>,
}

/// What every policy asks for.
#[derive(Debug, Default)]
pub(super) struct Contest {
    standing: BTreeMap<PolicyName, Standing>,
}

impl Contest {
    /// Takes in an answer, which replaces the one before; without one the old one stands, as far as
    /// its policy is still the same one and still may.
    pub fn hear(&mut self, heard: &Heard) {
        let Some(answer) = &heard.answer else {
            if let Some(standing) = self.standing.get_mut(&heard.policy) {
                (standing.mode, standing.priority) = (heard.mode, heard.priority);
            }
            self.standing.retain(|name, old| *name != heard.policy || old.digest == heard.digest);
            return;
        };
        let sizes = answer.proposals.iter().filter_map(|proposal| match proposal {
            Proposal::Resize { setting, size, .. } if !heard.beyond.contains(&setting.scope) => {
                Some((setting.clone(), *size))
            }
            _ => None,
        });
        let Heard { digest, mode, priority, .. } = *heard;
        let standing = Standing { digest, mode, priority, sizes: sizes.collect() };
        self.standing.insert(heard.policy.clone(), standing);
    }

    /// Forgets the policies that are no longer heard.
    pub fn keep_policies(&mut self, heard: &BTreeSet<PolicyName>) {
        self.standing.retain(|policy, _| heard.contains(policy));
    }

    /// Gives what is asked for in this turn; losers come first, so that each is judged by what holds
    /// before the winner's change begins.
    pub fn turn<'a>(&self, heard: &[&'a Heard], target: Mode) -> Vec<Ask<'a>> {
        let asks = heard.iter().flat_map(|heard| {
            let proposals = heard.answer.iter().flat_map(|answer| &answer.proposals);
            proposals.filter_map(|proposal| match proposal {
                Proposal::Resize { setting, size, .. } => {
                    let rival = self.rival(&heard.policy, setting, target);
                    Some(Ask { heard, proposal, setting, size: *size, rival })
                }
                _ => None,
            })
        });
        let mut asks: Vec<Ask<'a>> = asks.collect();
        asks.sort_by_key(|ask| ask.rival.is_none());
        asks
    }

    /// Says who is heard about a setting instead of a policy, if somebody is.
    pub fn rival(&self, policy: &PolicyName, setting: &Setting, target: Mode) -> Option<String> {
        let mine = self.standing.get(policy)?;
        let mode = target.stricter(mine.mode);
        let size = mine.sizes.get(setting)?;
        if mode == Mode::Observe {
            return None;
        }
        let (name, first, most) = self
            .standing
            .iter()
            .filter(|(_, other)| target.stricter(other.mode) == mode)
            .filter_map(|(name, other)| Some((name, other, other.sizes.get(setting)?)))
            .min_by_key(|(name, other, size)| (Reverse(other.priority), Reverse(**size), *name))?;
        (name != policy && most != size).then(|| {
            format!(
                "{name} (priority {}) asks for {most}, {policy} (priority {}) for {size}",
                first.priority, mine.priority
            )
        })
    }
}
