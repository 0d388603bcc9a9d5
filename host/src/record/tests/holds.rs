//! Holds outlive the process, and end; approvals and rejections are found again.

use super::*;
use crate::model::{Hold, HoldKind, Signature};
use crate::record::{Approval, HoldChange};

fn by(author: &str) -> Signature {
    Signature::new(author, "why \"ü\"").expect("signed")
}

fn hold(kind: HoldKind, since_s: u64, until_s: Option<u64>) -> Hold {
    let moment = |s| at(Duration::from_secs(s));
    let (target, until) = (target("main"), until_s.map(moment));
    Hold { target, kind, since: moment(since_s), until, by: by("ada") }
}

async fn change(store: &Store, change: HoldChange) {
    // Twice, because a batch may be written again.
    for _ in 0..2 {
        write(store, &Batch { holds: vec![change.clone()], ..Batch::default() }).await;
    }
}

#[tokio::test]
async fn the_newest_hold_reads_back_until_it_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let (pause, panic) = (hold(HoldKind::Pause, 0, Some(10)), hold(HoldKind::Panic, 5, None));
    change(&store, HoldChange::Set(pause.clone())).await;
    let name = target("main");
    let holds =
        async |store: &Store, s| store.hold(&name, at(Duration::from_secs(s))).await.expect("read");
    assert_eq!(holds(&store, 9).await, Some(pause.clone()));
    assert_eq!(holds(&store, 10).await, None);
    assert_eq!(store.hold(&target("other"), at(Duration::ZERO)).await.expect("read"), None);
    change(&store, HoldChange::Set(panic.clone())).await;
    drop(store);
    let store = open(dir.path()).await;
    assert_eq!(holds(&store, 9_999).await, Some(panic));
    let end =
        HoldChange::End { target: name.clone(), at: at(Duration::from_secs(20)), by: by("bo") };
    change(&store, end).await;
    assert_eq!(holds(&store, 7).await, None, "the pause before does not come back");
    store.prune_holds(at(Duration::from_secs(19))).await.expect("pruned");
    change(&store, HoldChange::Set(hold(HoldKind::Pause, 30, None))).await;
    store.prune_holds(at(DAY)).await.expect("pruned");
    assert!(holds(&store, 40).await.is_some(), "what holds is never pruned");
}

#[tokio::test]
async fn a_hold_ends_also_after_the_clock_was_set_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let name = target("main");
    let held = async |s| store.hold(&name, at(Duration::from_secs(s))).await.expect("read");
    change(&store, HoldChange::Set(hold(HoldKind::Panic, 1_000, None))).await;
    let end =
        HoldChange::End { target: name.clone(), at: at(Duration::from_secs(400)), by: by("bo") };
    change(&store, end).await;
    assert_eq!(held(500).await, None, "it began later than it was ended");

    change(&store, HoldChange::Set(hold(HoldKind::Panic, 2_000, None))).await;
    let pause = hold(HoldKind::Pause, 600, Some(700));
    change(&store, HoldChange::Set(pause.clone())).await;
    assert_eq!(held(650).await, Some(pause));
    assert_eq!(held(800).await, None, "the panic before does not come back");
}

#[tokio::test]
async fn what_a_person_approved_is_carried_out_and_no_longer_stands() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let waiting = Decision { mode: Mode::Recommend, ..resize(1) };
    write(&store, &Batch { decisions: vec![waiting.clone()], ..Batch::default() }).await;
    let name = target("main");
    assert_eq!(store.standing(&name).await.expect("read").len(), 1);
    assert_eq!(store.unsettled().await.expect("read"), []);
    let approval = Approval { id: waiting.id, size_from: Some(size(21)), size_to: Some(size(22)) };
    write(&store, &Batch { approvals: vec![approval], ..Batch::default() }).await;
    assert_eq!(store.standing(&name).await.expect("read"), []);
    let unsettled = store.unsettled().await.expect("read");
    assert_eq!(unsettled.iter().map(|one| one.size_to).collect::<Vec<_>>(), [Some(size(22))]);
}

#[tokio::test]
async fn rejections_are_found_by_the_moment_of_the_rejection() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let waiting = Decision { mode: Mode::Recommend, ..resize(1) };
    let said = Transition {
        id: waiting.id,
        at: at(Duration::from_secs(500)),
        status: Status::Rejected,
        note: "rejected by ada".into(),
    };
    let (decisions, transitions) = (vec![waiting], vec![said]);
    write(&store, &Batch { decisions, transitions, ..Batch::default() }).await;
    let since =
        async |s| store.rejected(&target("main"), at(Duration::from_secs(s))).await.expect("read");
    let found = since(400).await;
    assert_eq!(found.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [at(Duration::from_secs(500))]);
    assert_eq!(since(501).await, []);
}
