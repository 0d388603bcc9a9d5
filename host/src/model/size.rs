//! A number of server connections that can be sent to any PgBouncer.
//!
//! A `pool_size` of 0 stalls a pool up to 1.23 and removes its limit from 1.24 on, so it cannot be made
//! here. For the other knobs 0 means none, in every version.

use std::fmt;

use thiserror::Error;

use super::Knob;

/// A size that must never reach PgBouncer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SizeError {
    /// Zero stalls or unlimits the pool, depending on the version.
    #[error("a pool size must be at least 1")]
    Zero,
    /// Larger than what PgBouncer's 32-bit setting can hold.
    #[error("pool size {0} is larger than {max}", max = PoolSize::MAX)]
    TooLarge(u32),
}

/// A number of server connections, 1 to 2 147 483 647; 0 only for knobs where it means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolSize(u32);

impl PoolSize {
    /// The largest size that PgBouncer's signed 32-bit settings hold.
    pub const MAX: u32 = i32::MAX.unsigned_abs();
    /// The smallest size that means the same in every version.
    pub const ONE: Self = Self(1);

    /// Checks and makes a size.
    ///
    /// # Errors
    /// When the size is 0 or does not fit PgBouncer's setting.
    pub fn new(size: u32) -> Result<Self, SizeError> {
        Self::of(Knob::PoolSize, size)
    }

    /// Checks and makes a number for a knob.
    ///
    /// # Errors
    /// When it is 0 and the knob is `pool_size`, or it does not fit PgBouncer's setting.
    pub fn of(knob: Knob, size: u32) -> Result<Self, SizeError> {
        match (knob, size) {
            (Knob::PoolSize, 0) => Err(SizeError::Zero),
            (_, size) if size > Self::MAX => Err(SizeError::TooLarge(size)),
            (_, size) => Ok(Self(size)),
        }
    }

    /// Gives the number of connections.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for PoolSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_change_meaning_between_versions_cannot_be_made() {
        assert_eq!(PoolSize::new(0), Err(SizeError::Zero));
        assert_eq!(PoolSize::new(u32::MAX), Err(SizeError::TooLarge(u32::MAX)));
        assert_eq!(PoolSize::new(1), Ok(PoolSize::ONE));
        assert_eq!(PoolSize::of(Knob::MinPoolSize, 0).map(PoolSize::get), Ok(0));
    }
}
