//! The `poolwarden` binary: arguments in, exit code out; everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use poolwarden::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
