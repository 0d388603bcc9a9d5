//! Loading a plugin: every step that must pass before it may serve.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wasmtime::component::Component;

use super::bindings::{PolicyPre, types};
use super::component::{check_contract, component_bytes, wants_wasi};
use super::convert::shared;
use super::file::EVERY_MAX_MS;
use super::instance::{Guest, State};
use super::{Fault, PolicyFileError, Runtime};
use crate::config::PluginLimits;
use crate::model::{Digest, PastSpan, TargetName, Window};

/// Largest plugin file: interpreters of scripting languages come to about 20 MB.
pub(super) const FILE_MAX_BYTES: u64 = 64 << 20;
/// What `describe` and the dry run may take: a first call also sets the guest up.
const SETUP_DEADLINE: Duration = Duration::from_secs(2);

/// A plugin or policy that may not serve, and why.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The policy's TOML is wrong.
    #[error(transparent)]
    File(#[from] PolicyFileError),
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is too large to be a plugin.
    #[error("the file has {bytes} bytes; a plugin may have {FILE_MAX_BYTES}")]
    TooLarge {
        /// The file's size.
        bytes: u64,
    },
    /// The file is not WebAssembly, or only half of it is there.
    #[error("the file is not WebAssembly, or not yet written to its end")]
    NotWasm,
    /// A core module without the contract, or a broken one.
    #[error("the module cannot be made a component (is it built with the policy SDK?): {0}")]
    NotAComponent(String),
    /// Asks for more than the contract offers.
    #[error("the plugin imports {0:?}, which no policy may have")]
    ForbiddenImport(String),
    /// Built for another version of the contract.
    #[error(
        "the plugin is built for contract {needs}; this Poolwarden speaks {speaks}: run it on one \
         that speaks {needs}, or build it against {speaks}"
    )]
    Contract {
        /// The version that the plugin was built for.
        needs: String,
        /// The version that is spoken here.
        speaks: &'static str,
    },
    /// Lacks a function of the contract.
    #[error("the plugin exports no function {0:?}")]
    MissingExport(&'static str),
    /// Does not compile.
    #[error("the plugin does not compile: {0}")]
    Compile(String),
    /// Does not link: a function has other types than the contract's.
    #[error("the plugin does not fit the contract: {0}")]
    Link(String),
    /// Misbehaves when asked what it is.
    #[error("the plugin's describe() {0}")]
    Describe(Fault),
    /// Its settings schema is not a JSON Schema.
    #[error("the plugin's settings schema cannot be used: {0}")]
    Schema(String),
    /// Asks for a past that the store does not keep.
    #[error(
        "the plugin asks for {steps} steps of {step_ms} ms of the past; a step is a multiple of 600000 \
         ms, and there are 1 to {} steps in at most 35 days",
        PastSpan::STEPS_MAX
    )]
    Past {
        /// Length of a step.
        step_ms: u64,
        /// Number of steps.
        steps: u32,
    },
    /// The policy's settings do not satisfy the schema.
    #[error("settings: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// Misbehaves on an empty window.
    #[error("the dry run on an empty window {0}")]
    DryRun(Fault),
}

/// A compiled and checked plugin, shared by all policies that use it.
pub(super) struct Plugin {
    pub digest: Digest,
    pub bytes: Arc<[u8]>,
    pub name: String,
    pub version: Arc<str>,
    pub purpose: String,
    pub schema: Value,
    /// How often it wants to be asked at the most.
    pub every: Duration,
    /// How much of the past it wants to see.
    pub past: Option<PastSpan>,
    pub pre: PolicyPre<State>,
}

