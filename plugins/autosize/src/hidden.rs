//! How much load a pool has, with what its queue hides.
//!
//! While a pool is full its throughput is what its servers can do, not what clients ask for. What the
//! queue tells of the rest:
//! - **It grows**: arrivals λ = departures + dQ/dt (what comes in and does not go out is queued), so
//!   the load λ·S is the busy servers plus S·dQ/dt.
//! - **Its head has an age**: it is first in, first out, so everybody who came after the head is still
//!   there and λ = Q / (age of the head), Little's law on the queue.
//! - **It stands**: as many come as go for longer than a wait and a transaction take, which is what a
//!   fixed number of clients does, each asking again when answered. With N clients, c busy servers and Q waiters, the
//!   others think for Z = (N − c − Q)·S / c (interactive response time law; P. J. Denning and J. P.
//!   Buzen, "The Operational Analysis of Queueing Network Models", 1978); without a queue N·S / (S + Z)
//!   = c·N / (N − Q) servers would be busy.
//!
//! Each count is one of events that come by chance (Poisson), so one standard deviation is taken off:
//! a size that is too small by that much shows in the next look, one that is too large stays for long.
//!
//! The queue must also be worked off: the window's demand has the servers that do so in time. They are
//! needed only until then, so they are kept apart, and they are at most a quarter as many as the load
//! itself: a queue that grew while servers were being opened is soon gone.
//!
//! All together is never more than busy servers and waiters: more could not be busy now.

use std::time::Duration;

use poolwarden_policy::Pool;
use serde::{Deserialize, Serialize};

use crate::load::SIGMAS;

/// Below so many waiters the age of the head is chance.
const QUEUE_MIN: u32 = 8;

/// A queue stands while it differs by no more than this part, and by no more than chance.
const STANDING: f64 = 0.1;

/// The most servers that work a queue off, by those that the load needs.
const WORK_OFF: f64 = 0.25;

/// A growth is measured over so long at the least.
const SPAN_MS: u64 = 250;

/// What was remembered longer ago says nothing of how a queue grows.
const OLD_MS: u64 = 5_000;

/// Waiters at a moment, milliseconds since 1970.
type Mark = (u64, u32);

/// A queue, as it is remembered from one evaluation to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queue {
    /// Two moments in a row, a span apart.
    marks: [Mark; 2],
    /// The moment since which it has not changed by more than chance.
    stands: Mark,
}

impl Queue {
    /// Gives a queue that has just been seen; a pool that had none had an empty one.
    pub(crate) fn new(at_ms: u64, waiting: u32) -> Self {
        let mark = (at_ms, waiting);
        Self { marks: [mark; 2], stands: mark }
    }

    /// Gives what is to be remembered of it, now that it has so many waiters.
    pub(crate) fn next(mut self, at_ms: u64, waiting: u32) -> Self {
        let [_, (newer_ms, _)] = self.marks;
        if at_ms.saturating_sub(newer_ms) > OLD_MS || at_ms < newer_ms {
            return Self::new(at_ms, waiting);
        }
        if at_ms - newer_ms >= SPAN_MS {
            self.marks = [self.marks[1], (at_ms, waiting)];
        }
        let from = f64::from(self.stands.1);
        if (f64::from(waiting) - from).abs() > STANDING * from + from.sqrt() {
            self.stands = (at_ms, waiting);
        }
        self
    }

    /// Says whether it has stood for longer than a client takes from asking to being answered, seconds.
    fn stands(&self, at_ms: u64, round_s: f64) -> bool {
        let age = Duration::from_millis(at_ms.saturating_sub(self.stands.0));
        self.stands.1 > 0 && age.as_secs_f64() > round_s
    }
}

/// What a queue tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hidden {
    /// Servers that arrivals keep busy.
    pub load: f64,
    /// Servers that work the queue off meanwhile.
    pub work_off: f64,
}

