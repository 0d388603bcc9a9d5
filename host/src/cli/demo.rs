//! `poolwarden demo`: the closed loop on a private PostgreSQL and PgBouncer, told as it happens.

mod narrator;
mod scene;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use super::{failed, runtime, tracing_setup};
use crate::app::{App, StartError};
use crate::config::{ConfigError, Log, LogFormat};
use crate::record::RecordError;
use crate::sandbox::{Load, LoadOptions, Sandbox, SandboxError, SandboxOptions};
use narrator::{Narrator, Seen};
use scene::Scene;

/// Size of the pool at the start.
const POOL_SIZE: u32 = 4;
/// Clients of the load.
const CLIENTS: u32 = 20;
/// How long the load runs.
const LOAD: Duration = Duration::from_secs(15);
/// Everything is over by then.
const DEADLINE: Duration = Duration::from_secs(48);

/// Shows the whole loop on a private PostgreSQL and PgBouncer.
///
/// Starts both in a temporary folder on free loopback ports, puts more load on a pool than it can
/// carry, and tells what Poolwarden sees, decides and does. Leaves no process and no file behind.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden demo\n  poolwarden demo --keep-running   # then ask \
    the URL that it prints\n\nExit codes: 0 the loop closed, 1 it did not"
)]
pub(super) struct Demo {
    /// Folder with the shipped policies.
    #[arg(long, value_name = "DIR", default_value = "./policies")]
    policies: PathBuf,
    /// Stay until Ctrl-C instead of ending within 50 seconds.
    #[arg(long)]
    keep_running: bool,
    /// Show the sidecar's own log too.
    #[arg(long)]
    log: bool,
}

/// Why a demo could not be shown.
#[derive(Debug, Error)]
enum DemoError {
    #[error("the private servers cannot be started")]
    Sandbox(#[from] SandboxError),
    #[error("{}: {why}", path.display())]
    Policies { path: PathBuf, why: String },
    #[error("the demo's own configuration is wrong: {0}")]
    Config(ConfigError),
    #[error("the sidecar cannot be started")]
    Start(#[from] StartError),
    #[error("the store cannot be read")]
    Store(#[from] RecordError),
    #[error("the demo's folder cannot be used")]
    Folder(#[from] std::io::Error),
}

impl Demo {
    pub fn run(self) -> ExitCode {
        let filter = if self.log { "info" } else { "error" };
        tracing_setup::init(&Log { filter: filter.to_owned(), format: LogFormat::Text });
        let shown = match runtime() {
            Ok(runtime) => runtime.block_on(self.show_until_interrupted()),
            Err(error) => return failed(&error),
        };
        match shown {
            Ok(seen) => report(&seen),
            Err(error) => failed(&error),
        }
    }

    /// Ends early, and cleans up all the same, when a person has seen enough.
    async fn show_until_interrupted(&self) -> Result<Seen, DemoError> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            seen = self.show() => seen,
            _ = interrupt.recv() => Ok(Seen::default()),
            _ = terminate.recv() => Ok(Seen::default()),
        }
    }

    async fn show(&self) -> Result<Seen, DemoError> {
        let mut narrator = Narrator::new();
        narrator.say("starting a private PostgreSQL and PgBouncer");
        let sandbox = Sandbox::start(SandboxOptions {
            default_pool_size: POOL_SIZE,
            ..SandboxOptions::default()
        })
        .await?;
        let scene = Scene::set(&sandbox, &self.policies)?;
        let app = App::start(scene.config().map_err(DemoError::Config)?).await?;
        narrator.say(&format!(
            "PgBouncer listens on port {}, default_pool_size is {POOL_SIZE}; ask http://{}/health",
            sandbox.pgbouncer().port(),
            app.address()
        ));
        let told = self.tell(&sandbox, &app, &mut narrator).await;
        if self.keep_running && told.is_ok() {
            let address = app.address();
            narrator.say(&format!("http://{address}/v1/decisions stays up; Ctrl-C ends it"));
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        narrator.say("stopping; nothing is left behind");
        app.stop().await;
        told?;
        Ok(narrator.seen)
    }

    async fn tell(
        &self,
        sandbox: &Sandbox,
        app: &App,
        narrator: &mut Narrator,
    ) -> Result<(), DemoError> {
        narrator.watch(app, Duration::from_secs(2), |_| false).await?;
        narrator.say(&format!(
            "{CLIENTS} clients start, each with 50 ms statements: too many for {POOL_SIZE} servers"
        ));
        let load = Load::start(sandbox, LoadOptions { clients: CLIENTS, ..LoadOptions::default() })
            .await?;
        narrator.loaded(true);
        narrator.watch(app, LOAD, |_| false).await?;
        let report = load.stop().await?;
        narrator.loaded(false);
        narrator.say(&format!("the load ends{}", throughput(&report.samples)));
        let left = DEADLINE.saturating_sub(narrator.elapsed());
        narrator.watch(app, left, |seen| seen.closed()).await
    }
}

/// Compares the first and the last second of the load.
fn throughput(samples: &[crate::sandbox::LoadSample]) -> String {
    match (samples.first(), samples.last()) {
        (Some(first), Some(last)) => {
            format!(": {:.0} transactions a second at first, {:.0} at the end", first.tps, last.tps)
        }
        _ => String::new(),
    }
}

fn report(seen: &Seen) -> ExitCode {
    for (what, done) in seen.list() {
        println!("  [{}] {what}", if done { "x" } else { " " });
    }
    if seen.closed() {
        println!("the loop closed");
        ExitCode::SUCCESS
    } else {
        println!("the loop did NOT close");
        ExitCode::FAILURE
    }
}
