//! The OpenAPI document, made from the handlers and wire types.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, openapi};

use super::problem::Problem;
use super::route::{decisions, evaluation, explain, health, now, orders, silences, stream, text};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Poolwarden",
        description = "What the sidecar sees, what it decided and why. Moments are milliseconds \
            since 1970; a number's unit is the last word of its name.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        health::full, health::quick, health::connections,
        now::pools, decisions::history,
        decisions::list, stream::stream, decisions::one, explain::explain,
        now::alerts, silences::list, silences::add, silences::remove, now::recommendations,
        now::policies, evaluation::latest, now::targets,
        orders::pause, orders::resume, orders::panic_one, orders::panic_all,
        orders::approve, orders::reject,
        text::metrics, text::openapi,
    ),
    components(schemas(Problem), responses(Problem)),
    security(("token" = []), ()),
    modifiers(&Token),
)]
struct Api;

/// Says that a token may be asked for.
struct Token;

impl Modify for Token {
    fn modify(&self, api: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("Needed where one is configured."))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Writes the document as JSON.
pub(super) fn document() -> String {
    serde_json::to_string(&Api::openapi()).expect("the document is made of plain values")
}
