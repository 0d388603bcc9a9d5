//! `poolwarden alerts`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::decisions::About;
use super::print::{Table, clean, print, print_raw};
use super::when::{moment, span};
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
    #[serde(default)]
    labels: BTreeMap<String, String>,
    runbook: Option<String>,
    hold_left_ms: Option<u64>,
    until_ms: Option<u64>,
    silenced_by: Option<SilencedBy>,
}

#[derive(Debug, Deserialize)]
struct SilencedBy {
    id: String,
    until_ms: u64,
    comment: String,
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
            state(alert),
            alert.severity.clone().unwrap_or_default(),
            alert.target.clone(),
            alert.about.text(),
            alert.name.clone(),
            alert.policy.clone(),
            alert.summary.clone().unwrap_or_default(),
        ]);
    }
    let mut text = table.text();
    for (heading, lines) in
        [("Silenced", silenced(list)), ("Labels", labels(list)), ("Runbooks", runbooks(list))]
    {
        if !lines.is_empty() {
            text.push_str(&format!("\n{heading}\n"));
            lines.iter().for_each(|line| text.push_str(&format!("  {}\n", clean(line))));
        }
    }
    text
}

/// Says the state, and when it ends if that is known.
fn state(alert: &Alert) -> String {
    let muted = if alert.silenced_by.is_some() { " (silenced)" } else { "" };
    match (alert.state.as_str(), alert.hold_left_ms, alert.until_ms) {
        ("pending", Some(left), _) => {
            format!("pending, {} left{muted}", span(Duration::from_millis(left)))
        }
        ("cooling", _, Some(until)) => format!("cooling until {}{muted}", moment(until)),
        (state, _, _) => format!("{state}{muted}"),
    }
}

/// Tells of each silence once.
fn silenced(list: &List) -> BTreeSet<String> {
    let by = list.alerts.iter().filter_map(|alert| alert.silenced_by.as_ref());
    by.map(|by| format!("by {} until {}: {}", by.id, moment(by.until_ms), by.comment)).collect()
}

fn labels(list: &List) -> BTreeSet<String> {
    let labelled = list.alerts.iter().filter(|alert| !alert.labels.is_empty());
    let line = |alert: &Alert| {
        let labels = alert.labels.iter().map(|(name, value)| format!("{name}={value}"));
        format!("{}: {}", alert.name, labels.collect::<Vec<_>>().join(" "))
    };
    labelled.map(line).collect()
}

fn runbooks(list: &List) -> BTreeSet<String> {
    let known = list.alerts.iter().filter_map(|alert| Some((&alert.name, alert.runbook.as_ref()?)));
    known.map(|(name, runbook)| format!("{name}: {runbook}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn alerts_say_when_their_state_ends_who_silenced_them_and_where_to_read_on() {
        let alert = |state: &str, more: serde_json::Value| {
            let mut alert = json!({
                "target": "main", "policy": "pool-alerts", "name": "long-wait", "state": state,
                "pool": { "database": "app", "user": "web" }, "since_ms": 1_767_225_600_000_u64,
                "severity": "critical", "summary": "A client waits.",
                "labels": { "team": "shop" }, "runbook": "docs/runbooks/long-wait.md",
            });
            let object = alert.as_object_mut().expect("an object");
            object.extend(more.as_object().expect("an object").clone());
            alert
        };
        let muted = json!({ "id": "7", "until_ms": 1_767_225_600_000_u64, "comment": "a test" });
        let list = serde_json::from_value(json!({ "alerts": [
            alert("pending", json!({ "hold_left_ms": 1_500 })),
            alert("cooling", json!({ "until_ms": 1_767_225_600_250_u64 })),
            alert("firing", json!({ "silenced_by": muted })),
        ] }));
        let text = text(&list.expect("a list"));
        for part in [
            "pending, 1500 ms left",
            "cooling until 2026-01-01 00:00:00.250Z",
            "firing (silenced)",
            "\nSilenced\n  by 7 until 2026-01-01 00:00:00.000Z: a test\n",
            "\nLabels\n  long-wait: team=shop\n",
            "\nRunbooks\n  long-wait: docs/runbooks/long-wait.md\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }
}
