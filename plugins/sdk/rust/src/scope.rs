//! Views one size scope: the setting that sizes a set of pools.
//!
//! Proposals name a scope and never a pool, so that two pools which share a setting cannot be
//! pulled two ways.

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
        self.window.columns.scopes.actionable[self.index] != 0
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
