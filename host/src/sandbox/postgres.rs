//! The sandbox's PostgreSQL.
//!
//! It speaks TCP with SCRAM passwords like a real one, but does not wait for the disk: a kill loses
//! nothing that way, only a power failure would.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgRow};

use super::connect;
use super::daemon::{Daemon, Stop, tail};
use super::error::SandboxError;
use super::options::{SandboxOptions, merged};
use super::process::Process;
use super::secret::Secret;
use super::site::{Site, free_port, plain_name};

/// The superuser's name.
pub const SUPERUSER: &str = "postgres";
/// How many ports are tried when others take them between our look and the server's bind.
pub(super) const PORT_TRIES: usize = 5;
/// What PostgreSQL says when sessions of a killed server still hold its memory.
const ORPHANS: &str = "pre-existing shared memory block";
/// How long they may take to notice that their server is gone.
const ORPHANS_DEADLINE: Duration = Duration::from_secs(20);

/// A PostgreSQL of our own; the drop ends it.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    port: u16,
    superuser: Secret,
    /// One password for all of the application's roles.
    application: Secret,
    users: Vec<String>,
    databases: Vec<String>,
    settings: Vec<(String, String)>,
    provisioned: AtomicBool,
    site: Arc<Site>,
}

impl Postgres {
    pub(super) fn new(site: Arc<Site>, options: &SandboxOptions) -> Result<Self, SandboxError> {
        let databases: Vec<_> = options.databases.iter().map(|one| one.name.clone()).collect();
        databases.iter().chain(&options.users).try_for_each(|name| plain_name(name))?;
        Ok(Self {
            daemon: Daemon::new("postgres", site.home().join("postgres.log")),
            port: free_port()?,
            superuser: Secret::draw()?,
            application: Secret::draw()?,
            users: options.users.clone(),
            databases,
            settings: settings(&site, options),
            provisioned: AtomicBool::new(false),
            site,
        })
    }

    /// Starts the server and waits for its answer; the first start makes databases and roles.
    ///
    /// # Errors
    /// The server ends, stays silent, or finds its port taken; the error shows its log.
    pub async fn start(&self) -> Result<(), SandboxError> {
        if !self.data().exists() {
            self.initialise().await?;
        }
        self.launch_after_orphans().await?;
        self.provision().await
    }

    /// Starts as [`Postgres::start`], on another port if this one was taken meanwhile.
    pub(super) async fn start_anywhere(&mut self) -> Result<(), SandboxError> {
        self.initialise().await?;
        for _ in 1..PORT_TRIES {
            match self.launch().await {
                Err(SandboxError::PortTaken { .. }) => self.port = free_port()?,
                other => {
                    other?;
                    return self.provision().await;
                }
            }
        }
        self.launch().await?;
        self.provision().await
    }

    /// Ends the server and waits until it is gone.
    ///
    /// # Errors
    /// It does not end within 20 s, as [`Stop::Smart`] may with clients connected.
    pub async fn stop(&self, how: Stop) -> Result<(), SandboxError> {
        self.daemon.stop(how).await
    }

