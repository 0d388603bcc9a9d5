//! Alerts on what hurts clients of a pool, and on what is about to.
//!
//! Conditions are stated, not remembered: each evaluation says what holds now, and the sidecar
//! fires, resolves and silences. So the policy has no memory and a reload cannot lose an alert.
//! Summaries are written for the person who is paged: one sentence, the pool's name, the numbers.

mod advice;
mod pool;
mod settings;
mod target;

use poolwarden_policy::{Alert, Policy, Proposal, Severity, Subject, TargetStatus, Window};

pub use crate::settings::{
    ClientsGrowing, Condition, ConnectionLeak, HighUtilization, LimitNear, LongWait, Settings,
    TimeoutNear, WedgedQueue,
};

use crate::settings::Timing;

/// The policy.
pub struct PoolAlerts;

impl Policy for PoolAlerts {
    const NAME: &'static str = "pool-alerts";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str =
        "Alerts on utilization, exhaustion, long waits, timeouts, leaks and limits.";
    type Settings = Settings;
    type Memory = ();

    fn evaluate(
        settings: &Settings,
        window: &Window,
        _memory: &mut (),
    ) -> Result<Vec<Proposal>, String> {
        let mut proposals = Vec::new();
        // While the target is down its pools are what they were: the sidecar keeps their alerts.
        if window.target().status != TargetStatus::Down {
            pool::check_all(settings, window, &mut proposals);
        }
        target::check(settings, window, &mut proposals);
        if settings.recommendations_enabled {
            advice::check(settings, window, &mut proposals);
        }
        Ok(proposals)
    }
}

/// Starts an alert with its times, unless it is switched off.
fn start(rule: &impl Timing, name: &str, subject: Subject, severity: Severity) -> Option<Alert> {
    let (hold, cooldown) = rule.timing()?;
    Some(Alert::new(name, subject).severity(severity).hold(hold).cooldown(cooldown))
}

/// Writes a count with its noun.
fn counted(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

poolwarden_policy::export!(PoolAlerts);

#[cfg(test)]
mod tests;
