//! Sidecars that wait, take over, come back or lose their store: whose is the size that they find?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::scene::{Effects, Scene, resize, size, target};
use crate::control::{
    Acted, AlertView, Effect, Event, Known, Order, OrderRefusal, Role, TheirSizes,
};
use crate::model::{
    Claim, DatabaseSample, HoldKind, Means, Mode, Obstacle, Peer, Reach, Reachable, Rule, Setting,
    Signature, Told, Word,
};
use crate::record::{Batch, HoldChange};

const OTHER: Uuid = Uuid::from_u128(3);

/// PgBouncer's file can be read, and says this.
fn file(size: u32) -> Event {
    let known = Reachable { means: Ok(Means::Set), file: Some(size) };
    let settings = BTreeMap::from([(Setting::DEFAULT, known)]);
    let others = Obstacle::new("it has no entry", "give it one");
    Event::Reached { target: target(), reach: Reach { settings, others, problems: Vec::new() } }
}

fn looks(scene: &mut Scene, peers: Vec<Peer>) -> Effects {
    scene.event(Event::Attended { target: target(), peers, every: Duration::from_secs(1) })
}

fn other(claim: Claim, told: Told) -> Peer {
    Peer { id: OTHER, claim, told }
}

/// Another one acts for some seconds, in which a size is in force.
fn waits(scene: &mut Scene, seconds: u32, size: u32, told: Told) {
    for _ in 0..seconds {
        scene.polled(size, 8);
        looks(scene, vec![other(Claim::Acts, told)]);
    }
    assert_eq!(scene.view().writer.role, Role::Waits(OTHER));
}

/// The other one goes; gives what this one records as it takes over.
fn takes_over(scene: &mut Scene, size: u32, told: Told) -> Batch {
    scene.polled(size, 8);
    let batch = looks(scene, vec![other(Claim::Left, told)]).take_batch_or_none();
    assert_eq!(scene.view().writer.role, Role::Acts);
    batch
}

/// Nobody else is there until it acts.
fn acts_alone(scene: &mut Scene, size: u32) {
    for _ in 0..4 {
        scene.polled(size, 8);
        looks(scene, Vec::new());
    }
    assert_eq!(scene.view().writer.role, Role::Acts);
}

fn standby() -> Scene {
    Scene::one_of_several(Uuid::from_u128(7), Known::default())
}

fn ada() -> Signature {
    Signature::new("ada", "a migration").expect("signed")
}

fn give(scene: &mut Scene, order: Order) -> Effects {
    match scene.event(Event::Ordered(Box::new(order))).0.pop() {
        Some(Effect::KeepOrder { order, .. }) => {
            scene.event(Event::OrderKept { order, kept: Ok(()) })
        }
        other => panic!("{other:?} is not kept"),
    }
}

fn order(kind: HoldKind) -> Order {
    match kind {
        HoldKind::Pause => Order::Pause { target: target(), until: None, by: ada() },
        HoldKind::Panic => Order::Panic { target: None, by: ada() },
    }
}

fn panic(scene: &mut Scene) -> Effects {
    give(scene, order(HoldKind::Panic))
}

fn told(hold: Option<HoldKind>, theirs: &[Setting]) -> Told {
    Told { hold, theirs: theirs.iter().collect() }
}

fn announced(effects: &Effects) -> Option<(Claim, Told)> {
    effects.0.iter().rev().find_map(|effect| match effect {
        Effect::Announce { claim, told, .. } => Some((*claim, *told)),
        _ => None,
    })
}

fn refused_by(batch: &Batch, rule: Rule) -> bool {
    let verdicts = batch.decisions.iter().filter_map(|one| one.verdict.as_ref());
    let mut words = verdicts.flat_map(|verdict| &verdict.rules);
    words.any(|said| said.word == Word::Reject && said.rule == rule)
}

fn is_theirs(scene: &Scene) -> bool {
    scene.view().scopes[0].stood_down.is_some()
}

fn firing(scene: &Scene, name: &str) -> bool {
    let alerts = scene.view().alerts;
    alerts.iter().any(|one| one.alert.key.name == name && AlertView::is_firing(one))
}

