//! Health, at three depths.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::control::View;
use crate::model::{TargetStatus, Timestamp};
use crate::serve::params::Params;
use crate::serve::problem::{Problem, json};
use crate::serve::wire::{Connections, Grade, Health, Quick, Store};
use crate::serve::{ServeState, Shared};

/// Fresh views that may be missed before the loop counts as stuck.
const MISSED_MAX: u32 = 5;
/// The loop never counts as stuck sooner, however fast it polls.
const STUCK_AFTER_MIN: Duration = Duration::from_secs(5);

/// Says why the sidecar cannot do its work, from memory alone.
///
/// Without targets there is nothing to poll and the view need not move.
fn failing(view: &View, now: Timestamp, expected: Duration) -> Option<String> {
    if view.targets.is_empty() {
        return None;
    }
    if view.targets.iter().all(|target| target.status == TargetStatus::Down) {
        let detail = |target: &crate::control::TargetView| {
            let why = target.problem.as_ref().map_or("not seen yet", |(kind, _)| kind);
            format!("{}: {why}", target.name)
        };
        let targets: Vec<_> = view.targets.iter().map(detail).collect();
        return Some(format!("no target is up ({})", targets.join(", ")));
    }
    let stuck_after = expected.saturating_mul(MISSED_MAX).max(STUCK_AFTER_MIN);
    let age = now.since(view.at);
    (age > stuck_after).then(|| format!("the loop has shown nothing for {} ms", age.as_millis()))
}

fn failing_now(state: &ServeState) -> Option<String> {
    failing(&state.view.borrow(), state.clock.now(), state.expected_interval)
}

/// Says whether the sidecar is alive and sees a PgBouncer, from memory alone.
#[utoipa::path(get, path = "/health/quick", tag = "health", responses(
    (status = 200, description = "The loop is alive and at least one target is up.", body = Quick),
    (status = 503, description = "It is not; `reason` says why.", body = Quick),
), security(()))]
pub(in crate::serve) async fn quick(State(state): State<Shared>) -> Response {
    match failing_now(&state) {
        None => json(StatusCode::OK, &Quick { status: Grade::Ok, reason: None }),
        Some(reason) => {
            let quick = Quick { status: Grade::Failing, reason: Some(reason) };
            json(StatusCode::SERVICE_UNAVAILABLE, &quick)
        }
    }
}

/// Shows everything that an on-call person looks at first.
#[utoipa::path(get, path = "/health", tag = "health", responses(
    (status = 200, description = "The sidecar works; `problems` may still hold something.",
        body = Health),
    (status = 503, description = "The loop is stuck, no target is up, or nothing is recorded.",
        body = Health),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn full(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let view = state.view.borrow().clone();
    let policies = state.registry.statuses();
    let problem = state.store_problem.borrow().clone();
    let store = Store {
        status: if problem.is_some() { Grade::Failing } else { Grade::Ok },
        problem: problem.as_deref(),
        size_bytes: state.store.size_bytes().await.ok(),
    };
    let health = Health::new(&view, failing_now(&state), store, &policies);
    let status = match health.status() {
        Grade::Ok | Grade::Degraded => StatusCode::OK,
        Grade::Failing => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(json(status, &health))
}

/// Shows every pool with all its numbers, and PostgreSQL's sessions by application.
#[utoipa::path(get, path = "/health/connections", tag = "health", responses(
    (status = 200, description = "Connections by target.", body = Connections),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn connections(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let view = state.view.borrow().clone();
    Ok(json(StatusCode::OK, &Connections::from(&*view)))
}
