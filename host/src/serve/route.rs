//! The routes, in one list: the router is made of it and the OpenAPI document is checked against
//! it.

pub(super) mod decisions;
pub(super) mod evaluation;
pub(super) mod explain;
pub(super) mod health;
pub(super) mod now;
pub(super) mod orders;
pub(super) mod silences;
pub(super) mod stream;
pub(super) mod text;

use axum::http::Uri;
use axum::routing::{MethodRouter, delete, get, post};

use super::Shared;
use super::problem::Problem;

/// The one route that needs no token: container runtimes ask it, and it tells nothing.
pub(super) const QUICK: &str = "/health/quick";

/// The route of silences, and those below it.
const SILENCES: &str = "/v1/silences";
/// How the paths of the other orders end.
const ORDERS: [&str; 5] = ["/pause", "/resume", "/panic", "/approve", "/reject"];

/// Refuses a method that a route does not have, and says which it has.
pub(super) async fn other_method(uri: Uri) -> Problem {
    if ORDERS.iter().any(|order| uri.path().ends_with(order)) {
        return Problem::method("this route takes an order: use POST with a body in JSON", "POST");
    }
    match uri.path().strip_prefix(SILENCES) {
        Some("") => Problem::method("use GET to list and POST to add silences", "GET, HEAD, POST"),
        Some(_) => Problem::method("use DELETE to end a silence; GET /v1/silences lists", "DELETE"),
        None => Problem::method("this route only tells: use GET", "GET, HEAD"),
    }
}

/// Gives every route with its path as OpenAPI writes it.
pub(super) fn all() -> Vec<(&'static str, MethodRouter<Shared>)> {
    vec![
        ("/health", get(health::full)),
        (QUICK, get(health::quick)),
        ("/health/connections", get(health::connections)),
        ("/v1/pools", get(now::pools)),
        ("/v1/pools/{target}/{database}/{user}/history", get(decisions::history)),
        ("/v1/decisions", get(decisions::list)),
        ("/v1/decisions/stream", get(stream::stream)),
        ("/v1/decisions/{id}", get(decisions::one)),
        ("/v1/alerts", get(now::alerts)),
        (SILENCES, get(silences::list).post(silences::add)),
        ("/v1/silences/{id}", delete(silences::remove)),
        ("/v1/recommendations", get(now::recommendations)),
        ("/v1/policies", get(now::policies)),
        ("/v1/policies/{policy}/evaluation", get(evaluation::latest)),
        ("/v1/decisions/{id}/explain", get(explain::explain)),
        ("/v1/decisions/{id}/approve", post(orders::approve)),
        ("/v1/decisions/{id}/reject", post(orders::reject)),
        ("/v1/targets", get(now::targets)),
        ("/v1/targets/{target}/pause", post(orders::pause)),
        ("/v1/targets/{target}/resume", post(orders::resume)),
        ("/v1/targets/{target}/panic", post(orders::panic_one)),
        ("/v1/panic", post(orders::panic_all)),
        ("/metrics", get(text::metrics)),
        ("/openapi.json", get(text::openapi)),
    ]
}
