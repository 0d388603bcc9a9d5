//! What has finished, from totals that count something else.
//!
//! PgBouncer's totals do not mean what their names say (measured on 1.18 and 1.24): `xact_count` and
//! `query_count` count at the moment a client asks, before it has a server; `xact_time` and
//! `query_time` are added when it ends and contain the wait for a server; `wait_time` is added when a
//! server is given. While a queue grows, counts run ahead of what is done, and times are those of the
//! queue. What a database does is what is left when the clients that wait and those that hold a
//! server are taken out:
//!
//! - finished = asked − waiting − holding;
//! - time in servers = time − wait of those that have finished, which is the wait of all that were
//!   given a server less that of those that still hold one: about their number times the mean wait of
//!   those that were given one last.
//!
//! Behind a long queue that is a small difference of two large numbers, and few are given a server
//! between two reads: the noise would be larger than the time itself. But then no server rests, so what
//! they do is known without the totals: their number times the time that has passed.

use super::counters::float;
use crate::model::{Counters, Timestamp};

/// Clients of one database at the moment of its totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Clients that wait for a server.
    pub waiting: u64,
    /// Servers that a client holds.
    pub busy: u64,
}

impl Held {
    /// Says whether waits are longer than what they are for: the queue is longer than the servers.
    fn is_behind_a_queue(self) -> bool {
        self.waiting > self.busy
    }
}

/// After so many times as many ends as servers were held, one of those is still held with e⁻⁵ = 0.7 %.
const ENDS: u64 = 5;

/// Makes totals of what has finished from PgBouncer's; they never fall while PgBouncer's do not.
#[derive(Debug, Default)]
pub(super) struct Finished {
    last: Option<(Timestamp, Counters, Held)>,
    /// Mean wait of those that were given a server last, in microseconds.
    wait_us: Option<f64>,
    /// Transactions that must end before waits can be told from time in servers again.
    doubted: u64,
    totals: Counters,
    /// Time in servers that is too small to be counted, or was counted too early.
    transaction_rest: f64,
    query_rest: f64,
}

impl Finished {
    /// Gives the totals of what has finished so far.
    pub fn totals(&self) -> Counters {
        self.totals
    }

    /// Takes in PgBouncer's totals; `None` when they have started again.
    pub fn take(&mut self, at: Timestamp, now: Counters, held: Held) -> Option<Counters> {
        let gone = |asked: u64| asked.saturating_sub(held.waiting).saturating_sub(held.busy);
        let Some((then, before, held_before)) = self.last.replace((at, now, held)) else {
            self.totals = Counters {
                xact_count: gone(now.xact_count),
                query_count: gone(now.query_count),
                ..now
            };
            return Some(self.totals);
        };
        let Some(added) = Added::between(&before, &now) else {
            *self = Self::default();
            self.take(at, now, held);
            return None;
        };
        let started = added.transactions + float(held_before.waiting) - float(held.waiting);
        let wait_before = self.wait_us;
        if started >= 1.0 {
            self.wait_us = Some(added.wait_us / started);
        }
        let wait_now = self.wait_us.unwrap_or(0.0);
        let elapsed_us = float(at.millis_since(then)) * 1_000.0;
        let (least, most) = (held.busy.min(held_before.busy), held.busy.max(held_before.busy));
        let (least_us, most_us) = (float(least) * elapsed_us, float(most) * elapsed_us);
        if added.wait_us > most_us {
            self.doubted = self.doubted.max(ENDS * held.busy);
        }
        let in_servers = if held.is_behind_a_queue() && held_before.is_behind_a_queue() {
            f64::midpoint(least_us, most_us)
        } else {
            let still = float(held.busy) * wait_now;
            let still_before = float(held_before.busy) * wait_before.unwrap_or(wait_now);
            let told = added.transaction_us - (added.wait_us - still + still_before);
            if self.doubted > 0 { told.clamp(least_us, most_us) } else { told }
        };
        // The wait is in both times alike, so they differ by the pauses within transactions.
        let pauses = added.transaction_us - added.query_us;
        let totals = &mut self.totals;
        let ended = gone(now.xact_count).saturating_sub(totals.xact_count);
        self.doubted = self.doubted.saturating_sub(ended);
        totals.xact_count += ended;
        totals.query_count = totals.query_count.max(gone(now.query_count));
        totals.wait_time_us = now.wait_time_us;
        totals.xact_time_us += whole(&mut self.transaction_rest, in_servers);
        totals.query_time_us += whole(&mut self.query_rest, in_servers - pauses);
        Some(*totals)
    }
}

/// What was added between two reads of PgBouncer's totals.
struct Added {
    transactions: f64,
    transaction_us: f64,
    query_us: f64,
    wait_us: f64,
}

impl Added {
    fn between(before: &Counters, now: &Counters) -> Option<Self> {
        now.query_count.checked_sub(before.query_count)?;
        Some(Self {
            transactions: float(now.xact_count.checked_sub(before.xact_count)?),
            transaction_us: float(now.xact_time_us.checked_sub(before.xact_time_us)?),
            query_us: float(now.query_time_us.checked_sub(before.query_time_us)?),
            wait_us: float(now.wait_time_us.checked_sub(before.wait_time_us)?),
        })
    }
}

