//! `poolwarden pause`, `resume`, `panic`, `approve`, `reject`: a person's orders to a running sidecar.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Answer, encoded};
use super::print::{clean, print, print_raw};
use super::silence::{span, user};
use super::when::moment;
use super::{AskError, Output, Sidecar};

/// How long `approve` waits for what comes of it.
const OUTCOME: Duration = Duration::from_secs(15);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

/// Change nothing of a PgBouncer any more, until it is resumed.
///
/// Policies are still asked and what they want is still recorded. A pause outlives a restart of the
/// sidecar. A change that has harmed is still taken back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden pause main --comment 'a migration'\n  \
    poolwarden pause main --for 2h --comment 'load test' --output json")]
pub struct Pause {
    #[command(flatten)]
    sidecar: Sidecar,
    /// The PgBouncer, by its name in the configuration.
    target: String,
    /// How long, for example `30m` or `2h`; without it until `poolwarden resume`.
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    lasts: Option<Duration>,
    /// Why.
    #[arg(long)]
    comment: String,
    #[command(flatten)]
    more: Signed,
}

/// Change a PgBouncer again that was paused, or on which the panic switch was pulled.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden resume main\n  poolwarden resume main --adopt \
    --comment 'the sizes that I set are a good start'")]
pub struct Resume {
    #[command(flatten)]
    sidecar: Sidecar,
    /// The PgBouncer, by its name in the configuration.
    target: String,
    /// Also hand back the sizes that a person has set: Poolwarden goes on from them.
    #[arg(long)]
    adopt: bool,
    /// Why.
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    more: Signed,
}

/// Put every size that Poolwarden has changed back to the file's, and change nothing any more.
///
/// Sizes that a person has set are left to them. Clients notice nothing: PgBouncer closes surplus
/// connections as they become free. It holds until `poolwarden resume`. Where another sidecar acts, that one
/// is named and must be told: exit code 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden panic\n  poolwarden panic main --yes --comment \
    'something is wrong'")]
pub struct Panic {
    #[command(flatten)]
    sidecar: Sidecar,
    /// The PgBouncer, by its name in the configuration; every one without it.
    target: Option<String>,
    /// Do not ask whether it is meant.
    #[arg(long)]
    yes: bool,
    /// Why.
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    more: Signed,
}

/// Do what waits for a person: a resize or an end of a session under the mode `recommend`.
///
/// The guard is asked once more. Exit code 0 when it was done, 1 when it was refused or failed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden decisions --status proposed\n  poolwarden approve \
    019b1b2c-7f00-7000-8000-000000000001 --comment 'ticket 4711'"
)]
pub struct Approve {
    #[command(flatten)]
    sidecar: Sidecar,
    /// The decision's id.
    id: String,
    /// Why.
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    more: Signed,
}

/// Put away what waits for a person; it is not proposed again for a while.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden reject 019b1b2c-7f00-7000-8000-000000000001\n  \
    poolwarden reject 019b1b2c-7f00-7000-8000-000000000001 --reason 'not before the release'")]
pub struct Reject {
    #[command(flatten)]
    sidecar: Sidecar,
    /// The decision's id.
    id: String,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    more: Signed,
}

/// What every order has.
#[derive(Debug, Args)]
struct Signed {
    /// Who; without it the user of this shell.
    #[arg(long)]
    author: Option<String>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Deserialize)]
struct Page {
    targets: Vec<Held>,
}

#[derive(Debug, Deserialize)]
struct Held {
    target: String,
    status: String,
    #[serde(default)]
    acted_by: Option<String>,
    hold: Option<Hold>,
    in_flight: Vec<String>,
    going_back: Vec<String>,
    set_by_a_person: Vec<String>,
}

/// A person's word that nothing of a target is changed.
#[derive(Debug, Deserialize)]
pub(super) struct Hold {
    kind: String,
    until_ms: Option<u64>,
    author: String,
    comment: String,
}

