//! Checks the PgBouncer as a whole, and the database behind it.

use poolwarden_policy::{
    Alert, DatabaseServer, Proposal, Severity, Subject, Target, TargetStatus, Window,
};

use crate::settings::Settings;
use crate::start;

/// Proposes what holds for the target and then for its database server.
pub(crate) fn check(settings: &Settings, window: &Window, proposals: &mut Vec<Proposal>) {
    let target = window.target();
    proposals.extend(status(settings, target));
    if target.status != TargetStatus::Down {
        proposals.extend(client_limit(settings, target));
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
            start(rule, "pgbouncer-down", Subject::Target, Severity::Critical)?
                .summary(format!("PgBouncer {} has not answered for {seconds} s.", target.name))
        }
        TargetStatus::Paused => {
            let rule = &settings.pgbouncer_paused;
            start(rule, "pgbouncer-paused", Subject::Target, Severity::Warning)?.summary(format!(
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
    let alert = start(rule, "client-limit-near", Subject::Target, Severity::Critical)?;
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

fn connections(settings: &Settings, target: &Target, server: &DatabaseServer) -> Option<Proposal> {
    let rule = &settings.database_connections_near;
    let usable = server.max_connections.saturating_sub(server.reserved_connections);
    let share = share_of(server.connections, usable)?;
    if share < rule.share_min {
        return None;
    }
    let name = "database-connections-near";
    let alert = start(rule, name, Subject::DatabaseServer, Severity::Critical)?;
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
    let alert = start(rule, "database-unreachable", Subject::DatabaseServer, Severity::Critical)?;
    let summary = format!(
        "PostgreSQL behind {} does not answer the sidecar; its last numbers are {} s old.",
        target.name,
        server.data_age_ms / 1_000,
    );
    Some(with_age(alert.summary(summary), "data-age-s", server.data_age_ms).into())
}

fn with_age(alert: Alert, name: &str, age_ms: u64) -> Alert {
    alert.evidence(name, std::time::Duration::from_millis(age_ms).as_secs_f64())
}

/// Returns a part of a limit; `None` without one.
fn share_of(used: u32, limit: u32) -> Option<f64> {
    (limit > 0).then(|| f64::from(used) / f64::from(limit))
}
