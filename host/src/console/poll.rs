//! One poll: the `SHOW` commands that a snapshot needs, decoded, with what they cost.
//!
//! A full poll also reads what changes seldom (databases, settings, lists); a quick one reads pools
//! and counters and keeps the rest, so that ten polls a second stay cheap for a busy PgBouncer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clients::backends_of;
use super::users::{UserRow, users_of};
use super::{ConsoleError, Role, Row, Session, Table};
use crate::clock::Clock;
use crate::config::Console;
use crate::model::{
    Counters, DatabaseRow, Databases, Knob, PoolKey, PoolRow, ScopeKey, Server, Setting, Settings,
    Snapshot, Timestamp,
};

/// How often the servers are listed; each holds PgBouncer up for 2 µs.
const LIST_EVERY: Duration = Duration::from_secs(10);

/// How much a poll reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Pools and counters.
    Quick,
    /// Databases, settings, state and lists too.
    Full,
}

/// What one command cost: while PgBouncer builds an answer it serves nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// `connect`, or the thing that was shown, for example `pools`.
    pub command: &'static str,
    /// From asking to the last row.
    pub took: Duration,
    /// Rows read.
    pub rows: usize,
}

/// A snapshot with its cost.
#[derive(Debug)]
pub struct Polled {
    /// What was read.
    pub snapshot: Snapshot,
    /// What it cost, by command.
    pub costs: Vec<Cost>,
}

/// Polls one PgBouncer, keeping a session only while it is young.
#[derive(Debug)]
pub struct Poller {
    console: Console,
    session_age_max: Duration,
    session: Option<Session>,
    databases: Arc<Databases>,
    server: Arc<Server>,
    sizes_at: Timestamp,
    /// How many queries the console had had when it answered last.
    queries: Option<u64>,
    /// PostgreSQL's backends behind the servers, which a new process has only if it took them over.
    backends: BTreeSet<(u32, u32)>,
    backends_at: Timestamp,
}

impl Poller {
    /// Makes a poller that has not logged in yet.
    pub fn new(console: Console, session_age_max: Duration) -> Self {
        Self {
            console,
            session_age_max,
            session: None,
            databases: Arc::default(),
            server: Arc::default(),
            sizes_at: Timestamp::default(),
            queries: None,
            backends: BTreeSet::new(),
            backends_at: Timestamp::default(),
        }
    }

    /// Reads a snapshot; a session that failed is dropped.
    ///
    /// # Errors
    /// When the console cannot be reached, refuses or gives rows without essential columns.
    pub async fn poll(&mut self, clock: &Clock, depth: Depth) -> Result<Polled, ConsoleError> {
        let mut costs = Vec::with_capacity(8);
        let mut session = self.session(&mut costs).await?;
        // Only now, because a slow login does not make the numbers older.
        let at = clock.now();
        let snapshot = self.read(&mut session, at, depth, &mut costs).await?;
        self.session = Some(session);
        Ok(Polled { snapshot, costs })
    }

    /// Closes the session.
    pub async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// Closes the session when it would be too old after `idle`.
    pub async fn rest(&mut self, idle: Duration) {
        if let Some(session) = self.session.take() {
            if session.age().saturating_add(idle) > self.session_age_max {
                session.close().await;
            } else {
                self.session = Some(session);
            }
        }
    }

