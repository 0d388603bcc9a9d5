//! Views one size scope: the setting that sizes a set of pools.
//!
//! Proposals name a scope and never a pool, so that two pools which share a setting cannot be
//! pulled two ways.

use std::time::Duration;

use crate::bindings::poolwarden::policy::types::Knob;
use crate::names::wire_index;
use crate::proposal::Subject;
use crate::window::Window;

/// Which of PgBouncer's settings a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScopeKind {
    /// `default_pool_size` of the target.
    Default,
    /// `pool_size` of a database.
    Database,
    /// `pool_size` of a user.
    User,
}

/// What came of a change of a size, as far as the sidecar could measure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeOutcome {
    /// It is being measured.
    Measuring,
    /// It helped, or did no harm.
    Verified,
    /// It did harm, or a growth did not help: it was taken back.
    RolledBack,
    /// Nothing can be said.
    Inconclusive,
}

/// The sidecar's last change of a scope's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastChange {
    /// What came of it.
    pub outcome: ChangeOutcome,
    /// Time since it was made, or since it was taken back.
    pub age: Duration,
    /// The size before.
    pub from: u32,
    /// The size that it made.
    pub to: u32,
}

/// A size scope of the window; cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'w> {
    window: &'w Window,
    index: usize,
}

impl<'w> Scope<'w> {
    pub(crate) fn new(window: &'w Window, index: usize) -> Self {
        Self { window, index }
    }

    /// Returns the position in the window, for a table of one's own.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the scope as the contract counts it, for [`Resize`](crate::Resize).
    pub fn wire_index(&self) -> u32 {
        wire_index(self.index)
    }

    /// Returns the subject of a proposal that is about this scope.
    pub fn subject(&self) -> Subject {
        Subject::Scope(self.wire_index())
    }

    /// Says which setting this is.
    pub fn kind(&self) -> ScopeKind {
        match self.window.columns.scopes.kind[self.index] {
            1 => ScopeKind::Database,
            2 => ScopeKind::User,
            _ => ScopeKind::Default,
        }
    }

    /// Fetches the database or user; empty for the default scope.
    pub fn name(&self) -> String {
        self.window.names.scope(self.index)
    }

    /// Returns the size now, in server connections per pool.
    pub fn size(&self) -> u32 {
        self.window.columns.scopes.size[self.index]
    }

    /// Says whether the sidecar is able to change the size.
    pub fn is_actionable(&self) -> bool {
        self.can_change(Knob::PoolSize)
    }

    /// Says whether the sidecar is able to change one of the scope's numbers.
    pub fn can_change(&self, knob: Knob) -> bool {
        let bit = match knob {
            Knob::PoolSize => 1,
            Knob::MinPoolSize => 2,
            Knob::ReservePoolSize => 4,
        };
        self.window.columns.scopes.actionable[self.index] & bit != 0
    }

    /// Returns how many servers are kept open for each pool that has clients.
    pub fn min_size(&self) -> u32 {
        self.window.columns.scopes.min_size[self.index]
    }

    /// Returns how many servers each pool may open beyond its size for who has waited long.
    pub fn reserve(&self) -> u32 {
        self.window.columns.scopes.reserve[self.index]
    }

    /// Returns what came of the sidecar's last change of the size; `None` when it made none.
    pub fn last_change(&self) -> Option<LastChange> {
        let scopes = &self.window.columns.scopes;
        let outcome = match scopes.change[self.index] {
            1 => ChangeOutcome::Measuring,
            2 => ChangeOutcome::Verified,
            3 => ChangeOutcome::RolledBack,
            4 => ChangeOutcome::Inconclusive,
            _ => return None,
        };
        Some(LastChange {
            outcome,
            age: Duration::from_millis(scopes.change_age_ms[self.index]),
            from: scopes.change_from[self.index],
            to: scopes.change_to[self.index],
        })
    }

    /// Returns the size below which the guard will not go.
    pub fn floor(&self) -> u32 {
        self.window.columns.scopes.floor[self.index]
    }

    /// Returns the size above which the guard will not go.
    pub fn ceiling(&self) -> u32 {
        self.window.columns.scopes.ceiling[self.index]
    }

    /// Returns how many pools this scope sizes.
    pub fn pool_count(&self) -> u32 {
        self.window.columns.scopes.pools[self.index]
    }
}
