//! Lists every field with its meaning and where it is read from.
//!
//! Kept as plain tables: a field of the contract is one line here and nothing elsewhere.

use super::{Field, Read};

/// The contract's codes of a pool's condition, in words.
const CONDITIONS: &[&str] =
    &["idle", "serving", "queueing", "login_queue", "paused", "wedged", "stale"];
/// The contract's codes of what came of a change, in words.
const CHANGES: &[&str] = &["none", "measuring", "verified", "rolled_back", "inconclusive"];
/// The contract's codes of a pool's mode, in words.
const MODES: &[&str] = &["session", "transaction", "statement"];

const fn field(name: &'static str, means: &'static str, read: Read) -> Field {
    Field { name, short: "", means, read }
}

const fn short(name: &'static str, short: &'static str, means: &'static str, read: Read) -> Field {
    Field { name, short, means, read }
}

pub(super) const POOL: &[Field] = &[
    field("database", "the database, as clients name it", Read::Database),
    field("user", "the user that PgBouncer logs in as", Read::User),
    field(
        "condition",
        "`idle`, `serving`, `queueing`, `login_queue`, `paused` or `wedged`",
        Read::PoolWord(|p| &p.condition, CONDITIONS),
    ),
    field("mode", "`session`, `transaction` or `statement`", Read::PoolWord(|p| &p.mode, MODES)),
    short(
        "cl_waiting",
        "waiting",
        "clients that wait for a server",
        Read::PoolCount(|p| &p.cl_waiting),
    ),
    field(
        "cl_active",
        "clients that are linked to a server or idle",
        Read::PoolCount(|p| &p.cl_active),
    ),
    short("sv_active", "busy", "servers that are busy", Read::PoolCount(|p| &p.sv_active)),
    field("sv_idle", "servers that are open and not busy", Read::PoolCount(|p| &p.sv_idle)),
    field("sv_login", "servers that are logging in", Read::PoolCount(|p| &p.sv_login)),
    field("size", "the pool's size", Read::PoolCount(|p| &p.size)),
    field("reserve", "reserve servers that it may open", Read::PoolCount(|p| &p.reserve)),
    field("maxwait_us", "age of the oldest waiter, µs", Read::PoolLong(|p| &p.maxwait_us)),
    field(
        "waiting_for_ms",
        "how long somebody has been waiting, ms",
        Read::PoolLong(|p| &p.waiting_for_ms),
    ),
    field(
        "full_for_ms",
        "how long every server has been busy, ms",
        Read::PoolLong(|p| &p.full_for_ms),
    ),
    field(
        "unserved_for_ms",
        "how long somebody waited and no transaction finished, ms",
        Read::PoolLong(|p| &p.unserved_for_ms),
    ),
    field(
        "observed_for_ms",
        "how long the sidecar has known the pool, ms",
        Read::PoolLong(|p| &p.observed_for_ms),
    ),
    field("utilization", "busy servers / size, now", Read::PoolFloat(|p| &p.utilization)),
    field(
        "utilization_p50",
        "its median over the long span",
        Read::PoolFloat(|p| &p.utilization_p50),
    ),
    field(
        "utilization_p95",
        "its 95th percentile over the long span",
        Read::PoolFloat(|p| &p.utilization_p95),
    ),
    field(
        "wait_p95_us",
        "95th percentile of the oldest waiter's age over the long span, µs",
        Read::PoolFloat(|p| &p.wait_p95_us),
    ),
    field("busy_mean", "mean of busy servers, short span", Read::PoolFloat(|p| &p.busy_mean)),
    field(
        "busy_finished",
        "servers held by transactions that finished in the short span",
        Read::PoolFloat(|p| &p.busy_finished),
    ),
    field("demand", "servers that it could use now", Read::PoolFloat(|p| &p.demand)),
    field(
        "demand_max_short",
        "greatest demand in the short span",
        Read::PoolFloat(|p| &p.demand_max_short),
    ),
    field(
        "demand_max_long",
        "greatest demand in the long span",
        Read::PoolFloat(|p| &p.demand_max_long),
    ),
    field(
        "demand_trend_per_min",
        "slope of demand over the later half of the long span, servers per minute",
        Read::PoolFloat(|p| &p.demand_trend_per_min),
    ),
    field(
        "clients_trend_per_min",
        "slope of the number of clients over the long span, per minute",
        Read::PoolFloat(|p| &p.clients_trend_per_min),
    ),
    field(
        "transactions_per_s",
        "transactions per second, short span",
        Read::PoolFloat(|p| &p.transactions_per_s),
    ),
    field("queries_per_s", "queries per second, short span", Read::PoolFloat(|p| &p.queries_per_s)),
    field(
        "transaction_mean_us",
        "mean time of a transaction, short span, µs",
        Read::PoolFloat(|p| &p.transaction_mean_us),
    ),
    field(
        "query_mean_us",
        "mean time of a query, short span, µs",
        Read::PoolFloat(|p| &p.query_mean_us),
    ),
    field(
        "wait_mean_us",
        "mean wait for a server per transaction, short span, µs",
        Read::PoolFloat(|p| &p.wait_mean_us),
    ),
    field(
        "idle_in_transaction",
        "servers that sit idle in a transaction; 0 where PostgreSQL is not asked",
        Read::PoolCount(|p| &p.idle_in_transaction),
    ),
    field(
        "idle_in_transaction_max_ms",
        "age of the longest of those, ms",
        Read::PoolLong(|p| &p.idle_in_transaction_max_ms),
    ),
    field(
        "running",
        "active backends that wait for nothing; 0 where PostgreSQL is not asked",
        Read::PoolCount(|p| &p.running),
    ),
    field(
        "waiting_on_lock",
        "active backends that wait for a lock; likewise",
        Read::PoolCount(|p| &p.waiting_on_lock),
    ),
    field(
        "waiting_on_io",
        "active backends that wait for I/O; likewise",
        Read::PoolCount(|p| &p.waiting_on_io),
    ),
];

