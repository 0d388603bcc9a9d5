//! Hands each policy's part of a round to control, which knows nothing of Wasm.

use std::sync::Arc;

use uuid::Uuid;

use crate::control::{Heard, Replayable};
use crate::evaluate::{Part, Policy};
use crate::model::{TargetName, Timestamp};
use crate::record::Evaluation;

impl From<Part> for Heard {
    fn from(part: Part) -> Self {
        match part {
            Part::Asked(result) => result.into(),
            Part::Waits(policy) => Self {
                policy: policy.name().clone(),
                mode: policy.mode(),
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
