//! Which setting sizes which pool.
//!
//! The console shows effective sizes only. A database whose size ever differed from the default has
//! its own; one that always equalled it is taken to inherit, which a later change proves or refutes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{Limits, PoolKey, ScopeColumns, ScopeKey, Snapshot};

/// The scopes of a target, with the index of each pool's.
#[derive(Debug)]
pub(super) struct Scopes {
    pub keys: Vec<ScopeKey>,
    pub columns: ScopeColumns,
    explicit: Vec<Arc<str>>,
}

impl Scopes {
    pub fn new(
        snapshot: &Snapshot,
        explicit: &BTreeSet<Arc<str>>,
        limits: &Limits,
        can_act: bool,
    ) -> Self {
        let mut scopes = Self {
            keys: Vec::new(),
            columns: ScopeColumns::default(),
            explicit: explicit.iter().cloned().collect(),
        };
        let default = snapshot.server.default_pool_size.unwrap_or(0);
        scopes.push(ScopeKey::Default, default, can_act, limits);
        for name in explicit {
            let row = snapshot.databases.get(name);
            let size = row.and_then(|row| row.pool_size).unwrap_or(default);
            // A database's own size needs an override file, which this version does not write.
            scopes.push(ScopeKey::Database(Arc::clone(name)), size, false, limits);
        }
        for row in &snapshot.pools {
            let at = scopes.index_of(&row.key);
            if let Some(count) = scopes.columns.pools.get_mut(at) {
                *count += 1;
            }
        }
        scopes
    }

    /// Gives the index of the scope that sizes a pool.
    pub fn index_of(&self, pool: &PoolKey) -> usize {
        self.explicit.binary_search(&pool.database).map_or(0, |at| at + 1)
    }

    fn push(&mut self, key: ScopeKey, size: u32, can_act: bool, limits: &Limits) {
        self.columns.kind.push(match key {
            ScopeKey::Default => 0,
            ScopeKey::Database(_) => 1,
            ScopeKey::User(_) => 2,
        });
        self.columns.size.push(size);
        self.columns.actionable.push(u8::from(can_act));
        self.columns.floor.push(limits.floor.get());
        self.columns.ceiling.push(limits.ceiling.get());
        self.columns.pools.push(0);
        self.keys.push(key);
    }
}
