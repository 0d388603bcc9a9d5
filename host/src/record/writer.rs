//! The one connection that writes.

use std::collections::{HashMap, HashSet};

use sqlx::{Executor, SqliteConnection};
use tokio::sync::MutexGuard;

use super::{ScopeState, Store};
use crate::model::{Digest, PoolKey, Setting, TargetName, Timestamp};

/// A pool's number in the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interned {
    pub(super) id: i64,
    pub(super) seen_ms: i64,
}

impl Store {
    /// Waits for the writer, and ends what a dropped future left open in it.
    pub(super) async fn writer(&self) -> MutexGuard<'_, Writer> {
        let mut writer = self.writer.lock().await;
        writer.rollback().await;
        writer
    }
}

/// The connection, and what need not be asked again.
pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    /// Which start of the sidecar this is, counted from the store's first transitions.
    pub(super) run: i64,
    /// A future that was dropped half-way leaves its transaction open; the next one ends it.
    in_transaction: bool,
    /// Numbers of pools that are committed.
    pub(super) pools: HashMap<TargetName, HashMap<PoolKey, Interned>>,
    /// Plugins that this process has put: they may be evaluated at any time.
    pub(super) plugins: HashSet<Digest>,
    /// Of when the newest state of each scope is that this process has written.
    scopes: HashMap<(TargetName, Setting), Timestamp>,
}

impl Writer {
    /// # Errors
    /// When the file fails.
    pub(super) async fn new(mut connection: SqliteConnection) -> sqlx::Result<Self> {
        let newest = "SELECT run FROM transitions ORDER BY seq DESC LIMIT 1";
        let newest: Option<i64> =
            sqlx::query_scalar(newest).fetch_optional(&mut connection).await?;
        Ok(Self {
            connection,
            run: newest.map_or(1, |run| run + 1),
            in_transaction: false,
            pools: HashMap::new(),
            plugins: HashSet::new(),
            scopes: HashMap::new(),
        })
    }

    /// Says whether nothing newer of a scope was written.
    pub(super) fn is_newest(&self, state: &ScopeState) -> bool {
        let key = (state.target.clone(), state.setting.clone());
        self.scopes.get(&key).is_none_or(|newest| *newest <= state.at)
    }

    /// Notes what is committed.
    pub(super) fn note_scope(&mut self, state: &ScopeState) {
        self.scopes.insert((state.target.clone(), state.setting.clone()), state.at);
    }

    /// Opens a transaction.
    pub(super) async fn begin(&mut self) -> sqlx::Result<()> {
        self.in_transaction = true;
        self.connection.execute("BEGIN IMMEDIATE").await.map(drop)
    }

    /// Ends the transaction: commits what went well and takes back what did not.
    pub(super) async fn end<T>(&mut self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        let ended = match result {
            Ok(value) => self.connection.execute("COMMIT").await.map(|_| value),
            Err(error) => Err(error),
        };
        match ended {
            Ok(value) => {
                self.in_transaction = false;
                Ok(value)
            }
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }

    async fn rollback(&mut self) {
        if self.in_transaction {
            // Fails only when SQLite has rolled back by itself, which is as good.
            if let Err(error) = self.connection.execute("ROLLBACK").await {
                tracing::debug!(%error, "nothing to roll back");
            }
            self.in_transaction = false;
        }
    }
}
