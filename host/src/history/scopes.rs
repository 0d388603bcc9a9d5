//! Which setting sizes which pool.
//!
//! A user's own size goes before the database's, and that before the default.

use std::sync::Arc;

use super::own_sizes::OwnSizes;
use crate::model::{Limits, PoolKey, ScopeColumns, ScopeKey, Snapshot};

/// The scopes of a target, with the index of each pool's.
#[derive(Debug)]
pub(super) struct Scopes {
    pub keys: Vec<ScopeKey>,
    pub columns: ScopeColumns,
    databases: Vec<Arc<str>>,
    users: Vec<Arc<str>>,
}

impl Scopes {
    pub fn new(snapshot: &Snapshot, own_sizes: &OwnSizes, limits: &Limits, can_act: bool) -> Self {
        let mut scopes = Self {
            keys: Vec::new(),
            columns: ScopeColumns::default(),
            databases: own_sizes.names().cloned().collect(),
            users: snapshot.server.user_sizes.keys().cloned().collect(),
        };
        let default = snapshot.server.default_pool_size.unwrap_or(0);
        scopes.push(ScopeKey::Default, default, can_act, limits);
        // These sizes stand in PgBouncer's file, which is never written: they can be recommended.
        for name in own_sizes.names() {
            let row = snapshot.databases.get(name);
            let size = row.and_then(|row| row.pool_size).unwrap_or(default);
            scopes.push(ScopeKey::Database(Arc::clone(name)), size, false, limits);
        }
        for (name, size) in &snapshot.server.user_sizes {
            scopes.push(ScopeKey::User(Arc::clone(name)), *size, false, limits);
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
        if let Ok(at) = self.users.binary_search(&pool.user) {
            return 1 + self.databases.len() + at;
        }
        self.databases.binary_search(&pool.database).map_or(0, |at| at + 1)
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
