//! A policy's latest evaluation of each target, for whoever wants to see or capture it.
//!
//! It shares what was evaluated anyway, so that keeping it costs nothing but the time for which it
//! lives. An input with a long past is let go all the same: it is many times the size of the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::evaluate::{Fault, Input, PolicyResult};
use crate::model::{Digest, PolicyName};

/// Most rows of a past (a row is a pool's step) with which an input is kept: about 4 MiB.
const PAST_ROWS_MAX: usize = 50_000;

/// An evaluation as it went: what was asked and what came.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The policy.
    pub policy: PolicyName,
    /// Identity of the plugin's bytes.
    pub digest: Digest,
    /// Settings as JSON.
    pub settings: Arc<str>,
    /// What was seen; `None` when it was too large to be kept.
    pub input: Option<Arc<Input>>,
    /// What was remembered from before.
    pub memory: Arc<[u8]>,
    /// The answer as JSON, or what went wrong.
    pub outcome: Result<Answer, Fault>,
}

/// An answer that is written as JSON only when somebody asks for it.
#[derive(Debug, Clone)]
pub struct Answer(Arc<crate::evaluate::bindings::types::Answer>);

impl Answer {
    /// Writes it, exact to the last bit.
    ///
    /// # Errors
    /// Never in practice.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self.0.as_ref())
    }
}

/// The latest evaluations of one policy, by target.
#[derive(Debug, Default)]
pub(super) struct Latest(BTreeMap<String, Evaluated>);

impl Latest {
    pub fn note(&mut self, result: &PolicyResult) {
        let input = Some(&result.input).filter(|input| input.past_rows() <= PAST_ROWS_MAX);
        let evaluated = Evaluated {
            policy: result.policy.name().clone(),
            digest: result.policy.digest(),
            settings: result.policy.settings(),
            input: input.cloned(),
            memory: Arc::clone(&result.memory_before),
            outcome: match &result.outcome {
                Ok(answered) => Ok(Answer(answered.raw())),
                Err(fault) => Err(fault.clone()),
            },
        };
        self.0.insert(result.input.target().to_owned(), evaluated);
    }

    pub fn of(&self, target: &str) -> Option<Evaluated> {
        self.0.get(target).cloned()
    }

    pub fn targets(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}
