//! Why a policy could not be built.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

use crate::cli::policy::language::Language;

/// A policy that could not be built.
#[derive(Debug, Error)]
pub(super) enum BuildError {
    /// No manifest.
    #[error(
        "{} has no policy in it: there is no {}; start one with `poolwarden policy new`",
        .0.display(),
        Language::ALL.map(Language::manifest).join(", no ")
    )]
    NoPolicy(PathBuf),
    /// A manifest that does not say what is needed.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The SDK or the contract is not where the policy looks for it.
    #[error(
        "there is no {} beside the policy; `poolwarden policy new` writes it", .0.display()
    )]
    NoVendor(PathBuf),
    /// A tool is not there.
    #[error("{tool} is missing; install it with:\n    {}", install.join("\nor:\n    "))]
    Missing {
        /// The tool.
        tool: String,
        /// Commands, each of which installs it.
        install: Vec<String>,
    },
    /// A tool cannot be run.
    #[error("{tool} cannot be run")]
    Run {
        /// The tool.
        tool: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A tool says no; it has said why on the terminal.
    #[error("{tool} failed ({status}); what it says stands above")]
    Failed {
        /// The tool.
        tool: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The tools ended well and wrote nothing.
    #[error(
        "cargo built no plugin: does Cargo.toml have `[lib]` with `crate-type = [\"cdylib\"]`?"
    )]
    NothingBuilt,
    /// What was built cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The plugin cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
