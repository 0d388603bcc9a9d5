//! What is kept between evaluations: since when pools are suspicious, and how groups of clients grew.
//!
//! Suspicion must last before it costs PgBouncer a look, looks that found nobody make the next one
//! wait longer, and growth shows only over many looks. Everything is by name, because indices change
//! with the window; only pools and groups that are of interest are kept.

use std::collections::BTreeMap;

use poolwarden_policy::PoolName;
use serde::{Deserialize, Serialize};

/// Most groups whose growth is followed.
pub(crate) const TRAILS_MAX: usize = 60;
/// Most pools that are followed; a look shows the sessions of all of them anyway.
const SUSPECTS_MAX: usize = 150;

/// What `leak-hunter` keeps between evaluations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Suspicious pools, by name.
    pub(crate) pools: BTreeMap<String, Suspect>,
    /// Groups of clients, by pool, application and address.
    pub(crate) trails: Vec<Trail>,
    /// When the newest look that was taken in was taken, milliseconds since 1970.
    pub(crate) looked_ms: u64,
}

/// Since when a pool has been suspicious, and what looks at it found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Suspect {
    /// Transactions do not finish since then; absent when they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished_ms: Option<u64>,
    /// Its clients have been growing since then; absent when they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growing_ms: Option<u64>,
    /// Looks in a row that found nobody to blame.
    #[serde(default)]
    pub fruitless: u32,
    /// When it was last looked at.
    #[serde(default)]
    pub looked_ms: u64,
}

/// How a group of clients grew without ever shrinking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trail {
    pub database: String,
    pub user: String,
    pub application: String,
    pub address: String,
    /// When it was first seen with `first` clients, milliseconds since 1970.
    pub first_ms: u64,
    pub first: u32,
    /// When it was last seen, with `last` clients.
    pub last_ms: u64,
    pub last: u32,
}

impl Memory {
    pub(crate) fn suspect(&self, pool: &PoolName) -> Suspect {
        self.pools.get(&key(pool)).cloned().unwrap_or_default()
    }

    /// Keeps a pool's suspicion while there is room: what is remembered is bounded.
    pub(crate) fn keep(&mut self, pool: &PoolName, suspect: Suspect) {
        if self.pools.len() < SUSPECTS_MAX {
            self.pools.insert(key(pool), suspect);
        }
    }
}

impl Trail {
    /// Says whether it is of these clients.
    pub(crate) fn is_of(&self, pool: &PoolName, application: &str, address: &str) -> bool {
        self.database == pool.database
            && self.user == pool.user
            && self.application == application
            && self.address == address
    }
}

/// Returns the identity of a pool: names hold line breaks even more seldom than slashes.
pub(crate) fn key(pool: &PoolName) -> String {
    format!("{}\n{}", pool.database, pool.user)
}
