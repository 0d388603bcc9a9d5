//! History through the real writer and the real maintenance.

use std::time::Instant;

use sqlx::AssertSqlSafe;

use super::*;
use crate::model::PoolKey;
use crate::record::level::Level;
use crate::record::{HistoryPoint, HistoryQuery, HistorySample, PoolCounts};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Counts that differ from bucket to bucket and from pool to pool.
fn counts(bucket: u32, pool: u32) -> PoolCounts {
    PoolCounts {
        samples: 10,
        cl_active_max: bucket % 97 + pool,
        cl_waiting_max: bucket % 31,
        cl_waiting_sum: u64::from(bucket % 31 * 5),
        sv_active_max: bucket % 23,
        sv_active_sum: u64::from(bucket % 23 * 7),
        servers_max: bucket % 29,
        size: 20 + bucket % 1000,
        maxwait_us_max: u64::from(bucket) * 13,
        transactions: u64::from(bucket) + 1,
        queries: u64::from(bucket) * 3 + 1,
        transaction_us: u64::from(bucket) * 1001,
        query_us: u64::from(bucket) * 997,
        wait_us: u64::from(bucket) * u64::from(pool),
    }
}

pub(super) fn sample(bucket: u32, pool: u32) -> HistorySample {
    HistorySample {
        at: at(Duration::from_secs(10) * bucket + Duration::from_secs(3)),
        target: target("main"),
        pool: PoolKey::new("shop", &format!("user{pool}")),
        counts: counts(bucket, pool),
    }
}

fn asked(pool: u32, since: Duration, until: Duration, points_max: u32) -> HistoryQuery {
    HistoryQuery {
        target: target("main"),
        pool: sample(0, pool).pool,
        since: at(since),
        until: at(until),
        points_max,
    }
}

pub(super) async fn feed(store: &Store, buckets: std::ops::Range<u32>, pools: u32) {
    for bucket in buckets {
        let samples: Vec<_> = (0..pools).map(|pool| sample(bucket, pool)).collect();
        store.write_history(&samples).await.expect("written");
    }
}

/// Adds up whole buckets of 10 seconds as the roll-ups should.
pub(super) fn sum(buckets: std::ops::Range<u32>, pool: u32) -> PoolCounts {
    let mut all = PoolCounts::default();
    for counts in buckets.map(|bucket| counts(bucket, pool)) {
        all.samples += counts.samples;
        all.cl_active_max = all.cl_active_max.max(counts.cl_active_max);
        all.cl_waiting_max = all.cl_waiting_max.max(counts.cl_waiting_max);
        all.cl_waiting_sum += counts.cl_waiting_sum;
        all.sv_active_max = all.sv_active_max.max(counts.sv_active_max);
        all.sv_active_sum += counts.sv_active_sum;
        all.servers_max = all.servers_max.max(counts.servers_max);
        all.size = counts.size;
        all.maxwait_us_max = all.maxwait_us_max.max(counts.maxwait_us_max);
        all.transactions += counts.transactions;
        all.queries += counts.queries;
        all.transaction_us += counts.transaction_us;
        all.query_us += counts.query_us;
        all.wait_us += counts.wait_us;
    }
    all
}

async fn rows(store: &Store, level: Level) -> (i64, i64) {
    let sql = format!(
        "SELECT count(*), coalesce(min(bucket), 0) * {} FROM {}",
        level.width_s(),
        level.table()
    );
    let mut writer = store.writer().await;
    sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut writer.connection).await.expect("counted")
}

#[tokio::test]
async fn a_day_through_writer_and_maintenance_conserves_every_sum() {
    const POOLS: u32 = 3;
    const BUCKETS: u32 = 8640;
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = open(dir.path()).await;
    let mut slowest = Duration::ZERO;
    for bucket in 0..BUCKETS {
        feed(&store, bucket..bucket + 1, POOLS).await;
        if bucket == BUCKETS / 2 {
            // A crash in between, and an hour without maintenance before.
            store = {
                drop(store);
                open(dir.path()).await
            };
        }
        if !(BUCKETS / 2 - 360..BUCKETS / 2).contains(&bucket) {
            let begin = Instant::now();
            store.maintain(at(Duration::from_secs(10) * (bucket + 1))).await.expect("maintained");
            slowest = slowest.max(begin.elapsed());
        }
    }
    println!("slowest maintenance of the day: {slowest:?}");
    maintain(&store, at(DAY + 2 * MINUTE)).await;
    for pool in 0..POOLS {
        // Coarsest, from its own level.
        let points = store.history(&asked(pool, Duration::ZERO, DAY, 144)).await.expect("read");
        assert_eq!(points.len(), 144);
        for (index, point) in (0..).zip(&points) {
            let expected = HistoryPoint {
                at: at(10 * MINUTE * index),
                span: 10 * MINUTE,
                counts: sum(index * 60..(index + 1) * 60, pool),
            };
            assert_eq!(*point, expected);
        }
        // Every minute of the day, from the middle level.
        let points = store.history(&asked(pool, Duration::ZERO, DAY, 1440)).await.expect("read");
        let made = points.iter().map(|point| point.counts).collect::<Vec<_>>();
        let expected: Vec<_> = (0..1440).map(|m| sum(m * 6..(m + 1) * 6, pool)).collect();
        assert_eq!(made, expected);
    }
    let (kept, first_s) = rows(&store, Level::TenSeconds).await;
    let start_s = i64::try_from(START_MS / 1000).expect("fits");
    assert_eq!(first_s, start_s + 22 * 3600 + 120, "two hours back from the last maintenance");
    assert_eq!(kept, i64::from(POOLS) * (720 - 12));
}

