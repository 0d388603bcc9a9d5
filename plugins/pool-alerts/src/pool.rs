//! Checks one pool after the other.
//!
//! Each condition reads numbers first and fetches the pool's name only when it holds: nearly every
//! pool of nearly every window has nothing to say.

use std::time::Duration;

use poolwarden_policy::{Alert, Condition, Pool, Proposal, Severity, Subject, Window};

use crate::settings::{ConnectionLeak, Settings};
use crate::{counted, start};

/// Most proposals on pools. An evaluation has a deadline, and one beyond it is a fault: in the worst
/// hour, when every pool of thousands is in trouble, the policy would say nothing and be quarantined.
const PROPOSALS_MAX: usize = 5_000;

/// Proposes what holds for each pool, in the order of the pools.
///
/// Stops when there is more than a person could read, and says that.
pub(crate) fn check_all(settings: &Settings, window: &Window, proposals: &mut Vec<Proposal>) {
    let timeout = Duration::from_millis(window.target().query_wait_timeout_ms);
    for pool in window.pools() {
        if proposals.len() >= PROPOSALS_MAX {
            proposals.push(many_pools(window));
            return;
        }
        let condition = pool.condition();
        if condition == Condition::Stale {
            continue;
        }
        if pool.cl_waiting() > 0 && condition != Condition::Paused {
            proposals.extend(exhausted(settings, &pool, condition));
            proposals.extend(long_wait(settings, &pool));
            proposals.extend(wedged(settings, &pool, condition));
            proposals.extend(login_queue(settings, &pool, condition));
        }
        if pool.cl_waiting() > 0 {
            proposals.extend(timeout_near(settings, &pool, timeout));
        }
        proposals.extend(high_utilization(settings, &pool));
        proposals.extend(connection_leak(&settings.connection_leak, &pool));
        proposals.extend(clients_growing(settings, &pool));
    }
}

fn many_pools(window: &Window) -> Proposal {
    let pools = window.pools().len();
    let waiting = window.pools().filter(|pool| pool.cl_waiting() > 0).count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Alert::new("many-pools", Subject::Target)
        .severity(Severity::Critical)
        .summary(format!(
            "Too many pools are in trouble to tell of each: clients wait in {waiting} of {pools}."
        ))
        .cooldown(Duration::from_secs(60))
        .evidence("pools-waiting", count(waiting))
        .evidence("pools", count(pools))
        .into()
}

fn exhausted(settings: &Settings, pool: &Pool<'_>, condition: Condition) -> Option<Proposal> {
    // A wedged queue is another alert, with another remedy.
    if condition != Condition::Queueing || pool.sv_active() < pool.size() {
        return None;
    }
    let alert =
        start(&settings.pool_exhausted, "pool-exhausted", pool.subject(), Severity::Critical)?;
    let waiting = counted(pool.cl_waiting(), "client waits", "clients wait");
    Some(
        alert
            .summary(format!(
                "All {} servers of {} are busy and {waiting}.",
                pool.size(),
                pool.name()
            ))
            .evidence("size", pool.size())
            .evidence("sv-active", pool.sv_active())
            .evidence("waiting", pool.cl_waiting())
            .evidence("demand", pool.demand())
            .into(),
    )
}

fn long_wait(settings: &Settings, pool: &Pool<'_>) -> Option<Proposal> {
    let rule = &settings.long_wait;
    if pool.maxwait() < Duration::from_millis(rule.maxwait_min_ms) {
        return None;
    }
    let alert = start(rule, "long-wait", pool.subject(), Severity::Critical)?;
    Some(
        alert
            .summary(format!(
                "A client of {} has waited {:.1} s for a server.",
                pool.name(),
                pool.maxwait().as_secs_f64(),
            ))
            .evidence("maxwait-us", micros(pool.maxwait()))
            .evidence("wait-p95-us", pool.wait_p95_us())
            .evidence("waiting", pool.cl_waiting())
            .into(),
    )
}

fn wedged(settings: &Settings, pool: &Pool<'_>, condition: Condition) -> Option<Proposal> {
    let rule = &settings.wedged_queue;
    let unserved = pool.unserved_for();
    if condition != Condition::Wedged || unserved < Duration::from_millis(rule.unserved_min_ms) {
        return None;
    }
    let alert = start(rule, "wedged-queue", pool.subject(), Severity::Critical)?;
    let waiting = counted(pool.cl_waiting(), "client waits", "clients wait");
    Some(
        alert
            .summary(format!(
                "{waiting} for {} and no transaction has finished for {} s; more servers would not \
                 help.",
                pool.name(),
                unserved.as_secs(),
            ))
            .evidence("unserved-s", unserved.as_secs_f64())
            .evidence("waiting", pool.cl_waiting())
            .evidence("sv-active", pool.sv_active())
            .evidence("idle-in-transaction", pool.idle_in_transaction())
            .into(),
    )
}

