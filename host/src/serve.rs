#![allow(missing_docs)]
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
pub struct ServeState {
    pub view: watch::Receiver<Arc<crate::control::View>>,
    pub store: Arc<crate::record::Store>,
    pub registry: Arc<crate::evaluate::Registry>,
    pub metrics: Arc<crate::metrics::Metrics>,
    pub decisions: broadcast::Sender<Arc<crate::record::Batch>>,
    pub store_problem: watch::Receiver<Option<String>>,
    pub token: Option<crate::config::Secret>,
    pub clock: crate::clock::Clock,
    pub expected_interval: Duration,
}
pub fn router(_: ServeState) -> axum::Router {
    axum::Router::new()
}
pub async fn serve(
    l: tokio::net::TcpListener,
    r: axum::Router,
    stop: tokio_util::sync::CancellationToken,
) -> std::io::Result<()> {
    axum::serve(l, r).with_graceful_shutdown(async move { stop.cancelled().await }).await
}
