//! Makes coarser history of finer one, a bounded piece per transaction.
//!
//! A bucket is made once all that it is made of is there; making it again gives the same row. How
//! far that has got stands in the same transaction, so a crash repeats at most nothing.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::Store;
use super::counts::{COLUMNS, MERGED};
use super::level::{Level, Progress, first_bucket};
use crate::model::Timestamp;

/// Coarse buckets made in one transaction: with 500 pools at most 50 000 rows are read.
const BUCKETS_PER_STEP: i64 = 10;
/// Samples that are written this late are still in time.
const GRACE_S: i64 = 20;

impl Store {
    /// Makes the next piece of a level; gives the rows made, or nothing when all is made.
    pub(super) async fn roll_up(
        &self,
        level: Level,
        finer: Level,
        now: Timestamp,
    ) -> sqlx::Result<Option<u64>> {
        let mut writer = self.writer().await;
        let connection = &mut writer.connection;
        let progress = Progress::read(connection, level).await?;
        let whole_until = match finer {
            Level::TenSeconds => (super::level::seconds(now) - GRACE_S).div_euclid(level.width_s()),
            _ => Progress::read(connection, finer).await?.rolled_until / finer.per_coarser(),
        };
        if progress.rolled_until >= whole_until {
            return Ok(None);
        }
        writer.begin().await?;
        let rolled = roll(&mut writer.connection, (level, finer), progress, whole_until).await;
        writer.end(rolled).await.map(Some)
    }
}

async fn roll(
    connection: &mut SqliteConnection,
    (level, finer): (Level, Level),
    mut progress: Progress,
    whole_until: i64,
) -> sqlx::Result<u64> {
    let per = finer.per_coarser();
    let next = first_bucket(connection, finer, progress.rolled_until * per).await?;
    let from = next.map_or(whole_until, |bucket| (bucket / per).min(whole_until));
    let until = (from + BUCKETS_PER_STEP).min(whole_until);
    let mut made = 0;
    if from < until {
        let sql = format!(
            "INSERT OR REPLACE INTO {} (bucket, pool, {COLUMNS})
             SELECT bucket / ?, pool, {MERGED} FROM {}
             WHERE bucket >= ? AND bucket < ? GROUP BY 1, 2 ORDER BY 1, 2",
            level.table(),
            finer.table(),
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(per).bind(from * per).bind(until * per);
        made = query.execute(&mut *connection).await?.rows_affected();
    }
    progress.rolled_until = until;
    progress.write(connection, level).await?;
    Ok(made)
}