/// Gives the identity of plugin bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Compiles, checks and describes a plugin. Takes from milliseconds to many seconds: call it on a
/// thread that may block.
pub(super) fn load_plugin(
    runtime: &Arc<Runtime>,
    bytes: &[u8],
    limits: &PluginLimits,
) -> Result<Plugin, LoadError> {
    if let Some(compiler) = &runtime.compiler {
        compiler.fill_cache(bytes)?;
    }
    let pre = prepare(runtime, bytes)?;
    let guest = Guest {
        runtime: Arc::clone(runtime),
        pre: pre.clone(),
        limits: setup_limits(limits),
        name: Arc::from("(loading)"),
        log: Arc::default(),
    };
    let description = guest.describe().map_err(LoadError::Describe)?;
    let schema = serde_json::from_str(&description.settings_schema)
        .map_err(|error| LoadError::Schema(error.to_string()))?;
    let past = description.past.map(past_span).transpose()?;
    Ok(Plugin {
        every: Duration::from_millis(description.every_ms.min(EVERY_MAX_MS)),
        past,
        digest: digest(bytes),
        bytes: Arc::from(bytes),
        name: super::answer::cut(&description.name, 64).to_owned(),
        version: Arc::from(super::answer::cut(&description.version, 64)),
        purpose: super::answer::cut(&description.purpose, 256).to_owned(),
        schema,
        pre,
    })
}

fn past_span(asked: types::PastSpan) -> Result<PastSpan, LoadError> {
    let types::PastSpan { step_ms, steps } = asked;
    let span = PastSpan { step: Duration::from_millis(step_ms), steps };
    let shortest = u64::try_from(PastSpan::STEP_MIN.as_millis()).unwrap_or(u64::MAX);
    let is_kept = step_ms >= shortest
        && step_ms.is_multiple_of(shortest)
        && (1..=PastSpan::STEPS_MAX).contains(&steps)
        && span.length() <= PastSpan::SPAN_MAX;
    if is_kept { Ok(span) } else { Err(LoadError::Past { step_ms, steps }) }
}

/// Compiles and links, without running anything of the guest.
///
/// A file that makes a library panic is a bad file, and no reason for the sidecar not to start.
pub(super) fn prepare(runtime: &Arc<Runtime>, bytes: &[u8]) -> Result<PolicyPre<State>, LoadError> {
    catch_unwind(AssertUnwindSafe(|| link(runtime, bytes)))
        .unwrap_or_else(|_| Err(LoadError::Compile("it makes the compiler panic".to_owned())))
}

fn link(runtime: &Arc<Runtime>, bytes: &[u8]) -> Result<PolicyPre<State>, LoadError> {
    let component = component_bytes(&runtime.engine, bytes)?;
    let component = Component::from_binary(&runtime.engine, &component)
        .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    check_contract(&runtime.engine, &component)?;
    let wasi = wants_wasi(&runtime.engine, &component);
    let linker = if wasi { &runtime.with_wasi } else { &runtime.plain };
    linker
        .instantiate_pre(&component)
        .and_then(PolicyPre::new)
        .map_err(|error| LoadError::Link(format!("{error:#}")))
}

/// Evaluates an empty window, to find what would fail at once.
pub(super) fn dry_run(guest: &Guest, settings: &str) -> Result<(), LoadError> {
    let guest = Guest { limits: setup_limits(&guest.limits), ..guest.clone() };
    let name = TargetName::new("dry-run").expect("a constant that fits");
    let input = shared(Window::empty(name));
    let ran = guest.evaluate(&input, settings, &[]).map_err(LoadError::DryRun)?;
    super::answer::proposals(&input, &ran.answer.proposals).map_err(LoadError::DryRun)?;
    Ok(())
}

fn setup_limits(limits: &PluginLimits) -> PluginLimits {
    PluginLimits { deadline: limits.deadline.max(SETUP_DEADLINE), ..limits.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_kept(step_ms: u64, steps: u32) -> bool {
        past_span(types::PastSpan { step_ms, steps }).is_ok()
    }

    #[test]
    fn a_past_is_obeyed_at_its_bounds_and_refused_beyond() {
        assert!(is_kept(600_000, 1) && is_kept(600_000, 1_008) && is_kept(3_000_000, 1_008));
        assert!(!is_kept(600_000, 0) && !is_kept(600_000, 1_009), "number of steps");
        assert!(!is_kept(0, 10) && !is_kept(60_000, 10) && !is_kept(900_000, 10), "length of one");
        assert!(is_kept(3_600_000, 840) && !is_kept(3_600_000, 841), "35 days");
        assert!(!is_kept(u64::MAX / 600_000 * 600_000, 1_008));
    }
}
