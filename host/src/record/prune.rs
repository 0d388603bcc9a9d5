//! Deletes what is older than it is kept, a bounded piece per transaction.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::Store;
use super::level::{Level, Progress, first_bucket};
use super::wire::to_ms;
use crate::model::{Digest, Timestamp};

/// Rows of history deleted in one transaction, about.
const HISTORY_PER_STEP: i64 = 20_000;
/// Evaluations deleted in one transaction; each may be tens of kilobytes.
const EVALUATIONS_PER_STEP: i64 = 100;
/// Decisions deleted in one transaction, with their transitions.
const DECISIONS_PER_STEP: i64 = 200;

impl Store {
    /// Deletes the oldest history of a level; gives the rows deleted, or nothing when all is done.
    pub(super) async fn prune_history(
        &self,
        level: Level,
        before: Before,
    ) -> sqlx::Result<Option<u64>> {
        let mut writer = self.writer().await;
        let connection = &mut writer.connection;
        let progress = Progress::read(connection, level).await?;
        let mut end = match before {
            Before::Anything => i64::MAX,
            Before::Moment(at) => whole(level, level.bucket(at)),
        };
        if let (Before::Moment(_), Some(coarser)) = (before, level.coarser()) {
            let rolled = Progress::read(connection, coarser).await?.rolled_until;
            end = end.min(rolled * level.per_coarser());
        }
        if end == progress.kept_from {
            return Ok(None);
        }
        writer.begin().await?;
        let deleted = delete_history(&mut writer.connection, level, progress, end).await;
        writer.end(deleted).await
    }

    /// Finds the level whose oldest bucket began first.
    pub(super) async fn oldest_level(&self) -> sqlx::Result<Option<Level>> {
        let mut writer = self.writer().await;
        let mut oldest: Option<(i64, Level)> = None;
        for level in Level::ALL {
            if let Some(bucket) = first_bucket(&mut writer.connection, level, 0).await? {
                let began = bucket * level.width_s();
                if oldest.is_none_or(|(at, _)| began <= at) {
                    oldest = Some((began, level));
                }
            }
        }
        Ok(oldest.map(|(_, level)| level))
    }

    /// Forgets the names of pools that no level has any more.
    pub(super) async fn prune_pools(&self, now: Timestamp) -> sqlx::Result<()> {
        const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
        let gone = to_ms(now.minus(Level::TenMinutes.kept() + 2 * DAY));
        let mut writer = self.writer().await;
        let deleted = sqlx::query("DELETE FROM pools WHERE seen_ms < ?")
            .bind(gone)
            .execute(&mut writer.connection)
            .await?;
        if deleted.rows_affected() > 0 {
            writer.pools.clear();
        }
        Ok(())
    }

    /// Deletes the oldest evaluations; gives how many.
    pub(super) async fn prune_evaluations(&self, before: Before) -> sqlx::Result<u64> {
        let mut writer = self.writer().await;
        let deleted = sqlx::query(
            "DELETE FROM evaluations WHERE rowid IN
                (SELECT rowid FROM evaluations WHERE at_ms < ? ORDER BY at_ms LIMIT ?)",
        )
        .bind(before.ms())
        .bind(EVALUATIONS_PER_STEP)
        .execute(&mut writer.connection)
        .await?;
        Ok(deleted.rows_affected())
    }

    /// Deletes the oldest decisions that are over; gives how many.
    ///
    /// An intent that is not settled and an alert that holds stay however old they are.
    pub(super) async fn prune_decisions(&self, before: Before) -> sqlx::Result<u64> {
        let mut writer = self.writer().await;
        let deleted = sqlx::query(
            "DELETE FROM decisions WHERE id IN
                (SELECT id FROM decisions
                 WHERE at_ms < ? AND status <> 'firing'
                    AND NOT (acts = 1 AND status IN ('proposed', 'applied'))
                    AND id NOT IN (SELECT decision FROM alerts WHERE decision IS NOT NULL)
                 ORDER BY at_ms LIMIT ?)",
        )
        .bind(before.ms())
        .bind(DECISIONS_PER_STEP)
        .execute(&mut writer.connection)
        .await?;
        Ok(deleted.rows_affected())
    }

    /// Deletes plugins that are old, that no evaluation names and that this process did not put.
    pub(super) async fn prune_plugins(&self, before: Timestamp) -> sqlx::Result<u64> {
        let mut writer = self.writer().await;
        let unused: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT digest FROM plugins WHERE added_ms < ? AND NOT EXISTS
                (SELECT 1 FROM evaluations WHERE evaluations.digest = plugins.digest)",
        )
        .bind(to_ms(before))
        .fetch_all(&mut writer.connection)
        .await?;
        let mut deleted = 0;
        for digest in unused {
            let known = <[u8; 32]>::try_from(digest.as_slice()).map(Digest);
            if known.is_ok_and(|digest| writer.plugins.contains(&digest)) {
                continue;
            }
            let query = sqlx::query("DELETE FROM plugins WHERE digest = ?").bind(digest);
            deleted += query.execute(&mut writer.connection).await?.rows_affected();
        }
        Ok(deleted)
    }
}

/// How old is too old.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before {
    /// Everything, oldest first: the store is too large.
    Anything,
    /// Whatever is older.
    Moment(Timestamp),
}

impl Before {
    fn ms(self) -> i64 {
        match self {
            Self::Anything => i64::MAX,
            Self::Moment(at) => to_ms(at),
        }
    }
}

/// Cuts to a whole bucket of the coarser level: it can be made again from all its parts or not at
/// all.
fn whole(level: Level, bucket: i64) -> i64 {
    bucket - bucket.rem_euclid(level.per_coarser())
}

async fn delete_history(
    connection: &mut SqliteConnection,
    level: Level,
    mut progress: Progress,
    end: i64,
) -> sqlx::Result<Option<u64>> {
    let table = level.table();
    let reach = format!(
        "SELECT bucket FROM {table} WHERE bucket < ? ORDER BY bucket, pool LIMIT 1 OFFSET ?"
    );
    let reached: Option<i64> = sqlx::query_scalar(AssertSqlSafe(reach))
        .bind(end)
        .bind(HISTORY_PER_STEP)
        .fetch_optional(&mut *connection)
        .await?;
    let last = format!("SELECT max(bucket) FROM {table} WHERE bucket < ?");
    let last: Option<i64> =
        sqlx::query_scalar(AssertSqlSafe(last)).bind(end).fetch_one(&mut *connection).await?;
    let after = |bucket: i64| whole(level, bucket) + level.per_coarser();
    // Without an end the mark goes no further than what is deleted.
    let all = if end == i64::MAX { last.map_or(progress.kept_from, after) } else { end };
    let cut = reached.map_or(all, |bucket| after(bucket).min(all));
    let query = format!("DELETE FROM {table} WHERE bucket < ?");
    let deleted = sqlx::query(AssertSqlSafe(query)).bind(cut).execute(&mut *connection).await?;
    progress.kept_from = cut;
    progress.write(&mut *connection, level).await?;
    if let Some(coarser) = level.coarser() {
        let mut above = Progress::read(&mut *connection, coarser).await?;
        let made = cut / level.per_coarser();
        if above.rolled_until < made {
            above.rolled_until = made;
            above.write(connection, coarser).await?;
        }
    }
    Ok(Some(deleted.rows_affected()))
}
