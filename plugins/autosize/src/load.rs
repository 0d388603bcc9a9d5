//! Sums up, per size scope, what the pools that it sizes need.
//!
//! A scope's size applies to each of its pools, so what the scope wants is what its neediest pool
//! wants. The load is the mean of the short span, which is exact, unless something says that it is
//! already another: a queue that is no chance, more busy servers than chance explains, a rise that goes
//! on. Sizing by the load of the moment was rejected: it would follow every throw of the dice up.

use std::time::Duration;

use poolwarden_policy::numbers::servers_up;
use poolwarden_policy::{ChangeOutcome, Condition, Pool, Window};

use crate::erlang::queues;
use crate::formula::Sizing;
use crate::hidden::{self, Queue};
use crate::memory::{self, Memory, QUEUES_MAX};
use crate::settings::Settings;
use crate::usual::Usual;

/// A queue that is this rare in a pool of the right size is no chance.
const CHANCE: f64 = 1e-5;
/// A rise is followed at most to so much more than the present load.
const RISE_MAX: f64 = 0.25;
/// Standard deviations of the load (Poisson) by which it must have risen for the rise to go on.
const RISEN: f64 = 2.5;
/// Standard deviations beyond which a count (Poisson) is no chance.
pub(crate) const SIGMAS: f64 = 5.0;
/// A queue that stood for so many mean transactions is no chance.
const STANDING: f64 = 20.0;
/// So long after a growth PgBouncer, which opens one server at a time, may still be opening.
const OPENING: Duration = Duration::from_secs(3);

/// What makes a pool's load what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The mean of the short span.
    Mean,
    /// The mean, and its rise.
    Rise,
    /// The mean, of a load that is gone.
    Fall,
    /// More servers are busy than the mean explains.
    Jump,
    /// Clients wait.
    Queue,
}

/// What one pool needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need<'w> {
    pub pool: Pool<'w>,
    /// Servers that could be used.
    pub load: f64,
    pub cause: Cause,
    /// The size that the load wants.
    pub wanted: u32,
    /// What a stretch of time is remembered by: the same with what chance may have hidden of it, and
    /// without what is already gone of it.
    pub lasting: u32,
    /// The size that also works off the queue.
    pub at_once: u32,
}

impl Need<'_> {
    /// Says whether so much of the load has gone that it is no chance: two standard deviations of such a
    /// count (Poisson).
    pub(crate) fn is_gone(&self) -> bool {
        let chance = 2.0 * self.load.max(0.0).sqrt();
        self.cause == Cause::Fall && self.pool.demand() < self.load - chance
    }
}

/// What the pools of one scope say.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScopeLoad<'w> {
    /// The pool that needs more than it has, and the most of those.
    pub grow: Option<Need<'w>>,
    /// The pool that needs the most.
    pub most: Option<Need<'w>>,
    /// Whether some pool's numbers are not to be trusted, or say nothing of its load.
    pub is_blind: bool,
    /// Busy servers, transactions and their mean times, of all pools.
    pub speed: Speed,
}

/// How fast the database serves a scope.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Speed {
    /// Servers that were held by transactions that finished.
    pub servers: f64,
    /// Servers that were seen held, by whatever.
    held: f64,
    pub per_s: f64,
    /// Transactions of the short span.
    pub transactions: f64,
    /// Time in servers and in the queue, µs for each second.
    busy_us: f64,
    wait_us: f64,
}

impl Speed {
    /// Says whether enough has finished for a mean that is worth keeping.
    pub(crate) fn is_known(&self) -> bool {
        const TRANSACTIONS_MIN: f64 = 20.0;
        self.transactions >= TRANSACTIONS_MIN
    }

    fn add(&mut self, pool: &Pool<'_>, span: Duration) {
        let per_s = pool.transactions_per_s();
        if per_s > 0.0 {
            self.servers += pool.busy_finished();
            self.held += pool.busy_mean();
            self.per_s += per_s;
            self.transactions += transactions(pool, span);
            self.busy_us += per_s * pool.transaction_mean_us();
            self.wait_us += per_s * pool.wait_mean_us();
        }
    }

    /// Returns the mean time of a transaction in the server, µs; 0 without transactions.
    pub(crate) fn time_us(&self) -> f64 {
        if self.per_s > 0.0 { self.busy_us / self.per_s } else { 0.0 }
    }

    /// Returns the mean time of a transaction with what those that have not finished have taken so far, µs.
    ///
    /// Right after a load has begun the short ones have finished and the long ones have not, so the mean
    /// of those that have is too short. Held servers by transactions per second (Little's law) are
    /// all the time that was taken, by those that finished: as for lifetimes that are cut off.
    pub(crate) fn time_so_far_us(&self) -> f64 {
        let so_far = if self.per_s > 0.0 { self.held / self.per_s * 1e6 } else { 0.0 };
        self.time_us().max(so_far)
    }

