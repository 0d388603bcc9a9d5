//! Prepares for a ramp that earlier days had at this time.
//!
//! PgBouncer opens servers one at a time and only once clients wait, so a size that is raised when
//! the queue is there is raised late. What is asked for is the upper end of the forecast's band for
//! the steps that the lead time reaches, also once that is the size, so that a sizing policy does not
//! shrink the pool again before the load is there; and only while a rise lies ahead, so that the size
//! is that policy's again once the load has arrived.

use poolwarden_policy::numbers::servers_up;
use poolwarden_policy::{Past, Pool, Proposal, Resize, Window};

use crate::season::{Errors, Series, spread};
use crate::settings::Settings;

/// A ramp ahead of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ramp<'w> {
    pool: Pool<'w>,
    /// Servers to be allowed.
    wanted: u32,
    /// Servers now, servers expected.
    present: f64,
    expected: f64,
    /// The step of the greatest demand that the lead time reaches.
    step: usize,
}

/// Finds a ramp within the lead time that the pool's size is too small or just large enough for.
pub(crate) fn ramp<'w>(
    settings: &Settings,
    window: &Window,
    pool: Pool<'w>,
    series: &Series,
    errors: &Errors,
) -> Option<Ramp<'w>> {
    let present = series.values.last().copied().filter(|value| !value.is_nan())?;
    let present = present.max(pool.demand_max_short());
    let until = window.at_ms().saturating_add(settings.lead_ms).saturating_sub(series.from_ms);
    let last = usize::try_from(until / series.step_ms.max(1)).ok()?;
    let (mut step, mut expected, mut upper) = (0, 0.0_f64, 0.0_f64);
    for at in series.values.len()..=last {
        let Some(found) = series.expect(at) else { continue };
        let mid = errors.corrected(found.mid, at + 1 - series.values.len());
        if mid > expected {
            (step, expected) = (at, mid);
        }
        upper = upper.max(mid + errors.band.1.max(0.0) * spread(found.mid));
    }
    let rise = f64::from(settings.ramp_min_servers).max(settings.ramp_min_share * expected);
    let wanted = servers_up(upper).min(pool.scope().ceiling());
    let is_ramp = expected >= present + rise && wanted >= pool.size();
    is_ramp.then_some(Ramp { pool, wanted, present, expected, step })
}

/// Keeps the ramp of each scope that wants the most.
pub(crate) fn keep<'w>(ramps: &mut [Option<Ramp<'w>>], found: Ramp<'w>) {
    let Some(of_scope) = ramps.get_mut(found.pool.scope_index()) else { return };
    if of_scope.is_none_or(|known| known.wanted < found.wanted) {
        *of_scope = Some(found);
    }
}

/// Asks for the size that the ramp needs.
pub(crate) fn propose(past: &Past<'_>, ramp: &Ramp<'_>) -> Option<Proposal> {
    let Ramp { pool, wanted, present, expected, step } = *ramp;
    let scope = pool.scope();
    if !scope.is_actionable() || wanted < scope.size() {
        return None;
    }
    let reason = format!(
        "{} is expected to need {expected:.0} servers at {}, {wanted} at the most, as on earlier \
         days; it needs {present:.0} now and has {}",
        pool.name(),
        past.begin_of(step),
        scope.size(),
    );
    let resize = Resize::new(scope, wanted)
        .reason(reason)
        .evidence("expected", expected)
        .evidence("expected_upper", wanted)
        .evidence("present", present);
    Some(resize.into())
}
