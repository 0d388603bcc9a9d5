//! `poolwarden health`: for people, and by its exit code for container runtimes.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use super::print::{clean, print, print_raw};
use super::{AskError, Output, Sidecar};

/// Say whether a running sidecar is well: exit code 0 if so, 1 if not.
///
/// Without --full it needs no token and costs next to nothing, as a container health check should.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden health\n  poolwarden health --full")]
pub struct Health {
    #[command(flatten)]
    sidecar: Sidecar,
    /// Ask for everything: targets, store, policies and what is wrong with them.
    #[arg(long)]
    full: bool,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Both answers, as far as a person reads them.
#[derive(Debug, Deserialize)]
struct Answered {
    status: String,
    reason: Option<String>,
    #[serde(default)]
    problems: Vec<String>,
}

impl Health {
    /// Asks and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let path = if self.full { "/health" } else { "/health/quick" };
        let answer = self.sidecar.ask(path).await?;
        // 503 is an answer here, not a refusal.
        let answer = if answer.status == 503 { answer } else { answer.success()? };
        match self.output {
            Output::Json => print_raw(&answer)?,
            Output::Text => print(&text(&answer.read()?))?,
        };
        Ok(if answer.status == 503 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn text(answered: &Answered) -> String {
    let problems = answered.reason.iter().chain(&answered.problems);
    let lines = problems.map(|problem| format!("  {}\n", clean(problem)));
    std::iter::once(format!("{}\n", clean(&answered.status))).chain(lines).collect()
}