    /// Returns what the mean time of a transaction is at the least, but for once in forty times.
    ///
    /// The mean of n times that vary as exponential ones do has a standard deviation of 1/√n of it.
    pub(crate) fn surely_us(&self) -> f64 {
        self.time_us() / (1.0 + 2.0 / self.transactions.max(1.0).sqrt())
    }

    /// Returns the mean time of a transaction with its wait, µs; 0 without transactions.
    pub(crate) fn response_us(&self) -> f64 {
        if self.per_s > 0.0 { (self.busy_us + self.wait_us) / self.per_s } else { 0.0 }
    }
}

/// Returns one row per scope of the window, by index.
pub(crate) fn by_scope<'w>(
    window: &'w Window,
    settings: &Settings,
    before: &Memory,
) -> Vec<ScopeLoad<'w>> {
    let mut loads = vec![ScopeLoad::default(); window.scopes().len()];
    let usual: Vec<Usual> = window.scopes().map(|scope| memory::usual(&scope, before)).collect();
    // Only so many queues are remembered; of the others nothing is known, not that there was none.
    let mut unremembered = QUEUES_MAX;
    for pool in window.pools() {
        let before = (unremembered > 0).then_some(before);
        unremembered = unremembered.saturating_sub(usize::from(pool.cl_waiting() > 0));
        let load = &mut loads[pool.scope_index()];
        match pool.condition() {
            Condition::Idle | Condition::Serving | Condition::Queueing => {}
            Condition::LoginQueue | Condition::Paused | Condition::Wedged | Condition::Stale => {
                load.is_blind = true;
                continue;
            }
        }
        // With nobody at work the database is away, or servers are just being opened.
        if pool.cl_waiting() > 0 && pool.sv_active() == 0 {
            load.is_blind = true;
            continue;
        }
        load.speed.add(&pool, window.short_span());
        let sizing = Sizing { settings, transaction_us: pool.transaction_mean_us() };
        let mean = mean(&pool, window.short_span(), &usual[pool.scope_index()]);
        let need = need(window, &pool, mean, &sizing, before);
        let likely = without_chance(window, &need, &sizing);
        if grows(&likely, &sizing) {
            load.grow = greater(load.grow, likely);
        }
        load.most = greater(load.most, need);
    }
    loads
}

/// Finds out what a pool needs.
fn need<'w>(
    window: &Window,
    pool: &Pool<'w>,
    mean: f64,
    sizing: &Sizing<'_>,
    before: Option<&Memory>,
) -> Need<'w> {
    let size = pool.size();
    let busy = f64::from(pool.sv_active());
    let mut work_off = 0.0;
    let (load, cause) = if counts(pool, mean, sizing) {
        let hidden =
            hidden::load(pool, window.at_ms(), before.and_then(|it| queue_before(pool, it)));
        work_off = hidden.work_off;
        (hidden.load.max(mean), Cause::Queue)
    } else if busy >= f64::from(size) * sizing.settings.grow_utilization
        && busy > mean + SIGMAS * mean.max(1.0).sqrt()
    {
        (busy, Cause::Jump)
    } else if pool.demand() < mean - mean.max(0.0).sqrt() {
        (mean, Cause::Fall)
    } else {
        let rise = rise(window, pool, mean, sizing.settings);
        (mean + rise, if rise > 0.0 { Cause::Rise } else { Cause::Mean })
    };
    let wanted = sizing.wanted(load);
    let at_once = wanted.max(servers_up(load + work_off));
    let lasting = match cause {
        Cause::Fall => sizing.wanted(present(pool).min(load)),
        _ => sizing.wanted(load + chance(load, pool, window)),
    };
    Need { pool: *pool, load, cause, wanted, lasting, at_once }
}

/// Returns the load that is there of one that is going: the busy servers of the moment, and one standard
/// deviation of such a count (Poisson).
fn present(pool: &Pool<'_>) -> f64 {
    let now = pool.demand().max(0.0);
    now + now.sqrt()
}

/// Takes off what chance may have added to a mean before it is asked whether a pool should grow.
///
/// Of many means the one that passes a border first is the one to which chance has added most, about a
/// standard deviation. A queue is no mean, and nothing is taken off it; nor off a rise, which is itself
/// no chance.
fn without_chance<'w>(window: &Window, need: &Need<'w>, sizing: &Sizing<'_>) -> Need<'w> {
    if need.cause != Cause::Mean {
        return *need;
    }
    let load = need.load - chance(need.load, &need.pool, window);
    let wanted = sizing.wanted(load);
    Need { load, wanted, at_once: wanted, ..*need }
}

