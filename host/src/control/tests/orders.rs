//! What people order: pauses, the panic switch, approvals.

use std::time::Duration;

use super::scene::{self, Scene, resize, size, target};
use crate::control::{Acted, Effect, Event, Known, Order, OrderRefusal, TheirSizes};
use crate::model::{
    DecisionId, HoldKind, Mode, Outcome, PolicyName, Rule, Signature, Status, Word,
};
use crate::record::{Batch, HoldChange};

fn ada() -> Signature {
    Signature::new("ada", "a migration").expect("signed")
}

pub fn pause(until_s: Option<u64>) -> Order {
    let until = until_s.map(|s| scene::start().plus(Duration::from_secs(s)));
    Order::Pause { target: target(), until, by: ada() }
}

fn panic() -> Order {
    Order::Panic { target: None, by: ada() }
}

fn resume(sizes: TheirSizes) -> Order {
    Order::Resume { target: target(), sizes, by: ada() }
}

/// Gives an order, records it, and gives what was recorded and what follows.
pub fn give(scene: &mut Scene, order: Order) -> Result<(Batch, scene::Effects), OrderRefusal> {
    match scene.event(Event::Ordered(Box::new(order))).0.pop() {
        Some(Effect::KeepOrder { order, batch }) => {
            let effects = scene.event(Event::OrderKept { order, kept: Ok(()) });
            Ok((*batch, effects))
        }
        Some(Effect::RefuseOrder(refusal)) => Err(refusal),
        other => panic!("{other:?} answers no order"),
    }
}

fn refused_by(batch: &Batch) -> Vec<Rule> {
    let verdicts = batch.decisions.iter().filter_map(|decision| decision.verdict.as_ref());
    let words = verdicts.flat_map(|verdict| &verdict.rules);
    words.filter(|said| said.word == Word::Reject).map(|said| said.rule).collect()
}

#[test]
fn a_pause_stops_changes_and_not_the_record_of_what_was_wanted() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let (batch, _) = give(&mut scene, pause(None)).expect("taken");
    assert!(
        matches!(batch.holds.as_slice(), [HoldChange::Set(hold)] if hold.kind == HoldKind::Pause)
    );
    let batch = scene.heard(vec![resize(9)]).batch();
    assert_eq!(refused_by(&batch), [Rule::Held]);
    assert_eq!(scene.view().hold.map(|hold| hold.by.author), Some("ada".to_owned()));
    assert!(scene.view().alerts.iter().any(|one| one.alert.key.name == "target-held"));

    let (batch, _) = give(&mut scene, resume(TheirSizes::Respect)).expect("taken");
    assert!(matches!(batch.holds.as_slice(), [HoldChange::End { .. }]));
    assert_eq!(scene.view().hold, None);
    scene.polled(5, 8);
    assert_eq!(scene.heard(vec![resize(9)]).resizes().len(), 1);
}

#[test]
fn an_order_that_cannot_be_recorded_does_not_hold() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    for order in [pause(None), panic()] {
        let Some(Effect::KeepOrder { order, .. }) =
            scene.event(Event::Ordered(Box::new(order))).0.pop()
        else {
            panic!("it is to be recorded");
        };
        scene.event(Event::OrderKept { order, kept: Err("disk_full".into()) });
        assert_eq!(scene.view().hold, None);
    }
}

#[test]
fn a_pause_ends_by_itself_and_one_of_before_the_start_goes_on() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    give(&mut scene, pause(Some(30))).expect("taken");
    let hold = scene.view().hold;
    let mut again = Scene::knowing(Mode::Enforce, Known { hold, ..Known::default() });
    for scene in [&mut scene, &mut again] {
        scene.polled(5, 8);
        assert!(scene.heard(vec![resize(9)]).resizes().is_empty());
        scene.pass(Duration::from_secs(30));
        scene.polled(5, 8);
        assert_eq!(scene.view().hold, None);
        assert_eq!(scene.heard(vec![resize(9)]).resizes().len(), 1);
    }
}

