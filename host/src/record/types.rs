//! What goes into the store and comes out of it.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::SqlitePool;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::writer::Writer;
use crate::model::{
    Alert, AlertKey, Decision, DecisionId, Digest, EffectReport, Hold, Kind, PolicyName, PoolSize,
    Proposal, Setting, Signature, Silence, SilenceId, Status, TargetName, Timestamp, Transition,
};

/// The store of one sidecar; every method may be called from any task.
pub struct Store {
    pub(super) path: PathBuf,
    pub(super) options: StoreOptions,
    pub(super) writer: Mutex<Writer>,
    pub(super) readers: SqlitePool,
    /// Held, never read: the kernel lets go of the lock with the process.
    pub(super) _lock: File,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Where the store is and how much it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Folder of the store; made when missing.
    pub dir: PathBuf,
    /// How long decisions are kept; unsettled ones and firing alerts stay longer.
    pub decisions_kept: Duration,
    /// How long the inputs of evaluations are kept, for replay.
    pub inputs_kept: Duration,
    /// Largest size of the store on disk, in bytes.
    pub size_max_bytes: u64,
}

/// What one tick has to record, all or nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// New evaluations; one that is already recorded stays as it is.
    pub evaluations: Vec<Evaluation>,
    /// New decisions; one that is already recorded stays as it is.
    pub decisions: Vec<Decision>,
    /// Changes of status, in order; two of one decision differ in moment or status.
    pub transitions: Vec<Transition>,
    /// Scopes as they are now.
    pub scopes: Vec<ScopeState>,
    /// Changes of alerts, in order.
    pub alerts: Vec<AlertChange>,
    /// Changes of silences, in order.
    pub silences: Vec<SilenceChange>,
    /// Changes of holds, in order.
    pub holds: Vec<HoldChange>,
    /// Decisions that a person has approved.
    pub approvals: Vec<Approval>,
    /// Memories as they are now.
    pub memories: Vec<Memory>,
    /// What changes did; a later report replaces an earlier one of the same decision.
    pub effects: Vec<EffectReport>,
    /// What the newest changes of settings did.
    pub effect_states: Vec<EffectState>,
}

/// One call of a plugin with all that it takes to call it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Identity.
    pub id: Uuid,
    /// When it was called.
    pub at: Timestamp,
    /// The PgBouncer that the window shows.
    pub target: TargetName,
    /// The policy that was asked.
    pub policy: PolicyName,
    /// The plugin's bytes.
    pub digest: Digest,
    /// The settings, as JSON.
    pub settings: String,
    /// The window, in the caller's encoding.
    pub input: Vec<u8>,
    /// The memory that was handed in.
    pub memory: Vec<u8>,
    /// The answer, in the caller's encoding.
    pub answer: Vec<u8>,
}

/// What is known of a size scope across restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeState {
    /// When it was so: an older one is not written over a newer one. Not read back.
    pub at: Timestamp,
    /// The PgBouncer.
    pub target: TargetName,
    /// The setting.
    pub setting: Setting,
    /// The file's value, to be handed back.
    pub base: PoolSize,
    /// What the sidecar wants it to be.
    pub wanted: Option<PoolSize>,
    /// Since when a person's size is respected.
    pub stood_down: Option<Timestamp>,
    /// When the sidecar last changed it.
    pub changed_at: Timestamp,
}

/// What the newest growth, or the newest shrink, of a setting did, for what may follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectState {
    /// The PgBouncer.
    pub target: TargetName,
    /// The setting.
    pub setting: Setting,
    /// What came of the change.
    pub status: Status,
    /// When the change was found in force.
    pub at: Timestamp,
    /// The size before it.
    pub from: PoolSize,
    /// The size that it brought.
    pub to: PoolSize,
    /// No further change of that direction before then.
    pub until: Option<Timestamp>,
    /// Changes of that direction in a row that were taken back.
    pub repeats: u32,
    /// The decision that did harm and the size to go back to, until that is in force or let go.
    pub going_back: Option<(DecisionId, PoolSize)>,
}

/// A change of a target's alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertChange {
    /// The alert is this now.
    Set {
        /// The PgBouncer.
        target: TargetName,
        /// The alert.
        alert: Alert,
    },
    /// The alert holds and does not fire yet.
    Pending {
        /// The PgBouncer.
        target: TargetName,
        /// Which alert.
        key: AlertKey,
        /// Since when it holds.
        since: Timestamp,
        /// Until when it was seen to hold without a break.
        held_until: Timestamp,
    },
    /// The alert is over and its cooldown has passed.
    Forget {
        /// The PgBouncer.
        target: TargetName,
        /// Which alert.
        key: AlertKey,
    },
}

/// An alert as it is found after a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAlert {
    /// Identity and state.
    pub alert: Alert,
    /// While it is pending: until when it was seen to hold.
    pub held_until: Option<Timestamp>,
    /// While it fires: what it was recorded with, as long as that is kept.
    pub proposal: Option<Proposal>,
}

/// A change of the silences.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, for the length of a request")]
pub enum SilenceChange {
    /// A new one.
    Add(Silence),
    /// It ends now rather than later.
    Remove {
        /// Which silence.
        id: SilenceId,
        /// When it was taken away.
        at: Timestamp,
    },
}

/// A change of a target's hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldChange {
    /// A new one, in the place of an older.
    Set(Hold),
    /// A person ends it.
    End {
        /// The PgBouncer.
        target: TargetName,
        /// When.
        at: Timestamp,
        /// Who, and why.
        by: Signature,
    },
}

/// A decision that waited for a person and is now carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// The decision.
    pub id: DecisionId,
    /// For a resize: the size in force at the approval.
    pub size_from: Option<PoolSize>,
    /// For a resize: the size that the guard leaves at the approval.
    pub size_to: Option<PoolSize>,
}

/// What a policy wants to be handed at its next evaluation of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// The policy.
    pub policy: PolicyName,
    /// The PgBouncer.
    pub target: TargetName,
    /// The plugin's own bytes.
    pub blob: Vec<u8>,
}

/// Which decisions are wanted; every part narrows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only of this PgBouncer.
    pub target: Option<TargetName>,
    /// Only about this database: its pools and its scope.
    pub database: Option<String>,
    /// Only about this user: its pools and its scope.
    pub user: Option<String>,
    /// Only of this policy.
    pub policy: Option<PolicyName>,
    /// Only with this status.
    pub status: Option<Status>,
    /// Not taken before this moment.
    pub since: Option<Timestamp>,
    /// Taken before this moment.
    pub until: Option<Timestamp>,
    /// Most decisions in a page, 1 to [`DecisionFilter::LIMIT_MAX`].
    pub limit: u32,
    /// Where the page before ended, from [`Page::next`].
    pub cursor: Option<DecisionId>,
}

impl DecisionFilter {
    /// The most decisions in one page.
    pub const LIMIT_MAX: u32 = 500;
    /// Decisions in a page when nobody says otherwise.
    pub const LIMIT_DEFAULT: u32 = 50;
}

impl Default for DecisionFilter {
    fn default() -> Self {
        Self {
            kind: None,
            target: None,
            database: None,
            user: None,
            policy: None,
            status: None,
            since: None,
            until: None,
            limit: Self::LIMIT_DEFAULT,
            cursor: None,
        }
    }
}

/// Decisions, newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The decisions with their status of now.
    pub decisions: Vec<Decision>,
    /// Cursor of the next page; absent on the last one.
    pub next: Option<DecisionId>,
}

/// A decision with all that came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The decision with its status of now.
    pub decision: Decision,
    /// What came of it, oldest first.
    pub transitions: Vec<Transition>,
}
