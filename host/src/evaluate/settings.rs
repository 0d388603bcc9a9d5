//! What a plugin's JSON Schema says of its settings, and whether given ones satisfy it.

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use super::LoadError;
use crate::config::nearest;

/// Tables within tables that are followed; deeper ones, or endless ones, are one setting.
const DEPTH_MAX: usize = 8;

/// One setting, as a person would set it.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its place: `a.b`, with `[]` for each item of a list and `*` for any key.
    pub path: String,
    /// What it is: `integer`, `text`, `one of a, b`, …
    pub kind: String,
    /// What holds when it is not set; null when the schema does not say.
    pub default: Value,
    /// The values that it may have, in words; empty for any.
    pub range: String,
    /// What it means.
    pub meaning: String,
}

/// Lists the settings of a schema, in its order.
pub fn settings(schema: &Value) -> Vec<Setting> {
    let mut found = Vec::new();
    let top = Node { root: schema, schema, default: Value::Null, depth: 0 };
    top.walk("", &mut found);
    // A schema that names no property has no settings to speak of.
    found.retain(|setting| !setting.path.is_empty());
    found
}

struct Node<'a> {
    root: &'a Value,
    schema: &'a Value,
    default: Value,
    depth: usize,
}

impl Node<'_> {
    fn walk(&self, path: &str, found: &mut Vec<Setting>) {
        let schema = resolved(self.root, self.schema);
        let default = schema.get("default").cloned().unwrap_or_else(|| self.default.clone());
        let is_deep = self.depth >= DEPTH_MAX;
        let below =
            |schema, default| Node { root: self.root, schema, default, depth: self.depth + 1 };
        if let Some(properties) = schema.get("properties").and_then(Value::as_object)
            && !is_deep
        {
            for (key, property) in properties {
                let default = default.get(key).cloned().unwrap_or_default();
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                below(property, default).walk(&path, found);
            }
            return;
        }
        for (key, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
            let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) else { continue };
            let is_table = resolved(self.root, inner).contains_key("properties");
            if is_table && !is_deep && !path.is_empty() {
                below(inner, Value::Null).walk(&format!("{path}{mark}"), found);
                return;
            }
        }
        found.push(Setting {
            path: path.to_owned(),
            kind: kind(self.root, &schema),
            default,
            range: range(&schema),
            meaning: text(&schema, "description").replace('\n', " "),
        });
    }
}

/// Follows references and the wrappers that generators put around them.
fn resolved(root: &Value, schema: &Value) -> Map<String, Value> {
    let mut merged = Map::new();
    let mut next = schema.as_object();
    for _ in 0..DEPTH_MAX {
        let Some(schema) = next else { break };
        for (key, value) in schema {
            // What stands outside goes before what it refers to.
            merged.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let reference = schema.get("$ref").and_then(Value::as_str);
        next = match reference.and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => root.pointer(pointer).and_then(Value::as_object),
            None => wrapped(schema),
        };
    }
    merged
}

/// Gives the one schema of an `allOf`, and what is not null of an `anyOf`.
fn wrapped(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let is_null = |one: &&Value| one.get("type").is_some_and(|kind| kind == "null");
    let list = schema.get("allOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let mut rest = list.iter().filter(|one| !is_null(one));
    match (rest.next(), rest.next()) {
        (Some(one), None) => one.as_object(),
        _ => None,
    }
}

fn text<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn kind(root: &Value, schema: &Map<String, Value>) -> String {
    let list = |key: &str| schema.get(key).and_then(Value::as_array);
    let named = |values: Vec<String>| format!("one of {}", values.join(", "));
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some(values) = list("enum") {
        return named(values.iter().map(plain).collect());
    }
    if let Some(constants) = list("oneOf") {
        let constants: Option<Vec<String>> =
            constants.iter().map(|one| one.get("const").map(plain)).collect();
        if let Some(constants) = constants {
            return named(constants);
        }
    }
    let name = |kind: &str| match kind {
        "string" => "text".to_owned(),
        "object" => "table".to_owned(),
        "array" => match schema.get("items") {
            Some(items) if items.is_object() => {
                format!("list of {}", kind_of_items(root, items))
            }
            _ => "list".to_owned(),
        },
        other => other.to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(one)) => name(one),
        Some(Value::Array(several)) => {
            let several = several.iter().filter_map(Value::as_str).filter(|one| *one != "null");
            several.map(name).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn kind_of_items(root: &Value, items: &Value) -> String {
    let schema = resolved(root, items);
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "texts".to_owned(),
        Some("object") => "tables".to_owned(),
        Some("array") => "lists".to_owned(),
        Some(other) => format!("{other}s"),
        None => "anything".to_owned(),
    }
}

fn range(schema: &Map<String, Value>) -> String {
    let bound =
        |keys: [&str; 4]| keys.iter().find_map(|key| schema.get(*key)).map(Value::to_string);
    let least = bound(["minimum", "exclusiveMinimum", "minLength", "minItems"]);
    let most = bound(["maximum", "exclusiveMaximum", "maxLength", "maxItems"]);
    match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => String::new(),
    }
}

/// Checks settings against a plugin's schema, giving every problem.
pub(super) fn check_settings(schema: &Value, given: &Value) -> Result<(), LoadError> {
    let validator =
        jsonschema::validator_for(schema).map_err(|error| LoadError::Schema(error.to_string()))?;
    let problems: Vec<String> = validator
        .iter_errors(given)
        .flat_map(|error| {
            let place = error.instance_path().to_string();
            let key = place.trim_start_matches('/').replace('/', ".");
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    unexpected.iter().map(|name| unknown(schema, &key, name)).collect()
                }
                _ if key.is_empty() => vec![error.to_string()],
                _ => vec![format!("{key}: {error}")],
            }
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(LoadError::Settings(problems)) }
}

