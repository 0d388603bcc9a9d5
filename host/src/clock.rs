//! The clock that the impure stages read; pure ones get a `Timestamp` handed to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Wall-clock time that never steps back.
///
/// It starts with the system's clock and is carried on by the monotonic one, whose rate the system
/// keeps right. It follows the system's clock forward, for example after the machine has slept, and
/// does not follow it back: then it stays ahead and goes on at its rate, because a time that stands
/// still would let no data grow old and no wait end.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Instant,
    /// The furthest that the system's clock has been ahead of the monotonic one, in milliseconds.
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// Reads the system's clock once.
    pub fn start() -> Self {
        Self { origin: Instant::now(), ahead: Arc::new(AtomicU64::new(wall_ms())) }
    }

    /// Gives the present moment.
    pub fn now(&self) -> Timestamp {
        self.at(self.origin.elapsed(), wall_ms())
    }

    /// Gives the moment at which the monotonic clock and the system's say this.
    fn at(&self, elapsed: Duration, wall_ms: u64) -> Timestamp {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let ahead = wall_ms.saturating_sub(elapsed_ms);
        let ahead = self.ahead.fetch_max(ahead, Ordering::Relaxed).max(ahead);
        Timestamp::from_millis(ahead).plus(elapsed)
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock at 1 000 s of the system's.
    fn clock() -> Clock {
        Clock { origin: Instant::now(), ahead: Arc::new(AtomicU64::new(1_000_000)) }
    }

    fn at(clock: &Clock, elapsed_ms: u64, wall_ms: u64) -> u64 {
        clock.at(Duration::from_millis(elapsed_ms), wall_ms).as_millis()
    }

    #[test]
    fn time_follows_the_systems_clock_forward_across_clones() {
        let clock = clock();
        assert_eq!(at(&clock, 50, 1_000_050), 1_000_050);
        assert_eq!(at(&clock, 100, 9_000_000), 9_000_000, "the machine has slept");
        assert_eq!(at(&clock.clone(), 200, 9_000_100), 9_000_100);
    }

    #[test]
    fn a_clock_that_was_set_ahead_and_back_neither_steps_back_nor_stands_still() {
        let clock = clock();
        assert_eq!(at(&clock, 100, 4_600_100), 4_600_100, "an hour too much");
        assert_eq!(at(&clock, 300, 1_000_300), 4_600_300, "it is put right");
        assert_eq!(at(&clock, 5_300, 1_005_300), 4_605_300, "time passes all the same");
        assert_eq!(at(&clock, 6_300, 0), 4_606_300);
    }

    #[test]
    fn it_starts_with_the_systems_clock() {
        let before = wall_ms();
        assert!((before..before + 60_000).contains(&Clock::start().now().as_millis()));
    }
}
