//! Recommends settings from a week of history, each with its evidence, its effect and its lines.
//!
//! It looks at seven days in steps of ten minutes. A day would advise a Friday's sizes for a Monday,
//! and an hour as a step hides which minutes were full. It changes nothing, and says nothing before
//! it has seen enough: what was never seen is not what never happens.

mod budget;
mod clients;
mod dangers;
mod erlang;
mod lines;
mod ramp;
mod settings;
mod sizes;
mod stats;
mod timeouts;

#[cfg(test)]
mod tests;

use std::time::Duration;

use poolwarden_policy::{PastSpan, Policy, Proposal, Window};

pub use crate::settings::Settings;

use crate::stats::Stats;

/// The policy.
pub struct Advisor;

impl Policy for Advisor {
    const NAME: &'static str = "advisor";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str =
        "Recommends sizes, timeouts and modes from a week of history, with the exact lines.";
    const EVERY: Duration = Duration::from_secs(600);
    const PAST: Option<PastSpan> = Some(PastSpan { step_ms: 600_000, steps: 1_008 });
    type Settings = Settings;
    type Memory = ();

    fn evaluate(settings: &Settings, window: &Window, _: &mut ()) -> Result<Vec<Proposal>, String> {
        // Also of a PgBouncer that is down or paused: its past is what it was.
        let Some(past) = window.past() else { return Ok(Vec::new()) };
        let all = window.pools().filter_map(|pool| Stats::of(settings, &past, pool));
        let known: Vec<Stats<'_>> = all.filter(|one| one.days >= settings.min_days).collect();
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let mut proposals = sizes::check(settings, window, &known);
        proposals.extend(ramp::check(settings, window, &past, &known));
        proposals.extend(timeouts::check(settings, window, &past, &known));
        proposals.extend(clients::check(settings, window, &past, &known));
        proposals.extend(budget::check(window, &known));
        proposals.extend(dangers::check(window, &known));
        Ok(proposals)
    }
}

poolwarden_policy::export!(Advisor);
