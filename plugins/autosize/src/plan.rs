//! Decides about one scope: how large, and why.
//!
//! Up at once to what the load wants, down in steps once the greatest load of a long stretch wants
//! less (hysteresis: different questions, a tolerance, a stretch of time). A growth that brings back
//! what was taken away shows that the stretch was too short for this load's rhythm, so it becomes as
//! much longer as that takes, up to 32 times, and is halved again when a shrink was right.

use poolwarden_policy::{ChangeOutcome, LastChange, Pool, Scope, Window};

use crate::budget;
use crate::formula;
use crate::limit::{self, Bound, Limit};
use crate::load::{Cause, Need, ScopeLoad};
use crate::memory::ScopeMemory;
use crate::settings::Settings;

/// How often the stretch is doubled at most.
const REGRETS_MAX: u32 = 5;
/// Fewer servers than these are opened in no time: that they were taken away is not regretted.
const REGRET_MIN: u32 = 5;

/// What should become of one scope.
#[derive(Debug, Clone)]
pub(crate) struct Plan<'w> {
    pub scope: Scope<'w>,
    /// The size that is asked for; the present one for no change.
    pub to: u32,
    /// What the load wants, whatever else says.
    pub wanted: u32,
    /// The least that the load needs: others may have the rest.
    pub needs: u32,
    pub why: Why<'w>,
}

/// Why a size is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why<'w> {
    /// Nothing is asked for.
    Enough,
    /// A pool needs more.
    Grow(Need<'w>),
    /// It would, but the database is slow.
    Held(Need<'w>, Limit),
    /// The size is beyond what the database can use.
    Undo(Limit),
    /// The greatest load of so many milliseconds needs less.
    Shrink(Pool<'w>, u64),
}

/// Decides about the scopes of one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planner<'w> {
    settings: &'w Settings,
    window: &'w Window,
    is_budget_exceeded: bool,
}

impl<'w> Planner<'w> {
    pub(crate) fn new(settings: &'w Settings, window: &'w Window) -> Self {
        Self { settings, window, is_budget_exceeded: budget::is_exceeded(window) }
    }

    /// Decides about a scope and keeps its memory going.
    pub(crate) fn plan(
        &self,
        scope: Scope<'w>,
        load: &ScopeLoad<'w>,
        memory: &mut ScopeMemory,
    ) -> Plan<'w> {
        let Self { settings, window, .. } = *self;
        let at_ms = window.at_ms();
        let size = scope.size();
        let bound = limit::bound(settings, window, &scope, load, memory);
        let wanted = load.most.map_or(size, |most| most.wanted);
        let peak = note_peak(settings, (at_ms, span_ms(window)), &scope, load, memory);
        let needs = peak.map_or(size, |peak| peak.max(wanted)).min(size).max(scope.floor());
        let mut plan = Plan { scope, to: size, wanted, needs, why: Why::Enough };
        if let Some(limit) = bound.limit.filter(|_| bound.is_beyond) {
            let to = bound.most.max(scope.floor()).max(1);
            if to < size {
                (plan.to, plan.why) = (to, Why::Undo(limit));
            }
        } else if let Some(need) = load.grow {
            grow(&mut plan, need, &bound);
        } else if let (Some(peak), Some(most)) = (peak, load.most)
            && !is_measuring(&scope)
            // Also a wait that may still be chance is not the moment for it.
            && most.pool.cl_waiting() == 0
            // Who has not worked yet keeps no server open, and will want those that it was given.
            && (memory.has_worked || self.is_budget_exceeded)
        {
            let least = peak.max(scope.floor());
            if formula::is_oversized(size, least, settings) {
                plan.wanted = least;
                plan.to = shrunk(settings, size, least, &most);
                plan.why = Why::Shrink(most.pool, stretch_ms(settings, memory));
            }
        }
        if plan.to > size && is_regret(settings, at_ms, size, plan.wanted, memory) {
            memory.regrets = regrets(settings, at_ms, memory);
            memory.shrunk = (0, 0);
        }
        if memory.size != size {
            memory.former = memory.size;
        }
        memory.size = size;
        sample(settings, window, load, memory);
        plan
    }
}

/// Gives the size after a shrink towards the least that will do.
///
/// Of many stretches the one that asks for least is the one from which chance took most. So a surplus of
/// up to half the size is given up by half, unless the load is plainly gone: a pool that follows each
/// calm moment all the way down makes clients wait in the next one.
fn shrunk(settings: &Settings, size: u32, least: u32, most: &Need<'_>) -> u32 {
    let to = formula::step_down(size, least, settings);
    if least < size.div_ceil(2) || most.is_gone() {
        return to;
    }
    let half = size.saturating_sub(least) / 2;
    to.max(size - half.max(1))
}

/// Gives how often the stretch must be doubled to bridge the time since the load was great.
fn regrets(settings: &Settings, at_ms: u64, memory: &ScopeMemory) -> u32 {
    let since_ms = at_ms.saturating_sub(memory.shrunk.0) + stretch_ms(settings, memory);
    let bridges = |regrets: &u32| settings.shrink_after_ms << regrets > since_ms;
    (memory.regrets + 1..REGRETS_MAX).find(bridges).unwrap_or(REGRETS_MAX)
}

