//! `poolwarden explain`: one decision in plain words.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::client::encoded;
use super::decisions::Decision;
use super::print::{Table, clean, print, print_raw};
use super::when::moment;
use super::{AskError, Output, Sidecar};

/// Explain one decision: what was seen, what the policy said, what the guard said, what was done.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden decisions --limit 5\n  poolwarden explain \
    019b1b2c-7f00-7000-8000-000000000001")]
pub struct Explain {
    #[command(flatten)]
    sidecar: Sidecar,
    /// The decision's id, from `poolwarden decisions`.
    id: String,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// A decision with its story.
#[derive(Debug, Deserialize)]
pub(super) struct Detail {
    #[serde(flatten)]
    decision: Decision,
    plugin_digest: Option<String>,
    plugin_version: Option<String>,
    evidence: serde_json::Map<String, Value>,
    proposal: Value,
    transitions: Vec<Transition>,
    recorded: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Transition {
    at_ms: u64,
    status: String,
    note: String,
}

/// The guard's word.
#[derive(Debug, Deserialize)]
struct Verdict {
    outcome: String,
    rules: Vec<RuleSaid>,
}

#[derive(Debug, Deserialize)]
struct RuleSaid {
    rule: String,
    word: String,
    reason: String,
}

impl Explain {
    /// Asks and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it does not know the decision, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let path = format!("/v1/decisions/{}", encoded(&self.id));
        let answer = self.sidecar.ask(&path).await?.success()?;
        match self.output {
            Output::Json => print_raw(&answer),
            Output::Text => print(&text(&answer.read()?)),
        }
    }
}

/// Writes the whole story.
pub(super) fn text(detail: &Detail) -> String {
    [heading(detail), seen(detail), said(detail), judged(detail), done(detail)].join("\n")
}

fn heading(detail: &Detail) -> String {
    let Decision { id, at_ms, target, kind, policy, mode, status, about, .. } = &detail.decision;
    let plugin = match (&detail.plugin_version, &detail.plugin_digest) {
        (Some(version), Some(digest)) => format!("plugin version {version}, {digest}"),
        _ => "the sidecar itself, no plugin".to_owned(),
    };
    let recorded = match (&detail.recorded, &detail.plugin_digest) {
        (Some(_), _) => "Its input is kept: `poolwarden replay` can decide it again.",
        (None, Some(_)) => "Its input is no longer kept, so it cannot be replayed.",
        (None, None) => "There was no plugin to ask, so there is nothing to replay.",
    };
    format!(
        "Decision {id}\n{kind} about {about} on {target}, taken {at}, now {status}\n\
         Policy {policy} ({plugin}) in mode {mode}\n{recorded}\n",
        about = clean(&about.text()),
        at = moment(*at_ms),
        plugin = clean(&plugin),
    )
}

fn seen(detail: &Detail) -> String {
    if detail.evidence.is_empty() {
        return "What was seen: the policy named no numbers.\n".to_owned();
    }
    let mut table = Table::new(&["What was seen", ">"]);
    for (name, value) in &detail.evidence {
        table.row([format!("  {name}"), value.to_string()]);
    }
    table.text()
}

fn said(detail: &Detail) -> String {
    let text = |key: &str| clean(detail.proposal[key].as_str().unwrap_or("?"));
    let number = |key: &str| detail.proposal[key].as_u64().unwrap_or(0);
    let reason = clean(&detail.decision.reason);
    let asked = match detail.decision.kind.as_str() {
        "alert" => format!(
            "alert {} ({}), to hold for {} ms before it fires{}",
            text("name"),
            text("severity"),
            number("hold_ms"),
            more_of_alert(&detail.proposal),
        ),
        "recommendation" => format!("recommendation {}: {}", text("name"), text("action")),
        "end_session" => format!(
            "end the session of client {} ({}, {}), backend process {}, seen {}",
            text("client"),
            text("application"),
            text("address"),
            number("backend_pid"),
            text("state").replace('_', " ")
        ),
        _ => format!(
            "size {} for {}{}",
            number("size"),
            text("scope"),
            detail.decision.size_from.map(|from| format!(", from {from}")).unwrap_or_default()
        ),
    };
    format!("What the policy said\n  {asked}\n  because: {reason}\n")
}

/// Writes an alert's labels and runbook, each on a line of its own.
fn more_of_alert(proposal: &Value) -> String {
    let labels = proposal["labels"].as_object().filter(|labels| !labels.is_empty());
    let labels = labels.map(|labels| {
        let one = |(name, value): (&String, &Value)| {
            format!(" {name}={}", value.as_str().unwrap_or_default())
        };
        format!("\n  labels:{}", clean(&labels.iter().map(one).collect::<String>()))
    });
    let runbook = proposal["runbook"].as_str().filter(|runbook| !runbook.is_empty());
    let runbook = runbook.map(|runbook| format!("\n  runbook: {}", clean(runbook)));
    labels.unwrap_or_default() + &runbook.unwrap_or_default()
}

fn judged(detail: &Detail) -> String {
    let Ok(verdict) = Verdict::deserialize(&detail.decision.verdict) else {
        return "What the guard said: it is not asked about this.\n".to_owned();
    };
    let came_out = match (verdict.outcome.as_str(), detail.decision.size_to) {
        ("rejected", _) => "rejected, nothing is to be done".to_owned(),
        ("shadowed", None) => "shadowed: fine, but the mode forbids acting".to_owned(),
        ("shadowed", Some(to)) => {
            format!("shadowed: {to} would be fine, but the mode forbids acting")
        }
        (outcome, Some(to)) => format!("{outcome}, the size is to be {to}"),
        (outcome, None) => outcome.to_owned(),
    };
    let mut table = Table::new(&["  RULE", "WORD", "WHY"]);
    for said in verdict.rules {
        table.row([format!("  {}", said.rule), said.word, said.reason]);
    }
    format!("What the guard said: {}\n{}", clean(&came_out), table.text())
}

fn done(detail: &Detail) -> String {
    if detail.transitions.is_empty() {
        return match detail.decision.status.as_str() {
            "proposed" if detail.decision.kind == "end_session" => {
                "What was done: no session was ended (yet).\n".to_owned()
            }
            "proposed" => "What was done: nothing was sent to PgBouncer (yet).\n".to_owned(),
            status => format!("What was done: {}, nothing since.\n", clean(status)),
        };
    }
    let mut table = Table::new(&["What was done", "", ""]);
    for step in &detail.transitions {
        table.row([format!("  {}", moment(step.at_ms)), step.status.clone(), step.note.clone()]);
    }
    table.text()
}
