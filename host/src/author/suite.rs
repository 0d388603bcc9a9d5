//! Runs the cases of a policy, each in a fresh instance under the policy's limits.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::case::{self, Case, CaseError};
use super::coverage::Coverage;
use super::diff::{self, Difference, Got};
use super::given::{Given, GivenError};
use super::{facts, write};
use crate::evaluate::{Fault, LoadError, Policy, Runtime, Trial};

/// Times that a case is run which overruns its deadline: a busy machine is no fault of a plugin.
const TRIES: usize = 3;

/// A suite that cannot be run at all.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// No plugin is meant, or none is there.
    #[error(transparent)]
    Given(#[from] GivenError),
    /// The plugin may not serve.
    #[error("{} cannot be loaded", path.display())]
    Load {
        /// The plugin.
        path: PathBuf,
        /// Why not.
        #[source]
        source: LoadError,
    },
    /// There are no cases.
    #[error(transparent)]
    Cases(#[from] CaseError),
    /// What is expected cannot be written down.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// What becomes of a case that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is told.
    Tell,
    /// What the plugin answers becomes what is expected.
    Update,
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The plugin answered as expected.
    Passed,
    /// What is expected was rewritten.
    Updated,
    /// The plugin answered otherwise.
    Failed(Vec<Difference>),
    /// The case cannot be run; everything that is missing or wrong.
    Incomplete(Vec<String>),
}

/// What came of all cases.
#[derive(Debug)]
pub struct Suite {
    /// Name and version of the plugin.
    pub plugin: String,
    /// Identity of its bytes.
    pub digest: String,
    /// What came of each case, by name.
    pub cases: Vec<(String, Verdict)>,
    /// Which settings were tried; `None` when only one case was run.
    pub coverage: Option<Coverage>,
}

impl Suite {
    /// Runs the cases of a folder, or one of them.
    ///
    /// # Errors
    /// When there is no plugin that may serve, or there are no cases.
    pub fn run(
        runtime: &Arc<Runtime>,
        given: &Given,
        folder: &Path,
        only: Option<&str>,
        on_failure: OnFailure,
    ) -> Result<Self, SuiteError> {
        let cases = case::list(folder, only)?;
        let trial = Trial::load(runtime, &given.bytes()?, &given.file.limits)
            .map_err(|source| SuiteError::Load { path: given.plugin.clone(), source })?;
        let mut running = Running { trial, given, policies: BTreeMap::new(), tried: Vec::new() };
        let mut verdicts = Vec::with_capacity(cases.len());
        for (name, dir) in cases {
            verdicts.push((name, running.case(&dir, on_failure)?));
        }
        let coverage = Coverage::of(&running.trial.settings(), running.tried.iter());
        Ok(Self {
            plugin: format!("{} {}", running.trial.name(), running.trial.version()),
            digest: running.trial.digest().to_string(),
            cases: verdicts,
            coverage: only.is_none().then_some(coverage),
        })
    }

    /// Counts the cases that came out in a way.
    pub fn count(&self, which: impl Fn(&Verdict) -> bool) -> usize {
        self.cases.iter().filter(|(_, verdict)| which(verdict)).count()
    }

    /// Says whether every case passed or was rewritten.
    pub fn is_good(&self) -> bool {
        self.count(|one| matches!(one, Verdict::Passed | Verdict::Updated)) == self.cases.len()
    }
}

struct Running<'a> {
    trial: Trial,
    given: &'a Given,
    /// Policies by their settings, because making one tries it.
    policies: BTreeMap<String, Result<Arc<Policy>, String>>,
    tried: Vec<Value>,
}

impl Running<'_> {
    fn case(&mut self, dir: &Path, on_failure: OnFailure) -> Result<Verdict, SuiteError> {
        let case = match Case::read(dir) {
            Ok(case) => case,
            Err(incomplete) => return Ok(Verdict::Incomplete(incomplete.0)),
        };
        let got = self.ask(&case);
        let differences = match (&case.expected, on_failure) {
            (None, OnFailure::Tell) => {
                let missing = "expected.toml is missing: write what the policy is to propose, or \
                               have it written with --update";
                return Ok(Verdict::Incomplete(vec![missing.to_owned()]));
            }
            (None, OnFailure::Update) => None,
            (Some(expected), _) => Some(diff::compare(expected, &got)),
        };
        match (differences, on_failure) {
            (Some(none), _) if none.is_empty() => Ok(Verdict::Passed),
            (Some(differences), OnFailure::Tell) => Ok(Verdict::Failed(differences)),
            (_, _) => {
                update(dir, &got)?;
                Ok(Verdict::Updated)
            }
        }
    }

    fn ask(&mut self, case: &Case) -> Got {
        let settings = case.settings.clone().unwrap_or_else(|| self.given.file.settings.clone());
        let policy = self.policy(&settings);
        self.tried.push(settings);
        let policy = match policy {
            Ok(policy) => policy,
            Err(refusal) => return Got::Error(refusal),
        };
        let mut outcome = Err(Fault::Stack);
        for _ in 0..TRIES {
            outcome = policy.evaluate(&case.input, Arc::from(case.memory.as_slice())).outcome;
            if !matches!(outcome, Err(Fault::Deadline(_))) {
                break;
            }
        }
        let answer = outcome.map_err(|fault| fault.to_string()).and_then(|answered| {
            let json = answered.to_json().and_then(|json| serde_json::from_slice(&json));
            json.map_err(|error| error.to_string())
        });
        answer.map_or_else(Got::Error, |answer: Value| Got::Answer {
            proposals: facts::of_answer(&case.json, &answer),
            memory: facts::memory_of(&answer),
        })
    }

    fn policy(&mut self, settings: &Value) -> Result<Arc<Policy>, String> {
        let make = || {
            let mut file = self.given.file.clone();
            file.settings = settings.clone();
            let policy = self.trial.policy(self.given.name.clone(), file);
            policy.map_err(|error| crate::report::chain(&error))
        };
        self.policies.entry(settings.to_string()).or_insert_with(make).clone()
    }
}

/// Writes what the plugin answered as what is expected.
fn update(dir: &Path, got: &Got) -> Result<(), SuiteError> {
    let text = match got {
        Got::Answer { proposals, .. } => write::expected(proposals),
        Got::Error(error) => write::expected_error(error),
    };
    let path = dir.join("expected.toml");
    let written = fs::write(&path, text).and_then(|()| match dir.join("expected.json") {
        old if old.exists() => fs::remove_file(old),
        _ => Ok(()),
    });
    written.map_err(|source| SuiteError::Write { path, source })
}
