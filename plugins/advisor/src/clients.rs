//! Clients beside servers, and beside the most that PgBouncer accepts.

use poolwarden_policy::{Past, PoolMode, Proposal, Recommendation, Subject, Window};

use crate::lines;
use crate::settings::Settings;
use crate::sizes::percent;
use crate::stats::Stats;

/// Advises on pooling modes and on `max_client_conn`.
pub(crate) fn check(
    settings: &Settings,
    window: &Window,
    past: &Past<'_>,
    stats: &[Stats<'_>],
) -> Vec<Proposal> {
    let modes = stats.iter().filter_map(|one| session_pooling(settings, one));
    modes.chain(limit_near(settings, window, past, stats)).collect()
}

/// Many clients share few servers in a mode in which each keeps one for as long as it is connected.
fn session_pooling(settings: &Settings, one: &Stats<'_>) -> Option<Proposal> {
    let (size, clients) = (one.pool.size(), one.clients_max);
    let crowded = f64::from(clients) > f64::from(size) * settings.clients_per_server_max;
    if one.pool.mode() != PoolMode::Session || !crowded || one.waiting_share == 0.0 {
        return None;
    }
    let name = one.pool.name();
    // Little's law over the whole past: time in transactions divided by the time that passed.
    let used = one.transactions * one.took_us / (one.days * 86_400e6);
    let advice = Recommendation::new("use-transaction-pooling", one.pool.subject())
        .summary(format!(
            "{name} pools sessions: up to {clients} clients shared {size} servers and waited in {} \
             of the steps, while transactions of {} kept {used:.1} servers busy on average. In \
             transaction mode a server is free again after each transaction. Only for clients that \
             keep nothing in their session: no SET, LISTEN, WITH HOLD cursors, session advisory \
             locks or temporary tables that outlive a transaction.",
            percent(one.waiting_share),
            name.database,
        ))
        .action(lines::database(&name.database, "pool_mode=transaction"))
        .evidence("clients-max", clients)
        .evidence("size", size)
        .evidence("waiting-share", one.waiting_share)
        .evidence("servers-used-mean", used)
        .evidence("days", one.days);
    Some(advice.into())
}

/// The peak of all clients comes near `max_client_conn`.
fn limit_near(
    settings: &Settings,
    window: &Window,
    past: &Past<'_>,
    stats: &[Stats<'_>],
) -> Option<Proposal> {
    let limit = window.target().clients_max;
    let mut sums = vec![0_u32; past.steps()];
    for one in stats {
        for (sum, clients) in sums.iter_mut().zip(one.past.clients_max()) {
            *sum = sum.saturating_add(*clients);
        }
    }
    let peak = sums.into_iter().max()?.min(limit);
    if limit == 0 || f64::from(peak) < f64::from(limit) * settings.clients_share_max {
        return None;
    }
    // Half as much again, to whole hundreds.
    let wanted = peak.saturating_add(peak / 2).div_ceil(100).saturating_mul(100);
    let servers = stats.iter().map(|one| one.pool.size().saturating_add(one.pool.reserve()));
    let files = servers.fold(wanted, u32::saturating_add);
    let advice = Recommendation::new("client-limit-near", Subject::Target)
        .summary(format!(
            "At the peak of the last days {} had up to {peak} of {limit} clients (max_client_conn); \
             the next one beyond is refused. {wanted} leave half as much again. PgBouncer then needs \
             up to {files} open files and some more: check its limit (LimitNOFILE, ulimit -n).",
            window.target().name,
        ))
        .action(lines::set("max_client_conn", &wanted.to_string()))
        .evidence("clients-max", peak)
        .evidence("limit", limit)
        .evidence("wanted", wanted)
        .evidence("files", files);
    Some(advice.into())
}