#[test]
fn a_successor_knows_the_files_size_where_it_can_read_it() {
    let mut scene = standby();
    scene.polled(40, 0);
    scene.event(file(20));
    waits(&mut scene, 2, 40, Told::default());
    takes_over(&mut scene, 40, Told::default());
    assert_eq!(scene.view().scopes[0].base, size(20));
    let back = scene.polled(20, 8).resizes();
    assert_eq!(back[0].size, size(40), "a RELOAD lost it, and nobody set it");
    scene.acted(back[0].id, Acted::Verified);
    scene.polled(40, 0);
    assert_eq!(panic(&mut scene).resizes()[0].size, size(20));
}

#[test]
fn a_successor_hands_back_the_files_size() {
    let mut scene = standby();
    scene.event(file(20));
    waits(&mut scene, 2, 25, Told::default());
    takes_over(&mut scene, 25, Told::default());
    scene.polled(25, 0);
    assert_eq!(scene.stopping().resizes()[0].size, size(20));
}

#[test]
fn with_its_store_lost_it_knows_the_files_size_where_it_can_read_it() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.polled(40, 8);
    scene.event(file(20));
    scene.polled(40, 8);
    assert!(!is_theirs(&scene), "it may well have been its own");
    let id = scene.heard(vec![resize(45)]).resizes()[0].id;
    let batch = scene.acted(id, Acted::Verified).batch();
    assert_eq!((batch.scopes[0].base, batch.scopes[0].wanted), (size(20), Some(size(45))));
    let back = scene.polled(20, 8).resizes();
    assert_eq!(back[0].size, size(45));
    scene.acted(back[0].id, Acted::Verified);
    scene.polled(45, 0);
    assert_eq!(panic(&mut scene).resizes()[0].size, size(20));
}

#[test]
fn an_edited_file_that_was_reloaded_is_told_from_a_persons_set() {
    let mut scene = Scene::new(Mode::Enforce);
    scene.event(file(5));
    scene.grown_to(12);
    scene.event(file(9));
    scene.polled(12, 0);
    assert_eq!(scene.view().scopes[0].base, size(5), "it has not been loaded");
    scene.polled(9, 0);
    assert!(!is_theirs(&scene) && firing(&scene, "file-size-changed"));
    assert_eq!(scene.view().scopes[0].base, size(9));
    scene.polled(7, 0);
    assert!(is_theirs(&scene), "7 is not in the file");
}

#[test]
fn a_pause_and_a_panic_outlive_the_sidecar_that_they_were_given_to() {
    for kind in HoldKind::ALL {
        let mut first = standby();
        acts_alone(&mut first, 5);
        let effects = give(&mut first, order(kind));
        let (claim, said) = announced(&effects).expect("it is said at once");
        assert_eq!((claim, said), (Claim::Acts, told(Some(kind), &[])));

        let mut scene = standby();
        waits(&mut scene, 2, 5, said);
        let batch = takes_over(&mut scene, 5, said);
        let [HoldChange::Set(hold)] = batch.holds.as_slice() else { panic!("{batch:?}") };
        assert_eq!((hold.kind, hold.until), (kind, None));
        assert!(hold.words().contains(&OTHER.to_string()), "{}", hold.words());
        scene.polled(5, 8);
        assert!(refused_by(&scene.heard(vec![resize(9)]).batch(), Rule::Held));
        assert!(firing(&scene, "target-held"));
        give(&mut scene, Order::Resume { target: target(), sizes: TheirSizes::Respect, by: ada() });
        scene.polled(5, 8);
        assert_eq!(scene.heard(vec![resize(9)]).resizes().len(), 1);
    }
}

