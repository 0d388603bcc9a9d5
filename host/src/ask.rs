//! The command line's questions to a running sidecar: `pools`, `decisions`, `alerts`, `explain`,
//! `silence`, `health`, and its orders: `pause`, `resume`, `panic`, `approve`, `reject`.
//!
//! They go over HTTP like everybody else's, so that they work from another machine and never see
//! more than the API tells. For people there are plain tables without colours; `--output json`
//! gives the answer as it came.

mod alerts;
pub(crate) mod client;
mod decisions;
mod error;
pub(crate) mod explain;
mod health;
mod orders;
mod pools;
pub(crate) mod print;
mod silence;
mod when;

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub use alerts::Alerts;
pub use decisions::Decisions;
pub use error::AskError;
pub use explain::Explain;
pub use health::Health;
pub use orders::{Approve, Panic, Pause, Reject, Resume};
pub use pools::Pools;
pub use silence::Silence;
pub(crate) use when::{moment, span};

/// Where the sidecar is asked when nobody says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:7432";
/// The environment variable that says which sidecar is asked.
const URL_VARIABLE: &str = "POOLWARDEN_URL";
/// The environment variable that holds the token.
const TOKEN_VARIABLE: &str = "POOLWARDEN_HTTP__TOKEN";

/// Which sidecar is asked.
#[derive(Debug, Clone, Args)]
pub struct Sidecar {
    /// Address of the running sidecar; without it the variable POOLWARDEN_URL, if it is set, or
    /// http://127.0.0.1:7432.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// File that holds the token; without it the variable POOLWARDEN_HTTP__TOKEN, if it is set.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// A table for people.
    #[default]
    Text,
    /// JSON: a sidecar's answer as it came, or all that there is to say.
    Json,
}
