//! Several targets on one PostgreSQL, others that come and go, and changes that end in every way.

mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::control::tests::scene::{effect, heard, limits, resize_setting, size, snapshot, spans};
use crate::control::{Acted, Control, Effect, Event, HandBack, Known, Resize, TargetSetup, View};
use crate::history::TargetFacts;
use crate::model::{
    Alert, DatabaseRow, Mode, PgSessions, PoolKey, ServerIdentity, SessionLimits, Snapshot, Status,
};

const MAX: u32 = 60;
const RESERVED: u32 = 3;

/// A PgBouncer as it really is.
#[derive(Debug)]
struct Real {
    default: u32,
    reserve: u32,
    /// Pools by database, each with its servers; `own` has a size of its own.
    pools: Vec<(&'static str, u32)>,
    own: u32,
    /// What each database may have open, 0 for no limit.
    max_db_connections: u32,
    flights: Vec<Resize>,
}

/// Two PgBouncers, one PostgreSQL, and everybody else.
struct World {
    control: Control,
    now: Timestamp,
    real: BTreeMap<TargetName, Real>,
    others: u32,
    looks: BTreeMap<TargetName, DatabaseSample>,
    random: u64,
    given_back: u32,
}

fn name(name: &str) -> TargetName {
    TargetName::new(name).expect("a fine name")
}

fn setup(name: TargetName) -> TargetSetup {
    let mut limits = limits();
    limits.floor = size(1);
    limits.changes_per_hour = 36_000;
    limits.cooldown_up = Duration::ZERO;
    limits.cooldown_down = Duration::ZERO;
    TargetSetup {
        facts: TargetFacts { name, labels: Arc::default(), limits, can_act: true },
        mode: Mode::Enforce,
        spans: spans(),
        sessions: SessionLimits { look_every: None, ends_per_minute: 1 },
        hand_back: HandBack::Keep,
        known: Known::default(),
        looks_every: Some(Duration::from_secs(5)),
        effect: effect(),
        rejected_for: Duration::from_secs(60),
        instance: None,
    }
}

impl World {
    fn new(random: u64) -> Self {
        let mut next = 0_u128;
        let ids = Box::new(move |_| {
            next += 1;
            Uuid::from_u128(next)
        });
        let names = ["one", "two"].map(name);
        let control = Control::new(names.clone().map(setup).into(), ids);
        let real = || Real {
            default: 4,
            reserve: 1,
            pools: vec![("app", 0), ("web", 0)],
            own: 6,
            max_db_connections: 0,
            flights: Vec::new(),
        };
        Self {
            control,
            now: Timestamp::from_millis(1_000_000),
            real: names.map(|name| (name, real())).into(),
            others: 2,
            looks: BTreeMap::new(),
            random,
            given_back: 0,
        }
    }

    /// Numbers that only look random (G. Marsaglia, Xorshift RNGs, 2003).
    fn roll(&mut self, below: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        u32::try_from(self.random % u64::from(below)).expect("below a u32")
    }

    fn one(&mut self) -> TargetName {
        name(if self.roll(2) == 0 { "one" } else { "two" })
    }

    fn size_of(real: &Real, database: &str) -> u32 {
        if database == "own" { real.own } else { real.default }
    }

    /// What could be open at this very moment, if everybody opened all that they may; a change that
    /// was sent and has not come back may be in force already.
    fn could_be_open(&self) -> u32 {
        let of = |real: &Real| -> u32 {
            let sent = |knob| {
                let sent = real.flights.iter().filter(move |one| one.setting.knob == knob);
                sent.map(|one| one.size.get()).max().unwrap_or(0)
            };
            let of_pool = |(database, servers): &(&str, u32)| {
                let size = Self::size_of(real, database);
                let size = if *database == "own" { size } else { size.max(sent(Knob::PoolSize)) };
                let reserve = real.reserve.max(sent(Knob::ReservePoolSize));
                (size + reserve).max(*servers)
            };
            real.pools.iter().map(of_pool).sum()
        };
        self.real.values().map(of).sum::<u32>() + self.others
    }

