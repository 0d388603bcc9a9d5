//! The bearer token, where one is configured; where none is, that orders come from this machine.
//!
//! Without a token the sidecar listens on loopback only. A name that somebody else resolves to
//! loopback (DNS rebinding) makes a browser's page a local one, and its `Host` gives it away.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::uri::Authority;
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
        None if !request.method().is_safe() && !is_for_loopback(&request) => {
            Problem::misdirected().into_response()
        }
        _ => next.run(request).await,
    }
}

/// Says whether a request names this machine by a name that only this machine has.
fn is_for_loopback(request: &Request) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |ip: IpAddr| ip.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

/// Compares in a time that tells nothing of how much of the token was right.
fn shows(request: &Request, token: &str) -> bool {
    let shown = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    let Some((scheme, shown)) = shown.and_then(|shown| shown.split_at_checked(7)) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(shown.ct_eq(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn to(host: &str) -> bool {
        let request = Request::builder().header(HOST, host).body(Body::empty());
        is_for_loopback(&request.expect("a request"))
    }

    #[test]
    fn orders_without_a_token_name_loopback() {
        for host in ["localhost:7432", "LOCALHOST", "127.0.0.1:7432", "127.8.8.8", "[::1]:7432"] {
            assert!(to(host), "{host}");
        }
        for host in ["rebound.example:7432", "10.0.0.7", "localhost.example", "", "127.0.0.1.x"] {
            assert!(!to(host), "{host}");
        }
    }
}
