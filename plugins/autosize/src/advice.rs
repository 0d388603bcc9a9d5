//! Says what a person must do, where the sidecar cannot or should not act.

use poolwarden_policy::{Pool, Proposal, Recommendation, Scope, ScopeKind, Subject, Window};

use crate::limit::Limit;
use crate::load::Need;
use crate::plan::Plan;
use crate::settings::Settings;

/// Fewer active backends than these say nothing about what the database waits for.
const ACTIVE_MIN: u32 = 4;

/// Finds a database that waits on itself, to which more connections would only do harm.
///
/// "Either an overloaded server or just too small a pool_size", says PgBouncer's manual of a rising
/// `maxwait`; the wait events of the active backends tell which. Those of the pool's own backends are
/// asked first, since another's trouble need not be its own.
pub(crate) fn waits_on_itself(
    settings: &Settings,
    window: &Window,
    pool: &Pool<'_>,
) -> Option<Waits> {
    let own = Waits {
        active: pool.running() + pool.waiting_on_lock() + pool.waiting_on_io(),
        on_lock: pool.waiting_on_lock(),
        on_io: pool.waiting_on_io(),
    };
    let waits = if own.active >= ACTIVE_MIN {
        own
    } else {
        let server = window.database_server().filter(|server| server.reachable)?;
        Waits {
            active: server.active,
            on_lock: server.waiting_on_lock,
            on_io: server.waiting_on_io,
        }
    };
    waits.share().filter(|share| *share > settings.db_wait_share_max).map(|_| waits)
}

/// What active backends wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    active: u32,
    on_lock: u32,
    on_io: u32,
}

impl Waits {
    /// Returns the part that waits on locks or I/O, when there are enough to tell.
    fn share(&self) -> Option<f64> {
        let stuck = self.on_lock.saturating_add(self.on_io);
        (self.active >= ACTIVE_MIN).then(|| f64::from(stuck) / f64::from(self.active))
    }
}

/// Says that a pool does not grow because backends wait on locks or I/O.
pub(crate) fn slow_by_waits(waits: &Waits) -> Proposal {
    Recommendation::new("database-is-slow", Subject::DatabaseServer)
        .summary(format!(
            "{} of {} active backends wait on locks or I/O: clients queue because the database is \
             slow, and more connections would make it slower.",
            waits.on_lock.saturating_add(waits.on_io),
            waits.active,
        ))
        .action(
            "SELECT pid, wait_event_type, wait_event, pg_blocking_pids(pid), left(query, 80)\n\
             FROM pg_stat_activity\n\
             WHERE state = 'active' AND wait_event_type IN ('Lock', 'LWLock', 'IO')\n\
             ORDER BY query_start;",
        )
        .evidence("active", waits.active)
        .evidence("waiting-on-lock", waits.on_lock)
        .evidence("waiting-on-io", waits.on_io)
        .evidence("wait-share", waits.share().unwrap_or(0.0))
        .into()
}

/// Says that a pool does not grow because more servers brought nothing, or would not.
pub(crate) fn slow_by_limit(need: &Need<'_>, limit: Limit) -> Proposal {
    let pool = need.pool;
    Recommendation::new("database-is-slow", Subject::DatabaseServer)
        .summary(format!(
            "{} could use {} servers and has {}, but {}: the database is the limit, not the pool.",
            pool.name(),
            need.at_once,
            pool.size(),
            limit_in_words(limit),
        ))
        .action(
            "SELECT calls, mean_exec_time, left(query, 80)\n\
             FROM pg_stat_statements\n\
             ORDER BY total_exec_time DESC LIMIT 10;\n\
             -- Make these cheaper, or give PostgreSQL more processors or faster storage.",
        )
        .evidence("want", need.at_once)
        .evidence("size", pool.size())
        .evidence("transaction-us", pool.transaction_mean_us())
        .evidence("transactions-per-s", pool.transactions_per_s())
        .into()
}

