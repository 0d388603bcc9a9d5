//! A decision explained.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::decisions::{bad_path, read_id};
use crate::config::nearest;
use crate::evaluate::{Input, PoolSeen};
use crate::model::{DecisionId, Origin};
use crate::record::{DecisionFilter, Evaluation};
use crate::serve::Shared;
use crate::serve::params::Params;
use crate::serve::problem::{Problem, json};
use crate::serve::story::{Source, Story};

/// Shortest beginning of an id that can be meant.
const BEGINNING: usize = 4;

/// Tells the whole story of one decision in plain words.
///
/// What was seen, who decided and with which settings, what was said and why, each rule's word of the
/// guard, what was done and read back, what was measured afterwards, and what a person can do now.
#[utoipa::path(get, path = "/v1/decisions/{id}/explain", tag = "decisions", params(
    ("id" = String, Path, description = "The decision's id."),
), responses(
    (status = 200, description = "The story.", body = Story),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn explain(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let Path(text) = path.map_err(|_| bad_path())?;
    let Ok(id) = read_id(&text) else {
        let detail = format!("id: {text:?} is not the id of a decision (a UUID)");
        return Err(Problem::parameter("id", detail + &hint(&state, &text).await));
    };
    let failed = |error| Problem::store(&error);
    let Some(stored) = state.store.decision(id).await.map_err(failed)? else {
        let hint = hint(&state, &text).await;
        return Err(Problem::not_found(format!("there is no decision {id}{hint}")));
    };
    let evaluation = match &stored.decision.origin {
        Origin::Plugin { evaluation, .. } => {
            state.store.evaluation(*evaluation).await.map_err(failed)?
        }
        Origin::Host => None,
    };
    let effect = state.store.effect(id).await.map_err(failed)?;
    let seen = evaluation.as_ref().map(|one| seen(id, one)).unwrap_or_default();
    let story = Story::new(Source {
        stored: &stored,
        evaluation: evaluation.as_ref(),
        seen: &seen,
        effect: effect.as_ref(),
    });
    Ok(json(StatusCode::OK, &story))
}

/// Reads the pools of a recorded input; one of another version is told without them.
fn seen(id: DecisionId, evaluation: &Evaluation) -> Vec<PoolSeen> {
    match Input::from_json(&evaluation.input) {
        Ok(input) => input.seen(),
        Err(error) => {
            tracing::warn!(%error, decision = %id, "a recorded input cannot be read");
            Vec::new()
        }
    }
}

/// Names the newest decision whose id begins like this, or is nearest to it.
async fn hint(state: &Shared, text: &str) -> String {
    let filter = DecisionFilter { limit: DecisionFilter::LIMIT_MAX, ..DecisionFilter::default() };
    let Ok(page) = state.store.decisions(&filter).await else { return String::new() };
    let text = text.trim().to_ascii_lowercase();
    let ids: Vec<(String, &str)> =
        page.decisions.iter().map(|one| (one.id.to_string(), one.kind().as_str())).collect();
    let begins = |(id, _): &&(String, &str)| text.len() >= BEGINNING && id.starts_with(&text);
    let near = || {
        let id = nearest(&text, ids.iter().map(|(id, _)| id.as_str()))?;
        ids.iter().find(|(other, _)| other == id)
    };
    match ids.iter().find(begins).or_else(near) {
        Some((id, kind)) => format!("; did you mean {id} ({kind})?"),
        None => "; `poolwarden decisions` lists the newest".to_owned(),
    }
}
