//! Single sessions: what one look at clients and backends saw, and how a session is named for good.
//!
//! A look is costly for PgBouncer, so it is no part of a snapshot; a policy asks for it. Ages are as
//! of the look. A backend's process id alone may belong to another session a moment later, so a
//! session that may be ended is named by when its backend and its idleness began, too.

use std::sync::Arc;
use std::time::Duration;

use super::{PoolKey, Timestamp};

/// What the backend behind a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// PostgreSQL may not be asked, or did not say.
    Unknown,
    /// It runs a statement.
    Running,
    /// It idles inside a transaction.
    IdleInTransaction,
    /// It idles outside of a transaction.
    Idle,
}

impl SessionState {
    /// Every state, for parsing.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Running, Self::IdleInTransaction, Self::Idle];

    /// Gives the number that the plugin contract uses.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Running => 1,
            Self::IdleInTransaction => 2,
            Self::Idle => 3,
        }
    }

    /// Reads the number that the plugin contract uses; an unknown one is [`SessionState::Unknown`].
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|state| state.code() == code).unwrap_or(Self::Unknown)
    }

    /// Gives the name that store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Running => "running",
            Self::IdleInTransaction => "idle_in_transaction",
            Self::Idle => "idle",
        }
    }
}

/// Tells one session of a backend, in one state, from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendIdentity {
    /// When the backend started, microseconds since 1970 on PostgreSQL's clock.
    pub backend_start_us: i64,
    /// When its state last changed, on the same clock.
    pub state_change_us: i64,
}

/// A client that holds a server connection, as PgBouncer and PostgreSQL name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// The pool.
    pub pool: PoolKey,
    /// PgBouncer's name of the client: its `id` from 1.24 on, `ptr` before.
    pub client: String,
    /// What the application calls itself.
    pub application: String,
    /// The client's address and port, as PgBouncer sees them.
    pub address: String,
    /// Process id of the PostgreSQL backend; 0 when unknown.
    pub backend_pid: u32,
    /// What it was seen to do.
    pub state: SessionState,
    /// Which session of that process it is; `None` where PostgreSQL was not asked.
    pub identity: Option<BackendIdentity>,
}

/// A client that holds a server connection, with its ages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who it is.
    pub session: SessionKey,
    /// Since the client connected.
    pub connected: Duration,
    /// Since the client's last request.
    pub request_age: Duration,
    /// Since the backend began to do what it does; zero when unknown.
    pub state_age: Duration,
    /// Since the transaction began; zero without one.
    pub transaction_age: Duration,
    /// Since the last statement began; zero when unknown.
    pub statement_age: Duration,
}

impl Holder {
    /// Gives the time for which it has been seen to do nothing new, to sort by.
    pub fn held(&self) -> Duration {
        self.state_age.max(self.request_age)
    }
}

/// All clients of a pool that share application and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientGroup {
    /// The pool.
    pub pool: PoolKey,
    /// What the application calls itself.
    pub application: String,
    /// Address without port.
    pub address: String,
    /// Clients.
    pub clients: u32,
    /// Those of them that hold a server.
    pub holding: u32,
    /// Since the oldest of them connected.
    pub oldest: Duration,
}

/// What one look at single sessions saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// When it was taken.
    pub at: Timestamp,
    /// There were more than it lists.
    pub truncated: bool,
    /// Clients that hold a server, those first that hold one longest.
    pub holders: Vec<Arc<Holder>>,
    /// Groups of clients, the largest first.
    pub groups: Vec<Arc<ClientGroup>>,
}

/// The part of a look that a window shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionsWindow {
    /// How long ago the sidecar looked.
    pub age: Duration,
    /// There were more than are listed.
    pub truncated: bool,
    /// Clients that hold a server.
    pub holders: Vec<HolderRow>,
    /// Groups of clients, each with the index of its pool.
    pub groups: Vec<(u32, Arc<ClientGroup>)>,
}

/// A holder as a window shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderRow {
    /// Index of its pool in the window.
    pub pool: u32,
    /// Whether the sidecar is able to end it.
    pub endable: bool,
    /// The holder.
    pub holder: Arc<Holder>,
}

impl SessionsWindow {
    /// Keeps what belongs to the pools `rows`, in the order of which they are numbered anew.
    pub fn narrowed(&self, rows: &[usize]) -> Self {
        let anew = |pool: u32| {
            let pool = usize::try_from(pool).ok()?;
            let at = rows.binary_search(&pool).ok()?;
            u32::try_from(at).ok()
        };
        let holder = |row: &HolderRow| Some(HolderRow { pool: anew(row.pool)?, ..row.clone() });
        Self {
            age: self.age,
            truncated: self.truncated,
            holders: self.holders.iter().filter_map(holder).collect(),
            groups: self
                .groups
                .iter()
                .filter_map(|(pool, group)| Some((anew(*pool)?, Arc::clone(group))))
                .collect(),
        }
    }
}

/// What came of ending a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Told to end, and gone when looked again.
    Gone,
    /// Told to end, and still there when looked again.
    StillThere,
    /// It was no longer the same session in the same idle state; nothing was done.
    MovedOn,
    /// It could not be ended; whether it will end is not known.
    Failed(String),
    /// The intent could not be recorded, so nothing was done.
    NotRecorded(String),
}

impl Ended {
    /// Gives a short stable name, for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::StillThere => "still_there",
            Self::MovedOn => "moved_on",
            Self::Failed(_) => "failed",
            Self::NotRecorded(_) => "not_recorded",
        }
    }
}
