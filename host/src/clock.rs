//! The clock that the impure stages read; pure ones get a `Timestamp` handed to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Wall-clock time that never steps back.
///
/// It starts with the system's clock and is carried on by the monotonic one, whose rate the system
/// keeps right. It follows the system's clock forward, for example after the machine has slept, and
/// waits for it when that is set back.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Timestamp,
    origin: Instant,
    latest: Arc<AtomicU64>,
}

impl Clock {
    /// Reads the system's clock once.
    pub fn start() -> Self {
        let start = Timestamp::from_millis(wall_ms());
        Self { start, origin: Instant::now(), latest: Arc::new(AtomicU64::new(0)) }
    }

    /// Gives the present moment.
    pub fn now(&self) -> Timestamp {
        let steady = self.start.plus(self.origin.elapsed()).as_millis();
        let now = steady.max(wall_ms());
        Timestamp::from_millis(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_steps_back_across_clones() {
        let clock = Clock::start();
        clock.latest.fetch_max(clock.now().as_millis() + 60_000, Ordering::Relaxed);
        let ahead = clock.now();
        assert!(clock.clone().now() >= ahead);
    }
}
