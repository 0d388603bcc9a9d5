//! The clock that the impure stages read; pure ones get a `Timestamp` handed to them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Wall-clock time that never steps: read once at the start and carried on by the monotonic clock,
/// whose rate the system keeps right.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Timestamp,
    origin: Instant,
}

impl Clock {
    /// Reads the system's clock once.
    pub fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(0);
        Self { start: Timestamp::from_millis(millis), origin: Instant::now() }
    }

    /// Gives the present moment.
    pub fn now(&self) -> Timestamp {
        self.start.plus(self.origin.elapsed())
    }
}
