//! Says how far a scope may grow before more servers only make the database slower.
//!
//! "Either an overloaded server or just too small a pool_size", says PgBouncer's manual of a rising
//! wait; from outside a queue looks the same in both. What tells them apart, most certain first:
//! - a growth that brought nothing: neither throughput, nor a shorter time from question to answer;
//!   the sidecar took it back, or it is taken back here;
//! - the fitted capacity curve ([`crate::usl`]), near what was seen;
//! - transactions that take longer the more of them run: then one careful step at a time, the next
//!   only when the one before has raised throughput. It may be that the questions became harder,
//!   which looks the same and where more servers do help; so this alone never forbids a first step.

use std::time::Duration;

use poolwarden_policy::{ChangeOutcome, LastChange, Scope, Window};

use crate::load::{ScopeLoad, Speed};
use crate::memory::{Ceiling, Growth, ScopeMemory};
use crate::settings::Settings;
use crate::usl::Fit;

/// Careful steps: these parts of the size, at least one server.
const CAREFUL_PART: u32 = 4;
const WARY_PART: u32 = 2;
/// For so many times as long as a ceiling holds, what lies beyond it is only tried carefully, and not at
/// all while transactions take this part of the time that they took when it was found. While the queue
/// of then still stands nothing else can come of it either, but that is asked again sooner.
const DOUBTED: u64 = 4;
const PRESSED: u64 = 2;
const AS_SLOW: f64 = 0.8;
/// So much of the short span must lie after a growth before it says what that brought.
const TELLING_PART: f64 = 0.2;
/// A size is too large for the curve when its throughput is below this part of the greatest.
const WORSE: f64 = 0.95;

/// Why a scope may not grow further.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    /// A growth from this size brought nothing.
    Failed(u32),
    /// It did so some time ago, and none has gained since.
    Doubted(u32),
    /// The curve has its peak at so many servers, and what it explains.
    Curve(f64, f64),
    /// Part of the concurrency that longer transactions eat up.
    Slowdown(f64),
    /// The last growth is being measured and has brought nothing yet.
    Measuring,
}

/// How large a scope may be, and what keeps it there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub most: u32,
    pub limit: Option<Limit>,
    /// The size is already beyond what the curve or a judged growth allows.
    pub is_beyond: bool,
}

/// Finds the bound of a scope, and keeps its memory going.
pub(crate) fn bound(
    settings: &Settings,
    window: &Window,
    scope: &Scope<'_>,
    load: &ScopeLoad<'_>,
    memory: &mut ScopeMemory,
) -> Bound {
    let at_ms = window.at_ms();
    learn(settings, at_ms, scope, load, memory);
    if let Some(ceiling) = memory.ceiling.as_mut() {
        // Once doubted it stays so: transactions that take now more, now less time are no new finding.
        ceiling.is_doubted |= !holds(settings, at_ms, ceiling, &load.speed);
    }
    let size = scope.size();
    let slowdown = memory.curve.slowdown(load.speed.servers, load.speed.surely_us());
    let mut bound = Bound { most: u32::MAX, limit: None, is_beyond: false };
    let mut lower = |most: u32, limit: Limit| {
        if most < bound.most {
            (bound.most, bound.limit) = (most, Some(limit));
        }
    };
    let ceiling = memory.ceiling.filter(|it| !it.is_doubted);
    // From what is open, where a shrink has not come through.
    let open = load.grow.map_or(0, |it| it.pool.sv_active().saturating_add(it.pool.sv_idle()));
    let base = size.max(open);
    let step = |part: u32| base.saturating_add((base / part).max(1));
    match (ceiling, memory.ceiling) {
        (Some(ceiling), _) => lower(ceiling.size, Limit::Failed(ceiling.size)),
        (None, Some(old)) => lower(step(CAREFUL_PART).max(old.size), Limit::Doubted(old.size)),
        (None, None) => {}
    }
    let fit = memory.curve.fit(settings);
    let peak = fit.and_then(|fit| Some((fit, fit.most()?)));
    if let Some((fit, peak)) = peak {
        lower(of_each(peak, load), Limit::Curve(peak, fit.r2));
    }
    let part = slowdown.unwrap_or(0.0);
    if part >= settings.slowdown_max {
        lower(step(CAREFUL_PART), Limit::Slowdown(part));
    } else if part >= settings.slowdown_max / 2.0 {
        lower(step(WARY_PART), Limit::Slowdown(part));
    }
    let measured = growth_in_measure(scope);
    if let Some(growth) = memory.growth {
        let is_no_gain = match gain_so_far(window, &growth, &load.speed, half_way(&growth, scope)) {
            Some(gain) => {
                gain < settings.growth_gain_min && is_slower(settings, &growth, &load.speed)
            }
            None => part >= settings.slowdown_max / 2.0,
        };
        if is_no_gain {
            lower(size, Limit::Measuring);
        }
    }
    let is_retrograde = peak.is_some_and(|(fit, peak)| is_worse(&fit, peak, load));
    bound.is_beyond = measured.is_none()
        && size > bound.most
        && (is_retrograde || ceiling.is_some_and(|ceiling| size > ceiling.size));
    bound
}

