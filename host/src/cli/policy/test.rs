//! `poolwarden policy test`.

use std::process::ExitCode;

use clap::Args;

/// Runs the cases of a policy.
#[derive(Debug, Args)]
pub(super) struct Test {}

impl Test {
    pub fn run(self) -> ExitCode {
        eprintln!("poolwarden: policy test is not there yet");
        ExitCode::FAILURE
    }
}
