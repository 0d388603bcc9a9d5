//! Writes cases: what was recorded of a sidecar, as the files that people write.
//!
//! Everything is written out, so that a captured case stays what it was when a default changes;
//! only zeros that are the default for every row are left away.

use serde_json::{Map, Value, json};

use super::facts::Facts;
use super::window::{CHANGES, CONDITIONS, MODES, STATES, STATUSES, STATUSES_JSON};

/// Columns of pools whose zeros say nothing.
const ZEROS: [&str; 11] = [
    "cl_waiting",
    "sv_active",
    "sv_login",
    "unserved_for_ms",
    "wait_p95_us",
    "demand_trend_per_min",
    "clients_trend_per_min",
    "wait_mean_us",
    "idle_in_transaction",
    "waiting_on_lock",
    "waiting_on_io",
];

/// A file of a case: its name and text.
pub(super) type File = (&'static str, String);

/// Writes a window.
pub(super) fn window(input: &Value) -> File {
    let table = Writing { input }.table();
    match as_toml(&table) {
        Some(text) => ("window.toml", text),
        None => ("window.json", format!("{:#}\n", Value::Object(table))),
    }
}

/// Writes settings.
pub(super) fn settings(settings: &Map<String, Value>) -> File {
    match as_toml(settings) {
        Some(text) => ("settings.toml", text),
        None => ("settings.json", format!("{:#}\n", Value::Object(settings.clone()))),
    }
}

/// Writes TOML, unless it would be read as something else: it has no null and smaller numbers.
fn as_toml(table: &Map<String, Value>) -> Option<String> {
    let text = toml::to_string(table).ok()?;
    super::rows::parse(false, &text).is_ok_and(|read| read == *table).then_some(text)
}

/// Writes the text of `expected.toml` for an answer.
pub(super) fn expected(proposals: &[Facts]) -> String {
    if proposals.is_empty() {
        return "proposals = []\n".to_owned();
    }
    let mut text = String::new();
    for facts in proposals {
        let mut facts = facts.clone();
        // An alert without labels or runbook has nothing to be compared.
        facts.retain(|_, value| *value != json!("") && *value != json!({}));
        let table = json!({ "proposals": [facts] });
        // Facts are texts, finite numbers and tables of these.
        let one = toml::to_string(&table).unwrap_or_else(|error| format!("# {error}\n"));
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&one);
    }
    text
}

/// Writes the text of `expected.toml` for a refusal or fault.
pub(super) fn expected_error(error: &str) -> String {
    toml::to_string(&json!({ "error": error })).unwrap_or_default()
}

struct Writing<'a> {
    input: &'a Value,
}

