//! What is remembered from one evaluation to the next, within bounds.
//!
//! A scope is remembered by kind and name, since indices belong to one window; a pool only while it
//! queues. Whatever is in doubt (a new scope, a gap in the numbers, the memory of another version)
//! starts anew: the price is a late shrink. Scopes beyond the bound are not remembered, so they grow
//! and never shrink.

use std::collections::BTreeMap;

use poolwarden_policy::{PoolName, Scope, ScopeKind};
use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::hidden::Queue;
use crate::peaks::Peaks;
use crate::usual::Usual;

/// Version of this format; memory of another one is not read.
const VERSION: u32 = 3;
/// The most scopes that are remembered, some 100 bytes each.
const SCOPES_MAX: usize = 300;
/// With more scopes than these no curve and no usual time is kept, some 700 bytes each.
const CURVES_MAX: usize = 24;
/// The most queues that are remembered, some 100 bytes each.
pub(crate) const QUEUES_MAX: usize = 64;

/// What `autosize` keeps between evaluations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    version: u32,
    /// When it was written, milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) scopes: BTreeMap<String, ScopeMemory>,
    /// Queues then, by pool.
    pub(crate) queues: BTreeMap<String, Queue>,
}

/// What is remembered of one scope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ScopeMemory {
    pub peaks: Peaks,
    #[serde(skip_serializing_if = "is_default")]
    pub curve: Curve,
    #[serde(skip_serializing_if = "is_default")]
    pub usual: Usual,
    /// The last growth, until it was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// When its numbers last said nothing of its load: a pause, a gap.
    #[serde(skip_serializing_if = "is_default")]
    pub blind_ms: u64,
    /// Whether a transaction was ever seen to finish.
    #[serde(skip_serializing_if = "is_default")]
    pub has_worked: bool,
    /// The size that was seen, and the shrinks in a row: when they began, and the size before.
    pub size: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub shrunk: (u64, u32),
    /// How often in a row a shrink was regretted.
    #[serde(skip_serializing_if = "is_default")]
    pub regrets: u32,
}

/// A growth, and how things were before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    pub at_ms: u64,
    pub from: u32,
    /// Busy servers then.
    pub servers: f64,
    /// Transactions per second then, and the most that the size could do.
    pub per_s: f64,
    pub most_per_s: f64,
    /// Mean time of a transaction, µs.
    pub time_us: f64,
    /// Mean wait and transaction together, µs.
    pub response_us: f64,
}

/// A size beyond which the database brought nothing more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ceiling {
    pub at_ms: u64,
    pub size: u32,
    /// How long a transaction took when that was found, µs; 0 where it is not known.
    pub time_us: f64,
    /// Whether there was a moment since then in which nobody waited.
    pub was_calm: bool,
    /// Whether it has held no longer once, so that what lies beyond is tried step by step.
    pub is_doubted: bool,
}

impl Ceiling {
    pub(crate) fn age_ms(&self, at_ms: u64) -> u64 {
        at_ms.saturating_sub(self.at_ms)
    }
}

impl Memory {
    /// Returns the memory when it is of this version and not of another time.
    pub(crate) fn known(self, at_ms: u64) -> Self {
        let is_known = self.version == VERSION && self.at_ms <= at_ms;
        if is_known { self } else { Self::default() }
    }

    /// Starts the memory of this evaluation.
    pub(crate) fn begin(at_ms: u64) -> Self {
        Self { version: VERSION, at_ms, ..Self::default() }
    }

    /// Remembers a scope.
    pub(crate) fn keep(&mut self, key: String, mut scope: ScopeMemory, scopes: usize) {
        if scopes > CURVES_MAX {
            scope.curve.clear();
            scope.usual = Usual::default();
        }
        if self.scopes.len() < SCOPES_MAX {
            self.scopes.insert(key, scope);
        }
    }

    /// Remembers a queue.
    pub(crate) fn keep_queue(&mut self, pool: &PoolName, queue: Queue) {
        self.queues.insert(pool.to_string(), queue);
    }
}

/// Returns how long a scope's transactions usually took.
pub(crate) fn usual(scope: &Scope<'_>, before: &Memory) -> Usual {
    if before.scopes.len() > CURVES_MAX {
        return Usual::default();
    }
    before.scopes.get(&key(scope)).map_or_else(Usual::default, |scope| scope.usual)
}

/// Returns the identity of a scope, which outlives the window.
pub(crate) fn key(scope: &Scope<'_>) -> String {
    match scope.kind() {
        ScopeKind::Default => String::new(),
        ScopeKind::Database => format!("d:{}", scope.name()),
        ScopeKind::User => format!("u:{}", scope.name()),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
