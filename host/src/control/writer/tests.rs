//! Sidecars that come, go and freeze on one console.

use super::*;
use crate::model::{HoldKind, Setting};

/// Sidecars on one console: what each says is seen by the others a look later.
struct Console {
    now: Timestamp,
    says: BTreeMap<Uuid, (Claim, Told)>,
    sidecars: BTreeMap<Uuid, Writer>,
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

impl Console {
    fn new() -> Self {
        let now = Timestamp::from_millis(1_000_000);
        Self { now, says: BTreeMap::new(), sidecars: BTreeMap::new() }
    }

    fn starts(&mut self, number: u128) {
        self.says.insert(id(number), (Claim::Waits, Told::default()));
        self.sidecars.insert(id(number), Writer::new(Some(id(number))));
    }

    fn dies(&mut self, number: u128) {
        self.says.remove(&id(number));
        self.sidecars.remove(&id(number));
    }

    /// Lets a second pass in which everybody looks, but those that are frozen.
    fn second(&mut self, frozen: &[u128]) {
        self.now = self.now.plus(Duration::from_secs(1));
        for (id, sidecar) in &mut self.sidecars {
            if frozen.contains(&id.as_u128()) {
                continue;
            }
            let peer = |(id, said): (&Uuid, &(Claim, Told))| {
                let (claim, told) = *said;
                Peer { id: *id, claim, told }
            };
            let seen: Vec<Peer> = self.says.iter().map(peer).collect();
            sidecar.look(&seen, Duration::from_secs(1), self.now);
            if let (Some(claim), Some(said)) = (sidecar.claim(), self.says.get_mut(id)) {
                said.0 = claim;
            }
        }
        assert!(self.acting().len() <= 1, "{:?} act at once", self.acting());
    }

    fn seconds(&mut self, seconds: u32) {
        (0..seconds).for_each(|_| self.second(&[]));
    }

