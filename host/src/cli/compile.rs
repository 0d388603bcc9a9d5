//! `poolwarden compile-plugin`: what a sidecar starts to compile a plugin; not for people.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::failed;
use crate::evaluate::{Runtime, compile};

/// Compiles the plugin on standard input into a cache.
#[derive(Debug, Args)]
pub(super) struct CompilePlugin {
    /// Folder of the cache.
    #[arg(long, value_name = "DIR")]
    cache: PathBuf,
}

impl CompilePlugin {
    pub fn run(self) -> ExitCode {
        let mut bytes = Vec::new();
        if let Err(error) = std::io::stdin().read_to_end(&mut bytes) {
            return failed(&error);
        }
        let runtime = match Runtime::new(Some(&self.cache)) {
            Ok(runtime) => Arc::new(runtime),
            Err(error) => return failed(&error),
        };
        match compile(&runtime, &bytes) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        }
    }
}
