//! A window as people write it, row by row, and as a plugin gets it, by columns.
//!
//! Only what matters has to be written: everything else has a default that makes a calm, plausible
//! PgBouncer, and what follows from other values of a row (utilization from busy servers and size)
//! is computed. `plugins/README.md` has the format for authors.

mod parts;
mod past;
mod pools;
mod sessions;

use serde_json::{Map, Value, json};

use super::rows::{Problems, Row};
pub(super) use parts::CHANGES;
pub(super) use parts::{STATUSES, STATUSES_JSON};
use pools::Names;
pub(super) use pools::{CONDITIONS, MODES};
pub(super) use sessions::STATES;

/// A Monday, 00:00 UTC, so that patterns of days and weeks begin at a round moment.
const AT_MS: u64 = 1_700_438_400_000;

/// Reads a window file's table; gives the JSON of an evaluation's input, or all that is wrong.
pub(super) fn read(table: &Map<String, Value>) -> Result<Value, Vec<String>> {
    let problems = Problems::default();
    let top = Row::new(&problems, "", table);
    let empty = Map::new();
    let target = top.table("target").unwrap_or_else(|| Row::new(&problems, "target", &empty));
    let sizes = parts::Sizes::read(&target);
    let scopes = parts::Scopes::read(&top, &sizes);
    let pools = pools::Pools::read(&top, &scopes, &sizes);
    let at_ms = top.u64("at_ms", AT_MS);
    let window = json!({
        "at_ms": at_ms,
        "short_span_ms": top.u64("short_span_ms", 10_000),
        "long_span_ms": top.u64("long_span_ms", 300_000),
        "target": parts::target(target, &sizes, pools.clients),
        "database": parts::database(&top, &pools),
        "scopes": scopes.columns(&pools.scope),
        "pools": pools.columns,
        "past": past::read(&top, &pools.names, at_ms),
        "sessions": sessions::read(&top, &pools.names),
    });
    let settings = parts::settings(&top);
    top.finish();
    let problems = problems.all();
    if !problems.is_empty() {
        return Err(problems);
    }
    let Names { keys, .. } = pools.names;
    Ok(json!({ "window": window, "pools": keys, "scopes": scopes.names, "settings": settings }))
}
