//! `poolwarden policy build`.

use std::process::ExitCode;

use clap::Args;

/// Builds a policy into a plugin that the sidecar loads.
#[derive(Debug, Args)]
pub(super) struct Build {}

impl Build {
    pub fn run(self) -> ExitCode {
        eprintln!("poolwarden: policy build is not there yet");
        ExitCode::FAILURE
    }
}
