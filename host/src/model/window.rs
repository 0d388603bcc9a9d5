//! What a policy may know, and what it may say.
//!
//! A window carries pools as columns because lists of numbers cross into Wasm several times faster
//! than lists of records. The meaning of each column is documented once, in `plugins/wit`.

mod narrow;
mod past;

use std::sync::Arc;
use std::time::Duration;

pub use past::{Past, PastSpan};

use super::{
    Evidence, Labels, PoolKey, ScopeKey, SessionKey, SessionsWindow, Setting, Settings, TargetName,
    Timestamp,
};

/// State of a pool, told apart because each asks for another remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// No client works.
    Idle,
    /// Clients work and nobody waits.
    Serving,
    /// Clients wait for a server, and are served.
    Queueing,
    /// Clients wait before their first query: their age does not show in `maxwait`.
    LoginQueue,
    /// An operator has paused it: the queue is intended.
    Paused,
    /// Clients wait, servers could be opened, and nobody is served.
    Wedged,
    /// The numbers are too old to act on.
    Stale,
}

impl Condition {
    /// Gives the number that the plugin contract uses.
    pub const fn code(self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Serving => 1,
            Self::Queueing => 2,
            Self::LoginQueue => 3,
            Self::Paused => 4,
            Self::Wedged => 5,
            Self::Stale => 6,
        }
    }

    /// Gives the name that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Serving => "serving",
            Self::Queueing => "queueing",
            Self::LoginQueue => "login_queue",
            Self::Paused => "paused",
            Self::Wedged => "wedged",
            Self::Stale => "stale",
        }
    }
}

/// What is known of a target as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetStatus {
    /// The last poll succeeded.
    Up,
    /// The whole PgBouncer is paused.
    Paused,
    /// The last poll failed.
    Down,
}

impl TargetStatus {
    /// Gives the name that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Paused => "paused",
            Self::Down => "down",
        }
    }
}

/// Everything that a policy may know of one target at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// When the newest sample was taken.
    pub at: Timestamp,
    /// Span of rates and means.
    pub short_span: Duration,
    /// Span of percentiles, maxima and trends.
    pub long_span: Duration,
    /// The PgBouncer.
    pub target: TargetWindow,
    /// The PostgreSQL server, when it may be asked.
    pub database: Option<DatabaseWindow>,
    /// Names of the scopes, by index.
    pub scope_keys: Vec<ScopeKey>,
    /// Numbers of the scopes, by index.
    pub scopes: ScopeColumns,
    /// Scopes that also size pools which are left out of this window.
    pub beyond: Vec<ScopeKey>,
    /// Names of the pools, by index.
    pub pool_keys: Vec<PoolKey>,
    /// Numbers of the pools, by index.
    pub pools: PoolColumns,
    /// Settings of the PgBouncer that policies may read.
    pub settings: Arc<Settings>,
    /// What the pools did in a longer past, for the policies that ask for it.
    pub past: Option<Arc<Past>>,
    /// Single sessions, for a while after a look at them.
    pub sessions: Option<SessionsWindow>,
}

/// The PgBouncer as a policy sees it; fields as in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented in plugins/wit")]
pub struct TargetWindow {
    pub name: TargetName,
    pub status: TargetStatus,
    pub status_for: Duration,
    pub data_age: Duration,
    pub labels: Arc<Labels>,
    pub version: u32,
    pub default_pool_size: u32,
    pub min_pool_size: u32,
    pub reserve_pool_size: u32,
    pub clients: u32,
    pub clients_max: u32,
    pub query_wait_timeout: Duration,
}

/// The PostgreSQL server as a policy sees it; fields as in the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented in plugins/wit")]
pub struct DatabaseWindow {
    pub reachable: bool,
    pub data_age: Duration,
    pub max_connections: u32,
    pub reserved_connections: u32,
    pub connections: u32,
    pub active: u32,
    pub idle_in_transaction: u32,
    pub running: u32,
    pub waiting_on_lock: u32,
    pub waiting_on_io: u32,
    pub waiting_on_other: u32,
    pub others: u32,
    pub budget: u32,
}

