//! What control knows of one setting.

use std::collections::VecDeque;
use std::time::Duration;

use super::cause::{Cause, Restart};
use crate::model::{DecisionId, Origin, PoolSize, Setting, TargetName, Timestamp};
use crate::record::ScopeState;

const HOUR: Duration = Duration::from_secs(3_600);
/// Wait after the first failed try; it doubles up to about five minutes.
const RETRY: Duration = Duration::from_secs(5);

/// A setting as control sees it.
#[derive(Debug, Clone)]
pub(super) struct ScopeControl {
    /// What was in force before the sidecar's first change, which is mostly the file's value.
    pub base: PoolSize,
    /// What the file said when it was last loaded, where that is known.
    pub file: Option<PoolSize>,
    /// What the sidecar last brought into force and wants to stay so.
    pub wanted: Option<PoolSize>,
    /// Since when a person's size is respected.
    pub stood_down: Option<Timestamp>,
    /// How that size came to be, while this process knows.
    pub theirs: Option<Cause>,
    /// That size, once this process has seen it.
    pub respected: Option<PoolSize>,
    /// A new process of PgBouncer's that has not been reckoned with yet.
    pub restarted: Option<Restart>,
    /// The size in force at the last look.
    pub seen: Option<PoolSize>,
    /// The newest change of the file's value.
    pub new_file: Option<NewFile>,
    /// The change that is under way.
    pub in_flight: Option<InFlight>,
    /// The newest size that was sent, and when its outcome came: until sizes are read again it may be
    /// in force, whatever the outcome was.
    pub sent: Option<(PoolSize, Timestamp)>,
    /// When the sidecar changed it, within the last hour.
    changes: VecDeque<Timestamp>,
    /// Failed tries in a row, and when the next may be.
    failures: u32,
    pub retry_at: Option<Timestamp>,
}

/// A file that was loaded with another value than before.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewFile {
    pub at: Timestamp,
    pub cause: Cause,
    /// What it said before.
    pub before: PoolSize,
}

/// What is known of a setting while another sidecar acts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Followed {
    /// What the file says now.
    pub file: Option<PoolSize>,
    /// Whether its size is a person's for the one that acts.
    pub is_theirs: bool,
}

/// A change that was handed to the actuator and has not come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub id: DecisionId,
    pub at: Timestamp,
    pub from: Option<PoolSize>,
    pub size: PoolSize,
    pub afterwards: Afterwards,
    pub measured: Measured,
}

/// Whether it is measured what a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measured {
    /// A new size.
    Effect,
    /// One that was in force before, put back by the sidecar.
    Nothing,
}

impl Measured {
    pub fn of(origin: &Origin) -> Self {
        match origin {
            Origin::Plugin { .. } => Self::Effect,
            Origin::Host => Self::Nothing,
        }
    }
}

/// What becomes of a size once it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// It is the wanted one: applied again when it is lost.
    KeepUp,
    /// It was handed back: whatever comes is right.
    LetGo,
}

impl Afterwards {
    /// Gives the size that is wanted from now on.
    pub fn wanted(self, size: PoolSize) -> Option<PoolSize> {
        (self == Self::KeepUp).then_some(size)
    }
}

impl ScopeControl {
    /// A scope that is seen for the first time: what is in force is taken for the file's value.
    pub fn first_seen(current: PoolSize) -> Self {
        Self {
            base: current,
            file: None,
            wanted: None,
            stood_down: None,
            theirs: None,
            respected: None,
            restarted: None,
            seen: None,
            new_file: None,
            in_flight: None,
            sent: None,
            changes: VecDeque::new(),
            failures: 0,
            retry_at: None,
        }
    }

    /// A scope that the store knows, with its changes of the last hour.
    ///
    /// Moments that lie ahead were written by a clock that ran ahead; they count as now.
    pub fn known(
        state: &ScopeState,
        changes: impl Iterator<Item = Timestamp>,
        now: Timestamp,
    ) -> Self {
        let mut changes: Vec<_> = changes.chain([state.changed_at]).map(|at| at.min(now)).collect();
        changes.sort_unstable();
        // The newest one is in both.
        changes.dedup();
        Self {
            file: Some(state.base),
            wanted: state.wanted,
            stood_down: state.stood_down.map(|at| at.min(now)),
            changes: changes.into(),
            ..Self::first_seen(state.base)
        }
    }

    /// Notes a size that was sent; one before it that has not been `read` since may still be in force,
    /// unless this one was read back.
    pub fn note_sent(
        &mut self,
        size: PoolSize,
        read_back: bool,
        read: Option<Timestamp>,
        now: Timestamp,
    ) {
        let open = self.sent.filter(|(_, at)| !read_back && read.is_none_or(|read| read <= *at));
        self.sent = Some((open.map_or(size, |(before, _)| before.max(size)), now));
    }

