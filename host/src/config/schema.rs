//! The JSON Schema of the configuration, and the list of its keys.
//!
//! The schema is generated from `raw` and made plain (nothing by reference, no `null`), so that the
//! validator, the environment names and the example file can all walk it by key.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::raw::RawConfig;

/// One key of the configuration, or one of its tables.
#[derive(Debug, Clone)]
pub struct Field {
    /// Keys from the top; the list of targets is one key.
    pub path: Vec<String>,
    /// What the schema says of it.
    pub schema: Value,
    /// Whether it must be given.
    pub required: bool,
}

impl Field {
    /// Says whether it is a table whose keys are known, or a list of them.
    pub fn is_table(&self) -> bool {
        properties(&self.schema).is_some()
    }

    /// Says whether it is one value that an environment variable can hold.
    pub fn is_scalar(&self) -> bool {
        !matches!(text(&self.schema, "type"), "object" | "array")
    }

    /// Gives the last key.
    pub fn key(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// Gives the description in one line.
    pub fn doc(&self) -> String {
        text(&self.schema, "description").replace('\n', " ")
    }
}

/// Gives the JSON Schema of the configuration file, for editors and for the loader.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<RawConfig>().to_value();
    simplify(&mut schema);
    schema
}

/// Takes away what TOML cannot say (`null`) and formats that only repeat a range.
fn simplify(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if let Some(Value::Array(types)) = map.get("type") {
        let plain = types.iter().find(|t| t.as_str() != Some("null")).cloned();
        map.extend(plain.map(|plain| ("type".to_owned(), plain)));
    }
    if let Some(Value::Array(choices)) = map.get("anyOf") {
        let inner = choices.iter().find_map(|c| c.get("properties").and(c.as_object())).cloned();
        if let Some(inner) = inner {
            map.remove("anyOf");
            for (key, value) in inner {
                map.entry(key).or_insert(value);
            }
        }
    }
    map.remove("format");
    if map.get("default").is_some_and(|d| d.is_null() || d.is_object() || d.is_array()) {
        map.remove("default");
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(simplify);
    }
    if let Some(items) = map.get_mut("items") {
        simplify(items);
    }
}

/// Lists every table and key in the order of the source, each table before its keys.
pub fn fields(schema: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(schema, &[], &mut fields);
    fields
}

fn collect(schema: &Value, path: &[String], fields: &mut Vec<Field>) {
    let required = required(schema);
    for (key, schema) in properties(schema).into_iter().flatten() {
        let path = [path, std::slice::from_ref(key)].concat();
        let required = required.contains(&key.as_str());
        fields.push(Field { path: path.clone(), schema: schema.clone(), required });
        collect(schema, &path, fields);
    }
}

/// Gives the known keys of a table, or of the tables in a list.
pub fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("items").unwrap_or(schema).get("properties")?.as_object()
}

fn required(schema: &Value) -> Vec<&str> {
    let names = schema.get("items").unwrap_or(schema).get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Finds what the schema says of a key.
pub fn at<'a>(schema: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(schema, |schema, key| properties(schema)?.get(*key))
}

/// Gives a text of the schema, empty when there is none.
pub fn text<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Gives the choices of a key that has only some.
pub fn choices(schema: &Value) -> Vec<&str> {
    let choices = schema.get("enum").and_then(Value::as_array);
    choices.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Says whether the value of a key must never be shown.
pub fn is_secret(schema: &Value) -> bool {
    schema.get("x-secret") == Some(&Value::Bool(true))
}

/// Says in words what a key takes.
pub fn expectation(schema: &Value) -> String {
    let choices = choices(schema);
    if !choices.is_empty() {
        return format!("must be one of {}", choices.join(", "));
    }
    match text(schema, "type") {
        "integer" => match range(schema) {
            Some((min, max)) => format!("must be a whole number from {min} to {max}"),
            None => "must be a whole number".to_owned(),
        },
        "boolean" => "must be true or false".to_owned(),
        "string" => match schema.get("maxLength") {
            Some(max) => format!("must be text of 1 to {max} characters"),
            None => "must be text that is not empty".to_owned(),
        },
        "array" => "must be a list of tables; write [[target]] above each one".to_owned(),
        _ => "must be a table".to_owned(),
    }
}

/// Gives the bounds of a number.
pub fn range(schema: &Value) -> Option<(&Value, &Value)> {
    schema.get("minimum").zip(schema.get("maximum"))
}
