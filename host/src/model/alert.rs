//! An alert's life: pending while its hold time runs, firing, and resolved.

use super::{DecisionId, PolicyName, Subject, Timestamp};

/// What makes two alerts the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertKey {
    /// The policy that raises it.
    pub policy: PolicyName,
    /// The condition's stable name.
    pub name: String,
    /// What it is about.
    pub subject: Subject,
}

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// Holds, but not for long enough yet.
    Pending,
    /// Holds; recorded as this decision.
    Firing(DecisionId),
    /// Resolved, and silent until this moment.
    Cooling(Timestamp),
}

/// An alert that is not forgotten yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Identity.
    pub key: AlertKey,
    /// Where it is in its life.
    pub state: AlertState,
    /// When it entered that state.
    pub since: Timestamp,
}
