//! Looks at PgBouncer twenty times a second and at PostgreSQL ten times, beside the load.
//!
//! Through connections of its own, past Poolwarden: what it says of itself is not what is judged.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolwarden::sandbox::{ConsoleRole, SUPERUSER, Sandbox};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection, Row};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::series::Sample;

/// Time between two looks at PgBouncer.
const CONSOLE: Duration = Duration::from_millis(50);
/// Time between two looks at PostgreSQL.
const DATABASE: Duration = Duration::from_millis(100);
/// Connections of PostgreSQL that pools leave free: Poolwarden's default `database_margin`.
pub const MARGIN: u32 = 5;
/// PostgreSQL's default `superuser_reserved_connections`.
pub const RESERVED: u32 = 3;

/// A running look; the drop ends it.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Seen>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Seen {
    start: Instant,
    max_connections: u32,
    samples: Mutex<Vec<Sample>>,
    /// Sessions that do not come through PgBouncer.
    direct: AtomicU32,
    /// Most sessions that clients ever had.
    most: AtomicU32,
}

impl Watch {
    /// Starts to look; `start` is when the load starts.
    pub fn start(sandbox: &Sandbox, start: Instant, max_connections: u32) -> Self {
        let seen = Arc::new(Seen {
            start,
            max_connections,
            samples: Mutex::default(),
            direct: AtomicU32::new(2),
            most: AtomicU32::new(0),
        });
        let console = sandbox.pgbouncer().console_options(ConsoleRole::Stats);
        let database = sandbox.postgres().connect_options(SUPERUSER, "postgres");
        let (at_console, at_database) = (Arc::clone(&seen), Arc::clone(&seen));
        let tasks = [
            tokio::spawn(look_again(console, at_console)),
            tokio::spawn(count_again(database, at_database)),
        ];
        Self { seen, tasks }
    }

    /// Ends it and gives the samples, and the most client sessions that PostgreSQL ever had.
    pub fn finish(self) -> (Vec<Sample>, u32) {
        self.tasks.iter().for_each(JoinHandle::abort);
        let mut samples = self.seen.samples.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut samples), self.seen.most.load(Ordering::Relaxed))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Looks, and begins anew after each error, as after a server's restart.
async fn look_again(options: PgConnectOptions, seen: Arc<Seen>) {
    loop {
        let _: Result<(), sqlx::Error> = look(&options, &seen).await;
        tokio::time::sleep(CONSOLE).await;
    }
}

/// Counts, and begins anew after each error.
async fn count_again(options: PgConnectOptions, seen: Arc<Seen>) {
    loop {
        let _: Result<(), sqlx::Error> = count(&options, &seen).await;
        tokio::time::sleep(DATABASE).await;
    }
}

async fn look(options: &PgConnectOptions, seen: &Seen) -> Result<(), sqlx::Error> {
    let mut console = PgConnection::connect_with(options).await?;
    let mut ticks = tokio::time::interval(CONSOLE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let databases = sqlx::raw_sql("SHOW DATABASES").fetch_all(&mut console).await?;
        let pools = sqlx::raw_sql("SHOW POOLS").fetch_all(&mut console).await?;
        let at_s = seconds_since(seen.start);
        let direct = seen.direct.load(Ordering::Relaxed);
        let taken = RESERVED + MARGIN + direct;
        let budget = seen.max_connections.saturating_sub(taken);
        let sample = sample(at_s, &databases, &pools, budget);
        seen.samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }
}

/// Gives the time since a moment; before it the time is negative.
fn seconds_since(start: Instant) -> f64 {
    let now = Instant::now();
    match now.checked_duration_since(start) {
        Some(since) => since.as_secs_f64(),
        None => -start.duration_since(now).as_secs_f64(),
    }
}

async fn count(options: &PgConnectOptions, seen: &Seen) -> Result<(), sqlx::Error> {
    let sql = "select count(*)::int4 as every, (count(*) filter (where usename = 'postgres'))::int4 \
               as direct from pg_stat_activity where backend_type = 'client backend'";
    let mut database = PgConnection::connect_with(options).await?;
    let mut ticks = tokio::time::interval(DATABASE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let row = sqlx::raw_sql(sql).fetch_one(&mut database).await?;
        seen.direct.store(number(&row, "direct"), Ordering::Relaxed);
        seen.most.fetch_max(number(&row, "every"), Ordering::Relaxed);
    }
}

fn number(row: &PgRow, column: &str) -> u32 {
    // A column that this version does not have counts nothing.
    row.try_get::<i32, _>(column).ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// The columns of `SHOW POOLS` that count server connections.
const SERVERS: [&str; 7] = [
    "sv_active",
    "sv_active_cancel",
    "sv_being_canceled",
    "sv_idle",
    "sv_used",
    "sv_tested",
    "sv_login",
];

fn sample(at_s: f64, databases: &[PgRow], pools: &[PgRow], budget: u32) -> Sample {
    let is_console = |row: &PgRow, column: &str| row.get::<&str, _>(column) == "pgbouncer";
    let mut sample = Sample { at_s, budget, ..Sample::default() };
    for database in databases.iter().filter(|row| !is_console(row, "name")) {
        let name: &str = database.get("name");
        let size = number(database, "pool_size");
        let reserve = number(database, "reserve_pool") + number(database, "reserve_pool_size");
        sample.sizes.push(size);
        for pool in pools.iter().filter(|row| row.get::<&str, _>("database") == name) {
            let open: u32 = SERVERS.iter().map(|column| number(pool, column)).sum();
            sample.open += open;
            sample.waiting += number(pool, "cl_waiting");
            sample.could_open += open.max(size + reserve);
        }
    }
    sample
}
