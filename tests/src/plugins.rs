//! A policies folder with its registry, the built guests, and made-up windows.
//!
//! The guests are read from where `plugins/build.sh` puts them: a test that built its own would test
//! another toolchain than the one that users run.

mod watching;
mod windows;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolwarden::clock::Clock;
use poolwarden::config::{PluginLimits, Policies};
use poolwarden::evaluate::{
    Answered, Fault, PolicyResult, PolicyState, PolicyStatus, Registry, Replay, ReplayError,
    Replayed, Runtime, replay,
};
use poolwarden::model::{Evidence, PolicyName, Proposal, TargetName, Window};
use tempfile::TempDir;

pub use watching::{Evaluating, Watching, eventually, label};
pub use windows::{Seeded, awkward_window, hostile_names, window};

/// Gives a test guest's bytes.
///
/// # Panics
/// When it is not built.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = target_dir().join("fixtures").join(format!("{name}.wasm"));
    read(&path, "plugins/build.sh --fixtures")
}

/// Gives a shipped plugin's bytes.
///
/// # Panics
/// When it is not built.
pub fn shipped(name: &str) -> Vec<u8> {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    read(&policies.join(format!("{name}.wasm")), "plugins/build.sh")
}

/// Gives the example policy that is written in a language.
///
/// # Panics
/// When it is not built.
pub fn example(language: &str) -> Vec<u8> {
    let path = target_dir().join("examples").join(format!("{language}.wasm"));
    read(&path, "plugins/examples/build.sh")
}

/// Gives a plugin with other bytes that does the same: a custom section more at its end.
pub fn variant(plugin: &[u8], number: u8) -> Vec<u8> {
    [plugin, &[0, 3, 1, b'v', number]].concat()
}

fn read(path: &Path, script: &str) -> Vec<u8> {
    fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}; build it with {script}", path.display()))
}

/// The target folder of the running test: `<target>/<profile>/deps/<test>`.
fn target_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a test is a file");
    program.ancestors().nth(3).expect("cargo puts tests three folders deep").to_owned()
}

/// Makes a runtime that shares compiled code with earlier runs of the tests.
///
/// # Panics
/// When wasmtime does not start here.
pub fn runtime() -> Arc<Runtime> {
    let cache = target_dir().join("tmp/compiled-guests");
    fs::create_dir_all(&cache).expect("the target folder is writable");
    Arc::new(Runtime::new(Some(&cache)).expect("wasmtime starts"))
}

/// The limits that the configuration has by default, with a deadline that a busy machine keeps.
pub fn limits() -> PluginLimits {
    PluginLimits {
        deadline: Duration::from_millis(500),
        memory_bytes: 16 << 20,
        answer_bytes: 256 << 10,
        blob_bytes: 64 << 10,
        faults_max: 3,
    }
}

/// The target that the made-up windows show.
pub fn target() -> TargetName {
    TargetName::new("main").expect("a constant that fits")
}

/// Makes a policy's name.
///
/// # Panics
/// When it is none.
pub fn policy(name: &str) -> PolicyName {
    PolicyName::new(name).expect("a test's constant")
}

/// What policies remember.
pub type Memories = BTreeMap<PolicyName, Arc<[u8]>>;

/// A policies folder, and the registry that serves from it.
#[derive(Debug)]
pub struct Folder {
    dir: TempDir,
    registry: Arc<Registry>,
    runtime: Arc<Runtime>,
    clock: Clock,
    memories: Mutex<Memories>,
}

impl Default for Folder {
    fn default() -> Self {
        Self::with_limits(limits())
    }
}

