//! The sandbox's PgBouncer.
//!
//! Its ini is an ordinary file that tests rewrite like an operator would. Clients authenticate with
//! md5 passwords, since SCRAM would spend PgBouncer's one thread on hashing whenever a load starts;
//! the way on to PostgreSQL is SCRAM.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgRow};

use super::connect;
use super::daemon::{Daemon, Stop};
use super::error::SandboxError;
use super::options::{SandboxOptions, merged};
use super::postgres::{PORT_TRIES, Postgres};
use super::programs::find_pgbouncer;
use super::secret::Secret;
use super::site::{Site, free_port, plain_name};

/// The admin console's database name.
const CONSOLE: &str = "pgbouncer";

/// Who asks the admin console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleRole {
    /// In `admin_users`: may change settings.
    Admin,
    /// In `stats_users`: may only look.
    Stats,
}

impl ConsoleRole {
    /// Returns the login name.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Self::Admin => "poolwarden_admin",
            Self::Stats => "poolwarden_stats",
        }
    }
}

/// A PgBouncer of our own; the drop ends it.
#[derive(Debug)]
pub struct PgBouncer {
    daemon: Daemon,
    program: PathBuf,
    port: u16,
    /// Password of the console roles.
    console: Secret,
    /// Password of the application's roles.
    application: Secret,
    users: Vec<String>,
    databases: Vec<(String, String)>,
    settings: Vec<(String, String)>,
    folder: PathBuf,
    site: Arc<Site>,
}

impl PgBouncer {
    pub(super) fn new(
        site: Arc<Site>,
        name: &str,
        postgres: &Postgres,
        options: &SandboxOptions,
    ) -> Result<Self, SandboxError> {
        plain_name(name)?;
        let program = options.pgbouncer_program.clone().map_or_else(find_pgbouncer, Ok)?;
        let folder = site.home().join(name);
        site.make_private_folder(&folder)?;
        Ok(Self {
            daemon: Daemon::new(name, folder.join("pgbouncer.log")),
            program,
            port: free_port()?,
            console: Secret::draw()?,
            application: postgres.application().clone(),
            users: options.users.clone(),
            databases: database_lines(postgres.port(), options),
            settings: settings(&folder, options),
            folder,
            site,
        })
    }

    /// Starts the server with the ini as it stands, and waits for its console's answer.
    ///
    /// # Errors
    /// The server ends, stays silent, or finds its port taken; the error shows its log.
    pub async fn start(&self) -> Result<(), SandboxError> {
        if self.daemon.pid().is_some() {
            return Ok(());
        }
        if !self.ini_path().exists() {
            self.write_files()?;
        }
        // A killed one leaves its pid file, and that pid may by now be another living process.
        let _ = std::fs::remove_file(self.folder.join("pgbouncer.pid"));
        let mut command = self.site.command(&self.program, self.daemon.log_path())?;
        command.arg(self.ini_path());
        self.daemon.spawn(&self.site, command).await?;
        let options = self.console_options(ConsoleRole::Stats);
        connect::first_answer(&self.daemon, &options, "SHOW VERSION").await
    }

    /// Starts as [`PgBouncer::start`], on another port if this one was taken meanwhile.
    pub(super) async fn start_anywhere(&mut self) -> Result<(), SandboxError> {
        for _ in 1..PORT_TRIES {
            self.write_files()?;
            match self.start().await {
                Err(SandboxError::PortTaken { .. }) => self.port = free_port()?,
                other => return other,
            }
        }
        self.write_files()?;
        self.start().await
    }

    /// Ends the server and waits until it is gone.
    ///
    /// # Errors
    /// It does not end within 20 s, as [`Stop::Smart`] may with clients connected.
    pub async fn stop(&self, how: Stop) -> Result<(), SandboxError> {
        self.daemon.stop(how).await
    }

