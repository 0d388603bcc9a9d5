//! A moment of a running sidecar as a case: what a policy saw, and what it said.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::{facts, write};

/// An evaluation that cannot become a case.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The decision was made without a plugin, or its input is no longer kept.
    #[error(
        "the sidecar has no evaluation of that decision: its own decisions have none, and inputs \
         are kept for store.inputs_kept_days"
    )]
    NotKept,
    /// There is something already.
    #[error("{} is there already; give another name with --into, or remove it", .0.display())]
    Exists(PathBuf),
    /// The folder cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What the sidecar sent is not what this version expects.
    #[error("the sidecar's memory of the policy is not hexadecimal")]
    Memory,
}

/// A recorded evaluation, as the API gives it.
#[derive(Debug, Deserialize)]
pub struct Recorded {
    settings: Map<String, Value>,
    input: Value,
    memory_hex: String,
    #[serde(default)]
    answer: Option<Value>,
    #[serde(default)]
    fault: Option<String>,
}

/// A decision's part of the API's answer that has the evaluation.
#[derive(Debug, Deserialize)]
pub struct OfDecision {
    recorded: Option<Recorded>,
}

impl OfDecision {
    /// Gives the evaluation.
    ///
    /// # Errors
    /// When there is none.
    pub fn recorded(self) -> Result<Recorded, CaptureError> {
        self.recorded.ok_or(CaptureError::NotKept)
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The files, in the order of reading.
    pub files: Vec<&'static str>,
    /// Number of pools of the window.
    pub pools: usize,
    /// What the policy proposed, each in a few words.
    pub proposals: Vec<String>,
}

impl Recorded {
    /// Writes the case into a folder that does not exist yet.
    ///
    /// # Errors
    /// When it exists, or cannot be written.
    pub fn write(&self, dir: &Path) -> Result<Captured, CaptureError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CaptureError::Write { path, source }
        };
        let memory = self.memory()?;
        if dir.exists() {
            return Err(CaptureError::Exists(dir.to_owned()));
        }
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let mut captured = Captured { files: Vec::new(), pools: 0, proposals: self.proposals() };
        captured.pools = facts::pool_names(&self.input).len();
        let mut put = |name: &'static str, bytes: &[u8]| {
            captured.files.push(name);
            fs::write(dir.join(name), bytes).map_err(failed(&dir.join(name)))
        };
        let (name, text) = write::window(&self.input);
        put(name, text.as_bytes())?;
        if !self.settings.is_empty() {
            let (name, text) = write::settings(&self.settings);
            put(name, text.as_bytes())?;
        }
        if !memory.is_empty() {
            let is_json = serde_json::from_slice::<Value>(&memory).is_ok();
            put(if is_json { "memory.json" } else { "memory.bin" }, &memory)?;
        }
        put("expected.toml", self.expected().as_bytes())?;
        Ok(captured)
    }

    fn expected(&self) -> String {
        match (&self.answer, &self.fault) {
            (Some(answer), _) => write::expected(&facts::of_answer(&self.input, answer)),
            (None, fault) => write::expected_error(fault.as_deref().unwrap_or_default()),
        }
    }

    fn proposals(&self) -> Vec<String> {
        match (&self.answer, &self.fault) {
            (Some(answer), _) => {
                facts::of_answer(&self.input, answer).iter().map(facts::title).collect()
            }
            (None, fault) => vec![format!("a fault: {}", fault.as_deref().unwrap_or_default())],
        }
    }

    fn memory(&self) -> Result<Vec<u8>, CaptureError> {
        let hex = self.memory_hex.as_str();
        if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
            return Err(CaptureError::Memory);
        }
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16);
        (0..hex.len())
            .step_by(2)
            .map(byte)
            .collect::<Result<_, _>>()
            .map_err(|_| CaptureError::Memory)
    }
}
