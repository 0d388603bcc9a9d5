//! Single sessions of PostgreSQL: what given backends do, and ending one that does nothing.
//!
//! Statements' texts are never read: they hold what applications keep secret. A session is ended by
//! one statement that names it by process, start and the moment since which it idles, so that one
//! which has moved on meanwhile, or a new one under its process id, is left alone. Between reading
//! the row and the signal PostgreSQL leaves microseconds, which no client can close.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};
use tokio::time::{Instant, sleep, timeout};

use super::{DatabaseError, connect_options};
use crate::config::Database;
use crate::model::{BackendIdentity, Ended, SessionKey, SessionState};

/// How often an ended session is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What backends do. `extract` gives microseconds exactly, whatever the connection's time zone.
const BACKENDS: &str = "select pid, coalesce(client_port, 0) as client_port, \
     coalesce(state, '') as state, \
     coalesce((extract(epoch from backend_start) * 1000000)::int8, 0) as backend_start_us, \
     coalesce((extract(epoch from state_change) * 1000000)::int8, 0) as state_change_us, \
     coalesce((extract(epoch from clock_timestamp() - state_change) * 1000)::int8, 0) as state_ms, \
     coalesce((extract(epoch from clock_timestamp() - xact_start) * 1000)::int8, 0) as xact_ms, \
     coalesce((extract(epoch from clock_timestamp() - query_start) * 1000)::int8, 0) as query_ms \
     from pg_stat_activity where pid = any($1) and pid <> pg_backend_pid() \
     and backend_type = 'client backend'";

/// Ends a session that is still the same one, idle in the same way since the same moment.
const END: &str = "select pg_terminate_backend(pid) as ended from pg_stat_activity \
     where pid = $1 and pid <> pg_backend_pid() and backend_type = 'client backend' \
     and (extract(epoch from backend_start) * 1000000)::int8 = $2 \
     and (extract(epoch from state_change) * 1000000)::int8 = $3 \
     and state = any($4)";

const IS_THERE: &str = "select exists (select from pg_stat_activity where pid = $1 \
     and (extract(epoch from backend_start) * 1000000)::int8 = $2) as there";

/// What a backend was seen to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Process id.
    pub pid: u32,
    /// Port of its client over TCP; `None` over a Unix socket.
    pub client_port: Option<u32>,
    /// What it does.
    pub state: SessionState,
    /// Which session it is.
    pub identity: BackendIdentity,
    /// Since it began to do that.
    pub state_age: Duration,
    /// Since its transaction began; zero without one.
    pub transaction_age: Duration,
    /// Since its last statement began.
    pub statement_age: Duration,
}

/// Looks at given backends, in a connection of its own.
///
/// # Errors
/// When PostgreSQL cannot be reached in time, refuses the login or the query.
pub async fn read_backends(
    database: &Database,
    pids: &[u32],
) -> Result<Vec<Backend>, DatabaseError> {
    let pids: Vec<i32> = pids.iter().filter_map(|pid| i32::try_from(*pid).ok()).collect();
    let mut connection = connect(database).await?;
    let within = database.command_timeout;
    let rows = sqlx::query(BACKENDS).bind(pids).fetch_all(&mut connection);
    let rows = timeout(within, rows).await.map_err(|_| DatabaseError::Timeout(within))??;
    close(database, connection).await;
    Ok(rows.iter().map(backend).collect::<Result<_, _>>()?)
}

/// Ends a session, and looks until it is gone or the command's time is over.
pub async fn end_session(database: &Database, session: &SessionKey) -> Ended {
    match try_end(database, session).await {
        Ok(ended) => ended,
        Err(error) => Ended::Failed(remedy(&error, &database.login.user)),
    }
}

