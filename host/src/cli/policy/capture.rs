//! `poolwarden policy capture`.

use std::process::ExitCode;

use clap::Args;

/// Makes a case of what a running sidecar sees.
#[derive(Debug, Args)]
pub(super) struct Capture {}

impl Capture {
    pub fn run(self) -> ExitCode {
        eprintln!("poolwarden: policy capture is not there yet");
        ExitCode::FAILURE
    }
}