pub(super) const SCOPE: &[Field] = &[
    field("kind", "`default`, `database` or `user`", Read::ScopeKind),
    field("name", "the database or user; empty for the default", Read::ScopeName),
    field("size", "its size now, servers per pool", Read::ScopeCount(|s| &s.size)),
    field("actionable", "whether the sidecar can change it", Read::ScopeBit(|s| &s.actionable, 1)),
    field("min_size", "`min_pool_size` of its pools", Read::ScopeCount(|s| &s.min_size)),
    field(
        "min_size_actionable",
        "whether the sidecar can change that",
        Read::ScopeBit(|s| &s.actionable, 2),
    ),
    field("reserve", "`reserve_pool_size` of its pools", Read::ScopeCount(|s| &s.reserve)),
    field(
        "reserve_actionable",
        "whether the sidecar can change that",
        Read::ScopeBit(|s| &s.actionable, 4),
    ),
    field("floor", "what the guard will not go below", Read::ScopeCount(|s| &s.floor)),
    field("ceiling", "what the guard will not go above", Read::ScopeCount(|s| &s.ceiling)),
    field("pools", "pools that it sizes", Read::ScopeCount(|s| &s.pools)),
    field(
        "change",
        "what came of the last resize: `none`, `measuring`, `verified`, `rolled_back`, `inconclusive`",
        Read::ScopeWord(|s| &s.change, CHANGES),
    ),
    field(
        "change_age_ms",
        "time since it was made, or taken back, ms",
        Read::ScopeLong(|s| &s.change_age_ms),
    ),
    field("change_from", "the size before it", Read::ScopeCount(|s| &s.change_from)),
    field("change_to", "the size that it made", Read::ScopeCount(|s| &s.change_to)),
];

