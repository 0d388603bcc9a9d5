//! What is remembered from one evaluation to the next, within bounds.
//!
//! A scope is remembered by kind and name, since indices belong to one window; a pool only while it
//! queues. Whatever is in doubt (a new scope, a gap in the numbers, the memory of another version)
//! starts anew: the price is a late shrink. What the sidecar would not keep, it is not given: first
//! curves go, then scopes, the last of the window first. Scopes that are not remembered grow and never
//! shrink.

use std::collections::BTreeMap;

use poolwarden_policy::{PoolName, Scope, ScopeKind};
use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::hidden::Queue;
use crate::peaks::Peaks;
use crate::usual::Usual;

/// Version of this format; memory of another one is not read.
const VERSION: u32 = 3;
/// The most that the sidecar keeps of a policy's memory is 64 KiB; the rest is for what stands around
/// scopes and queues.
const BYTES_MAX: usize = 64 * 1024 - 256;
/// With more scopes than these no curve and no usual time is kept, up to 2 KB each.
const CURVES_MAX: usize = 24;
/// The most queues that are remembered, some 100 to 200 bytes each.
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
    /// The length of what is in here by now.
    #[serde(skip)]
    bytes: usize,
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
    /// The size that was seen, the other one before it, and the shrinks in a row: when they began, and
    /// the size before.
    pub size: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub former: u32,
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

    /// Remembers a scope, if there is room.
    pub(crate) fn keep(&mut self, key: String, mut scope: ScopeMemory, scopes: usize) {
        if scopes > CURVES_MAX {
            scope.curve.clear();
            scope.usual = Usual::default();
        }
        if !self.takes(&(&key, &scope)) {
            scope.curve.clear();
            if !self.takes(&(&key, &scope)) {
                return;
            }
        }
        self.scopes.insert(key, scope);
    }

    /// Remembers a queue, if there is room.
    pub(crate) fn keep_queue(&mut self, pool: &PoolName, queue: Queue) {
        let pool = pool.to_string();
        if self.takes(&(&pool, &queue)) {
            self.queues.insert(pool, queue);
        }
    }

    /// Counts an entry, if there is room for it.
    fn takes(&mut self, entry: &impl Serialize) -> bool {
        // The brackets of a pair are as long as colon and comma of an entry.
        let length = serde_json::to_vec(entry).map_or(BYTES_MAX, |bytes| bytes.len());
        let fits = self.bytes + length <= BYTES_MAX;
        self.bytes += if fits { length } else { 0 };
        fits
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    /// A scope of which there is much to remember, with a curve of so many points.
    fn scope(points: u32) -> ScopeMemory {
        let growth = Growth { at_ms: 1_795_000_000_000, time_us: 0.1 + 0.2, ..Growth::default() };
        let mut scope = ScopeMemory { growth: Some(growth), size: 100, ..ScopeMemory::default() };
        (scope.shrunk, scope.blind_ms) = ((1_795_000_000_000, 200), 1_795_000_000_000);
        for point in 0..points {
            let at_ms = 10_000 * u64::from(point);
            let servers = f64::from(point) * 1.3;
            scope.curve.add(at_ms, servers, 1e6 / 3.0, &Settings::default());
        }
        scope
    }

    fn kept(scopes: usize, points: u32) -> (Memory, usize) {
        let mut memory = Memory::begin(1_795_000_000_000);
        for at in 0..QUEUES_MAX {
            let name = format!("{at:_>63}");
            memory.keep_queue(&PoolName::new(&name, &name), Queue::new(1_795_000_000_000, 1_000));
        }
        for at in 0..scopes {
            memory.keep(format!("d:{at:_>63}"), scope(points), scopes);
        }
        let length = serde_json::to_vec(&memory).expect("it is JSON").len();
        (memory, length)
    }

    #[test]
    fn more_than_the_sidecar_keeps_is_never_given_to_it() {
        let (memory, length) = kept(1_000, 0);
        assert!((60_000..=65_536).contains(&length), "{length}");
        assert!(memory.scopes.len() > 100, "{}", memory.scopes.len());
        assert_eq!(memory.queues.len(), QUEUES_MAX);
    }

    #[test]
    fn curves_go_before_scopes() {
        let (memory, length) = kept(CURVES_MAX, 40);
        assert!(length <= 65_536, "{length}");
        assert_eq!(memory.scopes.len(), CURVES_MAX);
        let curves = memory.scopes.values().filter(|one| one.curve != Curve::default()).count();
        assert!(curves > 0, "some have their curve");
    }
}
