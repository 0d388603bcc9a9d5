//! The parts of a window that are not pools: target, database server, scopes, settings.

use serde_json::{Value, json};

use super::pools::Pools;
use crate::author::rows::{Columns, Row};

/// Statuses of a target by name; as the contract's JSON has them.
pub(in crate::author) const STATUSES: [&str; 3] = ["up", "paused", "down"];
pub(in crate::author) const STATUSES_JSON: [&str; 3] = ["Up", "Paused", "Down"];

/// Sizes of the target, from which those of scopes and pools follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub default_pool: u32,
    pub reserve: u32,
}

impl Sizes {
    pub fn read(target: &Row<'_>) -> Self {
        Self {
            default_pool: target.u32("default_pool_size", 20),
            reserve: target.u32("reserve_pool_size", 0),
        }
    }
}

/// Reads what is left of the target.
pub(super) fn target(row: Row<'_>, sizes: &Sizes, clients: u32) -> Value {
    let value = json!({
        "name": row.text("name", "main"),
        "status": STATUSES_JSON[row.named("status", &STATUSES, 0)],
        "status_for_ms": row.u64("status_for_ms", 3_600_000),
        "data_age_ms": row.u64("data_age_ms", 0),
        "labels": labels(&row),
        "version": version(&row),
        "default_pool_size": sizes.default_pool,
        "min_pool_size": row.u32("min_pool_size", 0),
        "reserve_pool_size": sizes.reserve,
        "clients": row.u32("clients", clients),
        "clients_max": row.u32("clients_max", 1_000),
        "query_wait_timeout_ms": row.u64("query_wait_timeout_ms", 120_000),
    });
    row.finish();
    value
}

fn labels(row: &Row<'_>) -> Value {
    let Some(value) = row.get("labels") else { return json!([]) };
    let Some(table) = value.as_object() else {
        row.wrong("labels", "must be a table of texts");
        return json!([]);
    };
    let mut pairs = Vec::new();
    for (key, value) in table {
        match value.as_str() {
            Some(text) => pairs.push(json!([key, text])),
            None => row.wrong(&format!("labels.{key}"), "must be a text"),
        }
    }
    Value::Array(pairs)
}

/// Reads `"1.25.2"`, or the contract's number.
fn version(row: &Row<'_>) -> u32 {
    let Some(Value::String(text)) = row.get("version") else { return row.u32("version", 12_502) };
    let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([major @ 0..=9, minor @ 0..=99, patch @ 0..=99]) => {
            major * 10_000 + minor * 100 + patch
        }
        _ => {
            row.wrong("version", &format!("{text:?} is not of the form \"1.25.2\""));
            0
        }
    }
}

/// Reads the PostgreSQL server; without a table there is none.
pub(super) fn database(top: &Row<'_>, pools: &Pools) -> Value {
    let Some(row) = top.table("database") else { return Value::Null };
    let active = row.u32("active", pools.busy);
    let waits = ["waiting_on_lock", "waiting_on_io", "waiting_on_other"];
    let [lock, io, other] = waits.map(|key| row.u32(key, 0));
    let waiting = lock.saturating_add(io).saturating_add(other);
    let others = row.u32("others", 0);
    let value = json!({
        "reachable": row.flag("reachable", true),
        "data_age_ms": row.u64("data_age_ms", 0),
        "max_connections": row.u32("max_connections", 100),
        "reserved_connections": row.u32("reserved_connections", 3),
        "connections": row.u32("connections", pools.servers.saturating_add(others)),
        "active": active,
        "idle_in_transaction": row.u32("idle_in_transaction", 0),
        "running": row.u32("running", active.saturating_sub(waiting)),
        "waiting_on_lock": lock,
        "waiting_on_io": io,
        "waiting_on_other": other,
        "others": others,
        "budget": row.u32("budget", 90),
    });
    row.finish();
    value
}

/// What `SHOW CONFIG` is to say.
pub(super) fn settings(top: &Row<'_>) -> Value {
    const KEY: &str = "settings_of_pgbouncer";
    let table = match top.get(KEY) {
        None => return json!({}),
        Some(Value::Object(table)) => table,
        Some(_) => {
            top.wrong(KEY, "must be a table");
            return json!({});
        }
    };
    let text = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Some((key.clone(), json!(text))),
        Value::Number(number) => Some((key.clone(), json!(number.to_string()))),
        _ => {
            top.wrong(&format!("{KEY}.{key}"), "must be a text or a number");
            None
        }
    };
    Value::Object(table.iter().filter_map(text).collect())
}

/// One setting that sizes pools.
#[derive(Debug)]
struct Scope {
    kind: u8,
    size: u32,
    /// As bits: what of the scope can be changed.
    actionable: u8,
    min_size: u32,
    reserve: u32,
    floor: u32,
    ceiling: u32,
    pools: Option<u32>,
    /// Index into [`CHANGES`].
    change: usize,
    change_age_ms: u64,
    change_from: u32,
    change_to: u32,
}

