//! What the pools may open, against what PostgreSQL has left for them.
//!
//! A size counts for each (database, user) pair, so the sum grows with every new user. The budget is
//! PostgreSQL's `max_connections` without what it reserves (`superuser_reserved_connections`,
//! `reserved_connections`) and without those who come around this PgBouncer.

use poolwarden_policy::{Proposal, Recommendation, ScopeKind, Subject, Window};

use crate::lines;
use crate::stats::Stats;

/// Advises when all pools together may open more than there is.
pub(crate) fn check(window: &Window, stats: &[Stats<'_>]) -> Option<Proposal> {
    let server = window.database_server().filter(|server| server.reachable)?;
    let taken = server.reserved_connections.saturating_add(server.others);
    let room = server.max_connections.saturating_sub(taken);
    let sum = |of: fn(&Stats<'_>) -> u32| stats.iter().map(of).fold(0, u32::saturating_add);
    let sizes = sum(|one| one.pool.size());
    let reserves = sum(|one| one.pool.reserve());
    let (all, opened) = (sizes.saturating_add(reserves), sum(|one| one.servers_max));
    if server.max_connections == 0 || all <= room {
        return None;
    }
    let target = &window.target().name;
    let advice = Recommendation::new("budget-overrun", Subject::DatabaseServer)
        .summary(format!(
            "The {} pools of {target} may open {sizes} connections and {reserves} of reserves, \
             {all} in all; PostgreSQL has {room} for them ({} less {} reserved and {} of others). \
             The most that they had open at their own peaks adds up to {opened}. When they meet, \
             logins fail with \"too many clients already\", also for those who bypass PgBouncer.",
            stats.len(),
            server.max_connections,
            server.reserved_connections,
            server.others,
        ))
        .action(action(stats, room, all))
        .evidence("may-open", all)
        .evidence("room", room)
        .evidence("max-connections", server.max_connections)
        .evidence("reserved", server.reserved_connections)
        .evidence("others", server.others)
        .evidence("pools", poolwarden_policy::numbers::count(stats.len()))
        .evidence("opened-max", opened);
    Some(advice.into())
}

/// Gives the largest default that fits, or else the number that PostgreSQL would have to allow.
fn action(stats: &[Stats<'_>], room: u32, all: u32) -> String {
    let is_default = |one: &&Stats<'_>| one.pool.scope().kind() == ScopeKind::Default;
    let defaults = u32::try_from(stats.iter().filter(is_default).count()).unwrap_or(u32::MAX);
    let default_sizes =
        stats.iter().filter(is_default).map(|one| one.pool.size()).fold(0, u32::saturating_add);
    let fixed = all.saturating_sub(default_sizes);
    match room.saturating_sub(fixed).checked_div(defaults) {
        Some(fits) if fits > 0 => lines::set("default_pool_size", &fits.to_string()),
        _ => format!(
            "; the sizes of single databases and users alone are too large: make them smaller, or\n\
             ; in postgresql.conf raise max_connections by {} (needs a restart)",
            all.saturating_sub(room),
        ),
    }
}
