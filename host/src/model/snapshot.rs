//! What one poll saw, as PgBouncer and PostgreSQL gave it.
//!
//! Every column may be missing in some version, so what is not essential is an `Option`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Knob, Place, PoolKey, ScopeKey, Setting, Settings, Timestamp};

/// One row of `SHOW POOLS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRow {
    /// The pool.
    pub key: PoolKey,
    /// Clients linked to a server or idle outside a transaction.
    pub cl_active: u32,
    /// Clients queueing for a server.
    pub cl_waiting: u32,
    /// Clients with a cancel request under way.
    pub cl_active_cancel_req: Option<u32>,
    /// Clients with a cancel request not yet sent.
    pub cl_waiting_cancel_req: Option<u32>,
    /// Servers linked to a client.
    pub sv_active: u32,
    /// Servers that carry a cancel request.
    pub sv_active_cancel: Option<u32>,
    /// Servers that wait for a cancel request of theirs to end.
    pub sv_being_canceled: Option<u32>,
    /// Servers ready for use.
    pub sv_idle: u32,
    /// Servers idle for longer than `server_check_delay`.
    pub sv_used: u32,
    /// Servers running a reset or check query.
    pub sv_tested: u32,
    /// Servers logging in.
    pub sv_login: u32,
    /// Age of the oldest waiter.
    pub maxwait: Duration,
    /// Pooling mode in force, where the version tells it.
    pub pool_mode: Option<String>,
}

impl PoolRow {
    /// Counts the open server connections, those logging in included.
    pub fn servers(&self) -> u32 {
        let parts = [
            self.sv_active,
            self.sv_idle,
            self.sv_used,
            self.sv_tested,
            self.sv_login,
            self.sv_active_cancel.unwrap_or(0),
            self.sv_being_canceled.unwrap_or(0),
        ];
        parts.iter().fold(0, |sum: u32, part| sum.saturating_add(*part))
    }
}

/// `SHOW DATABASES` by the name that clients use.
pub type Databases = BTreeMap<Arc<str>, DatabaseRow>;

/// One row of `SHOW DATABASES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRow {
    /// Name that clients use.
    pub name: Arc<str>,
    /// Name on the PostgreSQL server.
    pub database: Arc<str>,
    /// Host of the PostgreSQL server; `None` for a unix socket.
    pub host: Option<String>,
    /// Port of the PostgreSQL server.
    pub port: Option<u32>,
    /// User that every client of this database is mapped to.
    pub force_user: Option<Arc<str>>,
    /// Effective pool size; own and inherited sizes look alike.
    pub pool_size: Option<u32>,
    /// Effective minimum size.
    pub min_pool_size: Option<u32>,
    /// Effective reserve (`reserve_pool`, from 1.24 on `reserve_pool_size`).
    pub reserve_pool: Option<u32>,
    /// Pooling mode, where it is set.
    pub pool_mode: Option<String>,
    /// `max_db_connections` of this database, 0 for none.
    pub max_connections: Option<u32>,
    /// Server connections now.
    pub current_connections: Option<u32>,
    /// Whether `PAUSE db` or `KILL db` holds it.
    pub paused: bool,
    /// Whether `DISABLE db` refuses new clients.
    pub disabled: bool,
}

impl DatabaseRow {
    /// Gives where its PostgreSQL server is.
    pub fn place(&self) -> Place<'_> {
        Place { host: self.host.as_deref(), port: self.port }
    }
}

/// Totals of one database since PgBouncer started (`SHOW STATS_TOTALS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Transactions finished.
    pub xact_count: u64,
    /// Queries finished.
    pub query_count: u64,
    /// Bytes from clients.
    pub bytes_received: u64,
    /// Bytes to clients.
    pub bytes_sent: u64,
    /// Time of finished transactions, in microseconds.
    pub xact_time_us: u64,
    /// Time of finished queries, in microseconds.
    pub query_time_us: u64,
    /// Time of ended waits for a server, in microseconds.
    pub wait_time_us: u64,
    /// Times that a server was given to a client (1.23 and newer).
    pub server_assignments: Option<u64>,
    /// Parse messages from clients (1.24 and newer).
    pub client_parses: Option<u64>,
    /// Parse messages to servers (1.24 and newer).
    pub server_parses: Option<u64>,
    /// Bind messages (1.24 and newer).
    pub binds: Option<u64>,
}

