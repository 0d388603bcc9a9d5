//! Counts PostgreSQL's connections that are not this target's.
//!
//! PostgreSQL is looked at seldom and PgBouncer often, and one look less another poll's servers would
//! miss others as fast as our pools grow. So a look is only compared with the polls around it, by the
//! fewest servers among them: too many others hold a growth back until the next look, too few would
//! take slots that are not there.

use crate::model::{PoolRow, Snapshot, Timestamp};

/// Others' connections as of the newest look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Others {
    /// Their number.
    pub count: u32,
    /// The look that it comes from.
    looked: Option<Timestamp>,
    /// Fewest servers of ours since the look before.
    ours_min: Option<u32>,
}

impl Others {
    pub fn note(&mut self, snapshot: &Snapshot) {
        let leads_there = snapshot.leads_to_postgres();
        let rows = snapshot.pools.iter().filter(|row| leads_there(&row.key));
        let ours = rows.fold(0, |sum: u32, row: &PoolRow| sum.saturating_add(row.servers()));
        let fewest = self.ours_min.map_or(ours, |least| least.min(ours));
        self.ours_min = Some(fewest);
        let Some(postgres) = &snapshot.postgres else { return };
        if self.looked != Some(postgres.at) {
            self.looked = Some(postgres.at);
            self.count = postgres.sum(|sessions| sessions.total).saturating_sub(fewest);
            self.ours_min = Some(ours);
        }
    }
}
