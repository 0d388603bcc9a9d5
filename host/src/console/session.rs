//! One login to the console, with a deadline on everything.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::time::timeout;

use super::error::remedy;
use super::{ConsoleError, Table};
use crate::config::{Address, Console, Login, Tls};
use crate::model::OWN_APPLICATION;

/// What a session is for: the two logins have different rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `SHOW` only (`stats_users`).
    Watch,
    /// `SET` too (`admin_users`).
    Act,
}

/// An open console session.
#[derive(Debug)]
pub struct Session {
    connection: PgConnection,
    opened: Instant,
    address: String,
    user: String,
    command_timeout: Duration,
}

/// Makes the driver's options for an address and login.
///
/// `extra_float_digits` is left out, because the console refuses a login that sends it.
pub fn connect_options(address: &Address, tls: &Tls, login: &Login, db: &str) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .application_name(OWN_APPLICATION)
        .username(&login.user)
        .database(db)
        .extra_float_digits(None)
        .disable_statement_logging();
    // Also an empty one: the driver would take that of the application from the environment.
    let password = login.password.as_ref().map_or("", |password| password.expose());
    let options = options.password(password);
    let options = match address {
        Address::Tcp { host, port } => options.host(host).port(*port),
        Address::Unix { dir, port } => options.socket(dir).port(*port),
    };
    match tls {
        Tls::Disable => options.ssl_mode(PgSslMode::Disable),
        Tls::Prefer => options.ssl_mode(PgSslMode::Prefer),
        Tls::Require => options.ssl_mode(PgSslMode::Require),
        Tls::VerifyFull { ca_file } => {
            let options = options.ssl_mode(PgSslMode::VerifyFull);
            ca_file.iter().fold(options, |options, file| options.ssl_root_cert(file))
        }
    }
}

fn place(address: &Address) -> String {
    match address {
        Address::Tcp { host, port } => format!("{host}:{port}"),
        Address::Unix { dir, port } => format!("{} port {port}", dir.display()),
    }
}

impl Session {
    /// Logs in.
    ///
    /// # Errors
    /// When the console cannot be reached in time or refuses the login.
    pub async fn open(console: &Console, role: Role) -> Result<Self, ConsoleError> {
        let login = match role {
            Role::Watch => &console.watch,
            Role::Act => console.act.as_ref().unwrap_or(&console.watch),
        };
        let mut options = connect_options(&console.address, &console.tls, login, "pgbouncer");
        if let Some(instance) = &console.instance {
            options = options.application_name(&instance.peer().application());
        }
        let address = place(&console.address);
        let within = console.connect_timeout;
        let connection = match timeout(within, PgConnection::connect_with(&options)).await {
            Err(_) => return Err(ConsoleError::Timeout { address, within }),
            Ok(Err(error)) => return Err(login_error(address, &login.user, error)),
            Ok(Ok(connection)) => connection,
        };
        Ok(Self {
            connection,
            opened: Instant::now(),
            address,
            user: login.user.clone(),
            command_timeout: console.command_timeout,
        })
    }

    /// Gives the time since the login.
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Runs one command and reads its rows.
    ///
    /// # Errors
    /// When the session is broken or slow, or PgBouncer refuses the command.
    pub async fn run(&mut self, command: &str) -> Result<Table, ConsoleError> {
        let query =
            sqlx::raw_sql(AssertSqlSafe(command.to_owned())).fetch_all(&mut self.connection);
        let within = self.command_timeout;
        match timeout(within, query).await {
            Err(_) => Err(ConsoleError::Timeout { address: self.address.clone(), within }),
            Ok(Err(error)) => Err(self.command_error(command, error)),
            Ok(Ok(rows)) => Table::new(command, &rows),
        }
    }

    /// Says goodbye, so that PgBouncer logs no unexpected end.
    pub async fn close(self) {
        // A session that cannot be closed in time is dropped, which closes the socket.
        let _ = timeout(self.command_timeout, self.connection.close()).await;
    }

    fn command_error(&self, command: &str, error: sqlx::Error) -> ConsoleError {
        let command = command.to_owned();
        match error {
            sqlx::Error::Database(error) if error.message().contains("admin access needed") => {
                ConsoleError::NotAdmin { user: self.user.clone(), command }
            }
            sqlx::Error::Database(error) => {
                ConsoleError::Command { command, message: error.message().to_owned() }
            }
            source => ConsoleError::Unreachable { address: self.address.clone(), source },
        }
    }
}

fn login_error(address: String, user: &str, error: sqlx::Error) -> ConsoleError {
    match error {
        sqlx::Error::Database(error) => ConsoleError::Refused {
            address,
            user: user.to_owned(),
            message: error.message().to_owned(),
            remedy: remedy(error.message()),
        },
        source => ConsoleError::Unreachable { address, source },
    }
}
