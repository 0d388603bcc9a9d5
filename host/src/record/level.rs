//! The three resolutions of history and how far each has got.
//!
//! Widths divide one another, so that a coarse bucket is made of whole finer ones.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::model::Timestamp;

/// A resolution of history, finest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    TenSeconds,
    Minute,
    TenMinutes,
}

impl Level {
    pub(super) const ALL: [Self; 3] = [Self::TenSeconds, Self::Minute, Self::TenMinutes];

    /// Gives the width of a bucket, in seconds.
    pub(super) const fn width_s(self) -> i64 {
        match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::TenMinutes => 600,
        }
    }

    /// Gives how long its buckets are kept.
    pub(super) const fn kept(self) -> Duration {
        const HOUR_S: u64 = 3600;
        match self {
            Self::TenSeconds => Duration::from_secs(2 * HOUR_S),
            Self::Minute => Duration::from_secs(48 * HOUR_S),
            Self::TenMinutes => Duration::from_secs(35 * 24 * HOUR_S),
        }
    }

    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::TenSeconds => "history_10s",
            Self::Minute => "history_1m",
            Self::TenMinutes => "history_10m",
        }
    }

    pub(super) const fn finer(self) -> Option<Self> {
        match self {
            Self::TenSeconds => None,
            Self::Minute => Some(Self::TenSeconds),
            Self::TenMinutes => Some(Self::Minute),
        }
    }

    pub(super) const fn coarser(self) -> Option<Self> {
        match self {
            Self::TenSeconds => Some(Self::Minute),
            Self::Minute => Some(Self::TenMinutes),
            Self::TenMinutes => None,
        }
    }

    /// Gives how many of its buckets make one of the next coarser level.
    pub(super) const fn per_coarser(self) -> i64 {
        match self.coarser() {
            Some(coarser) => coarser.width_s() / self.width_s(),
            None => 1,
        }
    }

    /// Gives the bucket that holds a moment.
    pub(super) fn bucket(self, at: Timestamp) -> i64 {
        seconds(at) / self.width_s()
    }
}

/// Gives whole seconds since 1970.
pub(super) fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis() / 1000).expect("a u64 / 1000 fits an i64")
}

/// How far one level has got, in its own buckets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// Everything before it is made from the finer level; 0 for the finest.
    pub(super) rolled_until: i64,
    /// Everything before it is deleted.
    pub(super) kept_from: i64,
}

impl Progress {
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        level: Level,
    ) -> sqlx::Result<Self> {
        let row = sqlx::query("SELECT rolled_until, kept_from FROM levels WHERE name = ?")
            .bind(level.table())
            .fetch_one(connection)
            .await?;
        Ok(Self { rolled_until: row.try_get(0)?, kept_from: row.try_get(1)? })
    }

    pub(super) async fn write(
        self,
        connection: &mut SqliteConnection,
        level: Level,
    ) -> sqlx::Result<()> {
        sqlx::query("UPDATE levels SET rolled_until = ?, kept_from = ? WHERE name = ?")
            .bind(self.rolled_until)
            .bind(self.kept_from)
            .bind(level.table())
            .execute(connection)
            .await
            .map(drop)
    }
}

/// Gives the first bucket at or after `from`, when there is one.
pub(super) async fn first_bucket(
    connection: &mut SqliteConnection,
    level: Level,
    from: i64,
) -> sqlx::Result<Option<i64>> {
    let sql = format!("SELECT min(bucket) FROM {} WHERE bucket >= ?", level.table());
    sqlx::query_scalar(AssertSqlSafe(sql)).bind(from).fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_bucket_is_made_of_whole_finer_ones() {
        for level in Level::ALL {
            if let Some(coarser) = level.coarser() {
                assert_eq!(coarser.width_s() % level.width_s(), 0);
                assert_eq!(coarser.finer(), Some(level));
                assert!(coarser.kept() > level.kept());
            }
        }
    }
}