    /// Kills the server as a crash would.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn kill9(&self) -> Result<(), SandboxError> {
        self.stop(Stop::Kill).await
    }

    /// Ends the server at once if it runs, and starts it again on the same port.
    ///
    /// # Errors
    /// As [`PgBouncer::start`].
    pub async fn restart(&self) -> Result<(), SandboxError> {
        self.stop(Stop::Immediate).await?;
        self.start().await
    }

    /// Starts a new process that takes over clients and servers of this one (`-R`).
    ///
    /// # Errors
    /// The old process does not end within 20 s, or the new one stays silent.
    pub async fn restart_online(&self) -> Result<(), SandboxError> {
        let mut command = self.site.command(&self.program, self.daemon.log_path())?;
        command.arg("-R").arg(self.ini_path());
        self.daemon.hand_over(&self.site, command).await?;
        let options = self.console_options(ConsoleRole::Stats);
        connect::first_answer(&self.daemon, &options, "SHOW VERSION").await
    }

    /// Makes the server re-read its ini (`SIGHUP`), as an operator does; returns before it has.
    ///
    /// # Errors
    /// It is not running.
    pub fn reload(&self) -> Result<(), SandboxError> {
        self.daemon.signal(Signal::HUP)
    }

    /// Freezes the server (`SIGSTOP`): its port accepts, and nothing answers.
    ///
    /// # Errors
    /// It is not running.
    pub fn freeze(&self) -> Result<(), SandboxError> {
        self.daemon.signal(Signal::STOP)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// It is not running.
    pub fn thaw(&self) -> Result<(), SandboxError> {
        self.daemon.signal(Signal::CONT)
    }

    /// Rewrites the ini; a reload or restart applies it.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn rewrite(&self, edit: impl FnOnce(String) -> String) -> Result<(), SandboxError> {
        let path = self.ini_path();
        let old = std::fs::read_to_string(&path).map_err(SandboxError::file("read", &path))?;
        self.site.write_private(&path, &edit(old))
    }

    /// Sets one key of the section `[pgbouncer]` in the ini; a reload or restart applies it.
    ///
    /// # Errors
    /// As [`PgBouncer::rewrite`].
    pub fn rewrite_setting(&self, key: &str, value: &str) -> Result<(), SandboxError> {
        self.rewrite(|ini| with_setting(&ini, key, value))
    }

    /// Returns the path of the ini.
    #[must_use]
    pub fn ini_path(&self) -> PathBuf {
        self.folder.join("pgbouncer.ini")
    }

    /// Returns the pid while the server runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    /// Returns the TCP port on 127.0.0.1, the same for this value's whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of the unix socket; only the server's user and root may enter.
    #[must_use]
    pub fn socket_dir(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Returns an application's URL; it holds the password.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        connect::url(self.port, (user, &self.application), database)
    }

    /// Returns sqlx's options of an application's connection.
    #[must_use]
    pub fn connect_options(&self, user: &str, database: &str) -> PgConnectOptions {
        connect::options(self.port, (user, &self.application), database)
    }

    /// Returns the admin console's URL; it holds the password.
    #[must_use]
    pub fn console_url(&self, role: ConsoleRole) -> String {
        connect::url(self.port, (role.user(), &self.console), CONSOLE)
    }

    /// Returns sqlx's options of a console connection.
    #[must_use]
    pub fn console_options(&self, role: ConsoleRole) -> PgConnectOptions {
        connect::options(self.port, (role.user(), &self.console), CONSOLE)
    }

    /// Returns the password of both console roles.
    #[must_use]
    pub fn console_password(&self) -> &str {
        self.console.expose()
    }

    /// Sends one command to the admin console in a connection of its own.
    ///
    /// # Errors
    /// The console refuses it, or does not answer within 10 s.
    pub async fn console(
        &self,
        role: ConsoleRole,
        command: &str,
    ) -> Result<Vec<PgRow>, SandboxError> {
        let options = self.console_options(role);
        connect::ask(&options, command).await.map_err(|source| self.daemon.refused(source))
    }

    /// Returns the whole log.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    pub(super) fn log_tail(&self) -> String {
        self.daemon.log_tail()
    }

    pub(super) fn end(&self) {
        self.daemon.end();
    }

    pub(super) fn application_password(&self) -> &str {
        self.application.expose()
    }

    fn write_files(&self) -> Result<(), SandboxError> {
        let line = |user: &str, secret: &Secret| format!("\"{user}\" \"{}\"\n", secret.expose());
        let mut userlist: String =
            self.users.iter().map(|user| line(user, &self.application)).collect();
        for role in [ConsoleRole::Admin, ConsoleRole::Stats] {
            userlist.push_str(&line(role.user(), &self.console));
        }
        self.site.write_private(&self.folder.join("userlist.txt"), &userlist)?;
        self.site.write_private(&self.ini_path(), &self.ini())
    }

    fn ini(&self) -> String {
        let line = |(key, value): &(String, String)| format!("{key} = {value}\n");
        let databases: String = self.databases.iter().map(line).collect();
        let settings: String = self.settings.iter().map(line).collect();
        let port = self.port;
        format!("[databases]\n{databases}\n[pgbouncer]\nlisten_port = {port}\n{settings}")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.end();
    }
}

