//! The real servers with sidecars beside them, and waiting that explains itself when it fails.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::sync::Weak;
use std::time::{Duration, Instant};

use poolwarden::app::{App, StartError};
use poolwarden::record::Store;
use poolwarden::report::chain;
use poolwarden::sandbox::{ConsoleRole, Load, LoadOptions, SUPERUSER, Sandbox, SandboxOptions};

use sqlx::{ConnectOptions, Connection};

use crate::log::{Log, tail};
use crate::sampler::{self, Sampler};
use crate::setup::{Setup, TargetSetup};
use crate::sidecar::{Sidecar, decisions};

/// How long a person's next look takes.
const LOOK: Duration = Duration::from_millis(20);
/// Decisions that a failed wait shows.
const SHOWN: usize = 12;

/// Makes a duration.
#[must_use]
pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A PostgreSQL and a PgBouncer of our own, and the log of all sidecars of this test.
#[derive(Debug)]
pub struct Bench {
    /// The servers.
    pub sandbox: Sandbox,
    log: Log,
    store: RefCell<Weak<Store>>,
    setups: Cell<u32>,
}

impl Bench {
    /// Starts the servers.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start(options: SandboxOptions) -> Self {
        let log = Log::keep();
        let sandbox = Sandbox::start(options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { sandbox, log, store: RefCell::default(), setups: Cell::new(0) }
    }

    /// Starts the servers with a small pool.
    pub async fn small() -> Self {
        Self::start(SandboxOptions { default_pool_size: 3, ..SandboxOptions::default() }).await
    }

    /// Makes the configuration of a sidecar that enforces, without PostgreSQL; in a folder of its own.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setups.set(self.setups.get() + 1);
        let dir = self.sandbox.folder().join(format!("sidecar-{}", self.setups.get()));
        Setup::new(dir, TargetSetup::of("main", self.sandbox.pgbouncer()))
    }

    /// Returns PostgreSQL's URL for a setup that may ask it.
    #[must_use]
    pub fn database(&self) -> Option<String> {
        Some(self.sandbox.postgres().url(SUPERUSER, "postgres"))
    }

    /// Starts a sidecar in this process.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn sidecar(&self, setup: &Setup) -> Sidecar {
        self.try_sidecar(setup).await.unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// Starts a sidecar in this process, or says why not.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn try_sidecar(&self, setup: &Setup) -> Result<Sidecar, StartError> {
        let sidecar = Sidecar::new(App::start(setup.config()).await?);
        *self.store.borrow_mut() = std::sync::Arc::downgrade(sidecar.store());
        Ok(sidecar)
    }

    /// Starts clients that each hold a server for 50 ms at a time.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn load(&self, clients: u32) -> Load {
        let options = LoadOptions { clients, ..LoadOptions::default() };
        Load::start(&self.sandbox, options).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Reads `default_pool_size` as it is in force, through a connection of our own.
    ///
    /// # Panics
    /// When PgBouncer does not answer.
    pub async fn size(&self) -> u32 {
        let rows = self.sandbox.pgbouncer().console(ConsoleRole::Stats, "SHOW CONFIG").await;
        let rows = rows.unwrap_or_else(|error| panic!("{error}"));
        sampler::size(&rows).expect("SHOW CONFIG has the size")
    }

    /// Runs a command as a person with PgBouncer's admin console does.
    ///
    /// # Panics
    /// When PgBouncer refuses it.
    pub async fn admin(&self, command: &str) {
        let done = self.sandbox.pgbouncer().console(ConsoleRole::Admin, command).await;
        done.unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// Says whether a query through PgBouncer is answered.
    pub async fn answers(&self) -> Option<()> {
        let through = self.sandbox.pgbouncer().connect_options("app", "app");
        let mut connection = through.connect().await.ok()?;
        sqlx::raw_sql("select 1").fetch_one(&mut connection).await.ok()?;
        connection.close().await.ok()
    }

    /// Samples the size in force until the sampler is dropped.
    #[must_use]
    pub fn sample_size(&self) -> Sampler {
        Sampler::of_size(self.sandbox.pgbouncer().console_options(ConsoleRole::Stats))
    }

    /// Waits until something is so and returns it.
    ///
    /// # Panics
    /// When it is not so in time, with all logs and the last decisions.
    pub async fn until<T>(
        &self,
        what: &str,
        within: Duration,
        mut ask: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            if start.elapsed() > within {
                panic!("not so after {within:?}: {what}\n{}", self.story().await);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Checks that something stays so for a while.
    ///
    /// # Panics
    /// As soon as it is not so.
    pub async fn stays(&self, what: &str, time: Duration, mut ask: impl AsyncFnMut() -> bool) {
        let start = Instant::now();
        while start.elapsed() < time {
            if !ask().await {
                panic!("no longer so after {:?}: {what}\n{}", start.elapsed(), self.story().await);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Returns what the sidecars of this process logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Tells what happened: the last decisions, and the ends of all logs.
    pub async fn story(&self) -> String {
        let mut story = String::from("--- decisions ---\n");
        let store = self.store.borrow().upgrade();
        if let Some(store) = store {
            let all = decisions(&store).await;
            for one in all.iter().skip(all.len().saturating_sub(SHOWN)) {
                let size = |size: Option<poolwarden::model::PoolSize>| size.map_or(0, |s| s.get());
                let (at, from, to) = (one.at.as_millis(), size(one.size_from), size(one.size_to));
                let outcome = one.verdict.as_ref().map_or("", |verdict| verdict.outcome.as_str());
                let (kind, status) = (one.kind().as_str(), one.status.as_str());
                let (policy, reason) = (one.policy.as_str(), one.reason());
                writeln!(story, "{at} {policy} {kind} {status} {outcome} {from}->{to}: {reason}")
                    .expect("text takes text");
            }
        }
        let processes = self.process_logs();
        format!(
            "{story}--- sidecar ---\n{}\n{processes}{}",
            tail(&self.log.text()),
            self.sandbox.logs()
        )
    }

    fn process_logs(&self) -> String {
        (1..=self.setups.get())
            .filter_map(|number| {
                let dir = self.sandbox.folder().join(format!("sidecar-{number}"));
                let text = std::fs::read_to_string(dir.join("sidecar.log")).ok()?;
                Some(format!("--- sidecar process {number} ---\n{}\n", tail(&text)))
            })
            .collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let secrets = [
            self.sandbox.pgbouncer().console_password(),
            self.sandbox.postgres().password(SUPERUSER),
        ];
        let told = self.log.text() + &self.process_logs();
        assert!(secrets.iter().all(|secret| !told.contains(secret)), "a secret is in a log");
    }
}
