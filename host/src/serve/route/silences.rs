//! Silences, which mute alerts and touch no pool.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use crate::control::Order;
use crate::model::{Silence, SilenceId, Timestamp};
use crate::record::SilenceChange;
use crate::serve::Shared;
use crate::serve::ask::order;
use crate::serve::body::Json;
use crate::serve::params::Params;
use crate::serve::problem::{Problem, json};
use crate::serve::wire::{self, NewSilence, SilenceList};

/// Lists the silences that hold.
#[utoipa::path(get, path = "/v1/silences", tag = "silences", responses(
    (status = 200, description = "The silences.", body = SilenceList),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn list(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let view = state.view.borrow().clone();
    Ok(json(StatusCode::OK, &SilenceList::from(&*view)))
}

/// Adds a silence. When this answers, it is recorded and holds.
#[utoipa::path(post, path = "/v1/silences", tag = "silences", request_body = NewSilence, responses(
    (status = 201, description = "The silence.", body = wire::Silence),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 409, response = Problem),
    (status = 415, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn add(
    State(state): State<Shared>,
    params: Params,
    Json(wanted): Json<NewSilence>,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let silence = silence(wanted, state.clock.now())?;
    order(&state, Order::Silence(SilenceChange::Add(silence.clone()))).await?;
    let muted = wire::muted(&state.view.borrow(), silence.id);
    Ok(json(StatusCode::CREATED, &wire::Silence::new(&silence, muted)))
}

/// Ends a silence before its time.
#[utoipa::path(delete, path = "/v1/silences/{id}", tag = "silences", params(
    ("id" = String, Path, description = "The silence's id."),
), responses(
    (status = 204, description = "It has ended."),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn remove(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<StatusCode, Problem> {
    params.only(&[])?;
    let Path(text) = path.map_err(|_| bad_id(""))?;
    let id = Uuid::try_parse(&text).map(SilenceId).map_err(|_| bad_id(&text))?;
    let change = SilenceChange::Remove { id, at: state.clock.now() };
    order(&state, Order::Silence(change)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn bad_id(text: &str) -> Problem {
    Problem::parameter("id", format!("id: {text:?} is not the id of a silence (a UUID)"))
}

fn silence(wanted: NewSilence, now: Timestamp) -> Result<Silence, Problem> {
    let until = match (wanted.until_ms, wanted.for_ms) {
        (Some(until), None) => Timestamp::from_millis(until),
        (None, Some(long)) => now.plus(Duration::from_millis(long)),
        (Some(_), Some(_)) => {
            let detail = "give until_ms or for_ms, not both".to_owned();
            return Err(Problem::parameter("for_ms", detail));
        }
        (None, None) => {
            let detail = "a silence must end: give for_ms (how long) or until_ms (a moment)";
            return Err(Problem::parameter("for_ms", detail.to_owned()));
        }
    };
    let silence = Silence {
        id: SilenceId(Uuid::now_v7()),
        matchers: wanted.matchers.into(),
        since: now,
        until,
        author: wanted.author,
        comment: wanted.comment,
    };
    silence.check().map_err(|error| {
        Problem::parameter(error.field(), format!("{}: {error}", error.field()))
    })?;
    Ok(silence)
}
