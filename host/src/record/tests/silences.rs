//! Silences outlive the process, and end.

use super::*;
use crate::model::{Glob, Matchers, Silence, SilenceId};
use crate::record::SilenceChange;

fn silence(number: u128, until_s: u64) -> Silence {
    let glob = |text: &str| Some(Glob::new(text));
    Silence {
        id: SilenceId(Uuid::from_u128(number)),
        matchers: Matchers {
            policy: glob("pool-*"),
            database: glob("a\"b*"),
            labels: [("team".to_owned(), Glob::new("shop*"))].into(),
            ..Matchers::default()
        },
        since: at(Duration::ZERO),
        until: at(Duration::from_secs(until_s)),
        author: "ada".into(),
        comment: "a migration; \"ü\"".into(),
    }
}

async fn change(store: &Store, change: SilenceChange) {
    // Twice, because a batch may be written again.
    for _ in 0..2 {
        write(store, &Batch { silences: vec![change.clone()], ..Batch::default() }).await;
    }
}

#[tokio::test]
async fn silences_read_back_until_they_end_or_are_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let (short, long) = (silence(1, 10), silence(2, 20));
    for one in [&short, &long] {
        change(&store, SilenceChange::Add(one.clone())).await;
    }
    let holding = async |s| store.silences(at(Duration::from_secs(s))).await.expect("read");
    assert_eq!(holding(9).await, [short, long.clone()]);
    assert_eq!(holding(10).await, std::slice::from_ref(&long));
    let remove = SilenceChange::Remove { id: long.id, at: at(Duration::from_secs(11)) };
    change(&store, remove).await;
    assert_eq!(holding(11).await, []);
    change(&store, SilenceChange::Add(long)).await;
    assert_eq!(holding(11).await, [], "an old batch written again does not bring it back");
}

#[tokio::test]
async fn silences_that_are_long_over_are_deleted() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    for one in [silence(1, 10), silence(2, 20), silence(3, 3_000)] {
        change(&store, SilenceChange::Add(one)).await;
    }
    let remove = SilenceChange::Remove { id: silence(3, 0).id, at: at(Duration::from_secs(12)) };
    change(&store, remove).await;
    store.prune_silences(at(Duration::from_secs(15))).await.expect("pruned");
    let left: Vec<Vec<u8>> = sqlx::query_scalar("SELECT id FROM silences")
        .fetch_all(&mut store.writer().await.connection)
        .await
        .expect("read");
    assert_eq!(left, [silence(2, 0).id.0.as_bytes().to_vec()]);
}
