//! Says when a pool or the database will run out, and prepares pools for ramps that come every day.
//!
//! It looks at seven days in steps of ten minutes: fine enough for a ramp, which takes minutes, and
//! long enough to have each time of day seven times and each time of the week once. Four weeks of
//! hours, the other span that the contract allows, would know the week better and see no ramp; and
//! the week shows in the weight of the same day a week ago.

mod load;
mod outlook;
mod prewarm;
mod season;
mod settings;
mod trend;

#[cfg(test)]
mod tests;

use std::time::Duration;

use poolwarden_policy::{
    Alert, Past, PastSpan, Policy, Pool, Proposal, Severity, Subject, TargetStatus, Window,
};

pub use crate::settings::Settings;

use crate::outlook::{RunsOut, runs_out};
use crate::prewarm::Ramp;
use crate::season::Series;

/// Part of its limit that a pool must have reached for anything to be forecast.
const BUSY_MIN: f64 = 0.3;

/// The policy.
pub struct Forecast;

impl Policy for Forecast {
    const NAME: &'static str = "forecast";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str =
        "Says when a pool or the database will run out, and prepares pools for known ramps.";
    const EVERY: Duration = Duration::from_secs(60);
    const PAST: Option<PastSpan> = Some(PastSpan { step_ms: 600_000, steps: 1_008 });
    type Settings = Settings;
    type Memory = ();

    fn evaluate(settings: &Settings, window: &Window, _: &mut ()) -> Result<Vec<Proposal>, String> {
        let Some(past) = window.past() else { return Ok(Vec::new()) };
        let mut proposals = Vec::new();
        let mut ramps: Vec<Option<Ramp<'_>>> = vec![None; window.scopes().len()];
        for pool in window.pools() {
            look_ahead(settings, window, &past, pool, (&mut ramps, &mut proposals));
        }
        proposals.extend(ramps.iter().flatten().filter_map(|ramp| prewarm::propose(&past, ramp)));
        if settings.alerts_enabled {
            proposals.extend(database(settings, window, &past));
        }
        Ok(proposals)
    }
}

/// Forecasts one pool, where its past is long enough and busy enough for a forecast to matter.
fn look_ahead<'w>(
    settings: &Settings,
    window: &Window,
    past: &Past<'_>,
    pool: Pool<'w>,
    (ramps, proposals): (&mut [Option<Ramp<'w>>], &mut Vec<Proposal>),
) {
    let of_pool = past.of(&pool);
    let limit = load::limit(&pool, &of_pool);
    let most = of_pool.busy_max().iter().copied().max().unwrap_or(0);
    // Whoever wants a ramp's servers wants more than the size that is there now.
    let matters = f64::from(most) >= f64::from(limit.min(pool.size())) * BUSY_MIN;
    if !matters || !is_known(settings, past, of_pool.seen()) {
        return;
    }
    let series = load::wanted(window, past, &of_pool);
    let lead = usize::try_from(settings.lead_ms / series.step_ms.max(1)).unwrap_or(0) + 1;
    let Some(errors) = series.errors(lead, settings.coverage) else { return };
    if settings.prewarm_enabled
        && window.target().status == TargetStatus::Up
        && let Some(ramp) = prewarm::ramp(settings, window, pool, &series, &errors)
    {
        prewarm::keep(ramps, ramp);
    }
    if settings.alerts_enabled
        && let Some(found) = runs_out(&series, &errors, limit, settings.horizon_h)
    {
        let what = format!("{} will run out of its {limit} servers", pool.name());
        let alert = Alert::new("pool-will-run-out", pool.subject())
            .runbook("docs/runbooks/pool-will-run-out.md");
        proposals.push(say(settings, past, alert, &what, &found, limit));
    }
}

/// Forecasts what all pools together want of PostgreSQL.
fn database(settings: &Settings, window: &Window, past: &Past<'_>) -> Option<Proposal> {
    let server = window.database_server().filter(|server| server.reachable)?;
    let taken = server.reserved_connections.saturating_add(server.others);
    let limit = server.max_connections.checked_sub(taken).filter(|limit| *limit > 0)?;
    let series = load::wanted_together(window, past);
    let seen = series.values.iter().filter(|value| !value.is_nan()).count();
    if !is_known(settings, past, seen) {
        return None;
    }
    let errors = series.errors(1, settings.coverage)?;
    let found = runs_out(&series, &errors, limit, settings.horizon_h)?;
    let what = format!(
        "the pools of {} will want more than the {limit} connections that PostgreSQL has for them",
        window.target().name,
    );
    let alert = Alert::new("database-will-run-out", Subject::DatabaseServer)
        .runbook("docs/runbooks/database-will-run-out.md");
    Some(say(settings, past, alert, &what, &found, limit))
}

fn is_known(settings: &Settings, past: &Past<'_>, seen: usize) -> bool {
    let day = Series { from_ms: 0, step_ms: step_ms(past), values: Vec::new() }.per_day();
    let days = usize::try_from(settings.min_days).unwrap_or(usize::MAX);
    // A few steps may be missing: a restart of the sidecar is no reason to forget a week.
    seen >= day.saturating_mul(days) / 10 * 9
}

fn step_ms(past: &Past<'_>) -> u64 {
    u64::try_from(past.step().as_millis()).unwrap_or(u64::MAX)
}

fn say(
    settings: &Settings,
    past: &Past<'_>,
    alert: Alert,
    what: &str,
    found: &RunsOut,
    limit: u32,
) -> Proposal {
    let growth = found.trend.mid;
    let why = match found.trend.is_growth() {
        true => format!("its daily peak grows by {growth:.1} servers a day"),
        false => "as at this time on earlier days".to_owned(),
    };
    let late = match found.high_h >= f64::from(settings.horizon_h) {
        true => format!("later than {:.0} h", found.high_h),
        false => format!("{:.0} h", found.high_h),
    };
    let summary = format!(
        "{what} in about {:.0} h, at {} (between {:.0} h and {late}): {why}.",
        found.mid_h,
        past.begin_of(found.step),
        found.low_h,
    );
    let soon = found.mid_h <= 24.0;
    alert
        .severity(if soon { Severity::Warning } else { Severity::Info })
        .summary(summary)
        .hold(Duration::from_millis(settings.hold_ms))
        .cooldown(Duration::from_millis(settings.cooldown_ms))
        .evidence("runs_out_in_h_low", found.low_h)
        .evidence("runs_out_in_h_mid", found.mid_h)
        .evidence("runs_out_in_h_high", found.high_h)
        .evidence("limit", limit)
        .evidence("expected", found.expected)
        .evidence("growth_per_day", growth)
        .into()
}

poolwarden_policy::export!(Forecast);