/// Gives the servers that a pool with a queue could use now.
pub(crate) fn load(pool: &Pool<'_>, at_ms: u64, before: Option<Queue>) -> Hidden {
    let (busy, waiting) = (f64::from(pool.sv_active()), f64::from(pool.cl_waiting()));
    let service_s = pool.transaction_mean_us() / 1e6;
    let work_off = (pool.demand() - busy).max(0.0);
    let growth = before.map_or(0.0, |before| growth(busy, waiting, service_s, (at_ms, before)));
    let head_s = pool.maxwait().as_secs_f64();
    // Of many looks one meets the moment at which chance has sent a few together.
    let expected = pool.transactions_per_s() * head_s;
    let is_news = waiting > expected + SIGMAS * expected.max(1.0).sqrt();
    let by_age = if pool.cl_waiting() >= QUEUE_MIN && head_s > 0.0 && is_news {
        service_s * (waiting - waiting.sqrt()) / head_s
    } else {
        0.0
    };
    let round_s = head_s + service_s;
    let stands = before.is_some_and(|it| it.next(at_ms, pool.cl_waiting()).stands(at_ms, round_s));
    let clients = f64::from(pool.cl_active()) + waiting;
    let by_circle =
        if stands && clients > waiting { busy * clients / (clients - waiting) } else { 0.0 };
    let load = (busy + growth).max(by_age).max(by_circle).min(busy + waiting);
    Hidden { load, work_off: work_off.min(WORK_OFF * load).min(busy + waiting - load) }
}

/// Gives the servers that a queue's growth would keep busy; less than none for one that is worked off.
fn growth(busy: f64, waiting: f64, service_s: f64, (at_ms, before): (u64, Queue)) -> f64 {
    let [(then_ms, then), _] = before.marks;
    let seconds = Duration::from_millis(at_ms.saturating_sub(then_ms)).as_secs_f64();
    if service_s <= 0.0 || seconds <= 0.0 {
        return 0.0;
    }
    let growth = waiting - f64::from(then);
    // Those that come and those that go vary each by the root of their number.
    let chance = (2.0 * busy / service_s * seconds + 1.0).sqrt();
    service_s * growth.signum() * (growth.abs() - chance).max(0.0) / seconds
}

#[cfg(test)]
mod tests {
    use poolwarden_policy::testing::{PoolRow, ScopeRow, window};

    use super::*;

    fn of(row: PoolRow, before: Option<Queue>) -> f64 {
        all(row, before).load
    }

    fn all(row: PoolRow, before: Option<Queue>) -> Hidden {
        let window = window(&[ScopeRow::default_size(10)], &[row]).expect("rows");
        load(&window.pools().next().expect("a pool"), AT_MS, before)
    }

    const AT_MS: u64 = 1_000_000;

    /// A queue so long ago.
    fn before(waiting: u32, ms: u64) -> Queue {
        Queue::new(AT_MS - ms, waiting)
    }

    /// Ten busy servers, transactions of 50 ms, and a queue.
    fn queue(waiting: u32, maxwait_us: u64, clients: u32) -> PoolRow {
        PoolRow {
            transaction_mean_us: 50_000.0,
            maxwait_us,
            cl_active: clients - waiting,
            ..PoolRow::queueing("orders", "app", 10, waiting, 10.0)
        }
    }

    #[test]
    fn a_growing_queue_tells_the_arrivals() {
        // 200 more within a second, less √(2 · 10 / 0.05 · 1 + 1) by chance, need 0.05 servers each.
        let load = of(queue(210, 1_000_000, 500), Some(before(10, 1_000)));
        assert!((load - (10.0 + (200.0 - 401_f64.sqrt()) * 0.05)).abs() < 1e-9, "{load}");
    }

    #[test]
    fn a_queue_that_is_worked_off_tells_of_less_than_is_busy() {
        let load = of(queue(40, 3_000_000, 500), Some(before(140, 1_000)));
        assert!((load - (10.0 - (100.0 - 401_f64.sqrt()) * 0.05)).abs() < 1e-9, "{load}");
    }

