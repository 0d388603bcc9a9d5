//! Decides from numbers that cost nothing whether a look at single sessions is worth its price.
//!
//! Little's law (L = λ·W) gives the servers that finished transactions held; what the mean of busy
//! servers has beyond it is held by transactions that have not finished: a leak, or a long statement.
//! Only a look tells the two apart, so a look that found nobody to blame makes the next one wait
//! twice as long.

use std::time::Duration;

use poolwarden_policy::{Condition, LookAtSessions, Pool, PoolMode, PoolName, Window};

use crate::memory::{Memory, Suspect};
use crate::settings::Settings;

/// Pause after the first look that found nobody; it doubles from there.
const PAUSE_FIRST_MS: u64 = 15_000;
/// Longest pause where PostgreSQL itself tells of an idle transaction.
const PAUSE_SURE_MS: u64 = 60_000;

/// Why a pool is suspicious.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cause {
    IdleInTransaction,
    Unfinished(f64),
    Unserved(Duration),
    Growth(f64),
}

/// Follows every pool's suspicion and asks for a look where it is due.
pub(crate) fn follow(
    settings: &Settings,
    window: &Window,
    before: &Memory,
    memory: &mut Memory,
) -> Option<LookAtSessions> {
    let mut look = None;
    for pool in window.pools() {
        // The name costs a call, so it is fetched only where there is something to keep.
        if !is_of_interest(settings, &pool) {
            continue;
        }
        let (name, at_ms) = (pool.name(), window.at_ms());
        let mut suspect = before.suspect(&name);
        let unfinished = unfinished(&pool) >= settings.unfinished_servers_min;
        suspect.unfinished_ms = unfinished.then(|| suspect.unfinished_ms.unwrap_or(at_ms));
        let growing = pool.clients_trend_per_min() >= settings.growth_per_min_min;
        suspect.growing_ms = growing.then(|| suspect.growing_ms.unwrap_or(at_ms));
        let cause = cause(settings, &pool, &suspect, at_ms);
        if let Some(cause) = cause {
            if look.is_none() && is_due(settings, &suspect, cause, at_ms) {
                look = Some(LookAtSessions::new(reason(cause, &pool, &name)));
            }
        } else {
            (suspect.fruitless, suspect.looked_ms) = (0, 0);
        }
        if cause.is_some() || suspect != Suspect::default() {
            memory.keep(&name, suspect);
        }
    }
    look
}

/// Takes in that a look was taken: pools in which nobody is to be blamed are let rest for longer.
pub(crate) fn note_look(memory: &mut Memory, at_ms: u64, blamed: impl Fn(&str) -> bool) {
    for (name, suspect) in &mut memory.pools {
        suspect.looked_ms = at_ms;
        suspect.fruitless =
            if blamed(name) { 0 } else { suspect.fruitless.saturating_add(1).min(32) };
    }
}

/// Returns the servers that are held by transactions that have not finished.
pub(crate) fn unfinished(pool: &Pool<'_>) -> f64 {
    (pool.busy_mean() - pool.busy_finished()).max(0.0)
}

fn is_of_interest(settings: &Settings, pool: &Pool<'_>) -> bool {
    if matches!(pool.condition(), Condition::Stale | Condition::Paused) {
        return false;
    }
    unfinished(pool) >= settings.unfinished_servers_min
        || pool.idle_in_transaction() > 0
        || pool.cl_waiting() > 0
        || pool.clients_trend_per_min() >= settings.growth_per_min_min
}

fn cause(settings: &Settings, pool: &Pool<'_>, suspect: &Suspect, at_ms: u64) -> Option<Cause> {
    let idle = pool.idle_in_transaction() > 0
        && pool.idle_in_transaction_max() >= settings.idle_in_transaction_min();
    let unserved = pool.cl_waiting() > 0
        && (pool.unserved_for() >= Duration::from_millis(settings.unserved_min_ms)
            // A session that idles keeps its server from all others, however many are served.
            || (pool.mode() == PoolMode::Session
                && pool.full_for() >= Duration::from_millis(settings.unserved_min_ms)));
    // In session pooling a server is held between transactions, which says nothing.
    let lasts = pool.mode() != PoolMode::Session
        && suspect
            .unfinished_ms
            .is_some_and(|since| at_ms.saturating_sub(since) >= settings.unfinished_for_ms);
    // A pool that fills for a while is an ordinary morning.
    let grows = suspect
        .growing_ms
        .is_some_and(|since| at_ms.saturating_sub(since) >= settings.growth_for_ms / 3);
    if idle {
        Some(Cause::IdleInTransaction)
    } else if unserved {
        Some(Cause::Unserved(pool.unserved_for().max(pool.full_for())))
    } else if lasts {
        Some(Cause::Unfinished(unfinished(pool)))
    } else if grows {
        Some(Cause::Growth(pool.clients_trend_per_min()))
    } else {
        None
    }
}

/// Growth is slow, so it is looked at seldom; the rest as often as the sidecar grants, unless looks
/// find nobody.
fn is_due(settings: &Settings, suspect: &Suspect, cause: Cause, at_ms: u64) -> bool {
    if suspect.looked_ms == 0 {
        return true;
    }
    let pause = match cause {
        Cause::Growth(_) => (settings.growth_for_ms / 6).min(settings.look_pause_max_ms),
        _ if suspect.fruitless == 0 => 0,
        // PostgreSQL says that there is somebody to be found.
        Cause::IdleInTransaction => doubled(suspect.fruitless).min(PAUSE_SURE_MS),
        Cause::Unfinished(_) | Cause::Unserved(_) => {
            doubled(suspect.fruitless).min(settings.look_pause_max_ms)
        }
    };
    at_ms.saturating_sub(suspect.looked_ms) >= pause
}

/// Returns the pause after so many looks that found nobody, at least one.
fn doubled(fruitless: u32) -> u64 {
    PAUSE_FIRST_MS.saturating_mul(1 << fruitless.saturating_sub(1).min(20))
}

fn reason(cause: Cause, pool: &Pool<'_>, name: &PoolName) -> String {
    match cause {
        Cause::IdleInTransaction => format!(
            "{} sessions of {name} idle in a transaction, the longest for {} s",
            pool.idle_in_transaction(),
            pool.idle_in_transaction_max().as_secs(),
        ),
        Cause::Unfinished(servers) => {
            format!("{servers:.1} servers of {name} are held by transactions that do not finish")
        }
        Cause::Unserved(time) => format!(
            "{} clients wait for {name} and nobody gets a server for {} s",
            pool.cl_waiting(),
            time.as_secs(),
        ),
        Cause::Growth(per_min) => format!("the clients of {name} grow by {per_min:.1} a minute"),
    }
}
