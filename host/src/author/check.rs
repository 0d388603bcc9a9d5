//! Everything that stands between a plugin and serving, each with what to do about it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::given::{Given, GivenError, is_folder_of_policies, policies_in};
use super::synthetic::window_of;
use crate::evaluate::{
    Allowed, Fault, Interface, LoadError, PLUGIN_BYTES_MAX, Policy, Runtime, Trial,
};
use crate::report::chain;

/// Pools that a policy should cope with under its limits.
const POOLS: [u32; 3] = [1, 100, 1_000];
/// Times that a window is tried that overruns the deadline: a busy machine is no fault of a plugin.
const TRIES: usize = 3;

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// Fine.
    Good,
    /// Worth knowing.
    Note,
    /// Keeps the policy from serving.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How good it is.
    pub grade: Grade,
    /// What was looked at: `contract`, `imports`, …
    pub what: &'static str,
    /// What was found.
    pub text: String,
    /// What to do about it; empty when there is nothing to do.
    pub remedy: String,
}

/// What was found of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The file.
    pub path: String,
    /// Everything that was looked at, in order.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Says whether nothing keeps the policy from serving.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.grade != Grade::Bad)
    }

    fn add(&mut self, grade: Grade, what: &'static str, text: String, remedy: &str) {
        let remedy = remedy.to_owned();
        self.findings.push(Finding { grade, what, text, remedy });
    }

    fn good(&mut self, what: &'static str, text: String) {
        self.add(Grade::Good, what, text, "");
    }
}

/// Checks a plugin, a policy's file, or each policy of a folder.
///
/// # Errors
/// When the path names none of these.
pub fn check(runtime: &Arc<Runtime>, path: &Path) -> Result<Vec<Checked>, GivenError> {
    if !is_folder_of_policies(path) {
        return Ok(vec![one(runtime, path)?]);
    }
    policies_in(path)?.iter().map(|path| one(runtime, path)).collect()
}

fn one(runtime: &Arc<Runtime>, path: &Path) -> Result<Checked, GivenError> {
    match Given::find(path) {
        Ok(given) => Ok(of(runtime, &given, path)),
        Err(GivenError::File(error)) => {
            let mut checked = Checked { path: path.display().to_string(), findings: Vec::new() };
            checked.add(Grade::Bad, "file", error.reason, "correct the policy's file");
            Ok(checked)
        }
        Err(error) => Err(error),
    }
}

fn of(runtime: &Arc<Runtime>, given: &Given, path: &Path) -> Checked {
    let mut checked = Checked { path: path.display().to_string(), findings: Vec::new() };
    if let Some(bytes) = read(given, &mut checked)
        && interface(runtime, &bytes, &mut checked)
        && let Some(trial) = load(runtime, given, &bytes, &mut checked)
        && let Some(policy) = settings(&trial, given, &mut checked)
    {
        limits(&trial, given, &policy, &mut checked);
    }
    checked
}

fn read(given: &Given, checked: &mut Checked) -> Option<Vec<u8>> {
    let bytes = match given.bytes() {
        Ok(bytes) => bytes,
        Err(error) => {
            let remedy = "put the plugin beside the policy's file, or correct `plugin = …`";
            checked.add(Grade::Bad, "file", chain(&error), remedy);
            return None;
        }
    };
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let text = format!("{} bytes of at most {PLUGIN_BYTES_MAX}", bytes.len());
    if size > PLUGIN_BYTES_MAX {
        checked.add(Grade::Bad, "size", text, "build it optimised for size, and strip it");
        return None;
    }
    checked.good("size", text);
    Some(bytes)
}

/// Looks at what the plugin wants and offers; says whether it can be loaded at all.
fn interface(runtime: &Arc<Runtime>, bytes: &[u8], checked: &mut Checked) -> bool {
    let interface = match Interface::read(runtime, bytes) {
        Ok(interface) => interface,
        Err(error) => {
            let remedy = match &error {
                LoadError::NotWasm => "give the .wasm that the build made",
                LoadError::NotAComponent(_) => {
                    "build it with one of the SDKs: it lacks the contract's types"
                }
                _ => "build it again; the file may be cut short",
            };
            checked.add(Grade::Bad, "WebAssembly", chain(&error), remedy);
            return false;
        }
    };
    let speaks = Interface::CONTRACT;
    let mut is_good = true;
    match interface.contract.as_deref() {
        Some(version) if version == speaks => checked.good("contract", version.to_owned()),
        None => checked.add(Grade::Note, "contract", "no import tells the version".to_owned(), ""),
        Some(version) => {
            is_good = false;
            let text = format!("built for {version}; this Poolwarden speaks {speaks}");
            let remedy = format!(
                "run it on a Poolwarden that speaks contract {version}, or build it against {speaks}"
            );
            checked.add(Grade::Bad, "contract", text, &remedy);
        }
    }
    for import in &interface.imports {
        let name = import.name.clone();
        match import.allowed {
            Allowed::Contract => checked.good("import", name),
            Allowed::Stubbed => checked.add(
                Grade::Note,
                "import",
                format!("{name} (WASI: linked, but it gives nothing)"),
                "",
            ),
            Allowed::OtherVersion => {}
            Allowed::Forbidden => {
                is_good = false;
                let remedy = "a policy has no network, files or other services; leave it out";
                checked.add(Grade::Bad, "import", format!("{name} is forbidden"), remedy);
            }
        }
    }
    is_good & exports(&interface, checked)
}

