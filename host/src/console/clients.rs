//! Single clients and servers of a PgBouncer (`SHOW CLIENTS`, `SHOW SERVERS`), with their ages.
//!
//! PgBouncer holds up all its clients while it builds these answers, so nothing here runs unasked.
//! It gives times as text in its own zone, in whole seconds. The newest request of the sidecar's own
//! session in the answer is the very `SHOW CLIENTS` that asked for it, so ages are counted from that
//! one: on PgBouncer's clock and in its zone, whatever that is, and two clocks are never compared.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{ConsoleError, Cost, Role, Row, Session, Table};
use crate::config::Console;
use crate::model::is_own_application;

/// What a summer time change can make an age too large by.
const ZONE_CHANGE: u64 = 3_600;

/// One row of `SHOW CLIENTS`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientRow {
    /// Database as the client names it.
    pub database: String,
    /// User that the client logged in as.
    pub user: String,
    /// `active`, `waiting`, from 1.25 on also `idle`.
    pub state: String,
    /// Address without port; `unix` for a socket.
    pub address: String,
    /// Port; 0 when unknown.
    pub port: u32,
    /// Since it connected.
    pub connected: Duration,
    /// Since its last request.
    pub request_age: Duration,
    /// How long it has waited, or how long its query has run.
    pub wait: Duration,
    /// Its memory address, which is used again after it is gone.
    pub ptr: String,
    /// `ptr` of the server that it holds; empty for none.
    pub link: String,
    /// Its unique number (1.24 and newer).
    pub id: Option<u64>,
    /// What the application calls itself.
    pub application: String,
}

/// One row of `SHOW SERVERS`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerRow {
    /// Database as clients name it.
    pub database: String,
    /// User that the pool logs in as.
    pub user: String,
    /// Whether it leads to PostgreSQL over a Unix socket.
    pub over_socket: bool,
    /// Port of PgBouncer's own end; 0 when unknown.
    pub local_port: u32,
    /// Its memory address.
    pub ptr: String,
    /// `ptr` of the client that holds it; empty for none.
    pub link: String,
    /// Process id of the PostgreSQL backend; 0 when unknown.
    pub backend_pid: u32,
}

/// Both answers, and what they cost.
#[derive(Debug, Default)]
pub struct Clients {
    /// The clients, without those of the console.
    pub clients: Vec<ClientRow>,
    /// The servers.
    pub servers: Vec<ServerRow>,
    /// What it cost PgBouncer, by command.
    pub costs: Vec<Cost>,
}

/// Reads both lists in a session of its own.
///
/// # Errors
/// When the console cannot be reached or refuses.
pub async fn read_clients(console: &Console) -> Result<Clients, ConsoleError> {
    let start = Instant::now();
    let mut session = Session::open(console, Role::Watch).await?;
    let cost = |command, start: Instant, rows| Cost { command, took: start.elapsed(), rows };
    let mut costs = vec![cost("connect", start, 0)];
    let start = Instant::now();
    let clients = session.run("SHOW CLIENTS").await?;
    costs.push(cost("clients", start, clients.len()));
    let start = Instant::now();
    let servers = session.run("SHOW SERVERS").await?;
    costs.push(cost("servers", start, servers.len()));
    session.close().await;
    Ok(Clients { clients: clients_of(&clients), servers: servers_of(&servers), costs })
}

/// Gives the PostgreSQL backends behind the servers: process id, and PgBouncer's own port.
pub(super) fn backends_of(table: &Table) -> BTreeSet<(u32, u32)> {
    let known = servers_of(table).into_iter().filter(|server| server.backend_pid > 0);
    known.map(|server| (server.backend_pid, server.local_port)).collect()
}

/// Gives every client with the time since it connected; zero where that is not known.
pub(super) fn connected(table: &Table) -> impl Iterator<Item = (Row<'_>, Duration)> {
    let now = now(table);
    table.rows().map(move |row| (row, age(row, "connect_time", now.as_ref())))
}

fn clients_of(table: &Table) -> Vec<ClientRow> {
    let now = now(table);
    let ours = |row: &Row<'_>| row.text("database") != Some("pgbouncer");
    table.rows().filter(ours).map(|row| client(row, now.as_ref())).collect()
}

fn age(row: Row<'_>, column: &str, now: Option<&Stamp<'_>>) -> Duration {
    let then = row.text(column).and_then(Stamp::parse);
    then.zip(now).map_or(Duration::ZERO, |(then, now)| now.since(&then))
}

fn client(row: Row<'_>, now: Option<&Stamp<'_>>) -> ClientRow {
    let text = |column: &str| row.text(column).unwrap_or_default().to_owned();
    let seconds = Duration::from_secs(row.number("wait").unwrap_or(0));
    ClientRow {
        database: text("database"),
        user: text("user"),
        state: text("state"),
        address: text("addr"),
        port: row.number("port").unwrap_or(0),
        connected: age(row, "connect_time", now),
        request_age: age(row, "request_time", now),
        wait: seconds + Duration::from_micros(row.number("wait_us").unwrap_or(0)),
        ptr: text("ptr"),
        link: text("link"),
        id: row.number("id"),
        application: text("application_name"),
    }
}

