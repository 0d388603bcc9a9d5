//! Several policies on one pool: who is heard, and who only shadows.

use std::time::Duration;

use super::scene::{Said, Scene, alert, resize, size};
use crate::control::Acted;
use crate::model::{Decision, Mode, Outcome, PolicyName, Rule, Status};

fn asks(policy: &str, priority: i32, size: u32) -> Said<'_> {
    (policy, priority, None, Some(vec![resize(size)]))
}

fn of<'a>(decisions: &'a [Decision], policy: &str) -> Vec<&'a Decision> {
    decisions.iter().filter(|decision| decision.policy.as_str() == policy).collect()
}

#[test]
fn the_policy_of_higher_priority_is_heard_and_the_other_superseded() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let mut effects = scene.hear_all(&[asks("careful", 0, 9), asks("urgent", 10, 7)]);
    let batch = effects.take_batch();
    let [loser] = batch.decisions.as_slice() else { panic!("one decision is superseded") };
    assert_eq!((loser.policy.as_str(), loser.status), ("careful", Status::Superseded));
    let verdict = loser.verdict.as_ref().expect("a resize has a verdict");
    assert_eq!(verdict.only_refusal(), Some(Rule::Priority));
    let reason = &verdict.rules.iter().find(|said| said.rule == Rule::Priority).expect("it spoke");
    assert!(reason.reason.contains("urgent (priority 10) asks for 7"), "{}", reason.reason);
    let sent = effects.resizes();
    assert_eq!(sent.iter().map(|one| one.size).collect::<Vec<_>>(), [size(7)]);
}

#[test]
fn of_equal_priority_the_larger_size_is_heard() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let sent = scene.hear_all(&[asks("a", 0, 7), asks("b", 0, 9)]).resizes();
    assert_eq!(sent.iter().map(|one| one.size).collect::<Vec<_>>(), [size(9)]);
}

#[test]
fn policies_that_ask_for_the_same_do_not_compete() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let sent = scene.hear_all(&[asks("a", 0, 9), asks("b", 0, 9)]).resizes();
    assert_eq!(sent.len(), 1, "the second finds the first under way");
    assert_eq!(sent[0].intent.decisions[0].policy.as_str(), "a");
}

#[test]
fn what_a_policy_asked_for_stands_while_it_is_not_asked() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.grown_to(10);
    scene.polled(10, 0);
    let mut effects = scene.hear_all(&[("seldom", 10, None, Some(vec![resize(10)]))]);
    assert!(effects.take_resizes().is_empty(), "it is that size already");
    for _ in 0..3 {
        scene.polled(10, 0);
        let silent = ("seldom", 10, None, None);
        let sent = scene.hear_all(&[silent, asks("shrinks", 0, 6)]).resizes();
        assert!(sent.is_empty(), "the one of higher priority keeps it up");
    }
    scene.polled(10, 0);
    let says_nothing = ("seldom", 10, None, Some(Vec::new()));
    let sent = scene.hear_all(&[says_nothing, asks("shrinks", 0, 6)]).resizes();
    assert_eq!(sent.iter().map(|one| one.size).collect::<Vec<_>>(), [size(6)]);
}

#[test]
fn a_policy_that_is_gone_stands_in_nobodys_way() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.grown_to(10);
    scene.polled(10, 0);
    scene.hear_all(&[asks("first", 10, 10), asks("shrinks", 0, 6)]);
    scene.polled(10, 0);
    assert_eq!(scene.hear_all(&[asks("shrinks", 0, 6)]).resizes().len(), 1);
}