    fn look(&mut self, target: &TargetName) {
        let ours: u32 = self.real.values().flat_map(|real| &real.pools).map(|(_, n)| n).sum();
        let sessions = PgSessions {
            database: Arc::from("app"),
            user: Arc::from("app"),
            application: Arc::from(""),
            total: ours + self.others,
            active: 0,
            idle_in_transaction: 0,
            idle_in_transaction_max: Duration::ZERO,
            waiting_on_lock: 0,
            waiting_on_io: 0,
            waiting_on_other: 0,
        };
        let sample = DatabaseSample {
            at: self.now,
            // Each reaches it under another name.
            server: (Some(target.to_string()), Some(5432)),
            identity: Some(ServerIdentity { system: 7, started_us: 7 }),
            failure: None,
            max_connections: MAX,
            reserved_connections: RESERVED,
            sessions: vec![sessions],
            xact_ends: None,
        };
        self.looks.insert(target.clone(), sample);
    }

    fn seen(&self, target: &TargetName) -> Snapshot {
        let real = &self.real[target];
        let mut seen = snapshot(self.now, self.now, real.default, 0);
        let blank = seen.pools.remove(0);
        let row = seen.databases.get("app").expect("it is there").clone();
        let mut databases = BTreeMap::new();
        for (database, servers) in &real.pools {
            let mut pool = blank.clone();
            pool.key = PoolKey::new(database, "app");
            pool.sv_active = *servers;
            seen.pools.push(pool);
            let own = Self::size_of(real, database);
            let row = DatabaseRow {
                name: Arc::from(*database),
                pool_size: Some(own),
                reserve_pool: Some(real.reserve),
                max_connections: Some(real.max_db_connections),
                ..row.clone()
            };
            databases.insert(Arc::from(*database), row);
        }
        seen.databases = Arc::new(databases);
        Arc::make_mut(&mut seen.server).reserve_pool_size = Some(real.reserve);
        seen.postgres = self.looks.get(target).cloned().map(Arc::new);
        seen
    }

    fn tick(&mut self) {
        self.now = self.now.plus(Duration::from_millis(20));
    }

    fn apply(&mut self, event: Event) {
        for effect in self.control.apply(event, self.now) {
            if let Effect::Resize(resize) = effect {
                let shrinks = resize.from.is_some_and(|from| from > resize.size);
                let by_host =
                    resize.intent.decisions.iter().any(|one| one.policy.as_str() == "poolwarden");
                self.given_back += u32::from(shrinks && by_host);
                let real = self.real.get_mut(&resize.target).expect("it is there");
                real.flights.push(*resize);
            }
        }
    }

    fn poll(&mut self, target: &TargetName) {
        self.tick();
        let snapshot = self.seen(target);
        self.apply(Event::Polled { target: target.clone(), snapshot });
        // The policies' answers come as events of their own here.
        self.apply(Event::EvaluationDied { target: target.clone() });
    }

    /// A change takes effect, is refused, or its outcome stays unknown.
    fn land(&mut self, target: &TargetName) {
        self.tick();
        let fate = self.roll(8);
        let real = self.real.get_mut(target).expect("it is there");
        if real.flights.is_empty() {
            return;
        }
        let resize = real.flights.remove(0);
        let takes = fate > 1;
        if takes {
            match resize.setting.knob {
                Knob::ReservePoolSize => real.reserve = resize.size.get(),
                _ => real.default = resize.size.get(),
            }
        }
        let acted = match fate {
            0 => Acted::Failed("refused".into()),
            1 | 2 => Acted::NotInForce(None),
            _ => Acted::Verified,
        };
        self.apply(Event::Acted { target: target.clone(), id: resize.id, acted });
    }

    /// Clients come: each pool opens what it may. Or they go.
    fn load(&mut self, target: &TargetName) {
        self.tick();
        let open = self.roll(3) > 0;
        let real = self.real.get_mut(target).expect("it is there");
        let (default, own, reserve) = (real.default, real.own, real.reserve);
        for (database, servers) in &mut real.pools {
            let most = if *database == "own" { own } else { default } + reserve;
            *servers = if open { most.max(*servers) } else { (*servers).min(most / 2) };
        }
        // What opens and closes again between two polls is not known; the margin is there for that.
        self.poll(target);
    }