#[test]
fn a_hold_that_was_resumed_elsewhere_is_over_here_too() {
    for kind in HoldKind::ALL {
        let mut scene = standby();
        scene.event(file(5));
        acts_alone(&mut scene, 5);
        scene.polled(5, 8);
        let id = scene.heard(vec![resize(12)]).resizes()[0].id;
        scene.acted(id, Acted::Verified);
        for back in give(&mut scene, order(kind)).resizes() {
            scene.acted(back.id, Acted::Failed("no route".into()));
        }
        scene.pass(Duration::from_secs(60));
        waits(&mut scene, 2, 12, told(Some(kind), &[]));
        assert!(scene.view().hold.is_some());
        // Resumed there, and gone on with.
        scene.polled(14, 8);
        let mut effects = looks(&mut scene, vec![other(Claim::Acts, Told::default())]);
        let ended = effects.take_batch().holds;
        assert!(matches!(ended.as_slice(), [HoldChange::End { .. }]), "{ended:?}");
        takes_over(&mut scene, 14, Told::default());
        assert_eq!(scene.view().hold, None);
        assert!(scene.polled(14, 8).take_resizes().is_empty(), "nothing goes back under load");
        let batch = scene.heard(vec![resize(16)]).take_batch_or_none();
        assert!(!refused_by(&batch, Rule::Held), "{batch:?}");
    }
}

#[test]
fn an_old_panic_is_a_pause_at_a_takeover_and_one_that_goes_on_is_finished() {
    for (said, kind) in [(None, HoldKind::Pause), (Some(HoldKind::Panic), HoldKind::Panic)] {
        let mut first = standby();
        acts_alone(&mut first, 5);
        panic(&mut first);
        let known = Known { hold: first.view().hold, ..Known::default() };
        // It was away when the other one was resumed.
        let mut scene = Scene::one_of_several(Uuid::from_u128(7), known);
        scene.event(file(5));
        waits(&mut scene, 2, 12, told(said, &[]));
        let batch = takes_over(&mut scene, 12, told(said, &[]));
        assert_eq!(scene.view().hold.map(|hold| hold.kind), Some(kind));
        assert_eq!(batch.holds.len(), usize::from(said.is_none()), "{batch:?}");
        let back = scene.polled(12, 8).take_resizes().len();
        assert_eq!(back, usize::from(said.is_some()));
        assert!(refused_by(&scene.heard(vec![resize(16)]).batch(), Rule::Held));
    }
}

#[test]
fn an_order_to_one_that_waits_is_refused_with_the_name_of_the_one_that_acts() {
    let mut scene = standby();
    waits(&mut scene, 2, 12, Told::default());
    let pause = Order::Pause { target: target(), until: None, by: ada() };
    let resume = Order::Resume { target: target(), sizes: TheirSizes::Adopt, by: ada() };
    let pull = |target| Order::Panic { target, by: ada() };
    for order in [pause, resume, pull(Some(target())), pull(None)] {
        let answer = scene.event(Event::Ordered(Box::new(order))).0.pop();
        let Some(Effect::RefuseOrder(OrderRefusal::Elsewhere(others))) = answer else {
            panic!("{answer:?} is no refusal");
        };
        assert_eq!(others, [(target(), OTHER)]);
    }
    let refusal = OrderRefusal::Elsewhere(vec![(target(), OTHER)]).to_string();
    assert!(refusal.contains(&OTHER.to_string()) && refusal.contains("main"), "{refusal}");
    takes_over(&mut scene, 12, Told::default());
    panic(&mut scene);
}

/// The other one crashes: it is missing until this one takes over.
fn missing(scene: &mut Scene, size: u32) {
    scene.polled(size, 8);
    looks(scene, Vec::new());
    assert_eq!(scene.view().writer.role, Role::Waits(OTHER), "it may come back");
}

fn takes_over_from_the_missing(scene: &mut Scene, size: u32) {
    for _ in 0..12 {
        if scene.view().writer.role != Role::Acts {
            scene.polled(size, 8);
            looks(scene, Vec::new());
        }
    }
    assert_eq!(scene.view().writer.role, Role::Acts);
}

fn held(scene: &Scene) -> Option<HoldKind> {
    scene.view().hold.map(|hold| hold.kind)
}

#[test]
fn what_is_ordered_while_the_one_that_acts_is_missing_outlives_the_takeover() {
    for kind in HoldKind::ALL {
        let mut scene = standby();
        scene.event(file(5));
        waits(&mut scene, 2, 12, Told::default());
        missing(&mut scene, 12);
        give(&mut scene, order(kind));
        takes_over_from_the_missing(&mut scene, 12);
        assert_eq!(held(&scene), Some(kind));
        let back: Vec<_> = scene.polled(12, 0).resizes().iter().map(|one| one.size).collect();
        assert_eq!(back, if kind == HoldKind::Panic { vec![size(5)] } else { Vec::new() });
    }
}

