//! Sizes pools: up at once to what the load wants, down slowly, and never further than it helps.
//!
//! - [`hidden`] and [`load`]: how much load there is, with what a queue hides.
//! - [`formula`] and [`erlang`]: how many servers that wants.
//! - [`curve`], [`usl`] and [`limit`]: how many the database can use.
//! - [`peaks`] and [`plan`]: when to grow and when to shrink.
//! - [`fair`] and [`budget`]: who gets what when there is not enough for all.
//!
//! Proposals are repeated while they hold; the sidecar's guard bounds, spaces and drops them, and
//! measures what came of each change.

mod advice;
mod budget;
mod curve;
mod erlang;
mod fair;
mod formula;
mod hidden;
mod limit;
mod load;
mod memory;
mod peaks;
mod plan;
mod settings;
mod usl;
mod usual;
mod warm;

use poolwarden_policy::{Policy, Pool, Proposal, Resize, TargetStatus, Window};

pub use crate::memory::Memory;
pub use crate::settings::Settings;

use crate::advice::Waits;
use crate::budget::Cut;
use crate::hidden::Queue;
use crate::load::{Cause, Need, ScopeLoad};
use crate::plan::{Plan, Planner, Why};

/// The policy.
pub struct Autosize;

impl Policy for Autosize {
    const NAME: &'static str = "autosize";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str =
        "Sizes pools by load and wait: up at once, down slowly, never further than it helps.";
    type Settings = Settings;
    type Memory = Memory;

