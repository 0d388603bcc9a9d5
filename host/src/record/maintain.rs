//! Keeps the store in shape: roll-ups, retention, room.
//!
//! Called every ten seconds or so. Each step is one short transaction and lets go of the writer
//! afterwards, so that a tick never waits for more than one step; what does not get done in one
//! call is done in the next.

use sqlx::Row;

use super::level::Level;
use super::prune::Before;
use super::{RecordError, Store};
use crate::model::Timestamp;

/// Steps of one sort of work in one call.
const STEPS_PER_CALL: u32 = 12;
/// Pages given back to the file system in one call: 4 MiB.
const PAGES_PER_CALL: i64 = 1024;
/// Free pages that the file keeps, because the next writes take them again.
const PAGES_SPARE: i64 = 256;
/// What the log may take beside the file.
const LOG_BYTES: u64 = 10 << 20;
/// Pages in the log from which on it is folded into the file: 2 MiB.
const LOG_PAGES: i64 = 512;

/// What one call of [`Store::maintain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Maintenance {
    /// Rows of coarser history that were made.
    pub history_made: u64,
    /// Rows of history that were deleted.
    pub history_deleted: u64,
    /// Evaluations that were deleted, for their age or for room.
    pub evaluations_deleted: u64,
    /// Decisions that were deleted, for their age or for room.
    pub decisions_deleted: u64,
    /// Plugins that were deleted.
    pub plugins_deleted: u64,
    /// Bytes in use within the file.
    pub used_bytes: u64,
    /// Whether work is left for the next call.
    pub unfinished: bool,
    /// Whether the store is too large and nothing is left that may be deleted.
    pub over_limit: bool,
}

/// What is deleted by its age and for room alike.
#[derive(Debug, Clone, Copy)]
enum Sort {
    Evaluations,
    Decisions,
}

/// The file's pages.
#[derive(Debug, Clone, Copy)]
struct Pages {
    count: i64,
    free: i64,
    bytes_each: i64,
}

impl Pages {
    fn used_bytes(self) -> u64 {
        u64::try_from((self.count - self.free) * self.bytes_each).unwrap_or(0)
    }
}

impl Store {
    /// Rolls history up, deletes what is old, and keeps the store within its largest size.
    ///
    /// For room it deletes the oldest inputs of evaluations, then the oldest history, then the
    /// oldest decisions; never an unsettled intent or a firing alert. The work of one call is
    /// bounded.
    ///
    /// # Errors
    /// When the file fails; steps that were done stay done.
    pub async fn maintain(&self, now: Timestamp) -> Result<Maintenance, RecordError> {
        self.work(now).await.map_err(|error| self.fail(error))
    }

    async fn work(&self, now: Timestamp) -> sqlx::Result<Maintenance> {
        let mut done = Maintenance::default();
        self.roll_up_all(now, &mut done).await?;
        self.retain(now, &mut done).await?;
        self.make_room(&mut done).await?;
        done.used_bytes = self.vacuum(&mut done).await?.used_bytes();
        self.fold_log().await?;
        Ok(done)
    }

    async fn roll_up_all(&self, now: Timestamp, done: &mut Maintenance) -> sqlx::Result<()> {
        for level in Level::ALL {
            let Some(finer) = level.finer() else { continue };
            done.unfinished |= 'steps: {
                for _ in 0..STEPS_PER_CALL {
                    match self.roll_up(level, finer, now).await? {
                        Some(made) => done.history_made += made,
                        None => break 'steps false,
                    }
                }
                true
            };
        }
        Ok(())
    }

    async fn retain(&self, now: Timestamp, done: &mut Maintenance) -> sqlx::Result<()> {
        for level in Level::ALL {
            let before = Before::Moment(now.minus(level.kept()));
            done.unfinished |= 'steps: {
                for _ in 0..STEPS_PER_CALL {
                    match self.prune_history(level, before).await? {
                        Some(deleted) => done.history_deleted += deleted,
                        None => break 'steps false,
                    }
                }
                true
            };
        }
        let inputs = now.minus(self.options.inputs_kept);
        let decisions = now.minus(self.options.decisions_kept);
        for (sort, before) in [(Sort::Evaluations, inputs), (Sort::Decisions, decisions)] {
            done.unfinished |= 'steps: {
                for _ in 0..STEPS_PER_CALL {
                    if self.prune(sort, Before::Moment(before), done).await? == 0 {
                        break 'steps false;
                    }
                }
                true
            };
        }
        self.prune_silences(decisions).await?;
        self.prune_holds(decisions).await?;
        done.plugins_deleted += self.prune_plugins(inputs).await?;
        self.prune_pools(now).await
    }

    async fn prune(&self, sort: Sort, before: Before, done: &mut Maintenance) -> sqlx::Result<u64> {
        let (deleted, sum) = match sort {
            Sort::Evaluations => {
                (self.prune_evaluations(before).await?, &mut done.evaluations_deleted)
            }
            Sort::Decisions => (self.prune_decisions(before).await?, &mut done.decisions_deleted),
        };
        *sum += deleted;
        Ok(deleted)
    }

    async fn make_room(&self, done: &mut Maintenance) -> sqlx::Result<()> {
        let size_max = self.options.size_max_bytes;
        let used_max = size_max.saturating_sub(LOG_BYTES).max(size_max / 2);
        for _ in 0..STEPS_PER_CALL {
            if self.pages().await?.used_bytes() <= used_max {
                return Ok(());
            }
            if self.prune(Sort::Evaluations, Before::Anything, done).await? > 0 {
                continue;
            }
            if let Some(level) = self.oldest_level().await? {
                let deleted = self.prune_history(level, Before::Anything).await?;
                done.history_deleted += deleted.unwrap_or(0);
                continue;
            }
            if self.prune(Sort::Decisions, Before::Anything, done).await? == 0 {
                done.over_limit = true;
                return Ok(());
            }
        }
        done.unfinished |= self.pages().await?.used_bytes() > used_max;
        Ok(())
    }

    /// Gives free pages back to the file system, when there are many or the file is too large.
    async fn vacuum(&self, done: &mut Maintenance) -> sqlx::Result<Pages> {
        let pages = self.pages().await?;
        let file_max = self.options.size_max_bytes.saturating_sub(LOG_BYTES);
        let too_large =
            i64::try_from(file_max).is_ok_and(|max| pages.count * pages.bytes_each > max);
        let spare = if too_large { 0 } else { PAGES_SPARE.max(pages.count / 16) };
        if pages.free > spare {
            done.unfinished |= pages.free > spare + PAGES_PER_CALL;
            let mut writer = self.writer().await;
            let sql = format!("PRAGMA incremental_vacuum({PAGES_PER_CALL})");
            sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut writer.connection).await?;
        }
        Ok(pages)
    }

    /// Folds the log into the file, so that no write has to wait for the disk.
    async fn fold_log(&self) -> sqlx::Result<()> {
        let mut writer = self.writer().await;
        let (_, pages, folded): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(&mut writer.connection).await?;
        if pages - folded >= LOG_PAGES {
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_all(&mut writer.connection).await?;
        }
        Ok(())
    }

    async fn pages(&self) -> sqlx::Result<Pages> {
        let row = sqlx::query(
            "SELECT page_count, freelist_count, page_size
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )
        .fetch_one(&mut self.writer().await.connection)
        .await?;
        Ok(Pages { count: row.try_get(0)?, free: row.try_get(1)?, bytes_each: row.try_get(2)? })
    }
}
