//! Errors as `application/problem+json` (RFC 9457).
//!
//! What a caller did wrong is named; what went wrong inside is logged in full and told in one plain
//! sentence without paths, because an answer may travel further than a log.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde::Serialize;
use utoipa::{ToResponse, ToSchema};

use crate::record::RecordError;
use crate::report::chain;

/// How long an answer may take to begin; the store gives up sooner by itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// When to ask again for what the store cannot give now.
const RETRY_AFTER_S: &str = "5";

/// An error of a request.
#[derive(Debug, Serialize, ToSchema, ToResponse)]
#[response(
    description = "What is wrong with the request, or what cannot be had now (RFC 9457).",
    content_type = "application/problem+json"
)]
pub(super) struct Problem {
    /// What sort of problem it is; stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:poolwarden:problem:bad-parameter")]
    kind: &'static str,
    /// The sort in plain words.
    title: &'static str,
    /// The HTTP status once more.
    status: u16,
    /// What is wrong with this request and what to do.
    detail: String,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip)]
    header: Option<(&'static str, &'static str)>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Self {
        Self { kind, title, status: status.as_u16(), detail, key: None, header: None }
    }

    fn with(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// A parameter that cannot be read.
    pub fn parameter(key: &str, detail: String) -> Self {
        let (kind, title) = ("urn:poolwarden:problem:bad-parameter", "bad parameter");
        let problem = Self::new(StatusCode::BAD_REQUEST, kind, title, detail);
        Self { key: Some(key.to_owned()), ..problem }
    }

    /// A thing that is not there.
    pub fn not_found(detail: String) -> Self {
        let kind = "urn:poolwarden:problem:not-found";
        Self::new(StatusCode::NOT_FOUND, kind, "not found", detail)
    }

    /// A path that no route has.
    pub fn no_such_route() -> Self {
        Self::not_found("no such route; /openapi.json lists them".to_owned())
    }

    /// A method that the route does not have.
    pub fn method(detail: &str, allowed: &'static str) -> Self {
        let (kind, title) = ("urn:poolwarden:problem:method-not-allowed", "method not allowed");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, kind, title, detail.to_owned()).with("allow", allowed)
    }

    /// A body that cannot be read.
    pub fn body(detail: String) -> Self {
        let (kind, title) = ("urn:poolwarden:problem:bad-body", "bad body");
        Self::new(StatusCode::BAD_REQUEST, kind, title, detail)
    }

    /// A body that does not say that it is JSON.
    pub fn not_json() -> Self {
        let (kind, title) = ("urn:poolwarden:problem:not-json", "unsupported media type");
        let detail = "send JSON, with the header `content-type: application/json`".to_owned();
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, kind, title, detail)
    }

    /// An order that what is there already does not allow.
    pub fn conflict(detail: String) -> Self {
        let kind = "urn:poolwarden:problem:conflict";
        Self::new(StatusCode::CONFLICT, kind, "conflict", detail)
    }

    /// An order that could not be recorded and so was not carried out.
    pub fn not_recorded(why: &str) -> Self {
        let kind = "urn:poolwarden:problem:not-recorded";
        let detail = format!("it cannot be recorded now ({why}), so it was not done; see the log");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "not recorded", detail)
            .with("retry-after", RETRY_AFTER_S)
    }

    /// An order of which nobody has said yet what came of it.
    pub fn order_unanswered(within: Duration) -> Self {
        let kind = "urn:poolwarden:problem:order-unanswered";
        let detail = format!(
            "no answer within {} s: an order that was not begun by then is withdrawn, one that was may \
             still be carried out; look what holds before you give it again",
            within.as_secs()
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "order unanswered", detail)
            .with("retry-after", RETRY_AFTER_S)
    }

    /// A missing or wrong token; which of the two is not told.
    pub fn unauthorized() -> Self {
        let (kind, title) = ("urn:poolwarden:problem:unauthorized", "unauthorized");
        let detail = "send the configured token as `Authorization: Bearer …`".to_owned();
        Self::new(StatusCode::UNAUTHORIZED, kind, title, detail).with("www-authenticate", "Bearer")
    }

    /// An order, without a token, that names this machine by a name others could have given it.
    pub fn misdirected() -> Self {
        let kind = "urn:poolwarden:problem:misdirected";
        let detail = "without a token orders are taken at localhost, 127.0.0.1 or [::1] only: \
                      use one of these, or configure a token";
        Self::new(StatusCode::MISDIRECTED_REQUEST, kind, "misdirected", detail.to_owned())
    }

    /// The store does not answer.
    pub fn store(error: &RecordError) -> Self {
        tracing::warn!(error = chain(error), "the store could not be read");
        let kind = "urn:poolwarden:problem:store-unavailable";
        let detail = format!("the store cannot be read now ({}); see the log", error.kind());
        let title = "store unavailable";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail)
            .with("retry-after", RETRY_AFTER_S)
    }

    /// More of something than is served at one time.
    pub fn too_many(detail: String) -> Self {
        let kind = "urn:poolwarden:problem:too-many";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "too many", detail)
            .with("retry-after", RETRY_AFTER_S)
    }

    /// A defect of the sidecar.
    pub fn internal() -> Self {
        let detail = "the request could not be answered; the log says why".to_owned();
        let kind = "urn:poolwarden:problem:internal";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, "internal error", detail)
    }

    fn timeout() -> Self {
        let kind = "urn:poolwarden:problem:timeout";
        let detail = format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, "timeout", detail)
            .with("retry-after", RETRY_AFTER_S)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, self.header.map(|header| [header]), body).into_response()
    }
}

/// Gives any value as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            Problem::internal().into_response()
        }
    }
}

/// Turns a panic or a stuck handler into a problem, so that one request never costs the others.
pub(super) async fn shield(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("a request handler panicked");
            Problem::internal().into_response()
        }
        Err(_) => Problem::timeout().into_response(),
    }
}
