//! The example file and the table of environment names, both generated from the schema.

use std::fmt::Write;

use serde_json::Value;

use super::env::{GENERAL, target_variable, variable};
use super::schema::{Field, choices, fields, range, schema, text};

const HEADER: &str = "\
# Configuration of Poolwarden. Generated: every key with its meaning, default and range.
#
# A line that begins with '#' and a key shows the default, or an example where there is none.
# Every key is read once, at the start: restart the sidecar to apply a change. Relative paths start
# at the working directory. Every key but the labels has an environment variable that wins over
# this file: POOLWARDEN_POLL__INTERVAL_MS, or POOLWARDEN_TARGET__MAIN__MODE for the target `main`.
# Passwords belong in files or in POOLWARDEN_WATCH_PASSWORD, POOLWARDEN_ADMIN_PASSWORD and
# POOLWARDEN_DATABASE_PASSWORD (each also with _FILE).

";

/// Width of the comment lines.
const WIDTH: usize = 98;

/// Writes the example configuration: a working minimum, everything else commented out.
pub fn example() -> String {
    let mut out = HEADER.to_owned();
    for field in fields(&schema()) {
        if field.is_table() {
            table(&field, &mut out);
        } else {
            key(&field, &mut out);
        }
    }
    out
}

fn table(field: &Field, out: &mut String) {
    out.push('\n');
    comment(&field.doc(), out);
    let name = field.path.join(".");
    let (open, close) =
        if text(&field.schema, "type") == "array" { ("[[", "]]") } else { ("[", "]") };
    let off = if is_optional(&field.path) { "#" } else { "" };
    out.push_str(&format!("{off}{open}{name}{close}\n"));
}

fn key(field: &Field, out: &mut String) {
    comment(&field.doc(), out);
    comment(&facts(field), out);
    let (key, value) = (field.key(), toml(sample(field)));
    let off = if field.required && !is_optional(&field.path) { "" } else { "#" };
    out.push_str(&format!("{off}{key} = {value}\n"));
}

/// The tables that are left out altogether unless they are wanted.
fn is_optional(path: &[String]) -> bool {
    let optional = |name: &str| path.starts_with(&["target".to_owned(), name.to_owned()]);
    optional("database") || optional("override")
}

/// Gives the default, else the example.
fn sample(field: &Field) -> &Value {
    let example = || field.schema.get("examples").and_then(|examples| examples.get(0));
    field.schema.get("default").or_else(example).unwrap_or(&Value::Null)
}

/// Says whether a key is required, and its default, choices and range.
fn facts(field: &Field) -> String {
    let mut facts = match field.schema.get("default") {
        Some(default) => format!("Default {}", toml(default)),
        None if field.required => "Required".to_owned(),
        None => "Not set by default".to_owned(),
    };
    if let Some((min, max)) = range(&field.schema) {
        facts.push_str(&format!("; from {min} to {max}"));
    }
    let choices = choices(&field.schema);
    if !choices.is_empty() {
        facts.push_str(&format!("; one of {}", choices.join(", ")));
    }
    facts + "."
}

/// Writes a sample as TOML; JSON writes the same scalars the same way.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(k, v)| format!("{k} = {v}")).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        value => value.to_string(),
    }
}

fn comment(text: &str, out: &mut String) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}

/// Writes the environment names as a Markdown table.
pub fn environment_table() -> String {
    let mut out = String::from("| variable | sets |\n| --- | --- |\n");
    for (name, sets) in GENERAL {
        row(&mut out, name, sets);
    }
    for field in fields(&schema()).iter().filter(|field| field.is_scalar()) {
        let name = match field.path.split_first() {
            Some((first, rest)) if first == "target" => target_variable("<name>", rest),
            _ => variable(&field.path),
        };
        row(&mut out, &name, &format!("`{}`: {}", field.path.join("."), field.doc()));
    }
    out
}

fn row(out: &mut String, name: &str, sets: &str) {
    let sets = sets.replace('|', "\\|");
    writeln!(out, "| `{name}` | {sets} |").expect("a String takes all that is written");
}