#[tokio::test]
async fn the_finest_level_that_fits_answers_and_the_coarsest_is_merged_further() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    feed(&store, 0..720, 2).await;
    maintain(&store, at(2 * HOUR)).await;
    for (points_max, span_s, points) in
        [(10_000, 10, 720), (720, 10, 720), (719, 60, 120), (120, 60, 120), (119, 600, 12)]
    {
        let found = store.history(&asked(1, Duration::ZERO, 2 * HOUR, points_max)).await;
        let found = found.expect("read");
        assert_eq!(found.len(), points, "at most {points_max}");
        assert_eq!(found[0].span, Duration::from_secs(span_s));
        assert_eq!(found.iter().map(|p| p.counts.samples).sum::<u32>(), 7200);
        let transactions: u64 = found.iter().map(|point| point.counts.transactions).sum();
        assert_eq!(transactions, sum(0..720, 1).transactions);
    }
    for points_max in [0, 2, 3, 5, 11] {
        let found = store.history(&asked(1, Duration::ZERO, 100 * DAY, points_max)).await;
        let found = found.expect("read");
        assert!(found.len() <= usize::try_from(points_max.max(2)).expect("small"));
        assert_eq!(found.iter().map(|p| p.counts.samples).sum::<u32>(), 7200);
        assert_eq!(found.last().map(|point| point.counts.size), Some(counts(719, 1).size));
    }
    let hour = store.history(&asked(0, HOUR, HOUR + 5 * MINUTE, 100)).await.expect("read");
    assert_eq!(hour.len(), 30);
    assert_eq!(hour[0].at, at(HOUR));
    assert_eq!(hour[0].counts, counts(360, 0));
    assert_eq!(store.history(&asked(9, Duration::ZERO, HOUR, 9)).await.expect("read"), []);
    assert_eq!(store.history(&asked(0, HOUR, HOUR, 9)).await.expect("read"), []);
}

#[tokio::test]
async fn what_is_not_rolled_up_yet_is_in_coarse_answers_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    feed(&store, 0..205, 1).await;
    maintain(&store, at(Duration::from_secs(2050))).await;
    let found = store.history(&asked(0, Duration::ZERO, HOUR, 4)).await.expect("read");
    assert_eq!(found.len(), 4);
    assert_eq!(found[3].counts, sum(180..205, 0));
}

#[tokio::test]
async fn writing_samples_again_or_late_changes_no_sum() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let mut late = vec![];
    for bucket in 0..180 {
        feed(&store, bucket..bucket + 1, 1).await;
        feed(&store, bucket..bucket + 1, 1).await;
        match bucket % 50 {
            17 => late.push(sample(bucket, 1)),
            _ => store.write_history(&[sample(bucket, 1)]).await.expect("written"),
        }
        maintain(&store, at(Duration::from_secs(10) * bucket)).await;
    }
    let mut fewer = sample(100, 0);
    fewer.counts.samples = 3;
    late.push(fewer);
    store.write_history(&late).await.expect("written");
    maintain(&store, at(HOUR)).await;
    for pool in 0..2 {
        let found = store.history(&asked(pool, Duration::ZERO, HOUR, 3)).await.expect("read");
        let made: Vec<_> = found.iter().map(|point| point.counts).collect();
        assert_eq!(made, [0, 1, 2].map(|ten| sum(ten * 60..(ten + 1) * 60, pool)));
    }
    // Older than anything kept: nothing to add it to.
    maintain(&store, at(3 * HOUR)).await;
    store.write_history(&[sample(0, 0)]).await.expect("left out");
    assert_eq!(rows(&store, Level::TenSeconds).await.0, 0);
}

#[tokio::test]
async fn absurd_counts_do_not_stop_the_roll_ups() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let absurd = PoolCounts {
        samples: u32::MAX,
        size: u32::MAX,
        cl_active_max: u32::MAX,
        wait_us: u64::MAX,
        transactions: u64::MAX,
        ..PoolCounts::default()
    };
    for bucket in 0..240 {
        let sample = HistorySample { counts: absurd, ..sample(bucket, 0) };
        store.write_history(&[sample]).await.expect("written");
    }
    maintain(&store, at(HOUR)).await;
    let found = store.history(&asked(0, Duration::ZERO, HOUR, 2)).await.expect("read");
    assert!(found.iter().all(|point| point.counts.wait_us >= 60 << 44));
}
