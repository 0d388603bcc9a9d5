//! Writes and reads the history of pools: 10 s for 2 hours, 1 min for 2 days, 10 min for 35 days.
//!
//! A row takes 85 bytes when its values are large, less otherwise: pools are interned and counts
//! are SQLite's variable-length integers. Reading one pool seeks each of its buckets: the key
//! begins with the bucket (the schema says why), so a plain range would read every other pool's
//! rows too.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, SqliteConnection};

use super::counts::{COLUMNS, MERGED, PoolCounts};
use super::level::{Level, Progress, first_bucket, seconds};
use super::wire::to_ms;
use super::writer::{Interned, Writer};
use super::{RecordError, Store};
use crate::model::{PoolKey, TargetName, Timestamp};

/// What was seen of one pool in one bucket of 10 seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistorySample {
    /// Any moment within the bucket; buckets begin at whole multiples of 10 s.
    pub at: Timestamp,
    /// The PgBouncer.
    pub target: TargetName,
    /// The pool.
    pub pool: PoolKey,
    /// What was seen.
    pub counts: PoolCounts,
}

/// Which part of a pool's history is wanted, and how fine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The PgBouncer.
    pub target: TargetName,
    /// The pool.
    pub pool: PoolKey,
    /// Not before this moment.
    pub since: Timestamp,
    /// Before this moment.
    pub until: Timestamp,
    /// Most points in the answer, at least 2.
    pub points_max: u32,
}

/// What was seen of a pool in one step of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPoint {
    /// Begin of the step.
    pub at: Timestamp,
    /// Length of the step, the same for every point of an answer.
    pub span: Duration,
    /// What was seen.
    pub counts: PoolCounts,
}

/// Rows of one INSERT: 16 values each, within SQLite's 32 766.
const ROWS_PER_INSERT: usize = 64;
/// A pool that is seen is marked so once a day.
const SEEN_EVERY_MS: i64 = 24 * 3600 * 1000;
impl Store {
    /// Writes samples of 10-second buckets, all or nothing.
    ///
    /// Of two samples of one bucket the one with more polls stays, so writing twice does no harm.
    /// A sample that is older than what the finest level keeps is left out.
    ///
    /// # Errors
    /// When the disk is full, or the file fails otherwise.
    pub async fn write_history(&self, samples: &[HistorySample]) -> Result<(), RecordError> {
        if samples.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer().await;
        writer.begin().await.map_err(|error| self.fail(error))?;
        let written = write(&mut writer, samples).await;
        let interned = writer.end(written).await.map_err(|error| self.fail(error))?;
        for (sample, pool) in samples.iter().zip(interned) {
            let pools = writer.pools.entry(sample.target.clone()).or_default();
            pools.insert(sample.pool.clone(), pool);
        }
        Ok(())
    }

    /// Gives a pool's history in steps of equal length, oldest first; steps unseen are left out.
    ///
    /// The finest level that still has the whole span within `points_max` answers; where even the
    /// coarsest has more, its buckets are merged. What is not rolled up yet comes from finer
    /// levels.
    ///
    /// # Errors
    /// When the file fails.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryPoint>, RecordError> {
        let mut reader = self.readers.begin().await.map_err(|error| self.fail(error))?;
        read(&mut reader, query).await.map_err(|error| self.fail(error))
    }
}

/// Writes all rows in the order of the key, which keeps pages full.
async fn write(writer: &mut Writer, samples: &[HistorySample]) -> sqlx::Result<Vec<Interned>> {
    let mut interned = Vec::with_capacity(samples.len());
    for sample in samples {
        interned.push(intern(writer, sample).await?);
    }
    let finest = Level::TenSeconds;
    let kept_from = Progress::read(&mut writer.connection, finest).await?.kept_from;
    let row = |(sample, pool): (&HistorySample, &Interned)| {
        (finest.bucket(sample.at), pool.id, sample.counts.to_row())
    };
    let mut rows: Vec<_> = samples.iter().zip(&interned).map(row).collect();
    rows.retain(|(bucket, _, _)| *bucket >= kept_from);
    rows.sort_unstable();
    if let Some((oldest, _, _)) = rows.first() {
        reopen(&mut writer.connection, *oldest).await?;
    }
    for chunk in rows.chunks(ROWS_PER_INSERT) {
        insert(&mut writer.connection, chunk).await?;
    }
    Ok(interned)
}

