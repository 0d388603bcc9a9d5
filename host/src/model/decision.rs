//! A decision: a proposal, the guard's word on it, and what came of it.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::{
    Digest, Mode, PolicyName, PoolSize, Proposal, Subject, TargetName, Timestamp, Verdict,
};

/// A decision's identity: a UUIDv7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecisionId(pub Uuid);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A named number that a decision rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Name with its unit as last word.
    pub name: String,
    /// Always finite.
    pub value: f64,
}

/// What a decision decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A condition that a person should know of.
    Alert,
    /// Advice for a person.
    Recommendation,
    /// A change of a pool size.
    Resize,
    /// The end of one session.
    EndSession,
}

impl Kind {
    /// Every kind, for parsing and documentation.
    pub const ALL: [Self; 4] = [Self::Alert, Self::Recommendation, Self::Resize, Self::EndSession];

    /// Gives the name that store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Recommendation => "recommendation",
            Self::Resize => "resize",
            Self::EndSession => "end_session",
        }
    }
}

/// What came of a decision so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Recorded; nothing else has been done (yet).
    Proposed,
    /// Read back from PgBouncer and found in force.
    Applied,
    /// In force, and found to have helped, or at least to have done no harm.
    Verified,
    /// Taken back.
    RolledBack,
    /// In force, and what it did cannot be told.
    Inconclusive,
    /// Could not be applied, or was not found in force.
    Failed,
    /// A newer decision took its place.
    Superseded,
    /// A person said no.
    Rejected,
    /// An alert that holds.
    Firing,
    /// An alert or advice whose cause is gone.
    Resolved,
}

impl Status {
    /// Every status, for parsing and documentation.
    pub const ALL: [Self; 10] = [
        Self::Proposed,
        Self::Applied,
        Self::Verified,
        Self::RolledBack,
        Self::Inconclusive,
        Self::Failed,
        Self::Superseded,
        Self::Rejected,
        Self::Firing,
        Self::Resolved,
    ];

    /// Gives the name that store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Applied => "applied",
            Self::Verified => "verified",
            Self::RolledBack => "rolled_back",
            Self::Inconclusive => "inconclusive",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Rejected => "rejected",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    /// Reads the name that [`Status::as_str`] gives.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Who made a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A plugin, in one evaluation that can be run again.
    Plugin {
        /// The plugin's bytes.
        digest: Digest,
        /// The version that the plugin says it has.
        version: Arc<str>,
        /// The recorded evaluation.
        evaluation: Uuid,
    },
    /// The sidecar itself, for example a size applied again after a restart.
    Host,
}

/// A proposal, the guard's word on it, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Identity.
    pub id: DecisionId,
    /// When it was taken.
    pub at: Timestamp,
    /// The PgBouncer that it is about.
    pub target: TargetName,
    /// The policy that took it.
    pub policy: PolicyName,
    /// Who made it.
    pub origin: Origin,
    /// What it is about.
    pub subject: Subject,
    /// The mode in force when it was taken.
    pub mode: Mode,
    /// What came of it so far.
    pub status: Status,
    /// The policy's word.
    pub proposal: Proposal,
    /// The guard's word; only what acts has one.
    pub verdict: Option<Verdict>,
    /// For a resize: the size when it was taken.
    pub size_from: Option<PoolSize>,
    /// For a resize: the size after the guard's word.
    pub size_to: Option<PoolSize>,
}

impl Decision {
    /// Says what the decision decides.
    pub fn kind(&self) -> Kind {
        match self.proposal {
            Proposal::Alert { .. } => Kind::Alert,
            Proposal::Recommendation { .. } => Kind::Recommendation,
            Proposal::Resize { .. } => Kind::Resize,
            Proposal::EndSession { .. } => Kind::EndSession,
        }
    }

    /// Gives the reason in plain words.
    pub fn reason(&self) -> &str {
        match &self.proposal {
            Proposal::Alert { summary, .. } | Proposal::Recommendation { summary, .. } => summary,
            Proposal::Resize { reason, .. } | Proposal::EndSession { reason, .. } => reason,
        }
    }

    /// Gives the numbers behind it.
    pub fn evidence(&self) -> &[Evidence] {
        match &self.proposal {
            Proposal::Alert { evidence, .. }
            | Proposal::Recommendation { evidence, .. }
            | Proposal::Resize { evidence, .. }
            | Proposal::EndSession { evidence, .. } => evidence,
        }
    }
}

/// A change of a decision's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The decision.
    pub id: DecisionId,
    /// When it changed.
    pub at: Timestamp,
    /// What it is now.
    pub status: Status,
    /// Why, in plain words.
    pub note: String,
}
