//! Says what a person must do, where the sidecar cannot or should not act.

use poolwarden_policy::{
    DatabaseServer, Pool, Proposal, Recommendation, Scope, ScopeKind, Subject, Window,
};

use crate::settings::Settings;

/// Fewer active backends than these say nothing about what the database waits for.
const ACTIVE_MIN: u32 = 4;

/// Finds a database that waits on itself, to which more connections would only do harm.
///
/// "Either an overloaded server or just too small a pool_size", says PgBouncer's manual of a rising
/// `maxwait`; the wait events of the active backends tell which.
pub(crate) fn slow_database(settings: &Settings, window: &Window) -> Option<Proposal> {
    let server = window.database_server().filter(|server| server.reachable)?;
    let share = wait_share(server)?;
    if share <= settings.db_wait_share_max {
        return None;
    }
    let stuck = server.waiting_on_lock.saturating_add(server.waiting_on_io);
    Some(
        Recommendation::new("database-is-slow", Subject::DatabaseServer)
            .summary(format!(
                "{stuck} of {} active backends wait on locks or I/O: clients queue because the \
                 database is slow, and more connections would make it slower.",
                server.active,
            ))
            .action(
                "SELECT pid, wait_event_type, wait_event, pg_blocking_pids(pid), left(query, 80)\n\
                 FROM pg_stat_activity\n\
                 WHERE state = 'active' AND wait_event_type IN ('Lock', 'LWLock', 'IO')\n\
                 ORDER BY query_start;",
            )
            .evidence("active", server.active)
            .evidence("waiting-on-lock", server.waiting_on_lock)
            .evidence("waiting-on-io", server.waiting_on_io)
            .evidence("wait-share", share)
            .into(),
    )
}

/// Says that the guard's ceiling is in the way; its subject is the scope.
pub(crate) fn raise_ceiling(scope: Scope<'_>, pool: &Pool<'_>, wanted: u32) -> Proposal {
    Recommendation::new("raise-ceiling", scope.subject())
        .summary(format!(
            "{} could use {wanted} servers, but the sidecar may not go above {}.",
            pool.name(),
            scope.ceiling(),
        ))
        .action(format!(
            "Set limits.ceiling of this target to at least {wanted} in Poolwarden's configuration, so \
             that it may raise {}, if PostgreSQL's max_connections leaves room for it; else make \
             transactions shorter.",
            setting(scope),
        ))
        .evidence("demand", pool.demand())
        .evidence("want", wanted)
        .evidence("size", scope.size())
        .evidence("ceiling", scope.ceiling())
        .into()
}

/// Says which line sets a size that the sidecar cannot change.
pub(crate) fn set_pool_size(
    scope: Scope<'_>,
    pool: &Pool<'_>,
    wanted: u32,
    reason: &str,
) -> Proposal {
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

/// Returns the part of the active backends that wait on locks or I/O, when there are enough to
/// tell.
fn wait_share(server: &DatabaseServer) -> Option<f64> {
    let stuck = server.waiting_on_lock.saturating_add(server.waiting_on_io);
    (server.active >= ACTIVE_MIN).then(|| f64::from(stuck) / f64::from(server.active))
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
