//! What changes did, and what follows from it.
//!
//! The load is made up: servers that wait (as many transactions as servers give), or a database that
//! gives 250 transactions a second however many ask.

use std::time::Duration;

use super::scene::{Effects, Scene, Works, resize, size};
use crate::control::{Acted, Effect, Known};
use crate::model::{Decision, DecisionId, Mode, Rule, Snapshot, Status, TargetStatus, Transition};
use crate::record::{Batch, EffectState};

/// Servers that only wait: each gives 50 transactions a second, of 20 ms.
pub(super) fn waits(busy: u32) -> Option<Works> {
    Some(Works { busy, per_s: u64::from(busy) * 50, us: 20_000 })
}

/// A database that gives 250 transactions a second, however many servers ask.
pub(super) fn slow(busy: u32) -> Option<Works> {
    Some(Works { busy, per_s: 250, us: u64::from(busy) * 4_000 })
}

/// Six seconds of a full pool of five and 25 waiters, then growth to 15, read back.
pub(super) fn grown(scene: &mut Scene) -> DecisionId {
    scene.works = waits(5);
    scene.run(6_000, 5, 25);
    grow(scene, 15)
}

pub(super) fn grow(scene: &mut Scene, to: u32) -> DecisionId {
    let sent = scene.heard(vec![resize(to)]).resizes();
    let [one] = sent.as_slice() else { panic!("one change is sent, not {sent:?}") };
    scene.acted(one.id, Acted::Verified);
    one.id
}

pub(super) fn batches(effects: &Effects) -> Vec<&Batch> {
    fn batch(effect: &Effect) -> Option<&Batch> {
        match effect {
            Effect::Record(batch) => Some(batch),
            Effect::Resize(resize) => Some(&resize.intent),
            Effect::Reconnect(reconnect) => Some(&reconnect.intent),
            _ => None,
        }
    }
    effects.0.iter().filter_map(batch).collect()
}

pub(super) fn moves(effects: &Effects, id: DecisionId) -> Vec<Transition> {
    let all = batches(effects).into_iter().flat_map(|batch| batch.transitions.clone());
    all.filter(|one| one.id == id).collect()
}

pub(super) fn last(effects: &Effects, id: DecisionId) -> Option<Status> {
    moves(effects, id).last().map(|one| one.status)
}

pub(super) fn states(effects: &Effects) -> Vec<EffectState> {
    batches(effects).into_iter().flat_map(|batch| batch.effect_states.clone()).collect()
}

/// Asks for a growth when no cooldown is in the way; gives why not.
fn refused(scene: &mut Scene, to: u32) -> Option<String> {
    let (shown, waiting) = (scene.view().scopes[0].clone(), scene.view().pools[0].1.row.cl_waiting);
    let now = shown.size.expect("it is known").get();
    scene.run(100, now, waiting);
    shown.hindrance.growth.filter(|_| to > now)
}

#[test]
fn a_growth_that_gives_throughput_is_verified_with_its_numbers() {
    let mut scene = Scene::new(Mode::Enforce);
    let id = grown(&mut scene);
    scene.works = waits(15);
    let effects = scene.run(2_000, 15, 15);
    let moves = moves(&effects, id);
    let [verified] = moves.as_slice() else { panic!("one verdict, not {moves:?}") };
    assert_eq!(verified.status, Status::Verified, "{}", verified.note);
    assert!(verified.note.contains("100 %"), "{}", verified.note);
    let all = batches(&effects);
    let report = all.iter().find_map(|batch| batch.effects.first()).expect("a report");
    assert_eq!(report.before.throughput_per_s.round(), 250.0);
    assert_eq!(report.after.throughput_per_s.round(), 750.0);
    assert_eq!(report.after.transaction_mean_us, 20_000.0);
    assert!(report.judged_at.is_some() && !report.judged.is_empty());
    assert!(report.series.iter().any(|point| point.size == 5), "from before too");
    assert!(refused(&mut scene, 25).is_none(), "a further growth may follow");
}

