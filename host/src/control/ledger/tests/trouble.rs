//! A PostgreSQL that does not answer, lets nobody in, or is known under another name; and the panic
//! switch where there is little room.

use super::*;
use crate::control::Order;
use crate::model::{LookFailure, Outcome, Rule, Signature};

/// Both targets seen once, with a look each.
fn seen() -> World {
    let mut world = World::new(3);
    for target in [name("one"), name("two")] {
        world.look(&target);
        world.poll(&target);
    }
    world
}

/// Asks for a size of "one"; gives what is sent.
fn asked(world: &mut World, size: u32) -> Vec<u32> {
    let one = name("one");
    let results = vec![heard(vec![resize_setting(Setting::DEFAULT, size)])];
    world.apply(Event::Evaluated { target: one.clone(), results });
    world.real[&one].flights.iter().map(|one| one.size.get()).collect()
}

fn doubt(world: &World) -> Option<String> {
    world.view().targets[0].doubt.as_ref().map(ToString::to_string)
}

fn unseen(failure: LookFailure) -> DatabaseSample {
    DatabaseSample {
        at: Timestamp::from_millis(1_000_000),
        server: (Some("one".to_owned()), Some(5432)),
        identity: None,
        failure: Some(failure),
        max_connections: 0,
        reserved_connections: 0,
        sessions: Vec::new(),
        xact_ends: None,
    }
}

#[test]
fn an_old_answer_lets_nothing_grow_until_there_is_a_new_one() {
    let mut world = seen();
    let one = name("one");
    world.now = world.now.plus(Duration::from_secs(14));
    world.poll(&one);
    assert_eq!(doubt(&world), None, "a look or two may fail");
    world.now = world.now.plus(Duration::from_secs(2));
    world.poll(&one);
    assert!(doubt(&world).is_some_and(|why| why.contains("16 s old")), "{:?}", doubt(&world));
    assert!(asked(&mut world, 8).is_empty(), "nobody knows what is left");
    assert_eq!(asked(&mut world, 3), [3], "giving back is always allowed");

    let mut world = seen();
    world.now = world.now.plus(Duration::from_secs(60));
    world.poll(&one);
    assert!(asked(&mut world, 8).is_empty());
    // Another target's look at the same server will do.
    world.look(&name("two"));
    world.poll(&name("two"));
    world.poll(&one);
    assert_eq!((doubt(&world), asked(&mut world, 8)), (None, vec![8]));
}

#[test]
fn a_postgresql_that_is_full_lets_nothing_grow_at_once() {
    let mut world = seen();
    let one = name("one");
    world.looks.get_mut(&one).expect("it is there").failure = Some(LookFailure::Unreachable);
    world.poll(&one);
    assert_eq!(doubt(&world), None, "one failed look tells nothing yet");
    for look in world.looks.values_mut() {
        look.failure = Some(LookFailure::Full);
    }
    world.poll(&name("two"));
    world.poll(&one);
    assert!(doubt(&world).is_some_and(|why| why.contains("full")), "{:?}", doubt(&world));
    assert!(asked(&mut world, 8).is_empty());
    assert_eq!(asked(&mut world, 3), [3]);
}

#[test]
fn a_postgresql_that_starts_anew_bounds_growth_as_one_until_all_have_looked_again() {
    let mut world = seen();
    let (one, two) = (name("one"), name("two"));
    world.real.get_mut(&two).expect("it is there").default = 14;
    world.poll(&two);
    world.now = world.now.plus(Duration::from_secs(10));
    world.look(&one);
    let started_us = i64::try_from(world.now.as_millis() * 1_000 - 500_000).expect("a moment");
    let look = world.looks.get_mut(&one).expect("it is there");
    look.identity = Some(ServerIdentity { system: 7, started_us });
    world.poll(&one);
    let budget = world.view().targets[0].budget.clone().expect("it was looked at");
    assert_eq!(budget.rest_possible, 30, "the other one has not looked since");
    // 52 less 2 others less 30 of the other one less 2 reserves leave 18 for two pools.
    assert_eq!(asked(&mut world, 14), [9]);
    world.look(&two);
    let look = world.looks.get_mut(&two).expect("it is there");
    look.identity = Some(ServerIdentity { system: 7, started_us });
    world.poll(&two);
    let budget = world.view().targets[0].budget.clone().expect("it was looked at");
    assert_eq!((budget.rest, budget.rest_possible), (30, 0));
}

