//! The environment laid over the file: `POOLWARDEN_…` for every key, and the names that apps
//! beside which the sidecar runs already have.
//!
//! A name that says more precisely what it sets wins over a general one, and both over the file. A
//! variable that is set but empty counts as not set, as compose files pass unset ones on like that.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::address;
use super::path::KeyPath;
use super::problem::{Report, nearest};
use super::schema::{Field, fields, text};
use super::secret::Fallbacks;

/// The environment as it was handed in.
pub type Env = BTreeMap<String, String>;

/// General names with their meaning; the first ones are those that an app beside PgBouncer often has.
pub const GENERAL: [(&str, &str); 17] = [
    ("USE_PGBOUNCER", "`false` switches watching off (`monitoring`)."),
    (
        "PGBOUNCER_URL",
        "Console of the only target; makes a target `main` when there is none. \
      An app's own URL will do: whatever database it names, `pgbouncer` is used.",
    ),
    ("DATABASE_CONNECTION_TIMEOUT_MS", "`connect_timeout_ms` of every target and its database."),
    ("DATABASE_IDLE_TIMEOUT_MS", "`database.idle_timeout_ms` of every target."),
    ("DATABASE_QUERY_TIMEOUT_MS", "`command_timeout_ms` of every target and its database."),
    ("ENABLE_CONNECTION_MONITORING", "`false` switches watching off (`monitoring`)."),
    ("CONNECTION_MONITORING_INTERVAL_MS", "`poll.interval_ms`."),
    ("POOLWARDEN_MODE", "`mode` of every target."),
    ("POOLWARDEN_ADMIN_USER", "`act_user` of every target that gives none."),
    ("POOLWARDEN_DATABASE_URL", "`database.url` of the only target."),
    ("POOLWARDEN_WATCH_PASSWORD", "Password of the watching user, where a target gives none."),
    ("POOLWARDEN_WATCH_PASSWORD_FILE", "File that holds it."),
    ("POOLWARDEN_ADMIN_PASSWORD", "Password of the acting user, where a target gives none."),
    ("POOLWARDEN_ADMIN_PASSWORD_FILE", "File that holds it."),
    ("POOLWARDEN_DATABASE_PASSWORD", "Password for PostgreSQL, where a target gives none."),
    ("POOLWARDEN_DATABASE_PASSWORD_FILE", "File that holds it."),
    ("POOLWARDEN_URL", "The sidecar that `poolwarden pools` and its like ask; no setting of one."),
];

/// Lays the environment over the file's values and picks up the passwords.
pub fn overlay(schema: &Json, table: &mut Table, env: &Env, report: &mut Report) -> Fallbacks {
    let env: Env = env.iter().filter(|(_, value)| !value.is_empty()).map(owned).collect();
    let mut overlay = Overlay { table, env: &env, report };
    overlay.console_url();
    overlay.monitoring();
    overlay.general();
    overlay.keys(&fields(schema));
    Fallbacks::new(&env, report)
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

/// Gives the variable of a key that is not inside a target.
pub fn variable(path: &[String]) -> String {
    format!("POOLWARDEN_{}", path.join("__").to_ascii_uppercase())
}

/// Gives the variable of a key inside the target of that name.
pub fn target_variable(target: &str, path: &[String]) -> String {
    let target = target.replace(['-', '.'], "_");
    format!("POOLWARDEN_TARGET__{}__{}", target, path.join("__")).to_ascii_uppercase()
}

struct Overlay<'a> {
    table: &'a mut Table,
    env: &'a Env,
    report: &'a mut Report,
}

