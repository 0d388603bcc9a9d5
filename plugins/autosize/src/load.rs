//! Sums up, per size scope, what the pools that it sizes need.
//!
//! A scope's size applies to each of its pools, so what the scope wants is what its neediest pool
//! wants. One pass over the pools, one row per scope: nothing is allocated per pool.

use std::time::Duration;

use poolwarden_policy::{Condition, Pool, Window};

use crate::settings::Settings;

/// Part of the size from which a pool without waiters counts as full.
const FULL: f64 = 0.95;

/// What the pools of one scope say.
#[derive(Debug, Clone)]
pub(crate) struct ScopeLoad<'w> {
    /// The pool that wants to grow and has the greatest demand.
    pub grow: Option<Pool<'w>>,
    /// The pool with the greatest demand over the long span.
    pub peak: Option<Pool<'w>>,
    /// How sure a shrink would be.
    pub calm: Calm,
    /// For how long every pool of the scope has been known.
    pub observed_for: Duration,
}

/// Whether the scope's numbers allow to call it calm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calm {
    /// Nobody waits and every number is good.
    Yes,
    /// Somebody waits, or some number is not to be trusted.
    No,
}

impl ScopeLoad<'_> {
    fn new() -> Self {
        Self { grow: None, peak: None, calm: Calm::Yes, observed_for: Duration::MAX }
    }
}

/// Returns one row per scope of the window, by index.
pub(crate) fn by_scope<'w>(window: &'w Window, settings: &Settings) -> Vec<ScopeLoad<'w>> {
    let confirm = Duration::from_millis(settings.confirm_ms);
    let short_span = window.short_span();
    let mut loads = vec![ScopeLoad::new(); window.scopes().len()];
    for pool in window.pools() {
        let load = &mut loads[pool.scope_index()];
        let condition = pool.condition();
        if !matches!(condition, Condition::Idle | Condition::Serving) {
            load.calm = Calm::No;
        }
        if wants_to_grow(&pool, condition, confirm, short_span) {
            load.calm = Calm::No;
            load.grow = greater(load.grow, pool, Pool::demand);
        }
        load.peak = greater(load.peak, pool, Pool::demand_max_long);
        load.observed_for = load.observed_for.min(pool.observed_for());
    }
    loads
}

/// Says whether a pool lacks servers, rather than a working database or an operator's leave.
fn wants_to_grow(
    pool: &Pool<'_>,
    condition: Condition,
    confirm: Duration,
    short_span: Duration,
) -> bool {
    match condition {
        // Beside unused room nobody waits for want of size: PgBouncer is still opening servers, which it
        // does one at a time, or PostgreSQL does not let it.
        Condition::Queueing => {
            pool.cl_waiting() > 0
                && pool.waiting_for() >= confirm
                && pool.sv_active().saturating_add(pool.sv_idle()) >= pool.size()
        }
        // Full for a whole span without a waiter yet: the next client would be the first.
        Condition::Serving => {
            pool.full_for() >= short_span.max(confirm)
                && pool.full_for() > Duration::ZERO
                && pool.demand_max_short() >= f64::from(pool.size()) * FULL
        }
        Condition::Idle
        | Condition::LoginQueue
        | Condition::Paused
        | Condition::Wedged
        | Condition::Stale => false,
    }
}

/// Keeps the first of the greatest, so that the choice does not hang on anything but the window.
fn greater<'w>(
    best: Option<Pool<'w>>,
    pool: Pool<'w>,
    measure: impl Fn(&Pool<'w>) -> f64,
) -> Option<Pool<'w>> {
    match best {
        Some(best) if measure(&best) >= measure(&pool) => Some(best),
        _ => Some(pool),
    }
}