/// Scopes as columns; fields as in the contract.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each field is documented in plugins/wit")]
pub struct ScopeColumns {
    pub kind: Vec<u8>,
    pub size: Vec<u32>,
    pub actionable: Vec<u8>,
    pub min_size: Vec<u32>,
    pub reserve: Vec<u32>,
    pub floor: Vec<u32>,
    pub ceiling: Vec<u32>,
    pub pools: Vec<u32>,
    pub change: Vec<u8>,
    pub change_age_ms: Vec<u64>,
    pub change_from: Vec<u32>,
    pub change_to: Vec<u32>,
}

/// Pools as columns; fields as in the contract.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "each field is documented in plugins/wit")]
pub struct PoolColumns {
    pub scope: Vec<u32>,
    pub condition: Vec<u8>,
    pub mode: Vec<u8>,
    pub cl_active: Vec<u32>,
    pub cl_waiting: Vec<u32>,
    pub sv_active: Vec<u32>,
    pub sv_idle: Vec<u32>,
    pub sv_login: Vec<u32>,
    pub size: Vec<u32>,
    pub reserve: Vec<u32>,
    pub maxwait_us: Vec<u64>,
    pub waiting_for_ms: Vec<u64>,
    pub full_for_ms: Vec<u64>,
    pub unserved_for_ms: Vec<u64>,
    pub observed_for_ms: Vec<u64>,
    pub utilization: Vec<f64>,
    pub utilization_p50: Vec<f64>,
    pub utilization_p95: Vec<f64>,
    pub wait_p95_us: Vec<f64>,
    pub busy_mean: Vec<f64>,
    pub busy_finished: Vec<f64>,
    pub demand: Vec<f64>,
    pub demand_max_short: Vec<f64>,
    pub demand_max_long: Vec<f64>,
    pub demand_trend_per_min: Vec<f64>,
    pub clients_trend_per_min: Vec<f64>,
    pub transactions_per_s: Vec<f64>,
    pub queries_per_s: Vec<f64>,
    pub transaction_mean_us: Vec<f64>,
    pub query_mean_us: Vec<f64>,
    pub wait_mean_us: Vec<f64>,
    pub idle_in_transaction: Vec<u32>,
    pub idle_in_transaction_max_ms: Vec<u64>,
    pub running: Vec<u32>,
    pub waiting_on_lock: Vec<u32>,
    pub waiting_on_io: Vec<u32>,
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Act soon.
    Warning,
    /// Act now.
    Critical,
}

impl Severity {
    /// Gives the name that store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a proposal is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The PgBouncer as a whole.
    Target,
    /// The PostgreSQL server behind it.
    DatabaseServer,
    /// A size scope.
    Scope(ScopeKey),
    /// A pool.
    Pool(PoolKey),
}

/// A policy's word.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// A condition holds now.
    Alert {
        /// Stable name of the condition.
        name: String,
        /// What it is about.
        subject: Subject,
        /// How bad it is.
        severity: Severity,
        /// One plain sentence.
        summary: String,
        /// How long it must hold before it fires.
        hold: Duration,
        /// How long it stays silent after it resolved.
        cooldown: Duration,
        /// The author's own labels.
        labels: Vec<(String, String)>,
        /// Where to read what to do: a path in the documentation or a URL; empty for none.
        runbook: String,
        /// The numbers behind it.
        evidence: Vec<Evidence>,
    },
    /// A person should change something.
    Recommendation {
        /// Stable name of the advice.
        name: String,
        /// What it is about.
        subject: Subject,
        /// One plain sentence.
        summary: String,
        /// The exact lines or commands.
        action: String,
        /// The numbers behind it.
        evidence: Vec<Evidence>,
    },
    /// A setting should have another size.
    Resize {
        /// The setting to change.
        setting: Setting,
        /// The size asked for; the guard sees to its bounds.
        size: u32,
        /// Why, in plain words.
        reason: String,
        /// The numbers behind it.
        evidence: Vec<Evidence>,
    },
    /// A session should be ended.
    EndSession {
        /// The session as it was seen.
        session: SessionKey,
        /// Why, in plain words.
        reason: String,
        /// The numbers behind it.
        evidence: Vec<Evidence>,
    },
}
