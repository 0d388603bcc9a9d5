//! Turns what a tick came to into rows for the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Effect, Heard};
use crate::model::{DecisionId, Origin, PolicyName, Status, TargetName, Timestamp, Transition};
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

    /// Gives the origin of a decision of this policy, recording its evaluation.
    pub fn origin(&mut self, heard: &Heard, id: impl FnOnce() -> Uuid) -> Origin {
        let known = self.ids.get(&heard.policy).copied();
        let evaluation = known.unwrap_or_else(|| self.add(heard, id()));
        Origin::Plugin { digest: heard.digest, version: Arc::clone(&heard.version), evaluation }
    }

    /// Splits off an intent with the evaluation it rests on, which both batches may hold.
    pub fn evaluation(&self, id: Uuid) -> Option<Evaluation> {
        self.batch.evaluations.iter().find(|evaluation| evaluation.id == id).cloned()
    }

    fn add(&mut self, heard: &Heard, id: Uuid) -> Uuid {
        let evaluation = heard.evaluation.write_down(id, self.now, self.target);
        self.batch.evaluations.push(evaluation);
        self.ids.insert(heard.policy.clone(), id);
        id
    }
}

/// Records which commands were sent for a change, before what came of it.
pub(super) fn sent(id: DecisionId, commands: &[String], now: Timestamp) -> Effect {
    let note = format!("sent to PgBouncer: {}", commands.join("; "));
    let transitions = vec![Transition { id, at: now, status: Status::Proposed, note }];
    Effect::Record(Box::new(Batch { transitions, ..Batch::default() }))
}

/// Says whether a batch has nothing to record.
pub(super) fn is_empty(batch: &Batch) -> bool {
    *batch == Batch::default()
}

/// Gives shared memory from the store's rows.
pub(super) fn memories(rows: Vec<crate::record::Memory>) -> BTreeMap<PolicyName, Arc<[u8]>> {
    rows.into_iter().map(|row| (row.policy, Arc::from(row.blob))).collect()
}
