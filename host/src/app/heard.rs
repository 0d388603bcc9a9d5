//! Hands each policy's part of a round to control, which knows nothing of Wasm.

use std::sync::Arc;

use uuid::Uuid;

use crate::control::{Answer, Heard, Replayable};
use crate::evaluate::{Part, Policy, PolicyResult};
use crate::model::{TargetName, Timestamp};
use crate::record::Evaluation;

impl From<Part> for Heard {
    fn from(part: Part) -> Self {
        match part {
            Part::Asked(result) => result.into(),
            Part::Waits(policy) => Self {
                policy: policy.name().clone(),
                mode: policy.mode(),
                may_end_sessions: policy.may_end_sessions(),
                priority: policy.priority(),
                shadow_of: policy.shadow_of().cloned(),
                digest: policy.digest(),
                version: policy.version(),
                answer: None,
                beyond: Vec::new(),
                evaluation: Arc::new(NotAsked(policy)),
            },
        }
    }
}

/// A policy that was not asked: it says nothing, so nothing comes of it that could be written down.
#[derive(Debug)]
struct NotAsked(Arc<Policy>);

impl Replayable for NotAsked {
    fn write_down(&self, id: Uuid, at: Timestamp, target: &TargetName) -> Evaluation {
        Evaluation {
            id,
            at,
            target: target.clone(),
            policy: self.0.name().clone(),
            digest: self.0.digest(),
            settings: self.0.settings().to_string(),
            input: Vec::new(),
            memory: Vec::new(),
            answer: Vec::new(),
        }
    }
}

impl From<PolicyResult> for Heard {
    fn from(result: PolicyResult) -> Self {
        let answer = result.outcome.as_ref().ok().map(|answered| Answer {
            proposals: answered.proposals.clone(),
            look: answered.look.clone(),
            memory: Arc::from(answered.memory.as_slice()),
        });
        Self {
            policy: result.policy.name().clone(),
            mode: result.policy.mode(),
            priority: result.policy.priority(),
            shadow_of: result.policy.shadow_of().cloned(),
            may_end_sessions: result.policy.may_end_sessions(),
            digest: result.policy.digest(),
            version: result.policy.version(),
            answer,
            beyond: result.input.beyond().to_vec(),
            evaluation: Arc::new(result),
        }
    }
}

impl Replayable for PolicyResult {
    fn write_down(&self, id: Uuid, at: Timestamp, target: &TargetName) -> Evaluation {
        let answer = self.outcome.as_ref().ok().and_then(|answer| answer.to_json().ok());
        Evaluation {
            id,
            at,
            target: target.clone(),
            policy: self.policy.name().clone(),
            digest: self.policy.digest(),
            settings: self.policy.settings().to_string(),
            input: self.input.to_json().unwrap_or_default(),
            memory: self.memory_before.to_vec(),
            answer: answer.unwrap_or_default(),
        }
    }
}
