//! Made-up events, and what comes of them: the loop without any I/O.

mod alerts;
mod effect;
mod fixtures;
mod orders;
mod policies;
mod reach;
mod roll_back;
pub(super) mod scene;
mod sessions;
mod shrink;
mod takeover;

use std::time::Duration;

use crate::model::{Kind, Mode, Origin, Outcome, PolicyName, Proposal, ScopeKey, Setting, Status};
use crate::record::ScopeState;

use super::*;
use scene::{Effects, Scene, alert, resize, size};

#[test]
fn an_approved_growth_is_recorded_with_its_input_before_it_is_sent() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let effects = scene.heard(vec![resize(9)]);
    let sent = effects.resizes();
    let [one] = sent.as_slice() else { panic!("{sent:?} is not one change") };
    assert_eq!((one.size, &one.setting), (size(9), &Setting::DEFAULT));
    let [decision] = one.intent.decisions.as_slice() else { panic!("one decision is intended") };
    assert_eq!(decision.status, Status::Proposed);
    assert_eq!((decision.size_from, decision.size_to), (Some(size(5)), Some(size(9))));
    let Origin::Plugin { evaluation, .. } = decision.origin else { panic!("a plugin decided") };
    assert_eq!(one.intent.evaluations[0].id, evaluation, "the input goes with the intent");
}

#[test]
fn a_change_in_force_is_kept_up_and_starts_the_cooldown() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let id = scene.heard(vec![resize(9)]).resizes()[0].id;
    let batch = scene.acted(id, Acted::Verified).batch();
    let statuses: Vec<Status> = batch.transitions.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Status::Applied], "whether it helps is to be seen");
    assert_eq!(batch.scopes[0].wanted, Some(size(9)));
    assert_eq!(batch.scopes[0].base, size(5));

    scene.polled(9, 0);
    assert!(scene.heard(vec![resize(7)]).resizes().is_empty(), "the cooldown has not passed");
    scene.pass(Duration::from_secs(60));
    scene.polled(9, 0);
    assert_eq!(scene.heard(vec![resize(7)]).resizes().len(), 1);
}

#[test]
fn a_second_change_waits_for_the_first() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    assert_eq!(scene.heard(vec![resize(9)]).resizes().len(), 1);
    scene.polled(5, 8);
    assert!(scene.heard(vec![resize(12)]).resizes().is_empty());
}

#[test]
fn what_could_not_be_recorded_was_not_sent_and_may_be_tried_again() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let id = scene.heard(vec![resize(9)]).resizes()[0].id;
    let effects = scene.acted(id, Acted::NotRecorded("the disk is full".into()));
    let batch = effects.batch();
    let [failed] = batch.transitions.as_slice() else { panic!("{batch:?} is not one move") };
    // The store knows the decision where a person had approved it, and no other.
    assert_eq!(
        (failed.id, failed.status, failed.note.as_str()),
        (id, Status::Failed, "the disk is full")
    );
    assert!(batch.scopes.is_empty(), "nothing was changed");
    scene.polled(5, 8);
    assert!(scene.heard(vec![resize(9)]).resizes().is_empty(), "not at once");
    scene.pass(Duration::from_secs(5));
    scene.polled(5, 8);
    assert_eq!(scene.heard(vec![resize(9)]).resizes().len(), 1);
}

#[test]
fn failed_tries_wait_longer_each_time_and_leave_the_hourly_budget_alone() {
    let mut scene = Scene::new(Mode::Enforce);
    let mut tries = 0;
    for _ in 0..600 {
        scene.polled(5, 8);
        if let Some(sent) = scene.heard(vec![resize(9)]).resizes().first() {
            tries += 1;
            scene.acted(sent.id, Acted::Failed("admin access needed".into()));
        }
    }
    assert!((5..=8).contains(&tries), "{tries} tries in ten minutes");
    scene.pass(Duration::from_secs(600));
    scene.polled(5, 8);
    let id = scene.heard(vec![resize(9)]).resizes()[0].id;
    scene.acted(id, Acted::Verified);
    scene.polled(9, 8);
    assert_eq!(scene.view().scopes[0].wanted, Some(size(9)));
}

#[test]
fn where_the_sidecar_does_not_act_every_size_is_the_one_to_start_from() {
    let mut scene = Scene::new(Mode::Observe);
    scene.polled(5, 8);
    scene.polled(30, 8);
    assert_eq!(scene.view().scopes[0].base, size(30), "an edited file is no intrusion");
    assert_eq!(scene.view().scopes[0].stood_down, None);
    assert!(scene.view().alerts.is_empty());
}

#[test]
fn a_policy_that_sees_only_some_pools_does_not_size_the_others() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let effects = scene.heard_beyond(vec![resize(9)], vec![ScopeKey::Default]);
    let verdict = effects.batch().decisions.remove(0).verdict.expect("a resize has a verdict");
    assert_eq!(verdict.outcome, Outcome::Rejected);
}

#[test]
fn a_died_evaluation_resolves_nothing() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    scene.heard(vec![alert()]);
    scene.polled(5, 8);
    assert!(scene.evaluation_died().0.is_empty());
    assert_eq!(scene.view().alerts.len(), 1);
}

