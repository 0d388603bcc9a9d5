//! A private PostgreSQL and PgBouncer in a temporary folder, on free loopback ports.
//!
//! `poolwarden demo` and every live test stand on it, so that both meet the same real servers which
//! a user runs: the system's own binaries, real passwords, real sockets. Containers were rejected:
//! they need a daemon and rights that a laptop or a CI job may not have. What is started here is
//! gone after the drop, also when a start fails half way, on a panic, and (through the parent-death
//! signal) when this process is killed with `kill -9`.
//!
//! This module talks SQL itself instead of using `console` and `database`: it is a test bench for
//! those, and must not share their mistakes.

mod account;
mod connect;
mod daemon;
mod error;
mod folder;
mod load;
mod options;
mod pgbouncer;
mod postgres;
mod process;
mod programs;
mod secret;
mod site;

use std::path::Path;
use std::sync::Arc;

use self::site::Site;

pub use self::daemon::Stop;
pub use self::error::SandboxError;
pub use self::load::{Load, LoadOptions, LoadReport, LoadSample, Reconnect, Through};
pub use self::options::{DatabaseOptions, SandboxOptions, Startup};
pub use self::pgbouncer::{ConsoleRole, PgBouncer};
pub use self::postgres::{Postgres, SUPERUSER};

/// A running PostgreSQL with a PgBouncer before it; both end with this value.
#[derive(Debug)]
pub struct Sandbox {
    // Dropped in this order: the pooler, the server, and then the folder that both live in.
    pgbouncer: PgBouncer,
    postgres: Postgres,
    site: Arc<Site>,
}

impl Sandbox {
    /// Starts the servers and returns once each has answered a query.
    ///
    /// # Errors
    /// A missing program, a folder that cannot be made, or a server that ends or stays silent; the
    /// error shows the end of that server's log. Nothing is left behind.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let site = Arc::new(Site::open()?);
        let mut postgres = Postgres::new(Arc::clone(&site), &options)?;
        if options.postgres == Startup::Immediate {
            postgres.start_anywhere().await?;
        }
        // Only now is PostgreSQL's port known for good.
        let mut pgbouncer = PgBouncer::new(Arc::clone(&site), "pgbouncer", &postgres, &options)?;
        if options.pgbouncer == Startup::Immediate {
            pgbouncer.start_anywhere().await?;
        }
        Ok(Self { pgbouncer, postgres, site })
    }

    /// Starts one more PgBouncer before the same PostgreSQL, under a name of its own.
    ///
    /// # Errors
    /// As [`Sandbox::start`].
    pub async fn another_pgbouncer(
        &self,
        name: &str,
        options: &SandboxOptions,
    ) -> Result<PgBouncer, SandboxError> {
        let site = Arc::clone(&self.site);
        let mut pgbouncer = PgBouncer::new(site, name, &self.postgres, options)?;
        pgbouncer.start_anywhere().await?;
        Ok(pgbouncer)
    }

    /// Returns the PostgreSQL server, which a deferred start leaves stopped.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Returns the PgBouncer, which a deferred start leaves stopped.
    #[must_use]
    pub fn pgbouncer(&self) -> &PgBouncer {
        &self.pgbouncer
    }

    /// Returns the temporary folder; files that tests put there are removed with it.
    ///
    /// PgBouncer's user may read, but not list or write it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.site.folder()
    }

    /// Returns the ends of both servers' logs, each under its name.
    #[must_use]
    pub fn logs(&self) -> String {
        format!(
            "--- PostgreSQL ---\n{}\n--- PgBouncer ---\n{}\n",
            self.postgres.log_tail(),
            self.pgbouncer.log_tail()
        )
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A `Load` or a further PgBouncer may still hold the site: the folder goes now all the
        // same.
        self.pgbouncer.end();
        self.postgres.end();
        self.site.close();
    }
}
