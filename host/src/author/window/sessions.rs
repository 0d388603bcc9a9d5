//! Single sessions of a window: clients that hold a server, and groups of clients.

use serde_json::{Value, json};

use super::pools::Names;
use crate::author::rows::{Columns, Row};

pub(in crate::author) const STATES: [&str; 4] =
    ["unknown", "running", "idle_in_transaction", "idle"];
const HOLDERS: [&str; 12] = [
    "pool",
    "state",
    "endable",
    "client",
    "application",
    "address",
    "backend_pid",
    "connected_ms",
    "request_age_ms",
    "state_age_ms",
    "transaction_age_ms",
    "statement_age_ms",
];
const GROUPS: [&str; 6] = ["pool", "application", "address", "clients", "holding", "oldest_ms"];

/// Reads them; a window has sessions as soon as one of the three tables is there.
pub(super) fn read(top: &Row<'_>, names: &Names) -> Value {
    let (look, holders, groups) = (top.table("sessions"), top.rows("holders"), top.rows("groups"));
    if look.is_none() && holders.is_none() && groups.is_none() {
        return Value::Null;
    }
    let (mut age_ms, mut truncated) = (0, false);
    if let Some(look) = look {
        age_ms = look.u64("age_ms", 0);
        truncated = look.flag("truncated", false);
        look.finish();
    }
    json!({
        "age_ms": age_ms,
        "truncated": truncated,
        "holders": self::holders(holders.unwrap_or_default(), names),
        "groups": self::groups(groups.unwrap_or_default(), names),
    })
}

fn holders(rows: Vec<Row<'_>>, names: &Names) -> Value {
    let mut columns = Columns::of(&HOLDERS);
    for (number, row) in (1_u32..).zip(rows) {
        columns.push("pool", names.read(&row));
        let state = row.named("state", &STATES, 2);
        columns.push("state", state);
        columns.push("endable", u8::from(row.flag("endable", true)));
        columns.push("client", row.text("client", &format!("c{number}")));
        columns.push("application", row.text("application", ""));
        columns.push("address", row.text("address", &format!("10.0.0.1:{}", 50_000 + number)));
        columns.push("backend_pid", row.u32("backend_pid", 1_000 + number));
        columns.push("connected_ms", row.u64("connected_ms", 3_600_000));
        let request = row.u64("request_age_ms", 1_000);
        columns.push("request_age_ms", request);
        let in_state = row.u64("state_age_ms", request);
        columns.push("state_age_ms", in_state);
        let in_transaction = if matches!(state, 1 | 2) { in_state } else { 0 };
        columns.push("transaction_age_ms", row.u64("transaction_age_ms", in_transaction));
        columns.push("statement_age_ms", row.u64("statement_age_ms", in_state));
        row.finish();
    }
    columns.into_value()
}

fn groups(rows: Vec<Row<'_>>, names: &Names) -> Value {
    let mut columns = Columns::of(&GROUPS);
    for row in rows {
        columns.push("pool", names.read(&row));
        columns.push("application", row.text("application", ""));
        columns.push("address", row.text("address", "10.0.0.1"));
        columns.push("clients", row.u32("clients", 1));
        columns.push("holding", row.u32("holding", 0));
        columns.push("oldest_ms", row.u64("oldest_ms", 3_600_000));
        row.finish();
    }
    columns.into_value()
}
