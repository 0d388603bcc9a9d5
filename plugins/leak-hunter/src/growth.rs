//! Follows groups of clients from look to look, and names those that only ever grow.
//!
//! A pool that fills in the morning grows too, so only what has not shrunk once in a long time is
//! named, and by its application and address, not by its pool. One look that sees fewer clients of a
//! group starts its trail anew.

use std::time::Duration;

use poolwarden_policy::{Alert, Pool, Proposal, Sessions, Severity, Window};

use crate::memory::{Memory, TRAILS_MAX, Trail};
use crate::settings::Settings;

/// A trail that no look has seen for so many times the growth's time is cold.
const COLD: u64 = 2;

/// Takes in the groups of a look.
pub(crate) fn follow(window: &Window, sessions: &Sessions<'_>, memory: &mut Memory) {
    let at_ms = window.at_ms();
    let old = std::mem::take(&mut memory.trails);
    for group in sessions.groups().take(TRAILS_MAX) {
        let pool = group.pool().name();
        let (application, address) = (group.application(), group.address());
        let known = old.iter().find(|trail| trail.is_of(&pool, application, address));
        let clients = group.clients();
        let (first_ms, first) = match known {
            Some(trail) if clients >= trail.last => (trail.first_ms, trail.first),
            Some(_) | None => (at_ms, clients),
        };
        memory.trails.push(Trail {
            database: pool.database,
            user: pool.user,
            application: application.to_owned(),
            address: address.to_owned(),
            first_ms,
            first,
            last_ms: at_ms,
            last: clients,
        });
    }
}

/// Proposes alerts about groups that have only grown; one a pool, about the group that grew most.
pub(crate) fn propose(
    settings: &Settings,
    window: &Window,
    memory: &mut Memory,
    proposals: &mut Vec<Proposal>,
) {
    let at_ms = window.at_ms();
    let cold = settings.growth_for_ms.saturating_mul(COLD);
    memory.trails.retain(|trail| at_ms.saturating_sub(trail.last_ms) <= cold);
    let grown = |trail: &&Trail| {
        trail.last_ms.saturating_sub(trail.first_ms) >= settings.growth_for_ms
            && trail.last.saturating_sub(trail.first) >= settings.growth_clients_min
    };
    let mut grown: Vec<&Trail> = memory.trails.iter().filter(grown).collect();
    if grown.is_empty() {
        return;
    }
    grown.sort_by_key(|trail| std::cmp::Reverse(trail.last - trail.first));
    for pool in window.pools() {
        let name = pool.name();
        let of_pool = |trail: &&&Trail| trail.database == name.database && trail.user == name.user;
        let all: Vec<&Trail> = grown.iter().filter(of_pool).copied().collect();
        if let Some(worst) = all.first() {
            proposals.push(alert(settings, &pool, worst, all.len()).into());
        }
    }
}

fn alert(settings: &Settings, pool: &Pool<'_>, trail: &Trail, groups: usize) -> Alert {
    let time = Duration::from_millis(trail.last_ms.saturating_sub(trail.first_ms));
    let application = match trail.application.as_str() {
        "" => "an application without a name",
        name => name,
    };
    let more = match groups {
        1 => String::new(),
        more => format!(" (and {} more groups)", more - 1),
    };
    Alert::new("connections-only-grow", pool.subject())
        .severity(Severity::Warning)
        .summary(format!(
            "The clients of {} from {application} at {} have only become more for {} min, from {} \
             to {}{more}: it opens connections and does not close them.",
            pool.name(),
            trail.address,
            time.as_secs() / 60,
            trail.first,
            trail.last,
        ))
        .hold(settings.hold())
        .cooldown(settings.cooldown())
        .label("application", trail.application.as_str())
        .label("address", trail.address.as_str())
        .runbook("docs/runbooks/connections-only-grow.md")
        .evidence("clients-first", trail.first)
        .evidence("clients", trail.last)
        .evidence("growing-s", time.as_secs_f64())
        .evidence("groups", u32::try_from(groups).unwrap_or(u32::MAX))
}