/// What came of a scope's last change, by its number in the contract.
pub(in crate::author) const CHANGES: [&str; 5] =
    ["none", "measuring", "verified", "rolled_back", "inconclusive"];

/// Every column of the contract.
const SCOPE_COLUMNS: [&str; 12] = [
    "kind",
    "size",
    "actionable",
    "min_size",
    "reserve",
    "floor",
    "ceiling",
    "pools",
    "change",
    "change_age_ms",
    "change_from",
    "change_to",
];

/// Every knob of a scope can be changed.
const EVERY_KNOB: u8 = 7;

/// The settings that size pools.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// As `default`, `database:<name>` or `user:<name>`.
    pub names: Vec<String>,
    rows: Vec<Scope>,
}

impl Scopes {
    /// Reads them; without any there is the default one.
    pub fn read(top: &Row<'_>, sizes: &Sizes) -> Self {
        let mut scopes = Self::default();
        let Some(rows) = top.rows("scopes") else {
            scopes.add("default".to_owned(), Scope::of(sizes));
            return scopes;
        };
        for row in rows {
            let name = row.text("name", "default");
            if name != "default" && !name.starts_with("database:") && !name.starts_with("user:") {
                let text = format!("{name:?} is not default, database:<name> or user:<name>");
                row.wrong("name", &text);
            }
            let scope = Scope::of(sizes).read(&row);
            row.finish();
            scopes.add(name, scope);
        }
        scopes
    }

    fn add(&mut self, name: String, scope: Scope) {
        let kind = match name.split_once(':') {
            None => 0,
            Some(("database", _)) => 1,
            Some(_) => 2,
        };
        self.names.push(name);
        self.rows.push(Scope { kind, ..scope });
    }

    pub fn size(&self, scope: usize) -> u32 {
        self.rows.get(scope).map_or(0, |scope| scope.size)
    }

    /// Finds the setting that sizes a pool, as PgBouncer does: the user's, the database's, default.
    pub fn of_pool(&self, database: &str, user: &str) -> usize {
        let find = |name: String| self.names.iter().position(|one| *one == name);
        find(format!("user:{user}"))
            .or_else(|| find(format!("database:{database}")))
            .or_else(|| find("default".to_owned()))
            .unwrap_or(0)
    }

    /// Gives the columns; `used` are the scopes of the pools.
    pub fn columns(&self, used: &[usize]) -> Value {
        let mut columns = Columns::of(&SCOPE_COLUMNS);
        for (at, scope) in self.rows.iter().enumerate() {
            let count = used.iter().filter(|one| **one == at).count();
            columns.push("kind", scope.kind);
            columns.push("size", scope.size);
            columns.push("actionable", scope.actionable);
            columns.push("min_size", scope.min_size);
            columns.push("reserve", scope.reserve);
            columns.push("floor", scope.floor);
            columns.push("ceiling", scope.ceiling);
            columns.push("pools", scope.pools.map_or_else(|| json!(count), Value::from));
            columns.push("change", scope.change);
            columns.push("change_age_ms", scope.change_age_ms);
            columns.push("change_from", scope.change_from);
            columns.push("change_to", scope.change_to);
        }
        columns.into_value()
    }
}

impl Scope {
    fn of(sizes: &Sizes) -> Self {
        Self {
            kind: 0,
            size: sizes.default_pool,
            actionable: EVERY_KNOB,
            min_size: 0,
            reserve: sizes.reserve,
            floor: 1,
            ceiling: 100,
            pools: None,
            change: 0,
            change_age_ms: 0,
            change_from: 0,
            change_to: 0,
        }
    }

    fn read(self, row: &Row<'_>) -> Self {
        Self {
            kind: self.kind,
            size: row.u32("size", self.size),
            actionable: actionable(row, self.actionable),
            min_size: row.u32("min_size", self.min_size),
            reserve: row.u32("reserve", self.reserve),
            floor: row.u32("floor", self.floor),
            ceiling: row.u32("ceiling", self.ceiling),
            pools: row.get("pools").map(|_| row.u32("pools", 0)),
            change: row.named("change", &CHANGES, self.change),
            change_age_ms: row.u64("change_age_ms", self.change_age_ms),
            change_from: row.u32("change_from", self.change_from),
            change_to: row.u32("change_to", self.change_to),
        }
    }
}

/// Reads `true` for every knob, `false` for none, or the contract's sum of bits.
fn actionable(row: &Row<'_>, default: u8) -> u8 {
    if let Some(Value::Bool(all)) = row.get("actionable") {
        return if *all { EVERY_KNOB } else { 0 };
    }
    let bits = row.u32("actionable", default.into());
    u8::try_from(bits).ok().filter(|bits| *bits <= EVERY_KNOB).unwrap_or_else(|| {
        row.wrong("actionable", "must be true, false, or a sum of 1, 2 and 4");
        0
    })
}
