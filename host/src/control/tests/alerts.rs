//! What becomes of alerts in the loop: recorded once, kept over restarts, muted by silences.

use std::time::Duration;

use uuid::Uuid;

use super::scene::{self, Scene, alert};
use crate::control::{Event, Known, Order, SilenceRefusal};
use crate::model::{
    AlertState, DecisionId, Glob, Matchers, Mode, Proposal, Severity, Silence, SilenceId, Status,
    Subject,
};
use crate::record::{AlertChange, Batch, SilenceChange, StoredAlert};

#[test]
fn a_policy_that_faults_has_said_nothing() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    scene.heard(vec![alert()]);
    scene.polled(5, 8);
    assert!(scene.faulted().0.is_empty(), "its alert stays");
    assert_eq!(scene.view().alerts.len(), 1);
}

#[test]
fn the_severity_and_subject_of_an_alert_reach_the_decision() {
    let mut scene = Scene::new(Mode::Observe);
    scene.polled(5, 8);
    let batch = scene.heard(vec![alert()]).batch();
    let decision = &batch.decisions[0];
    assert!(matches!(decision.subject, Subject::Pool(_)));
    let Proposal::Alert { severity, .. } = &decision.proposal else { panic!("an alert") };
    assert_eq!(*severity, Severity::Warning);
}

/// What the store gives back after a restart.
fn stored(batch: &Batch) -> Known {
    let alerts = batch.alerts.iter().filter_map(|change| match change {
        AlertChange::Set { alert, .. } => Some(alert.clone()),
        AlertChange::Pending { .. } | AlertChange::Forget { .. } => None,
    });
    let proposal = batch.decisions.first().map(|decision| decision.proposal.clone());
    let known =
        alerts.map(|alert| StoredAlert { alert, held_until: None, proposal: proposal.clone() });
    Known { alerts: known.collect(), now: scene::start(), ..Known::default() }
}

#[test]
fn alerts_survive_a_restart_and_resolve_after_it() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let batch = scene.heard(vec![alert()]).batch();
    let mut after = Scene::knowing(Mode::Enforce, stored(&batch));
    let shown = after.view().alerts[0].clone();
    assert_eq!(shown.proposal, Some(alert()), "shown before the policy has spoken");
    after.polled(5, 8);
    assert!(after.heard(vec![alert()]).0.is_empty(), "it fires already");
    let resolved = after.heard(vec![]).batch();
    assert_eq!(resolved.transitions[0].id, batch.decisions[0].id);
}

#[test]
fn an_alert_that_is_gone_after_a_restart_resolves_a_little_later() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let batch = scene.heard(vec![alert()]).batch();
    let mut after = Scene::knowing(Mode::Enforce, stored(&batch));
    after.polled(5, 8);
    assert!(after.heard(vec![]).0.is_empty(), "it gets time to be seen again");
    after.pass(Duration::from_secs(15));
    after.polled(5, 8);
    assert_eq!(after.heard(vec![]).batch().transitions[0].id, batch.decisions[0].id);
}

#[test]
fn an_alert_that_gets_worse_is_recorded_anew_and_resolves_as_that() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let first = scene.heard(vec![alert()]).batch();
    let mut worse = alert();
    let Proposal::Alert { severity, .. } = &mut worse else { unreachable!("an alert") };
    *severity = Severity::Critical;
    let second = scene.heard(vec![worse.clone()]).batch();
    let [told] = second.transitions.as_slice() else { panic!("{second:?} tells of the older") };
    assert_eq!((told.id, told.status), (first.decisions[0].id, Status::Superseded));
    let id = second.decisions[0].id;
    assert_eq!(second.decisions[0].status, Status::Firing);
    assert!(scene.heard(vec![worse]).0.is_empty(), "once");
    assert_eq!(scene.view().alerts[0].alert.state, AlertState::Firing(id));
    let ended = scene.heard(vec![]).batch();
    assert_eq!((ended.transitions[0].id, ended.transitions[0].status), (id, Status::Resolved));
}

fn silence(scene: &Scene, number: u128, matchers: Matchers, lasts: Duration) -> Silence {
    Silence {
        id: SilenceId(Uuid::from_u128(number)),
        matchers,
        since: scene.now(),
        until: scene.now().plus(lasts),
        author: "ada".into(),
        comment: "a migration".into(),
    }
}

fn of_database(name: &str) -> Matchers {
    Matchers { database: Some(Glob::new(name)), ..Matchers::default() }
}

fn muted(scene: &Scene) -> Option<SilenceId> {
    scene.view().alerts.first()?.silenced_by.as_ref().map(|silence| silence.id)
}