#[test]
fn a_panic_that_is_pulled_again_while_the_one_that_acts_is_missing_is_no_old_one() {
    let mut scene = standby();
    acts_alone(&mut scene, 5);
    panic(&mut scene);
    scene.pass(Duration::from_secs(60));
    waits(&mut scene, 2, 12, Told::default());
    missing(&mut scene, 12);
    panic(&mut scene);
    takes_over_from_the_missing(&mut scene, 12);
    assert_eq!(held(&scene), Some(HoldKind::Panic));
}

#[test]
fn what_is_ordered_while_the_one_that_acts_is_missing_stays_when_it_comes_back() {
    let mut scene = standby();
    waits(&mut scene, 2, 12, told(Some(HoldKind::Panic), &[]));
    missing(&mut scene, 12);
    give(&mut scene, order(HoldKind::Pause));
    waits(&mut scene, 2, 12, Told::default());
    assert_eq!(held(&scene), Some(HoldKind::Pause), "nobody has resumed it");
    let answer = scene.event(Event::Ordered(Box::new(order(HoldKind::Pause)))).0.pop();
    assert!(matches!(answer, Some(Effect::RefuseOrder(OrderRefusal::Elsewhere(_)))), "{answer:?}");
}

#[test]
fn a_resume_while_the_one_that_acts_is_missing_ends_what_that_one_held_to() {
    let mut scene = standby();
    waits(&mut scene, 2, 12, told(Some(HoldKind::Pause), &[Setting::DEFAULT]));
    assert!(is_theirs(&scene));
    missing(&mut scene, 12);
    give(&mut scene, Order::Resume { target: target(), sizes: TheirSizes::Adopt, by: ada() });
    takes_over_from_the_missing(&mut scene, 12);
    assert_eq!((held(&scene), is_theirs(&scene)), (None, false));
}

#[test]
fn an_order_is_kept_where_the_other_one_only_waits_too() {
    let first = Uuid::from_u128(2);
    let mut scene = standby();
    waits(&mut scene, 2, 12, Told::default());
    let waiting = Peer { id: first, claim: Claim::Waits, told: Told::default() };
    scene.polled(12, 8);
    looks(&mut scene, vec![other(Claim::Left, Told::default()), waiting]);
    assert_eq!(scene.view().writer.role, Role::Waits(first));
    give(&mut scene, order(HoldKind::Panic));
    assert_eq!(held(&scene), Some(HoldKind::Panic));
}

#[test]
fn a_panic_is_finished_by_the_successor() {
    let mut scene = standby();
    scene.event(file(5));
    let panicked = told(Some(HoldKind::Panic), &[]);
    waits(&mut scene, 2, 12, panicked);
    takes_over(&mut scene, 12, panicked);
    assert_eq!(scene.polled(12, 0).resizes()[0].size, size(5));
}

#[test]
fn a_persons_size_outlives_the_sidecar_that_stood_down_for_it() {
    let mut first = standby();
    acts_alone(&mut first, 20);
    let said = announced(&first.polled(33, 8)).expect("it is said at once");
    let theirs = told(None, &[Setting::DEFAULT]);
    assert_eq!(said, (Claim::Acts, theirs));

    for reads_the_file in [true, false] {
        let mut scene = standby();
        if reads_the_file {
            scene.event(file(20));
        }
        // The size is seen before it is said whose it is.
        waits(&mut scene, 2, 33, Told::default());
        waits(&mut scene, 2, 33, theirs);
        takes_over(&mut scene, 33, theirs);
        assert!(refused_by(&scene.heard(vec![resize(35)]).batch(), Rule::StandDown));
        scene.polled(33, 8);
        assert!(is_theirs(&scene) && firing(&scene, "size-set-by-a-person"));
        give(&mut scene, Order::Resume { target: target(), sizes: TheirSizes::Adopt, by: ada() });
        scene.polled(33, 8);
        assert!(!is_theirs(&scene));
        assert_eq!(scene.heard(vec![resize(35)]).resizes().len(), 1);
    }
}

