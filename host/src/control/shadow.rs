//! Shadow twins: policies that run beside another one, are recorded, and never heard.
//!
//! A twin's answers are compared with those of the policy it shadows, proposal by proposal, so that
//! an operator sees how often a new version or other settings would have decided alike before it
//! may decide at all. Evaluations in which both are silent are counted apart: they would make every
//! twin look right.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Heard;
use super::advice::resize_name;
use crate::model::{Digest, PolicyName, Proposal, Setting, Subject, Timestamp};

/// Differences that are remembered for a person to look at.
const DIFFERENCES: usize = 20;
/// The same proposal of a twin is recorded again after this long.
const REPEAT: Duration = Duration::from_secs(60);

/// What makes proposals of two policies comparable: a name, and what it is about.
type Key = (String, Subject);
/// What each proposal comes to: a size, a severity, an action.
type Said = BTreeMap<Key, String>;

/// How often a twin decided as the policy that it shadows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowView {
    /// The twin.
    pub policy: PolicyName,
    /// The policy that it shadows.
    pub of: PolicyName,
    /// When counting began: at the start, or when one of the two was last replaced.
    pub since: Timestamp,
    /// Evaluations in which both answered.
    pub rounds: u64,
    /// Of these, the ones in which both proposed nothing.
    pub silent: u64,
    /// Proposals that were made by either, counted in each evaluation.
    pub compared: u64,
    /// Of these, the ones that both made alike.
    pub agreed: u64,
    /// The newest differences, newest last.
    pub differences: Vec<Difference>,
}

/// A proposal that one made and the other did not, or made otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// When it began.
    pub at: Timestamp,
    /// Name of the alert or advice; `resize` for a size.
    pub name: String,
    /// What it is about.
    pub subject: Subject,
    /// What the twin says; `None` when it says nothing of it.
    pub shadow: Option<String>,
    /// What the shadowed policy says; `None` when it says nothing of it.
    pub shadowed: Option<String>,
}

/// Every twin of one target.
#[derive(Debug, Default)]
pub(super) struct ShadowBook {
    twins: BTreeMap<PolicyName, Twin>,
    /// Newest answers of the policies that are shadowed.
    shadowed: BTreeMap<PolicyName, (Digest, Said)>,
}

#[derive(Debug)]
struct Twin {
    view: ShadowView,
    digests: (Digest, Option<Digest>),
    /// When each proposal was last recorded.
    recorded: BTreeMap<Key, (Timestamp, String)>,
    differing: BTreeMap<Key, (Option<String>, Option<String>)>,
}

impl ShadowBook {
    /// Takes in an answer of a policy that twins may shadow.
    pub fn note(&mut self, heard: &Heard) {
        if let Some(answer) = &heard.answer {
            let said = said_of(&answer.proposals);
            self.shadowed.insert(heard.policy.clone(), (heard.digest, said));
        }
    }

    /// Compares a twin's answer, and gives those of its proposals that are news to be recorded.
    pub fn hear(&mut self, heard: &Heard, of: &PolicyName, now: Timestamp) -> Vec<Proposal> {
        let Some(answer) = &heard.answer else { return Vec::new() };
        let shadowed = self.shadowed.get(of);
        let digests = (heard.digest, shadowed.map(|(digest, _)| *digest));
        let fresh = || Twin::new(heard, of, digests, now);
        let twin = self.twins.entry(heard.policy.clone()).or_insert_with(fresh);
        if twin.digests != digests || twin.view.of != *of {
            *twin = fresh();
        }
        let mine = said_of(&answer.proposals);
        if let Some((_, theirs)) = shadowed {
            twin.compare(&mine, theirs, now);
        }
        answer.proposals.iter().filter(|one| twin.is_news(one, now)).cloned().collect()
    }

    /// Forgets the policies that are no longer asked.
    pub fn keep_policies(&mut self, heard: &BTreeSet<PolicyName>, twins: &BTreeSet<PolicyName>) {
        self.twins.retain(|policy, _| twins.contains(policy));
        self.shadowed.retain(|policy, _| heard.contains(policy));
    }

    /// Shows every twin.
    pub fn views(&self) -> Vec<ShadowView> {
        self.twins.values().map(|twin| twin.view.clone()).collect()
    }
}

impl Twin {
    fn new(
        heard: &Heard,
        of: &PolicyName,
        digests: (Digest, Option<Digest>),
        now: Timestamp,
    ) -> Self {
        let view = ShadowView {
            policy: heard.policy.clone(),
            of: of.clone(),
            since: now,
            rounds: 0,
            silent: 0,
            compared: 0,
            agreed: 0,
            differences: Vec::new(),
        };
        Self { view, digests, recorded: BTreeMap::new(), differing: BTreeMap::new() }
    }

    fn compare(&mut self, mine: &Said, theirs: &Said, now: Timestamp) {
        let keys: BTreeSet<&Key> = mine.keys().chain(theirs.keys()).collect();
        self.view.rounds += 1;
        self.view.silent += u64::from(keys.is_empty());
        let mut differing = BTreeMap::new();
        for key in keys {
            let (shadow, shadowed) = (mine.get(key).cloned(), theirs.get(key).cloned());
            self.view.compared += 1;
            if shadow == shadowed {
                self.view.agreed += 1;
            } else {
                differing.insert(key.clone(), (shadow, shadowed));
            }
        }
        let mut latest: VecDeque<Difference> = std::mem::take(&mut self.view.differences).into();
        for (key, both) in &differing {
            if self.differing.get(key) != Some(both) {
                let ((name, subject), (shadow, shadowed)) = (key.clone(), both.clone());
                latest.push_back(Difference { at: now, name, subject, shadow, shadowed });
            }
        }
        let excess = latest.len().saturating_sub(DIFFERENCES);
        latest.drain(..excess);
        self.view.differences = latest.into();
        self.differing = differing;
    }

    fn is_news(&mut self, proposal: &Proposal, now: Timestamp) -> bool {
        let (key, said) = item(proposal);
        let known = self.recorded.get(&key);
        let old = known.is_some_and(|(at, old)| *old == said && now.since(*at) < REPEAT);
        if !old {
            self.recorded.retain(|_, (at, _)| now.since(*at) < REPEAT);
            self.recorded.insert(key, (now, said));
        }
        !old
    }
}

fn said_of(proposals: &[Proposal]) -> Said {
    proposals.iter().map(item).collect()
}

fn item(proposal: &Proposal) -> (Key, String) {
    match proposal {
        Proposal::Alert { name, subject, severity, .. } => {
            ((name.clone(), subject.clone()), severity.as_str().to_owned())
        }
        Proposal::Recommendation { name, subject, action, .. } => {
            ((name.clone(), subject.clone()), action.clone())
        }
        Proposal::Resize { setting, size, .. } => (resize_key(setting), size.to_string()),
        Proposal::EndSession { session, .. } => {
            let name = format!("end-session-{}", session.backend_pid);
            ((name, Subject::Pool(session.pool.clone())), session.client.clone())
        }
    }
}

fn resize_key(setting: &Setting) -> Key {
    (resize_name(setting.knob), Subject::Scope(setting.scope.clone()))
}