#[test]
fn a_growth_of_a_slow_database_is_taken_back_within_the_window() {
    let mut scene = Scene::new(Mode::Enforce);
    let id = grown(&mut scene);
    scene.works = slow(15);
    scene.run(1_000, 15, 15);
    assert!(refused(&mut scene, 25).is_some(), "no second step without a gain");
    let effects = scene.run(9_000, 15, 15);
    let [rolled_back] = &moves(&effects, id)[..] else { panic!("one verdict") };
    assert_eq!(rolled_back.status, Status::RolledBack);
    for part in ["250 transactions/s, before 250", "60.0 ms, before 20.0 ms", "the database"] {
        assert!(rolled_back.note.contains(part), "{part}: {}", rolled_back.note);
    }
    let sent = effects.resizes();
    let [back] = sent.as_slice() else { panic!("it is taken back once, not {sent:?}") };
    assert_eq!((back.size, back.from), (size(5), Some(size(15))));
    let decision: &Decision = &back.intent.decisions[0];
    assert!(decision.reason().contains(&id.to_string()), "{}", decision.reason());
    let done = scene.acted(back.id, Acted::Verified);
    assert_eq!(last(&done, back.id), Some(Status::Verified));

    scene.works = slow(5);
    scene.run(10_000, 5, 25);
    let why = refused(&mut scene, 15).expect("there is a wait");
    assert!(why.contains("taken back"), "{why}");
    let window = scene.window(5);
    assert_eq!((window.scopes.change[0], window.scopes.change_to[0]), (3, 15));
    scene.pass(Duration::from_secs(600));
    scene.run(6_000, 5, 25);
    assert!(refused(&mut scene, 15).is_none(), "the wait is over");
}

#[test]
fn the_wait_doubles_while_growth_keeps_failing() {
    let mut scene = Scene::new(Mode::Enforce);
    let mut waits = Vec::new();
    for _ in 0..2 {
        scene.works = slow(5);
        scene.run(6_000, 5, 25);
        grow(&mut scene, 15);
        scene.works = slow(15);
        let effects = scene.run(11_000, 15, 15);
        let judged = states(&effects).pop().expect("it is judged");
        let at = scene.now();
        waits.push(judged.until.expect("there is a wait").millis_since(at) / 100_000);
        let back = effects.resizes().remove(0);
        scene.acted(back.id, Acted::Verified);
        scene.pass(Duration::from_secs(601));
    }
    assert_eq!(waits, [5, 11], "ten minutes, then twenty");
}

#[test]
fn steps_of_a_burst_follow_one_another_while_each_helps() {
    let mut scene = Scene::new(Mode::Enforce);
    let first = grown(&mut scene);
    scene.works = waits(15);
    scene.run(600, 15, 40);
    assert!(refused(&mut scene, 25).is_none(), "the first step helps");
    scene.pass(Duration::from_secs(5));
    scene.run(100, 15, 40);
    let sent = scene.heard(vec![resize(25)]).resizes().remove(0);
    let effects = scene.acted(sent.id, Acted::Verified);
    let told = moves(&effects, first);
    assert!(told.iter().all(|one| one.status == Status::Superseded), "{told:?}");
    scene.works = Some(Works { busy: 25, per_s: 750, us: 33_333 });
    let effects = scene.run(10_500, 25, 30);
    assert_eq!(last(&effects, sent.id), Some(Status::RolledBack), "the second did not help");
    assert_eq!(effects.resizes()[0].size, size(15), "the first step stays");
}

#[test]
fn a_change_that_nobody_needed_is_inconclusive_and_the_next_does_not_wait() {
    let mut scene = Scene::new(Mode::Enforce);
    let id = grown(&mut scene);
    scene.works = waits(2);
    let effects = scene.run(11_000, 15, 0);
    let moves = moves(&effects, id);
    assert_eq!(moves[0].status, Status::Inconclusive);
    assert!(moves[0].note.contains("hardly used"), "{}", moves[0].note);
    scene.works = waits(15);
    scene.run(3_000, 15, 9);
    assert!(refused(&mut scene, 25).is_none(), "now all are needed, which is a new question");
}