    async fn session(&mut self, costs: &mut Vec<Cost>) -> Result<Session, ConsoleError> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        let start = Instant::now();
        let session = Session::open(&self.console, Role::Watch).await?;
        costs.push(Cost { command: "connect", took: start.elapsed(), rows: 0 });
        Ok(session)
    }

    /// Lists the backends behind the servers: client ages tell nothing, `-R` sets them anew.
    async fn list_backends(
        &mut self,
        session: &mut Session,
        at: Timestamp,
        costs: &mut Vec<Cost>,
    ) -> Result<(), ConsoleError> {
        self.backends = backends_of(&show(session, "servers", costs).await?);
        self.backends_at = at;
        Ok(())
    }

    async fn read(
        &mut self,
        session: &mut Session,
        at: Timestamp,
        depth: Depth,
        costs: &mut Vec<Cost>,
    ) -> Result<Snapshot, ConsoleError> {
        let pools = show(session, "pools", costs).await?;
        let totals = show(session, "stats_totals", costs).await?;
        let queries = console_queries(&totals);
        // A count that falls is another process's, of which nothing is known yet.
        let before = self.queries.filter(|before| queries.is_some_and(|now| now < *before));
        self.queries = queries.or(self.queries);
        let taken_over = match before {
            // Only a process that took over its servers has backends of the one before.
            Some(_) => {
                let old = std::mem::take(&mut self.backends);
                self.list_backends(session, at, costs).await?;
                !self.backends.is_disjoint(&old)
            }
            None => self.server.taken_over,
        };
        // The first poll has nothing to keep, so it is always a full one.
        let anew = self.server.version.is_empty() || before.is_some();
        let unlisted = self.backends.is_empty() || at.since(self.backends_at) >= LIST_EVERY;
        if depth == Depth::Full && unlisted && before.is_none() {
            self.list_backends(session, at, costs).await?;
        }
        if depth == Depth::Full || anew {
            let databases = show(session, "databases", costs).await?;
            self.databases = Arc::new(databases_of(&databases)?);
            let server = read_server(session, costs).await?;
            self.server = Arc::new(Server { taken_over, ..server });
            self.sizes_at = at;
        }
        Ok(Snapshot {
            at,
            sizes_at: self.sizes_at,
            pools: decode(&pools, "database", pool_row)?,
            counters: decode(&totals, "database", counters)?,
            databases: Arc::clone(&self.databases),
            server: Arc::clone(&self.server),
            console_queries: queries,
            postgres: None,
        })
    }
}

async fn show(
    session: &mut Session,
    what: &'static str,
    costs: &mut Vec<Cost>,
) -> Result<Table, ConsoleError> {
    let start = Instant::now();
    let table = session.run(&format!("SHOW {}", what.to_uppercase())).await?;
    costs.push(Cost { command: what, took: start.elapsed(), rows: table.len() });
    Ok(table)
}

