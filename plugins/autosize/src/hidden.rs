//! How much load a pool has, with what its queue hides.
//!
//! While a pool is full its throughput is what its servers can do, not what clients ask for. What the
//! queue tells of the rest:
//! - **It grows**: arrivals λ = departures + dQ/dt (what comes in and does not go out is queued), so
//!   the load λ·S is the busy servers plus S·dQ/dt.
//! - **Its head has an age**: it is first in, first out, so everybody who came after the head is still
//!   there and λ = Q / (age of the head), Little's law on the queue.
//! - **It stands**: as many come as go, which is what a fixed number of clients does, each asking again
//!   when answered. With N clients, c busy servers and Q waiters, the others think for
//!   Z = (N − c − Q)·S / c (interactive response time law; P. J. Denning and J. P. Buzen, "The
//!   Operational Analysis of Queueing Network Models", 1978); without a queue N·S / (S + Z) =
//!   c·N / (N − Q) servers would be busy.
//!
//! The queue must also be worked off: the window's demand has the servers that do so in time. They are
//! needed only until then, so they are kept apart, and they are at most as many as the load itself: a
//! queue that grew while servers were being opened is gone as fast as it came.
//!
//! All together is never more than busy servers and waiters: more could not be busy now.

use poolwarden_policy::Pool;

/// Below so many waiters the age of the head is chance.
const QUEUE_MIN: u32 = 8;

/// A queue stands when as many come as go, but for this part.
const STANDING: f64 = 0.1;

/// What was known of a pool's queue at the evaluation before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    pub waiting: u32,
    /// Time since then, seconds; more than 0.
    pub seconds: f64,
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
pub(crate) fn load(pool: &Pool<'_>, before: Option<Before>) -> Hidden {
    let (busy, waiting) = (f64::from(pool.sv_active()), f64::from(pool.cl_waiting()));
    let service_s = pool.transaction_mean_us() / 1e6;
    let work_off = (pool.demand() - busy).max(0.0);
    let growth = before.map(|before| (waiting - f64::from(before.waiting)) / before.seconds);
    let by_growth = busy + service_s * growth.unwrap_or(0.0).max(0.0);
    let head_s = pool.maxwait().as_secs_f64();
    let by_age = if pool.cl_waiting() >= QUEUE_MIN && head_s > 0.0 {
        service_s * waiting / head_s
    } else {
        0.0
    };
    let is_standing = growth.is_some_and(|growth| growth.abs() * service_s <= STANDING * busy)
        && before.is_some_and(|before| before.waiting > 0);
    let clients = f64::from(pool.cl_active()) + waiting;
    let by_circle =
        if is_standing && clients > waiting { busy * clients / (clients - waiting) } else { 0.0 };
    let load = by_growth.max(by_age).max(by_circle).min(busy + waiting);
    Hidden { load, work_off: work_off.min(load).min(busy + waiting - load) }
}

#[cfg(test)]
mod tests {
    use poolwarden_policy::testing::{PoolRow, ScopeRow, window};

    use super::*;

    fn of(row: PoolRow, before: Option<Before>) -> f64 {
        all(row, before).load
    }

    fn all(row: PoolRow, before: Option<Before>) -> Hidden {
        let window = window(&[ScopeRow::default_size(10)], &[row]).expect("rows");
        load(&window.pools().next().expect("a pool"), before)
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
        // 20 more within 0.1 s are 200 a second, which need 200 · 0.05 = 10 servers more.
        let before = Before { waiting: 10, seconds: 0.1 };
        assert!((of(queue(30, 1_000_000, 500), Some(before)) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn the_age_of_the_head_tells_them_at_first_sight() {
        // 30 within 60 ms are 500 a second: 25 servers.
        assert!((of(queue(30, 60_000, 500), None) - 25.0).abs() < 1e-9);
        assert!((of(queue(5, 10_000, 500), None) - 10.0).abs() < 1e-9, "five are chance");
    }

    #[test]
    fn a_standing_queue_of_a_circle_of_clients_tells_the_load() {
        // 10 · 50 / (50 − 30).
        let before = Before { waiting: 30, seconds: 1.0 };
        assert!((of(queue(30, 300_000, 50), Some(before)) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn what_works_it_off_is_apart_and_at_most_as_much() {
        let row = PoolRow { demand: 14.0, ..queue(30, 3_000_000, 500) };
        assert_eq!(all(row, None), Hidden { load: 10.0, work_off: 4.0 });
        let long = PoolRow { demand: 90.0, ..queue(400, 3_000_000, 500) };
        assert_eq!(all(long, None), Hidden { load: 10.0, work_off: 10.0 });
    }

    #[test]
    fn it_is_never_more_than_all_who_are_there() {
        let before = Before { waiting: 0, seconds: 0.001 };
        assert!((of(queue(12, 1_000, 500), Some(before)) - 22.0).abs() < 1e-9);
    }
}