impl Writing<'_> {
    fn at(&self, pointer: &str) -> &Value {
        self.input.pointer(pointer).unwrap_or(&Value::Null)
    }

    fn table(&self) -> Map<String, Value> {
        let mut table = Map::new();
        for key in ["at_ms", "short_span_ms", "long_span_ms"] {
            table.insert(key.to_owned(), self.at(&format!("/window/{key}")).clone());
        }
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), value);
            }
        };
        put("target", Some(self.target()));
        put("database", Some(self.at("/window/database").clone()).filter(|one| !one.is_null()));
        put("settings_of_pgbouncer", Some(self.at("/settings").clone()).filter(is_full));
        put("scopes", Some(self.scopes()));
        put("pools", Some(self.pools()).filter(is_full));
        put("past", self.past());
        if !self.at("/window/sessions").is_null() {
            let look = |key: &str| self.at(&format!("/window/sessions/{key}")).clone();
            put(
                "sessions",
                Some(json!({
                    "age_ms": look("age_ms"),
                    "truncated": look("truncated"),
                })),
            );
            put("holders", Some(self.holders()).filter(is_full));
            put("groups", Some(self.groups()).filter(is_full));
        }
        table
    }

    fn target(&self) -> Value {
        let mut target = self.at("/window/target").as_object().cloned().unwrap_or_default();
        let status = target.get("status").and_then(Value::as_str).unwrap_or_default();
        let status = STATUSES_JSON.iter().position(|one| *one == status).unwrap_or(0);
        target.insert("status".to_owned(), json!(STATUSES[status]));
        let pairs = target.get("labels").and_then(Value::as_array).cloned().unwrap_or_default();
        let labels = pairs
            .iter()
            .filter_map(|pair| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.clone())));
        let labels: Map<String, Value> = labels.collect();
        target.insert("labels".to_owned(), Value::Object(labels));
        Value::Object(target)
    }

    fn scopes(&self) -> Value {
        let names = self.at("/scopes").as_array().map_or(&[][..], Vec::as_slice);
        let rows = rows(self.at("/window/scopes"), names.len()).into_iter().zip(names);
        let row = |(mut row, name): (Map<String, Value>, &Value)| {
            row.remove("kind");
            name_code(&mut row, "change", &CHANGES);
            named_first([("name", name.clone())], row)
        };
        Value::Array(rows.map(row).collect())
    }

    fn pools(&self) -> Value {
        let names = self.at("/pools").as_array().map_or(&[][..], Vec::as_slice);
        let scopes = self.at("/scopes");
        let rows = rows(self.at("/window/pools"), names.len()).into_iter().zip(names);
        let row = |(mut row, name): (Map<String, Value>, &Value)| {
            let scope = row.remove("scope").unwrap_or_default();
            // Two scopes never have one name.
            let scope = scopes.get(index(&scope)).cloned().unwrap_or(scope);
            name_code(&mut row, "condition", &CONDITIONS);
            name_code(&mut row, "mode", &MODES);
            row.retain(|key, value| !(ZEROS.contains(&key.as_str()) && is_zero(value)));
            let part = |at: usize| name.get(at).cloned().unwrap_or_default();
            named_first([("database", part(0)), ("user", part(1)), ("scope", scope)], row)
        };
        Value::Array(rows.map(row).collect())
    }

    fn holders(&self) -> Value {
        let columns = self.at("/window/sessions/holders");
        let row = |mut row: Map<String, Value>| {
            name_code(&mut row, "state", &STATES);
            flag(&mut row, "endable");
            self.of_pool(row)
        };
        Value::Array(rows(columns, length(columns)).into_iter().map(row).collect())
    }

    fn groups(&self) -> Value {
        let columns = self.at("/window/sessions/groups");
        let all = rows(columns, length(columns)).into_iter();
        Value::Array(all.map(|row| self.of_pool(row)).collect())
    }

    /// Puts the pool's name first, or its index where two pools would have the same name.
    fn of_pool(&self, mut row: Map<String, Value>) -> Value {
        let pool = row.remove("pool").unwrap_or_default();
        named_first([("pool", super::facts::pool_name(self.input, &pool))], row)
    }

    fn past(&self) -> Option<Value> {
        let past = self.at("/window/past").as_object()?;
        let steps = index(past.get("steps")?);
        let pools = self.at("/pools").as_array().map_or(0, Vec::len);
        let mut table = Map::new();
        let mut series: Vec<Map<String, Value>> = vec![Map::new(); pools];
        for (key, value) in past {
            let Some(column) = value.as_array() else {
                table.insert(key.clone(), value.clone());
                continue;
            };
            for (pool, values) in series.iter_mut().zip(column.chunks(steps.max(1))) {
                let is_constant = values.windows(2).all(|two| two[0] == two[1]);
                let value = match values.first() {
                    Some(one) if is_constant => one.clone(),
                    _ => Value::Array(values.to_vec()),
                };
                pool.insert(key.clone(), value);
            }
        }
        let mut known = Vec::new();
        for (at, row) in series.into_iter().enumerate() {
            if !row.values().all(is_zero) {
                let pool = super::facts::pool_name(self.input, &json!(at));
                known.push(named_first([("pool", pool)], row));
            }
        }
        if !known.is_empty() {
            table.insert("pools".to_owned(), Value::Array(known));
        }
        Some(Value::Object(table))
    }
}

/// Turns columns into rows.
fn rows(columns: &Value, count: usize) -> Vec<Map<String, Value>> {
    let mut rows = vec![Map::new(); count];
    for (name, column) in columns.as_object().into_iter().flatten() {
        for (row, value) in rows.iter_mut().zip(column.as_array().into_iter().flatten()) {
            row.insert(name.clone(), value.clone());
        }
    }
    rows
}

fn length(columns: &Value) -> usize {
    let first = columns.as_object().and_then(|columns| columns.values().next());
    first.and_then(Value::as_array).map_or(0, Vec::len)
}

fn named_first<const N: usize>(first: [(&str, Value); N], rest: Map<String, Value>) -> Value {
    let first = first.map(|(key, value)| (key.to_owned(), value));
    Value::Object(first.into_iter().chain(rest).collect())
}

fn name_code(row: &mut Map<String, Value>, key: &str, names: &[&str]) {
    if let Some(value) = row.get_mut(key)
        && let Some(name) = names.get(index(value))
    {
        *value = json!(name);
    }
}

fn flag(row: &mut Map<String, Value>, key: &str) {
    if let Some(value) = row.get_mut(key) {
        *value = json!(!is_zero(value));
    }
}

fn index(value: &Value) -> usize {
    value.as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX)
}

/// Says whether a number is zero; minus zero has another bit and is not.
fn is_zero(value: &Value) -> bool {
    matches!(value.to_string().as_str(), "0" | "0.0")
}

fn is_full(value: &Value) -> bool {
    match value {
        Value::Object(table) => !table.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    }
}