async fn try_end(database: &Database, session: &SessionKey) -> Result<Ended, DatabaseError> {
    let states: &[&str] = match session.state {
        SessionState::IdleInTransaction => {
            &["idle in transaction", "idle in transaction (aborted)"]
        }
        SessionState::Idle => &["idle"],
        SessionState::Unknown | SessionState::Running => &[],
    };
    let (Some(identity), Ok(pid)) = (session.identity, i32::try_from(session.backend_pid)) else {
        return Ok(Ended::MovedOn);
    };
    let mut connection = connect(database).await?;
    let within = database.command_timeout;
    let end = sqlx::query(END)
        .bind(pid)
        .bind(identity.backend_start_us)
        .bind(identity.state_change_us)
        .bind(states)
        .fetch_optional(&mut connection);
    let row = timeout(within, end).await.map_err(|_| DatabaseError::Timeout(within))??;
    let told = row.map(|row| row.try_get::<bool, _>("ended")).transpose()?;
    let ended = match told {
        Some(true) => look_again(&mut connection, pid, identity, within).await?,
        // False: the process was gone before the signal.
        Some(false) | None => Ended::MovedOn,
    };
    close(database, connection).await;
    Ok(ended)
}

async fn look_again(
    connection: &mut PgConnection,
    pid: i32,
    identity: BackendIdentity,
    within: Duration,
) -> Result<Ended, DatabaseError> {
    let deadline = Instant::now() + within;
    loop {
        let there = sqlx::query(IS_THERE)
            .bind(pid)
            .bind(identity.backend_start_us)
            .fetch_one(&mut *connection);
        // The session was told to end; that it could not be looked at does not make it unsaid.
        let Ok(row) = timeout(within, there).await else { return Ok(Ended::StillThere) };
        match row.and_then(|row| row.try_get::<bool, _>("there")) {
            Ok(false) => return Ok(Ended::Gone),
            Ok(true) => {}
            Err(_) => return Ok(Ended::StillThere),
        }
        if Instant::now() >= deadline {
            return Ok(Ended::StillThere);
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn connect(database: &Database) -> Result<PgConnection, DatabaseError> {
    let d = database;
    let options = connect_options(&d.address, &d.tls, &d.login, &d.database);
    let within = d.connect_timeout;
    let connected = timeout(within, PgConnection::connect_with(&options)).await;
    Ok(connected.map_err(|_| DatabaseError::Timeout(within))??)
}

async fn close(database: &Database, connection: PgConnection) {
    // Dropped when it does not close in time, which closes the socket.
    let _ = timeout(database.command_timeout, connection.close()).await;
}

fn backend(row: &PgRow) -> Result<Backend, sqlx::Error> {
    let millis = |name: &str| -> Result<Duration, sqlx::Error> {
        let millis = row.try_get::<i64, _>(name)?;
        Ok(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
    };
    Ok(Backend {
        pid: u32::try_from(row.try_get::<i32, _>("pid")?).unwrap_or(0),
        client_port: u32::try_from(row.try_get::<i32, _>("client_port")?).ok().filter(|p| *p > 0),
        state: state(row.try_get::<&str, _>("state")?),
        identity: BackendIdentity {
            backend_start_us: row.try_get("backend_start_us")?,
            state_change_us: row.try_get("state_change_us")?,
        },
        state_age: millis("state_ms")?,
        transaction_age: millis("xact_ms")?,
        statement_age: millis("query_ms")?,
    })
}

/// Reads a state; of another role's session PostgreSQL says none without `pg_read_all_stats`.
fn state(text: &str) -> SessionState {
    match text {
        "active" | "fastpath function call" => SessionState::Running,
        "idle" => SessionState::Idle,
        text if text.starts_with("idle in transaction") => SessionState::IdleInTransaction,
        _ => SessionState::Unknown,
    }
}

/// Says what went wrong, and for want of rights what a person can do.
fn remedy(error: &DatabaseError, user: &str) -> String {
    let text = crate::report::chain(error);
    match error {
        DatabaseError::Query(sqlx::Error::Database(refused))
            if refused.code().as_deref() == Some("42501") =>
        {
            let user = user.replace('"', "\"\"");
            format!(
                "{text}; allow it with: GRANT pg_signal_backend TO \"{user}\"; (the sessions of \
                 superusers can only be ended by one)"
            )
        }
        _ => text,
    }
}
