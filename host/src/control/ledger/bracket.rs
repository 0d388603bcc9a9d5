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

/// The polls since the look before the newest one.
#[derive(Debug, Default)]
pub(in crate::control) struct Bracket {
    /// Moment, fewest and most servers: those that log in may not be known to PostgreSQL yet.
    polls: VecDeque<(Timestamp, u32, u32)>,
    /// The newest look of this target, and the poll that first knew of it.
    look: Option<(Timestamp, Timestamp)>,
}

impl Bracket {
    /// Notes a poll.
    pub fn note(&mut self, snapshot: &Snapshot) {
        let leads_there = snapshot.leads_to_postgres();
        let rows = || snapshot.pools.iter().filter(|row| leads_there(&row.key));
        let sum =
            |of: fn(&PoolRow) -> u32| rows().fold(0_u32, |sum, row| sum.saturating_add(of(row)));
        let most = sum(PoolRow::servers);
        let fewest = most.saturating_sub(sum(|row| row.sv_login));
        self.polls.push_back((snapshot.at, fewest, most));
        let Some(postgres) = &snapshot.postgres else { return };
        let before = self.look.map(|(at, _)| at);
        if before != Some(postgres.at) {
            self.look = Some((postgres.at, snapshot.at.max(postgres.at)));
            self.forget(before.unwrap_or_default());
        }
        while self.polls.len() > POLLS_MAX {
            self.polls.pop_front();
        }
    }

    /// Gives the poll that first knew of this target's newest look.
    pub fn heard(&self) -> Option<Timestamp> {
        self.look.map(|(_, heard)| heard)
    }

    /// Gives the fewest and the most servers from the last poll before `looked` to the first one that
    /// came when the look was known.
    pub fn around(&self, looked: Timestamp, heard: Timestamp) -> (u32, u32) {
        let first = self.polls.partition_point(|(at, ..)| *at <= looked).saturating_sub(1);
        let last = self.polls.partition_point(|(at, ..)| *at < heard);
        let around = self.polls.iter().take(last.saturating_add(1)).skip(first);
        let fewest = around.clone().map(|(_, fewest, _)| *fewest).min();
        (fewest.unwrap_or(0), around.map(|(.., most)| *most).max().unwrap_or(0))
    }

    /// Lets polls go that came before the last one before a look.
    fn forget(&mut self, before: Timestamp) {
        let keep = self.polls.partition_point(|(at, ..)| *at <= before).saturating_sub(1);
        self.polls.drain(..keep);
    }
}
