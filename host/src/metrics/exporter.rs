//! The metrics of `pgbouncer_exporter`, so that dashboards made for it work here.
//!
//! Names, types, labels and factors are that exporter's. With one target the labels are exactly
//! its; with several there is one more, `target`. As there, a PgBouncer that does not answer
//! shows nothing but `pgbouncer_up 0`: a gap in a graph is honest, a frozen line is not.

use std::time::Duration;

use super::text::{Kind, Text};
use crate::control::{TargetView, View};
use crate::model::{Counters, DatabaseRow, PoolRow, Server, TargetStatus};

/// A family: the end of its name, its help, and where its number comes from.
type Column<T, N> = (&'static str, &'static str, fn(&T) -> Option<N>);

const POOLS: [Column<PoolRow, u64>; 12] = [
    (
        "client_active_connections",
        "Clients linked to a server or idle outside a transaction.",
        |row| Some(row.cl_active.into()),
    ),
    ("client_active_cancel_connections", "Clients whose cancel request is under way.", |row| {
        row.cl_active_cancel_req.map(Into::into)
    }),
    ("client_waiting_connections", "Clients that wait for a server.", |row| {
        Some(row.cl_waiting.into())
    }),
    ("client_waiting_cancel_connections", "Clients whose cancel request is not sent yet.", |row| {
        row.cl_waiting_cancel_req.map(Into::into)
    }),
    ("server_active_connections", "Servers linked to a client.", |row| Some(row.sv_active.into())),
    ("server_active_cancel_connections", "Servers that carry a cancel request.", |row| {
        row.sv_active_cancel.map(Into::into)
    }),
    (
        "server_being_canceled_connections",
        "Servers that wait for a cancel request to end.",
        |row| row.sv_being_canceled.map(Into::into),
    ),
    ("server_idle_connections", "Servers ready for use.", |row| Some(row.sv_idle.into())),
    ("server_used_connections", "Servers idle for longer than server_check_delay.", |row| {
        Some(row.sv_used.into())
    }),
    ("server_testing_connections", "Servers that run a reset or check query.", |row| {
        Some(row.sv_tested.into())
    }),
    ("server_login_connections", "Servers that are logging in.", |row| Some(row.sv_login.into())),
    ("client_maxwait_seconds", "Age of the oldest waiting client, whole seconds.", |row| {
        Some(row.maxwait.as_secs())
    }),
];

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

const TIMES: [Column<Counters, f64>; 3] = [
    ("queries_duration_seconds_total", "Time that finished queries took.", |row| {
        Some(seconds(row.query_time_us))
    }),
    ("client_wait_seconds_total", "Time that clients waited for a server.", |row| {
        Some(seconds(row.wait_time_us))
    }),
    ("server_in_transaction_seconds_total", "Time that finished transactions took.", |row| {
        Some(seconds(row.xact_time_us))
    }),
];

const COUNTS: [Column<Counters, u64>; 8] = [
    ("queries_pooled_total", "Queries that finished.", |row| Some(row.query_count)),
    ("received_bytes_total", "Bytes from clients.", |row| Some(row.bytes_received)),
    ("sent_bytes_total", "Bytes to clients.", |row| Some(row.bytes_sent)),
    ("sql_transactions_pooled_total", "Transactions that finished.", |row| Some(row.xact_count)),
    ("client_parses_total", "Parse messages from clients.", |row| row.client_parses),
    ("server_parses_total", "Parse messages to servers.", |row| row.server_parses),
    ("binds_total", "Bind messages.", |row| row.binds),
    ("server_assignments_total", "Times that a server was given to a client.", |row| {
        row.server_assignments
    }),
];

const DATABASES: [Column<DatabaseRow, u32>; 6] = [
    ("pool_size", "Largest number of servers of each pool.", |row| row.pool_size),
    ("reserve_pool", "Further servers of each pool for when clients wait.", |row| row.reserve_pool),
    ("max_connections", "Largest number of servers, 0 for no limit.", |row| row.max_connections),
    ("current_connections", "Servers now.", |row| row.current_connections),
    ("paused", "1 while the database is paused.", |row| Some(row.paused.into())),
    ("disabled", "1 while the database refuses new clients.", |row| Some(row.disabled.into())),
];

/// The end of the name, and the list of `SHOW LISTS`.
const LISTS: [(&str, &str); 11] = [
    ("databases", "databases"),
    ("users", "users"),
    ("pools", "pools"),
    ("free_clients", "free_clients"),
    ("used_clients", "used_clients"),
    ("login_clients", "login_clients"),
    ("free_servers", "free_servers"),
    ("used_servers", "used_servers"),
    ("cached_dns_names", "dns_names"),
    ("cached_dns_zones", "dns_zones"),
    ("in_flight_dns_queries", "dns_queries"),
];