async fn insert(
    connection: &mut SqliteConnection,
    rows: &[(i64, i64, [i64; 14])],
) -> sqlx::Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO history_10s (bucket, pool, ");
    query.push(COLUMNS).push(") ");
    query.push_values(rows, |mut row, (bucket, pool, counts)| {
        row.push_bind(*bucket).push_bind(*pool);
        for count in counts {
            row.push_bind(*count);
        }
    });
    query.push(" ON CONFLICT (bucket, pool) DO UPDATE SET ");
    let mut set = query.separated(", ");
    for column in COLUMNS.split(", ") {
        set.push(format_args!("{column} = excluded.{column}"));
    }
    query.push(" WHERE excluded.samples >= history_10s.samples");
    query.build().execute(connection).await.map(drop)
}

async fn intern(writer: &mut Writer, sample: &HistorySample) -> sqlx::Result<Interned> {
    let seen_ms = to_ms(sample.at);
    let known = writer.pools.get(&sample.target).and_then(|pools| pools.get(&sample.pool));
    if let Some(known) = known
        && seen_ms < known.seen_ms.saturating_add(SEEN_EVERY_MS)
    {
        return Ok(*known);
    }
    let id = sqlx::query_scalar(
        "INSERT INTO pools (target, database, user, seen_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (target, database, user) DO UPDATE SET seen_ms = excluded.seen_ms
         RETURNING id",
    )
    .bind(sample.target.as_str())
    .bind(&*sample.pool.database)
    .bind(&*sample.pool.user)
    .bind(seen_ms)
    .fetch_one(&mut writer.connection)
    .await?;
    Ok(Interned { id, seen_ms })
}

/// Has what a late sample belongs to rolled up once more, where all that it is made of is there.
async fn reopen(connection: &mut SqliteConnection, oldest: i64) -> sqlx::Result<()> {
    let mut finer_kept_from = 0;
    for level in Level::ALL {
        let mut progress = Progress::read(connection, level).await?;
        let first = oldest * Level::TenSeconds.width_s() / level.width_s();
        let whole_from = level.finer().map_or(0, |finer| finer_kept_from / finer.per_coarser());
        if first < progress.rolled_until && first >= whole_from {
            progress.rolled_until = first;
            progress.write(connection, level).await?;
        }
        finer_kept_from = progress.kept_from;
    }
    Ok(())
}

/// The steps of an answer: which level they come from and how long they are.
struct Steps {
    level: usize,
    step_s: i64,
    since_s: i64,
    until_s: i64,
}

async fn read(
    reader: &mut SqliteConnection,
    query: &HistoryQuery,
) -> sqlx::Result<Vec<HistoryPoint>> {
    let found =
        sqlx::query_scalar("SELECT id FROM pools WHERE target = ? AND database = ? AND user = ?")
            .bind(query.target.as_str())
            .bind(&*query.pool.database)
            .bind(&*query.pool.user)
            .fetch_optional(&mut *reader)
            .await?;
    let Some(pool): Option<i64> = found else { return Ok(Vec::new()) };
    let Some(span) = span(reader, query).await? else { return Ok(Vec::new()) };
    let steps = choose(reader, span, query.points_max).await?;
    let mut points = BTreeMap::new();
    let mut from_s = steps.since_s;
    for level in Level::ALL[..=steps.level].iter().rev().copied() {
        let rolled_until = Progress::read(reader, level).await?.rolled_until;
        let whole_s = match level {
            Level::TenSeconds => steps.until_s,
            _ => (rolled_until * level.width_s()).min(steps.until_s),
        };
        if whole_s > from_s {
            read_level(reader, level, pool, (from_s, whole_s, steps.step_s), &mut points).await?;
            from_s = whole_s;
        }
    }
    let span = Duration::from_secs(u64::try_from(steps.step_s).unwrap_or(0));
    let point = |(step, counts): (i64, PoolCounts)| HistoryPoint {
        at: Timestamp::from_millis(u64::try_from(step * steps.step_s * 1000).unwrap_or(0)),
        span,
        counts,
    };
    Ok(points.into_iter().map(point).collect())
}