/// Says whether a pool should have more servers than its size.
fn grows(need: &Need<'_>, sizing: &Sizing<'_>) -> bool {
    let size = need.pool.size();
    if need.at_once <= size {
        return false;
    }
    match need.cause {
        Cause::Queue => {
            let open = need.pool.sv_active().saturating_add(need.pool.sv_idle());
            let confirm = Duration::from_millis(sizing.settings.confirm_ms);
            // Beside unused room nobody waits for want of size, unless that is still being opened.
            need.pool.waiting_for() >= confirm && (open >= size || is_opening(&need.pool))
        }
        Cause::Jump => true,
        Cause::Fall => false,
        Cause::Rise | Cause::Mean => sizing.is_tight(need.load, size),
    }
}

/// Says whether a queue is there that a pool of the right size would not have by chance.
fn counts(pool: &Pool<'_>, mean: f64, sizing: &Sizing<'_>) -> bool {
    let waiting = pool.cl_waiting();
    let blip_us = Duration::from_millis(sizing.settings.blip_ms).as_secs_f64() * 1e6;
    let blip_us = blip_us.max(STANDING * sizing.transaction_us);
    waiting > 0
        && (pool.waiting_for().as_secs_f64() * 1e6 >= blip_us
            || sizing.is_tight(mean, pool.size())
            || queues(pool.size(), mean, waiting) < CHANCE)
}

/// Returns the standard deviation of a load that is the mean of n transactions: 1/√n of it.
fn chance(load: f64, pool: &Pool<'_>, window: &Window) -> f64 {
    load / transactions(pool, window.short_span()).max(1.0).sqrt()
}

/// Returns how many transactions of a pool finished in the short span.
fn transactions(pool: &Pool<'_>, span: Duration) -> f64 {
    pool.transactions_per_s() * span.min(pool.observed_for()).as_secs_f64()
}

fn is_opening(pool: &Pool<'_>) -> bool {
    pool.scope().last_change().is_some_and(|change| {
        let is_made = change.outcome != ChangeOutcome::RolledBack;
        is_made && change.to > change.from && change.age < OPENING
    })
}

/// Returns the mean number of servers that were held in the short span.
///
/// By Little's law it is the arrivals times their mean time, for which what is usual stands where it
/// differs by chance only. The sampled mean also has what did not finish, a leak or a
/// long statement; it is taken when chance (ten samples of a Poisson count) does not explain the rest.
fn mean(pool: &Pool<'_>, span: Duration, usual: &Usual) -> f64 {
    let mean_us = pool.transaction_mean_us();
    let usual_us = usual.time_us(mean_us, transactions(pool, span));
    let scale = if mean_us > 0.0 { usual_us / mean_us } else { 1.0 };
    let (finished, sampled) = (pool.busy_finished() * scale, pool.busy_mean());
    let chance = 1.0 + 2.0 * (sampled / 10.0).max(0.0).sqrt();
    if sampled > finished + chance { sampled } else { finished }
}

/// Returns by how much the load will have risen when a growth that is asked for now is there.
fn rise(window: &Window, pool: &Pool<'_>, mean: f64, settings: &Settings) -> f64 {
    let per_s = pool.demand_trend_per_min() / 60.0;
    // The trend is that of the later half of the long span.
    let seen_s = (window.long_span() / 2).min(pool.observed_for()).as_secs_f64();
    let is_chance = per_s * seen_s <= 1.0 + RISEN * mean.max(0.0).sqrt();
    if is_chance {
        return 0.0;
    }
    let lead_s = Duration::from_millis(settings.lead_ms).as_secs_f64();
    let ahead_s = window.short_span().as_secs_f64() / 2.0 + lead_s;
    (per_s * ahead_s).min(mean * RISE_MAX)
}

/// Gives what is remembered of a pool's queue; nothing where there is no memory of this time.
pub(crate) fn queue_before(pool: &Pool<'_>, before: &Memory) -> Option<Queue> {
    if before.at_ms == 0 {
        return None;
    }
    let known = || before.queues.get(&pool.name().to_string()).copied();
    let queue = if before.queues.is_empty() { None } else { known() };
    Some(queue.unwrap_or_else(|| Queue::new(before.at_ms, 0)))
}

/// Keeps the first of the greatest, so that the choice does not hang on anything but the window.
fn greater<'w>(best: Option<Need<'w>>, need: Need<'w>) -> Option<Need<'w>> {
    match best {
        Some(best) if best.at_once >= need.at_once => Some(best),
        _ => Some(need),
    }
}
