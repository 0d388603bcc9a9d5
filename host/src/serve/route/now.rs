//! What is known at this moment, answered from memory.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::serve::Shared;
use crate::serve::params::Params;
use crate::serve::problem::{Problem, json};
use crate::serve::wire::{AlertList, PolicyList, PoolList, RecommendationList, TargetList, Which};

/// Lists pools with all their numbers.
#[utoipa::path(get, path = "/v1/pools", tag = "now", params(
    ("target" = Option<String>, Query, description = "Only of this PgBouncer."),
    ("database" = Option<String>, Query, description = "Only of this database."),
    ("user" = Option<String>, Query, description = "Only of this user."),
), responses(
    (status = 200, description = "The pools.", body = PoolList),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn pools(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&["target", "database", "user"])?;
    let view = state.view.borrow().clone();
    let fits = |key, value: &str| params.text(key).is_none_or(|wanted| wanted == value);
    let pools = PoolList::new(&view, |target, pool| {
        fits("target", target.name.as_str())
            && fits("database", &pool.database)
            && fits("user", &pool.user)
    });
    Ok(json(StatusCode::OK, &pools))
}

/// Lists alerts.
#[utoipa::path(get, path = "/v1/alerts", tag = "now", params(
    ("all" = Option<bool>, Query, description = "Also those that are pending or cooling down."),
), responses(
    (status = 200, description = "The alerts.", body = AlertList),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn alerts(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    let all = params.only(&["all"])?.flag("all")?;
    let which = if all { Which::All } else { Which::Firing };
    let view = state.view.borrow().clone();
    Ok(json(StatusCode::OK, &AlertList::new(&view, which)))
}

/// Lists the advice that stands.
#[utoipa::path(get, path = "/v1/recommendations", tag = "now", responses(
    (status = 200, description = "The recommendations.", body = RecommendationList),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn recommendations(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let view = state.view.borrow().clone();
    Ok(json(StatusCode::OK, &RecommendationList::from(&*view)))
}

/// Lists policies: what serves, what does not and why.
#[utoipa::path(get, path = "/v1/policies", tag = "now", responses(
    (status = 200, description = "The policies.", body = PolicyList),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn policies(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let (statuses, problem) = (state.registry.statuses(), state.registry.folder_problem());
    let folder = state.registry.dir().display().to_string();
    let view = state.view.borrow().clone();
    let list = PolicyList::new(folder, problem.as_deref(), &statuses, &view);
    Ok(json(StatusCode::OK, &list))
}

/// Lists targets with the sizes that the sidecar keeps and what bounds them.
#[utoipa::path(get, path = "/v1/targets", tag = "now", responses(
    (status = 200, description = "The targets.", body = TargetList),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn targets(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let view = state.view.borrow().clone();
    Ok(json(StatusCode::OK, &TargetList::from(&*view)))
}
