//! An alert's life with made-up moments, and what of it outlives the process.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::model::PoolKey;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn policy() -> PolicyName {
    PolicyName::new("p").expect("a fine name")
}

fn alert(hold_ms: u64) -> Proposal {
    Proposal::Alert {
        name: "full".into(),
        subject: Subject::Pool(PoolKey::new("app", "app")),
        severity: Severity::Warning,
        summary: "full".into(),
        hold: Duration::from_millis(hold_ms),
        cooldown: Duration::from_millis(1_000),
        labels: Vec::new(),
        runbook: String::new(),
        evidence: Vec::new(),
    }
}

fn fire(book: &mut AlertBook, holding: &[Proposal], now: Timestamp) -> AlertKey {
    let moves = book.observe(&policy(), holding, Sight::of(1), now);
    let [Move::Fire(key, _)] = moves.as_slice() else { panic!("{moves:?} is not one fire") };
    book.fired(key, DecisionId(Uuid::nil()), now);
    key.clone()
}

#[test]
fn an_alert_fires_once_after_it_held_without_a_break() {
    let mut book = AlertBook::default();
    let holding = [alert(500)];
    assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(0)), []);
    assert_eq!(book.observe(&policy(), &[], Sight::of(1), at(400)), [], "a break starts it again");
    assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(450)), []);
    assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(949)), []);
    fire(&mut book, &holding, at(950));
    assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(2_000)), []);
}

#[test]
fn a_resolved_alert_is_silent_for_its_cooldown() {
    let mut book = AlertBook::default();
    let holding = [alert(0)];
    let key = fire(&mut book, &holding, at(0));
    let moves = book.observe(&policy(), &[], Sight::of(1), at(100));
    assert_eq!(moves, [Move::Resolve(key.clone(), DecisionId(Uuid::nil()))]);
    assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(1_099)), []);
    fire(&mut book, &holding, at(1_100));
    book.observe(&policy(), &[], Sight::of(1), at(1_200));
    assert_eq!(book.observe(&policy(), &[], Sight::of(1), at(2_200)), [Move::Forget(key)]);
}

#[test]
fn a_blind_policy_does_not_resolve_what_it_cannot_see() {
    let mut book = AlertBook::default();
    fire(&mut book, &[alert(0)], at(0));
    assert_eq!(book.observe(&policy(), &[], Sight { blind: true, ..Sight::of(1) }, at(100)), []);
    assert_eq!(book.observe(&policy(), &[], Sight::of(1), at(200)).len(), 1);
}

#[test]
fn a_removed_policy_takes_its_alerts_with_it() {
    let mut book = AlertBook::default();
    fire(&mut book, &[alert(0)], at(0));
    assert_eq!(book.keep_policies(&BTreeSet::from([policy()]), at(1)), []);
    assert_eq!(book.keep_policies(&BTreeSet::new(), at(1)).len(), 1);
}

#[test]
fn a_policy_cannot_keep_more_alerts_alive_than_its_pools_warrant() {
    let mut book = AlertBook::default();
    let flood: Vec<Proposal> = (0..500)
        .map(|at| {
            let mut flood = alert(0);
            let Proposal::Alert { name, .. } = &mut flood else { unreachable!("an alert") };
            *name = format!("full-{at}");
            flood
        })
        .collect();
    assert_eq!(book.observe(&policy(), &flood, Sight::of(1), at(0)).len(), 108);
    assert_eq!(book.entries().count(), 108);
}

/// The same alert, as bad as this.
fn severe(worse: Severity) -> Proposal {
    let mut proposal = alert(0);
    let Proposal::Alert { severity, .. } = &mut proposal else { unreachable!("an alert") };
    *severity = worse;
    proposal
}

fn stored(state: AlertState, since: Timestamp) -> StoredAlert {
    let key = key_of(&policy(), &alert(0)).expect("an alert");
    StoredAlert { alert: Alert { key, state, since }, held_until: None, proposal: None }
}

fn decision(number: u128) -> DecisionId {
    DecisionId(Uuid::from_u128(number))
}

#[test]
fn an_alert_that_gets_worse_is_news_and_one_that_gets_better_is_not() {
    let mut book = AlertBook::default();
    let key = fire(&mut book, &[severe(Severity::Warning)], at(0));
    let observe = |book: &mut AlertBook, severity, now| {
        book.observe(&policy(), &[severe(severity)], Sight::of(1), now)
    };
    assert_eq!(observe(&mut book, Severity::Info, at(10)), [], "it only shows");
    assert_eq!(observe(&mut book, Severity::Warning, at(20)), [], "it was that bad before");
    let moves = observe(&mut book, Severity::Critical, at(30));
    let worse = severe(Severity::Critical);
    assert_eq!(moves, [Move::Escalate(key.clone(), worse, DecisionId(Uuid::nil()))]);
    let alert = book.fired(&key, decision(2), at(30)).expect("it fires");
    assert_eq!(alert.since, at(0), "it fires since it fired");
    assert_eq!(observe(&mut book, Severity::Warning, at(40)), []);
    assert_eq!(observe(&mut book, Severity::Critical, at(50)), []);
    let ended = book.observe(&policy(), &[], Sight::of(1), at(60));
    assert_eq!(ended, [Move::Resolve(key, decision(2))]);
}