#[test]
fn one_server_more_is_not_blamed_for_what_it_cannot_have_done() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = Some(Works { busy: 5, per_s: 30, us: 167_000 });
    scene.run(6_000, 5, 25);
    let id = grow(&mut scene, 6);
    scene.works = Some(Works { busy: 6, per_s: 10, us: 600_000 });
    let told = moves(&scene.run(11_000, 6, 25), id);
    assert_eq!(told[0].status, Status::Verified, "{}", told[0].note);
}

#[test]
fn too_few_transactions_tell_nothing() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = Some(Works { busy: 5, per_s: 0, us: 0 });
    scene.run(6_000, 5, 25);
    let id = grow(&mut scene, 15);
    scene.works = Some(Works { busy: 15, per_s: 0, us: 0 });
    assert!(moves(&scene.run(11_000, 15, 15), id).is_empty(), "more may come");
    let moves = moves(&scene.run(31_000, 15, 15), id);
    assert_eq!(moves[0].status, Status::Inconclusive);
    assert!(moves[0].note.contains("too few"), "{}", moves[0].note);
    let why = refused(&mut scene, 25).expect("a growth waits");
    assert!(why.contains("nobody has waited"), "{why}");
    scene.works = waits(2);
    scene.run(31_000, 15, 0);
    assert!(refused(&mut scene, 25).is_none(), "half a minute of calm");
}

#[test]
fn a_queue_that_ends_without_slower_transactions_verifies_a_growth() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = waits(5);
    scene.run(6_000, 5, 2);
    let id = grow(&mut scene, 15);
    scene.works = waits(7);
    let effects = scene.run(11_000, 15, 0);
    assert_eq!(last(&effects, id), Some(Status::Verified));
}

/// Small steps on a slow database, each within tolerance, add up to one that is not.
#[test]
fn creeping_past_the_peak_is_taken_back_to_where_it_began() {
    let mut scene = Scene::new(Mode::Enforce);
    let mut now = 20;
    scene.works = Some(Works { busy: 20, per_s: 1_000, us: 20_000 });
    scene.run(6_000, 20, 30);
    let mut back = None;
    for _ in 0..8 {
        grow(&mut scene, now + 1);
        now += 1;
        scene.works = Some(Works { busy: now, per_s: 1_000, us: u64::from(now) * 1_000 });
        let effects = scene.run(12_000, now, 30);
        back = effects.resizes().pop();
        if back.is_some() {
            break;
        }
    }
    let back = back.expect("it is noticed");
    assert!(now <= 24, "{now} is far beyond the peak");
    assert!(back.size < size(now), "{:?}", back.size);
}

/// Transactions that take three times as long are the later growth's doing or another load's: which one
/// depends on how long ago the first growth was.
#[test]
fn a_growth_of_long_ago_is_not_taken_back_with_the_last_one() {
    let back_to = |busy_for_ms| {
        let mut scene = Scene::new(Mode::Enforce);
        grown(&mut scene);
        scene.works = waits(15);
        scene.run(busy_for_ms, 15, 25);
        scene.works = Some(Works { busy: 15, per_s: 250, us: 60_000 });
        scene.run(15_000, 15, 25);
        grow(&mut scene, 17);
        scene.works = Some(Works { busy: 17, per_s: 252, us: 66_000 });
        let effects = scene.run(12_000, 17, 25);
        effects.resizes().pop().map(|back| back.size)
    };
    assert_eq!(back_to(12_000), Some(size(5)), "all of it brought nothing");
    assert_ne!(back_to(120_000), Some(size(5)), "what it brought is another day's story");
}

#[test]
fn a_shrink_that_nobody_feels_is_verified() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = waits(3);
    scene.run(6_000, 12, 0);
    let id = grow(&mut scene, 8);
    let effects = scene.run(11_000, 8, 0);
    assert_eq!(last(&effects, id), Some(Status::Verified));
}