#[derive(Debug, Deserialize)]
struct Decided {
    id: String,
    kind: String,
    status: String,
    size_from: Option<u32>,
    size_to: Option<u32>,
    transitions: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    note: String,
}

impl Signed {
    fn body(&self, comment: &str) -> Map<String, Value> {
        let author = self.author.clone().or_else(user).unwrap_or_default();
        let given = [("author", author), ("comment", comment.to_owned())];
        given.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
    }

    fn show(&self, answer: &Answer) -> Result<ExitCode, AskError> {
        match self.output {
            Output::Json => print_raw(answer),
            Output::Text => print(&text(&answer.read::<Page>()?)),
        }
    }
}

impl Pause {
    /// Orders and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let mut body = self.more.body(&self.comment);
        if let Some(lasts) = self.lasts {
            let ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
            body.insert("for_ms".to_owned(), json!(ms));
        }
        let path = format!("/v1/targets/{}/pause", encoded(&self.target));
        let answer = self.sidecar.post(&path, &body.into()).await?.success()?;
        self.more.show(&answer)
    }
}

impl Resume {
    /// Orders and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let mut body = self.more.body(&self.comment);
        body.insert("adopt".to_owned(), json!(self.adopt));
        let path = format!("/v1/targets/{}/resume", encoded(&self.target));
        let answer = self.sidecar.post(&path, &body.into()).await?.success()?;
        self.more.show(&answer)
    }
}

impl Panic {
    /// Asks whether it is meant, orders and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let what = self.target.as_deref().unwrap_or("every PgBouncer of this sidecar");
        if !self.yes && !is_meant(what)? {
            eprintln!("nothing was done");
            return Ok(ExitCode::FAILURE);
        }
        let path = match &self.target {
            Some(target) => format!("/v1/targets/{}/panic", encoded(target)),
            None => "/v1/panic".to_owned(),
        };
        let mut body = self.more.body(&self.comment);
        // In a hurry nobody has to have a name.
        body.retain(|_, value| value != "");
        let answer = self.sidecar.post(&path, &body.into()).await?.success()?;
        let page: Page = answer.read()?;
        let shown = self.more.show(&answer)?;
        let is_all = page.targets.iter().all(|one| one.acted_by.is_none());
        Ok(if is_all { shown } else { ExitCode::FAILURE })
    }
}

/// Asks at the terminal; without one nobody can say yes.
fn is_meant(what: &str) -> Result<bool, AskError> {
    let asked = || -> io::Result<bool> {
        let mut errors = io::stderr().lock();
        if !io::stdin().is_terminal() {
            writeln!(errors, "nobody is there to be asked whether it is meant; add --yes")?;
            return Ok(false);
        }
        write!(
            errors,
            "Put the sizes of {what} back to the file's, and stop changing them? [y/N] "
        )?;
        errors.flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    };
    asked().map_err(AskError::Output)
}

impl Approve {
    /// Orders, waits for what comes of it, and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let path = format!("/v1/decisions/{}", encoded(&self.id));
        let body = self.more.body(&self.comment);
        self.sidecar.post(&format!("{path}/approve"), &body.into()).await?.success()?;
        let start = std::time::Instant::now();
        let (answer, decided) = loop {
            let answer = self.sidecar.ask(&path).await?.success()?;
            let decided: Decided = answer.read()?;
            if decided.status != "proposed" || start.elapsed() > OUTCOME {
                break (answer, decided);
            }
            tokio::time::sleep(LOOK).await;
        };
        match self.more.output {
            Output::Json => print_raw(&answer)?,
            Output::Text => print(&decided.text())?,
        };
        let done = matches!(decided.status.as_str(), "applied" | "verified" | "inconclusive");
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Reject {
    /// Orders and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let path = format!("/v1/decisions/{}/reject", encoded(&self.id));
        let body = self.more.body(&self.reason);
        let answer = self.sidecar.post(&path, &body.into()).await?.success()?;
        match self.more.output {
            Output::Json => print_raw(&answer),
            Output::Text => print(&answer.read::<Decided>()?.text()),
        }
    }
}

