//! What a `RELOAD` would change: the file against what is in force.
//!
//! A `RELOAD` reads everything anew, so that an edit which nobody has reloaded yet, or a person's
//! `SET`, would be decided about by the sidecar. It reloads only where nothing but its own sizes
//! would change.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::console::{ConfigRow, InForce};
use crate::ini::{ANY, Entry, Ini, Value};
use crate::model::{DatabaseRow, Knob, ScopeKey, Setting};

/// The version from which on entries may have keys that are not known here.
const NEWEST_KNOWN: u32 = 12_600;
/// Keys of an entry of `[databases]`.
const DATABASE_KEYS: [&str; 21] = [
    "application_name",
    "auth_dbname",
    "auth_query",
    "auth_user",
    "client_encoding",
    "connect_query",
    "datestyle",
    "dbname",
    "host",
    "load_balance_hosts",
    "max_db_client_connections",
    "max_db_connections",
    "min_pool_size",
    "password",
    "pool_mode",
    "pool_size",
    "port",
    "reserve_pool",
    "reserve_pool_size",
    "server_lifetime",
    "timezone",
];
/// Further keys of an entry: those of `[users]`, and the user that a database forces.
const USER_KEYS: [&str; 9] = [
    "client_idle_timeout",
    "idle_transaction_timeout",
    "max_user_client_connections",
    "max_user_connections",
    "pool_mode",
    "pool_size",
    "query_timeout",
    "reserve_pool_size",
    "transaction_timeout",
];
/// Settings whose words PgBouncer reads in any case.
const WORDS: [&str; 5] =
    ["auth_type", "pool_mode", "client_tls_sslmode", "server_tls_sslmode", "syslog_facility"];

/// The names that a database's reserve has had.
pub(super) const RESERVE: [&str; 2] = ["reserve_pool_size", "reserve_pool"];

/// What may be in force beside the file, because the sidecar put it there.
#[derive(Debug, Default)]
pub(super) struct Ours<'a> {
    /// Sizes by setting.
    pub sizes: BTreeMap<Setting, Vec<u32>>,
    /// The key that shows whether somebody has reloaded, and its value.
    pub marker: Option<(&'static str, String)>,
    /// Entries of the override file that hide the operator's, where he has reloaded since.
    pub masks: Option<&'a BTreeMap<Arc<str>, Entry>>,
}

impl Ours<'_> {
    fn has(&self, scope: &ScopeKey, knob: Knob, size: Option<u32>) -> bool {
        let setting = Setting { scope: scope.clone(), knob };
        let ours = self.sizes.get(&setting);
        size.is_some_and(|size| ours.is_some_and(|ours| ours.contains(&size)))
    }
}

/// Says what a `RELOAD` would change that is not the sidecar's own; empty when nothing.
pub(super) fn differences(ini: &Ini, now: &InForce, ours: &Ours<'_>) -> Vec<String> {
    let mut found = Vec::new();
    settings(ini, now, ours, &mut found);
    databases(ini, now, ours, &mut found);
    users(ini, now, ours, &mut found);
    found
}

fn settings(ini: &Ini, now: &InForce, ours: &Ours<'_>, found: &mut Vec<String>) {
    for (key, value) in &ini.settings {
        if !now.config.contains_key(key) {
            let place = &value.place;
            found.push(format!("{key} ({place}), which this PgBouncer does not know"));
        }
    }
    for (key, row) in now.config.iter().filter(|(key, row)| row.changeable && *key != "conffile") {
        let written = ini.settings.get(key);
        let Some(text) = written.map(|value| &value.text).or(row.default.as_ref()) else {
            continue;
        };
        let in_force = row.value.as_deref().unwrap_or_default();
        let is_ours = || {
            let knob = Knob::ALL.into_iter().find(|knob| knob.default_key() == key);
            let size = in_force.parse().ok();
            let marked = ours
                .marker
                .as_ref()
                .is_some_and(|(name, value)| name == key && same(key, in_force, value));
            marked || knob.is_some_and(|knob| ours.has(&ScopeKey::Default, knob, size))
        };
        if !same(key, in_force, text) && !is_ours() {
            found.push(told(key, row, written));
        }
    }
}

/// Names a setting, with its values where these can be no secret.
fn told(key: &str, row: &ConfigRow, written: Option<&Value>) -> String {
    let numbers = |text: &str| text.parse::<f64>().is_ok();
    let in_force = row.value.as_deref().unwrap_or_default();
    let (wanted, place) = match written {
        Some(value) => (value.text.as_str(), value.place.to_string()),
        None => (row.default.as_deref().unwrap_or_default(), "the default".to_owned()),
    };
    if numbers(in_force) && numbers(wanted) {
        return format!("{key} ({in_force} in force, {wanted} in {place})");
    }
    format!("{key} ({place})")
}

/// Says whether two texts of a setting mean the same to PgBouncer.
fn same(key: &str, in_force: &str, text: &str) -> bool {
    if in_force == text || (WORDS.contains(&key) && in_force.eq_ignore_ascii_case(text)) {
        return true;
    }
    if let Some(home) = text.strip_prefix('~') {
        let rest = home.find('/').and_then(|at| home.get(at..)).unwrap_or_default();
        return !rest.is_empty() && in_force.ends_with(rest);
    }
    let integer = |text: &str| c_integer(text).is_some_and(|n| Some(n) == c_integer(in_force));
    // A time is shown with six digits.
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs().max(b.abs());
    let times = (in_force.parse::<f64>(), text.parse::<f64>());
    integer(text) || matches!(times, (Ok(a), Ok(b)) if close(a, b))
}

/// Reads a number as C's `strtol` with base 0 does: `0x10` is 16 and `010` is 8.
fn c_integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let number = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    number.ok().map(|number| sign * number)
}

