//! The command line.
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong usage, 64 wrong configuration.

mod check;
mod compile;
mod demo;
mod policy;
mod replay;
mod run;
mod tracing_setup;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::ask::{self, AskError};
use crate::config::{Config, ConfigError};
use crate::evaluate::COMPILE_COMMAND;

/// The exit code of a configuration that is wrong.
const BAD_CONFIG: u8 = 64;

/// Autopilot for PgBouncer.
///
/// Watches every pool, lets sandboxed WebAssembly policies propose alerts, recommendations and pool
/// sizes, guards each proposal, applies what passes through the admin console, and can explain and
/// replay every decision.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  poolwarden demo\n  poolwarden check --config \
    poolwarden.toml\n  poolwarden run --config poolwarden.toml\n\nExit codes: 0 fine, 1 failed, \
    2 wrong usage, 64 wrong configuration"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Demo(demo::Demo),
    Replay(replay::Replay),
    Policy(policy::Policy),
    Pools(ask::Pools),
    Decisions(ask::Decisions),
    Alerts(ask::Alerts),
    Silence(ask::Silence),
    Pause(ask::Pause),
    Resume(ask::Resume),
    Panic(ask::Panic),
    Approve(ask::Approve),
    Reject(ask::Reject),
    Explain(ask::Explain),
    Health(ask::Health),
    #[command(name = COMPILE_COMMAND, hide = true)]
    CompilePlugin(compile::CompilePlugin),
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
struct ConfigArg {
    /// Configuration file; without it ./poolwarden.toml, or the environment alone.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArg {
    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &environment())
    }
}

/// The environment, as far as it is text.
fn environment() -> std::collections::BTreeMap<String, String> {
    let pairs = std::env::vars_os();
    pairs
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Cli {
    /// Does what was asked for.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(run) => run.run(),
            Command::Check(check) => check.run(),
            Command::Demo(demo) => demo.run(),
            Command::Replay(replay) => replay.run(),
            Command::Policy(policy) => policy.run(),
            Command::Pools(pools) => asked(pools.run()),
            Command::Decisions(decisions) => asked(decisions.run()),
            Command::Alerts(alerts) => asked(alerts.run()),
            Command::Silence(silence) => asked(silence.run()),
            Command::Pause(pause) => asked(pause.run()),
            Command::Resume(resume) => asked(resume.run()),
            Command::Panic(panic) => asked(panic.run()),
            Command::Approve(approve) => asked(approve.run()),
            Command::Reject(reject) => asked(reject.run()),
            Command::Explain(explain) => asked(explain.run()),
            Command::Health(health) => asked(health.run()),
            Command::CompilePlugin(compile) => compile.run(),
        }
    }
}

/// Prints what is wrong with a configuration.
fn bad_config(error: &ConfigError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(BAD_CONFIG)
}

/// Prints an error with its causes.
fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("poolwarden: {}", crate::report::chain(error));
    ExitCode::FAILURE
}

/// Asks a running sidecar, on one thread: there is nothing to do beside it.
fn asked(question: impl Future<Output = Result<ExitCode, AskError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(question)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

/// Makes the async runtime: two workers do, because nothing blocks them.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}
