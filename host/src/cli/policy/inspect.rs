//! `poolwarden policy inspect`.

use std::process::ExitCode;

use clap::Args;

/// Shows what a plugin is.
#[derive(Debug, Args)]
pub(super) struct Inspect {}

impl Inspect {
    pub fn run(self) -> ExitCode {
        eprintln!("poolwarden: policy inspect is not there yet");
        ExitCode::FAILURE
    }
}