fn databases(ini: &Ini, now: &InForce, ours: &Ours<'_>, found: &mut Vec<String>) {
    for (name, entry) in &ini.databases {
        if let Some(problem) = unreadable(entry, &DATABASE_KEYS, &["user"], now) {
            found.push(format!("database {name} ({}), {problem}", entry.place));
        } else if &**name != ANY && !now.databases.contains_key(name) {
            found.push(format!("database {name} ({}), which is new", entry.place));
        }
    }
    for (name, row) in now.databases.iter() {
        let masked = ours.masks.and_then(|masks| masks.get(name));
        let entry = ini.databases.get(name).or_else(|| ini.databases.get(ANY));
        let columns = entry.map(|entry| columns(name, entry, row, now, ours));
        let under = masked.map(|mask| self::columns(name, mask, row, now, ours));
        if under.is_some_and(|under| under.is_empty()) {
            continue;
        }
        match (entry, columns) {
            (Some(_), Some(columns)) if columns.is_empty() => {}
            (Some(entry), Some(columns)) if ini.databases.contains_key(name) => {
                found.push(format!("{} of database {name} ({})", columns.join(", "), entry.place));
            }
            _ => found.push(format!(
                "database {name}, which is not in the file (its clients would be disconnected)"
            )),
        }
    }
}

/// Says why PgBouncer would stop at an entry.
fn unreadable(entry: &Entry, keys: &[&str], more: &[&str], now: &InForce) -> Option<String> {
    let known = |key: &&str| keys.contains(key) || more.contains(key);
    if let Some(key) = entry.keys().find(|key| !known(key)).filter(|_| now.version < NEWEST_KNOWN) {
        return Some(format!("whose key {key} no known PgBouncer has"));
    }
    let modes = ["session", "transaction", "statement"];
    let mode = entry.text("pool_mode").map(|mode| mode.to_ascii_lowercase());
    if mode.is_some_and(|mode| !modes.contains(&mode.as_str())) {
        return Some("whose pool_mode does not exist".to_owned());
    }
    let port = entry.text("port").map(|port| crate::ini::leading_int(&port));
    (port == Some(0)).then(|| "whose port is no number".to_owned())
}

/// Names the columns of `SHOW DATABASES` that an entry would change.
fn columns(
    name: &Arc<str>,
    entry: &Entry,
    row: &DatabaseRow,
    now: &InForce,
    ours: &Ours<'_>,
) -> Vec<&'static str> {
    let scope = ScopeKey::Database(Arc::clone(name));
    let inherited = |key: &str| now.value(key).and_then(|value| value.parse().ok());
    let size = |keys: &[&str], key: &str| entry.number(keys).or_else(|| inherited(key));
    let sized = |knob: Knob, keys: &[&str], in_force: Option<u32>| {
        let wanted = size(keys, knob.default_key());
        in_force.is_none() || in_force == wanted || ours.has(&scope, knob, in_force)
    };
    let mode = entry.text("pool_mode").map(|mode| mode.to_ascii_lowercase());
    let port = entry.number(&["port"]).unwrap_or(5432);
    let dbname = entry.text("dbname").unwrap_or_else(|| name.to_string());
    let user = entry.text("user");
    let most = size(&["max_db_connections"], "max_db_connections");
    let same = [
        ("host", entry.text("host") == row.host),
        ("port", row.port == Some(port)),
        ("dbname", dbname == *row.database),
        // PgBouncer keeps a forced user that the file has lost.
        ("user", user.is_none() || user.as_deref() == row.force_user.as_deref()),
        ("pool_size", sized(Knob::PoolSize, &["pool_size"], row.pool_size)),
        ("min_pool_size", sized(Knob::MinPoolSize, &["min_pool_size"], row.min_pool_size)),
        ("reserve_pool_size", sized(Knob::ReservePoolSize, &RESERVE, row.reserve_pool)),
        ("pool_mode", mode == row.pool_mode),
        ("max_db_connections", row.max_connections.is_none() || row.max_connections == most),
    ];
    same.into_iter().filter(|(_, same)| !same).map(|(column, _)| column).collect()
}

/// Users that the file no longer names keep what they had, so that only those it names can change.
fn users(ini: &Ini, now: &InForce, ours: &Ours<'_>, found: &mut Vec<String>) {
    for (name, entry) in &ini.users {
        if let Some(problem) = unreadable(entry, &USER_KEYS, &[], now) {
            found.push(format!("user {name} ({}), {problem}", entry.place));
            continue;
        }
        let Some(row) = now.users.get(name) else { continue };
        let scope = ScopeKey::User(Arc::clone(name));
        let mode = entry.text("pool_mode").map(|mode| mode.to_ascii_lowercase());
        let sized = |knob: Knob, key: &str, in_force: Option<u32>| {
            row.echoes.contains(&knob)
                || now.version < 12_300
                || in_force == entry.number(&[key])
                || ours.has(&scope, knob, in_force)
        };
        let limit = entry.number(&["max_user_connections"]);
        let limited = |limit| row.max_user_connections.is_none_or(|most| most == limit);
        let reserve = row.reserve_pool_size;
        let same = [
            ("pool_mode", mode == row.pool_mode),
            ("pool_size", sized(Knob::PoolSize, "pool_size", row.pool_size)),
            ("reserve_pool_size", sized(Knob::ReservePoolSize, "reserve_pool_size", reserve)),
            ("max_user_connections", limit.is_none_or(limited)),
        ];
        let columns: Vec<_> = same.iter().filter(|(_, same)| !same).map(|(key, _)| *key).collect();
        if !columns.is_empty() {
            found.push(format!("{} of user {name} ({})", columns.join(", "), entry.place));
        }
    }
}
