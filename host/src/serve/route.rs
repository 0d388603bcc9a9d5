//! The routes, in one list: the router is made of it and the OpenAPI document is checked against
//! it.

pub(super) mod decisions;
pub(super) mod evaluation;
pub(super) mod health;
pub(super) mod now;
pub(super) mod stream;
pub(super) mod text;

use axum::routing::{MethodRouter, get};

use super::Shared;

/// The one route that needs no token: container runtimes ask it, and it tells nothing.
pub(super) const QUICK: &str = "/health/quick";

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
        ("/v1/recommendations", get(now::recommendations)),
        ("/v1/policies", get(now::policies)),
        ("/v1/policies/{policy}/evaluation", get(evaluation::latest)),
        ("/v1/targets", get(now::targets)),
        ("/metrics", get(text::metrics)),
        ("/openapi.json", get(text::openapi)),
    ]
}
