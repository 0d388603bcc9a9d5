//! `poolwarden policy check`.

use std::process::ExitCode;

use clap::Args;

/// Says everything that is wrong with a plugin or policy.
#[derive(Debug, Args)]
pub(super) struct Check {}

impl Check {
    pub fn run(self) -> ExitCode {
        eprintln!("poolwarden: policy check is not there yet");
        ExitCode::FAILURE
    }
}
