//! Alerts on what hurts clients of a pool, and on what is about to.
//!
//! Conditions are stated, not remembered: each evaluation says what holds now, and the sidecar
//! fires, resolves and silences. So the policy has no memory and a reload cannot lose an alert.
//! Summaries are written for the person who is paged: one sentence, the pool's name, the numbers.

mod advice;
mod kind;
mod leak;
mod pool;
mod postgres;
mod settings;
mod target;
mod trouble;

use poolwarden_policy::{Policy, Proposal, TargetStatus, Window};

pub use crate::settings::{
    ClientsGrowing, Condition, ConnectionLeak, DatabaseTrouble, HighUtilization, LimitNear,
    LongWait, ManyPools, ServerLogins, Settings, TimeoutNear, UnboundedQueue, WedgedQueue,
};

use crate::trouble::Seen;

/// The policy.
pub struct PoolAlerts;

impl Policy for PoolAlerts {
    const NAME: &'static str = "pool-alerts";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str = "Alerts on queues, exhaustion, failing logins, timeouts, leaks, limits and servers that are down.";
    type Settings = Settings;
    type Memory = ();

    fn evaluate(
        settings: &Settings,
        window: &Window,
        _memory: &mut (),
    ) -> Result<Vec<Proposal>, String> {
        let mut proposals = Vec::new();
        // While the target is down its pools are what they were: the sidecar keeps their alerts.
        let mut seen = match window.target().status {
            TargetStatus::Down => Seen::default(),
            TargetStatus::Up | TargetStatus::Paused => Seen::of(settings, window),
        };
        pool::tell_all(settings, window, &mut seen, &mut proposals);
        target::check(settings, window, &seen, &mut proposals);
        if settings.recommendations_enabled {
            advice::check(settings, window, &mut proposals);
        }
        Ok(proposals)
    }
}

/// Writes a count with its noun.
fn counted(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

poolwarden_policy::export!(PoolAlerts);

#[cfg(test)]
mod tests;
