//! `poolwarden policy bench`.

use std::process::ExitCode;

use clap::Args;

/// Measures what a plugin costs.
#[derive(Debug, Args)]
pub(super) struct Bench {}

impl Bench {
    pub fn run(self) -> ExitCode {
        eprintln!("poolwarden: policy bench is not there yet");
        ExitCode::FAILURE
    }
}