const SETTINGS: [Column<Server, u32>; 2] = [
    ("max_client_connections", "max_client_conn.", |server| server.max_client_conn),
    ("max_user_connections", "max_user_connections.", |server| server.max_user_connections),
];

/// The targets of a scrape; `several` says whether they have to be told apart.
struct Targets<'a> {
    all: &'a [TargetView],
    several: bool,
}

impl<'a> Targets<'a> {
    fn answering(&self) -> impl Iterator<Item = &'a TargetView> {
        self.all.iter().filter(|target| target.status != TargetStatus::Down)
    }

    /// Puts `target` before the labels where there are several.
    fn labels<'l>(
        &self,
        target: &'l TargetView,
        labels: &[(&'static str, &'l str)],
    ) -> Vec<(&'static str, &'l str)> {
        let own = self.several.then_some(("target", target.name.as_str()));
        own.into_iter().chain(labels.iter().copied()).collect()
    }
}

/// Writes every family.
pub(super) fn write(text: &mut Text, view: &View) {
    let targets = Targets { all: &view.targets, several: view.targets.len() > 1 };
    let mut up = text.gauge("pgbouncer_up", "Whether the last poll succeeded.");
    for target in targets.all {
        up.sample(&targets.labels(target, &[]), u8::from(target.status != TargetStatus::Down));
    }
    let mut version = text.gauge("pgbouncer_version_info", "Version of the PgBouncer.");
    for target in targets.answering().filter(|target| !target.server.version.is_empty()) {
        version.sample(&targets.labels(target, &[("version", &target.server.version)]), 1);
    }
    write_pools(text, &targets);
    write_totals(text, &targets, &COUNTS);
    write_totals(text, &targets, &TIMES);
    write_databases(text, &targets);
    write_server(text, &targets);
}

fn write_pools(text: &mut Text, targets: &Targets<'_>) {
    for (name, help, value) in &POOLS {
        let name = format!("pgbouncer_pools_{name}");
        let mut family = text.gauge(&name, help);
        for target in targets.answering() {
            for (key, pool) in &target.pools {
                let Some(value) = value(&pool.row) else { continue };
                let labels = [("database", &*key.database), ("user", &*key.user)];
                family.sample(&targets.labels(target, &labels), value);
            }
        }
    }
}

fn write_totals<N: std::fmt::Display>(
    text: &mut Text,
    targets: &Targets<'_>,
    columns: &[Column<Counters, N>],
) {
    for (name, help, value) in columns {
        let name = format!("pgbouncer_stats_totals_{name}");
        let mut family = text.family(&name, Kind::Counter, help);
        for target in targets.answering() {
            for (database, counters) in &target.counters {
                let Some(value) = value(counters) else { continue };
                family.sample(&targets.labels(target, &[("database", database)]), value);
            }
        }
    }
}

fn write_databases(text: &mut Text, targets: &Targets<'_>) {
    for (name, help, value) in &DATABASES {
        let name = format!("pgbouncer_databases_{name}");
        let mut family = text.gauge(&name, help);
        for target in targets.answering() {
            for row in target.databases.values() {
                let Some(value) = value(row) else { continue };
                let port = row.port.map(|port| port.to_string()).unwrap_or_default();
                let labels = [
                    ("name", &*row.name),
                    ("host", row.host.as_deref().unwrap_or_default()),
                    ("port", &port),
                    ("database", &*row.database),
                    ("force_user", row.force_user.as_deref().unwrap_or_default()),
                    ("pool_mode", row.pool_mode.as_deref().unwrap_or_default()),
                ];
                family.sample(&targets.labels(target, &labels), value);
            }
        }
    }
}

fn write_server(text: &mut Text, targets: &Targets<'_>) {
    for (name, list) in LISTS {
        let (name, help) = (format!("pgbouncer_{name}"), format!("Count of {list} in SHOW LISTS."));
        let mut family = text.gauge(&name, &help);
        for target in targets.answering() {
            let items = target.server.lists.iter().find(|(name, _)| name == list);
            if let Some((_, items)) = items {
                family.sample(&targets.labels(target, &[]), items);
            }
        }
    }
    for (name, help, value) in &SETTINGS {
        let name = format!("pgbouncer_config_{name}");
        let mut family = text.gauge(&name, help);
        for target in targets.answering() {
            if let Some(value) = value(&target.server) {
                family.sample(&targets.labels(target, &[]), value);
            }
        }
    }
}
