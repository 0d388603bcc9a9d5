//! Remembers since when each size scope has been calm.
//!
//! The window says what holds now and over its spans; calm may have to last longer than any span. A
//! scope is remembered by kind and name, since indices belong to one window. Whatever is in doubt
//! (a new scope, a gap in the numbers, unreadable memory) starts the calm anew: the price is a late
//! shrink.

use std::collections::BTreeMap;
use std::time::Duration;

use poolwarden_policy::{Scope, ScopeKind};
use serde::{Deserialize, Serialize};

/// What `autosize` keeps between evaluations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Memory {
    /// By scope: the size that was seen, and when the calm began (milliseconds since 1970).
    scopes: BTreeMap<String, (u32, u64)>,
}

impl Memory {
    /// Takes what is known of a scope out of the memory; `None` when its size is another one.
    pub(crate) fn calm_since(&self, key: &str, size: u32) -> Option<u64> {
        self.scopes.get(key).filter(|(seen, _)| *seen == size).map(|(_, since)| *since)
    }

    /// Remembers a scope for the next evaluation.
    pub(crate) fn remember(&mut self, key: String, size: u32, calm_since_ms: u64) {
        self.scopes.insert(key, (size, calm_since_ms));
    }
}

/// Returns the identity of a scope, which outlives the window.
pub(crate) fn key(scope: &Scope<'_>) -> String {
    match scope.kind() {
        ScopeKind::Default => String::new(),
        ScopeKind::Database => format!("d:{}", scope.name()),
        ScopeKind::User => format!("u:{}", scope.name()),
    }
}

/// Returns the time between two wall-clock times; a clock that was set back makes it zero.
pub(crate) fn between(since_ms: u64, at_ms: u64) -> Duration {
    Duration::from_millis(at_ms.saturating_sub(since_ms))
}
