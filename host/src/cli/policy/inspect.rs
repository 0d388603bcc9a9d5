//! `poolwarden policy inspect`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use thiserror::Error;

use super::common::{show, wasm};
use crate::ask::Output;
use crate::ask::print::{Table, clean};
use crate::author::{Given, GivenError};
use crate::cli::failed;
use crate::evaluate::{Allowed, Import, Interface, LoadError, RuntimeError, Setting, Trial};
use crate::model::PastSpan;

/// Show what a plugin is: contract, imports, exports, digest, and its settings as a table.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  poolwarden policy inspect policies/autosize.wasm\n  poolwarden \
    policy inspect plugins/queues --output json\n\nExit codes: 0 shown, 1 not a plugin that can be \
    loaded, 2 wrong usage"
)]
pub(super) struct Inspect {
    /// Plugin (.wasm), policy's file (.toml) or folder of a plugin's source.
    #[arg(value_name = "PLUGIN|DIR")]
    policy: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Given(#[from] GivenError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// What is known of a plugin; what it says itself only when it can be loaded.
struct Known {
    path: PathBuf,
    bytes: usize,
    interface: Interface,
    trial: Result<Trial, LoadError>,
}

impl Inspect {
    pub fn run(self) -> ExitCode {
        let known = match self.look() {
            Ok(known) => known,
            Err(error) => return failed(&error),
        };
        let text = match self.output {
            Output::Text => text(&known),
            Output::Json => format!("{:#}\n", as_json(&known)),
        };
        let code = show(&text, ExitCode::SUCCESS);
        match &known.trial {
            Ok(_) => code,
            Err(error) => failed(error),
        }
    }

    fn look(&self) -> Result<Known, Failure> {
        let given = Given::find(&self.policy)?;
        let bytes = given.bytes()?;
        let runtime = wasm()?;
        let interface = Interface::read(&runtime, &bytes)?;
        let trial = Trial::load(&runtime, &bytes, &given.file.limits);
        Ok(Known { path: given.plugin, bytes: bytes.len(), interface, trial })
    }
}

fn text(known: &Known) -> String {
    let mut lines = Table::new(&["FILE", &known.path.display().to_string()]);
    let mut line = |name: &str, value: String| lines.row([name.to_owned(), value]);
    line("size", format!("{} bytes", known.bytes));
    let contract = known.interface.contract.as_deref().unwrap_or("not told by its imports");
    line("contract", format!("{contract} (spoken here: {})", Interface::CONTRACT));
    for import in &known.interface.imports {
        line("import", format!("{}{}", import.name, remark(import)));
    }
    for export in &known.interface.exports {
        line("export", export.clone());
    }
    let Ok(trial) = &known.trial else { return lines.text() };
    line("digest", trial.digest().to_string());
    line("name", trial.name().to_owned());
    line("version", trial.version().to_owned());
    line("purpose", trial.purpose().to_owned());
    line("evaluated", every(trial.every()));
    line("past", past(trial.past()));
    format!("{}\n{}", lines.text(), settings(&trial.settings()))
}

fn remark(import: &Import) -> &'static str {
    match import.allowed {
        Allowed::Contract => "",
        Allowed::Stubbed => "  (WASI: gives nothing)",
        Allowed::OtherVersion => "  (another version of the contract)",
        Allowed::Forbidden => "  (FORBIDDEN)",
    }
}

fn every(every: Duration) -> String {
    match every {
        Duration::ZERO => "whenever there is news".to_owned(),
        every => format!("at most every {}", span(every)),
    }
}

fn past(past: Option<PastSpan>) -> String {
    match past {
        None => "not asked for".to_owned(),
        Some(PastSpan { step, steps }) => {
            let whole = step.saturating_mul(steps);
            format!("{} in {steps} steps of {}", span(whole), span(step))
        }
    }
}

fn span(span: Duration) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let millis = span.as_millis();
    let unit = units.iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{millis} ms"), |(unit, name)| format!("{} {name}", millis / unit))
}

fn settings(settings: &[Setting]) -> String {
    if settings.is_empty() {
        return "no settings\n".to_owned();
    }
    let mut table = Table::new(&["SETTING", "TYPE", "DEFAULT", "RANGE", "MEANING"]);
    for one in settings {
        let default = match &one.default {
            Value::Null => "-".to_owned(),
            Value::String(text) => format!("{text:?}"),
            other => other.to_string(),
        };
        let (kind, range) = (one.kind.clone(), one.range.clone());
        table.row([one.path.clone(), kind, default, range, clean(&one.meaning)]);
    }
    table.text()
}

fn as_json(known: &Known) -> Value {
    let import = |one: &Import| {
        let allowed = match one.allowed {
            Allowed::Contract => "contract",
            Allowed::Stubbed => "stubbed",
            Allowed::OtherVersion => "other_version",
            Allowed::Forbidden => "forbidden",
        };
        json!({ "name": one.name, "allowed": allowed })
    };
    let imports: Vec<Value> = known.interface.imports.iter().map(import).collect();
    let mut value = json!({
        "file": known.path.display().to_string(),
        "size_bytes": known.bytes,
        "contract": known.interface.contract,
        "contract_spoken": Interface::CONTRACT,
        "imports": imports,
        "exports": known.interface.exports,
    });
    match &known.trial {
        Ok(trial) => add_description(&mut value, trial),
        Err(error) => value["problem"] = json!(crate::report::chain(error)),
    }
    value
}

fn add_description(value: &mut Value, trial: &Trial) {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let setting = |one: &Setting| {
        json!({
            "key": one.path,
            "type": one.kind,
            "default": one.default,
            "range": one.range,
            "meaning": one.meaning,
        })
    };
    value["digest"] = json!(trial.digest().to_string());
    value["name"] = json!(trial.name());
    value["version"] = json!(trial.version());
    value["purpose"] = json!(trial.purpose());
    value["every_ms"] = json!(millis(trial.every()));
    let past = trial.past();
    value["past"] = past
        .map_or(Value::Null, |past| json!({ "step_ms": millis(past.step), "steps": past.steps }));
    value["settings"] = trial.settings().iter().map(setting).collect();
    value["settings_schema"] = trial.schema().clone();
}
