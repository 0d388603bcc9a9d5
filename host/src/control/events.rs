//! What comes to control, and what it wants done.
//!
//! Events carry what has happened elsewhere, effects what is to be done elsewhere: control itself does
//! no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{Order, OrderRefusal};
use crate::model::{
    Claim, Databases, DecisionId, Digest, Ended, Look, Mode, Peer, PolicyName, PoolSize, Proposal,
    Reach, ScopeKey, SessionKey, Setting, Snapshot, TargetName, Timestamp, Told, Window,
};
use crate::record::{Batch, Evaluation};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A poll succeeded.
    Polled {
        /// The target.
        target: TargetName,
        /// What was seen.
        snapshot: Snapshot,
    },
    /// A poll failed.
    PollFailed {
        /// The target.
        target: TargetName,
        /// Short stable name of the failure.
        kind: &'static str,
        /// What a person should know of it.
        problem: String,
    },
    /// The policies have answered.
    Evaluated {
        /// The target.
        target: TargetName,
        /// What each said, in the order in which they are heard.
        results: Vec<Heard>,
    },
    /// The policies could not be asked, through a defect of the host.
    EvaluationDied {
        /// The target.
        target: TargetName,
    },
    /// Commands were sent for a change.
    Sent {
        /// The target.
        target: TargetName,
        /// The decision.
        id: DecisionId,
        /// What was sent, in this order, without secrets.
        commands: Vec<String>,
    },
    /// A change was tried.
    Acted {
        /// The target.
        target: TargetName,
        /// The decision.
        id: DecisionId,
        /// What came of it.
        acted: Acted,
    },
    /// It was looked at which sizes can be acted on.
    Reached {
        /// The target.
        target: TargetName,
        /// What was found.
        reach: Reach,
    },
    /// A look at single sessions ended; `None` when it failed.
    Looked {
        /// The target.
        target: TargetName,
        /// What was seen.
        look: Option<Box<Look>>,
    },
    /// Ending a session was tried.
    Ended {
        /// The target.
        target: TargetName,
        /// The decision.
        id: DecisionId,
        /// What came of it.
        ended: Ended,
    },
    /// Somebody looked who is on the console.
    Attended {
        /// The target.
        target: TargetName,
        /// The sidecars there, this one perhaps included.
        peers: Vec<Peer>,
        /// Time to the next such look.
        every: Duration,
    },
    /// A person asks for something.
    Ordered(Box<Order>),
    /// What was asked for has been recorded, or could not be.
    OrderKept {
        /// What was asked for.
        order: Box<Order>,
        /// Why it could not be recorded.
        kept: Result<(), String>,
    },
    /// A `RECONNECT` was tried.
    Reconnected {
        /// The target.
        target: TargetName,
        /// The decision whose shrink it is for.
        id: DecisionId,
        /// Why it could not be sent, if it could not.
        sent: Result<(), String>,
    },
    /// The sidecar is about to stop: hand sizes back if it should.
    Stopping,
}

/// What one policy said, or that it faulted.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The policy.
    pub policy: PolicyName,
    /// How far the policy may go.
    pub mode: Mode,
    /// Of several policies on one setting the one with the highest is heard.
    pub priority: i32,
    /// The policy that this one is compared with; it is recorded and never heard.
    pub shadow_of: Option<PolicyName>,
    /// Whether the policy's file lets it end sessions.
    pub may_end_sessions: bool,
    /// The plugin's bytes.
    pub digest: Digest,
    /// The version that the plugin says it has.
    pub version: Arc<str>,
    /// What it said; `None` when it faulted or was not asked this time: what it said before stands.
    pub answer: Option<Answer>,
    /// Scopes that also size pools which the policy does not see.
    pub beyond: Vec<ScopeKey>,
    /// The evaluation, for the store.
    pub evaluation: Arc<dyn Replayable>,
}

/// What a policy answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What it proposes.
    pub proposals: Vec<Proposal>,
    /// Why it asks for a look at single sessions, if it does.
    pub look: Option<String>,
    /// What it wants to remember.
    pub memory: Arc<[u8]>,
}

/// An evaluation that can be written down; costly, so it is asked only when something came of it.
pub trait Replayable: std::fmt::Debug + Send + Sync {
    /// Writes it down under an identity.
    fn write_down(&self, id: Uuid, at: Timestamp, target: &TargetName) -> Evaluation;
}

