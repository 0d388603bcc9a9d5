//! Turns what a tick came to into rows for the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::evaluate::PolicyResult;
use crate::model::{Origin, PolicyName, TargetName, Timestamp};
use crate::record::{Batch, Evaluation};

/// Collects a tick's rows; an evaluation is recorded once, however many decisions came of it.
#[derive(Debug)]
pub(super) struct Recording<'a> {
    pub batch: Batch,
    target: &'a TargetName,
    now: Timestamp,
    ids: BTreeMap<PolicyName, Uuid>,
}

impl<'a> Recording<'a> {
    pub fn new(target: &'a TargetName, now: Timestamp) -> Self {
        Self { batch: Batch::default(), target, now, ids: BTreeMap::new() }
    }

    /// Gives the origin of a decision of this result, recording its evaluation.
    pub fn origin(&mut self, result: &PolicyResult, id: impl FnOnce() -> Uuid) -> Origin {
        let policy = &result.policy;
        let known = self.ids.get(policy.name()).copied();
        let evaluation = known.unwrap_or_else(|| self.add(result, id()));
        Origin::Plugin { digest: policy.digest(), version: policy.version(), evaluation }
    }

    /// Splits off an intent with the evaluation it rests on, which both batches may hold.
    pub fn evaluation(&self, id: Uuid) -> Option<Evaluation> {
        self.batch.evaluations.iter().find(|evaluation| evaluation.id == id).cloned()
    }

    fn add(&mut self, result: &PolicyResult, id: Uuid) -> Uuid {
        let policy = &result.policy;
        let answer = result.outcome.as_ref().ok().and_then(|answer| answer.to_json().ok());
        self.batch.evaluations.push(Evaluation {
            id,
            at: self.now,
            target: self.target.clone(),
            policy: policy.name().clone(),
            digest: policy.digest(),
            settings: policy.settings().to_string(),
            input: result.input.to_json().unwrap_or_default(),
            memory: result.memory_before.to_vec(),
            answer: answer.unwrap_or_default(),
        });
        self.ids.insert(policy.name().clone(), id);
        id
    }
}

/// Says whether a batch has nothing to record.
pub(super) fn is_empty(batch: &Batch) -> bool {
    *batch == Batch::default()
}

/// Gives shared memory from the store's rows.
pub(super) fn memories(rows: Vec<crate::record::Memory>) -> BTreeMap<PolicyName, Arc<[u8]>> {
    rows.into_iter().map(|row| (row.policy, Arc::from(row.blob))).collect()
}
