//! The pools of a window: a row each, of which a person writes only what matters.

use serde_json::{Value, json};

use super::parts::{Scopes, Sizes};
use crate::author::rows::{Columns, Row, float};
use crate::config::nearest;

pub(in crate::author) const CONDITIONS: [&str; 7] =
    ["idle", "serving", "queueing", "login_queue", "paused", "wedged", "stale"];
pub(in crate::author) const MODES: [&str; 3] = ["session", "transaction", "statement"];

/// Names of the pools, by index, and how other parts of the file refer to them.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// (database, user) as JSON pairs.
    pub keys: Vec<Value>,
    texts: Vec<String>,
    pub sizes: Vec<u32>,
}

impl Names {
    fn push(&mut self, database: &str, user: &str, size: u32) {
        self.keys.push(json!([database, user]));
        self.texts.push(format!("{database}/{user}"));
        self.sizes.push(size);
    }

    /// Reads `pool = "database/user"`, or the pool's index.
    pub fn read(&self, row: &Row<'_>) -> usize {
        match row.get("pool") {
            None => row.wrong("pool", "is missing: pool = \"database/user\""),
            Some(Value::String(text)) => {
                if let Some(at) = self.texts.iter().position(|one| one == text) {
                    return at;
                }
                let hint = nearest(text, self.texts.iter().map(String::as_str));
                let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
                row.wrong("pool", &format!("there is no pool {text:?}{hint}"));
            }
            Some(value) => {
                let at = value.as_u64().and_then(|at| usize::try_from(at).ok());
                match at.filter(|at| *at < self.keys.len()) {
                    Some(at) => return at,
                    None => row.wrong("pool", &format!("there is no pool {value}")),
                }
            }
        }
        0
    }
}

/// The pools as columns, with the sums that other parts of a window default to.
#[derive(Debug)]
pub(super) struct Pools {
    pub names: Names,
    /// The scope of each pool.
    pub scope: Vec<usize>,
    pub columns: Value,
    pub clients: u32,
    pub busy: u32,
    pub servers: u32,
}

impl Pools {
    pub fn read(top: &Row<'_>, scopes: &Scopes, sizes: &Sizes) -> Self {
        let mut pools = Reading { columns: Columns::of(&COLUMNS), ..Reading::default() };
        for row in top.rows("pools").unwrap_or_default() {
            pools.read(&row, scopes, sizes);
            row.finish();
        }
        let Reading { names, scope, columns, clients, busy, servers } = pools;
        Self { names, scope, columns: columns.into_value(), clients, busy, servers }
    }
}

#[derive(Debug, Default)]
struct Reading {
    names: Names,
    scope: Vec<usize>,
    columns: Columns,
    clients: u32,
    busy: u32,
    servers: u32,
}

impl Reading {
    fn read(&mut self, row: &Row<'_>, scopes: &Scopes, sizes: &Sizes) {
        let (database, user) = (row.text("database", ""), row.text("user", "app"));
        if row.get("database").is_none() {
            row.wrong("database", "is missing");
        }
        let scope = scope(row, scopes, &database, &user);
        let size = self.u32(row, "size", scopes.size(scope));
        self.u32(row, "reserve", sizes.reserve);
        self.columns.push("scope", scope);
        self.scope.push(scope);
        self.names.push(&database, &user, size);
        let now = self.counts(row, size);
        self.spans(row, &now, size);
        self.statistics(row, &now, size);
    }

    fn counts(&mut self, row: &Row<'_>, size: u32) -> Now {
        let busy = self.u32(row, "sv_active", 0);
        let active = self.u32(row, "cl_active", busy);
        let waiting = self.u32(row, "cl_waiting", 0);
        let idle = self.u32(row, "sv_idle", size.saturating_sub(busy));
        let login = self.u32(row, "sv_login", 0);
        let condition = match (waiting, active) {
            (1.., _) => 2,
            (0, 1..) => 1,
            (0, 0) => 0,
        };
        self.columns.push("condition", row.named("condition", &CONDITIONS, condition));
        self.columns.push("mode", row.named("mode", &MODES, 1));
        let add = |sum: &mut u32, more: u32| *sum = sum.saturating_add(more);
        add(&mut self.clients, active.saturating_add(waiting));
        add(&mut self.busy, busy);
        add(&mut self.servers, busy.saturating_add(idle).saturating_add(login));
        Now { busy, waiting }
    }

