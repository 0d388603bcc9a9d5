//! What control knows of one size scope.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{DecisionId, PoolSize, ScopeKey, TargetName, Timestamp};
use crate::record::ScopeState;

const HOUR: Duration = Duration::from_secs(3_600);

/// A size scope as control sees it.
#[derive(Debug, Clone)]
pub(super) struct ScopeControl {
    /// The file's value: what was in force before the sidecar's first change.
    pub base: PoolSize,
    /// What the sidecar last brought into force and wants to stay so.
    pub wanted: Option<PoolSize>,
    /// Since when a person's size is respected.
    pub stood_down: Option<Timestamp>,
    /// The change that is under way.
    pub in_flight: Option<InFlight>,
    /// When the sidecar changed it, within the last hour.
    changes: VecDeque<Timestamp>,
}

/// A change that was handed to the actuator and has not come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    pub id: DecisionId,
    pub size: PoolSize,
    pub afterwards: Afterwards,
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
            wanted: None,
            stood_down: None,
            in_flight: None,
            changes: VecDeque::new(),
        }
    }

    /// A scope that the store knows.
    pub fn known(state: &ScopeState) -> Self {
        Self {
            base: state.base,
            wanted: state.wanted,
            stood_down: state.stood_down,
            in_flight: None,
            changes: VecDeque::from([state.changed_at]),
        }
    }

    pub fn changed(&mut self, now: Timestamp) {
        self.changes.push_back(now);
        while self.changes.front().is_some_and(|first| now.since(*first) > HOUR) {
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

    pub fn state(&self, target: &TargetName, scope: &ScopeKey) -> ScopeState {
        ScopeState {
            target: target.clone(),
            scope: scope.clone(),
            base: self.base,
            wanted: self.wanted,
            stood_down: self.stood_down,
            changed_at: self.last_change().unwrap_or_default(),
        }
    }
}
