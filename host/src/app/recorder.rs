//! Writes what happened into the store, in order, and again when it failed.
//!
//! Batches are idempotent, so a write of unknown outcome is simply repeated. While the store fails,
//! batches wait here in memory and no size is changed, because an intent comes before each change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::evaluate::PolicyResult;
use crate::metrics::Metrics;
use crate::model::Digest;
use crate::record::{Batch, Evaluation, RecordError, Store};
use crate::report::chain;

/// Batches that wait for the store; the newest are dropped when it is full, and that is said.
pub const BATCHES: usize = 4096;

/// Writes batches, with the plugins that they refer to.
#[derive(Debug)]
pub struct Recorder {
    pub store: Arc<Store>,
    pub metrics: Arc<Metrics>,
    pub problem: watch::Sender<Option<String>>,
    pub told: broadcast::Sender<Arc<Batch>>,
    pub clock: Clock,
    /// Plugins that the store is known to have.
    pub stored: Mutex<BTreeSet<Digest>>,
    /// Plugins that answered and that the store does not have yet: one that is replaced right after
    /// it answered must still be there when its decision is written.
    pub answered: Mutex<BTreeMap<Digest, Arc<[u8]>>>,
}

impl Recorder {
    /// Writes one batch, all or nothing.
    pub async fn write(&self, batch: &Batch) -> Result<(), RecordError> {
        let written = self.try_write(batch).await;
        match &written {
            Ok(()) => {
                self.problem.send_if_modified(|problem| problem.take().is_some());
                self.metrics.recorded(batch);
                self.tell(batch);
            }
            Err(error) => {
                self.metrics.store_failed(error.kind());
                let text = chain(error);
                self.problem.send_if_modified(|problem| {
                    let news = problem.as_ref() != Some(&text);
                    if news {
                        tracing::error!(error = text, "the store cannot be written");
                        *problem = Some(text);
                    }
                    news
                });
            }
        }
        written
    }

    /// Tells listeners what was decided, without the inputs, which are large.
    fn tell(&self, batch: &Batch) {
        let news = !batch.decisions.is_empty() || !batch.transitions.is_empty();
        if news && self.told.receiver_count() > 0 {
            let (decisions, transitions) = (batch.decisions.clone(), batch.transitions.clone());
            // A listener that has just left is fine.
            let _ = self.told.send(Arc::new(Batch { decisions, transitions, ..Batch::default() }));
        }
    }

    async fn try_write(&self, batch: &Batch) -> Result<(), RecordError> {
        for evaluation in &batch.evaluations {
            self.put_plugin(evaluation.digest).await?;
        }
        self.store.write(batch).await
    }

    /// Keeps at hand the bytes of a plugin that answered, until the store has them.
    pub fn remember(&self, result: &PolicyResult) {
        let digest = result.policy.digest();
        if !self.is_stored(digest) {
            lock(&self.answered).entry(digest).or_insert_with(|| result.policy.plugin_bytes());
        }
    }

    fn is_stored(&self, digest: Digest) -> bool {
        lock(&self.stored).contains(&digest)
    }

    /// Keeps the plugin's bytes beside the decisions, so that they can be replayed.
    async fn put_plugin(&self, digest: Digest) -> Result<(), RecordError> {
        if self.is_stored(digest) {
            lock(&self.answered).remove(&digest);
            return Ok(());
        }
        // Only a plugin that never answered is missing, and no decision rests on that.
        let Some(bytes) = lock(&self.answered).get(&digest).cloned() else { return Ok(()) };
        self.store.put_plugin(digest, &bytes, self.clock.now()).await?;
        lock(&self.stored).insert(digest);
        lock(&self.answered).remove(&digest);
        Ok(())
    }

    /// Keeps the bytes of every plugin that answered.
    pub async fn put_answered(&self) -> Result<(), RecordError> {
        let digests: Vec<Digest> = lock(&self.answered).keys().copied().collect();
        for digest in digests {
            self.put_plugin(digest).await?;
        }
        Ok(())
    }

    /// Writes what comes in until the channel closes; what fails is tried again.
    ///
    /// After `give_up`, what still fails is let go, because the process has to end.
    pub async fn run(
        self: Arc<Self>,
        mut batches: mpsc::Receiver<Box<Batch>>,
        waiting: Arc<AtomicUsize>,
        give_up: CancellationToken,
    ) {
        while let Some(batch) = batches.recv().await {
            let bytes = bytes_of(&batch);
            let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
            while self.write(&batch).await.is_err() {
                tokio::select! {
                    () = give_up.cancelled() => {
                        tracing::error!("stopping with a record that the store would not take");
                        break;
                    }
                    () = tokio::time::sleep(backoff.failed()) => {}
                }
            }
            waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Estimates what a batch takes in memory: nearly all of it is inputs.
pub fn bytes_of(batch: &Batch) -> usize {
    let evaluation = |e: &Evaluation| e.input.len() + e.memory.len() + e.answer.len();
    let inputs: usize = batch.evaluations.iter().map(evaluation).sum();
    inputs + 1024 * (batch.decisions.len() + batch.transitions.len() + batch.alerts.len() + 1)
}