fn servers_of(table: &Table) -> Vec<ServerRow> {
    let server = |row: Row<'_>| {
        let text = |column: &str| row.text(column).unwrap_or_default().to_owned();
        ServerRow {
            database: text("database"),
            user: text("user"),
            over_socket: row.text("addr") == Some("unix"),
            local_port: row.number("local_port").unwrap_or(0),
            ptr: text("ptr"),
            link: text("link"),
            backend_pid: row.number("remote_pid").unwrap_or(0),
        }
    };
    table.rows().map(server).collect()
}

/// A moment as PgBouncer writes it, `2026-11-23 04:06:20 UTC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp<'a> {
    /// Seconds of the civil time, as if it were UTC.
    seconds: u64,
    zone: &'a str,
}

impl<'a> Stamp<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (date, rest) = text.trim().split_once(' ')?;
        let (time, zone) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let mut time = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
        let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
        let days = days(year, month, day)?;
        Some(Self { seconds: ((days * 24 + hour) * 60 + minute) * 60 + second, zone })
    }

    /// Gives the time since `then`. Across a change of summer time, which shows in the zone's name,
    /// an age is rather an hour too small: nobody is to be blamed for longer than they idled.
    fn since(&self, then: &Self) -> Duration {
        let naive = self.seconds.saturating_sub(then.seconds);
        let seconds =
            if self.zone == then.zone { naive } else { naive.saturating_sub(ZONE_CHANGE) };
        Duration::from_secs(seconds)
    }
}

/// Counts days since 1 March of year 0, in which a leap day is the last of its year; `None` for what
/// is no date (E. G. Richards, Mapping Time, 1998).
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1..=9_999).contains(&year) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1)
}

/// Finds the present on PgBouncer's clock: the newest request of the sidecar's own console sessions,
/// else of any console session, else of anybody.
fn now(table: &Table) -> Option<Stamp<'_>> {
    let console = |row: &Row<'_>| row.text("database") == Some("pgbouncer");
    let own = |row: &Row<'_>| {
        console(row) && row.text("application_name").is_some_and(is_own_application)
    };
    newest(table, own).or_else(|| newest(table, console)).or_else(|| newest(table, |_| true))
}

fn newest<'a>(table: &'a Table, which: impl Fn(&Row<'a>) -> bool) -> Option<Stamp<'a>> {
    let rows = table.rows().filter(which);
    rows.flat_map(|row| [row.text("request_time"), row.text("connect_time")])
        .flatten()
        .filter_map(Stamp::parse)
        .max_by_key(|stamp| stamp.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Table {
        let columns = "database user state addr port connect_time request_time wait wait_us ptr link \
                       id application_name";
        Table::of_values("SHOW CLIENTS", columns, rows)
    }

    #[test]
    fn ages_are_counted_from_the_consoles_own_request_in_any_zone() {
        let console = [
            "pgbouncer",
            "watch",
            "active",
            "unix",
            "6432",
            "2026-03-01 00:00:05 +0545",
            "2026-03-01 00:00:07 +0545",
            "0",
            "0",
            "0x1",
            "",
            "7",
            "poolwarden",
        ];
        let leak = [
            "app",
            "web",
            "active",
            "10.0.0.9",
            "4711",
            "2026-02-28 23:50:00 +0545",
            "2026-02-28 23:58:07 +0545",
            "0",
            "0",
            "0x2",
            "0x3",
            "8",
            "shop",
        ];
        let rows = clients_of(&table(&[&console, &leak]));
        let [row] = rows.as_slice() else { panic!("{rows:?} is not the one client") };
        assert_eq!(row.request_age, Duration::from_secs(120));
        assert_eq!(row.connected, Duration::from_secs(607));
        assert_eq!((row.id, row.link.as_str()), (Some(8), "0x3"));
    }

    #[test]
    fn a_change_of_summer_time_never_makes_an_age_too_large() {
        let at = |text| Stamp::parse(text).expect("a fine time");
        let (before, after) = (at("2026-03-29 01:59:50 CET"), at("2026-03-29 03:00:10 CEST"));
        assert_eq!(after.since(&before), Duration::from_secs(20));
        let (before, after) = (at("2026-10-25 02:59:50 CEST"), at("2026-10-25 02:00:10 CET"));
        assert_eq!(after.since(&before), Duration::ZERO);
    }

    #[test]
    fn days_pass_over_leap_days_and_years() {
        let between = |a: (u64, u64, u64), b: (u64, u64, u64)| {
            days(b.0, b.1, b.2).zip(days(a.0, a.1, a.2)).map(|(b, a)| b - a)
        };
        assert_eq!(between((2024, 2, 28), (2024, 3, 1)), Some(2));
        assert_eq!(between((2026, 2, 28), (2026, 3, 1)), Some(1));
        assert_eq!(between((2025, 12, 31), (2026, 1, 1)), Some(1));
        assert_eq!(between((1970, 1, 1), (2026, 11, 23)), Some(20_780));
        assert_eq!(days(2026, 13, 1), None);
    }

    #[test]
    fn what_is_no_time_is_no_age() {
        for text in ["", "yesterday", "2026-11-23", "2026-11-23 04:06", "a-b-c d:e:f"] {
            assert_eq!(Stamp::parse(text), None, "{text:?}");
        }
    }
}
