//! Which databases have a size of their own.
//!
//! The console shows effective sizes only, and sizes and default come from two commands between which
//! either may change. So a database that differs from the default has its own size when it is first
//! seen so, or is seen so twice; and one that follows the default to a second value has none any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Snapshot, Timestamp};

#[derive(Debug, Default)]
struct Seen {
    /// Full reads in a row at which it differed from the default.
    differing: u32,
    own: bool,
    /// The default that it last equalled, since it was found to have its own.
    equalled: Option<u32>,
}

/// What is known of each database's size.
#[derive(Debug, Default)]
pub(super) struct OwnSizes {
    databases: BTreeMap<Arc<str>, Seen>,
    read_at: Timestamp,
}

impl OwnSizes {
    pub fn contains(&self, database: &str) -> bool {
        self.databases.get(database).is_some_and(|seen| seen.own)
    }

    /// Gives the databases with a size of their own, by name.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.databases.iter().filter(|(_, seen)| seen.own).map(|(name, _)| name)
    }

    /// Takes in a snapshot whose sizes are new.
    pub fn note(&mut self, snapshot: &Snapshot) {
        let Some(default) = snapshot.server.default_pool_size else { return };
        if snapshot.sizes_at <= self.read_at {
            return;
        }
        self.read_at = snapshot.sizes_at;
        self.databases.retain(|name, _| snapshot.databases.contains_key(name));
        for (name, row) in snapshot.databases.iter() {
            let Some(size) = row.pool_size else { continue };
            match self.databases.get_mut(name) {
                Some(seen) => seen.note(size, default),
                None => {
                    let differs = size != default;
                    let first = Seen { differing: differs.into(), own: differs, equalled: None };
                    self.databases.insert(Arc::clone(name), first);
                }
            }
        }
    }
}

impl Seen {
    fn note(&mut self, size: u32, default: u32) {
        if size != default {
            self.differing += 1;
            self.own |= self.differing >= 2;
            self.equalled = None;
            return;
        }
        // Found by a single look, which the next one does not bear out.
        let doubtful = self.own && self.differing == 1;
        let followed = self.equalled.is_some_and(|before| before != default);
        if doubtful || followed {
            self.own = false;
        }
        self.differing = 0;
        self.equalled = self.own.then_some(default);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(looks: &[(u32, u32)]) -> bool {
        let (size, default) = looks[0];
        let differs = size != default;
        let mut seen = Seen { differing: differs.into(), own: differs, equalled: None };
        looks[1..].iter().for_each(|(size, default)| seen.note(*size, *default));
        seen.own
    }

    #[test]
    fn a_size_that_differs_is_the_databases_own() {
        assert!(after(&[(7, 5)]), "also at first sight");
        assert!(after(&[(7, 5), (7, 5), (7, 7)]), "equal by chance is still its own");
        assert!(after(&[(7, 5), (7, 5), (7, 7), (7, 9)]));
    }

    #[test]
    fn one_torn_look_proves_nothing() {
        assert!(!after(&[(5, 5), (5, 12), (12, 12)]));
        assert!(!after(&[(5, 12), (12, 12)]));
    }

    #[test]
    fn a_size_that_follows_the_default_is_inherited_again() {
        assert!(!after(&[(7, 5), (7, 5), (5, 5), (9, 9)]));
    }
}
