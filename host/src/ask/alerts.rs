//! `poolwarden alerts`.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use super::decisions::About;
use super::print::{Table, print, print_raw};
use super::when::moment;
use super::{AskError, Output, Sidecar};

/// Show the alerts that fire.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden alerts\n  poolwarden alerts --all")]
pub struct Alerts {
    #[command(flatten)]
    sidecar: Sidecar,
    /// Also those that are pending or cooling down.
    #[arg(long)]
    all: bool,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Deserialize)]
struct List {
    alerts: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
struct Alert {
    target: String,
    policy: String,
    name: String,
    #[serde(flatten)]
    about: About,
    state: String,
    since_ms: u64,
    severity: Option<String>,
    summary: Option<String>,
}

impl Alerts {
    /// Asks and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let path = if self.all { "/v1/alerts?all=true" } else { "/v1/alerts" };
        let answer = self.sidecar.ask(path).await?.success()?;
        match self.output {
            Output::Json => print_raw(&answer),
            Output::Text => print(&text(&answer.read::<List>()?)),
        }
    }
}

fn text(list: &List) -> String {
    if list.alerts.is_empty() {
        return "no alerts\n".to_owned();
    }
    let mut table = Table::new(&[
        "SINCE", "STATE", "SEVERITY", "TARGET", "ABOUT", "ALERT", "POLICY", "SUMMARY",
    ]);
    for alert in &list.alerts {
        table.row([
            moment(alert.since_ms),
            alert.state.clone(),
            alert.severity.clone().unwrap_or_default(),
            alert.target.clone(),
            alert.about.text(),
            alert.name.clone(),
            alert.policy.clone(),
            alert.summary.clone().unwrap_or_default(),
        ]);
    }
    table.text()
}
