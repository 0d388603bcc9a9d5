//! A policy's latest evaluation.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Text;
use crate::evaluate::Evaluated;
use crate::model::Digest;

/// All that it takes to ask a plugin again, and what it said.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Evaluation<'a> {
    policy: &'a str,
    target: &'a str,
    #[schema(value_type = String, example = "sha256:…")]
    plugin_digest: Text<Digest>,
    /// The policy's settings.
    #[schema(value_type = Object)]
    settings: &'a RawValue,
    /// The window, as the plugin contract has it.
    #[schema(value_type = Object)]
    input: Box<RawValue>,
    /// What the plugin remembered from before, in hexadecimal.
    memory_hex: String,
    /// What the plugin answered; null when it did something wrong.
    #[schema(value_type = Option<Object>)]
    answer: Option<Box<RawValue>>,
    /// What the plugin did wrong.
    fault: Option<String>,
}

impl<'a> Evaluation<'a> {
    /// Writes an evaluation whose input was kept.
    ///
    /// # Errors
    /// When something of it is not JSON, which would be a defect.
    pub fn new(
        target: &'a str,
        evaluated: &'a Evaluated,
        input: Vec<u8>,
    ) -> serde_json::Result<Self> {
        let raw =
            |json: Vec<u8>| RawValue::from_string(String::from_utf8_lossy(&json).into_owned());
        let (answer, fault) = match &evaluated.outcome {
            Ok(answer) => (Some(raw(answer.to_json()?)?), None),
            Err(fault) => (None, Some(fault.to_string())),
        };
        Ok(Self {
            policy: evaluated.policy.as_str(),
            target,
            plugin_digest: Text(evaluated.digest),
            settings: serde_json::from_str(&evaluated.settings)?,
            input: raw(input)?,
            memory_hex: evaluated.memory.iter().map(|byte| format!("{byte:02x}")).collect(),
            answer,
            fault,
        })
    }
}