/// Says why more servers would not help; a clause without an end.
pub(crate) fn limit_in_words(limit: Limit) -> String {
    match limit {
        Limit::Failed(size) => {
            format!("more than {size} servers brought neither throughput nor shorter times")
        }
        Limit::Doubted(size) => format!(
            "more than {size} servers brought nothing some time ago and are tried in small steps"
        ),
        Limit::Curve(peak, r2) => format!(
            "its throughput peaks at {peak:.1} busy servers by what was measured (R² {r2:.2})"
        ),
        Limit::Slowdown(part) => format!(
            "{:.0} % of more concurrency is lost to transactions that take longer",
            100.0 * part
        ),
        Limit::Measuring => {
            "the last growth, which is being measured, has not raised throughput yet".to_owned()
        }
    }
}

/// Says that the budget is too small for what the pools want.
pub(crate) fn budget_is_short(plan: &Plan<'_>, budget: u32) -> Proposal {
    Recommendation::new("budget-is-short", plan.scope.subject())
        .summary(format!(
            "{} should be {}, but all pools of this target may open {budget} connections together; \
             {} is its fair share.",
            setting(plan.scope),
            plan.wanted,
            plan.to,
        ))
        .action(
            "Raise max_connections of PostgreSQL if it has memory and processors to spare, lower \
             reserve_pool_size, or move a database to another server.",
        )
        .evidence("want", plan.wanted)
        .evidence("size", plan.scope.size())
        .evidence("budget", budget)
        .into()
}

/// Says that the guard's ceiling is in the way; its subject is the scope.
pub(crate) fn raise_ceiling(scope: Scope<'_>, need: &Need<'_>) -> Proposal {
    let wanted = need.at_once;
    Recommendation::new("raise-ceiling", scope.subject())
        .summary(format!(
            "{} could use {wanted} servers, but the sidecar may not go above {}.",
            need.pool.name(),
            scope.ceiling(),
        ))
        .action(format!(
            "Set limits.ceiling of this target to at least {wanted} in Poolwarden's configuration, so \
             that it may raise {}, if PostgreSQL's max_connections leaves room for it; else make \
             transactions shorter.",
            setting(scope),
        ))
        .evidence("load", need.load)
        .evidence("want", wanted)
        .evidence("size", scope.size())
        .evidence("ceiling", scope.ceiling())
        .into()
}

/// Says which line sets a size that the sidecar cannot change.
pub(crate) fn set_pool_size(
    plan: &Plan<'_>,
    pool: &Pool<'_>,
    wanted: u32,
    reason: &str,
) -> Proposal {
    let scope = plan.scope;
    Recommendation::new("set-pool-size", scope.subject())
        .summary(format!("{} should be {wanted}: {reason}.", setting(scope)))
        .action(ini_line(scope, wanted))
        .evidence("demand", pool.demand())
        .evidence("demand-max-long", pool.demand_max_long())
        .evidence("want", wanted)
        .evidence("size", scope.size())
        .evidence("waiting", pool.cl_waiting())
        .into()
}

/// Names the setting in an operator's words.
fn setting(scope: Scope<'_>) -> String {
    match scope.kind() {
        ScopeKind::Default => "default_pool_size".to_owned(),
        ScopeKind::Database => format!("pool_size of database {}", scope.name()),
        ScopeKind::User => format!("pool_size of user {}", scope.name()),
    }
}

/// Writes the line for `pgbouncer.ini`; `…` stands for what the entry says already.
fn ini_line(scope: Scope<'_>, size: u32) -> String {
    match scope.kind() {
        ScopeKind::Default => format!("[pgbouncer]\ndefault_pool_size = {size}"),
        ScopeKind::Database => format!("[databases]\n{} = … pool_size={size}", scope.name()),
        ScopeKind::User => format!("[users]\n{} = … pool_size={size}", scope.name()),
    }
}
