//! Sizes that are too small or too large, and reserves that are never or always needed.
//!
//! A size applies to each pool of its scope, so a scope needs what its neediest pool needs. Sizes
//! that moved in the past are somebody's already, mostly a sizing policy's: advising another number
//! beside it would contradict it.

use poolwarden_policy::numbers::servers_up;
use poolwarden_policy::{Proposal, Recommendation, Scope, Subject, Window};

use crate::erlang::mean_wait;
use crate::lines;
use crate::settings::Settings;
use crate::stats::Stats;

/// Fewest connections that must come free for a shrink to be worth a person's time.
const WORTH: u32 = 3;

/// Advises on every scope.
pub(crate) fn check(settings: &Settings, window: &Window, stats: &[Stats<'_>]) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for scope in window.scopes() {
        let pools: Vec<&Stats<'_>> =
            stats.iter().filter(|one| one.pool.scope_index() == scope.index()).collect();
        let moved = pools.iter().any(|one| one.size_moved);
        if moved || pools.is_empty() {
            continue;
        }
        let advice =
            too_small(settings, scope, &pools).or_else(|| too_big(settings, scope, &pools));
        proposals.extend(advice);
        proposals.extend(reserve_always_used(settings, scope, &pools));
    }
    proposals.extend(reserve_never_used(settings, window, stats));
    proposals
}

fn too_small(settings: &Settings, scope: Scope<'_>, pools: &[&Stats<'_>]) -> Option<Proposal> {
    let full = pools.iter().filter(|one| one.full_share > settings.full_share_max);
    let one = full.max_by(|a, b| a.wanted_p99.total_cmp(&b.wanted_p99))?;
    let size = scope.size();
    let wanted =
        servers_up(one.wanted_p99 / settings.target_utilization).max(size.saturating_add(1));
    let expected = match mean_wait(wanted, one.load_p95, one.took_us) {
        Some(wait) => format!("from {} to about {}", ms(one.wait_mean_p95_us), ms(wait)),
        None => format!("from {}", ms(one.wait_mean_p95_us)),
    };
    let summary = format!(
        "{} had clients waiting with all {size} servers busy in {} of the last {:.1} days' steps, up \
         to {}. At the load of its busiest 5 % ({:.1} servers on average, transactions of {}) the \
         mean wait falls {expected} with {wanted}.",
        one.pool.name(),
        percent(one.full_share),
        one.days,
        ms(one.wait_max_us),
        one.load_p95,
        ms(one.took_us),
    );
    let advice = Recommendation::new("pool-too-small", scope.subject())
        .summary(summary)
        .action(lines::size(scope, wanted))
        .evidence("size", size)
        .evidence("wanted", wanted)
        .evidence("wanted-p99", one.wanted_p99)
        .evidence("load-p95", one.load_p95)
        .evidence("full-share", one.full_share)
        .evidence("wait-p99-ms", one.wait_p99_us / 1e3)
        .evidence("wait-max-ms", one.wait_max_us / 1e3)
        .evidence("transaction-mean-ms", one.took_us / 1e3)
        .evidence("days", one.days);
    Some(advice.into())
}

fn too_big(settings: &Settings, scope: Scope<'_>, pools: &[&Stats<'_>]) -> Option<Proposal> {
    let size = scope.size();
    let days = pools.iter().map(|one| one.days).fold(f64::INFINITY, f64::min);
    let all_seen = u32::try_from(pools.len()).ok()? >= scope.pool_count();
    let nobody_waited = pools.iter().all(|one| one.waiting_share == 0.0);
    let busy = pools.iter().map(|one| one.busy_max).max()?;
    let unused = f64::from(busy) <= f64::from(size) * settings.unused_below;
    if !(days >= settings.never_days && all_seen && nobody_waited && unused) {
        return None;
    }
    let wanted = servers_up(f64::from(busy) / settings.target_utilization).max(busy + 1);
    let wanted = wanted.max(scope.floor()).max(1);
    let frees = size.checked_sub(wanted)?.checked_mul(scope.pool_count())?;
    if frees < WORTH {
        return None;
    }
    let (what, count) = (lines::setting(scope), scope.pool_count());
    let advice = Recommendation::new("pool-too-big", scope.subject())
        .summary(format!(
            "{what} is {size}, and none of its {count} pools has had more than {busy} busy servers \
             or a waiter in {days:.1} days. With {wanted} the busiest keeps {} to spare, and \
             PostgreSQL has to keep up to {frees} connections fewer for them.",
            wanted - busy,
        ))
        .action(lines::size(scope, wanted))
        .evidence("size", size)
        .evidence("wanted", wanted)
        .evidence("busy-max", busy)
        .evidence("frees", frees)
        .evidence("days", days);
    Some(advice.into())
}

fn reserve_always_used(
    settings: &Settings,
    scope: Scope<'_>,
    pools: &[&Stats<'_>],
) -> Option<Proposal> {
    let used = pools
        .iter()
        .filter(|one| one.pool.reserve() > 0 && one.reserve_share > settings.reserve_share_max);
    let one = used.max_by(|a, b| a.reserve_share.total_cmp(&b.reserve_share))?;
    let (size, reserve) = (scope.size(), one.pool.reserve());
    let wanted = size.saturating_add(reserve);
    let advice = Recommendation::new("reserve-always-used", scope.subject())
        .summary(format!(
            "{} had servers of its reserve open in {} of the last {:.1} days' steps, and each of \
             them was only opened after a client had waited for reserve_pool_timeout. As part of \
             the size, {wanted} instead of {size}, they are there at once.",
            one.pool.name(),
            percent(one.reserve_share),
            one.days,
        ))
        .action(lines::size(scope, wanted))
        .evidence("size", size)
        .evidence("reserve", reserve)
        .evidence("reserve-share", one.reserve_share)
        .evidence("servers-max", one.servers_max)
        .evidence("days", one.days);
    Some(advice.into())
}

fn reserve_never_used(
    settings: &Settings,
    window: &Window,
    stats: &[Stats<'_>],
) -> Option<Proposal> {
    let reserve = window.target().reserve_pool_size;
    let with_reserve = || stats.iter().filter(|one| one.pool.reserve() > 0);
    let pools = u32::try_from(with_reserve().count()).ok()?;
    let days = with_reserve().map(|one| one.days).fold(f64::INFINITY, f64::min);
    let never = with_reserve().all(|one| one.reserve_share == 0.0 && !one.size_moved);
    if reserve == 0 || pools == 0 || days < settings.never_days || !never {
        return None;
    }
    let counted = with_reserve().map(|one| one.pool.reserve()).sum::<u32>();
    let advice = Recommendation::new("reserve-never-used", Subject::Target)
        .summary(format!(
            "No pool has opened a server of its reserve in {days:.1} days. Without it the most that \
             {} opens is {counted} connections less, which a budget against max_connections can \
             give to sizes; keep it if it is meant for rarer days than these.",
            window.target().name,
        ))
        .action(lines::set("reserve_pool_size", "0"))
        .evidence("reserve", reserve)
        .evidence("pools", pools)
        .evidence("connections", counted)
        .evidence("days", days);
    Some(advice.into())
}

/// Writes microseconds as a person reads them.
pub(crate) fn ms(us: f64) -> String {
    match us {
        us if us < 10_000.0 => format!("{:.1} ms", us / 1e3),
        us if us < 1e6 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

/// Writes a part.
pub(crate) fn percent(part: f64) -> String {
    let digits = usize::from(part < 0.1);
    format!("{:.digits$} %", part * 100.0)
}