#[test]
fn a_firing_alert_shows_the_newest_word_on_it() {
    let mut book = AlertBook::default();
    fire(&mut book, &[alert(0)], at(0));
    let mut newer = severe(Severity::Info);
    let Proposal::Alert { summary, .. } = &mut newer else { unreachable!("an alert") };
    *summary = "nearly empty".into();
    book.observe(&policy(), std::slice::from_ref(&newer), Sight::of(1), at(10));
    assert_eq!(book.entries().next().and_then(|one| one.proposal.clone()), Some(newer));
}

#[test]
fn after_a_restart_a_firing_alert_fires_on_without_firing_again() {
    let mut book = AlertBook::new(vec![stored(AlertState::Firing(decision(1)), at(0))], at(500));
    assert_eq!(book.observe(&policy(), &[alert(0)], Sight::of(1), at(600)), []);
    let alert = book.entries().next().expect("it lives").alert.clone();
    assert_eq!((alert.state, alert.since), (AlertState::Firing(decision(1)), at(0)));
    assert_eq!(book.observe(&policy(), &[], Sight::of(1), at(700)).len(), 1, "it was seen since");
}

#[test]
fn after_a_restart_a_condition_gets_time_to_be_seen_again() {
    let firing =
        StoredAlert { proposal: Some(alert(0)), ..stored(AlertState::Firing(decision(1)), at(0)) };
    let (mut book, start) = (AlertBook::new(vec![firing], at(500)), at(500));
    assert_eq!(book.observe(&policy(), &[], Sight::of(1), at(600)), []);
    let late = start.plus(CONFIRM);
    let moves = book.observe(&policy(), &[], Sight::of(1), late);
    assert!(matches!(moves.as_slice(), [Move::Resolve(_, id)] if *id == decision(1)), "{moves:?}");
    let state = book.entries().next().expect("it cools").alert.state;
    assert_eq!(state, AlertState::Cooling(late.plus(Duration::from_millis(1_000))), "as was said");
}

#[test]
fn after_a_restart_a_hold_time_goes_on_without_the_time_in_which_nobody_looked() {
    let held = StoredAlert { held_until: Some(at(6_000)), ..stored(AlertState::Pending, at(0)) };
    let mut book = AlertBook::new(vec![held], at(60_000));
    let holding = [alert(10_000)];
    assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(60_000)), []);
    assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(63_999)), []);
    fire(&mut book, &holding, at(64_000));
}

#[test]
fn after_a_restart_a_cooldown_ends_when_it_would_have() {
    let cooling = stored(AlertState::Cooling(at(2_000)), at(1_000));
    let mut book = AlertBook::new(vec![cooling], at(1_500));
    assert_eq!(book.observe(&policy(), &[alert(0)], Sight::of(1), at(1_999)), []);
    fire(&mut book, &[alert(0)], at(2_000));
    let ahead = stored(AlertState::Cooling(at(9_000)), at(8_000));
    let mut book = AlertBook::new(vec![ahead], at(1_000));
    fire(&mut book, &[alert(0)], at(1_000));
}

#[test]
fn long_hold_times_have_a_row_until_they_are_over() {
    let main = TargetName::new("main").expect("a fine name");
    let mut book = AlertBook::default();
    book.observe(&policy(), &[alert(4_999)], Sight::of(1), at(0));
    assert_eq!(book.pending_changes(&main, at(1)), [], "it starts anew");
    let mut book = AlertBook::default();
    book.observe(&policy(), &[alert(5_000)], Sight::of(1), at(0));
    let rows = book.pending_changes(&main, at(100));
    assert!(
        matches!(rows.as_slice(), [AlertChange::Pending { since, held_until, .. }]
            if (*since, *held_until) == (at(0), at(100))),
        "{rows:?}"
    );
    book.observe(&policy(), &[], Sight::of(1), at(200));
    let rows = book.pending_changes(&main, at(300));
    assert!(matches!(rows.as_slice(), [AlertChange::Forget { .. }]), "{rows:?}");
    assert_eq!(book.pending_changes(&main, at(400)), []);
}

#[test]
fn the_row_of_an_alert_that_fires_is_not_taken_back() {
    let main = TargetName::new("main").expect("a fine name");
    let mut book = AlertBook::default();
    book.observe(&policy(), &[alert(5_000)], Sight::of(1), at(0));
    book.pending_changes(&main, at(100));
    fire(&mut book, &[alert(5_000)], at(5_000));
    assert_eq!(book.pending_changes(&main, at(5_100)), []);
}