    fn spans(&mut self, row: &Row<'_>, now: &Now, size: u32) {
        let if_so = |yes: bool, value: u64| if yes { value } else { 0 };
        let waits = now.waiting > 0;
        let full = size > 0 && now.busy >= size;
        let idle_in_transaction = self.u32(row, "idle_in_transaction", 0);
        for (column, default) in [
            ("maxwait_us", if_so(waits, 1_000_000)),
            ("waiting_for_ms", if_so(waits, 1_000)),
            ("full_for_ms", if_so(full, 1_000)),
            ("unserved_for_ms", 0),
            ("observed_for_ms", 3_600_000),
            ("idle_in_transaction_max_ms", if_so(idle_in_transaction > 0, 1_000)),
        ] {
            self.columns.push(column, row.u64(column, default));
        }
        self.u32(row, "running", now.busy);
        self.u32(row, "waiting_on_lock", 0);
        self.u32(row, "waiting_on_io", 0);
    }

    fn statistics(&mut self, row: &Row<'_>, now: &Now, size: u32) {
        let busy = f64::from(now.busy);
        let utilization = if size == 0 { 0.0 } else { busy / f64::from(size) };
        let utilization = self.f64(row, "utilization", utilization);
        self.f64(row, "utilization_p50", utilization);
        self.f64(row, "utilization_p95", utilization);
        self.f64(row, "wait_p95_us", 0.0);
        let mean = self.f64(row, "busy_mean", busy);
        self.f64(row, "busy_finished", mean);
        let demand = self.f64(row, "demand", busy + f64::from(now.waiting));
        let short = self.f64(row, "demand_max_short", demand);
        self.f64(row, "demand_max_long", short);
        self.f64(row, "demand_trend_per_min", 0.0);
        self.f64(row, "clients_trend_per_min", 0.0);
        let rate = self.f64(row, "transactions_per_s", 100.0 * busy);
        self.f64(row, "queries_per_s", rate);
        let time = self.f64(row, "transaction_mean_us", 10_000.0);
        self.f64(row, "query_mean_us", time);
        self.f64(row, "wait_mean_us", 0.0);
    }

    fn u32(&mut self, row: &Row<'_>, column: &'static str, default: u32) -> u32 {
        let value = row.u32(column, default);
        self.columns.push(column, value);
        value
    }

    fn f64(&mut self, row: &Row<'_>, column: &'static str, default: f64) -> f64 {
        let value = row.f64(column, default);
        self.columns.push(column, float(value));
        value
    }
}

/// What later values of a row default to.
#[derive(Debug, Clone, Copy)]
struct Now {
    busy: u32,
    waiting: u32,
}

fn scope(row: &Row<'_>, scopes: &Scopes, database: &str, user: &str) -> usize {
    let names: Vec<&str> = scopes.names.iter().map(String::as_str).collect();
    row.named("scope", &names, scopes.of_pool(database, user))
}

/// Every column of the contract, so that a window without pools has them too.
const COLUMNS: [&str; 36] = [
    "scope",
    "condition",
    "mode",
    "cl_active",
    "cl_waiting",
    "sv_active",
    "sv_idle",
    "sv_login",
    "size",
    "reserve",
    "maxwait_us",
    "waiting_for_ms",
    "full_for_ms",
    "unserved_for_ms",
    "observed_for_ms",
    "utilization",
    "utilization_p50",
    "utilization_p95",
    "wait_p95_us",
    "busy_mean",
    "busy_finished",
    "demand",
    "demand_max_short",
    "demand_max_long",
    "demand_trend_per_min",
    "clients_trend_per_min",
    "transactions_per_s",
    "queries_per_s",
    "transaction_mean_us",
    "query_mean_us",
    "wait_mean_us",
    "idle_in_transaction",
    "idle_in_transaction_max_ms",
    "running",
    "waiting_on_lock",
    "waiting_on_io",
];
