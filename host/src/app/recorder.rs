//! Writes what happened into the store, in order, and again when it failed.
//!
//! Batches are idempotent, so a write of unknown outcome is simply repeated. While the store fails,
//! batches wait here in memory and no size is changed, because an intent comes before each change.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::evaluate::Registry;
use crate::metrics::Metrics;
use crate::model::Digest;
use crate::record::{Batch, RecordError, Store};
use crate::report::chain;

/// Batches that wait for the store; the newest are dropped when it is full, and that is said.
pub const BATCHES: usize = 4096;

/// Writes batches, with the plugins that they refer to.
#[derive(Debug)]
pub struct Recorder {
    pub store: Arc<Store>,
    pub registry: Arc<Registry>,
    pub metrics: Arc<Metrics>,
    pub problem: watch::Sender<Option<String>>,
    pub told: broadcast::Sender<Arc<Batch>>,
    pub clock: Clock,
    /// Plugins that the store is known to have.
    pub stored: Mutex<BTreeSet<Digest>>,
}

impl Recorder {
    /// Writes one batch, all or nothing.
    pub async fn write(&self, batch: &Batch) -> Result<(), RecordError> {
        let written = self.try_write(batch).await;
        match &written {
            Ok(()) => {
                self.problem.send_if_modified(|problem| problem.take().is_some());
                self.metrics.recorded(batch);
                // Nobody listening is fine.
                let _ = self.told.send(Arc::new(batch.clone()));
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

    async fn try_write(&self, batch: &Batch) -> Result<(), RecordError> {
        for evaluation in &batch.evaluations {
            self.put_plugin(evaluation.digest).await?;
        }
        self.store.write(batch).await
    }

    /// Keeps the plugin's bytes beside the decisions, so that they can be replayed.
    async fn put_plugin(&self, digest: Digest) -> Result<(), RecordError> {
        if self.stored.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
            return Ok(());
        }
        let serving = self.registry.serving();
        let policy = serving.policies().iter().find(|policy| policy.digest() == digest);
        // A plugin that was replaced in this very moment has been put when it was taken over.
        let Some(policy) = policy else { return Ok(()) };
        let now = self.clock.now();
        self.store.put_plugin(digest, &policy.plugin_bytes(), now).await?;
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        Ok(())
    }

    /// Keeps the bytes of every plugin that serves.
    pub async fn put_serving(&self) -> Result<(), RecordError> {
        let serving = self.registry.serving();
        for policy in serving.policies() {
            self.put_plugin(policy.digest()).await?;
        }
        Ok(())
    }

    /// Writes what comes in until the channel closes; what fails is tried again.
    ///
    /// After `give_up`, what still fails is let go, because the process has to end.
    pub async fn run(
        self: Arc<Self>,
        mut batches: mpsc::Receiver<Box<Batch>>,
        give_up: CancellationToken,
    ) {
        while let Some(batch) = batches.recv().await {
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
        }
    }
}
