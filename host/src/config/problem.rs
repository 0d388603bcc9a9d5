//! What is wrong with a configuration: every problem at once, none with a secret in it.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::path::KeyPath;

/// What stands in place of a value that must not be shown.
pub const SECRET: &str = "<secret>";

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file (with line and column for a syntax error) or the environment variable.
    pub place: String,
    /// The key, for example `target[0].limits.ceiling`; empty when there is none.
    pub key: String,
    /// The value as it was given; empty when there is none or when it must not be shown.
    pub value: String,
    /// What is wrong with it and what to do.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.place, &self.key, &self.value, &self.reason];
        let given = parts.into_iter().filter(|part| !part.is_empty());
        f.write_str(&given.map(String::as_str).collect::<Vec<_>>().join(": "))
    }
}

/// Everything that is wrong with a configuration, one problem a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Problem>);

/// What has been found while loading, and where each value came from.
#[derive(Debug, Default)]
pub struct Report {
    /// The file, or `environment`.
    pub source: String,
    /// Keys whose value came from an environment variable, with its name.
    pub origins: BTreeMap<String, String>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is not wrong but should be known.
    pub warnings: Vec<String>,
}

impl Report {
    /// Starts an empty report on a source.
    pub fn new(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// Adds a problem with a key.
    pub fn key(&mut self, path: &KeyPath, value: impl Into<String>, reason: impl Into<String>) {
        let key = path.to_string();
        let place = self.origins.get(&key).unwrap_or(&self.source).clone();
        self.add(Problem { place, key, value: value.into(), reason: reason.into() });
    }

    /// Adds a problem with an environment variable itself.
    pub fn variable(&mut self, name: &str, value: &str, reason: impl Into<String>) {
        let (place, value) = (name.to_owned(), value.to_owned());
        self.add(Problem { place, key: String::new(), value, reason: reason.into() });
    }

    /// Adds a problem, once.
    pub fn add(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Adds a warning, once.
    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Finds the candidate nearest to a misspelt name, unless all are far from it.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = (name.chars().count() / 3).max(2);
    let measured = candidates.into_iter().map(|candidate| (distance(name, candidate), candidate));
    measured.filter(|(distance, _)| *distance <= far).min().map(|(_, candidate)| candidate)
}

/// Counts the insertions, deletions and replacements between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        assert_eq!(distance("kitten", "sitting"), 3);
        let names = ["interval_ms", "fast_interval_ms"];
        assert_eq!(nearest("intervall_ms", names), Some("interval_ms"));
        assert_eq!(nearest("colour", names), None);
    }
}
