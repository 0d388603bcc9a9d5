//! Wires the stages: one task owns the control state, the others bring events and carry out effects.
//!
//! Start-up order: the store (which also keeps a second sidecar out), the Wasm runtime and policies,
//! the listener, then the tasks. Everything is handed in; there is no global state.

mod cadence;
mod drive;
mod heard;
mod past;
mod recorder;
mod start;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use start::StartError;

use crate::control::View;
use crate::evaluate::Registry;
use crate::record::Store;

/// Events that wait for the control task; senders wait when it is full.
const EVENTS: usize = 256;

/// A running sidecar.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    view: tokio::sync::watch::Receiver<Arc<View>>,
    store: Arc<Store>,
    registry: Arc<Registry>,
    /// Ends collecting, watching and serving.
    stop: CancellationToken,
    /// Ends the control task, once what it started is done.
    drained: CancellationToken,
    control: tokio::task::JoinHandle<()>,
    tasks: TaskTracker,
    stopping: mpsc::Sender<()>,
    grace: Duration,
}

impl App {
    /// Gives the address on which HTTP is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives what is known at this moment, and each newer view.
    pub fn view(&self) -> tokio::sync::watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Gives the store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Gives the policies.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Waits until the control task ends by itself, which it only does through a defect.
    pub async fn died(&mut self) {
        if let Err(error) = (&mut self.control).await {
            tracing::error!(%error, "the control task died");
        }
    }

    /// Stops: no new polls, changes under way are finished, sizes are handed back if configured, and
    /// everything is recorded. Takes at most the grace period, and says whether that was enough.
    pub async fn stop(self) -> bool {
        tracing::info!("stopping");
        self.stop.cancel();
        // The control task hands back and then waits for what is under way.
        let _ = self.stopping.send(()).await;
        let deadline = tokio::time::Instant::now() + self.grace;
        let drained = tokio::time::timeout_at(deadline, self.control).await;
        let drained = matches!(drained, Ok(Ok(())));
        self.drained.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout_at(deadline, self.tasks.wait()).await.is_ok();
        if !(drained && ended) {
            tracing::warn!(
                "the grace period was too short; what is unfinished is settled at the start"
            );
        }
        tracing::info!("stopped");
        drained && ended
    }
}
