//! The policies folder as it is, and the policies that serve: two things, and only what passed every
//! check moves from the one to the other.

mod latest;
mod scan;
mod slot;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;

use super::load::{LoadError, Plugin, digest, load_plugin};
use super::policy::{Memories, Part, Policy, PolicyResult, Round, evaluate_round};
use super::{Fault, PolicyFile, PolicyFileError, Runtime};
use crate::config::Policies;
use crate::model::{Digest, Mode, PastSpan, PolicyName, TargetName, Timestamp, Window};
pub use latest::Evaluated;
use scan::Found;
use slot::Slot;

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
        let round = Round { target, window, memories, due: &|_| true, past: &|_, _| None };
        self.evaluate_round(round).into_iter().filter_map(Part::result).collect()
    }

    /// Evaluates the policies that are due; blocks for the sum of their times.
    pub fn evaluate_round(&self, round: Round<'_>) -> Vec<Part> {
        evaluate_round(&self.policies, round)
    }

    /// Gives the policies that cover a target.
    pub fn covering(&self, target: &TargetName) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.iter().filter(|policy| policy.covers(target))
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
    pub shadow_of: Option<PolicyName>,
    pub plugin: String,
    pub plugin_version: String,
    pub purpose: String,
    pub digest: Option<Digest>,
    pub settings: Value,
    pub settings_schema: Value,
    pub loaded_at: Option<Timestamp>,
    pub problem: Option<String>,
    pub every: Option<Duration>,
    pub past: Option<PastSpan>,
    pub evaluated_at: Option<Timestamp>,
    pub evaluations: u64,
    pub evaluation_us: u64,
    pub faults: u64,
    pub last_fault: Option<String>,
    pub last_fault_kind: Option<&'static str>,
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
        let found = match scan::scan(&self.config.dir, &self.plugins_in_use()) {
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
        if gone {
            self.publish(&self.lock());
        }
        for found in changed {
            self.take_over(found, now);
        }
        any
    }

    /// Counts what an evaluation came to; too many faults in a row end in quarantine.
    pub fn report(&self, result: &PolicyResult) {
        let mut slots = self.lock();
        let Some(slot) = slots.get_mut(result.policy.name()) else { return };
        if slot.count(result, self.config.limits.faults_max) {
            self.publish(&slots);
        }
    }

    /// Gives a policy's latest evaluation of a target, if there was one.
    pub fn latest(&self, policy: &str, target: &str) -> Option<Evaluated> {
        let policy = PolicyName::new(policy).ok()?;
        self.lock().get(&policy)?.latest().of(target)
    }

    /// Gives the targets that a policy was asked about; `None` when there is no such policy.
    pub fn targets_of(&self, policy: &str) -> Option<Vec<String>> {
        let policy = PolicyName::new(policy).ok()?;
        Some(self.lock().get(&policy)?.latest().targets())
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
        let loaded = self.load(&found, now);
        let mut slots = self.lock();
        let slot = slots.entry(found.name.clone()).or_default();
        slot.stamp = Some(found.stamp);
        match loaded {
            Ok(Some(policy)) => slot.take(Arc::new(policy)),
            Ok(None) => slot.keep(),
            Err(refusal) => slot.refuse(&found.name, refusal),
        }
        self.publish(&slots);
    }

    /// Loads what was found; `None` when it is what serves already.
    fn load(&self, found: &Found, now: Timestamp) -> Result<Option<Policy>, Refusal> {
        let limits = &self.config.limits;
        let default_plugin = format!("{}.wasm", found.name);
        let path = found.file_path();
        let at_file = |error| Refusal::new(&path, error);
        if found.name == PolicyName::host() {
            let reason =
                format!("{:?} is the sidecar's own name; take another", found.name.as_str());
            return Err(at_file(PolicyFileError { path: path.clone(), reason }.into()));
        }
        let text = found.read_file().map_err(at_file)?;
        let has_file = text.is_some();
        let file = match text {
            Some(text) => PolicyFile::parse(&path, &text, &default_plugin, limits)
                .map_err(|error| at_file(error.into()))?,
            None => PolicyFile::bare(&default_plugin, limits),
        };
        let plugin_path = found.plugin_path(&file.plugin);
        let at_plugin = |error| Refusal::new(&plugin_path, error);
        let bytes = found.read_plugin(&file.plugin).map_err(at_plugin)?;
        let digest = digest(&bytes);
        if self.serves(&found.name, &file, digest) {
            return Ok(None);
        }
        let plugin = match self.known(digest) {
            Some(plugin) => plugin,
            None => {
                let loaded = load_plugin(&self.runtime, &bytes, &file.limits);
                Arc::new(loaded.map_err(at_plugin)?)
            }
        };
        let name = found.name.clone();
        Policy::new(&self.runtime, name, file, plugin, now).map(Some).map_err(|error| match error {
            LoadError::Settings(_) => at_file(error),
            // What the plugin itself refuses at once are its settings.
            LoadError::DryRun(Fault::Refused(_)) if has_file => at_file(error),
            other => at_plugin(other),
        })
    }

    /// Says whether exactly this serves already, so that a touched file changes nothing.
    fn serves(&self, name: &PolicyName, file: &PolicyFile, digest: Digest) -> bool {
        let slots = self.lock();
        let active = slots.get(name).and_then(|slot| slot.active.as_ref());
        active.is_some_and(|active| active.digest() == digest && active.file == *file)
    }

    /// Gives the plugin that each policy uses, for when its file cannot be read.
    fn plugins_in_use(&self) -> BTreeMap<PolicyName, String> {
        let slots = self.lock();
        let used = slots.iter().filter_map(|(name, slot)| {
            slot.active.as_ref().map(|active| (name.clone(), active.file.plugin.clone()))
        });
        used.collect()
    }

    /// Finds a plugin that is compiled already.
    fn known(&self, digest: Digest) -> Option<Arc<Plugin>> {
        let slots = self.lock();
        let policies = slots.values().flat_map(|slot| [&slot.active, &slot.previous]).flatten();
        let mut plugins = policies.map(|policy| &policy.plugin);
        plugins.find(|plugin| plugin.digest == digest).cloned()
    }

    /// Puts what serves where evaluations find it; the caller's lock keeps two from crossing.
    fn publish(&self, slots: &BTreeMap<PolicyName, Slot>) {
        let mut policies: Vec<_> = slots.values().filter_map(|slot| slot.active.clone()).collect();
        policies.sort_by_key(|policy| (-i64::from(policy.file.priority), policy.name.clone()));
        let set = Arc::new(PolicySet { policies });
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = set;
    }
}

/// Why what was found may not serve.
struct Refusal {
    /// Names the file and, where there is one, the key.
    problem: String,
    /// The system did not give the file up; it may the next time.
    is_passing: bool,
}

impl Refusal {
    fn new(path: &Path, error: LoadError) -> Self {
        let text = crate::report::chain(&error);
        let is_passing = match &error {
            LoadError::Read { source, .. } => source.kind() != std::io::ErrorKind::NotFound,
            _ => false,
        };
        let problem = match error {
            // These name their file.
            LoadError::File(_) | LoadError::Read { .. } => text,
            _ => format!("{}: {text}", path.display()),
        };
        Self { problem, is_passing }
    }
}
