//! When each policy was last asked about each target: the one place that knows.
//!
//! A policy says how often it wants to be asked at the most, and its file may say otherwise. A new
//! version of it is asked at once, as every policy is after a start. A moment counts when the policy
//! is asked, not when it has answered. None of this is part of an evaluation's input, so a replay
//! does not need it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::evaluate::{Policy, PolicySet};
use crate::model::{PolicyName, TargetName, Timestamp};

/// When policies were last asked.
#[derive(Debug, Default)]
pub struct Cadence {
    asked: BTreeMap<(TargetName, PolicyName), (Weak<Policy>, Timestamp)>,
}

impl Cadence {
    /// Gives the policies that are to be asked now, and notes that they are.
    ///
    /// `ready` says whether all is there that a due policy wants to see; if not, it stays due.
    pub fn take_due(
        &mut self,
        set: &PolicySet,
        target: &TargetName,
        now: Timestamp,
        ready: impl Fn(&Policy) -> bool,
    ) -> Vec<Arc<Policy>> {
        let mut due = Vec::new();
        for policy in set.covering(target) {
            let key = (target.clone(), policy.name().clone());
            let is_due = self.asked.get(&key).is_none_or(|(version, at)| {
                let is_new = !std::ptr::eq(version.as_ptr(), Arc::as_ptr(policy));
                is_new || now.since(*at) >= policy.every()
            });
            if is_due && ready(policy) {
                self.asked.insert(key, (Arc::downgrade(policy), now));
                due.push(Arc::clone(policy));
            }
        }
        // Holding on to a version that is gone would keep its memory.
        self.asked.retain(|_, (version, _)| version.strong_count() > 0);
        due
    }
}
