//! `poolwarden run`: the sidecar.

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArg, bad_config, failed, runtime, tracing_setup};
use crate::app::App;
use crate::config::Config;
use crate::evaluate::Compile;

/// Runs the sidecar until SIGTERM or SIGINT.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden run --config /etc/poolwarden/poolwarden.toml\n  \
    PGBOUNCER_URL=postgres://watch@127.0.0.1:6432/pgbouncer poolwarden run")]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArg,
}

impl Run {
    pub fn run(self) -> ExitCode {
        let config = match self.config.load() {
            Ok(config) => config,
            Err(error) => return bad_config(&error),
        };
        tracing_setup::init(&config.log);
        for warning in &config.warnings {
            tracing::warn!(warning, "the configuration can be better");
        }
        match runtime() {
            Ok(runtime) => {
                let code = runtime.block_on(serve(config));
                // A plugin that is still compiling must not hold the exit up.
                runtime.shutdown_timeout(std::time::Duration::from_millis(500));
                code
            }
            Err(error) => failed(&error),
        }
    }
}

/// Compiles in children of this very program; one that is gone from its place compiles here.
fn compile() -> Compile {
    std::env::current_exe().map_or(Compile::Here, Compile::Apart)
}

async fn serve(config: Config) -> ExitCode {
    // Before anything starts, so that no signal is missed.
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        eprintln!("poolwarden: signals cannot be handled");
        return ExitCode::FAILURE;
    };
    let started = tokio::select! {
        started = App::start_with(config, compile()) => started,
        _ = terminate.recv() => return ExitCode::SUCCESS,
        _ = interrupt.recv() => return ExitCode::SUCCESS,
    };
    let mut app = match started {
        Ok(app) => app,
        Err(error) => return failed(&error),
    };
    let died = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = app.died() => true,
    };
    if died {
        // A supervisor starts it anew; half a sidecar would only look well.
        eprintln!("poolwarden: the control task died; see the log");
        return ExitCode::FAILURE;
    }
    // A second signal ends the wait.
    tokio::select! {
        in_time = app.stop() => if in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        _ = terminate.recv() => ExitCode::FAILURE,
        _ = interrupt.recv() => ExitCode::FAILURE,
    }
}
