//! `poolwarden policy test`.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::common::{Paint, code, show, wasm};
use crate::ask::{Output, print::clean};
use crate::author::{Coverage, Difference, Field, Given, OnFailure, Suite, Verdict};
use crate::cli::failed;

/// Run the cases of a policy.
///
/// A case is a folder with a window, settings and what is expected; plugins/README.md has the
/// format. Every case runs in a fresh instance of the plugin, under the limits of production.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden policy test plugins/queues\n  poolwarden policy test \
    policies/queues.wasm --cases cases --case a-queue-is-told\n  poolwarden policy test \
    policies/rules.toml --cases cases   # with the settings of a policy's file\n  poolwarden \
    policy test plugins/queues --update   # write down what the plugin says now\n\nExit codes: 0 \
    all cases pass, 1 one does not or cannot be run, 2 wrong usage"
)]
pub(super) struct Test {
    /// Plugin (.wasm), policy's file (.toml) or folder of a plugin's source.
    #[arg(value_name = "PLUGIN|DIR")]
    policy: PathBuf,
    /// Folder of the cases; without it `cases` beside the source or the plugin.
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Run only this case.
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Rewrite expected.toml of each case that does not pass with what the plugin answers.
    #[arg(long)]
    update: bool,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Test {
    pub fn run(self) -> ExitCode {
        let given = match Given::find(&self.policy) {
            Ok(given) => given,
            Err(error) => return failed(&error),
        };
        let cases = match self.cases.map_or_else(|| given.cases(), Ok) {
            Ok(cases) => cases,
            Err(error) => return failed(&error),
        };
        let runtime = match wasm() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error),
        };
        let on_failure = if self.update { OnFailure::Update } else { OnFailure::Tell };
        let suite = Suite::run(&runtime, &given, &cases, self.case.as_deref(), on_failure);
        match suite {
            Ok(suite) => {
                let text = match self.output {
                    Output::Text => text(&suite, Paint::new()),
                    Output::Json => format!("{:#}\n", as_json(&suite)),
                };
                show(&text, code(suite.is_good()))
            }
            Err(error) => failed(&error),
        }
    }
}

fn text(suite: &Suite, paint: Paint) -> String {
    let mut text = format!("{} ({})\n", clean(&suite.plugin), suite.digest);
    for (name, verdict) in &suite.cases {
        let (word, told) = match verdict {
            Verdict::Passed => (paint.good("ok     "), String::new()),
            Verdict::Updated => (paint.good("updated"), String::new()),
            Verdict::Failed(differences) => {
                (paint.bad("FAILED "), differences.iter().map(|one| told(one, paint)).collect())
            }
            Verdict::Incomplete(problems) => {
                let line = |problem: &String| format!("    {}\n", clean(problem));
                (paint.bad("FAILED "), problems.iter().map(line).collect())
            }
        };
        push(&mut text, &format!("{word} {}\n{told}", clean(name)));
    }
    if let Some(Coverage { untried, .. }) = &suite.coverage
        && !untried.is_empty()
    {
        push(&mut text, &format!("settings that no case changes: {}\n", untried.join(", ")));
    }
    push(&mut text, &summary(suite));
    text
}

fn summary(suite: &Suite) -> String {
    let total = suite.cases.len();
    let passed = suite.count(|one| matches!(one, Verdict::Passed));
    let updated = suite.count(|one| matches!(one, Verdict::Updated));
    let failed = total - passed - updated;
    let plural = if total == 1 { "case" } else { "cases" };
    let mut text = format!("{total} {plural}: {passed} passed, {failed} failed");
    if updated > 0 {
        push(&mut text, &format!(", {updated} updated"));
    }
    if let Some(coverage) = &suite.coverage {
        let tried = coverage.settings - coverage.untried.len();
        push(&mut text, &format!("; {tried} of {} settings covered", coverage.settings));
    }
    text.push('\n');
    text
}

fn told(difference: &Difference, paint: Paint) -> String {
    match difference {
        Difference::Differs { what, fields } => {
            let mut text = format!("    {}\n", clean(what));
            for Field { path, expected, got } in fields {
                let (expected, got) = (shown(expected), shown(got));
                let (expected, got) = (paint.good(&expected), paint.bad(&got));
                let path = clean(path);
                push(&mut text, &format!("      {path}: expected {expected}, got {got}\n"));
            }
            text
        }
        Difference::Missing { what, expected } => {
            format!("    {}: {}\n{}", paint.bad("missing"), clean(what), values(expected))
        }
        Difference::Unexpected { what, got } => {
            format!("    {}: {}\n{}", paint.bad("unexpected"), clean(what), values(got))
        }
        Difference::Outcome { expected, got } => format!(
            "    expected {}\n    got {}\n",
            paint.good(&clean(expected)),
            paint.bad(&clean(got))
        ),
    }
}

/// Lists what a proposal says beyond its heading.
fn values(table: &Map<String, Value>) -> String {
    let heading = ["kind", "name", "pool", "scope", "subject", "client"];
    let rest = table.iter().filter(|(key, _)| !heading.contains(&key.as_str()));
    rest.map(|(key, value)| format!("      {} = {}\n", clean(key), shown(value))).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Object(table) => {
            let pairs =
                table.iter().map(|(key, value)| format!("{} = {}", clean(key), shown(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => clean(&other.to_string()),
    }
}

fn push(text: &mut String, more: &str) {
    // Text takes every text.
    let _ = text.write_str(more);
}

fn as_json(suite: &Suite) -> Value {
    let cases: Vec<Value> = suite.cases.iter().map(|(name, verdict)| case(name, verdict)).collect();
    let coverage = suite
        .coverage
        .as_ref()
        .map(|coverage| json!({ "settings": coverage.settings, "untried": coverage.untried }));
    json!({
        "plugin": suite.plugin,
        "digest": suite.digest,
        "is_good": suite.is_good(),
        "cases": cases,
        "coverage": coverage,
    })
}

fn case(name: &str, verdict: &Verdict) -> Value {
    let (outcome, differences, problems) = match verdict {
        Verdict::Passed => ("passed", None, None),
        Verdict::Updated => ("updated", None, None),
        Verdict::Failed(differences) => ("failed", Some(differences), None),
        Verdict::Incomplete(problems) => ("incomplete", None, Some(problems)),
    };
    let differences: Vec<Value> = differences.into_iter().flatten().map(difference).collect();
    let problems = problems.cloned().unwrap_or_default();
    json!({ "name": name, "outcome": outcome, "differences": differences, "problems": problems })
}

fn difference(difference: &Difference) -> Value {
    match difference {
        Difference::Differs { what, fields } => {
            let field =
                |one: &Field| json!({ "path": one.path, "expected": one.expected, "got": one.got });
            let fields: Vec<Value> = fields.iter().map(field).collect();
            json!({ "kind": "differs", "what": what, "fields": fields })
        }
        Difference::Missing { what, expected } => {
            json!({ "kind": "missing", "what": what, "expected": expected })
        }
        Difference::Unexpected { what, got } => {
            json!({ "kind": "unexpected", "what": what, "got": got })
        }
        Difference::Outcome { expected, got } => {
            json!({ "kind": "outcome", "expected": expected, "got": got })
        }
    }
}
