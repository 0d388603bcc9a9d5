//! The past of all pools at once, against the history of each of them.

use std::time::Instant;

use sqlx::AssertSqlSafe;

use super::history::{feed, sample, sum};
use super::*;
use crate::record::{PastQuery, PastRow, PoolCounts};

const TEN_MINUTES: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3_600);

fn asked(step: Duration, from: Duration, steps: u32) -> PastQuery {
    PastQuery { target: target("main"), from: at(from), step, steps }
}

/// Adds the parts of each step up, as the reader has to.
async fn steps(store: &Store, query: &PastQuery, user: u32) -> Vec<Option<PoolCounts>> {
    let pools = store.past_pools(&query.target, query.from).await.expect("read");
    let key = sample(0, user).pool;
    let id = pools.iter().find(|(_, pool)| **pool == key).map(|(id, _)| *id).expect("known");
    let mut steps = vec![None; usize::try_from(query.steps).expect("few")];
    let rows = store.past(query).await.expect("read");
    for PastRow { step, counts, .. } in rows.into_iter().filter(|row| row.pool == id) {
        let step: &mut Option<PoolCounts> = &mut steps[usize::try_from(step).expect("few")];
        match step {
            Some(seen) => seen.merge(&counts),
            None => *step = Some(counts),
        }
    }
    steps
}

#[tokio::test]
async fn the_past_of_all_pools_conserves_every_sum_rolled_up_or_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    feed(&store, 0..900, 3).await;
    let mut other = sample(5, 0);
    other.target = target("other");
    store.write_history(&[other]).await.expect("written");
    maintain(&store, at(2 * HOUR)).await;
    // After the last maintenance: an hour that is partly in each level.
    feed(&store, 900..913, 3).await;
    for user in 0..3 {
        let found = steps(&store, &asked(TEN_MINUTES, Duration::ZERO, 17), user).await;
        for (index, found) in (0_u32..).zip(&found) {
            let end = (60 * (index + 1)).min(913);
            let expected = (60 * index < end).then(|| sum(60 * index..end, user));
            assert_eq!(*found, expected, "step {index} of user {user}");
        }
        let found = steps(&store, &asked(HOUR, HOUR, 3), user).await;
        assert_eq!(found, [Some(sum(360..720, user)), Some(sum(720..913, user)), None]);
    }
}

#[tokio::test]
async fn pools_of_other_targets_stay_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let mut other = sample(5, 0);
    other.target = target("other");
    store.write_history(&[other, sample(7, 1)]).await.expect("written");
    let query = asked(TEN_MINUTES, Duration::ZERO, 2);
    assert_eq!(store.past(&query).await.expect("read").len(), 1);
    let pools = store.past_pools(&query.target, query.from).await.expect("read");
    assert_eq!(pools.into_values().collect::<Vec<_>>(), [sample(0, 1).pool]);
}

/// Fills the coarsest level with four weeks of 500 pools, as the roll-ups would in that time.
async fn four_weeks(store: &Store) {
    let samples: Vec<_> = (0..500).map(|pool| sample(0, pool)).collect();
    store.write_history(&samples).await.expect("written");
    let mut writer = store.writer().await;
    let begin = START_MS / 600_000;
    let sql = format!(
        "WITH RECURSIVE step (n) AS (SELECT {begin} UNION ALL SELECT n + 1 FROM step
            WHERE n + 1 < {begin} + 28 * 144)
         INSERT OR REPLACE INTO history_10m SELECT n, id, 600, id % 90, n % 7, n % 977, n % 23,
            n % 7000, 20, 20, n * 13, 31000 + id, 93000 + n % 1000, 31000000, 29000000, n * 7
         FROM step CROSS JOIN pools ORDER BY n, id",
    );
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut writer.connection).await;
    assert_eq!(done.expect("written").rows_affected(), 28 * 144 * 500);
    for level in ["history_10m", "history_1m"] {
        let sql = format!("UPDATE levels SET rolled_until = 1000000000 WHERE name = '{level}'");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut writer.connection).await.expect("written");
    }
}

/// For `BENCHMARKS.md`: `cargo test -p poolwarden --lib past_of_500 -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement: it fills two million rows"]
async fn the_past_of_500_pools_is_read_in_short_pieces() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    four_weeks(&store).await;
    for (name, step, steps) in
        [("a week of 10 min", TEN_MINUTES, 1_008), ("4 weeks of 1 h", HOUR, 672)]
    {
        let (begin, mut slowest, mut rows) = (Instant::now(), Duration::ZERO, 0);
        for first in (0..steps).step_by(24) {
            let piece = Instant::now();
            let query = asked(step, step * first, PastQuery::PIECE);
            rows += store.past(&query).await.expect("read").len();
            slowest = slowest.max(piece.elapsed());
        }
        let all = begin.elapsed();
        let newest = Instant::now();
        store.past(&asked(step, step * (steps - 6), 6)).await.expect("read");
        println!(
            "{name}: {rows} rows in {all:?}, slowest piece {slowest:?}, 6 steps {:?}",
            newest.elapsed()
        );
    }
}