impl Overlay<'_> {
    fn set(&mut self, path: KeyPath, name: &str, value: Value) {
        self.report.origins.insert(path.to_string(), name.to_owned());
        path.set(self.table, value);
    }

    fn targets(&self) -> usize {
        self.table.get("target").and_then(Value::as_array).map_or(0, Vec::len)
    }

    fn has(&self, path: &KeyPath) -> bool {
        path.get(self.table).is_some()
    }

    fn console_url(&mut self) {
        let Some(url) = self.env.get("PGBOUNCER_URL") else { return };
        if !self.table.contains_key("target") {
            let main = Table::from_iter([("name".to_owned(), Value::from("main"))]);
            self.table.insert("target".to_owned(), Value::Array(vec![Value::Table(main)]));
        }
        self.single("PGBOUNCER_URL", "console_url", &["console_url"], address::console_of(url));
    }

    /// Sets a key of the only target.
    fn single(&mut self, name: &str, key: &str, path: &[&str], value: String) {
        match self.targets() {
            1 => self.set(KeyPath::target(0, path), name, Value::from(value)),
            0 => self.report.variable(name, "", "there is no target to set it for"),
            n => {
                let reason = format!("there are {n} targets; set {key} of each one in the file");
                self.report.variable(name, "", reason);
            }
        }
    }

    fn monitoring(&mut self) {
        let names = ["USE_PGBOUNCER", "ENABLE_CONNECTION_MONITORING"];
        let mut given = Vec::new();
        for name in names {
            match self.env.get(name).map(String::as_str) {
                None => {}
                Some("true" | "1") => given.push((true, name)),
                Some("false" | "0") => given.push((false, name)),
                Some(other) => self.report.variable(name, other, "must be true or false"),
            }
        }
        // Either one switches watching off.
        if let Some((on, name)) = given.into_iter().min() {
            self.set(KeyPath::of(&["monitoring"]), name, Value::from(on));
        }
    }

    fn general(&mut self) {
        if let Some(value) = self.env.get("CONNECTION_MONITORING_INTERVAL_MS") {
            let (name, value) = ("CONNECTION_MONITORING_INTERVAL_MS", typed("integer", value));
            self.set(KeyPath::of(&["poll", "interval_ms"]), name, value);
        }
        if let Some(url) = self.env.get("POOLWARDEN_DATABASE_URL") {
            let path = ["database", "url"];
            self.single("POOLWARDEN_DATABASE_URL", "database.url", &path, url.clone());
        }
        for (name, key, kind) in [
            ("DATABASE_CONNECTION_TIMEOUT_MS", "connect_timeout_ms", "integer"),
            ("DATABASE_QUERY_TIMEOUT_MS", "command_timeout_ms", "integer"),
            ("DATABASE_IDLE_TIMEOUT_MS", "idle_timeout_ms", "integer"),
            ("POOLWARDEN_MODE", "mode", "string"),
            ("POOLWARDEN_ADMIN_USER", "act_user", "string"),
        ] {
            let Some(value) = self.env.get(name) else { continue };
            (0..self.targets()).for_each(|at| self.every(at, name, key, &typed(kind, value)));
        }
    }

    /// Sets a key of one target, and of its database if that has the same key.
    fn every(&mut self, at: usize, name: &str, key: &str, value: &Value) {
        let own = KeyPath::target(at, &[key]);
        if key != "idle_timeout_ms" && !(key == "act_user" && self.has(&own)) {
            self.set(own, name, value.clone());
        }
        let timeout = key.ends_with("_timeout_ms");
        if timeout && self.has(&KeyPath::target(at, &["database"])) {
            self.set(KeyPath::target(at, &["database", key]), name, value.clone());
        }
    }

    /// Sets what is named key by key, and reports each `POOLWARDEN_` variable that names nothing.
    fn keys(&mut self, fields: &[Field]) {
        let names = self.names(fields);
        let general = GENERAL.map(|(name, _)| name);
        for (name, value) in self.env {
            match names.get(name).map(Vec::as_slice) {
                Some([(path, kind)]) => self.set(path.clone(), name, typed(kind, value)),
                Some(_) => {
                    let reason = "names a key of more than one target; rename one of them";
                    self.report.variable(name, "", reason);
                }
                None if !name.starts_with("POOLWARDEN_") => {}
                None if general.contains(&name.as_str()) || is_service_link(name, value) => {}
                None => {
                    let known = names.keys().map(String::as_str).chain(general);
                    let near = nearest(name, known.filter(|n| n.starts_with("POOLWARDEN_")));
                    let hint = near.map(|near| format!("; did you mean {near}?"));
                    let reason = format!("is not a known variable{}", hint.unwrap_or_default());
                    self.report.variable(name, "", reason);
                }
            }
        }
    }

    /// Lists the variable of each key, those of targets by the targets' names.
    fn names(&self, fields: &[Field]) -> BTreeMap<String, Vec<(KeyPath, String)>> {
        let mut names: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut add = |name, path: KeyPath, field: &Field| {
            let kind = text(&field.schema, "type").to_owned();
            names.entry(name).or_default().push((path, kind));
        };
        for field in fields.iter().filter(|field| field.is_scalar()) {
            let keys: Vec<&str> = field.path.iter().map(String::as_str).collect();
            let Some(("target", inner)) = keys.split_first().map(|(k, rest)| (*k, rest)) else {
                add(variable(&field.path), KeyPath::of(&keys), field);
                continue;
            };
            for at in 0..self.targets() {
                let name = KeyPath::target(at, &["name"]);
                if let Some(target) = name.get(self.table).and_then(Value::as_str) {
                    let variable = target_variable(target, &field.path[1..]);
                    add(variable, KeyPath::target(at, inner), field);
                }
            }
        }
        names
    }
}

/// Reads a variable as the type that its key has; what does not fit is left for the validator.
fn typed(kind: &str, value: &str) -> Value {
    let number = || value.parse().ok().map(Value::Integer);
    let truth = || value.parse().ok().map(Value::Boolean);
    let read = match kind {
        "integer" => number(),
        "boolean" => truth(),
        _ => None,
    };
    read.unwrap_or_else(|| Value::from(value))
}

/// Tells the variables that Kubernetes makes for a Service named `poolwarden…`.
fn is_service_link(name: &str, value: &str) -> bool {
    let address = value.starts_with("tcp://") || value.starts_with("udp://");
    let part = ["_PORT_", "_SERVICE_PORT_"].iter().any(|part| name.contains(part));
    let end = ["_SERVICE_HOST", "_SERVICE_PORT"].iter().any(|end| name.ends_with(end));
    !name.contains("__") && (part || end || (address && name.ends_with("_PORT")))
}