/// Gives the asked span in seconds, cut to what there is of any pool.
async fn span(
    reader: &mut SqliteConnection,
    query: &HistoryQuery,
) -> sqlx::Result<Option<(i64, i64)>> {
    let mut there: Option<(i64, i64)> = None;
    for level in Level::ALL {
        let sql = format!("SELECT max(bucket) FROM {}", level.table());
        let last: Option<i64> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *reader).await?;
        if let (Some(first), Some(last)) = (first_bucket(reader, level, 0).await?, last) {
            let (from, to) = (first * level.width_s(), (last + 1) * level.width_s());
            there = there.map_or(Some((from, to)), |(a, b)| Some((a.min(from), b.max(to))));
        }
    }
    // The second in which the last moment before `until` lies counts as a whole.
    let end = query.until.plus(Duration::from_millis(999));
    let asked = |(from, to): (i64, i64)| (from.max(seconds(query.since)), to.min(seconds(end)));
    Ok(there.map(asked).filter(|(from, to)| from < to))
}

async fn choose(
    reader: &mut SqliteConnection,
    (since_s, until_s): (i64, i64),
    points_max: u32,
) -> sqlx::Result<Steps> {
    let points_max = i64::from(points_max.max(2));
    let count = |step_s: i64| (until_s - 1) / step_s - since_s / step_s + 1;
    let mut steps = Steps { level: 2, step_s: Level::TenMinutes.width_s(), since_s, until_s };
    for (index, level) in Level::ALL.into_iter().enumerate() {
        let kept_from = Progress::read(reader, level).await?.kept_from;
        if since_s / level.width_s() >= kept_from && count(level.width_s()) <= points_max {
            steps = Steps { level: index, step_s: level.width_s(), since_s, until_s };
            break;
        }
    }
    while count(steps.step_s) > points_max {
        let fit = (until_s - since_s) / points_max / Level::TenMinutes.width_s();
        steps.step_s =
            (steps.step_s + Level::TenMinutes.width_s()).max(fit * Level::TenMinutes.width_s());
    }
    Ok(steps)
}

/// Adds the buckets of one level that begin within a span, seeking each of them.
async fn read_level(
    reader: &mut SqliteConnection,
    level: Level,
    pool: i64,
    (from_s, to_s, step_s): (i64, i64, i64),
    points: &mut BTreeMap<i64, PoolCounts>,
) -> sqlx::Result<()> {
    let width_s = level.width_s();
    let sql = format!(
        "WITH RECURSIVE wanted (n) AS
            (SELECT ? UNION ALL SELECT n + 1 FROM wanted WHERE n + 1 < ?)
         SELECT bucket * ? / ? AS step, {MERGED}
         FROM wanted CROSS JOIN {} ON bucket = n AND pool = ?
         GROUP BY step ORDER BY step",
        level.table(),
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(from_s / width_s)
        .bind((to_s + width_s - 1) / width_s)
        .bind(width_s)
        .bind(step_s)
        .bind(pool)
        .fetch_all(&mut *reader)
        .await?;
    for row in &rows {
        let counts = PoolCounts::from_row(row)?;
        let step = row.try_get(0)?;
        points
            .entry(step)
            .and_modify(|seen: &mut PoolCounts| seen.merge(&counts))
            .or_insert(counts);
    }
    Ok(())
}