/// Says whether a ceiling still holds: it has not expired, or nothing has become better since.
fn holds(settings: &Settings, at_ms: u64, ceiling: &Ceiling, speed: &Speed) -> bool {
    let is_as_slow =
        speed.is_known() && ceiling.time_us > 0.0 && speed.time_us() >= AS_SLOW * ceiling.time_us;
    let (age_ms, expires_ms) = (ceiling.age_ms(at_ms), settings.ceiling_expires_ms);
    let is_pressed = !ceiling.was_calm && age_ms < expires_ms.saturating_mul(PRESSED);
    age_ms < expires_ms || is_as_slow || is_pressed
}

/// Samples the curve, judges the last growth, and takes in what the sidecar found.
fn learn(
    settings: &Settings,
    at_ms: u64,
    scope: &Scope<'_>,
    load: &ScopeLoad<'_>,
    memory: &mut ScopeMemory,
) {
    let size = scope.size();
    if memory.size > 0 && size > memory.size && !is_put_back(scope, memory) {
        // Of several growths in a row the first that has brought nothing yet is the one to go back to.
        let unproven = memory.growth.filter(|growth| !has_gained(settings, growth, &load.speed));
        let fresh =
            || Growth::new(at_ms, memory.size, pools(scope), &load.speed, memory.curve.calm_us());
        let growth = unproven.unwrap_or_else(fresh);
        let (per_s, servers) = (load.speed.per_s, load.speed.servers);
        // What has just begun gives nothing to compare with.
        let growth = load.speed.is_known().then_some(Growth { at_ms, per_s, servers, ..growth });
        memory.growth = growth.or(unproven);
    } else if memory.growth.is_some_and(|growth| size <= growth.from) {
        memory.growth = None;
    }
    let expires = settings.ceiling_expires_ms;
    memory.ceiling = memory.ceiling.filter(|it| it.age_ms(at_ms) < expires.saturating_mul(DOUBTED));
    if let Some(ceiling) = memory.ceiling.as_mut() {
        ceiling.was_calm |= load.most.is_none_or(|most| most.pool.cl_waiting() == 0);
    }
    if let Some(change) = scope.last_change()
        && change.outcome == ChangeOutcome::RolledBack
        && change.to > change.from
        && millis(change.age) < expires
    {
        let since_ms = at_ms.saturating_sub(millis(change.age));
        let size = change.from.max(1);
        let is_known = |it: &Ceiling| it.size == size && it.at_ms.abs_diff(since_ms) < 1_000;
        let time_us = load.speed.time_us();
        let fresh = Ceiling { at_ms: since_ms, size, time_us, ..Ceiling::default() };
        memory.ceiling = Some(memory.ceiling.filter(is_known).unwrap_or(fresh));
    }
    if let Some(growth) = memory.growth
        && growth_in_measure(scope).is_none()
        && at_ms.saturating_sub(growth.at_ms) >= settings.growth_judged_ms
    {
        let are_used = load.speed.servers > half_way(&growth, scope);
        let is_doubted = memory.ceiling.is_some_and(|ceiling| size > ceiling.size);
        let has_gained = match is_doubted {
            true => does_more(settings, &growth, &load.speed),
            false => has_gained(settings, &growth, &load.speed),
        };
        if are_used && !has_gained {
            let time_us = load.speed.time_us();
            let size = growth.from;
            memory.ceiling = Some(Ceiling { at_ms, size, time_us, ..Ceiling::default() });
        } else if are_used && is_doubted {
            memory.ceiling = None;
        }
        memory.growth = None;
    }
}