/// Adds to a rest and takes its whole positive part out of it.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "there is no TryFrom<f64>; it is positive, and microseconds stay far below 2^53"
)]
fn whole(rest: &mut f64, more: f64) -> u64 {
    *rest += more;
    let whole = rest.max(0.0).floor();
    *rest -= whole;
    whole as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn totals(asked: u64, time_us: u64, wait_us: u64) -> Counters {
        Counters {
            xact_count: asked,
            query_count: asked,
            xact_time_us: time_us,
            query_time_us: time_us,
            wait_time_us: wait_us,
            ..Counters::default()
        }
    }

    /// One server, four clients that ask for two seconds each at once: as `SHOW STATS_TOTALS` of
    /// 1.18 and 1.24 gave it, in the middle of each.
    #[test]
    fn a_queue_shows_neither_in_what_is_done_nor_in_how_long_it_takes() {
        let mut finished = Finished::default();
        let mut take = |at_s, asked, time_us, wait_us, waiting, busy| {
            let held = Held { waiting, busy };
            let done = finished.take(at(at_s), totals(asked, time_us, wait_us), held);
            done.map(|done| (done.xact_count, done.xact_time_us))
        };
        assert_eq!(take(0, 0, 0, 0, 0, 0), Some((0, 0)));
        assert_eq!(take(1, 4, 0, 0, 3, 1), Some((0, 0)));
        assert_eq!(take(3, 4, 2_000_000, 2_000_000, 2, 1), Some((1, 2_000_000)));
        assert_eq!(take(5, 4, 6_000_000, 6_000_000, 1, 1), Some((2, 4_000_000)));
        assert_eq!(take(7, 4, 12_000_000, 12_000_000, 0, 1), Some((3, 6_000_000)));
        assert_eq!(take(9, 4, 20_000_000, 12_000_000, 0, 0), Some((4, 8_000_000)));
    }

    /// Waits of seconds that vary, and a start now and then: totals as they come by chance.
    #[test]
    fn behind_a_long_queue_the_time_is_that_of_the_servers() {
        let mut finished = Finished::default();
        let held = Held { waiting: 90, busy: 10 };
        let (mut time_us, mut wait_us) = (0, 0);
        let mut done = Vec::new();
        for second in 0..10_u64 {
            // Each of ten finishes a second; the wait that ends with its start is 1 to 3 s.
            wait_us += 10 * (1_000_000 + second % 3 * 1_000_000);
            time_us += 10 * (1_000_000 + (second + 1) % 3 * 1_000_000) + 10_000_000;
            let totals = totals(100 + second * 10, time_us, wait_us);
            done.extend(finished.take(at(second), totals, held).map(|all| all.xact_time_us));
        }
        let steps: Vec<u64> = done.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(steps, [10_000_000; 9]);
    }

    /// Two clients that ask for 100 ms each again and again were paused for a minute.
    #[test]
    fn a_pause_is_in_no_time_in_servers() {
        let mut finished = Finished::default();
        let mut last = 0;
        let mut take = |at_ms, asked, time_us, wait_us, waiting, busy| {
            let held = Held { waiting, busy };
            let at = Timestamp::from_millis(at_ms);
            let done = finished.take(at, totals(asked, time_us, wait_us), held);
            let done = done.map_or(0, |done| done.xact_time_us);
            done - std::mem::replace(&mut last, done)
        };
        const MINUTE: u64 = 60_000_000;
        take(0, 2, 0, 0, 2, 0);
        take(60_000, 2, 0, 0, 2, 0);
        // At 60.00 both got a server; at 60.10 one is done, asks again and does not wait.
        let steps = [
            take(60_110, 3, MINUTE + 100_000, 2 * MINUTE, 0, 2),
            take(60_160, 4, 2 * MINUTE + 250_000, 2 * MINUTE, 0, 2),
            take(60_210, 5, 2 * MINUTE + 350_000, 2 * MINUTE, 0, 2),
        ];
        assert_eq!(steps, [220_000, 100_000, 100_000]);
        for step in 1..20 {
            let at_ms = 60_210 + step * 50;
            let step =
                take(at_ms, 5 + step, 2 * MINUTE + 350_000 + step * 100_000, 2 * MINUTE, 0, 2);
            assert!((90_000..=110_000).contains(&step), "{step} us at {at_ms} ms");
        }
    }

    #[test]
    fn totals_that_start_again_are_told() {
        let mut finished = Finished::default();
        assert!(finished.take(at(0), totals(9, 9, 0), Held::default()).is_some());
        assert_eq!(finished.take(at(1), totals(3, 3, 0), Held::default()), None);
        let next =
            finished.take(at(2), totals(5, 5, 0), Held::default()).map(|done| done.xact_count);
        assert_eq!(next, Some(5));
    }

    #[test]
    fn what_seems_to_be_undone_is_not_counted_twice() {
        let mut finished = Finished::default();
        let mut take = |asked, waiting, busy| {
            finished
                .take(at(0), totals(asked, 0, 0), Held { waiting, busy })
                .map(|done| done.xact_count)
        };
        assert_eq!(take(10, 0, 2), Some(8));
        assert_eq!(take(10, 3, 2), Some(8), "three clients queue at login and have not asked");
        assert_eq!(take(13, 0, 5), Some(8));
        assert_eq!(take(13, 0, 0), Some(13));
    }
}
