//! Runs a recorded evaluation again and compares the answers bit for bit.

use std::sync::Arc;

use thiserror::Error;

use super::convert::Input;
use super::instance::Guest;
use super::load::prepare;
use super::{Fault, LoadError, Runtime};
use crate::config::PluginLimits;

/// A recorded evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Replay<'a> {
    /// The plugin's bytes.
    pub plugin: &'a [u8],
    /// Limits to run it under.
    pub limits: &'a PluginLimits,
    /// Settings as recorded.
    pub settings: &'a str,
    /// Input as recorded.
    pub input: &'a [u8],
    /// Memory as recorded.
    pub memory: &'a [u8],
    /// Answer as recorded.
    pub answer: &'a [u8],
}

/// What came of running it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The same answer, bit for bit.
    Identical,
    /// Another answer.
    Different {
        /// What it answered now, as JSON.
        now: String,
    },
}

/// An evaluation that could not be run again.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The record cannot be read.
    #[error("the recorded input cannot be read")]
    Input(#[from] serde_json::Error),
    /// The plugin no longer loads.
    #[error("the recorded plugin cannot be loaded")]
    Load(#[from] LoadError),
    /// The plugin misbehaved, which it had not done before.
    #[error("the plugin {0}")]
    Fault(Fault),
}

/// Runs a recorded evaluation again.
///
/// # Errors
/// When the record cannot be read, or the plugin cannot be run.
pub fn replay(runtime: &Arc<Runtime>, record: Replay<'_>) -> Result<Replayed, ReplayError> {
    let guest = Guest {
        runtime: Arc::clone(runtime),
        pre: prepare(runtime, record.plugin)?,
        limits: record.limits.clone(),
        name: Arc::from("(replay)"),
        log: Arc::default(),
    };
    let input = Arc::new(Input::from_json(record.input)?);
    let ran = guest.evaluate(&input, record.settings, record.memory).map_err(ReplayError::Fault)?;
    let now = serde_json::to_vec(&ran.answer)?;
    Ok(if now == record.answer {
        Replayed::Identical
    } else {
        Replayed::Different { now: String::from_utf8_lossy(&now).into_owned() }
    })
}