/// Settings and state of the PgBouncer as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Server {
    /// Version text, for example `PgBouncer 1.18.0`.
    pub version: String,
    /// Version as major * 10000 + minor * 100 + patch; 0 when unknown.
    pub version_number: u32,
    /// `default_pool_size`.
    pub default_pool_size: Option<u32>,
    /// `min_pool_size`.
    pub min_pool_size: Option<u32>,
    /// `reserve_pool_size`.
    pub reserve_pool_size: Option<u32>,
    /// `max_client_conn`.
    pub max_client_conn: Option<u32>,
    /// `max_user_connections`.
    pub max_user_connections: Option<u32>,
    /// `query_wait_timeout`; zero means that clients queue for ever.
    pub query_wait_timeout: Option<Duration>,
    /// Settings that policies may read, by name.
    pub settings: Arc<Settings>,
    /// Whether `SHOW STATE` says paused; `None` before 1.19, which cannot say.
    pub paused: Option<bool>,
    /// Whether the process took over clients and servers of the one before (`-R`).
    pub taken_over: bool,
    /// Users with a `pool_size` of their own (1.23 and newer), which goes before the database's.
    pub user_sizes: BTreeMap<Arc<str>, u32>,
    /// Users with a `reserve_pool_size` of their own (1.24 and newer), likewise.
    pub user_reserves: BTreeMap<Arc<str>, u32>,
    /// Sizes of users that may be nothing but what the row before says (up to 1.25.2).
    pub echoes: Vec<(Setting, u32)>,
    /// `SHOW LISTS`, by name.
    pub lists: Vec<(String, u32)>,
}

impl Server {
    /// Notes a user's own size.
    pub fn note_user(&mut self, setting: &Setting, size: u32) {
        let ScopeKey::User(name) = &setting.scope else { return };
        let sizes = match setting.knob {
            Knob::PoolSize => &mut self.user_sizes,
            Knob::ReservePoolSize => &mut self.user_reserves,
            Knob::MinPoolSize => return,
        };
        sizes.insert(Arc::clone(name), size);
    }

    /// Takes for users' own what may be an echo, where it is known to be their own.
    pub fn believe(&mut self, is_own: impl Fn(&Setting) -> bool) {
        for (setting, size) in std::mem::take(&mut self.echoes) {
            if is_own(&setting) {
                self.note_user(&setting, size);
            }
        }
    }
}

/// Everything that one poll of a PgBouncer read.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When the pools were asked for.
    pub at: Timestamp,
    /// When `databases` and `server` were asked for: a quick poll keeps those of the last full one.
    pub sizes_at: Timestamp,
    /// `SHOW POOLS`, without PgBouncer's own console pool.
    pub pools: Vec<PoolRow>,
    /// `SHOW STATS_TOTALS` by database, without the console.
    pub counters: Vec<(Arc<str>, Counters)>,
    /// `SHOW DATABASES`, without the console.
    pub databases: Arc<Databases>,
    /// Settings and state.
    pub server: Arc<Server>,
    /// Queries on the console since PgBouncer started: fewer than before means a new process.
    pub console_queries: Option<u64>,
    /// What PostgreSQL said last, if it may be asked.
    pub postgres: Option<Arc<DatabaseSample>>,
}

/// Sessions of one (database, user) in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgSessions {
    /// Database name on the server.
    pub database: Arc<str>,
    /// Role name.
    pub user: Arc<str>,
    /// `application_name`.
    pub application: Arc<str>,
    /// All sessions.
    pub total: u32,
    /// Sessions that run a statement.
    pub active: u32,
    /// Sessions idle inside a transaction.
    pub idle_in_transaction: u32,
    /// Age of the oldest idle transaction's last statement.
    pub idle_in_transaction_max: Duration,
    /// Active sessions that wait for a lock.
    pub waiting_on_lock: u32,
    /// Active sessions that wait for I/O.
    pub waiting_on_io: u32,
    /// Active sessions that wait for something else, the client excepted.
    pub waiting_on_other: u32,
}

/// Tells one running PostgreSQL server from every other, under whatever name it is reached.
///
/// A replica shares the system identifier with its primary, and not the moment of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerIdentity {
    /// `system_identifier` of `pg_control_system()`.
    pub system: i64,
    /// `pg_postmaster_start_time()`, microseconds since 1970 on PostgreSQL's clock.
    pub started_us: i64,
}

/// Why a look at PostgreSQL failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookFailure {
    /// It does not let the sidecar in, or not ask: the configuration is wrong, here or there.
    Refused,
    /// All its connections are taken.
    Full,
    /// It was not reached, did not answer in time, or failed in another way.
    Unreachable,
}

/// What one look at PostgreSQL saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSample {
    /// When it was taken; the last good one is kept while looks fail.
    pub at: Timestamp,
    /// Host (none for a unix socket) and port of the server, as configured.
    pub server: (Option<String>, Option<u32>),
    /// Which running server it is; `None` where it may not be asked, or has never answered.
    pub identity: Option<ServerIdentity>,
    /// Why the newest look failed, if it did; all numbers are 0 until one has succeeded.
    pub failure: Option<LookFailure>,
    /// `max_connections`.
    pub max_connections: u32,
    /// Slots that ordinary users cannot take.
    pub reserved_connections: u32,
    /// Client backends by database, user and application.
    pub sessions: Vec<PgSessions>,
    /// How transactions have ended so far.
    pub xact_ends: Option<XactEnds>,
}