/// What came of trying a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// Read back and found in force.
    Verified,
    /// PgBouncer said yes and another size is in force.
    NotInForce(Option<u32>),
    /// PgBouncer refused or was not reached; whether it took the change is not known.
    Failed(String),
    /// The intent could not be recorded, so nothing was sent.
    NotRecorded(String),
}

/// Something to be done.
#[derive(Debug)]
pub enum Effect {
    /// Ask the policies.
    Evaluate {
        /// The target.
        target: TargetName,
        /// What they may know.
        window: Box<Window>,
        /// What they remember.
        memories: Memories,
    },
    /// Put this into the store.
    Record(Box<Batch>),
    /// Put the intent into the store, then change the size, then say what came of it.
    Resize(Box<Resize>),
    /// Say on the console what this sidecar does from now on.
    Announce {
        /// The target.
        target: TargetName,
        /// What it does.
        claim: Claim,
        /// What people have told it.
        told: Told,
    },
    /// Look at single sessions, then say what was seen.
    Look {
        /// The target.
        target: TargetName,
        /// The policy that asked first.
        policy: PolicyName,
        /// Why it asks.
        reason: String,
        /// `SHOW DATABASES`, which tells the pools of clients.
        databases: Arc<Databases>,
    },
    /// Put the intent into the store, then end the session, then say what came of it.
    EndSession(Box<EndSession>),
    /// Put the intent into the store, then have servers closed as they are released, then say what came
    /// of it.
    Reconnect(Box<Reconnect>),
    /// Put this order into the store, then say what came of it.
    KeepOrder {
        /// The order.
        order: Box<Order>,
        /// The order as it is to be recorded.
        batch: Box<Batch>,
    },
    /// Tell who gave an order that it cannot be carried out.
    RefuseOrder(OrderRefusal),
}

/// The end of a session that passed the guard.
#[derive(Debug)]
pub struct EndSession {
    /// The decision.
    pub id: DecisionId,
    /// The target.
    pub target: TargetName,
    /// The session; one that has moved on is another one.
    pub session: SessionKey,
    /// After this moment the decision is too old to be carried out.
    pub until: Timestamp,
    /// The intent, to be recorded before anything is done.
    pub intent: Batch,
}

/// Servers that are to be closed as they are released, because their pool has more than its size.
#[derive(Debug)]
pub struct Reconnect {
    /// The decision whose shrink it is for.
    pub id: DecisionId,
    /// The target.
    pub target: TargetName,
    /// The databases.
    pub databases: Vec<Arc<str>>,
    /// The setting that was shrunk.
    pub setting: Setting,
    /// Its size; where another one is in force, there is nothing to be closed.
    pub size: PoolSize,
    /// After this moment it is too late to be carried out.
    pub until: Timestamp,
    /// The intent, to be recorded before anything is sent.
    pub intent: Batch,
}

/// What the policies remember of one target.
pub type Memories = BTreeMap<PolicyName, Arc<[u8]>>;

/// A change of a size that passed the guard.
#[derive(Debug)]
pub struct Resize {
    /// The decision.
    pub id: DecisionId,
    /// The target.
    pub target: TargetName,
    /// The setting.
    pub setting: Setting,
    /// The size that must be in force before; another one is somebody else's.
    pub from: Option<PoolSize>,
    /// The size to set.
    pub size: PoolSize,
    /// From when on it grows old.
    pub ages: Ages,
    /// The age at which it is too old to be carried out.
    pub age_max: Duration,
    /// The intent, to be recorded before anything is sent.
    pub intent: Batch,
}

/// From when on a change grows old; those of one target are made one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ages {
    /// From this moment: it rests on what the pools did then.
    Since(Timestamp),
    /// From its turn: it goes back to what was in force before, with others that may come first.
    FromItsTurn,
}

impl Resize {
    /// Gives the moment after which it is too old, when its turn begins at another.
    pub fn until(&self, turn: Timestamp) -> Timestamp {
        match self.ages {
            Ages::Since(at) => at.plus(self.age_max),
            Ages::FromItsTurn => turn.plus(self.age_max),
        }
    }
}
