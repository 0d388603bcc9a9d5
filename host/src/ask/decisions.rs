//! `poolwarden decisions`.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::client::query;
use super::print::{Table, print, print_raw};
use super::when::moment;
use super::{AskError, Output, Sidecar};

/// List what a running sidecar decided, newest first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden decisions\n  poolwarden decisions --kind resize \
    --status verified --limit 10\n  poolwarden explain ID")]
pub struct Decisions {
    #[command(flatten)]
    sidecar: Sidecar,
    /// Only `alert`, `recommendation`, `resize` or `end_session`.
    #[arg(long)]
    kind: Option<String>,
    /// Only of this PgBouncer.
    #[arg(long)]
    target: Option<String>,
    /// Only about this database.
    #[arg(long)]
    database: Option<String>,
    /// Only about this user.
    #[arg(long)]
    user: Option<String>,
    /// Only of this policy.
    #[arg(long)]
    policy: Option<String>,
    /// Only with this status, for example `verified` or `firing`.
    #[arg(long)]
    status: Option<String>,
    /// Not taken before this moment, in milliseconds since 1970.
    #[arg(long)]
    since_ms: Option<u64>,
    /// Taken before this moment, in milliseconds since 1970.
    #[arg(long)]
    until_ms: Option<u64>,
    /// Most decisions, 1 to 500.
    #[arg(long)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[arg(long)]
    cursor: Option<String>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Deserialize)]
struct Page {
    decisions: Vec<Decision>,
    next_cursor: Option<String>,
}

/// The part of a decision that fits into a line.
#[derive(Debug, Deserialize)]
pub(super) struct Decision {
    pub id: String,
    pub at_ms: u64,
    pub target: String,
    pub kind: String,
    pub policy: String,
    #[serde(flatten)]
    pub about: About,
    pub mode: String,
    pub status: String,
    pub reason: String,
    pub size_from: Option<u32>,
    pub size_to: Option<u32>,
    #[serde(default)]
    pub verdict: Value,
}

/// What something is about.
#[derive(Debug, Default, Deserialize)]
pub(super) struct About {
    scope: Option<String>,
    pool: Option<Pool>,
    subject: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    database: String,
    user: String,
}

impl About {
    /// Names it in a word.
    pub fn text(&self) -> String {
        match (&self.scope, &self.pool, self.subject.as_deref()) {
            (Some(scope), _, _) => scope.clone(),
            (_, Some(pool), _) => format!("{}/{}", pool.database, pool.user),
            (_, _, Some("database_server")) => "PostgreSQL".to_owned(),
            (_, _, Some("target")) => "PgBouncer".to_owned(),
            (_, _, other) => other.unwrap_or("?").to_owned(),
        }
    }
}

impl Decisions {
    /// Asks and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let filters = query(&[
            ("kind", self.kind),
            ("target", self.target),
            ("database", self.database),
            ("user", self.user),
            ("policy", self.policy),
            ("status", self.status),
            ("since_ms", number(self.since_ms)),
            ("until_ms", number(self.until_ms)),
            ("limit", number(self.limit.map(Into::into))),
            ("cursor", self.cursor),
        ]);
        let answer = self.sidecar.ask(&format!("/v1/decisions{filters}")).await?.success()?;
        match self.output {
            Output::Json => print_raw(&answer),
            Output::Text => print(&text(&answer.read::<Page>()?)),
        }
    }
}

/// Writes what came out in a word: the status, or the guard's where nothing came of it.
fn outcome(decision: &Decision) -> String {
    let verdict = decision.verdict["outcome"].as_str();
    match (decision.status.as_str(), verdict) {
        ("proposed", Some(verdict)) => verdict.to_owned(),
        (status, _) => status.to_owned(),
    }
}

fn size(decision: &Decision) -> String {
    let text = |size: Option<u32>| size.map_or("?".to_owned(), |size| size.to_string());
    match (decision.size_from, decision.size_to) {
        (None, None) => String::new(),
        (from, to) => format!("{} to {}", text(from), text(to)),
    }
}

fn text(page: &Page) -> String {
    if page.decisions.is_empty() {
        return "no decisions\n".to_owned();
    }
    let mut table = Table::new(&[
        "TIME", "ID", "TARGET", "KIND", "ABOUT", "SIZE", "MODE", "OUTCOME", "POLICY", "REASON",
    ]);
    for decision in &page.decisions {
        table.row([
            moment(decision.at_ms),
            decision.id.clone(),
            decision.target.clone(),
            decision.kind.clone(),
            decision.about.text(),
            size(decision),
            decision.mode.clone(),
            outcome(decision),
            decision.policy.clone(),
            decision.reason.clone(),
        ]);
    }
    let more = page.next_cursor.as_ref().map(|cursor| format!("more with --cursor {cursor}\n"));
    table.text() + &more.unwrap_or_default()
}