    fn ask(&mut self, target: &TargetName) {
        self.tick();
        let asked = 1 + self.roll(40);
        let setting = match self.roll(4) {
            0 => Setting { scope: ScopeKey::Default, knob: Knob::ReservePoolSize },
            _ => Setting::DEFAULT,
        };
        let asked = if setting.knob == Knob::PoolSize { asked } else { asked / 6 };
        let results = vec![heard(vec![resize_setting(setting, asked)])];
        self.apply(Event::Evaluated { target: target.clone(), results });
    }

    /// Polls and looks until nothing changes any more.
    fn settle(&mut self) {
        for _ in 0..30 {
            for target in [name("one"), name("two")] {
                self.now = self.now.plus(Duration::from_secs(30));
                let real = self.real.get_mut(&target).expect("it is there");
                for (_, servers) in &mut real.pools {
                    *servers = 0;
                }
                self.land(&target);
                self.look(&target);
                self.poll(&target);
            }
        }
    }

    fn view(&self) -> View {
        self.control.view(self.now)
    }

    fn alerts(&self) -> Vec<Alert> {
        let targets = self.view().targets;
        let alerts = targets.into_iter().flat_map(|target| target.alerts);
        alerts.filter(|one| one.is_firing()).map(|one| one.alert).collect()
    }
}

fn capacity() -> u32 {
    MAX - RESERVED - limits().database_margin
}

#[test]
fn whatever_the_order_no_decision_lets_more_be_opened_than_there_is() {
    let (mut grown, mut full) = (0, 0);
    for seed in 1..=60_u64 {
        let mut world = World::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for target in [name("one"), name("two")] {
            world.real.get_mut(&target).expect("it is there").pools.push(("own", 0));
            world.look(&target);
            world.poll(&target);
            world.poll(&target);
        }
        for _ in 0..400 {
            let before = world.could_be_open();
            let target = world.one();
            match world.roll(6) {
                0 => world.look(&target),
                1 | 2 => world.poll(&target),
                3 => world.land(&target),
                4 => world.load(&target),
                _ => world.ask(&target),
            }
            let after = world.could_be_open();
            assert!(
                after <= capacity().max(before),
                "seed {seed}: {before} -> {after} of {}: {:?}",
                capacity(),
                world.real
            );
            grown += u32::from(after > before);
            full += u32::from(after >= capacity() - 2);
        }
    }
    assert!(grown > 200 && full > 200, "{grown} growths, {full} times nearly full");
}

#[test]
fn when_others_take_connections_sizes_are_given_back_until_all_fits() {
    for seed in 1..=40_u64 {
        let mut world = World::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for _ in 0..60 {
            let target = world.one();
            world.look(&target);
            world.poll(&target);
            world.ask(&target);
            world.land(&target);
        }
        world.others += 10 + world.roll(12);
        world.settle();
        assert!(world.could_be_open() <= capacity(), "seed {seed}: {:?}", world.real);
        assert!(world.alerts().is_empty(), "seed {seed}: {:?}", world.alerts());
        let before = world.given_back;
        world.settle();
        assert_eq!(world.given_back, before, "seed {seed}: it is calm");
    }
}

#[test]
fn a_pool_that_appears_is_alerted_and_made_room_for() {
    let mut world = World::new(11);
    let one = name("one");
    for real in world.real.values_mut() {
        real.default = 9;
    }
    for target in [name("one"), name("two")] {
        world.look(&target);
        world.poll(&target);
    }
    assert!(world.alerts().is_empty(), "{:?}", world.alerts());
    world.real.get_mut(&one).expect("it is there").pools.push(("new", 0));
    world.real.get_mut(&one).expect("it is there").pools.push(("newer", 0));
    world.poll(&one);
    let alerts = world.alerts();
    assert!(alerts.iter().any(|one| one.key.name == "budget-exceeded"), "{alerts:?}");
    assert!(world.given_back > 0);
    world.settle();
    assert!(world.could_be_open() <= capacity(), "{:?}", world.real);
    assert!(world.alerts().is_empty(), "{:?}", world.alerts());
}

#[test]
fn a_database_s_own_limit_bounds_what_its_pools_could_open() {
    for (max_db_connections, is_alerted) in [(0, true), (12, false)] {
        let mut world = World::new(11);
        for real in world.real.values_mut() {
            (real.default, real.max_db_connections) = (20, max_db_connections);
        }
        for target in [name("one"), name("two")] {
            world.look(&target);
            world.poll(&target);
        }
        let is_over = world.alerts().iter().any(|one| one.key.name == "budget-exceeded");
        assert_eq!((is_over, world.given_back > 0), (is_alerted, is_alerted), "4 x 12 fit into 52");
    }
}

#[test]
fn two_growths_that_fit_alone_do_not_both_pass() {
    let mut world = World::new(3);
    for target in [name("one"), name("two")] {
        world.look(&target);
        world.poll(&target);
    }
    // 52 less 2 others less 2 targets of 2 pools of 4 + 1: 30 are left, 15 for each of two pools.
    for target in [name("one"), name("two")] {
        let results = vec![heard(vec![resize_setting(Setting::DEFAULT, 14)])];
        world.apply(Event::Evaluated { target, results });
    }
    let flights: Vec<u32> =
        world.real.values().flat_map(|real| &real.flights).map(|one| one.size.get()).collect();
    assert_eq!(flights, [14, 9], "the second has what the first leaves: 10 more for two pools");
    let decision = &world.real[&name("two")].flights[0].intent.decisions[0];
    assert_eq!(decision.status, Status::Proposed);
    assert!(world.could_be_open() <= capacity());
}

#[test]
fn nothing_grows_before_the_first_look() {
    let mut world = World::new(3);
    let one = name("one");
    world.poll(&one);
    world.ask(&one);
    let results = vec![heard(vec![resize_setting(Setting::DEFAULT, 12)])];
    world.apply(Event::Evaluated { target: one.clone(), results });
    assert!(world.real[&one].flights.is_empty());
}

#[test]
fn a_server_that_does_not_say_who_it_is_is_known_by_its_place() {
    let sample = |host: &str, identity| DatabaseSample {
        at: Timestamp::from_millis(1_000),
        server: (Some(host.to_owned()), Some(5432)),
        identity,
        failure: None,
        max_connections: MAX,
        reserved_connections: RESERVED,
        sessions: Vec::new(),
        xact_ends: None,
    };
    let id = |started_us| Some(ServerIdentity { system: 7, started_us });
    assert!(sample("a", id(1)).is_same_server(&sample("b", id(1))));
    assert!(!sample("a", id(1)).is_same_server(&sample("a", id(2))), "a replica");
    assert!(sample("a", None).is_same_server(&sample("a", id(1))));
    assert!(!sample("a", None).is_same_server(&sample("b", id(1))));
}

#[test]
fn a_user_s_own_reserve_is_sized_by_the_user_and_not_by_the_default() {
    let mut world = World::new(3);
    let one = name("one");
    world.look(&one);
    let own = Setting { scope: ScopeKey::User(Arc::from("app")), knob: Knob::ReservePoolSize };
    let default = Setting { scope: ScopeKey::Default, knob: Knob::ReservePoolSize };
    let sized = |world: &mut World, has_own: bool| {
        let mut snapshot = world.seen(&one);
        if has_own {
            Arc::make_mut(&mut snapshot.server).user_reserves = [(Arc::from("app"), 1)].into();
        }
        world.tick();
        snapshot.at = world.now;
        world.apply(Event::Polled { target: one.clone(), snapshot });
        let target = &world.control.targets[&one];
        [&own, &default].map(|setting| match target.room_of(setting) {
            Room::Known(budget) => budget.pools,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(sized(&mut world, false), [0, 2]);
    assert_eq!(sized(&mut world, true), [2, 0], "the user's goes before the database's");
}