impl Decided {
    fn text(&self) -> String {
        let sizes = match (self.size_from, self.size_to) {
            (Some(from), Some(to)) => format!(" from {from} to {to}"),
            _ => String::new(),
        };
        let note = self.transitions.last().map(|step| clean(&step.note)).unwrap_or_default();
        let (kind, id, status) = (self.kind.replace('_', " "), &self.id, &self.status);
        format!("{kind}{sizes}: {status}\n  {note}\n  more: poolwarden explain {id}\n")
    }
}

impl Hold {
    /// Says what holds, in a line.
    pub(super) fn words(&self, target: &str) -> String {
        let why =
            if self.comment.is_empty() { String::new() } else { format!(" ({})", self.comment) };
        let until = match self.until_ms {
            Some(ms) => format!("until {}", moment(ms)),
            None => format!("until `poolwarden resume {target}`"),
        };
        let what = match self.kind.as_str() {
            "panic" => "the panic switch was pulled by",
            _ => "paused by",
        };
        clean(&format!("{target}: {what} {}{why}; nothing is changed {until}", self.author))
    }
}

fn text(page: &Page) -> String {
    if page.targets.is_empty() {
        return "no PgBouncer is configured\n".to_owned();
    }
    let lines = page.targets.iter().flat_map(Held::lines);
    lines.map(|line| clean(&line) + "\n").collect()
}

impl Held {
    fn lines(&self) -> Vec<String> {
        let target = &self.target;
        let mut lines = vec![match (&self.acted_by, &self.hold) {
            (Some(other), _) => {
                return vec![format!(
                    "{target}: NOT DONE here: the sidecar {other} acts on it; give it the order"
                )];
            }
            (None, Some(hold)) => hold.words(target),
            (None, None) => format!("{target}: it is changed as its mode says"),
        }];
        let mut list = |what: &str, settings: &[String]| {
            if !settings.is_empty() {
                lines.push(format!("  {what}: {}", settings.join(", ")));
            }
        };
        list("a change is under way and will be finished", &self.in_flight);
        let when = if self.status == "down" { ", when it answers again" } else { "" };
        list(&format!("going back to the file's size{when}"), &self.going_back);
        list("set by a person, and left to them", &self.set_by_a_person);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_told_with_its_end_and_what_is_left_to_do() {
        let page: Page = serde_json::from_value(json!({ "targets": [
            { "target": "main", "status": "down", "in_flight": ["default"],
              "going_back": ["default"], "set_by_a_person": ["database:shop"],
              "hold": { "kind": "panic", "until_ms": null, "author": "ada", "comment": "" } },
            { "target": "eu", "status": "up", "in_flight": [], "going_back": [],
              "set_by_a_person": [],
              "hold": { "kind": "pause", "until_ms": 1_767_225_600_000_u64, "author": "ada",
                        "comment": "a migration\n" } },
            { "target": "us", "status": "up", "in_flight": [], "going_back": [],
              "set_by_a_person": [], "hold": null },
            { "target": "ap", "status": "up", "in_flight": [], "going_back": [],
              "set_by_a_person": [], "hold": null, "acted_by": "019b" },
        ] }))
        .expect("an answer");
        assert_eq!(
            text(&page),
            "main: the panic switch was pulled by ada; nothing is changed until `poolwarden resume \
             main`\n  a change is under way and will be finished: default\n  going back to the \
             file's size, when it answers again: default\n  set by a person, and left to them: \
             database:shop\neu: paused by ada (a migration\u{fffd}); nothing is changed until \
             2026-01-01 00:00:00.000Z\nus: it is changed as its mode says\nap: NOT DONE here: the \
             sidecar 019b acts on it; give it the order\n"
        );
    }
}