#[test]
fn a_shrink_after_which_clients_wait_is_taken_back_at_once() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = waits(9);
    scene.run(6_000, 12, 0);
    let id = grow(&mut scene, 7);
    scene.works = waits(7);
    let effects = scene.run(2_500, 7, 2);
    assert_eq!(last(&effects, id), Some(Status::RolledBack));
    let back = effects.resizes().remove(0);
    assert_eq!(back.size, size(12));
    scene.acted(back.id, Acted::Verified);
    let shrink = scene.view().scopes[0].hindrance.shrink.clone();
    assert!(shrink.is_some_and(|why| why.contains("taken back")));
    assert!(scene.view().scopes[0].hindrance.growth.is_none(), "growth may follow");
}

#[test]
fn a_load_that_rises_after_a_shrink_tells_nothing_of_it() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = waits(3);
    scene.run(6_000, 12, 0);
    let id = grow(&mut scene, 7);
    scene.works = waits(7);
    let effects = scene.run(11_000, 7, 30);
    assert_eq!(last(&effects, id), Some(Status::Inconclusive));
}

fn pauses(snapshot: &mut Snapshot) {
    let server = crate::model::Server { paused: Some(true), ..(*snapshot.server).clone() };
    snapshot.server = server.into();
}

#[test]
fn what_interrupts_a_trial_makes_it_inconclusive() {
    let trial = || {
        let mut scene = Scene::new(Mode::Enforce);
        let id = grown(&mut scene);
        scene.works = waits(15);
        scene.run(400, 15, 25);
        (scene, id)
    };
    let (mut scene, id) = trial();
    scene.more = pauses;
    let paused = scene.run(100, 15, 25);
    assert_eq!(scene.view().status, TargetStatus::Paused);
    assert_eq!(last(&paused, id), Some(Status::Inconclusive));

    let (mut scene, id) = trial();
    let person = scene.run(200, 11, 25);
    assert_eq!(last(&person, id), Some(Status::Inconclusive));
    assert!(scene.view().scopes[0].hindrance.growth.is_some());

    let (mut scene, id) = trial();
    let once = scene.poll_failed();
    assert_eq!(last(&once, id), None, "one failed poll is no absence");
    scene.pass(Duration::from_secs(2));
    let away = scene.poll_failed();
    assert_eq!(last(&away, id), Some(Status::Inconclusive));

    let (mut scene, id) = trial();
    let stopped = scene.stopping();
    assert_eq!(last(&stopped, id), Some(Status::Inconclusive));
}

#[test]
fn the_wait_after_a_roll_back_survives_a_restart() {
    let mut scene = Scene::new(Mode::Enforce);
    grown(&mut scene);
    scene.works = slow(15);
    let effects = scene.run(10_500, 15, 15);
    let effects = states(&effects);
    assert_eq!((effects[0].status, effects[0].repeats), (Status::RolledBack, 1));
    let known = Known { effects, now: scene.now(), ..Known::default() };
    let mut scene = Scene::knowing(Mode::Enforce, known);
    scene.run(1_000, 5, 25);
    assert!(refused(&mut scene, 15).is_some_and(|why| why.contains("taken back")));
    assert!(scene.heard(vec![resize(15)]).resizes().is_empty());
}

#[test]
fn a_change_of_which_nobody_knows_the_outcome_is_counted_once_and_holds_the_next_up() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.works = waits(5);
    scene.run(6_000, 5, 25);
    let id = scene.heard(vec![resize(9)]).resizes()[0].id;
    scene.acted(id, Acted::NotInForce(None));
    let settled = scene.polled(9, 20);
    assert_eq!(last(&settled, id), Some(Status::Inconclusive));
    let [growth] = &states(&settled)[..] else { panic!("{settled:?} notes no growth") };
    assert_eq!((growth.status, growth.from, growth.to), (Status::Inconclusive, size(5), size(9)));
    scene.pass(Duration::from_secs(10));
    scene.polled(9, 20);
    let mut refused = scene.heard(vec![resize(12)]).batch();
    let verdict = refused.decisions.remove(0).verdict.expect("a verdict");
    let word = |rule| {
        let said = verdict.rules.iter().find(|said| said.rule == rule);
        said.expect("every rule speaks").clone()
    };
    assert!(word(Rule::Effect).reason.contains("could not be told"), "{verdict:?}");
    assert!(word(Rule::ChangesPerHour).reason.starts_with("1 changes"), "{verdict:?}");
}
