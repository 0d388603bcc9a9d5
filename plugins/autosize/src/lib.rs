//! Sizes pools: grows at once when demand says so, shrinks slowly once it has long been calm.
//!
//! Growth and shrinking look at different things on purpose (hysteresis): growth at the demand of
//! this moment, shrinking at the greatest demand of the long span, a tolerance and a time of calm.
//! Proposals are repeated while they hold; the sidecar's guard bounds, spaces and drops them.
//! Rejected: forecasting from the trend, which for minutes of history grows on noise.

mod advice;
mod formula;
mod load;
mod memory;
mod settings;

use std::time::Duration;

use poolwarden_policy::{Policy, Pool, Proposal, Resize, Scope, TargetStatus, Window};

pub use crate::memory::Memory;
pub use crate::settings::Settings;

use crate::load::{Calm, ScopeLoad};

/// The policy.
pub struct Autosize;

impl Policy for Autosize {
    const NAME: &'static str = "autosize";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str =
        "Grows a pool when clients wait or demand fills it, shrinks it slowly when it is calm.";
    type Settings = Settings;
    type Memory = Memory;

    fn evaluate(
        settings: &Settings,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<Vec<Proposal>, String> {
        let before = std::mem::take(memory);
        if window.target().status != TargetStatus::Up {
            // What was not seen was not calm: every shrink has to wait its full time again.
            return Ok(Vec::new());
        }
        let mut proposals = Vec::new();
        let slow_database = advice::slow_database(settings, window);
        let shrink_after = Duration::from_millis(settings.shrink_after_ms);
        let mut held_back = false;
        let loads = load::by_scope(window, settings);
        for (scope, load) in window.scopes().zip(&loads) {
            let calm_for = track_calm(&scope, load, window.at_ms(), &before, memory);
            if let Some(pool) = load.grow {
                if slow_database.is_some() {
                    held_back = true;
                } else {
                    grow(settings, scope, pool, &mut proposals);
                }
            } else if let Some(pool) = load.peak
                && load.calm == Calm::Yes
                && calm_for.min(load.observed_for) >= shrink_after
            {
                shrink(settings, scope, pool, calm_for, &mut proposals);
            }
        }
        proposals.extend(slow_database.filter(|_| held_back));
        Ok(proposals)
    }
}

/// Keeps the memory of one scope going and returns how long it has been calm.
fn track_calm(
    scope: &Scope<'_>,
    load: &ScopeLoad<'_>,
    at_ms: u64,
    before: &Memory,
    memory: &mut Memory,
) -> Duration {
    let key = memory::key(scope);
    let since = match load.calm {
        Calm::Yes => before.calm_since(&key, scope.size()).unwrap_or(at_ms),
        Calm::No => at_ms,
    };
    memory.remember(key, scope.size(), since);
    memory::between(since, at_ms)
}

/// Proposes the size that the neediest pool wants, or says who must change what.
fn grow(settings: &Settings, scope: Scope<'_>, pool: Pool<'_>, proposals: &mut Vec<Proposal>) {
    let wanted = formula::servers_wanted(pool.demand(), settings);
    if wanted <= scope.size() {
        return;
    }
    let waiting = pool.cl_waiting();
    let cause = match waiting {
        0 => format!("all {} servers of {} are busy", pool.size(), pool.name()),
        1 => format!("1 client waits for {}", pool.name()),
        _ => format!("{waiting} clients wait for {}", pool.name()),
    };
    let reason = format!(
        "{cause}, which could use {:.1} servers; {wanted} would keep {:.0} % of them busy",
        pool.demand(),
        100.0 * pool.demand() / f64::from(wanted),
    );
    if wanted > scope.ceiling() && scope.is_actionable() {
        proposals.push(advice::raise_ceiling(scope, &pool, wanted));
    }
    if !scope.is_actionable() {
        proposals.push(advice::set_pool_size(scope, &pool, wanted, &reason));
    } else if scope.size() < scope.ceiling() {
        let resize = Resize::new(scope, wanted.min(scope.ceiling())).reason(reason);
        proposals.push(
            resize
                .evidence("demand", pool.demand())
                .evidence("want", wanted)
                .evidence("size", scope.size())
                .evidence("waiting", waiting)
                .evidence("wait-us", pool.maxwait().as_secs_f64() * 1e6)
                .evidence("utilization", pool.utilization())
                .into(),
        );
    }
}

/// Proposes one step down when even the peak of the long span leaves too much unused.
fn shrink(
    settings: &Settings,
    scope: Scope<'_>,
    peak: Pool<'_>,
    calm_for: Duration,
    proposals: &mut Vec<Proposal>,
) {
    let wanted = formula::servers_wanted(peak.demand_max_long(), settings).max(scope.floor());
    if !formula::is_oversized(scope.size(), wanted, settings) {
        return;
    }
    let size = formula::step_down(scope.size(), wanted, settings);
    let reason = format!(
        "nobody has waited for {} s and the busiest pool, {}, needed at most {:.1} servers; \
         {wanted} would do",
        calm_for.as_secs(),
        peak.name(),
        peak.demand_max_long(),
    );
    if !scope.is_actionable() {
        proposals.push(advice::set_pool_size(scope, &peak, wanted, &reason));
        return;
    }
    proposals.push(
        Resize::new(scope, size)
            .reason(reason)
            .evidence("demand", peak.demand())
            .evidence("demand-max-long", peak.demand_max_long())
            .evidence("want", wanted)
            .evidence("size", scope.size())
            .evidence("utilization", peak.utilization())
            .evidence("calm-s", calm_for.as_secs_f64())
            .into(),
    );
}

poolwarden_policy::export!(Autosize);

#[cfg(test)]
mod tests;
