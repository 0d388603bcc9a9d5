//! Reads the history of all pools of a target at once, for policies that look back.
//!
//! Asking pool by pool would seek each bucket once per pool; here each bucket is read once, in the
//! order of the key, for every pool. The caller asks in pieces ([`PastQuery`] says how large), so
//! that no read transaction lasts: a long one would keep SQLite from folding its log into the file.
//! Readers and the writer do not wait for each other.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::counts::{COLUMNS, MERGED, PoolCounts};
use super::level::{Level, Progress, seconds};
use super::wire::to_ms;
use super::{RecordError, Store};
use crate::model::{PoolKey, TargetName, Timestamp};

/// Which steps of a target's history are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastQuery {
    /// The PgBouncer.
    pub target: TargetName,
    /// Begin of the first step, a whole multiple of `step` since 1970.
    pub from: Timestamp,
    /// Length of a step, a whole multiple of 10 minutes.
    pub step: Duration,
    /// Number of steps; [`PastQuery::PIECE`] of them at most are read quickly.
    pub steps: u32,
}

impl PastQuery {
    /// Steps that one question should ask for: with 500 pools some 50 ms of reading.
    pub const PIECE: u32 = 24;
}

/// What was seen of one pool in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastRow {
    /// The pool's number in the store, as [`Store::past_pools`] names it.
    pub pool: i64,
    /// Number of the step within the query.
    pub step: u32,
    /// What was seen.
    pub counts: PoolCounts,
}

/// A step that is made of buckets of one level.
#[derive(Clone, Copy)]
struct Part {
    level: Level,
    from_s: i64,
    to_s: i64,
    step_s: i64,
}

impl Store {
    /// Gives the numbers of all pools of a target that were seen since a moment, to within a day.
    ///
    /// # Errors
    /// When the file fails.
    pub async fn past_pools(
        &self,
        target: &TargetName,
        since: Timestamp,
    ) -> Result<HashMap<i64, PoolKey>, RecordError> {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let rows =
            sqlx::query("SELECT id, database, user FROM pools WHERE target = ? AND seen_ms >= ?")
                .bind(target.as_str())
                .bind(to_ms(since.minus(DAY)))
                .fetch_all(&self.readers)
                .await
                .map_err(|error| self.fail(error))?;
        let pool = |row: &sqlx::sqlite::SqliteRow| {
            let (database, user): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
            Ok((row.try_get(0)?, PoolKey::new(database, user)))
        };
        let pools: sqlx::Result<_> = rows.iter().map(pool).collect();
        pools.map_err(|error| self.fail(error))
    }

    /// Gives what was seen of every pool of a target in the steps asked for.
    ///
    /// A step of a pool may come in several rows, the earlier part first: what is not rolled up yet
    /// comes from finer levels.
    ///
    /// # Errors
    /// When the file fails.
    pub async fn past(&self, query: &PastQuery) -> Result<Vec<PastRow>, RecordError> {
        let mut reader = self.readers.begin().await.map_err(|error| self.fail(error))?;
        read(&mut reader, query).await.map_err(|error| self.fail(error))
    }
}

async fn read(reader: &mut SqliteConnection, query: &PastQuery) -> sqlx::Result<Vec<PastRow>> {
    let step_s = i64::try_from(query.step.as_secs()).unwrap_or(i64::MAX).max(1);
    let first = seconds(query.from) / step_s;
    let end_s = (first + i64::from(query.steps)) * step_s;
    let mut rows = Vec::new();
    let mut from_s = first * step_s;
    for level in Level::ALL.into_iter().rev() {
        let whole_s = match level {
            Level::TenSeconds => end_s,
            _ => {
                let rolled = Progress::read(reader, level).await?.rolled_until;
                (rolled * level.width_s()).min(end_s)
            }
        };
        if whole_s > from_s {
            let part = Part { level, from_s, to_s: whole_s, step_s };
            read_part(reader, query, part, &mut rows).await?;
            from_s = whole_s;
        }
    }
    Ok(rows)
}

/// Reads a part; where buckets have to be merged, step by step, because SQLite sorts for that, and
/// sorting a little many times is twice as fast as sorting all at once.
async fn read_part(
    reader: &mut SqliteConnection,
    query: &PastQuery,
    part: Part,
    rows: &mut Vec<PastRow>,
) -> sqlx::Result<()> {
    let Part { level, from_s, to_s, step_s } = part;
    let width_s = level.width_s();
    let merges = width_s < step_s;
    let columns = if merges { MERGED } else { COLUMNS };
    let group = if merges { "GROUP BY pool" } else { "" };
    let sql = format!(
        "SELECT pool, {columns}, bucket FROM {} WHERE bucket >= ? AND bucket < ?
            AND pool IN (SELECT id FROM pools WHERE target = ?) {group}",
        level.table(),
    );
    let first = seconds(query.from) / step_s;
    let mut from = from_s;
    while from < to_s {
        let step_end = if merges { (from / step_s + 1) * step_s } else { to_s };
        let to = step_end.min(to_s);
        let found = sqlx::query(AssertSqlSafe(sql.as_str()))
            .bind(from / width_s)
            .bind((to + width_s - 1) / width_s)
            .bind(query.target.as_str())
            .fetch_all(&mut *reader)
            .await?;
        rows.reserve(found.len());
        for row in &found {
            let bucket: i64 = row.try_get(15)?;
            let step = u32::try_from(bucket * width_s / step_s - first).unwrap_or(0);
            let counts = PoolCounts::from_row(row)?;
            rows.push(PastRow { pool: row.try_get(0)?, step, counts });
        }
        from = to;
    }
    Ok(())
}
