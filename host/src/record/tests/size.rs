//! The stated size: 500 pools at 1 s for a month stay under 512 MiB.

use std::time::Instant;

use sqlx::AssertSqlSafe;

use super::*;
use crate::model::PoolKey;
use crate::record::HistoryQuery;
use crate::record::level::{Level, seconds};

const POOLS: i64 = 500;
const STATED_BYTES: u64 = 512 << 20;

/// Fills one level with large values: pools of thousands of clients and transactions.
async fn fill(store: &Store, level: Level, from_s: i64, until_s: i64) -> u64 {
    let scale = level.width_s() / 10;
    let sql = format!(
        "WITH RECURSIVE
            buckets (b) AS (SELECT ? UNION ALL SELECT b + 1 FROM buckets WHERE b + 1 < ?),
            numbers (p) AS (SELECT 1 UNION ALL SELECT p + 1 FROM numbers WHERE p < {POOLS})
         INSERT INTO {} SELECT b, p, 10 * {scale}, 4000 + p, 300 + b % 2000,
            {scale} * (9000 + b % 9999), 300 + p % 100, {scale} * (3000 + p), 400, 20000,
            3000000 + b % 60000000, {scale} * (90000 + b % 9999), {scale} * (400000 + p),
            {scale} * (400000000 + b), {scale} * (390000000 + b), {scale} * (900000000 + b)
         FROM buckets CROSS JOIN numbers",
        level.table()
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(from_s / level.width_s())
        .bind(until_s / level.width_s());
    query.execute(&mut store.writer().await.connection).await.expect("filled").rows_affected()
}

async fn pools(store: &Store) {
    let sql = format!(
        "WITH RECURSIVE numbers (p) AS
            (SELECT 1 UNION ALL SELECT p + 1 FROM numbers WHERE p < {POOLS})
         INSERT INTO pools SELECT p, 'main', 'shop', 'user' || p, {START_MS} FROM numbers"
    );
    let query = sqlx::query(AssertSqlSafe(sql));
    query.execute(&mut store.writer().await.connection).await.expect("filled");
}

#[tokio::test]
async fn a_month_of_500_pools_stays_under_the_stated_size() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let now = at(Duration::ZERO);
    let now_s = seconds(now);
    pools(&store).await;
    let mut rows = 0;
    for level in Level::ALL {
        // A tenth more than is kept, to be deleted.
        let kept_s = i64::try_from(level.kept().as_secs()).expect("fits");
        rows += fill(&store, level, now_s - kept_s - kept_s / 10, now_s).await;
        let mut writer = store.writer().await;
        sqlx::query("UPDATE levels SET rolled_until = ? WHERE name = ?")
            .bind(now_s / level.width_s() - 2)
            .bind(level.table())
            .execute(&mut writer.connection)
            .await
            .expect("marked");
    }
    let (mut calls, mut slowest) = (0, Duration::ZERO);
    loop {
        let begin = Instant::now();
        let done = store.maintain(now).await.expect("maintained");
        (calls, slowest) = (calls + 1, slowest.max(begin.elapsed()));
        rows = rows + done.history_made - done.history_deleted;
        if !done.unfinished {
            break;
        }
    }
    for level in Level::ALL {
        let kept_s = i64::try_from(level.kept().as_secs()).expect("fits");
        let sql = format!("SELECT min(bucket) FROM {}", level.table());
        let first: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut store.writer().await.connection)
            .await
            .expect("read");
        assert_eq!(first, (now_s - kept_s) / level.width_s(), "{level:?}");
    }
    let begin = Instant::now();
    let query = HistoryQuery {
        target: target("main"),
        pool: PoolKey::new("shop", "user77"),
        since: now.minus(35 * DAY),
        until: now,
        points_max: 500,
    };
    let points = store.history(&query).await.expect("read");
    let read = begin.elapsed();
    assert!(points.len() > 400 && points.len() <= 500);
    store.readers.close().await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_all(&mut store.writer().await.connection)
        .await
        .expect("folded in");
    let bytes = store.size_bytes().await.expect("there");
    println!(
        "{rows} rows, {bytes} bytes, {} bytes per row; maintenance: {calls} calls, slowest \
         {slowest:?}; 35 days of one pool: {read:?}",
        bytes / rows
    );
    assert!(rows > 4_300_000, "{rows} rows are less than a month");
    assert!(bytes < STATED_BYTES, "{bytes} bytes");
}