#[test]
fn a_primary_that_fails_beside_its_replica_gives_nothing_back_and_stays_in_doubt() {
    let mut world = World::new(3);
    let (primary, replica) = (name("one"), name("two"));
    for real in world.real.values_mut() {
        // Two pools of 14 and a reserve each: 30 fit into 52 twice if there are two servers.
        real.default = 14;
    }
    let look = |world: &mut World, target: &TargetName, started_us| {
        world.look(target);
        world.looks.get_mut(target).expect("it is there").identity =
            Some(ServerIdentity { system: 7, started_us });
    };
    look(&mut world, &primary, 7);
    look(&mut world, &replica, 9);
    world.poll(&primary);
    world.poll(&replica);
    world.looks.get_mut(&primary).expect("it is there").failure = Some(LookFailure::Unreachable);
    for _ in 0..5 {
        world.now = world.now.plus(Duration::from_secs(5));
        look(&mut world, &replica, 9);
        world.poll(&primary);
        world.poll(&replica);
    }
    assert_eq!(world.given_back, 0);
    assert!(world.alerts().iter().all(|one| one.key.name != "budget-exceeded"));
    assert!(doubt(&world).is_some_and(|why| why.contains("s old")), "{:?}", doubt(&world));
    let of_replica = world.view().targets.remove(1);
    let budget = of_replica.budget.expect("it answers");
    assert_eq!((of_replica.doubt, budget.members), (None, vec![replica]));
    assert_eq!(
        (budget.rest, budget.rest_possible),
        (0, 30),
        "it may be the same, and bounds growth"
    );
}

#[test]
fn a_postgresql_that_never_answered_lets_nothing_grow_unless_it_refuses_the_login() {
    for failure in [LookFailure::Full, LookFailure::Unreachable, LookFailure::Refused] {
        let mut world = World::new(3);
        let one = name("one");
        world.looks.insert(one.clone(), unseen(failure));
        world.poll(&one);
        let sent = asked(&mut world, 8);
        assert!(doubt(&world).is_some(), "{failure:?}");
        if failure != LookFailure::Refused {
            assert!(sent.is_empty(), "{failure:?}");
            continue;
        }
        assert_eq!(sent, [8]);
        let decision = &world.real[&one].flights[0].intent.decisions[0];
        let verdict = decision.verdict.as_ref().expect("a verdict");
        assert_eq!(verdict.outcome, Outcome::Approved);
        let said = verdict.rules.iter().find(|said| said.rule == Rule::Budget);
        let why = &said.expect("every rule speaks").reason;
        assert!(why.contains("does not let the sidecar in; the ceiling of 50"), "{why}");
    }
}

#[test]
fn a_login_that_is_refused_after_it_worked_is_no_leave_to_grow() {
    let mut world = seen();
    for look in world.looks.values_mut() {
        look.failure = Some(LookFailure::Refused);
    }
    world.now = world.now.plus(Duration::from_secs(20));
    world.poll(&name("one"));
    assert!(asked(&mut world, 8).is_empty());
}

#[test]
fn databases_of_which_none_is_where_postgresql_is_asked_let_nothing_grow() {
    let one = name("one");
    let with_hosts = |hosts: [&str; 2]| {
        let mut world = seen();
        let mut snapshot = world.seen(&one);
        let databases = Arc::make_mut(&mut snapshot.databases);
        for (row, host) in databases.values_mut().zip(hosts) {
            (row.host, row.port) = (Some(host.to_owned()), Some(5432));
        }
        world.tick();
        snapshot.at = world.now;
        world.apply(Event::Polled { target: one.clone(), snapshot });
        world.apply(Event::EvaluationDied { target: one.clone() });
        world
    };
    // It is asked as "one".
    let mut world = with_hosts(["one.example.com", "10.0.0.6"]);
    let why = doubt(&world).expect("nobody can say");
    for part in ["one:5432", "10.0.0.6:5432, one.example.com:5432", "alike"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(asked(&mut world, 8).is_empty());
    let mut world = with_hosts(["one", "10.0.0.6"]);
    assert_eq!((doubt(&world), asked(&mut world, 8)), (None, vec![8]));
    let mut world = with_hosts(["one.example.com", "one.example.com"]);
    assert_eq!((doubt(&world), asked(&mut world, 8)), (None, vec![8]), "one place, one server");
}

#[test]
fn a_panic_over_all_targets_takes_no_more_than_there_is() {
    let mut world = World::new(3);
    let names = [name("one"), name("two")];
    for real in world.real.values_mut() {
        real.default = 9;
    }
    for target in &names {
        world.look(target);
        world.poll(target);
    }
    for target in &names {
        let results = vec![heard(vec![resize_setting(Setting::DEFAULT, 4)])];
        world.apply(Event::Evaluated { target: target.clone(), results });
        let real = world.real.get_mut(target).expect("it is there");
        let resize = real.flights.remove(0);
        real.default = resize.size.get();
        let (id, acted) = (resize.id, Acted::Verified);
        world.apply(Event::Acted { target: target.clone(), id, acted });
    }
    // 52, of which others have 22 now: 30 for four pools, where 9 and a reserve each would be 40.
    world.others += 20;
    for _ in 0..2 {
        for target in &names {
            world.look(target);
            world.poll(target);
        }
    }
    assert_eq!(world.could_be_open(), 42);
    let by = Signature::new("ada", "all back").expect("a fine signature");
    let order = Box::new(Order::Panic { target: None, by });
    world.apply(Event::OrderKept { order, kept: Ok(()) });
    let flights: Vec<u32> =
        world.real.values().flat_map(|real| &real.flights).map(|one| one.size.get()).collect();
    assert_eq!(flights, [9], "the first takes all that is left");
    assert!(world.could_be_open() <= capacity(), "{}", world.could_be_open());
}
