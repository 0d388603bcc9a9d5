//! Views single sessions: clients that hold a server, and groups of clients.
//!
//! They are in a window for a short while after a policy proposed
//! [`LookAtSessions`](crate::LookAtSessions); most windows have none.

use std::time::Duration;

use crate::pool::Pool;
use crate::window::Window;

/// What the backend behind a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderState {
    /// PostgreSQL may not be asked, and PgBouncer sees no query.
    Unknown,
    /// It runs a statement.
    Running,
    /// It idles inside a transaction.
    IdleInTransaction,
    /// It idles outside of a transaction.
    Idle,
}

impl HolderState {
    /// Reads the contract's code; an unknown one is [`HolderState::Unknown`].
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Running,
            2 => Self::IdleInTransaction,
            3 => Self::Idle,
            _ => Self::Unknown,
        }
    }
}

/// The sidecar's last look at single sessions; cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'w> {
    window: &'w Window,
    columns: &'w crate::contract::Sessions,
}

/// A client that holds a server connection; cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'w> {
    window: &'w Window,
    columns: &'w crate::contract::Holders,
    index: usize,
}

/// All clients of a pool that share application and address; cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct ClientGroup<'w> {
    window: &'w Window,
    columns: &'w crate::contract::ClientGroups,
    index: usize,
}

impl<'w> Sessions<'w> {
    pub(crate) fn new(window: &'w Window, columns: &'w crate::contract::Sessions) -> Self {
        Self { window, columns }
    }

    /// Returns how long ago the sidecar looked; all ages are as of then.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.columns.age_ms)
    }

    /// Says whether there were more than are listed.
    pub fn is_truncated(&self) -> bool {
        self.columns.truncated
    }

    /// Returns the clients that hold a server, those first that hold one longest.
    pub fn holders(&self) -> impl ExactSizeIterator<Item = Holder<'w>> + use<'w> {
        let (window, columns) = (self.window, &self.columns.holders);
        (0..columns.pool.len()).map(move |index| Holder { window, columns, index })
    }

    /// Returns the groups of clients, the largest first.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = ClientGroup<'w>> + use<'w> {
        let (window, columns) = (self.window, &self.columns.groups);
        (0..columns.pool.len()).map(move |index| ClientGroup { window, columns, index })
    }
}

impl<'w> Holder<'w> {
    /// Returns the position in the look, for [`EndSession`](crate::EndSession).
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns its pool.
    pub fn pool(&self) -> Pool<'w> {
        Pool::new(self.window, index_of(self.columns.pool[self.index]))
    }

    /// Says what the backend behind it does.
    pub fn state(&self) -> HolderState {
        HolderState::from_code(self.columns.state[self.index])
    }

    /// Says whether the sidecar is able to end it.
    pub fn is_endable(&self) -> bool {
        self.columns.endable[self.index] == 1
    }

    /// Returns PgBouncer's name of the client: its `id` from 1.24 on, `ptr` before.
    pub fn client(&self) -> &'w str {
        &self.columns.client[self.index]
    }

    /// Returns what the application calls itself; empty when it does not.
    pub fn application(&self) -> &'w str {
        &self.columns.application[self.index]
    }

    /// Returns the client's address and port, as PgBouncer sees them.
    pub fn address(&self) -> &'w str {
        &self.columns.address[self.index]
    }

    /// Returns the process id of the PostgreSQL backend; 0 when unknown.
    pub fn backend_pid(&self) -> u32 {
        self.columns.backend_pid[self.index]
    }

    /// Returns the time since the client connected.
    pub fn connected(&self) -> Duration {
        Duration::from_millis(self.columns.connected_ms[self.index])
    }

    /// Returns the time since the client's last request.
    pub fn request_age(&self) -> Duration {
        Duration::from_millis(self.columns.request_age_ms[self.index])
    }

    /// Returns the time since the backend began to do what it does; zero when unknown.
    pub fn state_age(&self) -> Duration {
        Duration::from_millis(self.columns.state_age_ms[self.index])
    }

    /// Returns the time since the transaction began; zero without one.
    pub fn transaction_age(&self) -> Duration {
        Duration::from_millis(self.columns.transaction_age_ms[self.index])
    }

    /// Returns the time since the last statement began; zero when unknown.
    pub fn statement_age(&self) -> Duration {
        Duration::from_millis(self.columns.statement_age_ms[self.index])
    }
}

impl<'w> ClientGroup<'w> {
    /// Returns its pool.
    pub fn pool(&self) -> Pool<'w> {
        Pool::new(self.window, index_of(self.columns.pool[self.index]))
    }

    /// Returns what the application calls itself; empty when it does not.
    pub fn application(&self) -> &'w str {
        &self.columns.application[self.index]
    }

    /// Returns the address without port.
    pub fn address(&self) -> &'w str {
        &self.columns.address[self.index]
    }

    /// Returns the number of clients.
    pub fn clients(&self) -> u32 {
        self.columns.clients[self.index]
    }

    /// Returns the number of clients that hold a server.
    pub fn holding(&self) -> u32 {
        self.columns.holding[self.index]
    }

    /// Returns the time since the oldest of them connected.
    pub fn oldest(&self) -> Duration {
        Duration::from_millis(self.columns.oldest_ms[self.index])
    }
}

fn index_of(pool: u32) -> usize {
    usize::try_from(pool).expect("pool indices were checked against the pools on entry")
}