pub(super) const TARGET: &[Field] = &[
    field("name", "its name in the configuration", Read::TargetText(|t| &t.name)),
    field("status", "`up`, `paused` or `down`", Read::Status),
    field("status_for_ms", "how long it has been so, ms", Read::TargetCount(|t| t.status_for_ms)),
    field("data_age_ms", "age of the pools' numbers, ms", Read::TargetCount(|t| t.data_age_ms)),
    field("labels", "the operator's labels, for example `target.labels.role`", Read::Labels),
    field(
        "version",
        "PgBouncer's version, for example 12502; 0 when unknown",
        Read::TargetCount(|t| u64::from(t.version)),
    ),
    field(
        "default_pool_size",
        "the setting of that name",
        Read::TargetCount(|t| u64::from(t.default_pool_size)),
    ),
    field(
        "min_pool_size",
        "the setting of that name",
        Read::TargetCount(|t| u64::from(t.min_pool_size)),
    ),
    field(
        "reserve_pool_size",
        "the setting of that name",
        Read::TargetCount(|t| u64::from(t.reserve_pool_size)),
    ),
    field("clients", "client connections now", Read::TargetCount(|t| u64::from(t.clients))),
    field(
        "clients_max",
        "the most that it accepts (`max_client_conn`)",
        Read::TargetCount(|t| u64::from(t.clients_max)),
    ),
    field(
        "query_wait_timeout_ms",
        "`query_wait_timeout`; 0 means that clients queue for ever",
        Read::TargetCount(|t| t.query_wait_timeout_ms),
    ),
    field("pools", "pools that the policy sees", Read::Total(|p| sum(p.size.iter().map(|_| &1)))),
    field(
        "pools_waiting",
        "of those, pools in which somebody waits",
        Read::Total(|p| sum(p.cl_waiting.iter().map(|waiting| if *waiting > 0 { &1 } else { &0 }))),
    ),
    field(
        "waiting",
        "clients that wait, in all those pools",
        Read::Total(|p| sum(p.cl_waiting.iter())),
    ),
    field("busy", "busy servers of all those pools", Read::Total(|p| sum(p.sv_active.iter()))),
    field(
        "servers",
        "open servers of all those pools",
        Read::Total(|p| sum(p.sv_active.iter()) + sum(p.sv_idle.iter()) + sum(p.sv_login.iter())),
    ),
];

pub(super) const DATABASE_SERVER: &[Field] = &[
    field("known", "whether the sidecar may look at PostgreSQL", Read::Known),
    field("reachable", "whether the last look succeeded", Read::ServerFlag(|s| s.reachable)),
    field("data_age_ms", "age of these numbers, ms", Read::ServerCount(|s| s.data_age_ms)),
    field(
        "max_connections",
        "the setting of that name",
        Read::ServerCount(|s| u64::from(s.max_connections)),
    ),
    field(
        "reserved_connections",
        "slots that ordinary users cannot take",
        Read::ServerCount(|s| u64::from(s.reserved_connections)),
    ),
    field("connections", "client backends", Read::ServerCount(|s| u64::from(s.connections))),
    field("active", "active backends", Read::ServerCount(|s| u64::from(s.active))),
    field(
        "idle_in_transaction",
        "backends idle in a transaction",
        Read::ServerCount(|s| u64::from(s.idle_in_transaction)),
    ),
    field(
        "running",
        "active backends that wait for nothing",
        Read::ServerCount(|s| u64::from(s.running)),
    ),
    field(
        "waiting_on_lock",
        "active backends that wait for a lock",
        Read::ServerCount(|s| u64::from(s.waiting_on_lock)),
    ),
    field(
        "waiting_on_io",
        "active backends that wait for I/O",
        Read::ServerCount(|s| u64::from(s.waiting_on_io)),
    ),
    field(
        "waiting_on_other",
        "active backends that wait for anything else",
        Read::ServerCount(|s| u64::from(s.waiting_on_other)),
    ),
    field(
        "others",
        "backends that did not come through this target",
        Read::ServerCount(|s| u64::from(s.others)),
    ),
    field(
        "budget",
        "what this target's pools may open all together, reserves included",
        Read::ServerCount(|s| u64::from(s.budget)),
    ),
];

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

pub(super) const WINDOW: &[Field] = &[
    field("at_ms", "time of the newest sample, ms since 1970", Read::Moment(|w| w.at_ms)),
    field("short_span_ms", "length of the short span, ms", Read::Moment(|w| w.short_span_ms)),
    field("long_span_ms", "length of the long span, ms", Read::Moment(|w| w.long_span_ms)),
    field("hour", "hour of the day in UTC, 0 to 23", Read::Moment(|w| w.at_ms / HOUR_MS % 24)),
    // The first of January 1970 was a Thursday.
    field(
        "weekday",
        "day of the week in UTC, 1 (Monday) to 7",
        Read::Moment(|w| (w.at_ms / (24 * HOUR_MS) + 3) % 7 + 1),
    ),
];

fn sum<'a>(counts: impl Iterator<Item = &'a u32>) -> u64 {
    counts.map(|count| u64::from(*count)).sum()
}
