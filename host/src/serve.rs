//! The HTTP API: what is known now from the newest view, what was decided from the store.
//!
//! It tells, and takes the orders of people: silences, pauses, the panic switch, approvals. An order
//! goes to the control task as a row in a queue and is answered when it is recorded and holds.
//! What the view knows is answered from memory, so that a full disk or a dead PgBouncer leaves
//! health checks and metrics working.
//! Errors are `application/problem+json` (RFC 9457) without exception.

mod api;
mod ask;
mod auth;
mod body;
mod listen;
mod params;
mod problem;
mod route;
mod story;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::middleware::from_fn_with_state;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};

use crate::clock::Clock;
use crate::config::Secret;
use crate::control::View;
use crate::evaluate::Registry;
use crate::metrics::Metrics;
use crate::record::{Batch, Store};
pub use ask::{ASKS, Ask, Refused, Reply};
pub use listen::serve;
use problem::Problem;

/// Listeners of the stream at one time; further ones are refused until one leaves.
const LISTENERS_MAX: usize = 32;

/// What the routes answer from.
#[derive(Debug)]
pub struct ServeState {
    /// What is known now.
    pub view: watch::Receiver<Arc<View>>,
    /// What was decided.
    pub store: Arc<Store>,
    /// The policies.
    pub registry: Arc<Registry>,
    /// What Prometheus reads.
    pub metrics: Arc<Metrics>,
    /// Where listeners of the stream subscribe: each batch that the store has taken.
    pub decisions: broadcast::Sender<Arc<Batch>>,
    /// Why nothing can be recorded, while that is so.
    pub store_problem: watch::Receiver<Option<String>>,
    /// What a caller has to show; `None` lets everybody ask.
    pub token: Option<Secret>,
    /// Where orders go.
    pub asks: mpsc::Sender<Ask>,
    /// The clock of the process.
    pub clock: Clock,
    /// How often a fresh view is to be expected.
    pub expected_interval: Duration,
}

/// The state with what is made once.
#[derive(Debug)]
struct Inner {
    given: ServeState,
    openapi: Bytes,
    listeners: Arc<Semaphore>,
}

/// What every handler gets.
type Shared = Arc<Inner>;

impl std::ops::Deref for Inner {
    type Target = ServeState;

    fn deref(&self) -> &ServeState {
        &self.given
    }
}

/// Makes the router with every route, the check of the token and the last line of defence.
pub fn router(state: ServeState) -> Router {
    let openapi = Bytes::from(api::document());
    let listeners = Arc::new(Semaphore::new(LISTENERS_MAX));
    let state = Arc::new(Inner { given: state, openapi, listeners });
    let empty = Router::new();
    route::all()
        .into_iter()
        .fold(empty, |router, (path, route)| router.route(path, route))
        .fallback(|| async { Problem::no_such_route() })
        .method_not_allowed_fallback(route::other_method)
        .layer(from_fn_with_state(Arc::clone(&state), auth::check))
        .layer(axum::middleware::from_fn(problem::shield))
        .with_state(state)
}