#[test]
fn a_shadow_is_recorded_and_never_heard() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let twin = ("twin", 99, Some("real"), Some(vec![resize(12), alert()]));
    let mut effects = scene.hear_all(&[asks("real", 0, 9), twin]);
    let batch = effects.take_batch();
    let recorded = of(&batch.decisions, "twin");
    assert_eq!(recorded.len(), 2, "its size and its alert");
    for decision in recorded {
        assert_eq!((decision.status, decision.mode), (Status::Proposed, Mode::Observe));
        let verdict = decision.verdict.as_ref().expect("what would have been said");
        assert_eq!(verdict.outcome, Outcome::Shadowed);
    }
    let sent = effects.resizes();
    assert_eq!(sent.iter().map(|one| one.size).collect::<Vec<_>>(), [size(9)]);
    assert!(scene.view().alerts.is_empty(), "a shadow's alert wakes nobody");
    let policy = PolicyName::new("twin").expect("a fine name");
    assert!(scene.view().advice.iter().all(|advice| advice.policy != policy));
}

#[test]
fn a_policy_that_becomes_a_shadow_sizes_nothing_any_more() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let id = scene.hear_all(&[asks("p", 0, 9)]).resizes()[0].id;
    scene.acted(id, Acted::Verified);
    for _ in 0..5 {
        scene.pass(Duration::from_secs(60));
        scene.polled(9, 8);
        let twin = ("p", 0, Some("other"), Some(vec![resize(12)]));
        assert!(scene.hear_all(&[twin]).resizes().is_empty());
    }
}

#[test]
fn an_earlier_word_holds_its_place_and_never_acts() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let id = scene.hear_all(&[asks("seldom", 0, 9)]).resizes()[0].id;
    scene.acted(id, Acted::Verified);
    for _ in 0..5 {
        // A person's new size: the word was about another one.
        scene.pass(Duration::from_secs(60));
        scene.polled(9, 8);
        assert!(scene.hear_all(&[("seldom", 0, None, None)]).resizes().is_empty());
    }
}

#[test]
fn agreement_is_counted_by_proposal_and_differences_are_told_once() {
    let mut scene = Scene::new(Mode::Observe);
    let mut turn = |real: u32, twin: u32| {
        scene.polled(5, 8);
        let said = Some(vec![resize(twin)]);
        scene.hear_all(&[asks("real", 0, real), ("twin", 0, Some("real"), said)]);
    };
    turn(9, 9);
    turn(9, 12);
    turn(9, 12);
    turn(10, 10);
    scene.polled(5, 8);
    let silent = Some(Vec::new());
    scene.hear_all(&[("real", 0, None, silent.clone()), ("twin", 0, Some("real"), silent)]);
    let view = scene.view();
    let [twin] = view.shadows.as_slice() else { panic!("one twin is compared") };
    assert_eq!((twin.rounds, twin.silent), (5, 1));
    assert_eq!((twin.compared, twin.agreed), (4, 2));
    let [difference] = twin.differences.as_slice() else { panic!("one difference, which lasted") };
    assert_eq!(difference.shadow.as_deref(), Some("12"));
    assert_eq!(difference.shadowed.as_deref(), Some("9"));
}

#[test]
fn a_shadow_repeats_itself_once_a_minute_at_most() {
    let mut scene = Scene::new(Mode::Enforce);
    let mut recorded = 0;
    for _ in 0..90 {
        scene.polled(5, 0);
        let twin = ("twin", 0, Some("real"), Some(vec![alert()]));
        let mut effects = scene.hear_all(&[("real", 0, None, Some(Vec::new())), twin]);
        recorded += of(&effects.take_batch_or_none().decisions, "twin").len();
    }
    assert_eq!(recorded, 2);
}

#[test]
fn what_a_policy_said_before_it_became_a_shadow_is_ended() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 0);
    scene.hear_all(&[("p", 0, None, Some(vec![alert()]))]);
    assert!(scene.view().alerts[0].is_firing());
    scene.pass(Duration::from_secs(1));
    scene.polled(5, 0);
    scene.hear_all(&[("p", 0, Some("other"), Some(vec![alert()]))]);
    assert!(scene.view().alerts.iter().all(|alert| !alert.is_firing()));
}
