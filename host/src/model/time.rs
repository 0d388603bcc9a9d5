//! Wall-clock time as the pure modules see it: a number that is handed to them.

use std::time::Duration;

/// Milliseconds since 1970, from a clock that never steps back while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Makes a timestamp from milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Gives the milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Gives the time since `earlier`, zero when that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Gives the milliseconds since `earlier`, zero when that is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Gives the moment `duration` later.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Gives the moment `duration` earlier, not before 1970.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}
