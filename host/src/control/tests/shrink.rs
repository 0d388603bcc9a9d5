//! Shrinks that clients hold up, and what is done about them.

use std::time::Duration;

use super::effect::{grow, moves};
use super::orders::{give, pause};
use super::scene::{Effects, Scene, resize, size, start, target};
use crate::control::{Acted, Effect, Event, Known};
use crate::model::{DecisionId, Mode, Proposal, Setting, Snapshot, Status, Timestamp};

/// Clients keep twelve servers although the size is three.
fn holds(snapshot: &mut Snapshot) {
    snapshot.pools[0].sv_active = 12;
}

fn shrunk(scene: &mut Scene) -> DecisionId {
    scene.run(6_000, 12, 8);
    scene.more = holds;
    grow(scene, 7)
}

fn reconnects(effects: &Effects) -> Vec<Vec<String>> {
    let sent = effects.0.iter().filter_map(|effect| match effect {
        Effect::Reconnect(one) => Some(one.databases.iter().map(ToString::to_string).collect()),
        _ => None,
    });
    sent.collect()
}

#[test]
fn a_shrink_that_clients_hold_up_is_helped_once_where_that_is_allowed() {
    let mut scene = Scene::reconnecting();
    let id = shrunk(&mut scene);
    assert!(reconnects(&scene.run(1_900, 7, 8)).is_empty(), "not at once");
    let effects = scene.run(2_000, 7, 8);
    assert_eq!(reconnects(&effects), [["app"]]);
    let one = effects.0.iter().find_map(|effect| match effect {
        Effect::Reconnect(one) => Some((&one.setting, one.size.get(), one.until)),
        _ => None,
    });
    let (setting, size, until) = one.expect("it is sent");
    assert_eq!((setting, size), (&Setting::DEFAULT, 7), "only while that is in force");
    assert!(until > scene.now() && until <= scene.now().plus(Duration::from_secs(10)));
    let noted = moves(&effects, id);
    assert!(noted.iter().any(|one| one.note.contains("RECONNECT \"app\"")), "{noted:?}");
    let event = Event::Reconnected { target: target(), id, sent: Ok(()) };
    assert_eq!(moves(&scene.event(event), id).len(), 1, "what came of it is recorded");
    assert!(reconnects(&scene.run(5_000, 7, 8)).is_empty(), "once for each shrink");
}

#[test]
fn a_shrink_that_clients_hold_up_is_told_of_where_help_is_not_allowed() {
    let mut scene = Scene::new(Mode::Enforce);
    let id = shrunk(&mut scene);
    let effects = scene.run(4_000, 7, 8);
    assert!(reconnects(&effects).is_empty());
    let noted: Vec<_> = moves(&effects, id);
    let told = noted.iter().filter(|one| one.note.contains("limits.reconnect"));
    assert_eq!(told.count(), 1, "{noted:?}");
    let view = scene.view();
    let alert = view.alerts.iter().find(|one| one.alert.key.name == "shrink-held-up");
    let Some(Proposal::Alert { summary, .. }) = alert.and_then(|one| one.proposal.clone()) else {
        panic!("nothing is told: {:?}", view.alerts)
    };
    assert!(summary.contains("RECONNECT \"app\""), "{summary}");
    scene.more = |_| ();
    scene.run(1_000, 7, 0);
    assert!(!scene.view().alerts.iter().any(super::AlertView::is_firing), "it is over");
    assert!(Timestamp::default() < scene.now());
}

#[test]
fn a_shrink_of_which_nobody_knew_the_outcome_is_watched_for_being_held_up() {
    let mut scene = Scene::reconnecting();
    scene.run(6_000, 12, 8);
    scene.more = holds;
    let id = scene.heard(vec![resize(7)]).resizes()[0].id;
    scene.acted(id, Acted::NotInForce(None));
    assert_eq!(reconnects(&scene.run(4_000, 7, 8)), [["app"]]);
}

#[test]
fn what_could_not_be_sent_is_tried_again_and_told_once() {
    let mut scene = Scene::reconnecting();
    let id = shrunk(&mut scene);
    assert_eq!(reconnects(&scene.run(3_000, 7, 8)), [["app"]]);
    let sent = Err("the console refused it".to_owned());
    scene.event(Event::Reconnected { target: target(), id, sent });
    assert!(reconnects(&scene.run(9_000, 7, 8)).is_empty(), "not at once");
    assert_eq!(reconnects(&scene.run(2_000, 7, 8)), [["app"]]);
    scene.event(Event::Reconnected { target: target(), id, sent: Ok(()) });
    assert!(reconnects(&scene.run(20_000, 7, 8)).is_empty(), "once for each shrink");
}

#[test]
fn a_shrink_that_a_pause_holds_up_is_helped_after_it() {
    let mut scene = Scene::reconnecting();
    let id = shrunk(&mut scene);
    let begun = scene.now().millis_since(start()) / 1_000;
    give(&mut scene, pause(Some(begun + 30))).expect("taken");
    let effects = scene.run(25_000, 7, 8);
    assert!(reconnects(&effects).is_empty(), "it is paused");
    let told = moves(&effects, id).into_iter().filter(|one| one.note.contains("RECONNECT"));
    assert_eq!(told.count(), 1, "told once");
    assert_eq!(reconnects(&scene.run(16_000, 7, 8)), [["app"]]);
}

#[test]
fn a_shrink_of_before_the_start_is_watched_on() {
    let mut scene = Scene::reconnecting();
    scene.run(6_000, 12, 8);
    scene.more = holds;
    let shrink = scene.heard(vec![resize(7)]).resizes().remove(0);
    let mut decision = shrink.intent.decisions[0].clone();
    for (to, helped) in [(7, true), (8, false)] {
        (decision.status, decision.size_to) = (Status::Verified, Some(size(to)));
        let changes = vec![(decision.clone(), scene.now())];
        let known = Known { changes, now: scene.now(), ..Known::default() };
        let mut scene = Scene::reconnecting_knowing(known);
        scene.more = holds;
        let effects = scene.run(3_000, 7, 8);
        assert_eq!(!reconnects(&effects).is_empty(), helped, "only while that size is in force");
        let noted = moves(&effects, decision.id);
        assert!(noted.iter().all(|one| one.status == Status::Verified), "{noted:?}");
    }
}
