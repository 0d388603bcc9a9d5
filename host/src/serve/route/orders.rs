//! Orders of people: pause, resume, the panic switch, approve, reject.
//!
//! When one of these answers well, it is recorded and holds; what it leads to follows.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::decisions::detail;
use crate::control::{Order, TheirSizes};
use crate::model::{DecisionId, Signature, Silence, TargetName};
use crate::serve::Shared;
use crate::serve::ask::order;
use crate::serve::body::Json;
use crate::serve::params::Params;
use crate::serve::problem::{Problem, json};
use crate::serve::wire::{
    DecisionDetail, HeldList, NewAnswer, NewPanic, NewPause, NewResume, Show,
};

/// Who pulled the panic switch without a name.
const SOMEBODY: &str = "somebody";

/// Changes nothing of a target any more, until it is resumed or the time is over.
///
/// Decisions go on being recorded, each with the guard's rule `held`; a change that is under way is
/// finished. It outlives a restart of the sidecar. Where another sidecar acts, it is refused (409) with that
/// one's name: give it the order.
#[utoipa::path(post, path = "/v1/targets/{target}/pause", tag = "orders",
    params(("target" = String, Path, description = "The PgBouncer.")),
    request_body = NewPause, responses(
    (status = 200, description = "What holds now.", body = HeldList),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 409, response = Problem),
    (status = 415, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn pause(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
    Json(wanted): Json<NewPause>,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let target = target(path)?;
    let by = signature(&wanted.author, &wanted.comment)?;
    if by.comment.is_empty() {
        return Err(Problem::parameter("comment", "comment: say why".to_owned()));
    }
    let lasts = wanted.for_ms.map(Duration::from_millis);
    if lasts.is_some_and(|lasts| lasts.is_zero() || lasts > Silence::LONGEST) {
        let most = Silence::LONGEST.as_millis();
        let detail = format!("for_ms: must be 1 to {most}; leave it out to pause until a resume");
        return Err(Problem::parameter("for_ms", detail));
    }
    let until = lasts.map(|lasts| state.clock.now().plus(lasts));
    order(&state, Order::Pause { target: target.clone(), until, by }).await?;
    Ok(held(&state, Some(&target)))
}

/// Ends a pause or a panic: the target is changed again.
#[utoipa::path(post, path = "/v1/targets/{target}/resume", tag = "orders",
    params(("target" = String, Path, description = "The PgBouncer.")),
    request_body = NewResume, responses(
    (status = 200, description = "What holds now; also when nothing held it.", body = HeldList),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 409, response = Problem),
    (status = 415, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn resume(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
    Json(wanted): Json<NewResume>,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let target = target(path)?;
    let by = signature(&wanted.author, &wanted.comment)?;
    let sizes = if wanted.adopt { TheirSizes::Adopt } else { TheirSizes::Respect };
    order(&state, Order::Resume { target: target.clone(), sizes, by }).await?;
    Ok(held(&state, Some(&target)))
}

/// Brings every size that the sidecar has changed back to the file's value, on one target.
///
/// Then nothing is changed until a resume. Sizes that a person has set are left to them.
#[utoipa::path(post, path = "/v1/targets/{target}/panic", tag = "orders",
    params(("target" = String, Path, description = "The PgBouncer.")),
    request_body = NewPanic, responses(
    (status = 200, description = "What holds now, and what is still to go back.", body = HeldList),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 409, response = Problem),
    (status = 415, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn panic_one(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
    Json(wanted): Json<NewPanic>,
) -> Result<Response, Problem> {
    params.only(&[])?;
    panic(&state, Some(target(path)?), wanted).await
}

/// Brings every size that the sidecar has changed back to the file's value, on every target.
///
/// Targets on which another sidecar acts are left out; `acted_by` names that one, which must be told too.
/// Where that is so of all of them, nothing is done (409).
#[utoipa::path(post, path = "/v1/panic", tag = "orders", request_body = NewPanic, responses(
    (status = 200, description = "What holds now, and what is still to go back.", body = HeldList),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 409, response = Problem),
    (status = 415, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn panic_all(
    State(state): State<Shared>,
    params: Params,
    Json(wanted): Json<NewPanic>,
) -> Result<Response, Problem> {
    params.only(&[])?;
    panic(&state, None, wanted).await
}

async fn panic(
    state: &Shared,
    target: Option<TargetName>,
    wanted: NewPanic,
) -> Result<Response, Problem> {
    let by = signature(wanted.author.as_deref().unwrap_or(SOMEBODY), &wanted.comment)?;
    order(state, Order::Panic { target: target.clone(), by }).await?;
    Ok(held(state, target.as_ref()))
}

/// Does what waits for a person.
///
/// The guard is asked once more, at this moment; that the mode is `recommend` no longer matters. When
/// this answers, the approval is recorded and the change is on its way: the decision's status tells
/// what comes of it.
#[utoipa::path(post, path = "/v1/decisions/{id}/approve", tag = "orders",
    params(("id" = String, Path, description = "The decision's id.")),
    request_body = NewAnswer, responses(
    (status = 202, description = "The decision; the change follows.", body = DecisionDetail),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 409, response = Problem),
    (status = 415, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn approve(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
    Json(wanted): Json<NewAnswer>,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let id = decision(&state, path).await?;
    let by = signature(&wanted.author, &wanted.comment)?;
    order(&state, Order::Approve { id, by }).await?;
    detail(&state, id, Show::Sizes, StatusCode::ACCEPTED).await
}

/// Puts away what waits for a person; it is not said again for a while.
#[utoipa::path(post, path = "/v1/decisions/{id}/reject", tag = "orders",
    params(("id" = String, Path, description = "The decision's id.")),
    request_body = NewAnswer, responses(
    (status = 200, description = "The decision.", body = DecisionDetail),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 409, response = Problem),
    (status = 415, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn reject(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
    Json(wanted): Json<NewAnswer>,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let id = decision(&state, path).await?;
    let by = signature(&wanted.author, &wanted.comment)?;
    order(&state, Order::Reject { id, by }).await?;
    detail(&state, id, Show::Sizes, StatusCode::OK).await
}

fn held(state: &Shared, target: Option<&TargetName>) -> Response {
    json(StatusCode::OK, &HeldList::new(&state.view.borrow(), target))
}

fn signature(author: &str, comment: &str) -> Result<Signature, Problem> {
    Signature::new(author, comment)
        .map_err(|error| Problem::parameter(error.field(), format!("{}: {error}", error.field())))
}

fn target(path: Result<Path<String>, PathRejection>) -> Result<TargetName, Problem> {
    let Path(text) = path.map_err(|_| super::decisions::bad_path())?;
    TargetName::new(&text).map_err(|error| Problem::parameter("target", format!("target: {error}")))
}

/// Reads the id of a decision that there is.
async fn decision(
    state: &Shared,
    path: Result<Path<String>, PathRejection>,
) -> Result<DecisionId, Problem> {
    let Path(text) = path.map_err(|_| super::decisions::bad_path())?;
    let id = super::decisions::read_id(&text)?;
    let stored = state.store.decision(id).await.map_err(|error| Problem::store(&error))?;
    match stored {
        Some(_) => Ok(id),
        None => Err(Problem::not_found(format!("there is no decision {id}"))),
    }
}
