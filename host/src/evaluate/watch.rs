//! When to look at the policies folder: soon after it changed, and on a timer.
//!
//! Events are hints only: some file systems send none, and some send dozens for one file. So they are
//! debounced until quiet, and the timer finds what they missed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Registry;
use crate::clock::Clock;

/// Quiet time after which a change is taken to be complete.
const QUIET: Duration = Duration::from_millis(100);
/// Longest time that a stream of changes may put a look off.
const QUIET_MAX: Duration = Duration::from_secs(2);
/// Hints that wait; more add nothing, because one look sees all.
const HINTS: usize = 8;

/// Keeps the registry in step with its folder until it is stopped.
pub async fn watch(
    registry: Arc<Registry>,
    clock: Clock,
    every: Duration,
    stop: CancellationToken,
) {
    let (hint, mut hints) = mpsc::channel(HINTS);
    // Without a watcher the timer still finds every change.
    let watcher = match watcher(registry.dir(), hint.clone()) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "the policies folder cannot be watched; it is only rescanned");
            None
        }
    };
    let mut next = Instant::now() + every;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep_until(next) => {}
            Some(()) = hints.recv() => until_quiet(&mut hints).await,
        }
        next = Instant::now() + every;
        let registry = Arc::clone(&registry);
        let now = clock.now();
        // A panic in here would be a defect; the loop goes on with what serves.
        if let Err(error) = tokio::task::spawn_blocking(move || registry.rescan(now)).await {
            tracing::error!(%error, "a look at the policies folder failed");
        }
    }
    drop((watcher, hint));
}

fn watcher(dir: &Path, hint: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too, and our own looks must not cause the next one.
        if event.is_ok_and(|event| event.kind.is_access()) {
            return;
        }
        // A full channel means that a look is due anyway.
        let _ = hint.try_send(());
    })?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

async fn until_quiet(hints: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + QUIET_MAX;
    while Instant::now() < latest {
        if timeout(QUIET, hints.recv()).await.is_err() {
            return;
        }
    }
}
