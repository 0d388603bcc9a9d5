//! Validation against the schema: every unknown key, wrong type and value out of range at once.
//!
//! serde would stop at the first problem and cannot know where a value came from, so it only reads
//! what has passed here.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::LocationSegment;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::path::{KeyPath, Step};
use super::problem::{Problem, Report, SECRET, nearest};
use super::schema::{at, choices, expectation, fields, is_secret, properties, text};

/// Turns TOML into JSON.
///
/// No key takes a float or a date, and JSON Schema would take `1.0` for a whole number: both become
/// `null`, which nothing takes.
pub fn json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.as_str()),
        Value::Integer(number) => Json::from(*number),
        Value::Boolean(truth) => Json::from(*truth),
        Value::Float(_) | Value::Datetime(_) => Json::Null,
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Table(table) => {
            table.iter().map(|(key, value)| (key.clone(), json(value))).collect()
        }
    }
}

/// Reports all that the schema has against the document.
pub fn check(schema: &Json, table: &Table, report: &mut Report) {
    let validator = jsonschema::validator_for(schema).expect("the generated schema is valid");
    let document = json(&Value::Table(table.clone()));
    for error in validator.iter_errors(&document) {
        describe(schema, table, &error, report);
    }
}

fn describe(schema: &Json, table: &Table, error: &ValidationError<'_>, report: &mut Report) {
    let path = KeyPath(error.instance_path().iter().map(step).collect());
    let Some(here) = at(schema, &path.keys()) else {
        // Only the values of a free table (labels) are not described by a schema of their own.
        return report.key(&path, shown(path.get(table), false), "must be text");
    };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            unexpected.iter().for_each(|key| unknown(schema, &path, key, report));
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let doc = at(here, &[key]).map_or("", |field| text(field, "description"));
            let doc = doc.split(". ").next().unwrap_or_default().replace('\n', " ");
            report.key(&path.join(&[key]), "", format!("is missing ({doc})"));
        }
        _ => {
            let scalar = !matches!(text(here, "type"), "object" | "array");
            let value = shown(path.get(table), is_secret(here) || !scalar);
            let given = path.get(table).and_then(Value::as_str).unwrap_or_default();
            let hint = nearest(given, choices(here)).filter(|_| scalar);
            let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            report.key(&path, value, expectation(here) + &hint);
        }
    }
}

fn step(segment: LocationSegment<'_>) -> Step {
    match segment {
        LocationSegment::Property(key) => Step::Key(key.to_string()),
        LocationSegment::Index(index) => Step::Index(index),
    }
}

/// Reports an unknown key; its value is not shown, as it may be a secret under a misspelt name.
fn unknown(schema: &Json, table: &KeyPath, key: &str, report: &mut Report) {
    let known = at(schema, &table.keys()).and_then(properties);
    let near = nearest(key, known.into_iter().flat_map(|keys| keys.keys().map(String::as_str)));
    let hint = near.map(|near| table.join(&[near]).to_string()).or_else(|| {
        let elsewhere = fields(schema).into_iter().find(|field| field.key() == key);
        elsewhere.map(|field| field.path.join("."))
    });
    let hint = hint.map(|hint| format!("; did you mean {hint}?")).unwrap_or_default();
    report.key(&table.join(&[key]), "", format!("is not a known key{hint}"));
}

/// Shows a value as it stands in TOML, shortened; of a table or a secret only what it is.
fn shown(value: Option<&Value>, hidden: bool) -> String {
    match value {
        None => String::new(),
        Some(Value::Table(_)) => "a table".to_owned(),
        Some(Value::Array(_)) => "a list".to_owned(),
        Some(_) if hidden => SECRET.to_owned(),
        Some(Value::String(text)) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Some(value) => value.to_string(),
    }
}

/// Reads the TOML text; a syntax error names its place and shows nothing of the text.
pub fn parse(source: &str, text: &str) -> Result<Table, Problem> {
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let (place, none) = (format!("{source}:{line}:{column}"), String::new());
        Problem { place, key: none.clone(), value: none, reason: error.message().to_owned() }
    })
}
