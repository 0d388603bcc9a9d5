//! Every alert that this policy can raise: its name, how urgent it is, and where to read on.

use std::time::Duration;

use poolwarden_policy::{Alert, Severity, Subject};

use crate::settings::{Settings, Timing};

/// What is the same of an alert wherever it is raised.
#[derive(Debug)]
pub(crate) struct Kind {
    pub name: &'static str,
    pub severity: Severity,
    pub runbook: &'static str,
}

const fn critical(name: &'static str, runbook: &'static str) -> Kind {
    Kind { name, severity: Severity::Critical, runbook }
}

const fn warning(name: &'static str, runbook: &'static str) -> Kind {
    Kind { name, severity: Severity::Warning, runbook }
}

pub(crate) const POOL_EXHAUSTED: Kind =
    critical("pool-exhausted", "docs/runbooks/pool-exhausted.md");
pub(crate) const LONG_WAIT: Kind = critical("long-wait", "docs/runbooks/long-wait.md");
pub(crate) const WEDGED_QUEUE: Kind = critical("wedged-queue", "docs/runbooks/wedged-queue.md");
pub(crate) const LOGIN_QUEUE: Kind = critical("login-queue", "docs/runbooks/login-queue.md");
pub(crate) const SERVER_LOGINS_FAILING: Kind =
    critical("server-logins-failing", "docs/runbooks/server-logins-failing.md");
pub(crate) const TIMEOUT_NEAR: Kind = critical("timeout-near", "docs/runbooks/timeout-near.md");
pub(crate) const HIGH_UTILIZATION: Kind =
    warning("high-utilization", "docs/runbooks/high-utilization.md");
pub(crate) const CONNECTION_LEAK: Kind =
    warning("connection-leak", "docs/runbooks/connection-leak.md");
pub(crate) const CLIENTS_GROWING: Kind = Kind {
    name: "clients-growing",
    severity: Severity::Info,
    runbook: "docs/runbooks/clients-growing.md",
};
pub(crate) const MANY_POOLS: Kind = critical("many-pools", "docs/runbooks/many-pools.md");
pub(crate) const UNBOUNDED_QUEUE: Kind =
    warning("unbounded-queue", "docs/runbooks/unbounded-queue.md");
pub(crate) const PGBOUNCER_DOWN: Kind =
    critical("pgbouncer-down", "docs/runbooks/pgbouncer-down.md");
pub(crate) const PGBOUNCER_PAUSED: Kind =
    warning("pgbouncer-paused", "docs/runbooks/pgbouncer-paused.md");
pub(crate) const CLIENT_LIMIT_NEAR: Kind =
    critical("client-limit-near", "docs/runbooks/client-limit-near.md");
pub(crate) const DATABASE_TROUBLE: Kind =
    critical("database-trouble", "docs/runbooks/database-trouble.md");
pub(crate) const DATABASE_UNREACHABLE: Kind =
    critical("database-unreachable", "docs/runbooks/database-unreachable.md");
pub(crate) const DATABASE_CONNECTIONS_NEAR: Kind =
    critical("database-connections-near", "docs/runbooks/database-connections-near.md");

/// Starts an alert with what its kind and the operator say of it, unless it is switched off.
pub(crate) fn start(
    settings: &Settings,
    rule: &impl Timing,
    kind: &Kind,
    subject: Subject,
) -> Option<Alert> {
    rule.timing().map(|timing| with_timing(settings, timing, kind, subject))
}

/// Starts an alert whose hold time and cooldown are known.
pub(crate) fn with_timing(
    settings: &Settings,
    (hold, cooldown): (Duration, Duration),
    kind: &Kind,
    subject: Subject,
) -> Alert {
    let alert = Alert::new(kind.name, subject)
        .severity(kind.severity)
        .hold(hold)
        .cooldown(cooldown)
        .runbook(kind.runbook);
    settings.labels.iter().fold(alert, |alert, (name, value)| alert.label(name, value))
}
