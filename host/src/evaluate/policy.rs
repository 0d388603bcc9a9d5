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
use crate::model::{
    Digest, Mode, Past, PastSpan, PolicyName, PoolKey, Proposal, TargetName, Timestamp, Window,
};

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
    /// Why it asks for a look at single sessions, if it does.
    pub look: Option<String>,
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

    /// Gives the same policy, allowed no more than the operator's newest file allows.
    pub(super) fn at_most(&self, newest: &PolicyFile) -> Self {
        let mut narrower = self.clone();
        let file = &mut narrower.file;
        file.mode = file.mode.stricter(newest.mode);
        file.may_end_sessions &= newest.may_end_sessions;
        file.shadow_of.clone_from(&newest.shadow_of);
        file.targets.clone_from(&newest.targets);
        file.databases.clone_from(&newest.databases);
        file.priority = newest.priority;
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

    /// Gives the priority: of several policies on one setting the one with the highest is heard.
    pub fn priority(&self) -> i32 {
        self.file.priority
    }

    /// Gives the policy that this one is compared with and never heard instead of.
    pub fn shadow_of(&self) -> Option<&PolicyName> {
        self.file.shadow_of.as_ref()
    }

    /// Says whether its file lets it end sessions.
    pub fn may_end_sessions(&self) -> bool {
        self.file.may_end_sessions
    }

    /// Says whether it decides about a target.
    pub fn covers(&self, target: &TargetName) -> bool {
        self.file.covers_target(target.as_str())
    }

    /// Gives the least time between two evaluations: the file's word, or else the plugin's.
    pub fn every(&self) -> Duration {
        self.file.every.unwrap_or(self.plugin.every)
    }

    /// Gives how much of the past the plugin wants to see.
    pub fn past(&self) -> Option<PastSpan> {
        self.plugin.past
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
        if outcome.as_ref().is_ok_and(|answered| !answered.proposals.is_empty()) {
            // Something may be recorded: a long past is written down here, where it holds up nobody.
            input.write_down();
        }
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
    let look = answer::look(&raw.proposals)?;
    Ok(Answered { proposals, look, memory: raw.memory.clone(), raw: Arc::new(raw) })
}

/// What the policies remember of one target.
pub type Memories = BTreeMap<PolicyName, Arc<[u8]>>;

/// What the policies of a target are asked with.
#[derive(Clone)]
pub struct Round<'a> {
    /// The PgBouncer.
    pub target: &'a TargetName,
    /// What they may know, without a past.
    pub window: Window,
    /// What they remember.
    pub memories: &'a Memories,
    /// Says whether a policy is asked this time.
    pub due: &'a dyn Fn(&Policy) -> bool,
    /// Finds the past of the window's pools; asked once a span, and only for a policy that is due.
    pub past: &'a dyn Fn(PastSpan, &[PoolKey]) -> Option<Past>,
}

impl std::fmt::Debug for Round<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Round").field("target", self.target).finish_non_exhaustive()
    }
}

/// One policy's part of a round.
#[derive(Debug, Clone)]
pub enum Part {
    /// It was asked.
    Asked(PolicyResult),
    /// It is not due: what it said before stands.
    Waits(Arc<Policy>),
}

impl Part {
    /// Gives the result of a policy that was asked.
    pub fn result(self) -> Option<PolicyResult> {
        match self {
            Self::Asked(result) => Some(result),
            Self::Waits(_) => None,
        }
    }
}

/// The inputs of a round, each made once: a window's columns and above all a past are large.
struct Inputs<'a> {
    window: Window,
    find: &'a dyn Fn(PastSpan, &[PoolKey]) -> Option<Past>,
    pasts: BTreeMap<PastSpan, Option<Arc<Past>>>,
    whole: BTreeMap<Option<PastSpan>, Arc<Input>>,
}

impl Inputs<'_> {
    fn of(&mut self, policy: &Policy) -> Arc<Input> {
        let span = policy.past();
        if !policy.file.covers_all_databases() {
            let seen = self.with_past(span);
            let seen = seen.narrowed(|pool| policy.file.covers_database(&pool.database));
            return Arc::new(Input::new(seen));
        }
        if let Some(known) = self.whole.get(&span) {
            return Arc::clone(known);
        }
        let input = Arc::new(Input::new(self.with_past(span)));
        self.whole.insert(span, Arc::clone(&input));
        input
    }

    fn with_past(&mut self, span: Option<PastSpan>) -> Window {
        let past = span.and_then(|span| {
            let find = || (self.find)(span, &self.window.pool_keys).map(Arc::new);
            self.pasts.entry(span).or_insert_with(find).clone()
        });
        Window { past, ..self.window.clone() }
    }
}

/// Evaluates every policy that covers a target and is due, in their order.
///
/// Blocks for the sum of their times: call it on a thread that may block.
pub(super) fn evaluate_round(policies: &[Arc<Policy>], round: Round<'_>) -> Vec<Part> {
    let Round { target, window, memories, due, past } = round;
    let (pasts, whole) = (BTreeMap::new(), BTreeMap::new());
    let mut inputs = Inputs { window, find: past, pasts, whole };
    let covering = policies.iter().filter(|policy| policy.covers(target));
    covering
        .map(|policy| {
            if !due(policy) {
                return Part::Waits(Arc::clone(policy));
            }
            let memory = memories.get(&policy.name).cloned().unwrap_or_else(|| Arc::from([]));
            Part::Asked(policy.evaluate(&inputs.of(policy), memory))
        })
        .collect()
}
