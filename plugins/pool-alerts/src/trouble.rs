//! The troubles that a pool can be in, and which pools are in them.
//!
//! One pass reads numbers only and fetches no name: nearly every pool of nearly every window has
//! nothing to say. Pools are collected by trouble before anything is told, because a trouble that
//! many pools share is told of the few that have had it longest, and of the rest as a number.

use std::collections::BTreeMap;
use std::time::Duration;

use poolwarden_policy::{Condition, Pool, Window};

use crate::leak::leaks;
use crate::settings::Settings;

/// What can be wrong with a pool, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Exhausted,
    LongWait,
    Wedged,
    LoginQueue,
    ServerLogins,
    TimeoutNear,
    HighUtilization,
    Leak,
    Growing,
}

/// What one pass over the pools found.
#[derive(Debug, Default)]
pub(crate) struct Seen<'w> {
    pub troubled: BTreeMap<Trouble, Vec<Pool<'w>>>,
    /// Pools with clients that are served, or ought to be.
    pub in_use: u32,
    /// Pools whose waiters nobody serves.
    pub stuck: u32,
    /// The pool whose head of the queue has waited longest.
    pub oldest: Option<Pool<'w>>,
}

impl<'w> Seen<'w> {
    /// Looks at every pool once.
    pub fn of(settings: &Settings, window: &'w Window) -> Self {
        let mut seen = Self::default();
        let timeout = Duration::from_millis(window.target().query_wait_timeout_ms);
        for pool in window.pools() {
            let condition = pool.condition();
            if condition == Condition::Stale {
                continue;
            }
            if pool.cl_waiting() > 0 {
                seen.note_waiters(settings, pool, condition, timeout);
            }
            seen.in_use += u32::from(!matches!(condition, Condition::Idle | Condition::Paused));
            if pool.utilization() > settings.high_utilization.utilization_min {
                seen.add(Trouble::HighUtilization, pool);
            }
            if leaks(&settings.connection_leak, &pool) {
                seen.add(Trouble::Leak, pool);
            }
            if pool.clients_trend_per_min() >= settings.clients_growing.clients_per_min_min {
                seen.add(Trouble::Growing, pool);
            }
        }
        seen
    }

    fn note_waiters(
        &mut self,
        settings: &Settings,
        pool: Pool<'w>,
        condition: Condition,
        timeout: Duration,
    ) {
        let waited = waited(&pool, condition);
        if !timeout.is_zero() && waited >= timeout.mul_f64(settings.timeout_near.timeout_share_min)
        {
            self.add(Trouble::TimeoutNear, pool);
        }
        if condition == Condition::Paused {
            return;
        }
        let oldest = self.oldest.map_or(Duration::ZERO, |oldest| oldest.maxwait());
        if pool.maxwait() > oldest {
            self.oldest = Some(pool);
        }
        if pool.maxwait() >= Duration::from_millis(settings.long_wait.maxwait_min_ms) {
            self.add(Trouble::LongWait, pool);
        }
        let room = pool.sv_active() < pool.size();
        match condition {
            // A wedged queue is another alert, with another remedy.
            Condition::Queueing if !room => self.add(Trouble::Exhausted, pool),
            Condition::LoginQueue => self.add(Trouble::LoginQueue, pool),
            Condition::Wedged => {
                let least = Duration::from_millis(settings.wedged_queue.unserved_min_ms);
                if pool.unserved_for() >= least {
                    self.add(Trouble::Wedged, pool);
                }
            }
            _ => {}
        }
        self.stuck += u32::from(matches!(condition, Condition::Wedged | Condition::LoginQueue));
        // Waiters, room and no free server: PgBouncer would open one if it could. What is queued at
        // login is told as that.
        let least = Duration::from_millis(settings.server_logins_failing.waiting_min_ms);
        let wants_more = room && pool.sv_idle() == 0 && pool.waiting_for() >= least;
        if wants_more && condition != Condition::LoginQueue {
            self.add(Trouble::ServerLogins, pool);
        }
    }

    fn add(&mut self, trouble: Trouble, pool: Pool<'w>) {
        self.troubled.entry(trouble).or_default().push(pool);
    }
}

/// How long the head of the queue has waited, as far as it can be known.
///
/// Clients that are queued at login have no age in `maxwait`; where nobody has been served for a
/// while, somebody has waited for at least that while.
pub(crate) fn waited(pool: &Pool<'_>, condition: Condition) -> Duration {
    match condition {
        Condition::LoginQueue => pool.maxwait().max(pool.unserved_for()),
        _ => pool.maxwait(),
    }
}

/// Keeps the pools that have had waiters for longest, in the order of the window.
///
/// By age, so that a pool which has been told of is not displaced by one that gets into the same
/// trouble later, and its alert does not seem to resolve.
pub(crate) fn longest(pools: &mut Vec<Pool<'_>>, most: usize) {
    if pools.len() > most {
        let age = |pool: &Pool<'_>| (std::cmp::Reverse(pool.waiting_for()), pool.index());
        pools.select_nth_unstable_by_key(most, age);
        pools.truncate(most);
        pools.sort_unstable_by_key(Pool::index);
    }
}
