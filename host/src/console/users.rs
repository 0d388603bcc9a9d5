//! `SHOW USERS`, and which of its sizes may be nothing but an echo.
//!
//! Up to 1.25.2 a user without a size is shown with the one of the row before (pgbouncer#1323), in each of
//! the two columns by itself. A user who really has the same size cannot be told from that by the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Table;
use crate::model::Knob;

/// Version from which on nothing is echoed.
const NO_ECHO: u32 = 12_600;

/// One row of `SHOW USERS`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserRow {
    /// Its own size (1.23 and newer).
    pub pool_size: Option<u32>,
    /// Its own reserve (1.24 and newer).
    pub reserve_pool_size: Option<u32>,
    /// Sizes that may be nothing but the ones of the row before.
    pub echoes: BTreeSet<Knob>,
    /// Its own pooling mode.
    pub pool_mode: Option<String>,
    /// Its limit of connections (1.23 and newer).
    pub max_user_connections: Option<u32>,
}

impl UserRow {
    /// Gives a size as it is shown.
    pub fn size(&self, knob: Knob) -> Option<u32> {
        match knob {
            Knob::PoolSize => self.pool_size,
            Knob::MinPoolSize => None,
            Knob::ReservePoolSize => self.reserve_pool_size,
        }
    }
}

/// Decodes `SHOW USERS`.
pub(super) fn users_of(table: &Table, version: u32) -> BTreeMap<Arc<str>, UserRow> {
    let (mut users, mut before) = (BTreeMap::new(), UserRow::default());
    for row in table.rows() {
        let mut one = UserRow {
            pool_size: row.number("pool_size"),
            reserve_pool_size: row.number("reserve_pool_size"),
            echoes: BTreeSet::new(),
            pool_mode: row.text("pool_mode").map(str::to_owned),
            max_user_connections: row.number("max_user_connections"),
        };
        let is_echo = |knob: &Knob| {
            version < NO_ECHO && one.size(*knob).is_some() && one.size(*knob) == before.size(*knob)
        };
        one.echoes = Knob::ALL.into_iter().filter(is_echo).collect();
        before = one.clone();
        if let Some(name) = row.text("name") {
            users.insert(Arc::from(name), one);
        }
    }
    users
}
