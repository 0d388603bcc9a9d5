//! The bearer token, where one is configured.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use super::{Shared, route};

/// Lets a request pass that shows the token, or asks what needs none.
pub(super) async fn check(State(state): State<Shared>, request: Request, next: Next) -> Response {
    let open = request.uri().path() == route::QUICK;
    match &state.token {
        Some(token) if !open && !shows(&request, token.expose()) => {
            Problem::unauthorized().into_response()
        }
        _ => next.run(request).await,
    }
}

/// Compares in a time that tells nothing of how much of the token was right.
fn shows(request: &Request, token: &str) -> bool {
    let shown = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    let Some((scheme, shown)) = shown.and_then(|shown| shown.split_at_checked(7)) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(shown.ct_eq(token.as_bytes()))
}