#[test]
fn the_panic_switch_takes_back_at_once_and_twice_is_once() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.grown_to(12);
    scene.polled(12, 8);
    let (batch, effects) = give(&mut scene, panic()).expect("taken");
    assert_eq!(batch.holds.len(), 1);
    let resizes = effects.resizes();
    let [change] = resizes.as_slice() else { panic!("{resizes:?} is not one change") };
    assert_eq!((change.from, change.size), (Some(size(12)), size(5)));
    let decision = change.intent.decisions.first().expect("it is recorded");
    assert_eq!(decision.policy, PolicyName::host());
    assert_eq!(decision.verdict.as_ref().map(|one| one.outcome), Some(Outcome::Approved));
    assert!(decision.reason().contains("ada (a migration)"), "{}", decision.reason());

    let (batch, effects) = give(&mut scene, panic()).expect("taken");
    assert_eq!((batch.holds.len(), effects.resizes().len()), (0, 0), "it is under way");
    assert_eq!(scene.view().going_back.len(), 1);
    assert!(scene.acted(change.id, Acted::Verified).resizes().is_empty());
    assert_eq!(scene.view().going_back, []);
    scene.polled(5, 8);
    assert!(scene.heard(vec![resize(12)]).resizes().is_empty());
    let refusal = give(&mut scene, pause(None)).expect_err("the stronger order holds");
    assert!(matches!(refusal, OrderRefusal::Panicked(..)), "{refusal}");
}

#[test]
fn the_panic_switch_waits_for_the_change_under_way_and_for_a_target_that_is_down() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let id = scene.heard(vec![resize(12)]).resizes()[0].id;
    let (_, effects) = give(&mut scene, panic()).expect("taken");
    assert!(effects.resizes().is_empty());
    let back = scene.acted(id, Acted::Verified).resizes();
    assert_eq!(back.iter().map(|change| change.size).collect::<Vec<_>>(), [size(5)]);
    // It fails: the target has gone away.
    scene.acted(back[0].id, Acted::Failed("no route".into()));
    scene.poll_failed();
    assert_eq!(scene.view().going_back.len(), 1);
    scene.pass(Duration::from_secs(60));
    let mut effects = scene.polled(12, 8);
    assert_eq!(effects.take_resizes().len(), 1, "it is back");
}

#[test]
fn the_panic_switch_leaves_a_persons_size_and_forgets_what_a_restart_undid() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.grown_to(12);
    scene.polled(17, 0);
    let (_, effects) = give(&mut scene, panic()).expect("taken");
    assert!(effects.resizes().is_empty(), "17 is a person's");
    let mut effects = scene.polled(5, 8);
    assert!(effects.take_resizes().is_empty(), "nothing is put back");
    assert_eq!(scene.view().scopes[0].wanted, None);
}

#[test]
fn what_goes_back_waits_for_its_turn_and_what_a_policy_wants_grows_old() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(5, 8);
    let asked = scene.heard(vec![resize(12)]).resizes().remove(0);
    let turn = scene.now().plus(Duration::from_secs(60));
    assert!(asked.until(turn) < turn, "a minute is too old");
    scene.acted(asked.id, Acted::Verified);
    scene.polled(12, 8);
    let back = give(&mut scene, panic()).expect("taken").1.resizes().remove(0);
    assert!(back.until(turn) > turn, "nineteen others may have come first");
}

#[test]
fn nothing_is_handed_back_during_a_pause() {
    for (order, sizes) in [(Some(pause(None)), vec![]), (None, vec![size(5)])] {
        let mut scene = Scene::handing_back();
        scene.grown_to(12);
        scene.polled(12, 8);
        if let Some(order) = order {
            give(&mut scene, order).expect("taken");
        }
        let back = scene.stopping().resizes();
        assert_eq!(back.iter().map(|one| one.size).collect::<Vec<_>>(), sizes);
    }
}

#[test]
fn adopted_sizes_are_where_it_goes_on_from() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.grown_to(12);
    scene.polled(17, 8);
    assert!(scene.view().scopes[0].stood_down.is_some());
    let (batch, _) = give(&mut scene, resume(TheirSizes::Respect)).expect("taken");
    assert_eq!((batch.holds.len(), batch.scopes.len()), (0, 0));
    assert!(scene.view().scopes[0].stood_down.is_some());
    let (batch, _) = give(&mut scene, resume(TheirSizes::Adopt)).expect("taken");
    assert_eq!(batch.scopes[0].wanted, Some(size(17)));
    assert_eq!((batch.scopes[0].base, batch.scopes[0].stood_down), (size(5), None));
    scene.polled(17, 8);
    assert!(scene.view().scopes[0].stood_down.is_none());
    assert_eq!(scene.heard(vec![resize(19)]).resizes().len(), 1);
}

/// Lets a growth to 9 stand as advice and gives its decision.
fn standing(scene: &mut Scene) -> DecisionId {
    scene.polled(5, 8);
    let batch = scene.heard(vec![resize(9)]).batch();
    batch.decisions[0].id
}

fn approve(id: DecisionId) -> Order {
    Order::Approve { id, by: ada() }
}