fn database_lines(port: u16, options: &SandboxOptions) -> Vec<(String, String)> {
    let line = |database: &super::DatabaseOptions| {
        let name = &database.name;
        let size = database.pool_size.map(|size| format!(" pool_size={size}")).unwrap_or_default();
        (name.clone(), format!("host=127.0.0.1 port={port} dbname={name}{size}"))
    };
    options.databases.iter().map(line).collect()
}

fn settings(folder: &std::path::Path, options: &SandboxOptions) -> Vec<(String, String)> {
    let file = |name: &str| folder.join(name).display().to_string();
    let text = str::to_owned;
    let base = [
        ("listen_addr", text("127.0.0.1")),
        ("unix_socket_dir", folder.display().to_string()),
        ("auth_type", text("md5")),
        ("auth_file", file("userlist.txt")),
        ("admin_users", text(ConsoleRole::Admin.user())),
        ("stats_users", text(ConsoleRole::Stats.user())),
        // No `logfile`: standard error goes to our file, and has what precedes the reading of the
        // ini.
        ("pidfile", file("pgbouncer.pid")),
        ("pool_mode", text("transaction")),
        ("default_pool_size", options.default_pool_size.to_string()),
        ("reserve_pool_size", options.reserve_pool_size.to_string()),
        ("max_client_conn", options.max_client_conn.to_string()),
        ("ignore_startup_parameters", text("extra_float_digits")),
        // 15 s by default: no test wants to sit out that long after a restart of PostgreSQL.
        ("server_login_retry", text("1")),
    ];
    let base = base.map(|(key, value)| (key.to_owned(), value));
    merged(base.to_vec(), &options.pgbouncer_settings)
}

/// Replaces a key's line, or adds one at the end, where the section `[pgbouncer]` stands.
fn with_setting(ini: &str, key: &str, value: &str) -> String {
    let is_key = |line: &str| line.split('=').next().is_some_and(|name| name.trim() == key);
    let mut lines: Vec<_> = ini.lines().filter(|line| !is_key(line)).map(str::to_owned).collect();
    lines.push(format!("{key} = {value}\n"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::with_setting;

    #[test]
    fn a_setting_is_replaced_and_its_namesakes_stay() {
        let ini = "[databases]\na = pool_size=2\n\n[pgbouncer]\npool_size = 1\nmin_pool_size = 0\n";
        let new = with_setting(ini, "pool_size", "7");
        assert_eq!(
            new,
            "[databases]\na = pool_size=2\n\n[pgbouncer]\nmin_pool_size = 0\npool_size = 7\n"
        );
    }
}