#[test]
fn a_silenced_alert_fires_and_resolves_as_any_other() {
    let mut scene = Scene::new(Mode::Enforce);
    let one = silence(&scene, 1, of_database("ap*"), Duration::from_secs(60));
    let kept = scene.silence(SilenceChange::Add(one.clone())).expect("taken");
    assert_eq!(kept.silences, [SilenceChange::Add(one.clone())]);
    scene.polled(5, 8);
    assert_eq!(scene.heard(vec![alert()]).batch().decisions[0].status, Status::Firing);
    assert_eq!(muted(&scene), Some(one.id));
    let shown = &scene.view().alerts[0];
    assert!(shown.is_firing() && !shown.is_heard());
    assert_eq!(scene.heard(vec![]).batch().transitions[0].status, Status::Resolved);
}

#[test]
fn a_silence_begins_and_ends_while_an_alert_fires() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    scene.heard(vec![alert()]);
    assert_eq!(muted(&scene), None);
    let other = silence(&scene, 1, of_database("other"), Duration::from_secs(60));
    scene.silence(SilenceChange::Add(other)).expect("taken");
    assert_eq!(muted(&scene), None, "another database");
    let short = silence(&scene, 2, of_database("app"), Duration::from_secs(10));
    let long = silence(&scene, 3, of_database("*"), Duration::from_secs(20));
    for one in [&long, &short] {
        scene.silence(SilenceChange::Add(one.clone())).expect("taken");
    }
    assert_eq!(muted(&scene), Some(long.id), "the one that ends last");
    let remove = SilenceChange::Remove { id: long.id, at: scene.now() };
    scene.silence(remove.clone()).expect("it holds");
    assert_eq!(scene.silence(remove), Err(SilenceRefusal::Unknown(long.id)), "twice");
    assert_eq!(muted(&scene), Some(short.id));
    scene.pass(Duration::from_secs(10));
    assert_eq!(muted(&scene), None, "it ends by itself, before anything happens");
    scene.polled(5, 8);
    assert_eq!(scene.silences().len(), 1, "that of the other database");
    assert_eq!(muted(&scene), None);
}

#[test]
fn a_silence_that_could_not_be_recorded_does_not_hold() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    scene.heard(vec![alert()]);
    let one = silence(&scene, 1, of_database("app"), Duration::from_secs(60));
    let change = SilenceChange::Add(one);
    let order = Box::new(Order::Silence(change));
    scene.event(Event::Ordered(order.clone()));
    assert_eq!((muted(&scene), scene.silences().len()), (None, 0), "not before it is recorded");
    scene.event(Event::OrderKept { order, kept: Err("disk_full".into()) });
    assert_eq!((muted(&scene), scene.silences().len()), (None, 0));
}

#[test]
fn there_are_only_so_many_silences() {
    let mut scene = Scene::new(Mode::Enforce);
    for number in 0..Silence::MOST {
        let number = u128::try_from(number).expect("a small number");
        let one = silence(&scene, number, of_database("x"), Duration::from_secs(60));
        scene.silence(SilenceChange::Add(one)).expect("there is room");
    }
    let one = silence(&scene, 2_000, of_database("x"), Duration::from_secs(60));
    let refused = scene.silence(SilenceChange::Add(one.clone()));
    assert_eq!(refused, Err(SilenceRefusal::TooMany));
    scene.pass(Duration::from_secs(60));
    let one = Silence { until: scene.now().plus(Duration::from_secs(1)), ..one };
    scene.silence(SilenceChange::Add(one)).expect("the others have ended");
}

#[test]
fn an_alert_with_other_labels_is_compared_anew() {
    let mut scene = Scene::new(Mode::Enforce);
    let labels = [("team".to_owned(), Glob::new("shop"))].into();
    let matchers = Matchers { labels, ..Matchers::default() };
    let one = silence(&scene, 1, matchers, Duration::from_secs(60));
    scene.silence(SilenceChange::Add(one.clone())).expect("taken");
    scene.polled(5, 8);
    scene.heard(vec![alert()]);
    assert_eq!(muted(&scene), None);
    let mut labelled = alert();
    let Proposal::Alert { labels, .. } = &mut labelled else { unreachable!("an alert") };
    labels.push(("team".into(), "shop".into()));
    scene.heard(vec![labelled]);
    assert_eq!(muted(&scene), Some(one.id));
    let ids = scene.view().alerts[0].alert.state;
    assert!(matches!(ids, AlertState::Firing(DecisionId(_))), "the same alert");
}
