//! What a case expects: `expected.toml`.

use serde_json::{Map, Value};

use super::facts::{self, Facts};
use crate::config::nearest;

/// The keys that each kind of proposal has.
const KINDS: [(&str, &[&str]); 5] = [
    (
        "alert",
        &[
            "name",
            "pool",
            "scope",
            "subject",
            "severity",
            "summary",
            "hold_ms",
            "cooldown_ms",
            "labels",
            "runbook",
            "evidence",
        ],
    ),
    ("recommendation", &["name", "pool", "scope", "subject", "summary", "action", "evidence"]),
    ("resize", &["scope", "knob", "size", "reason", "evidence"]),
    ("end_session", &["client", "pool", "reason", "evidence"]),
    ("look_at_sessions", &["reason"]),
];
const SUBJECTS: [&str; 2] = ["target", "database_server"];
const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];

/// What a plugin is to answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// These proposals.
    Answer {
        proposals: Vec<Facts>,
        /// Whether any further proposal is wrong.
        is_exact: bool,
        /// What it is to remember, where that is JSON.
        memory: Option<Value>,
    },
    /// A refusal or fault whose text has this in it.
    Error(String),
}

/// Reads what is expected of an evaluation of `input`; gives everything that is wrong otherwise.
pub(super) fn read(table: &Map<String, Value>, input: &Value) -> Result<Expected, Vec<String>> {
    let mut problems = Vec::new();
    let known = ["proposals", "exact", "error", "memory"];
    unknown(table, &known, "", &mut problems);
    let expected = match (table.get("error"), table.get("proposals")) {
        (Some(_), Some(_)) => {
            problems.push("either error or proposals, not both".to_owned());
            None
        }
        (Some(Value::String(text)), None) => Some(Expected::Error(text.clone())),
        (Some(_), None) => {
            problems.push("error: must be a text".to_owned());
            None
        }
        (None, proposals) => answer(table, proposals, input, &mut problems),
    };
    match expected {
        Some(expected) if problems.is_empty() => Ok(expected),
        _ => Err(problems),
    }
}

fn answer(
    table: &Map<String, Value>,
    proposals: Option<&Value>,
    input: &Value,
    problems: &mut Vec<String>,
) -> Option<Expected> {
    let Some(list) = proposals else {
        problems.push(
            "it expects nothing: write [[proposals]], or `proposals = []` where the policy is to \
             stay silent, or `error = \"text\"`"
                .to_owned(),
        );
        return None;
    };
    let Some(list) = list.as_array() else {
        problems.push("proposals: must be a list of tables: [[proposals]]".to_owned());
        return None;
    };
    let is_exact = match table.get("exact") {
        None | Some(Value::Bool(true)) => true,
        Some(Value::Bool(false)) => false,
        Some(_) => {
            problems.push("exact: must be true or false".to_owned());
            true
        }
    };
    let mut facts = Vec::with_capacity(list.len());
    for (at, one) in list.iter().enumerate() {
        let path = format!("proposals[{at}]");
        match one {
            Value::Object(one) => facts.push(proposal(one, &path, input, problems)),
            _ => problems.push(format!("{path}: must be a table")),
        }
    }
    let memory = table.get("memory").cloned();
    Some(Expected::Answer { proposals: facts, is_exact, memory })
}

fn proposal(table: &Facts, path: &str, input: &Value, problems: &mut Vec<String>) -> Facts {
    let kinds = KINDS.map(|(kind, _)| kind);
    let kind = table.get("kind").and_then(Value::as_str);
    let Some((_, keys)) = KINDS.iter().find(|(one, _)| Some(*one) == kind) else {
        let given = kind.map_or("is missing".to_owned(), |kind| format!("{kind:?} is not known"));
        problems.push(format!("{path}.kind: {given}; it is one of {}", kinds.join(", ")));
        return table.clone();
    };
    let keys: Vec<&str> = keys.iter().copied().chain(["kind"]).collect();
    unknown(table, &keys, path, problems);
    let mut one_of = |key: &str, names: &[&str]| {
        let Some(name) = table.get(key).and_then(Value::as_str) else { return };
        if !names.contains(&name) {
            let hint = nearest(name, names.iter().copied());
            let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            problems.push(format!("{path}.{key}: {name:?} is not in the window{hint}"));
        }
    };
    let (pools, scopes) = (facts::pool_names(input), facts::scope_names(input));
    one_of("pool", &pools.iter().map(String::as_str).collect::<Vec<_>>());
    one_of("scope", &scopes.iter().map(String::as_str).collect::<Vec<_>>());
    one_of("subject", &SUBJECTS);
    one_of("severity", &SEVERITIES);
    table.clone()
}

fn unknown(table: &Facts, known: &[&str], path: &str, problems: &mut Vec<String>) {
    for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
        let hint = nearest(key, known.iter().copied());
        let hint = hint.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
        let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        problems.push(format!("{place}: is not a known key{hint}"));
    }
}