/// Says that a key is not known, and which one is probably meant.
fn unknown(schema: &Value, place: &str, name: &str) -> String {
    let path = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    let known = siblings(schema, place);
    let hint = nearest(name, known.iter().map(String::as_str));
    match (hint, known.is_empty()) {
        (Some(known), _) => format!("{path}: is not a known setting; did you mean {known}?"),
        (None, true) => format!("{path}: is not a known setting; there are none here"),
        (None, false) => {
            format!("{path}: is not a known setting; known are {}", known.join(", "))
        }
    }
}

/// Gives the keys that a table may have, by its place.
fn siblings(schema: &Value, place: &str) -> Vec<String> {
    let wanted: Vec<&str> = place.split('.').filter(|step| !step.is_empty()).collect();
    let mut known: Vec<String> = Vec::new();
    for setting in settings(schema) {
        let path = setting.path.replace("[]", ".[]");
        let steps: Vec<&str> = path.split('.').collect();
        let fits = |step: &str, given: &str| {
            step == given || step == "*" || (step == "[]" && given.parse::<usize>().is_ok())
        };
        let is_below = steps.len() > wanted.len()
            && steps.iter().zip(&wanted).all(|(step, given)| fits(step, given));
        let next = steps.get(wanted.len()).copied().unwrap_or_default().to_owned();
        if is_below && !known.contains(&next) {
            known.push(next);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "limit": { "type": "integer", "minimum": 1, "maximum": 9, "default": 5 },
                "queue": { "$ref": "#/$defs/Queue", "description": "Queues.", "default": {"hold_ms": 7} },
                "rules": { "type": "array", "items": { "$ref": "#/$defs/Queue" }, "default": [] },
                "level": { "anyOf": [{ "enum": ["low", "high"] }, { "type": "null" }] },
            },
            "$defs": {
                "Queue": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "hold_ms": { "type": "integer", "description": "How\nlong." },
                        "name": { "type": "string" },
                    },
                },
            },
        })
    }

    #[test]
    fn settings_are_listed_through_references_lists_and_defaults() {
        let found = settings(&schema());
        let row =
            |one: &Setting| format!("{} {} {} [{}]", one.path, one.kind, one.default, one.range);
        let rows: Vec<String> = found.iter().map(row).collect();
        assert_eq!(
            rows,
            [
                "limit integer 5 [1 to 9]",
                "queue.hold_ms integer 7 []",
                "queue.name text null []",
                "rules[].hold_ms integer null []",
                "rules[].name text null []",
                "level one of low, high null []",
            ]
        );
        assert_eq!(found[1].meaning, "How long.");
    }

    #[test]
    fn an_unknown_setting_offers_the_nearest_one_of_its_table() {
        let told = |settings: Value| match check_settings(&schema(), &settings) {
            Err(LoadError::Settings(problems)) => problems,
            other => panic!("{other:?}"),
        };
        let nearest = "queue.hold_m: is not a known setting; did you mean hold_ms?";
        assert_eq!(told(json!({"queue": {"hold_m": 1}})), [nearest]);
        let listed = "rules.0.colour: is not a known setting; known are hold_ms, name";
        assert_eq!(told(json!({"rules": [{"colour": 1}]})), [listed]);
        assert_eq!(told(json!({"limit": 0}))[0], "limit: 0 is less than the minimum of 1");
        assert!(check_settings(&schema(), &json!({"limit": 9})).is_ok());
    }
}