    #[test]
    fn a_queue_that_grows_no_more_than_by_chance_tells_none() {
        assert!((of(queue(14, 1_000_000, 500), Some(before(8, 100))) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_age_of_the_head_tells_them_at_first_sight() {
        // 36 less √36 within 60 ms are 500 a second: 25 servers. Ten did 200 a second: 12 in 60 ms.
        let with = |waiting, maxwait_us| PoolRow {
            transactions_per_s: 200.0,
            ..queue(waiting, maxwait_us, 500)
        };
        assert!((of(with(36, 60_000), None) - 25.0).abs() < 1e-9);
        assert!((of(with(5, 10_000), None) - 10.0).abs() < 1e-9, "five are chance");
        // 2.2 were to be expected in 11 ms, and nine came: of many moments one is like that.
        assert!((of(with(9, 11_000), None) - 10.0).abs() < 1e-9, "a cluster is no rate");
    }

    #[test]
    fn a_standing_queue_of_a_circle_of_clients_tells_the_load() {
        // 10 · 50 / (50 − 30).
        assert!((of(queue(30, 300_000, 50), Some(before(30, 1_000))) - 25.0).abs() < 1e-9);
        assert!((of(queue(30, 300_000, 50), Some(before(35, 1_000))) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn a_queue_that_has_just_stopped_to_grow_is_no_circle() {
        // All who came while the head has waited: 25 / 0.3 · 0.05.
        let load = of(queue(30, 300_000, 50), Some(before(30, 200)));
        assert!((load - 10.0).abs() < 1e-9, "{load}");
    }

    #[test]
    fn a_queue_that_stood_for_less_than_a_transaction_is_no_circle() {
        // 10 ms in the queue and 50 ms in the server.
        assert!((of(queue(7, 10_000, 24), Some(before(7, 59))) - 10.0).abs() < 1e-9);
        let load = of(queue(7, 10_000, 24), Some(before(7, 61)));
        assert!((load - 10.0 * 24.0 / 17.0).abs() < 1e-9, "{load}");
    }

    #[test]
    fn a_queue_begins_to_stand_anew_when_it_changes() {
        let first = Queue::new(AT_MS, 30);
        assert!(!first.stands(AT_MS, 0.0) && first.stands(AT_MS + 500, 0.4));
        let same = first.next(AT_MS + 500, 36);
        assert_eq!(same.stands, (AT_MS, 30));
        let other = same.next(AT_MS + 900, 45);
        assert_eq!(other.stands, (AT_MS + 900, 45));
        assert!(!Queue::new(AT_MS, 0).stands(AT_MS + 9_000, 0.0));
    }

    #[test]
    fn marks_are_a_span_apart_and_of_no_other_time() {
        let queue = Queue::new(AT_MS, 0).next(AT_MS + 100, 5).next(AT_MS + 250, 9);
        assert_eq!(queue.marks, [(AT_MS, 0), (AT_MS + 250, 9)]);
        let queue = queue.next(AT_MS + 400, 12).next(AT_MS + 500, 14);
        assert_eq!(queue.marks, [(AT_MS + 250, 9), (AT_MS + 500, 14)]);
        assert_eq!(queue.next(AT_MS + 5_501, 3), Queue::new(AT_MS + 5_501, 3));
        assert_eq!(queue.next(AT_MS, 3), Queue::new(AT_MS, 3));
    }

    #[test]
    fn what_works_it_off_is_apart_and_at_most_a_quarter_as_much() {
        let row = PoolRow { demand: 12.0, ..queue(30, 3_000_000, 500) };
        assert_eq!(all(row, None), Hidden { load: 10.0, work_off: 2.0 });
        let long = PoolRow { demand: 90.0, ..queue(400, 3_000_000, 500) };
        assert_eq!(all(long, None), Hidden { load: 10.0, work_off: 2.5 });
    }

    #[test]
    fn it_is_never_more_than_all_who_are_there() {
        assert!((of(queue(12, 1_000, 500), Some(before(0, 1))) - 22.0).abs() < 1e-9);
    }
}
