//! The PostgreSQL side: how many connections there are, whose, and what they wait for.
//!
//! One small connection of its own, opened when needed and closed after idling, because each one
//! takes a slot that the pools could use. Everything here is optional for the rest.

mod sessions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};
use thiserror::Error;
use tokio::time::timeout;

use crate::config::{Address, Database};
use crate::console::connect_options;
use crate::model::{DatabaseSample, LookFailure, PgSessions, ServerIdentity, Timestamp, XactEnds};

pub use sessions::{Backend, end_session, read_backends};

/// A look at PostgreSQL that failed.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// No connection or no answer in time.
    #[error("PostgreSQL did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The login or a query failed.
    #[error("PostgreSQL cannot be asked")]
    Query(#[from] sqlx::Error),
}

impl DatabaseError {
    /// Says what kind of failure it is.
    pub fn kind(&self) -> LookFailure {
        let code = match self {
            Self::Query(sqlx::Error::Database(error)) => error.code(),
            _ => None,
        };
        failure(code.as_deref().unwrap_or(""))
    }
}

/// Reads an error code of PostgreSQL (its manual, appendix A).
fn failure(code: &str) -> LookFailure {
    match code {
        // too_many_connections, which the reserved slots are refused with too
        "53300" => LookFailure::Full,
        // no such database, no right to it
        "3D000" | "42501" => LookFailure::Refused,
        // invalid authorization: the password, the role, pg_hba.conf
        code if code.starts_with("28") => LookFailure::Refused,
        _ => LookFailure::Unreachable,
    }
}

/// Reserved slots: `reserved_connections` exists since PostgreSQL 16.
const SLOTS: &str = "select current_setting('max_connections')::int4 as max_connections, \
     current_setting('superuser_reserved_connections')::int4 \
     + coalesce(current_setting('reserved_connections', true)::int4, 0) as reserved";

/// Asked once a connection, because neither changes while it lives. Some hosted servers refuse it.
const IDENTITY: &str = "select system_identifier, \
     (extract(epoch from pg_postmaster_start_time()) * 1000000)::int8 as started_us \
     from pg_control_system()";

/// Client backends by database, role and application. Without `pg_read_all_stats` the states of other
/// roles are NULL; those sessions still count. So does this connection, which takes a slot too, except
/// that what it does is not the application's doing.
const SESSIONS: &str = "select coalesce(datname, '') as database, coalesce(usename, '') as role, \
     coalesce(application_name, '') as application, \
     count(*) as total, \
     count(*) filter (where state = 'active' and pid <> pg_backend_pid()) as active, \
     count(*) filter (where state like 'idle in transaction%') as idle_in_transaction, \
     coalesce(max(extract(epoch from clock_timestamp() - state_change) * 1000) \
       filter (where state like 'idle in transaction%'), 0)::int8 as idle_in_transaction_max_ms, \
     count(*) filter (where state = 'active' and wait_event_type = 'Lock') as lock, \
     count(*) filter (where state = 'active' and wait_event_type in ('IO', 'BufferPin')) as io, \
     count(*) filter (where state = 'active' and wait_event_type is not null \
       and wait_event_type not in ('Lock', 'IO', 'BufferPin', 'Client', 'Timeout')) as other \
     from pg_stat_activity where backend_type = 'client backend' \
     group by 1, 2, 3";

/// How transactions ended; a backend tells of its own up to a second later, and while it idles.
const ENDS: &str = "select coalesce(sum(xact_commit), 0)::int8 as commits, \
     coalesce(sum(xact_rollback), 0)::int8 as rollbacks, \
     coalesce(sum(deadlocks), 0)::int8 as deadlocks from pg_stat_database";

/// Looks at one PostgreSQL server.
#[derive(Debug)]
pub struct Observer {
    config: Database,
    connection: Option<(PgConnection, Instant)>,
    identity: Option<ServerIdentity>,
}

impl Observer {
    /// Makes an observer that has not connected yet.
    pub fn new(config: Database) -> Self {
        Self { config, connection: None, identity: None }
    }

    /// Takes one look; a connection that failed is dropped.
    ///
    /// # Errors
    /// When PostgreSQL cannot be reached in time, refuses the login or a query.
    pub async fn look(&mut self, at: Timestamp) -> Result<DatabaseSample, DatabaseError> {
        let within = self.config.connect_timeout;
        let mut connection = match self.connection.take() {
            Some((connection, _)) => connection,
            None => {
                let connecting = async {
                    let mut connection = self.connect().await?;
                    let identity = identity(&mut connection).await?;
                    Ok::<_, sqlx::Error>((connection, identity))
                };
                let (connection, identity) = timeout(within, connecting)
                    .await
                    .map_err(|_| DatabaseError::Timeout(within))??;
                self.identity = identity;
                connection
            }
        };
        let within = self.config.command_timeout;
        let look = sample(&mut connection, at, place(&self.config));
        let sample = timeout(within, look).await.map_err(|_| DatabaseError::Timeout(within))??;
        let sample = DatabaseSample { identity: self.identity, ..sample };
        self.connection = Some((connection, Instant::now()));
        Ok(sample)
    }

