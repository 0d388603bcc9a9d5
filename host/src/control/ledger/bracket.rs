//! How many servers a target's pools had open at the moment of a look at PostgreSQL.
//!
//! PostgreSQL is looked at seldom and PgBouncer often, by several targets at different moments. The
//! polls around a look bracket what it saw of our own: with the fewest servers among them there are
//! the most others, which holds a growth back until the next look; with the most servers there are
//! the fewest others, which never gives back what nobody took.

use std::collections::VecDeque;

use crate::model::{PoolRow, Snapshot, Timestamp};

/// Polls that are remembered; at ten a second they reach over minutes.
const POLLS_MAX: usize = 4_096;

/// Looks that are remembered: the newest may have no poll after it yet.
const LOOKS: usize = 2;

/// A look at PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    /// When it was begun.
    pub at: Timestamp,
    /// When it was known: it was taken in between.
    pub heard: Timestamp,
    /// Sessions that it saw.
    pub total: u32,
}

/// The polls around the last looks.
#[derive(Debug, Default)]
pub(in crate::control) struct Bracket {
    /// Moment, fewest and most servers: those that log in may not be known to PostgreSQL yet.
    polls: VecDeque<(Timestamp, u32, u32)>,
    looks: VecDeque<Seen>,
}

impl Bracket {
    /// Notes a poll, and the look that came with it.
    pub fn note(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let leads_there = snapshot.leads_to_postgres();
        let rows = || snapshot.pools.iter().filter(|row| leads_there(&row.key));
        let sum =
            |of: fn(&PoolRow) -> u32| rows().fold(0_u32, |sum, row| sum.saturating_add(of(row)));
        let most = sum(PoolRow::servers);
        let fewest = most.saturating_sub(sum(|row| row.sv_login));
        self.polls.push_back((snapshot.at, fewest, most));
        if let Some(postgres) = snapshot.postgres.as_ref().filter(|postgres| postgres.is_known())
            && self.looks.back().is_none_or(|look| look.at != postgres.at)
        {
            let total = postgres.sum(|sessions| sessions.total);
            self.looks.push_back(Seen { at: postgres.at, heard: now, total });
            if self.looks.len() > LOOKS {
                self.looks.pop_front();
            }
            self.forget();
        }
        if self.polls.len() > POLLS_MAX {
            self.polls.pop_front();
        }
    }

    /// Gives the last looks of this target.
    pub(super) fn looks(&self) -> impl Iterator<Item = Seen> + '_ {
        self.looks.iter().copied()
    }

    /// Says whether a poll was begun after a look was known.
    pub(super) fn is_after(&self, look: &Seen) -> bool {
        self.polls.back().is_some_and(|(at, ..)| *at > look.heard)
    }

    /// Gives the fewest and the most servers from the last poll before a look to the first one after.
    pub(super) fn around(&self, look: &Seen) -> (u32, u32) {
        let first = self.polls.partition_point(|(at, ..)| *at <= look.at).saturating_sub(1);
        let last = self.polls.partition_point(|(at, ..)| *at <= look.heard);
        let around = self.polls.iter().take(last.saturating_add(1)).skip(first);
        let fewest = around.clone().map(|(_, fewest, _)| *fewest).min();
        (fewest.unwrap_or(0), around.map(|(.., most)| *most).max().unwrap_or(0))
    }

    /// Lets polls go that came before the last one before the oldest look.
    fn forget(&mut self) {
        let Some(oldest) = self.looks.front() else { return };
        let keep = self.polls.partition_point(|(at, ..)| *at <= oldest.at).saturating_sub(1);
        self.polls.drain(..keep);
    }
}