impl Growth {
    /// Notes how things are before a growth shows.
    ///
    /// What the size before could do at most is N / R (Little's law), with all its servers busy and
    /// transactions as long as they are; throughput itself may still be that of a calmer moment. When
    /// many begin at once the short ones finish first, so a time below that of calm is not believed.
    fn new(at_ms: u64, from: u32, pools: f64, speed: &Speed, calm_us: f64) -> Self {
        let time_us = speed.time_so_far_us().max(calm_us);
        let time_s = time_us / 1e6;
        let most_per_s = if time_s > 0.0 { f64::from(from) * pools / time_s } else { 0.0 };
        let most_per_s = most_per_s.max(speed.per_s);
        Self {
            at_ms,
            from,
            servers: speed.servers,
            per_s: speed.per_s,
            most_per_s,
            time_us,
            response_us: speed.response_us(),
        }
    }
}

/// Says whether a size only came back that was lost, to a `RELOAD` say: it is nothing new to judge, and
/// what the sidecar puts back it does not count as a change.
fn is_put_back(scope: &Scope<'_>, memory: &ScopeMemory) -> bool {
    let size = scope.size();
    let is_change = |change: LastChange| change.to == size && change.from <= memory.size;
    size <= memory.former && !scope.last_change().is_some_and(is_change)
}

/// Says whether transactions take longer than before a growth, as they do where it brought nothing.
///
/// Where they take as long as before, more servers do more as soon as more is asked for.
fn is_slower(settings: &Settings, growth: &Growth, speed: &Speed) -> bool {
    speed.surely_us() > growth.time_us * (1.0 + settings.growth_gain_min)
}

/// Says whether a growth raised throughput above the most that the size before could do.
fn does_more(settings: &Settings, growth: &Growth, speed: &Speed) -> bool {
    speed.per_s >= growth.most_per_s * (1.0 + settings.growth_gain_min)
}

/// Says whether a growth raised throughput, or shortened the time from question to answer.
fn has_gained(settings: &Settings, growth: &Growth, speed: &Speed) -> bool {
    !is_slower(settings, growth, speed)
        || does_more(settings, growth, speed)
        || speed.response_us() <= growth.response_us * (1.0 - settings.growth_gain_min)
}

/// Gives by which part throughput is above the most of before a growth that is not judged yet.
///
/// What the short span says is a mix of before and after: with a part p of it after the growth it is
/// p·after + (1 − p)·before. `None` while too little of it is after to tell.
fn gain_so_far(window: &Window, growth: &Growth, speed: &Speed, used: f64) -> Option<f64> {
    let span_s = window.short_span().as_secs_f64();
    // Those that came first have not finished before they have taken their time.
    let age = Duration::from_millis(window.at_ms().saturating_sub(growth.at_ms));
    let after_s = age.as_secs_f64() - speed.time_us() / 1e6;
    let part = (after_s / span_s).min(1.0);
    let after = |now: f64, before: f64| (now - (1.0 - part) * before) / part;
    // Servers that nobody needed tell nothing of those that somebody needs.
    let are_used = after(speed.servers, growth.servers) > used;
    let is_telling = part >= TELLING_PART && are_used && growth.most_per_s > 0.0;
    is_telling.then(|| after(speed.per_s, growth.per_s) / growth.most_per_s - 1.0)
}

fn growth_in_measure(scope: &Scope<'_>) -> Option<LastChange> {
    let change = scope.last_change()?;
    (change.outcome == ChangeOutcome::Measuring && change.to > change.from).then_some(change)
}

/// Says whether the database does clearly less at the present concurrency than at its peak.
fn is_worse(fit: &Fit, peak: f64, load: &ScopeLoad<'_>) -> bool {
    let servers = load.speed.servers;
    servers > peak && fit.throughput(servers) < WORSE * fit.throughput(peak)
}

/// Turns a number of busy servers of all pools into a size, by what part the neediest pool has.
fn of_each(servers: f64, load: &ScopeLoad<'_>) -> u32 {
    let part = load.most.map_or(1.0, |most| {
        let all = load.speed.servers;
        if all > 0.0 { (most.pool.busy_finished() / all).clamp(0.0, 1.0) } else { 1.0 }
    });
    poolwarden_policy::numbers::servers_up(servers * part).max(1)
}

/// Returns how many busy servers show that those of a growth are in use.
fn half_way(growth: &Growth, scope: &Scope<'_>) -> f64 {
    f64::midpoint(f64::from(growth.from), f64::from(scope.size())) * pools(scope)
}

fn pools(scope: &Scope<'_>) -> f64 {
    f64::from(scope.pool_count().max(1))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