fn exports(interface: &Interface, checked: &mut Checked) -> bool {
    let mut is_good = true;
    for name in ["describe", "evaluate"] {
        if interface.exports.iter().any(|export| export == name) {
            checked.good("export", name.to_owned());
        } else {
            is_good = false;
            let remedy = "export the policy with the SDK's macro or entry point";
            checked.add(Grade::Bad, "export", format!("{name} is missing"), remedy);
        }
    }
    is_good
}

fn load(
    runtime: &Arc<Runtime>,
    given: &Given,
    bytes: &[u8],
    checked: &mut Checked,
) -> Option<Trial> {
    match Trial::load(runtime, bytes, &given.file.limits) {
        Ok(trial) => {
            let text = format!("{} {}: {}", trial.name(), trial.version(), trial.purpose());
            checked.good("describe", text);
            Some(trial)
        }
        Err(error) => {
            let (what, remedy) = match &error {
                LoadError::Describe(_) => {
                    ("describe", "describe() must return at once, with constants")
                }
                LoadError::Schema(_) => {
                    ("schema", "give a JSON Schema of an object in settings-schema")
                }
                _ => ("link", "build it against plugins/wit/v1 as it is"),
            };
            checked.add(Grade::Bad, what, chain(&error), remedy);
            None
        }
    }
}

fn settings(trial: &Trial, given: &Given, checked: &mut Checked) -> Option<Arc<Policy>> {
    let (settings, policy) =
        (trial.settings(), trial.policy(given.name.clone(), given.file.clone()));
    let (what, remedy) = match &policy {
        Err(LoadError::Schema(_)) => ("schema", "give a JSON Schema in settings-schema"),
        Err(LoadError::Settings(_)) => ("settings", "correct [settings] in the policy's file"),
        Err(LoadError::DryRun(fault)) => ("dry run", remedy_of(fault)),
        Err(_) => ("policy", ""),
        Ok(_) => ("", ""),
    };
    if let Err(error) = &policy {
        checked.add(Grade::Bad, what, chain(error), remedy);
        return None;
    }
    checked.good("schema", format!("{} settings", settings.len()));
    let named = |wanted: fn(&crate::evaluate::Setting) -> bool| {
        let paths = settings.iter().filter(|one| wanted(one)).map(|one| one.path.as_str());
        paths.collect::<Vec<_>>().join(", ")
    };
    let unexplained = named(|one| one.meaning.is_empty());
    if !unexplained.is_empty() {
        let remedy = "describe them in the schema, for whoever sets them";
        checked.add(Grade::Note, "schema", format!("without a description: {unexplained}"), remedy);
    }
    let set = given.file.settings.as_object().map_or(0, serde_json::Map::len);
    checked.good("settings", format!("{set} set, the rest as the plugin has them"));
    checked.good("dry run", "an empty window is answered".to_owned());
    policy.ok()
}

fn limits(trial: &Trial, given: &Given, policy: &Arc<Policy>, checked: &mut Checked) {
    let limits = &given.file.limits;
    for pools in POOLS {
        let input = Arc::new(window_of(pools, 11, trial.past()));
        let mut result = policy.evaluate(&input, Arc::from([]));
        for _ in 1..TRIES {
            if matches!(result.outcome, Err(Fault::Deadline(_))) {
                result = policy.evaluate(&input, Arc::from([]));
            }
        }
        let memory = policy.measure_memory(&input, &[]).unwrap_or(0);
        match result.outcome {
            Ok(answered) => checked.good(
                "limits",
                format!(
                    "{}: {:.2} of {} ms, {:.1} of {} MiB, {} proposals",
                    counted(pools),
                    millis(result.took),
                    limits.deadline.as_millis(),
                    mib(memory),
                    limits.memory_bytes >> 20,
                    answered.proposals.len(),
                ),
            ),
            Err(fault) => {
                let text = format!("{}: the plugin {fault}", counted(pools));
                checked.add(Grade::Bad, "limits", text, remedy_of(&fault));
                return;
            }
        }
    }
}

fn counted(pools: u32) -> String {
    if pools == 1 { "1 pool".to_owned() } else { format!("{pools} pools") }
}

fn remedy_of(fault: &Fault) -> &'static str {
    match fault {
        Fault::Deadline(_) => "do less, or raise limits.deadline_ms in the policy's file",
        Fault::Memory { .. } => "use less, or raise limits.memory_mib in the policy's file",
        Fault::TooMuch(_) => "answer less, or raise limits.answer_kib in the policy's file",
        Fault::Stack => "recurse less: a policy has half a megabyte of stack",
        _ => "every window must be answered, also one without pools; write a case of it",
    }
}

fn mib(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}
