//! Checks the PgBouncer as a whole, and the database behind it.

use std::time::Duration;

use poolwarden_policy::{Alert, DatabaseServer, Proposal, Subject, Target, TargetStatus, Window};

use crate::kind::{self, start};
use crate::postgres::{self, usable};
use crate::settings::Settings;
use crate::trouble::Seen;

/// Proposes what holds for the target and then for its database server.
pub(crate) fn check(
    settings: &Settings,
    window: &Window,
    seen: &Seen<'_>,
    proposals: &mut Vec<Proposal>,
) {
    let target = window.target();
    proposals.extend(status(settings, target));
    if target.status != TargetStatus::Down {
        proposals.extend(client_limit(settings, target));
        proposals.extend(unbounded_queue(settings, target, seen));
        proposals.extend(trouble(settings, window, seen));
    }
    if let Some(server) = window.database_server() {
        let alert = if server.reachable {
            connections(settings, target, server)
        } else {
            unreachable(settings, target, server)
        };
        proposals.extend(alert);
    }
}

fn status(settings: &Settings, target: &Target) -> Option<Proposal> {
    let seconds = target.status_for_ms / 1_000;
    let alert = match target.status {
        TargetStatus::Up => return None,
        TargetStatus::Down => {
            let rule = &settings.pgbouncer_down;
            start(settings, rule, &kind::PGBOUNCER_DOWN, Subject::Target)?
                .summary(format!("PgBouncer {} has not answered for {seconds} s.", target.name))
        }
        TargetStatus::Paused => {
            let rule = &settings.pgbouncer_paused;
            start(settings, rule, &kind::PGBOUNCER_PAUSED, Subject::Target)?.summary(format!(
                "PgBouncer {} has been paused for {seconds} s: clients queue until RESUME.",
                target.name
            ))
        }
    };
    Some(with_age(alert, "status-for-s", target.status_for_ms).into())
}

fn client_limit(settings: &Settings, target: &Target) -> Option<Proposal> {
    let rule = &settings.client_limit_near;
    let share = share_of(target.clients, target.clients_max)?;
    if share < rule.share_min {
        return None;
    }
    let alert = start(settings, rule, &kind::CLIENT_LIMIT_NEAR, Subject::Target)?;
    Some(
        alert
            .summary(format!(
                "PgBouncer {} has {} of at most {} clients (max_client_conn).",
                target.name, target.clients, target.clients_max,
            ))
            .evidence("clients", target.clients)
            .evidence("clients-max", target.clients_max)
            .evidence("share", share)
            .into(),
    )
}

/// A queue without an end matters when somebody is in it; the line to add is recommended anyway.
fn unbounded_queue(settings: &Settings, target: &Target, seen: &Seen<'_>) -> Option<Proposal> {
    let rule = &settings.unbounded_queue;
    let oldest = seen.oldest.filter(|_| target.query_wait_timeout_ms == 0)?;
    if oldest.maxwait() < Duration::from_millis(rule.maxwait_min_ms) {
        return None;
    }
    let alert = start(settings, rule, &kind::UNBOUNDED_QUEUE, Subject::Target)?;
    Some(
        alert
            .summary(format!(
                "A client of {} has waited {:.0} s and would wait for ever: query_wait_timeout of \
                 {} is 0.",
                oldest.name(),
                oldest.maxwait().as_secs_f64(),
                target.name,
            ))
            .evidence("maxwait-us", oldest.maxwait().as_secs_f64() * 1e6)
            .evidence("query-wait-timeout-ms", 0)
            .into(),
    )
}

/// One pool whose waiters nobody serves may be its own fault; most of them at once are not.
fn trouble(settings: &Settings, window: &Window, seen: &Seen<'_>) -> Option<Proposal> {
    let rule = &settings.database_trouble;
    let share = share_of(seen.stuck, seen.in_use)?;
    if seen.stuck < rule.pools_min || share < rule.share_min {
        return None;
    }
    let alert = start(settings, rule, &kind::DATABASE_TROUBLE, Subject::DatabaseServer)?;
    let alert = alert
        .summary(format!(
            "In {} of {} pools in use of {} clients wait and nobody is served: PostgreSQL is down, \
             full, stuck, or does not let PgBouncer in.{}",
            seen.stuck,
            seen.in_use,
            window.target().name,
            postgres::word(window),
        ))
        .evidence("pools-stuck", seen.stuck)
        .evidence("pools-in-use", seen.in_use)
        .evidence("share", share);
    Some(postgres::with_connections(alert, window).into())
}

fn connections(settings: &Settings, target: &Target, server: &DatabaseServer) -> Option<Proposal> {
    let rule = &settings.database_connections_near;
    let usable = usable(server);
    let share = share_of(server.connections, usable)?;
    if share < rule.share_min {
        return None;
    }
    let subject = Subject::DatabaseServer;
    let alert = start(settings, rule, &kind::DATABASE_CONNECTIONS_NEAR, subject)?;
    Some(
        alert
            .summary(format!(
                "PostgreSQL behind {} has {} of {usable} connections in use, {} of them not \
                 through this PgBouncer.",
                target.name, server.connections, server.others,
            ))
            .evidence("connections", server.connections)
            .evidence("usable", usable)
            .evidence("others", server.others)
            .evidence("share", share)
            .into(),
    )
}

fn unreachable(settings: &Settings, target: &Target, server: &DatabaseServer) -> Option<Proposal> {
    let rule = &settings.database_unreachable;
    let alert = start(settings, rule, &kind::DATABASE_UNREACHABLE, Subject::DatabaseServer)?;
    let summary = format!(
        "PostgreSQL behind {} does not answer the sidecar; its last numbers are {} s old.",
        target.name,
        server.data_age_ms / 1_000,
    );
    Some(with_age(alert.summary(summary), "data-age-s", server.data_age_ms).into())
}

fn with_age(alert: Alert, name: &str, age_ms: u64) -> Alert {
    alert.evidence(name, Duration::from_millis(age_ms).as_secs_f64())
}

/// Returns a part of a limit; `None` without one.
fn share_of(used: u32, limit: u32) -> Option<f64> {
    (limit > 0).then(|| f64::from(used) / f64::from(limit))
}
