//! The nouns that every stage shares: targets, pools, scopes, snapshots, windows, decisions.
//!
//! Pure data: no I/O, no clock and no serde, so that each border (TOML, JSON, WIT, SQL) has its own
//! wire type and a change of one wire never moves another.

mod alert;
mod decision;
mod effect;
mod hold;
mod name;
mod place;
mod presence;
mod reach;
mod session;
mod setting;
mod settings;
mod silence;
mod size;
mod snapshot;
mod time;
mod verdict;
mod window;

pub use alert::{Alert, AlertKey, AlertState};
pub use decision::{Decision, DecisionId, Evidence, Kind, Origin, Status, Transition};
pub use effect::{EffectPoint, EffectReport, Measure};
pub use hold::{Hold, HoldKind, Signature, SignatureError};
pub use name::{Digest, NameError, PolicyName, PoolKey, ScopeKey, TargetName};
pub use place::Place;
pub use presence::{Claim, OWN_APPLICATION, Peer, Theirs, Told, is_own_application};
pub use reach::{Means, Obstacle, Reach, Reachable};
pub use session::{
    BackendIdentity, ClientGroup, Ended, Holder, HolderRow, Look, SessionKey, SessionState,
    SessionsWindow,
};
pub use setting::{Knob, Setting};
pub use settings::{EffectLimits, Labels, Limits, Mode, SessionLimits, Settings};
pub use silence::{
    Alerting, Glob, LABELS_MAX, Matchers, Silence, SilenceError, SilenceId, is_label_name,
};
pub use size::{PoolSize, SizeError};
pub use snapshot::{
    Counters, DatabaseRow, DatabaseSample, Databases, LookFailure, PgSessions, PoolRow, Server,
    ServerIdentity, Snapshot, XactEnds,
};
pub use time::Timestamp;
pub use verdict::{Outcome, Rule, RuleWord, Verdict, Word};
pub use window::{
    Condition, DatabaseWindow, Past, PastSpan, PoolColumns, Proposal, ScopeColumns, Severity,
    Subject, TargetStatus, TargetWindow, Window,
};