#[test]
fn what_is_approved_is_judged_and_goes_the_way_of_every_change() {
    let mut scene = Scene::new(Mode::Recommend);
    let id = standing(&mut scene);
    let (batch, effects) = give(&mut scene, approve(id)).expect("taken");
    assert_eq!(batch.approvals[0].size_to, Some(size(9)));
    assert!(batch.transitions[0].note.contains("ada (a migration)"), "{batch:?}");
    let resizes = effects.resizes();
    assert_eq!(resizes.iter().map(|one| (one.id, one.size)).collect::<Vec<_>>(), [(id, size(9))]);
    assert!(resizes[0].intent.decisions.is_empty(), "it is recorded already");
    let refusal = give(&mut scene, approve(id)).expect_err("it stands no longer");
    assert_eq!(refusal, OrderRefusal::NotStanding(id));
    let batch = scene.acted(id, Acted::Verified).batch();
    assert!(batch.transitions.iter().all(|one| one.id == id), "{batch:?}");
    scene.polled(9, 0);
    assert_eq!(scene.view().scopes[0].wanted, Some(size(9)));
}

#[test]
fn the_guard_has_the_last_word_on_an_approval() {
    let mut scene = Scene::new(Mode::Recommend);
    let id = standing(&mut scene);
    give(&mut scene, pause(None)).expect("taken");
    let refusal = give(&mut scene, approve(id)).expect_err("it is paused");
    assert!(refusal.to_string().contains("held: it is paused by ada"), "{refusal}");
    give(&mut scene, resume(TheirSizes::Respect)).expect("taken");
    // Between judging and recording something else is changed.
    let asked = scene.event(Event::Ordered(Box::new(approve(id)))).0.pop();
    let Some(Effect::KeepOrder { order, .. }) = asked else { panic!("{asked:?}") };
    scene.pass(Duration::from_secs(10));
    let batch = scene.event(Event::OrderKept { order, kept: Ok(()) }).batch();
    assert_eq!(batch.transitions[0].status, Status::Failed);
    assert!(batch.transitions[0].note.contains("fresh_data"), "{batch:?}");
}

#[test]
fn what_goes_from_another_size_than_the_one_in_force_is_not_approved() {
    let mut scene = Scene::new(Mode::Recommend);
    let id = standing(&mut scene);
    scene.polled(12, 8);
    let refusal = give(&mut scene, approve(id)).expect_err("a growth to 9 would be a shrink");
    assert_eq!(refusal, OrderRefusal::Moved { id, then: 5, now: 12 });
    let batch = scene.heard(vec![resize(9)]).batch();
    let anew = batch.decisions[0].id;
    assert_eq!(batch.decisions[0].size_from, Some(size(12)), "it is said anew as what it is");
    assert_eq!(give(&mut scene, approve(anew)).expect("taken").1.resizes().len(), 1);
}

#[test]
fn an_approval_that_cannot_be_recorded_stands_as_before() {
    let mut scene = Scene::new(Mode::Recommend);
    let id = standing(&mut scene);
    let asked = scene.event(Event::Ordered(Box::new(approve(id)))).0.pop();
    let Some(Effect::KeepOrder { order, .. }) = asked else { panic!("{asked:?}") };
    let refusal = give(&mut scene, approve(id)).expect_err("it is being approved");
    assert_eq!(refusal, OrderRefusal::NotStanding(id));
    scene.event(Event::OrderKept { order, kept: Err("disk_full".into()) });
    assert_eq!(give(&mut scene, approve(id)).expect("taken").1.resizes().len(), 1);
}

#[test]
fn what_is_rejected_stays_away_for_a_while_and_its_opposite_does_not() {
    let mut scene = Scene::new(Mode::Recommend);
    let id = standing(&mut scene);
    let (batch, _) = give(&mut scene, Order::Reject { id, by: ada() }).expect("taken");
    assert_eq!(batch.transitions[0].status, Status::Rejected);
    assert_eq!(scene.view().advice, []);
    for wanted in [9, 11] {
        scene.polled(5, 8);
        scene.heard(vec![resize(wanted)]);
        assert_eq!(scene.view().advice, [], "a growth was rejected");
    }
    scene.polled(5, 0);
    scene.heard(vec![resize(4)]);
    assert_eq!(scene.view().advice.len(), 1, "a shrink was not");
    scene.pass(Duration::from_secs(3_600));
    scene.polled(5, 8);
    scene.heard(vec![resize(9)]);
    assert_eq!(scene.view().advice.len(), 1, "an hour later it is said again");
}
