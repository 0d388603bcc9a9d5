//! The policies folder as it is, and the policies that serve: two things, and only what passed every
//! check moves from the one to the other.

mod scan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;

use super::load::{LoadError, Plugin, digest, load_plugin};
use super::policy::{Memories, Policy, PolicyResult, evaluate_all};
use super::{Fault, PolicyFile, Runtime};
use crate::config::Policies;
use crate::model::{Digest, Mode, PolicyName, TargetName, Timestamp, Window};
use scan::{Found, Stamp};

/// The policies that serve at one moment, in the order in which they are heard.
#[derive(Debug, Default)]
pub struct PolicySet {
    policies: Vec<Arc<Policy>>,
}

impl PolicySet {
    /// Evaluates every policy that covers a target; blocks for the sum of their times.
    pub fn evaluate(
        &self,
        target: &TargetName,
        window: Window,
        memories: &Memories,
    ) -> Vec<PolicyResult> {
        evaluate_all(&self.policies, target, window, memories)
    }

    /// Gives the policies.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }
}

/// Whether and how a policy serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyState {
    /// What the folder holds serves.
    Serving,
    /// What the folder holds cannot; the last good version serves on.
    LastGood,
    /// Faulted too often in a row, and nothing serves in its place.
    Quarantined,
    /// Never passed the checks; nothing serves.
    Broken,
}

impl PolicyState {
    /// Gives the name that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::LastGood => "last_good",
            Self::Quarantined => "quarantined",
            Self::Broken => "broken",
        }
    }
}

/// What the API shows of a policy.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named as in the API, which documents them")]
pub struct PolicyStatus {
    pub name: PolicyName,
    pub state: PolicyState,
    pub mode: Mode,
    pub priority: i32,
    pub plugin: String,
    pub plugin_version: String,
    pub purpose: String,
    pub digest: Option<Digest>,
    pub settings: Value,
    pub settings_schema: Value,
    pub loaded_at: Option<Timestamp>,
    pub problem: Option<String>,
    pub evaluations: u64,
    pub evaluation_us: u64,
    pub faults: u64,
    pub last_fault: Option<String>,
    pub last_fault_kind: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Slot {
    active: Option<Arc<Policy>>,
    /// The version before the active one, for when that turns out bad.
    previous: Option<Arc<Policy>>,
    stamp: Option<Stamp>,
    problem: Option<String>,
    quarantined: bool,
    faults_in_row: u32,
    faults: u64,
    last_fault: Option<Fault>,
    evaluations: u64,
    evaluation_time: Duration,
}

/// Loads, keeps and replaces policies.
pub struct Registry {
    runtime: Arc<Runtime>,
    config: Policies,
    slots: Mutex<BTreeMap<PolicyName, Slot>>,
    serving: RwLock<Arc<PolicySet>>,
    /// Why the folder as a whole cannot be read.
    folder_problem: Mutex<Option<String>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("dir", &self.config.dir).finish_non_exhaustive()
    }
}

impl Registry {
    /// Makes a registry that has not looked at its folder yet.
    pub fn new(runtime: Arc<Runtime>, config: Policies) -> Self {
        Self {
            runtime,
            config,
            slots: Mutex::default(),
            serving: RwLock::default(),
            folder_problem: Mutex::default(),
        }
    }

    /// Gives the folder.
    pub fn dir(&self) -> &PathBuf {
        &self.config.dir
    }

