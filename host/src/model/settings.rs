//! What an operator allows: modes, limits and labels.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::PoolSize;

/// Labels of a target, for example `role = primary`.
pub type Labels = BTreeMap<String, String>;

/// Settings of a PgBouncer as `SHOW CONFIG` gives them, those that could hold a secret left out.
pub type Settings = BTreeMap<Box<str>, Box<str>>;

/// How far a decision may go; ordered from the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Mode {
    /// Only record what would have been done.
    #[default]
    Observe,
    /// Show it to a person.
    Recommend,
    /// Act.
    Enforce,
}

impl Mode {
    /// Gives the stricter of two modes.
    pub fn stricter(self, other: Self) -> Self {
        self.min(other)
    }

    /// Gives the name that config, store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Recommend => "recommend",
            Self::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What no policy can cross on a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Smallest size of a scope.
    pub floor: PoolSize,
    /// Largest size of a scope.
    pub ceiling: PoolSize,
    /// Largest growth at once, in connections.
    pub step_up: u32,
    /// Largest shrink at once, in connections.
    pub step_down: u32,
    /// Shortest time between a change and a growth of the same scope.
    pub cooldown_up: Duration,
    /// Shortest time between a change and a shrink of the same scope.
    pub cooldown_down: Duration,
    /// Most changes of a scope within an hour.
    pub changes_per_hour: u32,
    /// Server connections of PostgreSQL that the pools must leave free.
    pub database_margin: u32,
    /// Oldest pool data on which a size may be changed.
    pub data_age_max: Duration,
    /// Whether a shrink that queueing clients hold up may be helped with `RECONNECT`.
    pub reconnect: bool,
}

/// How what a change does is measured, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectLimits {
    /// Longest time that a change is measured.
    pub window: Duration,
    /// Time after a change that is left out; at least one mean transaction is.
    pub settle: Duration,
    /// Percent by which transaction time may rise, or throughput fall, without being harm.
    pub tolerance_percent: u32,
    /// Percent of what the added servers could do at best that throughput must have risen by.
    pub min_gain_percent: u32,
    /// Fewer finished transactions than these tell nothing.
    pub min_transactions: u32,
    /// Wait after a growth that was taken back; it doubles while that repeats.
    pub rollback_wait: Duration,
    /// How long nobody must have waited before a growth may follow one that told nothing.
    pub calm: Duration,
}

/// What the sidecar does about single sessions of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Shortest time between two looks at them; `None` when it never looks.
    pub look_every: Option<Duration>,
    /// Most of them to be ended within a minute.
    pub ends_per_minute: u32,
}