    /// Gives a sample in which nothing is known, for a server that has never answered.
    pub fn unseen(&self, at: Timestamp, failure: LookFailure) -> DatabaseSample {
        DatabaseSample {
            at,
            server: place(&self.config),
            identity: None,
            failure: Some(failure),
            max_connections: 0,
            reserved_connections: 0,
            sessions: Vec::new(),
            xact_ends: None,
        }
    }

    /// Closes the connection when it would idle for too long.
    pub async fn rest(&mut self, idle: Duration) {
        if idle <= self.config.idle_timeout {
            return;
        }
        self.close().await;
    }

    /// Closes the connection.
    pub async fn close(&mut self) {
        if let Some((connection, _)) = self.connection.take() {
            // Dropped when it does not close in time, which closes the socket.
            let _ = timeout(self.config.command_timeout, connection.close()).await;
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let c = &self.config;
        let options = connect_options(&c.address, &c.tls, &c.login, &c.database);
        PgConnection::connect_with(&options).await
    }
}

/// Gives host and port as they are configured.
fn place(config: &Database) -> (Option<String>, Option<u32>) {
    match &config.address {
        Address::Tcp { host, port } => (Some(host.clone()), Some(u32::from(*port))),
        Address::Unix { port, .. } => (None, Some(u32::from(*port))),
    }
}

/// Asks which running server this is; `None` where that is not allowed.
async fn identity(db: &mut PgConnection) -> Result<Option<ServerIdentity>, sqlx::Error> {
    match sqlx::query(IDENTITY).fetch_one(&mut *db).await {
        Ok(row) => Ok(Some(ServerIdentity {
            system: row.try_get("system_identifier")?,
            started_us: row.try_get("started_us")?,
        })),
        Err(sqlx::Error::Database(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn sample(
    db: &mut PgConnection,
    at: Timestamp,
    server: (Option<String>, Option<u32>),
) -> Result<DatabaseSample, sqlx::Error> {
    let slots = sqlx::query(SLOTS).fetch_one(&mut *db).await?;
    let sessions = sqlx::query(SESSIONS).fetch_all(&mut *db).await?;
    let ends = sqlx::query(ENDS).fetch_one(&mut *db).await?;
    let count = |row: &PgRow, name: &str| -> Result<u32, sqlx::Error> {
        Ok(u32::try_from(row.try_get::<i32, _>(name)?).unwrap_or(0))
    };
    Ok(DatabaseSample {
        at,
        server,
        identity: None,
        failure: None,
        max_connections: count(&slots, "max_connections")?,
        reserved_connections: count(&slots, "reserved")?,
        sessions: sessions.iter().map(session_row).collect::<Result<_, _>>()?,
        xact_ends: Some(xact_ends(&ends)?),
    })
}

fn xact_ends(row: &PgRow) -> Result<XactEnds, sqlx::Error> {
    let count = |name: &str| -> Result<u64, sqlx::Error> {
        Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0))
    };
    Ok(XactEnds {
        commits: count("commits")?,
        rollbacks: count("rollbacks")?,
        deadlocks: count("deadlocks")?,
    })
}

fn session_row(row: &PgRow) -> Result<PgSessions, sqlx::Error> {
    let count = |name: &str| -> Result<u32, sqlx::Error> {
        Ok(u32::try_from(row.try_get::<i64, _>(name)?).unwrap_or(u32::MAX))
    };
    let age = row.try_get::<i64, _>("idle_in_transaction_max_ms")?;
    Ok(PgSessions {
        database: Arc::from(row.try_get::<&str, _>("database")?),
        user: Arc::from(row.try_get::<&str, _>("role")?),
        application: Arc::from(row.try_get::<&str, _>("application")?),
        total: count("total")?,
        active: count("active")?,
        idle_in_transaction: count("idle_in_transaction")?,
        idle_in_transaction_max: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
        waiting_on_lock: count("lock")?,
        waiting_on_io: count("io")?,
        waiting_on_other: count("other")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_is_wrong_is_told_from_a_server_that_is_full() {
        for refused in ["28P01", "28000", "3D000", "42501"] {
            assert_eq!(failure(refused), LookFailure::Refused, "{refused}");
        }
        assert_eq!(failure("53300"), LookFailure::Full);
        for down in ["57P03", "57P01", ""] {
            assert_eq!(failure(down), LookFailure::Unreachable, "{down:?}");
        }
        let timeout = DatabaseError::Timeout(Duration::from_secs(2));
        assert_eq!(timeout.kind(), LookFailure::Unreachable);
    }
}