    /// Gives the policies that serve now.
    pub fn serving(&self) -> Arc<PolicySet> {
        Arc::clone(&self.serving.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the folder and takes over what changed and passes every check.
    ///
    /// Compiles: call it on a thread that may block. Says whether anything changed.
    pub fn rescan(&self, now: Timestamp) -> bool {
        let found = match scan::scan(&self.config.dir) {
            Ok(found) => found,
            Err(error) => {
                // An unreadable folder displaces nothing.
                let text = format!("{}: {error}", self.config.dir.display());
                let mut problem =
                    self.folder_problem.lock().unwrap_or_else(PoisonError::into_inner);
                if problem.as_ref() != Some(&text) {
                    tracing::warn!(problem = text, "the policies folder cannot be read");
                    *problem = Some(text);
                }
                return false;
            }
        };
        *self.folder_problem.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let changed = self.changed(&found);
        let gone = self.retire(&found);
        let any = !changed.is_empty() || gone;
        for found in changed {
            self.take_over(found, now);
            self.publish();
        }
        if gone {
            self.publish();
        }
        any
    }

    /// Counts what an evaluation came to; too many faults in a row end in quarantine.
    pub fn report(&self, result: &PolicyResult) {
        let mut slots = self.lock();
        let Some(slot) = slots.get_mut(result.policy.name()) else { return };
        slot.evaluations += 1;
        slot.evaluation_time += result.took;
        let current =
            slot.active.as_ref().is_some_and(|active| Arc::ptr_eq(active, &result.policy));
        match &result.outcome {
            Ok(_) if current => slot.faults_in_row = 0,
            Ok(_) => {}
            Err(fault) => {
                slot.faults += 1;
                slot.last_fault = Some(fault.clone());
                slot.faults_in_row += u32::from(current);
            }
        }
        if slot.faults_in_row >= self.config.limits.faults_max {
            quarantine(slot, result.policy.name());
            drop(slots);
            self.publish();
        }
    }

    /// Gives every policy that the folder names, with what serves for it.
    pub fn statuses(&self) -> Vec<PolicyStatus> {
        self.lock().iter().map(|(name, slot)| slot.status(name)).collect()
    }

    /// Gives why the folder as a whole cannot be read, if it cannot.
    pub fn folder_problem(&self) -> Option<String> {
        self.folder_problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<PolicyName, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, found: &BTreeMap<PolicyName, Found>) -> Vec<Found> {
        let slots = self.lock();
        let differs = |found: &&Found| {
            slots.get(&found.name).and_then(|slot| slot.stamp.as_ref()) != Some(&found.stamp)
        };
        found.values().filter(differs).cloned().collect()
    }

    /// Removes the policies whose files are gone: that is how a person takes one away.
    fn retire(&self, found: &BTreeMap<PolicyName, Found>) -> bool {
        let mut slots = self.lock();
        let before = slots.len();
        slots.retain(|name, _| {
            let stays = found.contains_key(name);
            if !stays {
                tracing::info!(
                    policy = name.as_str(),
                    "the policy's files are gone; it is removed"
                );
            }
            stays
        });
        slots.len() != before
    }

    fn take_over(&self, found: Found, now: Timestamp) {
        let name = found.name.clone();
        let loaded = self.load(&found, now);
        let mut slots = self.lock();
        let slot = slots.entry(name.clone()).or_default();
        slot.stamp = Some(found.stamp);
        match loaded {
            Ok(policy) => {
                let digest = policy.digest().to_string();
                tracing::info!(policy = name.as_str(), digest, "the policy serves");
                slot.previous = slot.active.replace(Arc::new(policy)).or(slot.previous.take());
                slot.problem = None;
                slot.quarantined = false;
                slot.faults_in_row = 0;
            }
            Err(error) => {
                let problem = crate::report::chain(&error);
                tracing::warn!(policy = name.as_str(), problem, "the policy cannot be taken over");
                slot.problem = Some(problem);
            }
        }
    }

    fn load(&self, found: &Found, now: Timestamp) -> Result<Policy, LoadError> {
        let limits = &self.config.limits;
        let default_plugin = format!("{}.wasm", found.name);
        let file = match found.read_file()? {
            Some(text) => PolicyFile::parse(&found.file_path(), &text, &default_plugin, limits)?,
            None => PolicyFile::bare(&default_plugin, limits),
        };
        let bytes = found.read_plugin(&file.plugin)?;
        let plugin = match self.known(digest(&bytes)) {
            Some(plugin) => plugin,
            None => Arc::new(load_plugin(&self.runtime, &bytes, &file.limits)?),
        };
        Policy::new(&self.runtime, found.name.clone(), file, plugin, now)
    }

    /// Finds a plugin that is compiled already.
    fn known(&self, digest: Digest) -> Option<Arc<Plugin>> {
        let slots = self.lock();
        let policies = slots.values().flat_map(|slot| [&slot.active, &slot.previous]).flatten();
        let mut plugins = policies.map(|policy| &policy.plugin);
        plugins.find(|plugin| plugin.digest == digest).cloned()
    }

    fn publish(&self) {
        let mut policies: Vec<_> =
            self.lock().values().filter_map(|slot| slot.active.clone()).collect();
        policies.sort_by_key(|policy| (-i64::from(policy.file.priority), policy.name.clone()));
        let set = Arc::new(PolicySet { policies });
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = set;
    }
}

fn quarantine(slot: &mut Slot, name: &PolicyName) {
    let fault = slot.last_fault.as_ref().map(ToString::to_string).unwrap_or_default();
    slot.active = slot.previous.take();
    slot.quarantined = true;
    slot.faults_in_row = 0;
    let instead = slot.active.is_some();
    slot.problem = Some(format!("quarantined after faults in a row: the plugin {fault}"));
    tracing::warn!(policy = name.as_str(), fault, instead, "a policy faulted too often");
}

impl Slot {
    fn state(&self) -> PolicyState {
        match (&self.active, &self.problem, self.quarantined) {
            (Some(_), None, _) => PolicyState::Serving,
            (Some(_), Some(_), _) => PolicyState::LastGood,
            (None, _, true) => PolicyState::Quarantined,
            (None, _, false) => PolicyState::Broken,
        }
    }

    fn status(&self, name: &PolicyName) -> PolicyStatus {
        let active = self.active.as_ref();
        let plugin = active.map(|policy| &policy.plugin);
        PolicyStatus {
            name: name.clone(),
            state: self.state(),
            mode: active.map_or(Mode::Observe, |policy| policy.mode()),
            priority: active.map_or(0, |policy| policy.file.priority),
            plugin: plugin.map(|plugin| plugin.name.clone()).unwrap_or_default(),
            plugin_version: plugin.map(|plugin| plugin.version.to_string()).unwrap_or_default(),
            purpose: plugin.map(|plugin| plugin.purpose.clone()).unwrap_or_default(),
            digest: plugin.map(|plugin| plugin.digest),
            settings: active.map_or(Value::Null, |policy| policy.file.settings.clone()),
            settings_schema: plugin.map_or(Value::Null, |plugin| plugin.schema.clone()),
            loaded_at: active.map(|policy| policy.loaded_at),
            problem: self.problem.clone(),
            evaluations: self.evaluations,
            evaluation_us: u64::try_from(self.evaluation_time.as_micros()).unwrap_or(u64::MAX),
            faults: self.faults,
            last_fault: self.last_fault.as_ref().map(ToString::to_string),
            last_fault_kind: self.last_fault.as_ref().map(Fault::kind),
        }
    }
}
