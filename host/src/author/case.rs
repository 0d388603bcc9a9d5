//! A case: a folder with a window, what else an evaluation gets, and what is expected of it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;

use super::expected::{self, Expected};
use super::{rows, window};
use crate::config::nearest;
use crate::evaluate::Input;

/// What a case folder may hold, besides notes (`*.md`) and hidden files.
const FILES: [&str; 8] = [
    "window.toml",
    "window.json",
    "settings.toml",
    "settings.json",
    "memory.json",
    "memory.bin",
    "expected.toml",
    "expected.json",
];

/// Cases that cannot be run.
#[derive(Debug, Error)]
pub enum CaseError {
    /// A folder cannot be listed.
    #[error("{} cannot be read", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// There is nothing to run.
    #[error(
        "{} has no cases: make a folder for each, with window.toml and expected.toml, or capture \
         one with `poolwarden policy capture`",
        dir.display()
    )]
    None {
        /// The folder.
        dir: PathBuf,
    },
    /// There is no case of that name.
    #[error("{} has no case {name:?}{hint}", dir.display())]
    NoSuch {
        /// The folder.
        dir: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The nearest one, as a question.
        hint: String,
    },
}

/// Everything that is wrong with a case folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Incomplete(pub Vec<String>);

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// A case that can be run.
#[derive(Debug)]
pub(super) struct Case {
    /// What the plugin gets.
    pub input: Arc<Input>,
    /// The same as JSON, by which answers are named.
    pub json: Value,
    /// Settings, where the case has its own.
    pub settings: Option<Value>,
    /// What the policy remembers from before.
    pub memory: Vec<u8>,
    /// What is expected, if that is written down.
    pub expected: Option<Expected>,
}

/// Lists the case folders, by name.
///
/// # Errors
/// When there are none, or none of the name that is asked for.
pub(super) fn list(dir: &Path, only: Option<&str>) -> Result<Vec<(String, PathBuf)>, CaseError> {
    let failed = |source| CaseError::Folder { dir: dir.to_owned(), source };
    let mut cases = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') {
            cases.push((name, path));
        }
    }
    cases.sort();
    if cases.is_empty() {
        return Err(CaseError::None { dir: dir.to_owned() });
    }
    let Some(only) = only else { return Ok(cases) };
    let names: Vec<String> = cases.iter().map(|(name, _)| name.clone()).collect();
    cases.retain(|(name, _)| name == only);
    if cases.is_empty() {
        let hint = nearest(only, names.iter().map(String::as_str));
        let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        let name = only.to_owned();
        return Err(CaseError::NoSuch { dir: dir.to_owned(), name, hint });
    }
    Ok(cases)
}

impl Case {
    /// Reads a case folder.
    ///
    /// # Errors
    /// With everything that is missing or wrong.
    pub fn read(dir: &Path) -> Result<Self, Incomplete> {
        let mut reading = Reading { dir, problems: Vec::new() };
        reading.check_names();
        let case = reading.case();
        match case {
            Some(case) if reading.problems.is_empty() => Ok(case),
            _ => Err(Incomplete(reading.problems)),
        }
    }
}

struct Reading<'a> {
    dir: &'a Path,
    problems: Vec<String>,
}

impl Reading<'_> {
    fn case(&mut self) -> Option<Case> {
        let missing = "window.toml is missing: it says what the policy is to see";
        let window = self.table("window", Some(missing));
        let settings = self.table("settings", None);
        let expected = self.table("expected", None);
        let memory = self.memory();
        let window = window?;
        let json = self.told("window", window::read(&window))?;
        let input = serde_json::to_vec(&json).and_then(|json| Input::from_json(&json));
        let input = match input {
            Ok(input) => Arc::new(input),
            Err(error) => {
                self.problems.push(format!("window: {error}"));
                return None;
            }
        };
        let expected = match expected {
            Some(table) => Some(self.told("expected", expected::read(&table, &json))?),
            None => None,
        };
        Some(Case { input, json, settings: settings.map(Value::Object), memory, expected })
    }

    fn told<T>(&mut self, stem: &str, read: Result<T, Vec<String>>) -> Option<T> {
        let file = self.file(stem, "toml").map_or("json", |_| "toml");
        match read {
            Ok(value) => Some(value),
            Err(problems) => {
                let named = problems.into_iter().map(|one| format!("{stem}.{file}: {one}"));
                self.problems.extend(named);
                None
            }
        }
    }

    fn check_names(&mut self) {
        let Ok(entries) = fs::read_dir(self.dir) else {
            self.problems.push("the folder cannot be read".to_owned());
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name.ends_with(".md") || FILES.contains(&name.as_str()) {
                continue;
            }
            let hint = nearest(&name, FILES);
            let hint = hint.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
            self.problems.push(format!("{name} is not part of a case{hint}"));
        }
    }

    fn file(&self, stem: &str, ending: &str) -> Option<PathBuf> {
        Some(self.dir.join(format!("{stem}.{ending}"))).filter(|path| path.exists())
    }

    fn table(&mut self, stem: &str, missing: Option<&str>) -> Option<Map<String, Value>> {
        let (toml, json) = (self.file(stem, "toml"), self.file(stem, "json"));
        let (path, is_json) = match (toml, json) {
            (Some(_), Some(_)) => {
                self.problems.push(format!("both {stem}.toml and {stem}.json: remove one"));
                return None;
            }
            (Some(path), None) => (path, false),
            (None, Some(path)) => (path, true),
            (None, None) => {
                self.problems.extend(missing.map(str::to_owned));
                return None;
            }
        };
        let text = fs::read_to_string(&path).map_err(|error| error.to_string());
        let table = text.and_then(|text| rows::parse(is_json, &text));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        table.map_err(|problem| self.problems.push(format!("{name}: {problem}"))).ok()
    }

    fn memory(&mut self) -> Vec<u8> {
        let (json, raw) = (self.file("memory", "json"), self.file("memory", "bin"));
        let path = match (json, raw) {
            (Some(_), Some(_)) => {
                self.problems.push("both memory.json and memory.bin: remove one".to_owned());
                return Vec::new();
            }
            (None, None) => return Vec::new(),
            (Some(path), None) | (None, Some(path)) => path,
        };
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        match fs::read(&path) {
            Ok(bytes) => {
                if is_json && let Err(error) = serde_json::from_slice::<Value>(&bytes) {
                    self.problems.push(format!("memory.json: {error}"));
                }
                bytes
            }
            Err(error) => {
                self.problems.push(format!("{}: {error}", path.display()));
                Vec::new()
            }
        }
    }
}