#[test]
fn observe_records_once_and_recommend_gives_standing_advice() {
    let mut scene = Scene::new(Mode::Observe);
    scene.polled(5, 8);
    let batch = scene.heard(vec![resize(9)]).batch();
    let verdict = batch.decisions[0].verdict.as_ref().expect("a resize has a verdict");
    assert_eq!(verdict.outcome, Outcome::Shadowed);
    scene.polled(5, 8);
    assert!(scene.heard(vec![resize(9)]).0.is_empty(), "a repetition is no news");

    let mut scene = Scene::new(Mode::Recommend);
    scene.polled(5, 8);
    let Effects(effects) = scene.heard(vec![resize(9)]);
    let [Effect::Record(batch)] = effects.as_slice() else { panic!("{effects:?}: only a record") };
    assert_eq!(batch.decisions[0].kind(), Kind::Resize);
    assert_eq!(scene.view().advice.len(), 1);
}

#[test]
fn a_size_lost_to_a_restart_is_applied_again() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.grown_to(9);
    let effects = scene.polled(5, 0);
    let sent = effects.resizes();
    assert_eq!(sent[0].size, size(9));
    assert_eq!(sent[0].intent.decisions[0].origin, Origin::Host);
}

#[test]
fn a_persons_size_is_respected_until_it_is_handed_back() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.grown_to(9);
    let batch = scene.polled(7, 8).batch();
    let Proposal::Alert { name, .. } = &batch.decisions[0].proposal else { panic!("an alert") };
    assert_eq!(name, "size-set-by-a-person");
    scene.pass(Duration::from_secs(600));
    scene.polled(7, 8);
    assert!(scene.heard(vec![resize(12)]).resizes().is_empty());

    let handed_back = scene.polled(5, 8);
    assert_eq!(handed_back.resizes()[0].size, size(9), "the file's value hands it back");
    assert_eq!(scene.view().scopes[0].stood_down, None);
    assert!(!scene.view().alerts.iter().any(AlertView::is_firing), "and the alert resolves");
}

#[test]
fn sizes_read_before_a_change_say_nothing_about_it() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let id = scene.heard(vec![resize(9)]).resizes()[0].id;
    scene.acted(id, Acted::Verified);
    // A quick poll still carries the size of the last full one.
    let effects = scene.quick_poll(5, 8);
    assert!(effects.resizes().is_empty(), "an old reading is not a lost size");
    assert_eq!(scene.view().scopes[0].size, Some(size(9)));
}

#[test]
fn an_intent_without_an_outcome_is_settled_by_what_is_in_force() {
    for (in_force, expected) in [(9, Status::Applied), (5, Status::Failed)] {
        let mut scene = Scene::new(Mode::Enforce);
        scene.polled(5, 8);
        let intent = scene.heard(vec![resize(9)]).resizes().remove(0).intent;
        let known = Known {
            scopes: intent.scopes.clone(),
            unsettled: intent.decisions.clone(),
            ..Known::default()
        };
        let mut after = Scene::knowing(Mode::Enforce, known);
        after.pass(Duration::from_secs(60));
        let batch = after.polled(in_force, 8).batch();
        assert_eq!(batch.transitions[0].status, expected);
        let wanted = after.view().scopes[0].wanted;
        assert_eq!(wanted, (in_force == 9).then(|| size(9)));
    }
}

#[test]
fn an_outcome_that_nobody_could_read_is_settled_at_the_next_poll() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let id = scene.heard(vec![resize(9)]).resizes()[0].id;
    scene.acted(id, Acted::NotInForce(None));
    let batch = scene.polled(9, 8).batch();
    assert_eq!((batch.transitions[0].id, batch.transitions[0].status), (id, Status::Applied));
    assert_eq!(scene.view().scopes[0].stood_down, None, "its own change is not a person's");
}

#[test]
fn a_dead_target_keeps_its_alerts_and_is_not_changed() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    assert_eq!(scene.heard(vec![alert()]).batch().decisions[0].status, Status::Firing);
    scene.poll_failed();
    assert!(scene.heard(vec![]).0.is_empty(), "a blind policy resolves nothing");
    assert!(scene.heard(vec![resize(2)]).resizes().is_empty());
    scene.polled(5, 8);
    let batch = scene.heard(vec![]).batch();
    assert_eq!(batch.transitions[0].status, Status::Resolved);
}

#[test]
fn sizes_are_handed_back_only_where_that_is_configured() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.grown_to(9);
    assert!(scene.stopping().resizes().is_empty());
    let mut scene = Scene::handing_back();
    scene.grown_to(9);
    let sent = scene.stopping();
    let one = &sent.resizes()[0];
    assert_eq!(one.size, size(5));
    let batch = scene.acted(one.id, Acted::Verified).batch();
    assert_eq!(batch.scopes[0].wanted, None, "what was handed back is not kept up");
}

#[test]
fn what_a_policy_remembers_comes_back_at_its_next_evaluation() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    scene.remember(b"seven");
    let effects = scene.polled(5, 8);
    let memories = effects.memories();
    let policy = PolicyName::new("p").expect("a fine name");
    assert_eq!(memories.get(&policy).map(AsRef::as_ref), Some(b"seven".as_slice()));
}

#[test]
fn a_size_known_from_before_is_wanted_after_a_restart_of_the_sidecar() {
    let state = ScopeState {
        at: Timestamp::default(),
        target: scene::target(),
        setting: Setting::DEFAULT,
        base: size(5),
        wanted: Some(size(9)),
        stood_down: None,
        changed_at: Timestamp::from_millis(0),
    };
    let known = Known { scopes: vec![state], ..Known::default() };
    let mut scene = Scene::knowing(Mode::Enforce, known);
    assert!(scene.polled(9, 8).resizes().is_empty());
    assert_eq!(scene.polled(5, 8).resizes()[0].size, size(9));
}