    /// Kills the server as a crash would; its orphaned sessions end by themselves.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub async fn kill9(&self) -> Result<(), SandboxError> {
        self.stop(Stop::Kill).await
    }

    /// Ends the server if it runs, and starts it again on the same port and data.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn restart(&self) -> Result<(), SandboxError> {
        self.stop(Stop::Fast).await?;
        self.start().await
    }

    /// Makes the server re-read its configuration.
    ///
    /// # Errors
    /// It is not running.
    pub fn reload(&self) -> Result<(), SandboxError> {
        self.daemon.signal(Signal::HUP)
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
        self.site.home()
    }

    /// Returns the password of a role: the superuser's, or that of all others.
    #[must_use]
    pub fn password(&self, user: &str) -> &str {
        self.secret(user).expose()
    }

    /// Returns a URL past PgBouncer; it holds the password.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        connect::url(self.port, (user, self.secret(user)), database)
    }

    /// Returns sqlx's options of a connection past PgBouncer.
    #[must_use]
    pub fn connect_options(&self, user: &str, database: &str) -> PgConnectOptions {
        connect::options(self.port, (user, self.secret(user)), database)
    }

    /// Runs SQL as superuser in a connection of its own.
    ///
    /// # Errors
    /// The server refuses it, or does not answer within 10 s.
    pub async fn query(&self, database: &str, sql: &str) -> Result<Vec<PgRow>, SandboxError> {
        let options = self.connect_options(SUPERUSER, database);
        connect::ask(&options, sql).await.map_err(|source| self.daemon.refused(source))
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

    pub(super) fn application(&self) -> &Secret {
        &self.application
    }

    pub(super) fn first_user(&self) -> &str {
        self.users.first().map_or(SUPERUSER, String::as_str)
    }

    pub(super) fn first_database(&self) -> &str {
        self.databases.first().map_or("postgres", String::as_str)
    }

    fn secret(&self, user: &str) -> &Secret {
        if user == SUPERUSER { &self.superuser } else { &self.application }
    }

    fn data(&self) -> PathBuf {
        self.site.folder().join(super::folder::DATA)
    }

    /// Makes the data folder.
    async fn initialise(&self) -> Result<(), SandboxError> {
        let password = self.site.home().join("password");
        let log = self.site.home().join("initdb.log");
        self.site.write_private(&password, self.superuser.expose())?;
        let mut command = self.site.command(&self.site.programs.initdb, &log)?;
        command.args(["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C"]);
        command.args(["--auth=scram-sha-256", "--username", SUPERUSER]);
        command.arg("--pwfile").arg(&password).arg("--pgdata").arg(self.data());
        let mut initdb = self.site.spawn(command).await?;
        let status = ended(&mut initdb).await?;
        if !status.success() {
            let log = tail(&std::fs::read_to_string(&log).unwrap_or_default());
            return Err(SandboxError::Ended { program: "initdb".to_owned(), status, log });
        }
        std::fs::remove_file(&password).map_err(SandboxError::file("remove", &password))?;
        self.configure()
    }

    /// Appends our settings to the file that initdb wrote; of equal keys the last one counts.
    fn configure(&self) -> Result<(), SandboxError> {
        let path = self.data().join("postgresql.conf");
        let line =
            |(key, value): &(String, String)| format!("{key} = '{}'\n", value.replace('\'', "''"));
        let lines: String = self.settings.iter().map(line).collect();
        let appended = OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(lines.as_bytes()));
        appended.map_err(SandboxError::file("write", &path))
    }

    /// Launches again while sessions that a crash has orphaned still hold the shared memory: they end
    /// by themselves, and until then PostgreSQL refuses to start.
    async fn launch_after_orphans(&self) -> Result<(), SandboxError> {
        let start = Instant::now();
        loop {
            match self.launch().await {
                Err(SandboxError::Ended { log, .. })
                    if log.contains(ORPHANS) && start.elapsed() < ORPHANS_DEADLINE =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return other,
            }
        }
    }

    async fn launch(&self) -> Result<(), SandboxError> {
        if self.pid().is_some() {
            return Ok(());
        }
        let mut command =
            self.site.command(&self.site.programs.postgres, self.daemon.log_path())?;
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        self.daemon.spawn(&self.site, command).await?;
        let options = self.connect_options(SUPERUSER, "postgres");
        connect::first_answer(&self.daemon, &options, "select 1").await
    }

    /// Makes roles and databases, once.
    async fn provision(&self) -> Result<(), SandboxError> {
        if self.provisioned.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut statements = Vec::new();
        for user in self.users.iter().filter(|user| *user != SUPERUSER) {
            let password = self.application.expose();
            statements.push(format!("create role {user} login password '{password}'"));
        }
        let owner = self.first_user();
        for database in self.databases.iter().filter(|database| *database != "postgres") {
            statements.push(format!("create database {database} owner {owner}"));
        }
        for statement in statements {
            self.query("postgres", &statement).await?;
        }
        self.provisioned.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

fn settings(site: &Site, options: &SandboxOptions) -> Vec<(String, String)> {
    let sockets = site.home().display().to_string();
    let max_connections = options.max_connections.to_string();
    let base = [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", &sockets),
        ("unix_socket_permissions", "0700"),
        ("max_connections", &max_connections),
        ("password_encryption", "scram-sha-256"),
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("shared_buffers", "16MB"),
        // Files in the data folder, which go with it also after a kill; POSIX segments would stay.
        ("dynamic_shared_memory_type", "mmap"),
        ("logging_collector", "off"),
        ("log_timezone", "UTC"),
        ("log_line_prefix", "%m [%p] %q%u@%d %a "),
    ];
    let base = base.map(|(key, value)| (key.to_owned(), value.to_owned()));
    merged(base.to_vec(), &options.postgres_settings)
}

/// Waits for the end of a process that ends by itself.
pub(super) async fn ended(process: &mut Process) -> Result<std::process::ExitStatus, SandboxError> {
    loop {
        let ended = process.ended();
        let failed = |source| SandboxError::System { action: "wait for a child", source };
        if let Some(status) = ended.map_err(failed)? {
            return Ok(status);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