#[test]
fn one_that_only_saw_the_goodbye_respects_what_was_said_in_it() {
    let mut scene = standby();
    scene.polled(33, 8);
    let theirs = told(None, &[Setting::DEFAULT]);
    looks(&mut scene, vec![other(Claim::Left, theirs)]);
    acts_alone(&mut scene, 33);
    assert!(is_theirs(&scene));
}

#[test]
fn what_the_other_no_longer_respects_is_no_longer_a_persons() {
    let mut scene = standby();
    waits(&mut scene, 2, 20, Told::default());
    waits(&mut scene, 2, 33, told(None, &[Setting::DEFAULT]));
    assert!(is_theirs(&scene));
    // Adopted there, or handed back.
    waits(&mut scene, 2, 33, Told::default());
    assert!(!is_theirs(&scene));
    takes_over(&mut scene, 33, Told::default());
    scene.polled(33, 8);
    assert!(!is_theirs(&scene));
}

#[test]
fn its_own_stand_down_outlasts_a_time_in_which_another_acts() {
    let mut scene = standby();
    acts_alone(&mut scene, 20);
    scene.polled(33, 8);
    assert!(is_theirs(&scene));
    waits(&mut scene, 3, 33, Told::default());
    assert!(is_theirs(&scene), "it has not changed");
    takes_over(&mut scene, 33, Told::default());
    scene.polled(33, 8);
    assert!(is_theirs(&scene));
    waits(&mut scene, 1, 33, Told::default());
    waits(&mut scene, 2, 36, Told::default());
    assert!(!is_theirs(&scene), "the other one has changed it");
}

#[test]
fn a_restart_that_it_sees_while_it_may_not_act_is_remembered() {
    let mut scene = standby();
    acts_alone(&mut scene, 5);
    scene.polled(5, 8);
    let id = scene.heard(vec![resize(9)]).resizes()[0].id;
    scene.acted(id, Acted::Verified);
    scene.polled(9, 8);
    // PgBouncer is away, and comes back with an edited file.
    scene.more = |snapshot| snapshot.console_queries = Some(1_000);
    scene.polled(9, 8);
    scene.pass(Duration::from_secs(20));
    scene.more = |snapshot| snapshot.console_queries = Some(3);
    scene.polled(7, 8);
    looks(&mut scene, Vec::new());
    assert_eq!(scene.view().writer.role, Role::Starting);
    scene.more = |snapshot| snapshot.console_queries = Some(90);
    acts_alone(&mut scene, 7);
    scene.polled(7, 8);
    assert!(!is_theirs(&scene) && firing(&scene, "file-size-changed"));
    assert_eq!(scene.view().scopes[0].base, size(7));
}

#[test]
fn what_could_be_handed_back_in_part_is_known_at_the_next_start() {
    let mut scene = Scene::handing_back();
    scene.polled(20, 0);
    let id = scene.heard(vec![resize(15)]).resizes()[0].id;
    scene.acted(id, Acted::Verified);
    // PostgreSQL has 25 connections, of which 3 are reserved and 5 are the margin.
    scene.more = |snapshot| {
        snapshot.postgres = Some(Arc::new(DatabaseSample {
            at: snapshot.at,
            server: (Some("db".to_owned()), Some(5432)),
            identity: None,
            failure: None,
            max_connections: 25,
            reserved_connections: 3,
            sessions: Vec::new(),
            xact_ends: None,
        }));
    };
    for _ in 0..3 {
        scene.polled(15, 0);
    }
    let mut effects = scene.stopping();
    let change = effects.take_resizes().remove(0);
    assert_eq!(change.size, size(17), "20 is too large");
    let batch = scene.acted(change.id, Acted::Verified).batch();
    let state = batch.scopes[0].clone();
    assert_eq!((state.base, state.wanted), (size(20), Some(size(17))));

    let known = Known { scopes: vec![state], ..Known::default() };
    let mut next = Scene::knowing(Mode::Enforce, known);
    next.polled(17, 8);
    next.polled(17, 8);
    assert!(!is_theirs(&next), "nobody else set 17");
}
