//! What a policy was asked last, for authors who capture it as a case.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::serve::Shared;
use crate::serve::params::Params;
use crate::serve::problem::{Problem, json};
use crate::serve::wire::Evaluation;

/// Shows a policy's latest evaluation of a target: what it saw and what it answered.
#[utoipa::path(get, path = "/v1/policies/{policy}/evaluation", tag = "now", params(
    ("policy" = String, Path, description = "The policy."),
    ("target" = Option<String>, Query,
        description = "The PgBouncer; may be left out when there is only one."),
), responses(
    (status = 200, description = "The evaluation.", body = Evaluation),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
))]
pub(in crate::serve) async fn latest(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&["target"])?;
    let Path(policy) = path.map_err(|_| {
        Problem::parameter("policy", "the path is not percent-encoded UTF-8".to_owned())
    })?;
    let known = state.registry.targets_of(&policy);
    let known =
        known.ok_or_else(|| Problem::not_found(format!("there is no policy {policy:?}")))?;
    let target = match (params.text("target"), known.as_slice()) {
        (Some(target), _) => target,
        (None, [one]) => one,
        (None, []) => {
            return Err(Problem::not_found(format!("{policy} has not been evaluated yet")));
        }
        (None, several) => {
            let detail = format!("target: say which of {}", several.join(", "));
            return Err(Problem::parameter("target", detail));
        }
    };
    let evaluated = state.registry.latest(&policy, target).ok_or_else(|| {
        let detail = format!("{policy} has not been evaluated for {target:?}");
        Problem::not_found(match known.as_slice() {
            [] => detail,
            known => format!("{detail}, but for {}", known.join(", ")),
        })
    })?;
    let Some(input) = &evaluated.input else {
        return Err(Problem::not_found(format!(
            "{policy}'s latest input is too large to be kept; a decision's is in the store"
        )));
    };
    let internal = |error| {
        tracing::error!(%error, policy, "an evaluation is not JSON");
        Problem::internal()
    };
    let input = input.to_json().map_err(internal)?;
    let evaluation = Evaluation::new(target, &evaluated, input).map_err(internal)?;
    Ok(json(StatusCode::OK, &evaluation))
}
