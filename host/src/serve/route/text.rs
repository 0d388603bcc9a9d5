//! What is not of the API proper: metrics and the API's own description.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::metrics::{CONTENT_TYPE, Scrape};
use crate::serve::Shared;
use crate::serve::problem::Problem;

/// Writes metrics in Prometheus' text format; those of `pgbouncer_exporter` under its names.
///
/// Takes any parameters, because Prometheus may be configured to send some.
#[utoipa::path(get, path = "/metrics", tag = "metrics", responses(
    (status = 200, description = "Text format 0.0.4.", body = String, content_type = "text/plain"),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn metrics(State(state): State<Shared>) -> Response {
    let view = state.view.borrow().clone();
    let policies = state.registry.statuses();
    let scrape = Scrape {
        now: state.clock.now(),
        view: &view,
        policies: &policies,
        folder_failing: state.registry.folder_problem().is_some(),
        store_bytes: state.store.size_bytes().await.ok(),
        store_failing: state.store_problem.borrow().is_some(),
    };
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], state.metrics.render(&scrape)).into_response()
}

/// Describes this API.
#[utoipa::path(get, path = "/openapi.json", tag = "metrics", responses(
    (status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json"),
    (status = 401, response = Problem),
))]
pub(in crate::serve) async fn openapi(State(state): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], state.openapi.clone()).into_response()
}
