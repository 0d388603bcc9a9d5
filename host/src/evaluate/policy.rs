//! A policy that may serve: a plugin with settings, a scope, a mode and limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bindings::types;
use super::convert::Input;
use super::instance::Guest;
use super::load::{LoadError, Plugin, dry_run};
use super::settings::check_settings;
use super::{Fault, PolicyFile, Runtime, answer};
use crate::model::{Digest, Mode, PolicyName, Proposal, TargetName, Timestamp, Window};

/// A plugin with settings, scope and mode, proven to run.
#[derive(Clone)]
pub struct Policy {
    pub(super) name: PolicyName,
    pub(super) file: PolicyFile,
    pub(super) plugin: Arc<Plugin>,
    pub(super) settings: Arc<str>,
    pub(super) loaded_at: Timestamp,
    guest: Guest,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digest = self.plugin.digest;
        f.debug_struct("Policy").field("name", &self.name).field("digest", &digest).finish()
    }
}

/// What a policy answered in one evaluation.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What it proposes.
    pub proposals: Vec<Proposal>,
    /// What it wants to remember.
    pub memory: Vec<u8>,
    raw: Arc<types::Answer>,
}

impl Answered {
    /// Gives the answer as the plugin gave it.
    pub(super) fn raw(&self) -> Arc<types::Answer> {
        Arc::clone(&self.raw)
    }

    /// Writes the answer as the plugin gave it, exact to the last bit.
    ///
    /// # Errors
    /// Never in practice.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self.raw.as_ref())
    }
}

/// One policy's part of a tick.
#[derive(Debug, Clone)]
pub struct PolicyResult {
    /// The policy.
    pub policy: Arc<Policy>,
    /// What it was given.
    pub input: Arc<Input>,
    /// What it remembered from before.
    pub memory_before: Arc<[u8]>,
    /// What it said, or what it did wrong.
    pub outcome: Result<Answered, Fault>,
    /// Time that it took, its fresh instance included.
    pub took: Duration,
}

impl Policy {
    /// Puts a policy together; every check that needs no traffic happens here.
    pub(super) fn new(
        runtime: &Arc<Runtime>,
        name: PolicyName,
        file: PolicyFile,
        plugin: Arc<Plugin>,
        now: Timestamp,
    ) -> Result<Self, LoadError> {
        check_settings(&plugin.schema, &file.settings)?;
        let settings: Arc<str> = Arc::from(file.settings.to_string());
        let guest = Guest {
            runtime: Arc::clone(runtime),
            pre: plugin.pre.clone(),
            limits: file.limits.clone(),
            name: Arc::from(name.as_str()),
            log: Arc::default(),
        };
        dry_run(&guest, &settings)?;
        Ok(Self { name, file, plugin, settings, loaded_at: now, guest })
    }

    /// Gives the same policy with a mode that is at most as wide as another's.
    pub(super) fn at_most(&self, mode: Mode) -> Self {
        let mut narrower = self.clone();
        narrower.file.mode = self.file.mode.stricter(mode);
        narrower
    }

    /// Gives the name.
    pub fn name(&self) -> &PolicyName {
        &self.name
    }

    /// Gives the mode.
    pub fn mode(&self) -> Mode {
        self.file.mode
    }

    /// Gives the identity of the plugin's bytes.
    pub fn digest(&self) -> Digest {
        self.plugin.digest
    }

    /// Gives the plugin's bytes.
    pub fn plugin_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.plugin.bytes)
    }

    /// Gives the version that the plugin says it has.
    pub fn version(&self) -> Arc<str> {
        Arc::clone(&self.plugin.version)
    }

    /// Gives the settings as the JSON that the plugin gets.
    pub fn settings(&self) -> Arc<str> {
        Arc::clone(&self.settings)
    }

    /// Evaluates once.
    pub fn evaluate(
        self: &Arc<Self>,
        input: &Arc<Input>,
        memory_before: Arc<[u8]>,
    ) -> PolicyResult {
        let start = std::time::Instant::now();
        let outcome = self.guest.evaluate(input, &self.settings, &memory_before);
        let took = outcome.as_ref().map_or_else(|_| start.elapsed(), |ran| ran.took);
        let outcome = outcome.and_then(|ran| read(input, ran.answer));
        let (policy, input) = (Arc::clone(self), Arc::clone(input));
        PolicyResult { policy, input, memory_before, outcome, took }
    }

    /// Calls one live instance several times and gives what each call alone took.
    ///
    /// The first call meets fresh memory as every evaluation does; the others tell what a call
    /// costs by itself. For benchmarks only: the sidecar gives each evaluation its own instance.
    ///
    /// # Errors
    /// When the plugin misbehaves.
    pub fn time_calls(
        &self,
        input: &Arc<Input>,
        memory: &[u8],
        calls: usize,
    ) -> Result<Vec<Duration>, Fault> {
        self.guest.time_calls(input, &self.settings, memory, calls)
    }

    /// Evaluates once and gives the bytes of memory and tables that the instance had in the end.
    ///
    /// # Errors
    /// When the plugin misbehaves.
    pub fn measure_memory(&self, input: &Arc<Input>, memory: &[u8]) -> Result<usize, Fault> {
        self.guest.measure_memory(input, &self.settings, memory)
    }
}

fn read(input: &Input, raw: types::Answer) -> Result<Answered, Fault> {
    let proposals = answer::proposals(input, &raw.proposals)?;
    Ok(Answered { proposals, memory: raw.memory.clone(), raw: Arc::new(raw) })
}

/// What the policies remember of one target.
pub type Memories = BTreeMap<PolicyName, Arc<[u8]>>;

/// Evaluates every policy that covers a target, in their order.
///
/// Blocks for the sum of their times: call it on a thread that may block.
pub(super) fn evaluate_all(
    policies: &[Arc<Policy>],
    target: &TargetName,
    window: Window,
    memories: &Memories,
) -> Vec<PolicyResult> {
    let covering = || policies.iter().filter(|p| p.file.covers_target(target.as_str()));
    let narrow: BTreeMap<&PolicyName, Arc<Input>> = covering()
        .filter(|policy| !policy.file.covers_all_databases())
        .map(|policy| {
            let seen = window.narrowed(|pool| policy.file.covers_database(&pool.database));
            (&policy.name, Arc::new(Input::new(seen)))
        })
        .collect();
    let whole = Arc::new(Input::new(window));
    covering()
        .map(|policy| {
            let input = narrow.get(&policy.name).unwrap_or(&whole);
            let memory = memories.get(&policy.name).cloned().unwrap_or_else(|| Arc::from([]));
            policy.evaluate(input, memory)
        })
        .collect()
}
