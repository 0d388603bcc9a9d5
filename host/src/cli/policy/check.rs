//! `poolwarden policy check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::common::{Paint, code, show, wasm};
use crate::ask::{Output, print::clean};
use crate::author::{Checked, Finding, Grade, check};
use crate::cli::failed;

/// Check whether a policy may serve, and say what to do where it may not.
///
/// Looks at size, contract, imports, exports, description, settings schema, the settings of a
/// policy's file, a dry run, and the limits with up to 1000 pools.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden policy check policies/queues.wasm\n  poolwarden policy \
    check policies/queues.toml   # with the settings and limits of the policy's file\n  poolwarden \
    policy check policies               # every policy of a folder\n\nExit codes: 0 may serve, 1 \
    may not, 2 wrong usage"
)]
pub(super) struct Check {
    /// Plugin (.wasm), policy's file (.toml), folder of policies or of a plugin's source.
    #[arg(value_name = "PLUGIN|POLICY|DIR")]
    policy: PathBuf,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Check {
    pub fn run(self) -> ExitCode {
        let runtime = match wasm() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error),
        };
        let checked = match check(&runtime, &self.policy) {
            Ok(checked) => checked,
            Err(error) => return failed(&error),
        };
        let text = match self.output {
            Output::Text => checked.iter().map(|one| text(one, Paint::new())).collect(),
            Output::Json => format!("{:#}\n", as_json(&checked)),
        };
        show(&text, code(checked.iter().all(Checked::is_good)))
    }
}

fn text(checked: &Checked, paint: Paint) -> String {
    let mut text = format!("{}\n", clean(&checked.path));
    for Finding { grade, what, text: found, remedy } in &checked.findings {
        let word = match grade {
            Grade::Good => paint.good("ok    "),
            Grade::Note => "note  ".to_owned(),
            Grade::Bad => paint.bad("FAILED"),
        };
        text.push_str(&format!("  {word}  {what}: {}\n", clean(found)));
        if !remedy.is_empty() {
            text.push_str(&format!("          {}\n", clean(remedy)));
        }
    }
    text
}

fn as_json(checked: &[Checked]) -> Value {
    let finding = |one: &Finding| {
        let grade = match one.grade {
            Grade::Good => "ok",
            Grade::Note => "note",
            Grade::Bad => "failed",
        };
        json!({ "grade": grade, "what": one.what, "text": one.text, "remedy": one.remedy })
    };
    let policy = |one: &Checked| {
        let findings: Vec<Value> = one.findings.iter().map(finding).collect();
        json!({ "path": one.path, "is_good": one.is_good(), "findings": findings })
    };
    json!({ "policies": checked.iter().map(policy).collect::<Vec<_>>() })
}
