//! Roll-backs: sent, refused, of no known outcome, and let go of.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::effect::{batches, grow, grown, last, moves, slow, states, waits};
use super::scene::{self, Scene, Works, resize, resize_setting, size, target};
use crate::control::{Acted, Event, Known};
use crate::model::{
    Claim, DatabaseSample, DecisionId, Knob, LookFailure, Mode, Outcome, Peer, ScopeKey, Setting,
    Snapshot, Status, Told,
};

#[test]
fn a_roll_back_that_fails_is_tried_again() {
    let mut scene = Scene::new(Mode::Enforce);
    let id = grown(&mut scene);
    scene.works = slow(15);
    let effects = scene.run(10_500, 15, 15);
    assert_eq!(last(&effects, id), Some(Status::RolledBack), "it is known, whatever comes of it");
    let back = effects.resizes().remove(0);
    assert!(back.intent.transitions.is_empty(), "{:?}", back.intent);
    scene.acted(back.id, Acted::NotRecorded("the disk is full".into()));
    let effects = scene.run(11_000, 15, 15);
    assert_eq!(effects.resizes()[0].size, size(5));
}

/// A growth that did harm, and whose roll-back PgBouncer refused once; gives the growth.
fn roll_back_that_failed() -> (Scene, DecisionId) {
    let mut scene = Scene::new(Mode::Enforce);
    let id = grown(&mut scene);
    scene.works = slow(15);
    let back = scene.run(10_500, 15, 15).resizes().remove(0);
    scene.acted(back.id, Acted::Failed("refused".into()));
    (scene, id)
}

#[test]
fn a_roll_back_that_fails_for_too_long_is_told_and_holds_nothing_up() {
    let (mut scene, id) = roll_back_that_failed();
    scene.pass(Duration::from_secs(600));
    let effects = scene.run(100, 15, 15);
    let told = moves(&effects, id);
    assert_eq!(told.iter().map(|one| one.status).collect::<Vec<_>>(), [Status::Inconclusive]);
    assert!(told[0].note.contains("not taken back") && told[0].note.contains("600 s"), "{told:?}");
    let kept = states(&effects).pop().expect("its state too");
    assert_eq!((kept.status, kept.to), (Status::Inconclusive, size(15)), "it was not taken back");
    assert!(effects.resizes().is_empty());
    let hindrance = scene.view().scopes[0].hindrance.clone();
    assert!(hindrance.shrink.is_none(), "{hindrance:?}");
}

#[test]
fn a_roll_back_that_is_not_done_when_the_sidecar_stops_is_told() {
    let (mut scene, id) = roll_back_that_failed();
    let effects = scene.stopping();
    let [told] = &moves(&effects, id)[..] else { panic!("it is told once: {effects:?}") };
    assert_eq!(told.status, Status::Inconclusive);
    assert!(told.note.contains("Poolwarden stopped"), "{told:?}");
}

/// A growth from 5 to 15 that did harm, of a sidecar that ended right then; gives one that starts after it.
fn ended_before_the_roll_back() -> (Scene, DecisionId) {
    let mut scene = Scene::new(Mode::Enforce);
    let id = grown(&mut scene);
    scene.works = slow(15);
    let effects = scene.run(10_500, 15, 15);
    let known = states(&effects).pop().expect("what it did is recorded");
    assert_eq!(known.going_back, Some((id, size(5))));
    let known = Known { effects: vec![known], now: scene::start(), ..Known::default() };
    (Scene::knowing(Mode::Enforce, known), id)
}

#[test]
fn a_roll_back_goes_on_after_a_restart() {
    let (mut scene, id) = ended_before_the_roll_back();
    scene.works = slow(15);
    let back = scene.run(1_000, 15, 15).resizes().remove(0);
    assert_eq!((back.size, back.from), (size(5), Some(size(15))));
    let reason = back.intent.decisions[0].reason();
    assert!(reason.contains(&id.to_string()) && reason.contains("did harm"), "{reason}");
    let done = scene.acted(back.id, Acted::Verified);
    let known = states(&done).pop().expect("that it is done is recorded");
    assert_eq!((known.status, known.going_back), (Status::RolledBack, None));
}

#[test]
fn a_roll_back_that_came_into_force_before_a_restart_is_done() {
    let (mut scene, id) = ended_before_the_roll_back();
    let effects = scene.run(1_000, 5, 25);
    let known = states(&effects).pop().expect("that it is done is recorded");
    assert_eq!((known.status, known.going_back), (Status::RolledBack, None));
    assert_eq!(moves(&effects, id), [], "it was taken back, as the store says");
    assert!(effects.resizes().is_empty());
}

#[test]
fn a_roll_back_is_let_go_of_when_the_size_is_another_after_a_restart() {
    let (mut scene, id) = ended_before_the_roll_back();
    let effects = scene.run(1_000, 9, 15);
    let [told] = &moves(&effects, id)[..] else { panic!("it is told once: {effects:?}") };
    assert_eq!(told.status, Status::Inconclusive);
    assert!(told.note.contains("the size is 9 meanwhile"), "{told:?}");
    let known = states(&effects).pop().expect("its state too");
    assert_eq!((known.status, known.going_back), (Status::Inconclusive, None));
}

