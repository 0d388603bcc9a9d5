//! A client load on the sandbox, by PostgreSQL's own `pgbench`.
//!
//! An independent program, so that Poolwarden's load tester is never measured by itself.

mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Sandbox;
use super::daemon::tail;
use super::error::SandboxError;
use super::process::Process;
use super::site::Site;

pub use self::report::{LoadReport, LoadSample};

/// How long beyond its duration a load may take to end.
const END_DEADLINE: Duration = Duration::from_secs(30);
/// What "until stopped" means to pgbench, in seconds: a day.
const UNLIMITED_S: u64 = 86_400;
/// Threads of pgbench; each drives many clients.
const THREADS: u32 = 2;

/// Which way a load takes to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// Through the sandbox's PgBouncer.
    PgBouncer,
    /// Past it, for comparison.
    Postgres,
}

/// When a client of a load connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// Once, at the start.
    Never,
    /// Anew for each transaction.
    EachTransaction,
}

/// The settings of a [`Load`]; the default is 10 clients that each hold a server for 50 ms.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Number of concurrent clients.
    pub clients: u32,
    /// What each client repeats: SQL and pgbench's meta-commands.
    pub script: String,
    /// When the load ends by itself; `None` runs until it is stopped. Whole seconds, rounded up.
    pub duration: Option<Duration>,
    /// The way to the database.
    pub through: Through,
    /// The database; `None` is the sandbox's first.
    pub database: Option<String>,
    /// The login role; `None` is the sandbox's first.
    pub user: Option<String>,
    /// When clients connect.
    pub reconnect: Reconnect,
    /// Transactions per second of all clients together; `None` is as fast as possible.
    pub rate_per_s: Option<u32>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            clients: 10,
            script: "select pg_sleep(0.05);".to_owned(),
            duration: None,
            through: Through::PgBouncer,
            database: None,
            user: None,
            reconnect: Reconnect::Never,
            rate_per_s: None,
        }
    }
}

/// A running load; the drop ends it.
#[derive(Debug)]
pub struct Load {
    process: Process,
    log: PathBuf,
    duration: Option<Duration>,
    // Holds the spawning thread, whose end would end the process.
    _site: Arc<Site>,
}

impl Load {
    /// Starts the clients; returns before they have connected.
    ///
    /// # Errors
    /// pgbench cannot be started.
    pub async fn start(sandbox: &Sandbox, options: LoadOptions) -> Result<Self, SandboxError> {
        let site = Arc::clone(&sandbox.site);
        let number = site.next_number();
        let script = site.home().join(format!("load-{number}.sql"));
        let log = site.home().join(format!("load-{number}.log"));
        site.write_private(&script, &options.script)?;
        let mut command = site.command(&site.programs.pgbench, &log)?;
        command.args(arguments(sandbox, &options, &script));
        command.env("PGPASSWORD", sandbox.pgbouncer.application_password());
        command.env("PGAPPNAME", "pgbench");
        let process = site.spawn(command).await?;
        Ok(Self { process, log, duration: options.duration, _site: site })
    }

    /// Says whether the clients still run.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.ended(), Ok(None))
    }

    /// Returns the figures so far, one sample per second.
    #[must_use]
    pub fn samples(&self) -> Vec<LoadSample> {
        self.report().samples
    }

    /// Ends the load now; without pgbench's own summary the report rests on its samples.
    ///
    /// # Errors
    /// The process cannot be signalled.
    pub async fn stop(mut self) -> Result<LoadReport, SandboxError> {
        let failed = |source| SandboxError::System { action: "stop pgbench", source };
        self.process.signal(Signal::TERM).map_err(failed)?;
        self.ended(END_DEADLINE).await
    }

    /// Waits until the load ends by itself, which it does after its duration.
    ///
    /// # Errors
    /// It had no duration and still runs after 30 s, or is 30 s late.
    pub async fn finish(self) -> Result<LoadReport, SandboxError> {
        let deadline = self.duration.unwrap_or_default() + END_DEADLINE;
        self.ended(deadline).await
    }

    async fn ended(mut self, deadline: Duration) -> Result<LoadReport, SandboxError> {
        let start = Instant::now();
        while self.is_running() {
            if start.elapsed() > deadline {
                return Err(SandboxError::Deadline {
                    program: "pgbench".to_owned(),
                    action: "end",
                    waited: deadline,
                    log: tail(&self.text()),
                    source: None,
                });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(self.report())
    }

    fn report(&self) -> LoadReport {
        LoadReport::parse(&self.text())
    }

    fn text(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn arguments(sandbox: &Sandbox, options: &LoadOptions, script: &Path) -> Vec<String> {
    let port = match options.through {
        Through::PgBouncer => sandbox.pgbouncer.port(),
        Through::Postgres => sandbox.postgres.port(),
    };
    let whole_s = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let duration_s = options.duration.map_or(UNLIMITED_S, whole_s).max(1);
    let user = options.user.as_deref().unwrap_or_else(|| sandbox.postgres.first_user());
    let database = options.database.as_deref();
    let database = database.unwrap_or_else(|| sandbox.postgres.first_database());
    let mut all = vec![
        "--no-vacuum".to_owned(),
        // The protocol that transaction pooling passes on in every version of PgBouncer.
        "--protocol=simple".to_owned(),
        "--host=127.0.0.1".to_owned(),
        "--progress=1".to_owned(),
        format!("--port={port}"),
        format!("--username={user}"),
        format!("--client={}", options.clients),
        format!("--jobs={}", options.clients.clamp(1, THREADS)),
        format!("--time={duration_s}"),
        format!("--file={}", script.display()),
    ];
    if options.reconnect == Reconnect::EachTransaction {
        all.push("--connect".to_owned());
    }
    if let Some(rate) = options.rate_per_s {
        all.push(format!("--rate={rate}"));
    }
    all.push(database.to_owned());
    all
}
