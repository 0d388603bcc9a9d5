//! Keeps servers open for the load that comes back, where an operator wants that.
//!
//! PgBouncer opens servers one at a time and closes what idles, so after a calm the first of a rise
//! wait for logins. `min_pool_size` at what the load wants keeps them; the reserve is a part of the size.

use poolwarden_policy::numbers::servers_up;
use poolwarden_policy::{Knob, Proposal, Resize};

use crate::plan::Plan;
use crate::settings::Settings;

/// Adds what these settings ask for besides the size.
pub(crate) fn propose(settings: &Settings, plan: &Plan<'_>, proposals: &mut Vec<Proposal>) {
    let scope = plan.scope;
    let size = plan.to;
    if settings.keep_warm {
        let wanted = plan.wanted.min(size);
        let reason = format!(
            "{wanted} servers should be open when clients come, as many as their load wants; \
             min_pool_size is {}",
            scope.min_size(),
        );
        ask(settings, plan, (Knob::MinPoolSize, scope.min_size(), wanted), reason, proposals);
    }
    if settings.reserve_share > 0.0 {
        let wanted = servers_up(f64::from(size) * settings.reserve_share);
        let reason = format!(
            "a reserve of {:.0} % of {size} servers is {wanted}; it is {}",
            100.0 * settings.reserve_share,
            scope.reserve(),
        );
        ask(settings, plan, (Knob::ReservePoolSize, scope.reserve(), wanted), reason, proposals);
    }
}

/// Asks for a number that is too small, or too large by more than the tolerance.
fn ask(
    settings: &Settings,
    plan: &Plan<'_>,
    (knob, present, wanted): (Knob, u32, u32),
    reason: String,
    proposals: &mut Vec<Proposal>,
) {
    let is_near = f64::from(wanted) >= f64::from(present) * (1.0 - settings.shrink_tolerance);
    let is_right = wanted == present || (wanted < present && is_near);
    if is_right || !plan.scope.can_change(knob) {
        return;
    }
    let resize = Resize::new(plan.scope, wanted).knob(knob).reason(reason);
    let resize = resize.evidence("present", present).evidence("want", wanted);
    proposals.push(resize.evidence("size", plan.to).into());
}
