//! Finds the names of pools and scopes, on demand.
//!
//! Names do not travel with the window: a call into a plugin costs by the byte, and a policy needs
//! the few names that it writes about. Under Wasm each look-up is a call to the host (about 0.15
//! µs); natively, in tests and benchmarks, names come from memory.

use std::collections::BTreeMap;

use crate::bindings::poolwarden::policy::host;

/// A pool's identity within its target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PoolName {
    /// The database, as clients name it.
    pub database: String,
    /// The user that PgBouncer logs in as.
    pub user: String,
}

impl PoolName {
    /// Makes a name from its two parts.
    pub fn new(database: impl Into<String>, user: impl Into<String>) -> Self {
        Self { database: database.into(), user: user.into() }
    }
}

impl std::fmt::Display for PoolName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.database, self.user)
    }
}

/// Where a window's names come from.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    /// The sidecar answers, one call a name.
    Host,
    /// Both lists are by index.
    Given { pools: Vec<PoolName>, scopes: Vec<String>, settings: BTreeMap<String, String> },
}

impl Names {
    pub(crate) fn pool(&self, index: usize) -> PoolName {
        match self {
            Self::Host => {
                let name = host::get_pool_name(wire_index(index));
                PoolName { database: name.database, user: name.user }
            }
            Self::Given { pools, .. } => pools.get(index).cloned().unwrap_or_default(),
        }
    }

    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        match self {
            Self::Host => host::get_setting(name),
            Self::Given { settings, .. } => settings.get(name).cloned(),
        }
    }

    pub(crate) fn scope(&self, index: usize) -> String {
        match self {
            Self::Host => host::get_scope_name(wire_index(index)),
            Self::Given { scopes, .. } => scopes.get(index).cloned().unwrap_or_default(),
        }
    }
}

/// Converts an index to the width that the contract uses.
pub(crate) fn wire_index(index: usize) -> u32 {
    u32::try_from(index).expect("columns came through a 32-bit border or were checked on entry")
}
