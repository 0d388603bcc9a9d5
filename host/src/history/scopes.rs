//! Which setting sizes which pool.
//!
//! A user's own size goes before the database's, and that before the default.

use std::sync::Arc;

use super::own_sizes::OwnSizes;
use crate::model::{Knob, Limits, PoolKey, ScopeColumns, ScopeKey, Setting, Snapshot};

/// The scopes of a target, with the index of each pool's.
#[derive(Debug)]
pub(super) struct Scopes {
    pub keys: Vec<ScopeKey>,
    pub columns: ScopeColumns,
    databases: Vec<Arc<str>>,
    users: Vec<Arc<str>>,
}

impl Scopes {
    pub fn new(snapshot: &Snapshot, own_sizes: &OwnSizes, limits: &Limits) -> Self {
        let mut scopes = Self {
            keys: Vec::new(),
            columns: ScopeColumns::default(),
            databases: own_sizes.names().cloned().collect(),
            users: snapshot.server.user_sizes.keys().cloned().collect(),
        };
        scopes.push(ScopeKey::Default, snapshot, limits);
        for name in own_sizes.names() {
            scopes.push(ScopeKey::Database(Arc::clone(name)), snapshot, limits);
        }
        for name in snapshot.server.user_sizes.keys() {
            scopes.push(ScopeKey::User(Arc::clone(name)), snapshot, limits);
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

    /// What can be changed, and what came of the last change, is for others to fill in.
    fn push(&mut self, key: ScopeKey, snapshot: &Snapshot, limits: &Limits) {
        let default = |knob| snapshot.size_in_force(&Setting { scope: ScopeKey::Default, knob });
        let number = |knob| {
            let own = snapshot.size_in_force(&Setting { scope: key.clone(), knob });
            own.or_else(|| default(knob)).unwrap_or(0)
        };
        let columns = &mut self.columns;
        columns.size.push(number(Knob::PoolSize));
        columns.min_size.push(number(Knob::MinPoolSize));
        columns.reserve.push(number(Knob::ReservePoolSize));
        columns.kind.push(match key {
            ScopeKey::Default => 0,
            ScopeKey::Database(_) => 1,
            ScopeKey::User(_) => 2,
        });
        columns.actionable.push(0);
        columns.floor.push(limits.floor.get());
        columns.ceiling.push(limits.ceiling.get());
        columns.pools.push(0);
        columns.change.push(0);
        columns.change_age_ms.push(0);
        columns.change_from.push(0);
        columns.change_to.push(0);
        self.keys.push(key);
    }
}
