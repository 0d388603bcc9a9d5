//! A request's body: JSON, small, and read so that nothing wrong in it passes in silence.
//!
//! The content type must say so. A browser sends a page's JSON to another origin only after it has
//! asked, which nothing here answers; so a page that somebody visits cannot give orders to a
//! sidecar on the same machine.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Largest body.
const BODY_BYTES: usize = 16 << 10;

/// A body that was JSON of the right shape.
#[derive(Debug)]
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::not_json());
        }
        let bytes = to_bytes(request.into_body(), BODY_BYTES).await.map_err(|_| {
            Problem::body(format!("the body cannot be read within {BODY_BYTES} bytes"))
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::body(format!("the body is not what this route takes: {error}"))
        })
    }
}