    /// A scope whose file was loaded with this size.
    pub fn loaded(size: PoolSize) -> Self {
        Self { file: Some(size), ..Self::first_seen(size) }
    }

    /// Gives the file's value: as loaded, or else what was in force before the first change.
    pub fn file_size(&self) -> PoolSize {
        self.file.unwrap_or(self.base)
    }

    /// Takes what the file says for what was loaded, where that is not known: what is in force may be
    /// another sidecar's, or this one's of before it lost its store.
    pub fn learn(&mut self, file: Option<PoolSize>) {
        self.file = self.file.or(file);
    }

    /// Notes what was brought into force.
    pub fn brought(&mut self, size: PoolSize, afterwards: Afterwards) {
        self.wanted = afterwards.wanted(size);
        if afterwards == Afterwards::LetGo {
            self.base = size;
        }
    }

    /// Stands down for a person's size.
    pub fn respect(&mut self, size: PoolSize, cause: Cause, now: Timestamp) {
        if self.stood_down.is_none() {
            (self.stood_down, self.theirs) = (Some(now), Some(cause));
        }
        self.respected = Some(size);
    }

    /// Stands down for a size that another sidecar has respected; the file's own is nobody's.
    pub fn respect_inherited(&mut self, current: PoolSize, now: Timestamp) {
        if self.file == Some(current) {
            return self.take_up();
        }
        // It may have been taken for the other sidecar's before that said whose it is.
        self.wanted = self.wanted.filter(|wanted| *wanted != current);
        self.respect(current, Cause::Inherited, now);
    }

    /// Stands down no longer.
    pub fn take_up(&mut self) {
        (self.stood_down, self.theirs, self.respected) = (None, None, None);
    }

    /// Takes a person's size for what there is to go on from.
    pub fn adopt(&mut self, current: Option<PoolSize>) {
        self.take_up();
        self.wanted = current.or(self.wanted);
    }

    /// Takes what another sidecar sets for its own, so that it goes on from there if it has to take
    /// over; what is a person's, for that one or for this one, stays so.
    pub fn follow(&mut self, current: PoolSize, seen: Followed, now: Timestamp) {
        let restarted = self.restarted.take().is_some();
        if restarted && self.wanted != Some(current) {
            *self = Self::loaded(current);
        } else if self.file.is_none() || seen.file == Some(current) {
            self.file = seen.file.or(self.file);
        }
        self.base = self.file_size();
        if seen.is_theirs {
            return self.respect_inherited(current, now);
        }
        // What the other one respected is respected as long as that one says so; what this one did, as
        // long as it stays.
        let own = self.stood_down.is_some() && self.theirs != Some(Cause::Inherited);
        if own && self.file != Some(current) && self.respected.is_none_or(|size| size == current) {
            self.respected = Some(current);
            return;
        }
        self.take_up();
        self.wanted = (current != self.base).then_some(current);
    }

    /// Counts a try that PgBouncer refused or did not hear: each makes the next wait longer.
    pub fn failed(&mut self, now: Timestamp) {
        let wait = RETRY.saturating_mul(1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now.plus(wait));
    }

    /// Counts a change that was sent.
    pub fn changed(&mut self, now: Timestamp) {
        self.failures = 0;
        self.retry_at = None;
        self.changes.push_back(now);
        // The newest stays, however old: the cooldown is reckoned from it.
        while self.changes.len() > 1 && self.changes.front().is_some_and(|at| now.since(*at) > HOUR)
        {
            self.changes.pop_front();
        }
    }

    pub fn last_change(&self) -> Option<Timestamp> {
        self.changes.back().copied()
    }

    pub fn changes_last_hour(&self, now: Timestamp) -> u32 {
        let recent = self.changes.iter().filter(|at| now.since(**at) <= HOUR).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }

    pub fn state(&self, target: &TargetName, setting: &Setting, now: Timestamp) -> ScopeState {
        ScopeState {
            at: now,
            target: target.clone(),
            setting: setting.clone(),
            base: self.file_size(),
            wanted: self.wanted,
            stood_down: self.stood_down,
            changed_at: self.last_change().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PoolSize;

    #[test]
    fn a_change_before_the_start_counts_once() {
        let at = |s: u64| Timestamp::from_millis(s * 1_000);
        let state = ScopeState {
            at: at(6_000),
            target: TargetName::new("main").expect("a name"),
            setting: Setting::DEFAULT,
            base: PoolSize::ONE,
            wanted: None,
            stood_down: None,
            changed_at: at(5_000),
        };
        let known = |changes: &[Timestamp]| {
            let scope = ScopeControl::known(&state, changes.iter().copied(), at(6_000));
            scope.changes_last_hour(at(6_000))
        };
        assert_eq!(known(&[at(4_000), at(5_000)]), 2, "the newest is in both");
        assert_eq!(known(&[at(4_000)]), 2);
        assert_eq!(known(&[]), 1);
    }
}
