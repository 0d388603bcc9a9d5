//! Rates from counters that may start again or stand still for a while.
//!
//! PgBouncer's own averages move once a minute and changed their meaning in 1.23, so rates are taken
//! from the totals, as far as they are of what has finished.

use std::collections::VecDeque;
use std::time::Duration;

use super::finished::{Finished, Held};
use crate::model::{Counters, Timestamp};

/// Rates and means over the short span.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Transactions finished per second.
    pub transactions_per_s: f64,
    /// Queries finished per second.
    pub queries_per_s: f64,
    /// Mean time of a finished transaction, in microseconds; 0 when none finished.
    pub transaction_mean_us: f64,
    /// Mean time of a finished query, in microseconds; 0 when none finished.
    pub query_mean_us: f64,
    /// Mean wait for a server per finished transaction, in microseconds.
    pub wait_mean_us: f64,
    /// Servers held by finished transactions: their time divided by the span (L = λ·W).
    pub busy_finished: f64,
}

/// Totals of one database over the short span.
#[derive(Debug, Default)]
pub struct CounterTrack {
    samples: VecDeque<(Timestamp, Counters)>,
    finished: Finished,
}

/// What happened between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// Transactions finished.
    pub transactions: u64,
    /// Queries finished.
    pub queries: u64,
    /// Time of finished transactions, in microseconds.
    pub transaction_us: u64,
    /// Time of finished queries, in microseconds.
    pub query_us: u64,
    /// Time of ended waits, in microseconds.
    pub wait_us: u64,
}

impl CounterTrack {
    /// Takes in a sample; counters that fell, or a gap longer than that and than the span, start the track
    /// again.
    pub fn absorb(
        &mut self,
        at: Timestamp,
        counters: Counters,
        held: Held,
        (span, gap): (Duration, Duration),
    ) {
        let finished = self.finished.take(at, counters, held);
        let restarted = finished.is_none();
        let last = self.samples.back();
        // After a gap longer than the span the difference is an old story: start again too.
        let gap = last.is_some_and(|(then, _)| at.since(*then) > span.max(gap));
        if restarted || gap {
            self.samples.clear();
        }
        self.samples.push_back((at, finished.unwrap_or(self.finished.totals())));
        // One sample from before the span stays, so that the span is always covered.
        while self.samples.get(1).is_some_and(|(second, _)| at.since(*second) >= span) {
            self.samples.pop_front();
        }
    }

    /// Gives the newest step between two samples; nothing right after a start.
    pub fn last_delta(&self) -> Delta {
        let mut newest = self.samples.iter().rev();
        match (newest.next(), newest.next()) {
            (Some((_, new)), Some((_, old))) => delta(old, new).unwrap_or_default(),
            _ => Delta::default(),
        }
    }

    /// Gives the rates over the span; zeros until there are two samples.
    pub fn rates(&self) -> Rates {
        let (Some((from, old)), Some((to, new))) = (self.samples.front(), self.samples.back())
        else {
            return Rates::default();
        };
        let span_us = float(to.millis_since(*from)) * 1_000.0;
        let Some(delta) = delta(old, new).filter(|_| span_us > 0.0) else {
            return Rates::default();
        };
        let per = |sum: u64, count: u64| if count == 0 { 0.0 } else { float(sum) / float(count) };
        Rates {
            transactions_per_s: float(delta.transactions) * 1e6 / span_us,
            queries_per_s: float(delta.queries) * 1e6 / span_us,
            transaction_mean_us: per(delta.transaction_us, delta.transactions),
            query_mean_us: per(delta.query_us, delta.queries),
            wait_mean_us: per(delta.wait_us, delta.transactions),
            busy_finished: float(delta.transaction_us) / span_us,
        }
    }
}

/// Gives the difference; `None` when any counter fell.
fn delta(old: &Counters, new: &Counters) -> Option<Delta> {
    Some(Delta {
        transactions: new.xact_count.checked_sub(old.xact_count)?,
        queries: new.query_count.checked_sub(old.query_count)?,
        transaction_us: new.xact_time_us.checked_sub(old.xact_time_us)?,
        query_us: new.query_time_us.checked_sub(old.query_time_us)?,
        wait_us: new.wait_time_us.checked_sub(old.wait_time_us)?,
    })
}

/// Converts a count to a float; exact up to 2^53, which no delta reaches.
#[expect(clippy::as_conversions, reason = "there is no From for u64; counts stay below 2^53")]
pub fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn count(xacts: u64, us_each: u64) -> Counters {
        Counters { xact_count: xacts, xact_time_us: xacts * us_each, ..Counters::default() }
    }

    #[test]
    fn littles_law_gives_the_servers_held() {
        let mut track = CounterTrack::default();
        track.absorb(at(0), count(100, 50_000), Held::default(), SPANS);
        track.absorb(at(1_000), count(200, 50_000), Held::default(), SPANS);
        let rates = track.rates();
        assert_eq!(rates.transactions_per_s, 100.0);
        assert_eq!(rates.transaction_mean_us, 50_000.0);
        assert_eq!(rates.busy_finished, 5.0, "100 a second, 50 ms each");
    }

    #[test]
    fn counters_that_start_again_give_no_rate_and_no_negative_one() {
        let mut track = CounterTrack::default();
        track.absorb(at(0), count(100, 10), Held::default(), SPANS);
        track.absorb(at(1_000), count(3, 10), Held::default(), SPANS);
        assert_eq!(track.rates(), Rates::default());
        assert_eq!(track.last_delta(), Delta::default());
        track.absorb(at(2_000), count(5, 10), Held::default(), SPANS);
        assert_eq!(track.rates().transactions_per_s, 2.0);
    }

    #[test]
    fn a_gap_longer_than_the_span_starts_again() {
        let mut track = CounterTrack::default();
        track.absorb(at(0), count(100, 10), Held::default(), SPANS);
        track.absorb(at(60_000), count(700, 10), Held::default(), SPANS);
        assert_eq!(track.rates(), Rates::default());
    }

    #[test]
    fn polls_that_are_meant_to_be_far_apart_are_no_gap() {
        let mut track = CounterTrack::default();
        let spans = (Duration::from_secs(10), Duration::from_secs(180));
        track.absorb(at(0), count(100, 10), Held::default(), spans);
        track.absorb(at(60_000), count(700, 10), Held::default(), spans);
        assert_eq!(track.rates().transactions_per_s, 10.0);
    }
}
