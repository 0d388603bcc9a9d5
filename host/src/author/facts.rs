//! What a plugin answered, as the tables that stand in `expected.toml`.
//!
//! Made from the recorded JSON of input and answer rather than from the domain's types, so that a
//! live sidecar's answer and one that was computed here become the same text.

use serde_json::{Map, Value};

/// One proposal as a table.
pub(super) type Facts = Map<String, Value>;

/// Gives the tables of an answer's proposals, in its order.
pub(super) fn of_answer(input: &Value, answer: &Value) -> Vec<Facts> {
    let proposals = answer.get("proposals").and_then(Value::as_array);
    proposals.into_iter().flatten().map(|proposal| of_proposal(input, proposal)).collect()
}

/// Gives the bytes that an answer asks to remember.
pub(super) fn memory_of(answer: &Value) -> Vec<u8> {
    let bytes = answer.get("memory").and_then(Value::as_array);
    let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
    bytes.into_iter().flatten().filter_map(byte).collect()
}

fn of_proposal(input: &Value, proposal: &Value) -> Facts {
    let mut facts = Facts::new();
    let Some((kind, body)) = proposal.as_object().and_then(|variant| variant.iter().next()) else {
        return facts;
    };
    facts.insert("kind".to_owned(), snake(kind).into());
    let body = match body {
        Value::Object(body) => body,
        reason => {
            facts.insert("reason".to_owned(), reason.clone());
            return facts;
        }
    };
    if let Some(name) = body.get("name") {
        facts.insert("name".to_owned(), name.clone());
    }
    subject(input, body, &mut facts);
    for (key, value) in body {
        let value = match (key.as_str(), value) {
            ("name" | "subject" | "scope" | "holder", _) => continue,
            ("severity" | "knob", Value::String(name)) => snake(name).into(),
            ("evidence", Value::Array(list)) => {
                Value::Object(list.iter().filter_map(evidence).collect())
            }
            ("labels", Value::Array(list)) => Value::Object(list.iter().filter_map(pair).collect()),
            (_, value) => value.clone(),
        };
        facts.insert(key.clone(), value);
    }
    facts
}

/// Says what a proposal is about, by name.
fn subject(input: &Value, body: &Map<String, Value>, facts: &mut Facts) {
    let mut put = |key: &str, value: Value| {
        facts.insert(key.to_owned(), value);
    };
    if let Some(scope) = body.get("scope") {
        put("scope", scope_name(input, scope));
    }
    if let Some(holder) = body.get("holder") {
        let column =
            |name: &str| input.pointer(&format!("/window/sessions/holders/{name}/{holder}"));
        put("client", column("client").unwrap_or(holder).clone());
        if let Some(pool) = column("pool") {
            put("pool", pool_name(input, pool));
        }
    }
    match body.get("subject") {
        Some(Value::String(name)) => put("subject", snake(name).into()),
        Some(Value::Object(variant)) => match variant.iter().next() {
            Some((kind, index)) if kind == "Pool" => put("pool", pool_name(input, index)),
            Some((_, index)) => put("scope", scope_name(input, index)),
            None => {}
        },
        _ => {}
    }
}

/// Gives `database/user`, or the index where that name stands for several pools.
pub(super) fn pool_name(input: &Value, index: &Value) -> Value {
    let names = pool_names(input);
    let name = index.as_u64().and_then(|at| names.get(usize::try_from(at).ok()?));
    match name {
        Some(name) if names.iter().filter(|one| *one == name).count() == 1 => name.clone().into(),
        _ => index.clone(),
    }
}

/// Gives the names of an input's pools, as `database/user`.
pub(super) fn pool_names(input: &Value) -> Vec<String> {
    let pools = input.get("pools").and_then(Value::as_array);
    let part =
        |key: &Value, at: usize| key.get(at).and_then(Value::as_str).unwrap_or("").to_owned();
    let name = |key: &Value| format!("{}/{}", part(key, 0), part(key, 1));
    pools.into_iter().flatten().map(name).collect()
}

/// Gives the names of an input's scopes.
pub(super) fn scope_names(input: &Value) -> Vec<String> {
    let scopes = input.get("scopes").and_then(Value::as_array);
    scopes.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

fn scope_name(input: &Value, index: &Value) -> Value {
    input.pointer(&format!("/scopes/{index}")).unwrap_or(index).clone()
}

fn evidence(one: &Value) -> Option<(String, Value)> {
    Some((one.get("name")?.as_str()?.to_owned(), one.get("value")?.clone()))
}

fn pair(one: &Value) -> Option<(String, Value)> {
    Some((one.get(0)?.as_str()?.to_owned(), one.get(1)?.clone()))
}

/// Gives `end_session` for `EndSession`.
fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    for (at, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// Says in a few words what a proposal is, for headings.
pub(super) fn title(facts: &Facts) -> String {
    let text = |key: &str| match facts.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    let mut title = text("kind").unwrap_or_else(|| "proposal".to_owned());
    if let Some(name) = text("name") {
        title.push_str(&format!(" {name}"));
    }
    for (key, what) in
        [("client", "client "), ("pool", "pool "), ("scope", "scope "), ("subject", "")]
    {
        if let Some(name) = text(key) {
            title.push_str(&format!(" of {what}{name}"));
        }
    }
    title
}
