//! New decisions and transitions as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::record::Batch;
use crate::serve::listen::Stop;
use crate::serve::params::Params;
use crate::serve::problem::Problem;
use crate::serve::wire::{Decision, Transition};
use crate::serve::{LISTENERS_MAX, Shared};

/// Shows proxies and clients that the connection is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One listener.
struct Listener {
    batches: Receiver<Arc<Batch>>,
    waiting: VecDeque<Event>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

/// What a listener missed.
#[derive(Serialize)]
struct Lagged {
    missed_batches: u64,
}

/// Tells each decision and transition once the store has it, until the sidecar stops.
///
/// Events are `decision` and `transition`, with the same JSON as elsewhere, and `lagged` for a
/// listener that was too slow: `missed_batches` says how much it missed; `/v1/decisions` has it.
#[utoipa::path(get, path = "/v1/decisions/stream", tag = "decisions", responses(
    (status = 200, description = "Server-sent events.", body = String,
        content_type = "text/event-stream"),
    (status = 401, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn stream(
    State(state): State<Shared>,
    stop: Option<Extension<Stop>>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let permit = Arc::clone(&state.listeners).try_acquire_owned().map_err(|_| {
        Problem::too_many(format!("{LISTENERS_MAX} listeners are served at one time"))
    })?;
    let listener = Listener {
        batches: state.decisions.subscribe(),
        waiting: VecDeque::new(),
        stop: stop.map(|Extension(Stop(stop))| stop).unwrap_or_default(),
        _permit: permit,
    };
    let events = unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let heard = tokio::select! {
                () = self.stop.cancelled() => return None,
                heard = self.batches.recv() => heard,
            };
            match heard {
                Ok(batch) => self.waiting.extend(events(&batch)),
                Err(RecvError::Lagged(missed_batches)) => {
                    self.waiting.extend(event("lagged", &Lagged { missed_batches }));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn events(batch: &Batch) -> impl Iterator<Item = Event> {
    let decisions = batch.decisions.iter().filter_map(|decision| {
        let event = event("decision", &Decision::from(decision))?;
        Some(event.id(decision.id.to_string()))
    });
    let transitions = batch.transitions.iter();
    let transitions = transitions.filter_map(|one| event("transition", &Transition::from(one)));
    decisions.chain(transitions)
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    let data = serde_json::to_string(data).ok()?;
    Some(Event::default().event(name).data(data))
}
