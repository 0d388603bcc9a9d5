//! The store: what was decided, on what ground, what came of it, and the history of every pool.
//!
//! One SQLite file in one folder, because a sidecar has no other service to lean on. It is in WAL
//! mode with `synchronous = NORMAL`: every committed write survives a `kill -9` of the sidecar.
//! After a power cut of the machine the newest few intents may be gone; a size in PgBouncer that no
//! intent explains is then treated as set by a person. `FULL` would add an `fsync` to each
//! decision, which costs more than the whole rest of a tick.
//!
//! There is one writer connection behind a mutex and at most two readers, which close when idle:
//! each connection is a thread and a page cache, and the sidecar must stay small. Transactions are
//! plain statements rather than sqlx's own: SQLite rolls back by itself when the disk is full,
//! after which sqlx would still believe itself inside the transaction.
//!
//! # Size
//! 500 pools polled each second for a month take less than 512 MiB of history (a test fills them);
//! `size_max_bytes` bounds all of it, see [`Store::maintain`].

mod alerts;
mod counts;
mod effects;
mod error;
mod file;
mod history;
mod holds;
mod level;
mod maintain;
mod pack;
mod past;
mod prune;
mod read;
mod roll;
mod silences;
mod types;
mod wire;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::SqlitePool;
use tokio::sync::Mutex;

pub use counts::PoolCounts;
pub use error::RecordError;
pub use history::{HistoryPoint, HistoryQuery, HistorySample};
pub use maintain::Maintenance;
pub use past::{PastQuery, PastRow};
pub use read::peek_scopes;
pub use types::{
    AlertChange, Approval, Batch, DecisionFilter, EffectState, Evaluation, HoldChange, Memory,
    Page, ScopeState, SilenceChange, Store, StoreOptions, Stored, StoredAlert,
};
