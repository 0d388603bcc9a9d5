//! `poolwarden policy …`: the tools of a policy's author.

mod bench;
mod build;
mod capture;
mod check;
mod common;
mod inspect;
mod language;
mod new;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Tools for authors of policies.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden policy new --lang rust queue-watch\n  poolwarden \
    policy build queue-watch\n  poolwarden policy test queue-watch\n  poolwarden policy check \
    policies/queue-watch.toml")]
pub(super) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Build(build::Build),
    Check(check::Check),
    Test(test::Test),
    Capture(capture::Capture),
    Bench(bench::Bench),
    Inspect(inspect::Inspect),
}

impl Policy {
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::New(command) => command.run(),
            Command::Build(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Test(command) => command.run(),
            Command::Capture(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Inspect(command) => command.run(),
        }
    }
}