impl Folder {
    /// Makes an empty folder under these limits.
    ///
    /// # Panics
    /// When there is no place for it.
    pub fn with_limits(limits: PluginLimits) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let runtime = runtime();
        let config = Policies {
            dir: dir.path().to_owned(),
            rescan_interval: Duration::from_secs(5),
            limits,
        };
        let registry = Arc::new(Registry::new(Arc::clone(&runtime), config));
        let clock = Clock::start();
        Self { dir, registry, runtime, clock, memories: Mutex::default() }
    }

    /// Makes a folder with `counter.wasm` in it, which serves.
    pub fn with_counter() -> Self {
        let folder = Self::default();
        folder.put("counter.wasm", fixture("counter"));
        folder.scan();
        assert_eq!(folder.status("counter").state, PolicyState::Serving);
        folder
    }

    /// Gives the folder's path.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Gives the path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Gives the registry.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Gives the clock that looks are told the time by.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Puts a file there at once, as `plugins/build.sh` does: a new file that takes the name over.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let partial = self.file(&format!(".{name}.tmp"));
        fs::write(&partial, bytes).expect("written");
        fs::rename(&partial, self.file(name)).expect("renamed");
    }

    /// Writes a file over itself, as `cp` and some editors do.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn overwrite(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.file(name), bytes).expect("written");
    }

    /// Deletes a file.
    ///
    /// # Panics
    /// When it is not there.
    pub fn delete(&self, name: &str) {
        fs::remove_file(self.file(name)).expect("deleted");
    }

    /// Looks at the folder.
    pub fn scan(&self) -> bool {
        self.registry.rescan(self.clock.now())
    }

    /// Gives what the API shows of a policy, if it knows one of that name.
    pub fn find(&self, name: &str) -> Option<PolicyStatus> {
        self.registry.statuses().into_iter().find(|status| status.name.as_str() == name)
    }

    /// Gives what the API shows of a policy.
    ///
    /// # Panics
    /// When it knows none of that name.
    pub fn status(&self, name: &str) -> PolicyStatus {
        self.find(name).unwrap_or_else(|| panic!("no policy {name} in {:?}", self.names()))
    }

    /// Gives the problem that the API shows of a policy, with nothing but the file's name as path.
    ///
    /// # Panics
    /// When there is none.
    pub fn problem(&self, name: &str) -> String {
        let status = self.status(name);
        let problem = status.problem.unwrap_or_else(|| panic!("{name} is {:?}", status.state));
        problem.replace(&format!("{}/", self.path().display()), "")
    }

    /// Gives the policies that the folder names.
    pub fn names(&self) -> Vec<String> {
        self.registry.statuses().iter().map(|status| status.name.to_string()).collect()
    }

    /// Gives the policies that serve, in their order.
    pub fn serving(&self) -> Vec<String> {
        let set = self.registry.serving();
        set.policies().iter().map(|policy| policy.name().to_string()).collect()
    }

    /// Runs a tick as the sidecar does: evaluates, counts, and keeps what was remembered.
    pub fn tick(&self, window: Window) -> Vec<PolicyResult> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let results = self.registry.serving().evaluate(&target(), window, &memories);
        for result in &results {
            self.registry.report(result);
            if let Ok(answer) = &result.outcome {
                memories.insert(result.policy.name().clone(), Arc::from(answer.memory.as_slice()));
            }
        }
        results
    }

    /// Runs an evaluation again from what would be recorded of it.
    ///
    /// # Errors
    /// When it cannot be run.
    ///
    /// # Panics
    /// When it was a fault.
    pub fn replay(&self, result: &PolicyResult) -> Result<Replayed, ReplayError> {
        let record = Recorded::of(result);
        replay(&self.runtime, record.as_replay(&limits()))
    }
}

/// What the store keeps of an evaluation.
#[derive(Debug)]
pub struct Recorded {
    /// The plugin's bytes.
    pub plugin: Arc<[u8]>,
    /// Settings as JSON.
    pub settings: Arc<str>,
    /// Input as JSON.
    pub input: Vec<u8>,
    /// Memory before.
    pub memory: Arc<[u8]>,
    /// Answer as JSON.
    pub answer: Vec<u8>,
}

impl Recorded {
    /// Takes down an evaluation.
    ///
    /// # Panics
    /// When it was a fault, which is not replayed.
    pub fn of(result: &PolicyResult) -> Self {
        Self {
            plugin: result.policy.plugin_bytes(),
            settings: result.policy.settings(),
            input: result.input.to_json().expect("an input is JSON"),
            memory: Arc::clone(&result.memory_before),
            answer: answered(result).to_json().expect("an answer is JSON"),
        }
    }

    /// Gives it as the replay takes it.
    pub fn as_replay<'a>(&'a self, limits: &'a PluginLimits) -> Replay<'a> {
        Replay {
            plugin: &self.plugin,
            limits,
            settings: &self.settings,
            input: &self.input,
            memory: &self.memory,
            answer: &self.answer,
        }
    }
}

/// Gives one policy's part of a tick.
///
/// # Panics
/// When it has none.
pub fn result_of<'a>(results: &'a [PolicyResult], name: &str) -> &'a PolicyResult {
    let found = results.iter().find(|result| result.policy.name().as_str() == name);
    found.unwrap_or_else(|| panic!("{name} was not asked"))
}

/// Gives what a policy answered.
///
/// # Panics
/// When it faulted.
pub fn answered(result: &PolicyResult) -> &Answered {
    let name = result.policy.name();
    result.outcome.as_ref().unwrap_or_else(|fault| panic!("{name}: the plugin {fault}"))
}

/// Gives what a policy did wrong.
///
/// # Panics
/// When it answered.
pub fn fault(result: &PolicyResult) -> &Fault {
    let name = result.policy.name();
    result.outcome.as_ref().expect_err(&format!("{name} should not have answered"))
}

/// Gives a named number of the first alert of an answer.
///
/// # Panics
/// When there is none.
pub fn evidence(result: &PolicyResult, name: &str) -> f64 {
    let Some(Proposal::Alert { evidence, .. }) = answered(result).proposals.first() else {
        panic!("no alert in {:?}", answered(result).proposals)
    };
    let named = |one: &&Evidence| one.name == name;
    evidence.iter().find(named).unwrap_or_else(|| panic!("no {name} in {evidence:?}")).value
}

/// Gives the summary of the first alert of an answer.
///
/// # Panics
/// When there is none.
pub fn summary(result: &PolicyResult) -> &str {
    match answered(result).proposals.first() {
        Some(Proposal::Alert { summary, .. }) => summary,
        other => panic!("no alert but {other:?}"),
    }
}