#[test]
fn a_roll_back_is_let_go_of_when_another_sidecar_acts() {
    let mut scene = Scene::one_of_several(Uuid::from_u128(7), Known::default());
    let look = |scene: &mut Scene, peers| {
        let every = Duration::from_secs(1);
        scene.event(Event::Attended { target: target(), peers, every });
    };
    scene.works = waits(5);
    for _ in 0..8 {
        scene.run(1_000, 5, 25);
        look(&mut scene, Vec::new());
    }
    let id = grow(&mut scene, 15);
    scene.works = slow(15);
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        look(&mut scene, Vec::new());
        let effects = scene.run(1_000, 15, 15);
        told.extend(moves(&effects, id));
        sent.extend(effects.resizes());
    }
    scene.acted(sent[0].id, Acted::Failed("refused".into()));
    let (other, claim) = (Uuid::from_u128(3), Claim::Acts);
    look(&mut scene, vec![Peer { id: other, claim, told: Told::default() }]);
    told.extend(moves(&scene.run(100, 15, 15), id));
    let statuses: Vec<_> = told.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Status::RolledBack, Status::Inconclusive], "{told:?}");
    assert!(told[1].note.contains(&other.to_string()), "{told:?}");
}

#[test]
fn a_roll_back_of_which_nobody_knew_the_outcome_is_no_new_change() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = waits(9);
    scene.run(6_000, 12, 0);
    grow(&mut scene, 7);
    scene.works = waits(7);
    let back = scene.run(2_500, 7, 2).resizes().remove(0);
    scene.acted(back.id, Acted::NotInForce(None));
    let settled = scene.polled(12, 0);
    let known = states(&settled);
    let [known] = &known[..] else { panic!("that it is done is recorded: {known:?}") };
    assert_eq!((known.status, known.from, known.to), (Status::RolledBack, size(12), size(7)));
    assert_eq!(known.going_back, None);
    assert!(scene.view().scopes[0].hindrance.growth.is_none(), "growth may follow");
}

#[test]
fn a_size_above_the_ceiling_is_gone_back_to_after_harm() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = waits(98);
    scene.run(6_000, 100, 0);
    let id = grow(&mut scene, 95);
    scene.works = waits(95);
    let effects = scene.run(2_500, 95, 2);
    assert_eq!(last(&effects, id), Some(Status::RolledBack));
    let back = effects.resizes();
    assert_eq!(back.iter().map(|one| one.size).collect::<Vec<_>>(), [size(100)]);
    scene.acted(back[0].id, Acted::Verified);
    scene.run(1_000, 100, 0);
    assert!(scene.view().scopes[0].hindrance.growth.is_none(), "the setting is free again");
}

fn reserves(snapshot: &mut Snapshot, reserve: u32) {
    let mut server = (*snapshot.server).clone();
    server.reserve_pool_size = Some(reserve);
    snapshot.server = server.into();
}

/// A reserve that was never within the bounds cannot be had again, and nothing waits for it.
#[test]
fn a_roll_back_that_the_bounds_refuse_for_ever_is_recorded_and_let_go() {
    let reserve = Setting { scope: ScopeKey::Default, knob: Knob::ReservePoolSize };
    let mut scene = Scene::new(Mode::Enforce);
    scene.more = |snapshot| reserves(snapshot, 10);
    scene.works = waits(48);
    scene.run(6_000, 48, 9);
    let sent = scene.heard(vec![resize_setting(reserve.clone(), 5)]).resizes();
    let id = sent[0].id;
    assert_eq!(sent[0].size, size(5), "the ceiling of 50 leaves two");
    scene.acted(id, Acted::Verified);
    scene.more = |snapshot| reserves(snapshot, 5);
    scene.works = slow(48);
    let effects = scene.run(11_000, 48, 9);
    let told: Vec<_> = moves(&effects, id).iter().map(|one| one.status).collect();
    assert_eq!(told, [Status::RolledBack, Status::Inconclusive], "it did harm, and stays");
    let all = batches(&effects);
    let mut told = all.iter().flat_map(|batch| &batch.decisions);
    let refused = told.next().expect("why it stays is recorded");
    assert!(told.next().is_none(), "once");
    let verdict = refused.verdict.as_ref().expect("a verdict");
    assert_eq!((verdict.outcome, refused.size_to), (Outcome::Rejected, Some(size(10))));
    assert!(effects.resizes().is_empty());
    let view = scene.view();
    let scope = view.scopes.iter().find(|one| one.setting == reserve).expect("it is kept");
    assert!(scope.hindrance.growth.is_none(), "{:?}", scope.hindrance);
}

/// PostgreSQL has room for so many servers of the pool.
fn room(snapshot: &mut Snapshot, servers: u32, failure: Option<LookFailure>) {
    let sample = DatabaseSample {
        at: snapshot.at,
        server: (Some("db".to_owned()), Some(5432)),
        identity: None,
        failure,
        max_connections: servers + 8,
        reserved_connections: 3,
        sessions: Vec::new(),
        xact_ends: None,
    };
    snapshot.postgres = Some(Arc::new(sample));
}

