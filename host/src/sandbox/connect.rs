//! Short-lived connections to the sandbox's servers, and the wait for a first answer.
//!
//! The simple protocol throughout: PgBouncer's console knows no other. A port that accepts is not
//! yet a server that answers, so that readiness is a query's result.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::daemon::Daemon;
use super::error::SandboxError;
use super::secret::Secret;

/// How long a server may take from its start to its first answer.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long one statement of the sandbox itself may take.
const STATEMENT_DEADLINE: Duration = Duration::from_secs(10);
/// How long one try of a starting server may take; another process on its port may never answer.
const TRY_DEADLINE: Duration = Duration::from_secs(2);

/// Makes the options of a connection to a server on loopback.
pub(super) fn options(port: u16, login: (&str, &Secret), database: &str) -> PgConnectOptions {
    let (user, password) = login;
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(user)
        .password(password.expose())
        .database(database)
        .ssl_mode(PgSslMode::Disable)
        // PgBouncer refuses this startup parameter on its console.
        .extra_float_digits(None)
        .disable_statement_logging()
}

/// Makes the URL of a connection to a server on loopback.
pub(super) fn url(port: u16, login: (&str, &Secret), database: &str) -> String {
    let (user, password) = login;
    format!("postgres://{user}:{}@127.0.0.1:{port}/{database}", password.expose())
}

/// Connects, asks, and closes again.
pub(super) async fn ask(options: &PgConnectOptions, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    let asked = async {
        let mut connection = PgConnection::connect_with(options).await?;
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
        connection.close().await?;
        rows
    };
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    tokio::time::timeout(STATEMENT_DEADLINE, asked).await.map_err(late)?
}

async fn within<T>(
    deadline: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    tokio::time::timeout(deadline, asked).await.map_err(late)?
}

/// Waits until the server answers, and fails as soon as it ends instead.
pub(super) async fn first_answer(
    daemon: &Daemon,
    options: &PgConnectOptions,
    sql: &str,
) -> Result<(), SandboxError> {
    let start = Instant::now();
    loop {
        let answer = within(TRY_DEADLINE, ask(options, sql)).await;
        daemon.must_own_port()?;
        // Asked in this order: whoever answers on the port is ours only while our process lives.
        daemon.must_run()?;
        match answer {
            Ok(_) => return Ok(()),
            Err(last) if start.elapsed() > START_DEADLINE => {
                return Err(daemon.late("answer", START_DEADLINE, Some(last)));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