    fn evaluate(
        settings: &Settings,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<Vec<Proposal>, String> {
        let at_ms = window.at_ms();
        let before = std::mem::take(memory).known(at_ms);
        if window.target().status != TargetStatus::Up {
            *memory = while_not_up(before, at_ms);
            return Ok(Vec::new());
        }
        let loads = load::by_scope(window, settings, &before);
        *memory = Memory::begin(at_ms);
        for pool in window.pools().filter(|pool| pool.cl_waiting() > 0).take(memory::QUEUES_MAX) {
            let was = load::queue_before(&pool, &before).unwrap_or(Queue::new(at_ms, 0));
            memory.keep_queue(&pool.name(), was.next(at_ms, pool.cl_waiting()));
        }
        let planner = Planner::new(settings, window);
        let mut plans = Vec::with_capacity(loads.len());
        let mut held = None;
        for (scope, load) in window.scopes().zip(&loads) {
            let key = memory::key(&scope);
            let mut own = before.scopes.get(&key).cloned().unwrap_or_default();
            let mut plan = planner.plan(scope, load, &mut own);
            held = held.or(hold(settings, window, load, &mut plan));
            plans.push(plan);
            memory.keep(key, own, loads.len());
        }
        let cuts = budget::keep(window, &mut plans);
        let mut proposals = Vec::new();
        for (plan, cut) in plans.iter().zip(cuts) {
            propose(window, plan, cut, &mut proposals);
            warm::propose(settings, plan, &mut proposals);
        }
        proposals.extend(held);
        Ok(proposals)
    }
}

/// Keeps what a target that is down or paused does not change: what its database can do.
fn while_not_up(mut before: Memory, at_ms: u64) -> Memory {
    let scopes = std::mem::take(&mut before.scopes);
    let count = scopes.len();
    let mut memory = Memory::begin(at_ms);
    for (key, mut scope) in scopes {
        // What was not seen was not calm: every shrink has to wait its full time again.
        scope.peaks = peaks::Peaks::default();
        scope.blind_ms = at_ms;
        memory.keep(key, scope, count);
    }
    memory
}

/// Takes a growth back that would make a slow database slower; gives the advice that says so.
fn hold(
    settings: &Settings,
    window: &Window,
    load: &ScopeLoad<'_>,
    plan: &mut Plan<'_>,
) -> Option<Proposal> {
    if let Why::Held(need, limit) = plan.why {
        return Some(advice::slow_by_limit(&need, limit));
    }
    let need = load.grow.filter(|_| matches!(plan.why, Why::Grow(_)))?;
    let waits: Waits = advice::waits_on_itself(settings, window, &need.pool)?;
    (plan.to, plan.why) = (plan.scope.size(), Why::Enough);
    Some(advice::slow_by_waits(&waits))
}

/// Proposes what a plan and the budget came to, or says who must change what.
fn propose(window: &Window, plan: &Plan<'_>, cut: Cut, proposals: &mut Vec<Proposal>) {
    let (scope, size) = (plan.scope, plan.scope.size());
    if let Why::Grow(need) = plan.why {
        if need.at_once > scope.ceiling() && scope.is_actionable() {
            proposals.push(advice::raise_ceiling(scope, &need));
        }
        if cut == Cut::Short
            && let Some(budget) = budget::budget_of(window)
        {
            proposals.push(advice::budget_is_short(plan, budget));
        }
    }
    let most = if plan.to > size { scope.ceiling().max(size) } else { u32::MAX };
    let to = plan.to.min(most);
    if to == size {
        return;
    }
    let reason = reason(window, plan, cut, to);
    let pool = match plan.why {
        Why::Grow(need) | Why::Held(need, _) => Some(need.pool),
        Why::Shrink(pool, _) => Some(pool),
        Why::Enough | Why::Undo(_) => None,
    };
    if !scope.is_actionable() {
        let to = if matches!(plan.why, Why::Shrink(..)) { plan.wanted } else { plan.to };
        proposals.extend(pool.map(|pool| advice::set_pool_size(plan, &pool, to, &reason)));
        return;
    }
    let resize = Resize::new(scope, to).reason(reason);
    let resize = resize.evidence("want", plan.wanted).evidence("size", size);
    proposals.push(with_pool(resize, plan, pool).into());
}

/// Adds the numbers of the pool that a size rests on.
fn with_pool(resize: Resize, plan: &Plan<'_>, pool: Option<Pool<'_>>) -> Resize {
    let Some(pool) = pool else { return resize };
    let resize = match plan.why {
        Why::Grow(need) => resize.evidence("load", need.load),
        _ => resize,
    };
    resize
        .evidence("demand", pool.demand())
        .evidence("demand-max-long", pool.demand_max_long())
        .evidence("busy-mean", pool.busy_mean())
        .evidence("waiting", pool.cl_waiting())
        .evidence("wait-us", pool.maxwait().as_secs_f64() * 1e6)
        .evidence("transaction-us", pool.transaction_mean_us())
        .evidence("transactions-per-s", pool.transactions_per_s())
}

/// Says in one sentence why.
fn reason(window: &Window, plan: &Plan<'_>, cut: Cut, to: u32) -> String {
    let budget = budget::budget_of(window).unwrap_or(0);
    let share = match cut {
        Cut::None => String::new(),
        Cut::Short => format!("; {to} is its fair share of {budget} connections"),
        Cut::Gives => format!("; others need what it does not, of {budget} connections"),
    };
    let text = match plan.why {
        Why::Grow(need) => grown(&need, to),
        Why::Shrink(pool, stretch_ms) => format!(
            "for {} s no load wanted more than {} servers; the busiest pool, {}, has {:.1} busy",
            stretch_ms / 1_000,
            plan.wanted,
            pool.name(),
            pool.busy_finished(),
        ),
        Why::Undo(limit) => format!("back to {to}, since {}", advice::limit_in_words(limit)),
        Why::Enough | Why::Held(..) => format!("its load needs {}", plan.needs),
    };
    text + &share
}

fn grown(need: &Need<'_>, to: u32) -> String {
    let (want, then) = (need.at_once, need.wanted);
    let cause = plan::cause(need);
    let wanted = if want > then {
        format!(
            "{cause}, whose arrivals keep {:.1} servers busy; {want} also work the queue off, {then} will \
             do then",
            need.load,
        )
    } else {
        let utilization = 100.0 * need.load / f64::from(want.max(1));
        let load = match need.cause {
            Cause::Mean => format!("{:.1} but for chance", need.load),
            _ => format!("which could use {:.1} servers", need.load),
        };
        format!("{cause}, {load}; {want} would keep {utilization:.0} % of them busy")
    };
    if to < want { format!("{wanted}; of these {to} now") } else { wanted }
}

poolwarden_policy::export!(Autosize);

#[cfg(test)]
mod tests;