fn login_queue(settings: &Settings, pool: &Pool<'_>, condition: Condition) -> Option<Proposal> {
    if condition != Condition::LoginQueue {
        return None;
    }
    let alert = start(&settings.login_queue, "login-queue", pool.subject(), Severity::Critical)?;
    let waiting = counted(pool.cl_waiting(), "client waits", "clients wait");
    Some(
        alert
            .summary(format!(
                "{waiting} to log in to {}: PostgreSQL does not let PgBouncer in, or is slow to.",
                pool.name(),
            ))
            .evidence("waiting", pool.cl_waiting())
            .evidence("sv-login", pool.sv_login())
            .evidence("waiting-s", pool.waiting_for().as_secs_f64())
            .into(),
    )
}

fn timeout_near(settings: &Settings, pool: &Pool<'_>, timeout: Duration) -> Option<Proposal> {
    let rule = &settings.timeout_near;
    if timeout.is_zero() || pool.maxwait() < timeout.mul_f64(rule.timeout_share_min) {
        return None;
    }
    let alert = start(rule, "timeout-near", pool.subject(), Severity::Critical)?;
    Some(
        alert
            .summary(format!(
                "A client of {} has waited {:.1} s; query_wait_timeout ends clients at {:.1} s.",
                pool.name(),
                pool.maxwait().as_secs_f64(),
                timeout.as_secs_f64(),
            ))
            .evidence("maxwait-us", micros(pool.maxwait()))
            .evidence("query-wait-timeout-us", micros(timeout))
            .evidence("waiting", pool.cl_waiting())
            .into(),
    )
}

fn high_utilization(settings: &Settings, pool: &Pool<'_>) -> Option<Proposal> {
    let rule = &settings.high_utilization;
    if pool.utilization() <= rule.utilization_min {
        return None;
    }
    let alert = start(rule, "high-utilization", pool.subject(), Severity::Warning)?;
    Some(
        alert
            .summary(format!(
                "{} of {} servers of {} are busy ({:.0} %).",
                pool.sv_active(),
                pool.size(),
                pool.name(),
                100.0 * pool.utilization(),
            ))
            .evidence("utilization", pool.utilization())
            .evidence("utilization-p95", pool.utilization_p95())
            .evidence("sv-active", pool.sv_active())
            .evidence("size", pool.size())
            .into(),
    )
}

/// Says whether servers are held by transactions that do not finish.
///
/// Little's law over finished transactions gives the servers that work; what the mean of busy
/// servers has beyond it is held by the others. PostgreSQL's own word on idle transactions is the
/// second sign.
pub(crate) fn leaks(rule: &ConnectionLeak, pool: &Pool<'_>) -> bool {
    let idle_min = Duration::from_millis(rule.idle_in_transaction_min_ms);
    unfinished(pool) >= rule.servers_min
        || (pool.idle_in_transaction() > 0 && pool.idle_in_transaction_max() >= idle_min)
}

fn connection_leak(rule: &ConnectionLeak, pool: &Pool<'_>) -> Option<Proposal> {
    if !leaks(rule, pool) {
        return None;
    }
    let alert = start(rule, "connection-leak", pool.subject(), Severity::Warning)?;
    let mut summary = format!(
        "{:.1} of {} servers of {} are held by transactions that do not finish",
        unfinished(pool),
        pool.size(),
        pool.name(),
    );
    if pool.idle_in_transaction() > 0 {
        summary.push_str(&format!(
            "; {} idle in a transaction, the longest for {} s",
            counted(pool.idle_in_transaction(), "session is", "sessions are"),
            pool.idle_in_transaction_max().as_secs(),
        ));
    }
    summary.push('.');
    Some(
        alert
            .summary(summary)
            .evidence("busy-mean", pool.busy_mean())
            .evidence("busy-finished", pool.busy_finished())
            .evidence("unfinished", unfinished(pool))
            .evidence("idle-in-transaction", pool.idle_in_transaction())
            .evidence("idle-in-transaction-max-s", pool.idle_in_transaction_max().as_secs_f64())
            .into(),
    )
}

fn clients_growing(settings: &Settings, pool: &Pool<'_>) -> Option<Proposal> {
    let rule = &settings.clients_growing;
    if pool.clients_trend_per_min() < rule.clients_per_min_min {
        return None;
    }
    let alert = start(rule, "clients-growing", pool.subject(), Severity::Info)?;
    let clients = pool.cl_active().saturating_add(pool.cl_waiting());
    Some(
        alert
            .summary(format!(
                "{} has {clients} clients and gains {:.0} a minute.",
                pool.name(),
                pool.clients_trend_per_min(),
            ))
            .evidence("clients", clients)
            .evidence("clients-per-min", pool.clients_trend_per_min())
            .into(),
    )
}

fn unfinished(pool: &Pool<'_>) -> f64 {
    (pool.busy_mean() - pool.busy_finished()).max(0.0)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
