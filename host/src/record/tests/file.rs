//! Opening: what is refused, and what survives.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use super::*;
use crate::record::RecordError;

fn database(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("poolwarden.db")
}

async fn refusal(dir: &tempfile::TempDir) -> RecordError {
    Store::open(&options(dir.path())).await.expect_err("refused")
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_free_again_after_close() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let error = refusal(&dir).await;
    assert!(matches!(&error, RecordError::InUse { path } if path == dir.path()), "{error:?}");
    store.close().await.expect("closed");
    open(dir.path()).await.close().await.expect("closed again");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_by_name_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "not a database, but somebody's notes\n".repeat(200);
    fs::write(database(&dir), &text).expect("written");
    let error = refusal(&dir).await;
    assert!(matches!(error, RecordError::NotAStore { .. }), "{error:?}");
    assert!(error.to_string().contains("poolwarden.db"));
    assert_eq!(fs::read_to_string(database(&dir)).expect("read"), text);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = SqliteConnectOptions::new().filename(database(&dir)).create_if_missing(true);
    let mut connection = options.connect().await.expect("made");
    connection.execute("CREATE TABLE albums (title TEXT)").await.expect("made");
    connection.close().await.expect("closed");
    let before = fs::read(database(&dir)).expect("read");
    let error = refusal(&dir).await;
    assert!(matches!(error, RecordError::NotAStore { .. }), "{error:?}");
    assert_eq!(fs::read(database(&dir)).expect("read"), before);
}

#[tokio::test]
async fn a_damaged_store_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    open(dir.path()).await.close().await.expect("closed");
    let mut bytes = fs::read(database(&dir)).expect("read");
    bytes[100..8192].fill(0x5a);
    fs::write(database(&dir), bytes).expect("written");
    let error = refusal(&dir).await;
    assert!(matches!(error, RecordError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("poolwarden.db"));
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    store
        .writer()
        .await
        .connection
        .execute(
            "INSERT INTO _sqlx_migrations
                SELECT 9000, description, installed_on, success, checksum, execution_time
                FROM _sqlx_migrations WHERE version = 1",
        )
        .await
        .expect("written");
    store.close().await.expect("closed");
    let error = refusal(&dir).await;
    assert!(matches!(error, RecordError::OtherVersion { version: 9000, .. }), "{error:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("taken"), "").expect("written");
    let dir = dir.path().join("taken").join("store");
    let error = Store::open(&options(&dir)).await.expect_err("refused");
    assert!(matches!(&error, RecordError::Folder { path, .. } if *path == dir), "{error:?}");
}

/// The files as they are while the store runs are what a `kill -9` leaves.
#[tokio::test]
async fn what_was_written_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let decision = resize(1);
    let batch = Batch { decisions: vec![decision.clone()], ..Batch::default() };
    write(&store, &batch).await;
    let after_kill = tempfile::tempdir().expect("a folder");
    for file in fs::read_dir(dir.path()).expect("read") {
        let file = file.expect("read");
        fs::copy(file.path(), after_kill.path().join(file.file_name())).expect("copied");
    }
    let reopened = open(after_kill.path()).await;
    let found = reopened.decision(decision.id).await.expect("read").expect("there");
    assert_eq!(found.decision, decision);
    assert_eq!(reopened.unsettled().await.expect("read"), [decision]);
}

#[tokio::test]
async fn a_store_dropped_without_close_opens_again_with_everything() {
    let dir = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        let store = open(dir.path()).await;
        let decisions = store.unsettled().await.expect("read");
        assert_eq!(u64::try_from(decisions.len()), Ok(number));
        write(&store, &Batch { decisions: vec![resize(number)], ..Batch::default() }).await;
    }
}

#[tokio::test]
async fn what_a_later_start_says_comes_last_though_the_clock_ran_ahead_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let decision = resize(1);
    for (status, h) in [(Status::Applied, 2), (Status::Inconclusive, 1)] {
        let store = open(dir.path()).await;
        let transitions = vec![changed(&decision, status, Duration::from_secs(3_600 * h))];
        let decisions = vec![decision.clone()];
        write(&store, &Batch { decisions, transitions, ..Batch::default() }).await;
        let found = store.decision(decision.id).await.expect("read").expect("there");
        assert_eq!(found.decision.status, status);
        assert_eq!(found.transitions.last().map(|one| one.status), Some(status));
        store.close().await.expect("closed");
    }
}

#[tokio::test]
async fn a_lock_held_by_another_program_is_told_as_busy() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let options = SqliteConnectOptions::new().filename(database(&dir));
    let mut other = options.connect().await.expect("opened");
    other.execute("BEGIN IMMEDIATE").await.expect("locked");
    let batch = Batch { decisions: vec![resize(1)], ..Batch::default() };
    let error = store.write(&batch).await.expect_err("locked");
    assert!(matches!(error, RecordError::Busy { .. }), "{error:?}");
    other.execute("ROLLBACK").await.expect("let go");
    write(&store, &batch).await;
}

#[tokio::test]
async fn sqlite_runs_with_the_promised_settings() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let settings: (String, i64, i64, i64, i64) = sqlx::query_as(
        "SELECT journal_mode, synchronous, auto_vacuum, foreign_keys, cache_size
         FROM pragma_journal_mode, pragma_synchronous, pragma_auto_vacuum, pragma_foreign_keys,
            pragma_cache_size",
    )
    .fetch_one(&mut store.writer().await.connection)
    .await
    .expect("read");
    assert_eq!(settings, ("wal".into(), 1, 2, 1, -2048));
    assert!(store.size_bytes().await.expect("there") > 0);
    let kept = at(Duration::ZERO);
    store.put_plugin(Digest([1; 32]), &[7; 2000], kept).await.expect("put");
    store.put_plugin(Digest([1; 32]), &[7; 2000], kept).await.expect("put again");
    let bytes = store.plugin(Digest([1; 32])).await.expect("read");
    assert_eq!(bytes, Some(vec![7; 2000]));
    assert_eq!(store.plugin(Digest([2; 32])).await.expect("read"), None);
}