/// How the transactions of all databases have ended since the statistics were reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct XactEnds {
    /// Committed.
    pub commits: u64,
    /// Rolled back.
    pub rollbacks: u64,
    /// Deadlocks.
    pub deadlocks: u64,
}

impl XactEnds {
    /// Gives what was added since an earlier look; `None` when a counter fell.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            commits: self.commits.checked_sub(earlier.commits)?,
            rollbacks: self.rollbacks.checked_sub(earlier.rollbacks)?,
            deadlocks: self.deadlocks.checked_sub(earlier.deadlocks)?,
        })
    }

    /// Gives the part that was rolled back, 0 to 1; `None` when nothing ended.
    #[expect(clippy::as_conversions, reason = "there is no From for u64; counts stay below 2^53")]
    pub fn rollback_ratio(&self) -> Option<f64> {
        let all = self.commits.saturating_add(self.rollbacks);
        (all > 0).then(|| self.rollbacks as f64 / all as f64)
    }
}

impl DatabaseSample {
    /// Says whether two looks were at the same server: by its identity, else by where it is.
    pub fn is_same_server(&self, other: &Self) -> bool {
        match (self.identity, other.identity) {
            (Some(one), Some(another)) => one == another,
            _ => self.server == other.server,
        }
    }

    /// Says whether two looks of which that is not sure may have been at the same server.
    ///
    /// One that has started anew since a look looks like another one. A primary and its replica, which
    /// share all but their start, are told apart by looks that are both of now.
    pub fn may_be_same_server(&self, other: &Self) -> bool {
        let both = self.identity.zip(other.identity);
        both.is_some_and(|(one, another)| {
            let outdated = self.is_before(another) || other.is_before(one);
            one != another && one.system == another.system && outdated
        })
    }

    /// Says whether a server may have started since this look.
    fn is_before(&self, server: ServerIdentity) -> bool {
        let at_us = i64::try_from(self.at.as_millis()).map(|ms| ms.saturating_mul(1_000));
        self.failure.is_some() || at_us.is_ok_and(|at_us| at_us < server.started_us)
    }

    /// Gives where the server is.
    pub fn place(&self) -> Place<'_> {
        Place { host: self.server.0.as_deref(), port: self.server.1 }
    }

    /// Says whether the newest look succeeded.
    pub fn is_reachable(&self) -> bool {
        self.failure.is_none()
    }

    /// Says whether the server has ever answered.
    pub fn is_known(&self) -> bool {
        self.max_connections > 0
    }

    /// Sums a number over all sessions.
    pub fn sum(&self, number: impl Fn(&PgSessions) -> u32) -> u32 {
        self.sessions.iter().fold(0, |sum, s| sum.saturating_add(number(s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(
        at_s: u64,
        system: i64,
        started_s: i64,
        failure: Option<LookFailure>,
    ) -> DatabaseSample {
        let identity = ServerIdentity { system, started_us: started_s * 1_000_000 };
        DatabaseSample {
            at: Timestamp::from_millis(at_s * 1_000),
            server: (None, None),
            identity: Some(identity),
            failure,
            max_connections: 100,
            reserved_connections: 3,
            sessions: Vec::new(),
            xact_ends: None,
        }
    }

    #[test]
    fn a_server_that_started_anew_may_be_the_same_and_a_replica_is_another() {
        let same = |one: &DatabaseSample, other: &DatabaseSample| {
            let both = (one.is_same_server(other), one.may_be_same_server(other));
            assert_eq!(both, (other.is_same_server(one), other.may_be_same_server(one)));
            both
        };
        let (surely, maybe, no) = ((true, false), (false, true), (false, false));
        let before = look(100, 7, 10, None);
        let failing = look(100, 7, 10, Some(LookFailure::Unreachable));
        assert_eq!(same(&before, &look(105, 7, 10, None)), surely);
        assert_eq!(same(&failing, &look(105, 7, 10, None)), surely);
        assert_eq!(same(&before, &look(125, 7, 120, None)), maybe, "it was not looked at since");
        assert_eq!(same(&failing, &look(105, 7, 90, None)), maybe, "nobody knows what it is now");
        assert_eq!(same(&before, &look(105, 7, 20, None)), no, "a primary and its replica");
        assert_eq!(same(&failing, &look(125, 8, 120, None)), no, "another cluster");
    }
}
