//! What can go wrong with the store, told apart by what a person has to do.

use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;
use thiserror::Error;

/// A failure of the store; each names the file or folder.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "path and source mean the same in every variant")]
pub enum RecordError {
    /// The disk is full; the same write succeeds once there is room.
    #[error("the disk is full: {}", path.display())]
    DiskFull { path: PathBuf, source: sqlx::Error },
    /// The file is not a SQLite database, or another program's.
    #[error("{} is not a poolwarden store; move it away or choose another folder", path.display())]
    NotAStore { path: PathBuf, source: Option<sqlx::Error> },
    /// Another sidecar uses the folder.
    #[error("another poolwarden uses {}; give each its own folder, or a copy of it to a replay", path.display())]
    InUse { path: PathBuf },
    /// Something else holds a lock on the file; trying again is right.
    #[error("the store is locked by another program: {}", path.display())]
    Busy { path: PathBuf, source: sqlx::Error },
    /// SQLite finds the file damaged.
    #[error("the store is damaged: {}; move it away to start anew", path.display())]
    Corrupt { path: PathBuf, source: sqlx::Error },
    /// Written by another version of poolwarden, with a schema that this one does not know.
    #[error("{} has schema {version}, which this version does not know", path.display())]
    OtherVersion { path: PathBuf, version: i64 },
    /// The folder or its lock file cannot be made.
    #[error("cannot use the folder {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    /// The file cannot be opened or written.
    #[error("cannot open or write {}", path.display())]
    Access { path: PathBuf, source: sqlx::Error },
    /// A row does not read back.
    #[error("a row of {} does not read back", path.display())]
    Malformed { path: PathBuf, source: sqlx::Error },
    /// Anything else that SQLite reports.
    #[error("the store failed: {}", path.display())]
    Sqlite { path: PathBuf, source: sqlx::Error },
}

impl RecordError {
    /// Gives a short stable name, for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::DiskFull { .. } => "disk_full",
            Self::NotAStore { .. } => "not_a_store",
            Self::InUse { .. } => "in_use",
            Self::Busy { .. } => "busy",
            Self::Corrupt { .. } => "corrupt",
            Self::OtherVersion { .. } => "other_version",
            Self::Folder { .. } => "folder",
            Self::Access { .. } => "access",
            Self::Malformed { .. } => "malformed",
            Self::Sqlite { .. } => "sqlite",
        }
    }

    /// Sorts what SQLite reports by its result code, <https://www.sqlite.org/rescode.html>.
    pub(super) fn new(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        match primary_code(&source) {
            Some(5 | 6) => Self::Busy { path, source },
            Some(3 | 8 | 14 | 23) => Self::Access { path, source },
            Some(11) => Self::Corrupt { path, source },
            Some(13) => Self::DiskFull { path, source },
            Some(26) => Self::NotAStore { path, source: Some(source) },
            Some(_) => Self::Sqlite { path, source },
            None => Self::without_code(path, source),
        }
    }

    fn without_code(path: PathBuf, source: sqlx::Error) -> Self {
        match &source {
            sqlx::Error::PoolTimedOut => Self::Busy { path, source },
            sqlx::Error::Io(cause) if cause.kind() == io::ErrorKind::StorageFull => {
                Self::DiskFull { path, source }
            }
            sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_) => Self::Malformed { path, source },
            _ => Self::Sqlite { path, source },
        }
    }

    pub(super) fn migration(path: &Path, error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version)
            | MigrateError::VersionMismatch(version)
            | MigrateError::Dirty(version) => Self::OtherVersion { path: path.into(), version },
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
                Self::new(path, source)
            }
            other => Self::new(path, sqlx::Error::Migrate(Box::new(other))),
        }
    }
}

/// Gives SQLite's primary result code, the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}