/// Decodes every row but the console's own, which `column` tells apart.
fn decode<T>(
    table: &Table,
    column: &str,
    one: impl Fn(Row<'_>) -> Result<T, ConsoleError>,
) -> Result<Vec<T>, ConsoleError> {
    table.rows().filter(|row| row.text(column) != Some("pgbouncer")).map(one).collect()
}

fn pool_row(row: Row<'_>) -> Result<PoolRow, ConsoleError> {
    let seconds: u64 = row.essential("maxwait")?;
    let micros: u64 = row.number("maxwait_us").unwrap_or(0);
    Ok(PoolRow {
        key: PoolKey::new(row.essential_text("database")?, row.essential_text("user")?),
        cl_active: row.essential("cl_active")?,
        cl_waiting: row.essential("cl_waiting")?,
        // 1.16 and 1.17 have one column for what 1.18 splits in two.
        cl_active_cancel_req: row.number("cl_active_cancel_req").or(row.number("cl_cancel_req")),
        cl_waiting_cancel_req: row.number("cl_waiting_cancel_req"),
        sv_active: row.essential("sv_active")?,
        sv_active_cancel: row.number("sv_active_cancel"),
        sv_being_canceled: row.number("sv_being_canceled"),
        sv_idle: row.essential("sv_idle")?,
        sv_used: row.number("sv_used").unwrap_or(0),
        sv_tested: row.number("sv_tested").unwrap_or(0),
        sv_login: row.number("sv_login").unwrap_or(0),
        maxwait: Duration::from_secs(seconds) + Duration::from_micros(micros),
        pool_mode: row.text("pool_mode").map(str::to_owned),
    })
}

fn counters(row: Row<'_>) -> Result<(Arc<str>, Counters), ConsoleError> {
    let counters = Counters {
        xact_count: row.essential("xact_count")?,
        query_count: row.essential("query_count")?,
        bytes_received: row.number("bytes_received").unwrap_or(0),
        bytes_sent: row.number("bytes_sent").unwrap_or(0),
        xact_time_us: row.essential("xact_time")?,
        query_time_us: row.number("query_time").unwrap_or(0),
        wait_time_us: row.number("wait_time").unwrap_or(0),
        server_assignments: row.number("server_assignment_count"),
        client_parses: row.number("client_parse_count"),
        server_parses: row.number("server_parse_count"),
        binds: row.number("bind_count"),
    };
    Ok((Arc::from(row.essential_text("database")?), counters))
}

/// Decodes `SHOW DATABASES`.
pub(super) fn databases_of(table: &Table) -> Result<Databases, ConsoleError> {
    let rows = decode(table, "name", database_row)?;
    Ok(rows.into_iter().map(|row| (Arc::clone(&row.name), row)).collect())
}

fn database_row(row: Row<'_>) -> Result<DatabaseRow, ConsoleError> {
    let name = row.essential_text("name")?;
    Ok(DatabaseRow {
        name: Arc::from(name),
        database: Arc::from(row.text("database").unwrap_or(name)),
        host: row.text("host").map(str::to_owned),
        port: row.number("port"),
        force_user: row.text("force_user").map(Arc::from),
        pool_size: row.number("pool_size"),
        min_pool_size: row.number("min_pool_size"),
        // Renamed in 1.24.
        reserve_pool: row.number("reserve_pool_size").or(row.number("reserve_pool")),
        pool_mode: row.text("pool_mode").map(str::to_owned),
        max_connections: row.number("max_connections"),
        current_connections: row.number("current_connections"),
        paused: row.flag("paused"),
        disabled: row.flag("disabled"),
    })
}

async fn read_server(session: &mut Session, costs: &mut Vec<Cost>) -> Result<Server, ConsoleError> {
    let version = show(session, "version", costs).await?;
    let version = version.rows().next().and_then(|row| row.text("version")).unwrap_or_default();
    let mut server = server_of(&show(session, "config", costs).await?)?;
    server.version = version.to_owned();
    server.version_number = version_number(version);
    // Older ones answer an error, and an error costs them a log line.
    if server.version_number >= 11900 {
        let state = show(session, "state", costs).await?;
        server.paused = Some(
            state
                .rows()
                .any(|row| row.text("key") == Some("paused") && row.text("value") == Some("yes")),
        );
    }
    if server.version_number >= 12300 {
        let users = users_of(&show(session, "users", costs).await?, server.version_number);
        note_users(&mut server, &users);
    }
    for row in show(session, "lists", costs).await?.rows() {
        if let (Some(list), Some(items)) = (row.text("list"), row.number("items")) {
            server.lists.push((list.to_owned(), items));
        }
    }
    Ok(server)
}

/// Notes users' own sizes, and apart from them what may be an echo.
fn note_users(server: &mut Server, users: &BTreeMap<Arc<str>, UserRow>) {
    for (name, row) in users {
        for knob in Knob::ALL {
            let Some(size) = row.size(knob) else { continue };
            let setting = Setting { scope: ScopeKey::User(Arc::clone(name)), knob };
            if row.echoes.contains(&knob) {
                server.echoes.push((setting, size));
            } else {
                server.note_user(&setting, size);
            }
        }
    }
}

/// Counts the console's own queries, which every poll makes more of.
fn console_queries(totals: &Table) -> Option<u64> {
    let console = totals.rows().find(|row| row.text("database") == Some("pgbouncer"))?;
    console.number("query_count")
}

/// Settings that are words and can hold neither a secret nor a path; numbers cannot either.
const WORDS: [&str; 8] = [
    "auth_type",
    "client_tls_sslmode",
    "ignore_startup_parameters",
    "pool_mode",
    "server_check_query",
    "server_reset_query",
    "server_tls_sslmode",
    "track_extra_parameters",
];

/// Gives the settings that policies may read.
fn settings_of(config: &Table) -> Settings {
    let harmless = |key: &str, value: &str| value.parse::<f64>().is_ok() || WORDS.contains(&key);
    config
        .rows()
        .filter_map(|row| Some((row.text("key")?, row.text("value")?)))
        .filter(|(key, value)| harmless(key, value))
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

pub(super) fn server_of(config: &Table) -> Result<Server, ConsoleError> {
    let mut server = Server { settings: Arc::new(settings_of(config)), ..Server::default() };
    for row in config.rows() {
        let slot = match row.text("key") {
            Some("default_pool_size") => &mut server.default_pool_size,
            Some("min_pool_size") => &mut server.min_pool_size,
            Some("reserve_pool_size") => &mut server.reserve_pool_size,
            Some("max_client_conn") => &mut server.max_client_conn,
            Some("max_user_connections") => &mut server.max_user_connections,
            Some("query_wait_timeout") => {
                let seconds = row.number::<f64>("value").filter(|seconds| *seconds >= 0.0);
                server.query_wait_timeout = seconds.map(Duration::from_secs_f64);
                continue;
            }
            _ => continue,
        };
        *slot = row.number("value");
    }
    Ok(server)
}

/// Reads `PgBouncer 1.25.2` as 12502; 0 when there is no such number.
pub(super) fn version_number(text: &str) -> u32 {
    let numbers = text.split_whitespace().last().unwrap_or_default();
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    let mut parts = numbers.split('.').map(|part| digits(part).parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0).min(99);
    next() * 10_000 + next() * 100 + next()
}

#[cfg(test)]
mod tests;