    fn acting(&self) -> Vec<u128> {
        let acting = self.sidecars.iter().filter(|(_, one)| one.may_act(self.now));
        acting.map(|(id, _)| id.as_u128()).collect()
    }
}

#[test]
fn one_alone_acts_after_a_few_looks() {
    let mut console = Console::new();
    console.starts(5);
    console.seconds(2);
    assert!(console.acting().is_empty());
    console.seconds(1);
    assert_eq!(console.acting(), [5]);
}

#[test]
fn of_two_that_start_together_the_first_made_acts() {
    let mut console = Console::new();
    console.starts(7);
    console.starts(5);
    console.seconds(20);
    assert_eq!(console.acting(), [5]);
}

#[test]
fn who_acts_goes_on_whatever_the_name_of_a_new_one() {
    let mut console = Console::new();
    console.starts(7);
    console.seconds(5);
    console.starts(5);
    console.seconds(30);
    assert_eq!(console.acting(), [7]);
    assert_eq!(console.sidecars[&id(5)].role(), Role::Waits(id(7)));
}

#[test]
fn the_second_takes_over_from_a_dead_one_and_keeps_the_role() {
    let mut console = Console::new();
    console.starts(5);
    console.seconds(5);
    console.starts(7);
    console.seconds(5);
    console.dies(5);
    console.seconds(9);
    assert!(console.acting().is_empty(), "it may only have been away");
    console.seconds(2);
    assert_eq!(console.acting(), [7]);
    let told = console.sidecars[&id(7)].news(console.now);
    assert!(matches!(told, Some(Proposal::Alert { name, .. }) if name == "writer-changed"));
    console.starts(6);
    console.seconds(30);
    assert_eq!(console.acting(), [7], "a restart does not take it back");
}

#[test]
fn one_that_says_goodbye_is_not_waited_for() {
    let mut console = Console::new();
    console.starts(5);
    console.starts(7);
    console.seconds(5);
    console.sidecars.remove(&id(5));
    console.says.insert(id(5), (Claim::Left, Told::default()));
    console.seconds(1);
    assert_eq!(console.acting(), [7]);
}

#[test]
fn one_that_was_frozen_does_not_act_beside_its_successor() {
    let mut console = Console::new();
    console.starts(5);
    console.seconds(5);
    console.starts(7);
    console.seconds(5);
    // Its sessions end, and it does not look; then it comes back and believes that it acts.
    console.says.remove(&id(5));
    for _ in 0..30 {
        console.second(&[5]);
    }
    assert_eq!(console.acting(), [7]);
    console.says.insert(id(5), (Claim::Acts, Told::default()));
    console.seconds(30);
    assert_eq!(console.acting().len(), 1);
}

#[test]
fn an_outage_of_the_console_changes_nothing() {
    let mut console = Console::new();
    console.starts(5);
    console.starts(7);
    console.seconds(10);
    console.now = console.now.plus(Duration::from_secs(120));
    // The second is back first.
    console.says.remove(&id(5));
    console.second(&[5]);
    console.second(&[5]);
    console.says.insert(id(5), (Claim::Acts, Told::default()));
    console.seconds(10);
    assert_eq!(console.acting(), [5]);
}

#[test]
fn an_observer_neither_looks_nor_stands_in_the_way() {
    let mut observer = Writer::new(None);
    observer.look(&[], Duration::ZERO, Timestamp::from_millis(1));
    assert_eq!(observer.claim(), None);
    assert!(observer.may_act(Timestamp::from_millis(1)), "its mode forbids it already");
    let mut one = Writer::new(Some(id(9)));
    let watching = Peer { id: id(1), claim: Claim::Watches, told: Told::default() };
    for second in 1..=3 {
        let now = Timestamp::from_millis(second * 1_000);
        one.look(&[watching], Duration::from_secs(1), now);
    }
    assert_eq!(one.role(), Role::Acts);
}

/// What people have told one that acts.
fn paused(setting: &Setting) -> Told {
    Told { hold: Some(HoldKind::Pause), theirs: [setting].into_iter().collect() }
}

#[test]
fn who_takes_over_is_told_what_the_one_before_was_told() {
    let told = paused(&Setting::DEFAULT);
    for left in [Claim::Acts, Claim::Left] {
        let mut console = Console::new();
        console.starts(5);
        console.seconds(5);
        console.starts(7);
        console.seconds(2);
        console.says.insert(id(5), (Claim::Acts, told));
        console.seconds(2);
        let second = |console: &mut Console| {
            console.sidecars.get_mut(&id(7)).and_then(Writer::take_inherited)
        };
        assert_eq!(second(&mut console), None, "the other acts");
        assert!(console.sidecars[&id(7)].theirs().contains(&Setting::DEFAULT));
        // One that only waited leaves, and has no say in it.
        console.says.insert(id(9), (Claim::Left, Told::default()));
        console.seconds(1);
        match left {
            Claim::Left => {
                console.sidecars.remove(&id(5));
                console.says.insert(id(5), (Claim::Left, told));
            }
            _ => console.dies(5),
        }
        console.seconds(12);
        assert_eq!(console.acting(), [7]);
        assert_eq!(second(&mut console), Some((id(5), told)));
        assert_eq!(second(&mut console), None, "once");
    }
}

#[test]
fn what_was_taken_back_is_not_taken_over() {
    let mut console = Console::new();
    console.starts(5);
    console.seconds(5);
    console.starts(7);
    console.says.insert(id(5), (Claim::Acts, paused(&Setting::DEFAULT)));
    console.seconds(2);
    console.says.insert(id(5), (Claim::Acts, Told::default()));
    console.seconds(2);
    console.dies(5);
    console.seconds(12);
    let inherited = console.sidecars.get_mut(&id(7)).and_then(Writer::take_inherited);
    assert_eq!(inherited, Some((id(5), Told::default())));
}
