//! Compares what was expected with what a plugin answered, and says where they differ.
//!
//! The order of proposals does not count, because it does not for the sidecar. What fits is paired
//! first; of the rest, proposals of one kind, name and subject are compared field by field.

use serde_json::{Map, Value};

use super::expected::Expected;
use super::facts::{Facts, title};

/// One way in which an answer is not as expected.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// A proposal that has other values.
    Differs {
        /// Which proposal.
        what: String,
        /// Its fields that differ.
        fields: Vec<Field>,
    },
    /// A proposal that is not there.
    Missing {
        /// Which proposal.
        what: String,
        /// What was expected of it.
        expected: Map<String, Value>,
    },
    /// A proposal that is there and should not be.
    Unexpected {
        /// Which proposal.
        what: String,
        /// What it says.
        got: Map<String, Value>,
    },
    /// An answer where an error was expected, or the other way round, or another error.
    Outcome {
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
}

/// A value that is not as expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its place, for example `evidence.waiting`.
    pub path: String,
    /// What was expected.
    pub expected: Value,
    /// What came; null when it is not there.
    pub got: Value,
}

/// What came of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Got {
    Answer { proposals: Vec<Facts>, memory: Vec<u8> },
    Error(String),
}

/// Compares; nothing is different when the case passes.
pub(super) fn compare(expected: &Expected, got: &Got) -> Vec<Difference> {
    match (expected, got) {
        (Expected::Error(text), Got::Error(error)) if error.contains(text) => Vec::new(),
        (Expected::Error(text), Got::Error(error)) => vec![Difference::Outcome {
            expected: format!("an error with {text:?} in it"),
            got: format!("the error: {error}"),
        }],
        (Expected::Error(text), Got::Answer { proposals, .. }) => vec![Difference::Outcome {
            expected: format!("an error with {text:?} in it"),
            got: format!("an answer with {} proposals", proposals.len()),
        }],
        (Expected::Answer { proposals, .. }, Got::Error(error)) => vec![Difference::Outcome {
            expected: format!("an answer with {} proposals", proposals.len()),
            got: format!("the error: {error}"),
        }],
        (
            Expected::Answer { proposals, is_exact, memory },
            Got::Answer { proposals: came, memory: bytes },
        ) => {
            let mut differences = answers(proposals, came, *is_exact);
            differences.extend(memory.as_ref().and_then(|wanted| memories(wanted, bytes)));
            differences
        }
    }
}

fn answers(expected: &[Facts], got: &[Facts], is_exact: bool) -> Vec<Difference> {
    let mut left: Vec<&Facts> = got.iter().collect();
    let mut unpaired = Vec::new();
    for wanted in expected {
        match left.iter().position(|one| fields(wanted, one).is_empty()) {
            Some(at) => {
                left.remove(at);
            }
            None => unpaired.push(wanted),
        }
    }
    let mut differences = Vec::new();
    for wanted in unpaired {
        let like = left.iter().enumerate().filter(|(_, one)| is_same(wanted, one));
        let nearest = like.min_by_key(|(_, one)| fields(wanted, one).len()).map(|(at, _)| at);
        differences.push(match nearest {
            Some(at) => {
                let one = left.remove(at);
                Difference::Differs { what: title(one), fields: fields(wanted, one) }
            }
            None => Difference::Missing { what: title(wanted), expected: wanted.clone() },
        });
    }
    if is_exact {
        let unexpected =
            |one: &Facts| Difference::Unexpected { what: title(one), got: one.clone() };
        differences.extend(left.into_iter().map(unexpected));
    }
    differences
}

/// Says whether two tables can be about the same thing: kind, name and subject do not disagree.
fn is_same(wanted: &Facts, got: &Facts) -> bool {
    let identity = ["kind", "name", "pool", "scope", "subject", "client"];
    identity.iter().all(|key| wanted.get(*key).is_none_or(|value| got.get(*key) == Some(value)))
}

fn memories(wanted: &Value, bytes: &[u8]) -> Option<Difference> {
    let got: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let mut fields = Vec::new();
    differ("memory", wanted, &got, &mut fields);
    let what = "what it remembers".to_owned();
    (!fields.is_empty()).then_some(Difference::Differs { what, fields })
}

fn fields(wanted: &Facts, got: &Facts) -> Vec<Field> {
    let mut fields = Vec::new();
    for (key, value) in wanted {
        differ(key, value, got.get(key).unwrap_or(&Value::Null), &mut fields);
    }
    fields
}

/// Compares a value; in a table only the keys that are expected count.
fn differ(path: &str, wanted: &Value, got: &Value, fields: &mut Vec<Field>) {
    let is_fine = match wanted {
        Value::Object(table) => match Matcher::of(table) {
            Some(matcher) => matcher.takes(got),
            None => {
                for (key, value) in table {
                    let got = got.get(key).unwrap_or(&Value::Null);
                    differ(&format!("{path}.{key}"), value, got, fields);
                }
                return;
            }
        },
        Value::Number(_) => {
            wanted == got || wanted.as_f64().is_some_and(|a| got.as_f64() == Some(a))
        }
        _ => wanted == got,
    };
    if !is_fine {
        let (path, expected, got) = (path.to_owned(), wanted.clone(), got.clone());
        fields.push(Field { path, expected, got });
    }
}

/// A value that need not be met exactly.
#[derive(Debug)]
enum Matcher<'a> {
    Near(f64, f64),
    Contains(&'a str),
}

impl<'a> Matcher<'a> {
    fn of(table: &'a Map<String, Value>) -> Option<Self> {
        let number = |key: &str| table.get(key).and_then(Value::as_f64);
        match table.len() {
            1 => table.get("contains").and_then(Value::as_str).map(Self::Contains),
            2 => Some(Self::Near(number("near")?, number("within")?)),
            _ => None,
        }
    }

    fn takes(&self, got: &Value) -> bool {
        match self {
            Self::Near(near, within) => {
                got.as_f64().is_some_and(|got| (got - near).abs() <= *within)
            }
            Self::Contains(part) => got.as_str().is_some_and(|text| text.contains(part)),
        }
    }
}
