//! What the store knows: decisions and history.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use crate::model::{DecisionId, Kind, Origin, PolicyName, PoolKey, Status, TargetName, Timestamp};
use crate::record::{DecisionFilter, HistoryQuery};
use crate::serve::Shared;
use crate::serve::params::{Known, Params};
use crate::serve::problem::{Problem, json};
use crate::serve::wire::{DecisionDetail, DecisionPage, PoolHistory, Show};

const FILTERS: [&str; 10] = [
    "kind", "target", "database", "user", "policy", "status", "since_ms", "until_ms", "limit",
    "cursor",
];
/// History that is shown when nobody says since when.
const HISTORY_SPAN: Duration = Duration::from_secs(3_600);
const POINTS_DEFAULT: u32 = 120;
const POINTS_MAX: u32 = 2_000;

/// Lists decisions, newest first, in pages.
#[utoipa::path(get, path = "/v1/decisions", tag = "decisions", params(
    ("kind" = Option<String>, Query,
        description = "`alert`, `recommendation`, `resize` or `end_session`."),
    ("target" = Option<String>, Query, description = "Only of this PgBouncer."),
    ("database" = Option<String>, Query, description = "Only about this database."),
    ("user" = Option<String>, Query, description = "Only about this user."),
    ("policy" = Option<String>, Query, description = "Only of this policy."),
    ("status" = Option<String>, Query, description = "Only with this status of now."),
    ("since_ms" = Option<u64>, Query, description = "Not taken before this moment."),
    ("until_ms" = Option<u64>, Query, description = "Taken before this moment."),
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 500,
        description = "Most decisions in the page; 50 when left out."),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
), responses(
    (status = 200, description = "A page of decisions.", body = DecisionPage),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn list(
    State(state): State<Shared>,
    params: Params,
) -> Result<Response, Problem> {
    let filter = filter(&params.only(&FILTERS)?)?;
    let page = state.store.decisions(&filter).await.map_err(|error| Problem::store(&error))?;
    Ok(json(StatusCode::OK, &DecisionPage::from(&page)))
}

fn filter(params: &Known) -> Result<DecisionFilter, Problem> {
    const NAME: &str = "1 to 63 letters, digits, '-', '_' and '.'";
    let kind = |text: &str| Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    let statuses = Status::ALL.map(Status::as_str).join(", ");
    let uuid = |text: &str| Uuid::try_parse(text).ok().map(DecisionId);
    let limit = params.count("limit", 1, DecisionFilter::LIMIT_MAX)?;
    Ok(DecisionFilter {
        kind: params.read("kind", "one of alert, recommendation, resize, end_session", kind)?,
        target: params.read("target", NAME, |text| TargetName::new(text).ok())?,
        database: params.text("database").map(str::to_owned),
        user: params.text("user").map(str::to_owned),
        policy: params.read("policy", NAME, |text| PolicyName::new(text).ok())?,
        status: params.read("status", &format!("one of {statuses}"), Status::parse)?,
        since: params.moment("since_ms")?,
        until: params.moment("until_ms")?,
        limit: limit.unwrap_or(DecisionFilter::LIMIT_DEFAULT),
        cursor: params.read("cursor", "a next_cursor of an earlier page", uuid)?,
    })
}

/// Shows one decision with all that came of it.
#[utoipa::path(get, path = "/v1/decisions/{id}", tag = "decisions", params(
    ("id" = String, Path, description = "The decision's id."),
    ("input" = Option<bool>, Query,
        description = "Also what the plugin was asked and answered, as long as it is kept."),
), responses(
    (status = 200, description = "The decision.", body = DecisionDetail),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn one(
    State(state): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Response, Problem> {
    let input = params.only(&["input"])?.flag("input")?;
    let Path(text) = path.map_err(|_| bad_path())?;
    let show = if input { Show::Everything } else { Show::Sizes };
    detail(&state, read_id(&text)?, show, StatusCode::OK).await
}

/// Reads a decision's id.
pub(super) fn read_id(text: &str) -> Result<DecisionId, Problem> {
    Uuid::try_parse(text).map(DecisionId).map_err(|_| {
        Problem::parameter("id", format!("id: {text:?} is not the id of a decision (a UUID)"))
    })
}

/// Answers with one decision and all that came of it.
pub(super) async fn detail(
    state: &Shared,
    id: DecisionId,
    show: Show,
    status: StatusCode,
) -> Result<Response, Problem> {
    let failed = |error| Problem::store(&error);
    let stored = state.store.decision(id).await.map_err(failed)?;
    let stored = stored.ok_or_else(|| Problem::not_found(format!("there is no decision {id}")))?;
    let evaluation = match &stored.decision.origin {
        Origin::Plugin { evaluation, .. } => {
            state.store.evaluation(*evaluation).await.map_err(failed)?
        }
        Origin::Host => None,
    };
    let effect = state.store.effect(id).await.map_err(failed)?;
    let detail = DecisionDetail::new(&stored, evaluation.as_ref(), effect.as_ref(), show);
    let detail = detail.map_err(|error| {
        tracing::error!(%error, decision = %id, "a recorded evaluation is not JSON");
        Problem::internal()
    })?;
    Ok(json(status, &detail))
}

/// Shows a pool's past with its trend.
#[utoipa::path(get, path = "/v1/pools/{target}/{database}/{user}/history", tag = "decisions",
    params(
    ("target" = String, Path, description = "The PgBouncer."),
    ("database" = String, Path, description = "The pool's database."),
    ("user" = String, Path, description = "The pool's user."),
    ("since_ms" = Option<u64>, Query, description = "Not before this moment; else an hour ago."),
    ("until_ms" = Option<u64>, Query, description = "Before this moment; else now."),
    ("points" = Option<u32>, Query, minimum = 2, maximum = 2000,
        description = "Most points; 120 when left out."),
), responses(
    (status = 200, description = "The pool's past.", body = PoolHistory),
    (status = 400, response = Problem),
    (status = 401, response = Problem),
    (status = 404, response = Problem),
    (status = 503, response = Problem),
))]
pub(in crate::serve) async fn history(
    State(state): State<Shared>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&["since_ms", "until_ms", "points"])?;
    let Path((target, database, user)) = path.map_err(|_| bad_path())?;
    let target = TargetName::new(&target)
        .map_err(|error| Problem::parameter("target", format!("target: {error}")))?;
    let (since, until) = span(&params, state.clock.now())?;
    let query = HistoryQuery {
        target,
        pool: PoolKey::new(&database, &user),
        since,
        until,
        points_max: params.count("points", 2, POINTS_MAX)?.unwrap_or(POINTS_DEFAULT),
    };
    let points = state.store.history(&query).await.map_err(|error| Problem::store(&error))?;
    if points.is_empty() && !is_known(&state, &query) {
        let (target, pool) = (&query.target, &query.pool);
        return Err(Problem::not_found(format!("{target} has no pool {pool}, now or in history")));
    }
    Ok(json(StatusCode::OK, &PoolHistory::new(&query, &points)))
}

fn span(params: &Known, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let until = params.moment("until_ms")?.unwrap_or(now);
    let since = params.moment("since_ms")?.unwrap_or_else(|| until.minus(HISTORY_SPAN));
    if since >= until {
        let (since, until) = (since.as_millis(), until.as_millis());
        let detail = format!("since_ms: {since} is not before until_ms, {until}");
        return Err(Problem::parameter("since_ms", detail));
    }
    Ok((since, until))
}

fn is_known(state: &Shared, query: &HistoryQuery) -> bool {
    let view = state.view.borrow();
    let mut targets = view.targets.iter().filter(|target| target.name == query.target);
    targets.any(|target| target.pools.iter().any(|(key, _)| *key == query.pool))
}

pub(super) fn bad_path() -> Problem {
    Problem::parameter("path", "the path is not percent-encoded UTF-8".to_owned())
}
