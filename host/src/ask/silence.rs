//! `poolwarden silence add|list|remove`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::encoded;
use super::print::{Table, print, print_raw};
use super::when::moment;
use super::{AskError, Output, Sidecar};

/// Mute alerts for a while; they are recorded and shown all the same.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Silence {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "Examples:\n  \
    poolwarden silence add --alert 'pool-*' --database shop --for 2h --comment 'migration'\n  \
    poolwarden silence add --target eu-1 --for 30m --comment 'PgBouncer is being replaced'\n  \
    poolwarden silence add --label team=shop --alert '*' --for 1d --comment 'load test'\n  \
    poolwarden silence list\n  poolwarden silence remove ID";

#[derive(Debug, Subcommand)]
enum What {
    Add(Add),
    List(List),
    Remove(Remove),
}

/// Add a silence; it ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Add {
    #[command(flatten)]
    sidecar: Sidecar,
    /// Only alerts of this policy; `*` stands for any characters, as in all of these.
    #[arg(long, value_name = "PATTERN")]
    policy: Option<String>,
    /// Only alerts of this name.
    #[arg(long, value_name = "PATTERN")]
    alert: Option<String>,
    /// Only on this PgBouncer.
    #[arg(long, value_name = "PATTERN")]
    target: Option<String>,
    /// Only about this database.
    #[arg(long, value_name = "PATTERN")]
    database: Option<String>,
    /// Only about this user.
    #[arg(long, value_name = "PATTERN")]
    user: Option<String>,
    /// Only with this label, of the alert or of its target; may be given several times.
    #[arg(long = "label", value_name = "NAME=PATTERN", value_parser = label)]
    labels: Vec<(String, String)>,
    /// How long, for example `90s`, `30m`, `2h` or `7d`; at most 30 days.
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    lasts: Duration,
    /// Why.
    #[arg(long)]
    comment: String,
    /// Who; without it the user of this shell.
    #[arg(long)]
    author: Option<String>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// List the silences that hold.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden silence list\n  \
    poolwarden silence list --output json")]
struct List {
    #[command(flatten)]
    sidecar: Sidecar,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// End a silence before its time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden silence remove \
    019b76da-a800-7000-8000-000000000001")]
struct Remove {
    #[command(flatten)]
    sidecar: Sidecar,
    /// The silence's id, as `poolwarden silence list` shows it.
    id: String,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Deserialize)]
struct Shown {
    id: String,
    matchers: Map<String, Value>,
    until_ms: u64,
    author: String,
    comment: String,
    alerts: u64,
}

#[derive(Debug, Deserialize)]
struct Page {
    silences: Vec<Shown>,
}

impl Silence {
    /// Asks and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it refuses, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        match self.what {
            What::Add(add) => add.run().await,
            What::List(list) => list.run().await,
            What::Remove(remove) => remove.run().await,
        }
    }
}

impl Add {
    async fn run(self) -> Result<ExitCode, AskError> {
        let answer = self.sidecar.post("/v1/silences", &self.body()).await?.success()?;
        match self.output {
            Output::Json => print_raw(&answer),
            Output::Text => {
                let Shown { id, until_ms, alerts, .. } = answer.read()?;
                let until = moment(until_ms);
                print(&format!(
                    "silence {id} until {until}; it mutes {alerts} alerts now\n\
                     end it sooner with: poolwarden silence remove {id}\n"
                ))
            }
        }
    }

    fn body(&self) -> Value {
        let given = [
            ("policy", &self.policy),
            ("alert", &self.alert),
            ("target", &self.target),
            ("database", &self.database),
            ("user", &self.user),
        ];
        let mut matchers: Map<String, Value> = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))))
            .collect();
        if !self.labels.is_empty() {
            let labels = self.labels.iter().map(|(name, value)| (name.clone(), json!(value)));
            matchers.insert("labels".to_owned(), Value::Object(labels.collect()));
        }
        json!({
            "matchers": matchers,
            "for_ms": u64::try_from(self.lasts.as_millis()).unwrap_or(u64::MAX),
            "author": self.author.clone().or_else(user).unwrap_or_default(),
            "comment": self.comment,
        })
    }
}

impl List {
    async fn run(self) -> Result<ExitCode, AskError> {
        let answer = self.sidecar.ask("/v1/silences").await?.success()?;
        match self.output {
            Output::Json => print_raw(&answer),
            Output::Text => print(&text(&answer.read::<Page>()?)),
        }
    }
}

impl Remove {
    async fn run(self) -> Result<ExitCode, AskError> {
        let path = format!("/v1/silences/{}", encoded(&self.id));
        self.sidecar.delete(&path).await?.success()?;
        match self.output {
            Output::Json => print(&format!("{}\n", json!({ "id": self.id, "removed": true }))),
            Output::Text => print(&format!("silence {} has ended\n", self.id)),
        }
    }
}

fn text(page: &Page) -> String {
    if page.silences.is_empty() {
        return "no silences\n".to_owned();
    }
    let mut table = Table::new(&["ID", "UNTIL", ">ALERTS", "MATCHES", "AUTHOR", "COMMENT"]);
    for silence in &page.silences {
        table.row([
            silence.id.clone(),
            moment(silence.until_ms),
            silence.alerts.to_string(),
            matches(&silence.matchers),
            silence.author.clone(),
            silence.comment.clone(),
        ]);
    }
    table.text()
}

fn matches(matchers: &Map<String, Value>) -> String {
    let one = |(name, value): (&String, &Value)| match value {
        Value::Object(labels) => matches(labels),
        value => format!("{name}={}", value.as_str().unwrap_or_default()),
    };
    matchers.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Gives the shell's user; the sidecar refuses a silence of nobody.
pub(super) fn user() -> Option<String> {
    std::env::var("USER").ok()
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give it as NAME=PATTERN")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads a number with one of the units `s`, `m`, `h`, `d`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a span; give a number with s, m, h or d, as in 90m");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit_s: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit_s).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        for (text, s) in [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(span(text), Ok(Duration::from_secs(s)), "{text}");
        }
        for text in ["", "7", "m", "-1h", "1.5h", "1w", "2 h", "99999999999999999999d", "1ä"] {
            assert!(span(text).is_err_and(|why| why.contains("90m")), "{text}");
        }
    }

    #[test]
    fn a_list_shows_what_is_matched() {
        let page = serde_json::from_value(json!({ "silences": [{
            "id": "1", "until_ms": 1_767_225_600_000_u64, "since_ms": 0, "alerts": 3,
            "matchers": { "alert": "pool-*", "labels": { "team": "shop" } },
            "author": "ada", "comment": "a\u{1b}migration",
        }] }));
        let text = text(&page.expect("a page"));
        assert_eq!(
            text,
            "ID  UNTIL                     ALERTS  MATCHES                 AUTHOR  COMMENT\n\
             1   2026-01-01 00:00:00.000Z       3  alert=pool-* team=shop  ada     a\u{fffd}migration\n"
        );
    }
}
