//! `poolwarden policy new`.

use std::process::ExitCode;

use clap::Args;

/// Starts a policy of your own in Rust, JavaScript, Python or C.
#[derive(Debug, Args)]
pub(super) struct New {}

impl New {
    pub fn run(self) -> ExitCode {
        eprintln!("poolwarden: policy new is not there yet");
        ExitCode::FAILURE
    }
}
