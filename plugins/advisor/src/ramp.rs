//! Ramps that come at the same time every day and find too few servers open.
//!
//! PgBouncer opens one server of a pool at a time, and only while a client waits; `min_pool_size`
//! keeps servers open through the quiet hours (PgBouncer's manual, `min_pool_size`: "Improves
//! behavior when the normal load suddenly comes back after a period of total inactivity").

use std::collections::BTreeMap;

use poolwarden_policy::numbers::{count, median_of, servers_up};
use poolwarden_policy::{Moment, Past, Proposal, Recommendation, Window};

use crate::lines;
use crate::settings::Settings;
use crate::stats::Stats;

/// Fewest servers by which a ramp rises from one step to the next.
const RISE_MIN: u32 = 4;

/// A rise that found too few servers open.
struct Rise {
    begin: Moment,
    /// Most busy servers in the step after it.
    to: u32,
    /// Servers that were open in the step before it.
    open: u32,
}

/// Advises on every pool with such a ramp.
pub(crate) fn check(
    settings: &Settings,
    window: &Window,
    past: &Past<'_>,
    stats: &[Stats<'_>],
) -> Vec<Proposal> {
    let advise = |one: &Stats<'_>| advice(settings, window, past, one);
    stats.iter().filter_map(advise).collect()
}

fn advice(
    settings: &Settings,
    window: &Window,
    past: &Past<'_>,
    one: &Stats<'_>,
) -> Option<Proposal> {
    let rises = daily(past, one, usize::try_from(settings.ramp_days).ok()?)?;
    let mut to: Vec<f64> = rises.iter().map(|rise| f64::from(rise.to)).collect();
    let mut open: Vec<f64> = rises.iter().map(|rise| f64::from(rise.open)).collect();
    let (wanted, open) = (servers_up(median_of(&mut to)?), median_of(&mut open)?);
    let wanted = wanted.min(one.pool.size());
    let present = window.target().min_pool_size;
    if wanted <= present {
        return None;
    }
    let (name, first) = (one.pool.name(), rises.first()?);
    let time = format!("{:02}:{:02}", first.begin.hour_of_day(), first.begin.minute_of_hour());
    let advice = Recommendation::new("keep-servers-for-ramp", one.pool.subject())
        .summary(format!(
            "On {} days {name} went from {open:.0} open servers to {wanted} busy ones at about \
             {time} UTC, and clients waited while PgBouncer opened them one after the other. With \
             {wanted} kept open the ramp finds them there. They are kept only while the pool has a \
             client, or for a user that the database forces (PgBouncer 1.21).",
            rises.len(),
        ))
        .action(lines::database(&name.database, &format!("min_pool_size={wanted}")))
        .evidence("days", count(rises.len()))
        .evidence("wanted", wanted)
        .evidence("open-before", open)
        .evidence("min-pool-size", present)
        .evidence("utc-hour", first.begin.hour_of_day());
    Some(advice.into())
}

/// Finds the time of day that had a rise on most days, one rise a day.
fn daily(past: &Past<'_>, one: &Stats<'_>, days_min: usize) -> Option<Vec<Rise>> {
    let rise_min = RISE_MIN.max(one.busy_max / 3);
    let day_ms = 86_400_000;
    let step_ms = u64::try_from(past.step().as_millis()).ok()?.max(1);
    // Step of the day, then day.
    let mut found: BTreeMap<u64, BTreeMap<u64, Rise>> = BTreeMap::new();
    let steps: Vec<_> = one.past.steps().collect();
    for pair in steps.windows(2) {
        let [Some(before), Some(after)] = pair else { continue };
        let open = before.servers_max();
        if after.waiting_max() > 0 && after.busy_max() >= open.saturating_add(rise_min) {
            let begin = after.begin();
            let rise = Rise { begin, to: after.busy_max(), open };
            let of_day = begin.as_millis() % day_ms / step_ms;
            found.entry(of_day).or_default().insert(begin.day(), rise);
        }
    }
    // A ramp that shifts by one step is the same ramp.
    let days = |at: u64| {
        let near = found.range(at..=at.saturating_add(1)).flat_map(|(_, days)| days.keys());
        near.collect::<std::collections::BTreeSet<_>>().len()
    };
    let best = found.keys().copied().max_by_key(|at| (days(*at), std::cmp::Reverse(*at)))?;
    if days(best) < days_min {
        return None;
    }
    let mut rises: BTreeMap<u64, Rise> = found.remove(&best)?;
    for (day, rise) in found.remove(&best.saturating_add(1)).unwrap_or_default() {
        rises.entry(day).or_insert(rise);
    }
    Some(rises.into_values().collect())
}