#[test]
fn a_shrink_is_taken_back_also_while_nobody_knows_what_postgresql_has_left() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.looks_at_postgres();
    scene.more = |snapshot| room(snapshot, 20, None);
    scene.works = waits(9);
    scene.run(6_000, 12, 0);
    grow(&mut scene, 7);
    scene.works = waits(7);
    scene.more = |snapshot| room(snapshot, 20, Some(LookFailure::Full));
    let back = scene.run(2_500, 7, 2).resizes();
    assert_eq!(back.iter().map(|one| one.size).collect::<Vec<_>>(), [size(12)]);
    scene.acted(back[0].id, Acted::Verified);
    scene.pass(Duration::from_secs(600));
    scene.works = waits(5);
    scene.run(6_000, 12, 0);
    let again = scene.heard(vec![resize(8)]).resizes();
    assert_eq!(again.iter().map(|one| one.size).collect::<Vec<_>>(), [size(8)], "it can be mended");
}

#[test]
fn a_shrink_for_whose_return_others_left_no_room_is_told_and_holds_nothing_up() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.looks_at_postgres();
    scene.more = |snapshot| room(snapshot, 20, None);
    scene.works = waits(9);
    scene.run(6_000, 12, 0);
    let id = grow(&mut scene, 7);
    scene.works = waits(7);
    scene.more = |snapshot| room(snapshot, 7, None);
    let effects = scene.run(2_500, 7, 2);
    let moves: Vec<_> = moves(&effects, id).iter().map(|one| one.status).collect();
    assert_eq!(moves, [Status::RolledBack, Status::Inconclusive], "it did harm, and stays");
    let all = batches(&effects);
    let told: Vec<_> = all.iter().flat_map(|batch| &batch.decisions).collect();
    assert_eq!(told.iter().map(|one| one.size_to).collect::<Vec<_>>(), [Some(size(12))], "once");
    assert!(effects.resizes().is_empty());
    let hindrance = scene.view().scopes[0].hindrance.clone();
    assert!(hindrance.growth.is_none(), "{hindrance:?}");
}

/// A growth to six, which tells nothing for five and a half seconds, and a further one; gives the second.
fn part_of_a_step(to: u32) -> (Scene, DecisionId) {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = waits(5);
    scene.run(6_000, 5, 25);
    let first = grow(&mut scene, 6);
    scene.works = slow(6);
    scene.run(400, 6, 25);
    scene.pass(Duration::from_secs(5));
    scene.run(100, 6, 25);
    let sent = scene.heard(vec![resize(to)]).resizes().remove(0);
    let effects = scene.acted(sent.id, Acted::Verified);
    assert_eq!(last(&effects, first), Some(Status::Superseded));
    scene.works = slow(to);
    (scene, sent.id)
}

/// Five servers do as much as six, which one server more cannot tell, and as fifteen, which can be told.
#[test]
fn growths_that_are_one_step_together_go_back_together_within_the_window_of_the_first() {
    let (mut scene, id) = part_of_a_step(15);
    let effects = scene.run(5_500, 15, 25);
    assert_eq!(last(&effects, id), Some(Status::RolledBack));
    let known = states(&effects).pop().expect("what it did is recorded");
    assert_eq!((known.from, known.to), (size(5), size(15)), "all of it is what did harm");
    let back = effects.resizes().remove(0);
    assert_eq!(back.size, size(5), "nothing of it had helped");
    let reason = back.intent.decisions[0].reason();
    assert!(reason.contains("and the growths before it, back to 5"), "{reason}");
}

/// Seven servers do a little more than six, which five to one says is nothing and nineteen to one does not.
#[test]
fn what_is_not_sure_waits_for_the_window_of_the_first_and_no_longer() {
    let (mut scene, id) = part_of_a_step(7);
    let early = scene.run(4_300, 7, 25);
    assert!(early.resizes().is_empty(), "it is not sure");
    let due = scene.run(400, 7, 25);
    assert_eq!(last(&due, id), Some(Status::RolledBack));
    assert_eq!(due.resizes()[0].size, size(5));
}

/// Seven servers do more than five, and nine no more than seven, of which five to one can be said.
#[test]
fn what_goes_on_with_a_gain_is_told_within_the_window_of_the_first_too() {
    let mut scene = Scene::tireless();
    scene.works = waits(5);
    scene.run(6_000, 5, 25);
    let first = grow(&mut scene, 7);
    scene.works = waits(7);
    scene.run(900, 7, 25);
    let sent = scene.heard(vec![resize(9)]).resizes().remove(0);
    let effects = scene.acted(sent.id, Acted::Verified);
    assert_eq!(last(&effects, first), Some(Status::Superseded));
    scene.works = Some(Works { busy: 9, per_s: 350, us: 25_714 });
    let early = scene.run(8_900, 9, 25);
    assert!(early.resizes().is_empty(), "it is not sure");
    let due = scene.run(400, 9, 25);
    assert_eq!(last(&due, sent.id), Some(Status::RolledBack));
    assert_eq!(due.resizes()[0].size, size(7), "what helped stays");
}
