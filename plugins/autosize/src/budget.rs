//! Keeps the sizes of all scopes within what the target's pools may open together.
//!
//! First what others have and do not need makes room for those that grow, the largest surplus first;
//! then what all want is shared fairly ([`crate::fair`]). Without a growth nothing is taken from
//! anybody: the sidecar's guard holds the budget itself.

use poolwarden_policy::{Scope, Window};

use crate::fair::{Claim, share, total};
use crate::plan::{Plan, Why};

/// What the budget did to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    None,
    /// It wanted, or has and needs, more than its fair share.
    Short,
    /// It gives what it does not need.
    Gives,
}

/// Cuts plans that exceed the budget together; gives what was done to each, by index.
pub(crate) fn keep(window: &Window, plans: &mut [Plan<'_>]) -> Vec<Cut> {
    let mut cuts = vec![Cut::None; plans.len()];
    // 0 is a sidecar that could not tell.
    let Some(budget) = budget_of(window) else { return cuts };
    if !plans.iter().any(|plan| plan.to > plan.scope.size()) {
        return cuts;
    }
    let mut claims: Vec<Claim> = plans.iter().map(claim).collect();
    if sum(&claims) <= u64::from(budget) {
        return cuts;
    }
    give(&mut claims, plans, budget);
    let sizes = share(&claims, budget);
    for ((plan, size), cut) in plans.iter_mut().zip(sizes).zip(&mut cuts) {
        let present = plan.scope.size();
        if size >= plan.to {
            continue;
        }
        let is_short = matches!(plan.why, Why::Grow(_)) || size < plan.needs;
        *cut = if is_short { Cut::Short } else { Cut::Gives };
        plan.to = size;
        if matches!(plan.why, Why::Enough) && size == present {
            *cut = Cut::None;
        }
    }
    cuts
}

/// Returns what the target's pools may open together, where the sidecar knows it.
pub(crate) fn budget_of(window: &Window) -> Option<u32> {
    window.database_server().map(|server| server.budget).filter(|budget| *budget > 0)
}

/// Says whether what the target's pools may open now is more than their part, because others need it.
pub(crate) fn is_exceeded(window: &Window) -> bool {
    let Some(budget) = budget_of(window) else { return false };
    let claims: Vec<Claim> = window.scopes().map(present).collect();
    sum(&claims) > u64::from(budget)
}

/// Returns the claim on what a scope has now.
fn present(scope: Scope<'_>) -> Claim {
    let size = scope.size();
    Claim { wanted: size, floor: size, pools: scope.pool_count(), reserve: scope.reserve() }
}

fn claim(plan: &Plan<'_>) -> Claim {
    let scope = plan.scope;
    let present = present(scope);
    if !scope.is_actionable() {
        return present;
    }
    let wanted = plan.to.min(scope.ceiling().max(scope.size()));
    // A size below its floor has no claim on the floor: that would be a growth.
    let floor = scope.floor().max(1).min(wanted).min(scope.size());
    Claim { wanted, floor, ..present }
}

fn sum(claims: &[Claim]) -> u64 {
    total(claims, claims.iter().map(|claim| claim.wanted))
}

/// Lowers claims of those that have more than they need, the largest surplus first.
fn give(claims: &mut [Claim], plans: &[Plan<'_>], budget: u32) {
    let surplus = |at: &usize| {
        let plan = &plans[*at];
        let spare = claims[*at].wanted.saturating_sub(plan.needs.max(claims[*at].floor));
        if matches!(plan.why, Why::Grow(_)) { 0 } else { spare }
    };
    let mut givers: Vec<(usize, u32)> =
        (0..claims.len()).map(|at| (at, surplus(&at))).filter(|(_, spare)| *spare > 0).collect();
    givers.sort_by_key(|(_, spare)| std::cmp::Reverse(*spare));
    for (at, spare) in givers {
        let over = sum(claims).saturating_sub(u64::from(budget));
        let pools = u64::from(claims[at].pools.max(1));
        let cut = u32::try_from(over.div_ceil(pools)).unwrap_or(u32::MAX).min(spare);
        claims[at].wanted -= cut;
    }
}