/// Says whether a growth brings back what was taken away: most of half the size or more.
///
/// Less is chance, or a load that goes up and down a little.
fn is_regret(
    settings: &Settings,
    at_ms: u64,
    size: u32,
    wanted: u32,
    memory: &ScopeMemory,
) -> bool {
    let (shrunk_ms, before) = memory.shrunk;
    at_ms.saturating_sub(shrunk_ms) < rhythm_ms(settings)
        && before.saturating_sub(size) >= REGRET_MIN
        && size <= before / 2
        && wanted > before - (before - size) / 2
}

fn grow<'w>(plan: &mut Plan<'w>, need: Need<'w>, bound: &Bound) {
    let size = plan.scope.size();
    plan.wanted = need.at_once;
    let open = need.pool.sv_active().saturating_add(need.pool.sv_idle());
    // Under load PgBouncer hands a released server to the next client rather than closing it: while a
    // shrink has not come through, a growth to what is still open would be one in name only.
    let to = Some(need.at_once.min(bound.most)).filter(|to| *to > open || open <= size);
    let to = to.unwrap_or(size).max(size);
    plan.to = to;
    plan.why = match bound.limit {
        Some(limit) if to == size => Why::Held(need, limit),
        _ => Why::Grow(need),
    };
}

/// Notes what the load wants; gives the most that it wanted in the stretch, once that is known.
fn note_peak(
    settings: &Settings,
    (at_ms, short_span_ms): (u64, u64),
    scope: &Scope<'_>,
    load: &ScopeLoad<'_>,
    memory: &mut ScopeMemory,
) -> Option<u32> {
    if memory.size > scope.size() {
        // Of several shrinks in a row the first one says what was given up, and when.
        if memory.size >= memory.shrunk.1 {
            memory.shrunk = (at_ms, memory.size);
        }
    }
    let has_lasted = at_ms.saturating_sub(memory.shrunk.0) >= rhythm_ms(settings);
    if memory.shrunk.1 > 0 && has_lasted {
        memory.regrets = memory.regrets.saturating_sub(1);
        memory.shrunk = (0, 0);
    }
    let Some(most) = load.most.filter(|_| !load.is_blind) else {
        // What was not seen was not calm: a shrink has to wait its full time again.
        memory.peaks = crate::peaks::Peaks::default();
        memory.blind_ms = at_ms;
        return None;
    };
    // Means over the short span still hold some of the time in which nothing was to be seen.
    if memory.blind_ms > 0 && at_ms.saturating_sub(memory.blind_ms) < short_span_ms {
        return None;
    }
    memory.blind_ms = 0;
    let stretch_ms = stretch_ms(settings, memory);
    note_work(load, memory);
    // Who makes others wait is not too large, whatever else is in their way.
    let least = if most.cause == Cause::Queue { scope.size() } else { 0 };
    let peak = memory.peaks.note(at_ms, stretch_ms, f64::from(most.lasting.max(least)))?;
    Some(poolwarden_policy::numbers::servers_up(peak))
}

/// Notes that transactions finish; a load that begins is looked at anew.
fn note_work(load: &ScopeLoad<'_>, memory: &mut ScopeMemory) {
    if load.speed.per_s > 0.0 && !memory.has_worked {
        memory.has_worked = true;
        memory.peaks = crate::peaks::Peaks::default();
    }
}

fn span_ms(window: &Window) -> u64 {
    u64::try_from(window.short_span().as_millis()).unwrap_or(u64::MAX)
}

/// The longest rhythm of a load that can be learnt.
fn rhythm_ms(settings: &Settings) -> u64 {
    settings.shrink_after_ms.saturating_mul(1 << REGRETS_MAX)
}

fn stretch_ms(settings: &Settings, memory: &ScopeMemory) -> u64 {
    settings.shrink_after_ms.saturating_mul(1 << memory.regrets.min(REGRETS_MAX))
}

/// Adds what the database does now to the curve and to what is usual, once a span.
fn sample(settings: &Settings, window: &Window, load: &ScopeLoad<'_>, memory: &mut ScopeMemory) {
    if !load.is_blind
        && load.speed.is_known()
        && memory.curve.is_due(window.at_ms(), span_ms(window))
    {
        memory.usual.add(load.speed.time_us(), load.speed.transactions);
        memory.curve.add(window.at_ms(), load.speed.servers, load.speed.time_us(), settings);
    }
}

/// Says whether it is being measured what a growth has brought; a shrink may follow a shrink.
fn is_measuring(scope: &Scope<'_>) -> bool {
    let is_growth =
        |change: LastChange| change.outcome == ChangeOutcome::Measuring && change.to > change.from;
    scope.last_change().is_some_and(is_growth)
}

/// Says in an operator's words what the load of a pool rests on.
pub(crate) fn cause(need: &Need<'_>) -> String {
    let pool = need.pool;
    match (need.cause, pool.cl_waiting()) {
        (Cause::Queue, 1) => format!("1 client waits for {}", pool.name()),
        (Cause::Queue, waiting) => format!("{waiting} clients wait for {}", pool.name()),
        (Cause::Jump, _) => format!(
            "{} of {} servers of {} are busy, far more than the mean of {:.1}",
            pool.sv_active(),
            pool.size(),
            pool.name(),
            pool.busy_finished(),
        ),
        (Cause::Rise, _) => format!(
            "the load of {} rises by {:.1} servers a minute",
            pool.name(),
            pool.demand_trend_per_min(),
        ),
        (Cause::Mean | Cause::Fall, _) => format!(
            "{:.1} of {} servers of {} are busy on average",
            pool.busy_finished(),
            pool.size(),
            pool.name(),
        ),
    }
}
