//! A watched folder, and evaluations that never pause while it changes.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use poolwarden::evaluate::{Registry, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Folder, evidence, fixture, result_of, summary, window};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what another task does on its own.
///
/// # Panics
/// When it is not so after half a minute.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The watch task of a registry; the drop ends it.
#[derive(Debug)]
pub struct Watching {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Watching {
    /// Watches a folder by events alone, and returns when they arrive.
    pub async fn by_events(folder: &Folder) -> Self {
        let watching = Self::every(folder, folder.registry(), Duration::from_secs(3600));
        // An event that comes before the watcher is set up is lost, so it is said again.
        let start = Instant::now();
        while folder.find("probe").is_none() {
            assert!(start.elapsed() < PATIENCE, "the folder's events never arrive");
            folder.put("probe.toml", "mode = \"observe\"\n");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        folder.delete("probe.toml");
        eventually("the probe is removed", || folder.find("probe").is_none()).await;
        watching
    }

    /// Watches with a look that often.
    pub fn every(folder: &Folder, registry: &Arc<Registry>, every: Duration) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch(Arc::clone(registry), folder.clock(), every, stop.clone()));
        Self { stop, task }
    }

    /// Ends it.
    ///
    /// # Panics
    /// When the task died.
    pub fn stop(self) -> impl Future<Output = ()> {
        self.stop.cancel();
        async { self.task.await.expect("the watch task lives") }
    }
}

/// Evaluates without a pause in a thread of its own, and checks that `counter` misses nothing.
#[derive(Debug)]
pub struct Evaluating {
    is_done: Arc<AtomicBool>,
    thread: thread::JoinHandle<Seen>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// Number of evaluations of `counter`.
    pub evaluations: u32,
    /// Its labels, in the order in which they first served.
    pub labels: Vec<String>,
}

impl Evaluating {
    /// Starts the thread on a folder in which `counter` serves.
    pub fn start(folder: &Arc<Folder>) -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        let (folder, done) = (Arc::clone(folder), Arc::clone(&is_done));
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !done.load(Ordering::Relaxed) {
                evaluate(&folder, &mut seen);
            }
            seen
        });
        Self { is_done, thread }
    }

    /// Ends the thread and gives what it saw.
    ///
    /// # Panics
    /// When an evaluation was lost or faulted.
    pub fn finish(self) -> Seen {
        self.is_done.store(true, Ordering::Relaxed);
        self.thread.join().expect("no evaluation was lost")
    }
}

fn evaluate(folder: &Folder, seen: &mut Seen) {
    let results = folder.tick(window(5));
    let counter = result_of(&results, "counter");
    seen.evaluations += 1;
    assert_eq!(evidence(counter, "count"), f64::from(seen.evaluations), "one was lost");
    let label = summary(counter).split(':').next().unwrap_or_default();
    if seen.labels.last().is_none_or(|last| last != label) {
        seen.labels.push(label.to_owned());
    }
}

impl Folder {
    /// Makes a folder with `counter.wasm` and a `counter.toml` that labels it `first`.
    pub fn with_labelled_counter() -> Self {
        let folder = Self::default();
        folder.put("counter.wasm", fixture("counter"));
        folder.put("counter.toml", label("first"));
        folder.scan();
        assert_eq!(folder.serving(), ["counter"]);
        folder
    }

    /// Gives the label with which `counter` serves now.
    pub fn label(&self) -> String {
        let settings = self.status("counter").settings;
        settings.get("label").and_then(|label| label.as_str()).unwrap_or_default().to_owned()
    }
}

/// Gives a `counter.toml` with that label.
pub fn label(label: &str) -> String {
    format!("[settings]\nlabel = \"{label}\"\n")
}
