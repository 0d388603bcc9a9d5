//! Opens and closes the file: the lock, the settings of SQLite, the schema.

use std::fs::{DirBuilder, OpenOptions, TryLockError};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::writer::Writer;
use super::{File, Mutex, Path, PathBuf, RecordError, SqlitePool, Store, StoreOptions};

static MIGRATIONS: Migrator = sqlx::migrate!("src/record/migrations");

/// As the first migration sets it: "Pwdn".
const APPLICATION_ID: i64 = 1_350_001_774;
pub(super) const FILE_NAME: &str = "poolwarden.db";
const LOCK_NAME: &str = "poolwarden.lock";
/// How long a statement waits for another program, such as a backup, to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const READERS_MAX: u32 = 2;
const READER_IDLE_MAX: Duration = Duration::from_secs(60);

impl Store {
    /// Opens the store, making folder and file when they are missing.
    ///
    /// # Errors
    /// When the folder is in use or cannot be written, or the file is foreign, damaged or newer.
    pub async fn open(options: &StoreOptions) -> Result<Self, RecordError> {
        let lock = lock(&options.dir)?;
        let path = options.dir.join(FILE_NAME);
        let fail = |error| RecordError::new(&path, error);
        if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
            refuse_foreign(&path).await?;
        }
        let mut connection = writing(&path).connect().await.map_err(fail)?;
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(|error| RecordError::migration(&path, error))?;
        let writer = Writer::new(connection).await.map_err(fail)?;
        Ok(Self {
            readers: readers(&path),
            path,
            options: options.clone(),
            writer: Mutex::new(writer),
            _lock: lock,
        })
    }

    /// Gives the bytes that the store takes on disk, its log included.
    ///
    /// # Errors
    /// When the file is gone.
    pub async fn size_bytes(&self) -> Result<u64, RecordError> {
        let size = |path: &Path| std::fs::metadata(path).map(|file| file.len());
        let folder = |source| RecordError::Folder { path: self.options.dir.clone(), source };
        let log: PathBuf = self.options.dir.join(format!("{FILE_NAME}-wal"));
        Ok(size(&self.path).map_err(folder)? + size(&log).unwrap_or(0))
    }

    /// Closes the store and folds its log into the file.
    ///
    /// # Errors
    /// When the log cannot be folded in; nothing is lost then, the next start does it.
    pub async fn close(self) -> Result<(), RecordError> {
        self.readers.close().await;
        let writer = self.writer.into_inner();
        writer.connection.close().await.map_err(|error| RecordError::new(&self.path, error))
    }

    /// Sorts an error of SQLite.
    pub(super) fn fail(&self, error: sqlx::Error) -> RecordError {
        RecordError::new(&self.path, error)
    }
}

/// Makes the folder and takes its lock, which the kernel frees however the process ends.
fn lock(dir: &Path) -> Result<File, RecordError> {
    let fail = |source| RecordError::Folder { path: dir.into(), source };
    DirBuilder::new().recursive(true).create(dir).map_err(fail)?;
    let path = dir.join(LOCK_NAME);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RecordError::InUse { path: dir.into() }),
        Err(TryLockError::Error(source)) => Err(fail(source)),
    }
}

/// Looks at an existing file before anything is changed in it.
async fn refuse_foreign(path: &Path) -> Result<(), RecordError> {
    let fail = |error| RecordError::new(path, error);
    let mut connection = quiet(path).connect().await.map_err(fail)?;
    let looked = is_foreign(&mut connection).await;
    let closed = connection.close().await;
    if looked.map_err(fail)? {
        return Err(RecordError::NotAStore { path: path.into(), source: None });
    }
    closed.map_err(fail)
}

/// Says whether there are tables but not our mark; the migration's own table comes before the mark.
async fn is_foreign(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    let (id, tables): (i64, i64) = sqlx::query_as(
        "SELECT application_id,
                (SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '%sqlx_migrations%')
         FROM pragma_application_id",
    )
    .fetch_one(connection)
    .await?;
    Ok(id != APPLICATION_ID && (id != 0 || tables > 0))
}

fn quiet(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .thread_name(|id| format!("record-{id}"))
        .disable_statement_logging()
}

/// The log is folded into the file by the maintenance, which may wait for the disk; a write does so
/// only when the log has grown to 8 MiB in between.
///
/// Temporary tables stay in memory: beside the store's folder nothing may be writable. Each of them
/// is small because every step of the maintenance is bounded.
fn writing(path: &Path) -> SqliteConnectOptions {
    quiet(path)
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-2048")
        .pragma("journal_size_limit", "4194304")
        .pragma("wal_autocheckpoint", "2000")
}

/// Reads beside whoever has the file open; where nobody has, the log is folded in and none is made.
pub(super) fn peeking(path: &Path) -> SqliteConnectOptions {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    quiet(path).read_only(true).immutable(!Path::new(&log).exists())
}

fn readers(path: &Path) -> SqlitePool {
    let reading =
        quiet(path).read_only(true).pragma("temp_store", "MEMORY").pragma("cache_size", "-512");
    SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .min_connections(0)
        .idle_timeout(READER_IDLE_MAX)
        .max_lifetime(None)
        .acquire_timeout(BUSY_TIMEOUT)
        .test_before_acquire(false)
        .connect_lazy_with(reading)
}
