//! Which of several sidecars acts on a PgBouncer.
//!
//! Every sidecar that may act says on the console what it does, and looks there for others. Who acts
//! goes on until it is gone; a new one waits, even one with an older name. Two that start together
//! are told apart by their names, of which the first made acts. Nobody takes over from one that was
//! away for less than [`Writer::patience`], and nobody acts who has not itself been on the console
//! for almost as long: so the two never act at once, also when one was frozen and comes back.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::host::host_alert;
use super::orders::TheirSizes;
use crate::model::{Claim, Peer, Proposal, Severity, Subject, Theirs, Timestamp, Told};

/// Looks that a new sidecar takes before its first act.
const LOOKS: u32 = 3;
/// Time over which it takes them.
const WATCH: Duration = Duration::from_millis(1_800);
/// Absence after which one that acted counts as gone, where looks are cheap.
const PATIENCE: Duration = Duration::from_secs(9);
/// How long people are told that another sidecar acts now.
const TOLD: Duration = Duration::from_secs(300);

/// What a sidecar is on a PgBouncer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It may not act, by its configuration.
    Observer,
    /// It looks who else is there.
    Starting,
    /// It acts.
    Acts,
    /// Another one acts, or is about to.
    Waits(Uuid),
}

impl Role {
    /// Gives the name that API and metrics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observer => "none",
            Self::Starting => "starting",
            Self::Acts => "self",
            Self::Waits(_) => "other",
        }
    }
}

/// Another sidecar, as it was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    claim: Claim,
    /// The first look that did not show it.
    missing: Option<Timestamp>,
}

/// One sidecar's knowledge of who acts on one PgBouncer.
#[derive(Debug)]
pub(super) struct Writer {
    me: Option<Uuid>,
    role: Role,
    since: Timestamp,
    looks: u32,
    peers: BTreeMap<Uuid, Seen>,
    looked: Option<Timestamp>,
    /// Time between two looks, which grows with the number of clients.
    every: Duration,
    /// When the role went from one to another, and what to say of it.
    handed: Option<(Timestamp, String)>,
    /// Which one acts, or did until now, and what people have told it.
    before: Option<(Uuid, Told)>,
    /// The same, once this one has taken over from it.
    inherited: Option<(Uuid, Told)>,
    /// Whether a person has told this one something since the one that acts was last there.
    is_told: bool,
}

impl Writer {
    /// Makes one that has seen nobody; without an instance of its own it may not act.
    pub fn new(me: Option<Uuid>) -> Self {
        Self {
            me,
            role: if me.is_some() { Role::Starting } else { Role::Observer },
            since: Timestamp::default(),
            looks: 0,
            peers: BTreeMap::new(),
            looked: None,
            every: Duration::ZERO,
            handed: None,
            before: None,
            inherited: None,
            is_told: false,
        }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn me(&self) -> Option<Uuid> {
        self.me
    }

    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Gives the absence after which another one counts as gone.
    fn patience(&self) -> Duration {
        PATIENCE.max(self.every.saturating_mul(3))
    }

    /// Says whether it was away for so long that another one may have taken over.
    fn has_lapsed(&self, now: Timestamp) -> bool {
        let most = self.patience().saturating_sub(Duration::from_secs(1));
        self.looked.is_some_and(|looked| now.since(looked) > most)
    }

    /// Says whether this sidecar acts, or nobody has to ask.
    pub fn may_act(&self, now: Timestamp) -> bool {
        self.objection(now).is_none()
    }

    /// Says whether another sidecar's changes are to be expected.
    pub fn follows(&self) -> bool {
        matches!(self.role, Role::Waits(_))
    }

    /// Gives the other one that says that it acts, and was there at the last look: orders are for that one.
    pub fn other(&self) -> Option<Uuid> {
        let acts = |peer: &Seen| peer.claim == Claim::Acts && peer.missing.is_none();
        let mut others = self.peers.iter().filter(|(_, peer)| acts(peer)).map(|(id, _)| *id);
        others.next().filter(|_| self.follows())
    }

    /// Notes that a person has told this one something, which the one before cannot know of.
    pub fn hold_to_own(&mut self) {
        self.is_told = true;
    }

    /// Lets go of what people have told the one before, because it was resumed here.
    pub fn resume(&mut self, sizes: TheirSizes) {
        self.is_told = true;
        let Some((_, told)) = &mut self.before else { return };
        told.hold = None;
        if sizes == TheirSizes::Adopt {
            told.theirs = Theirs::default();
        }
    }

    /// Says whether a person has told this one something since the one that acts was last there.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// Gives the settings that are a person's for the one whose changes are to be expected.
    pub fn theirs(&self) -> Theirs {
        self.before.filter(|_| self.follows()).map(|(_, told)| told.theirs).unwrap_or_default()
    }

    /// Gives what this sidecar says of itself on the console; without an instance it says nothing.
    pub fn claim(&self) -> Option<Claim> {
        let claim = if self.role == Role::Acts { Claim::Acts } else { Claim::Waits };
        self.me.map(|_| claim)
    }

    /// Gives which other one acts, or did until now, and what people have told it.
    pub fn heard(&self) -> Option<(Uuid, Told)> {
        self.before
    }

    /// Gives, once, whom this sidecar has taken over from, and what people had told it.
    pub fn take_inherited(&mut self) -> Option<(Uuid, Told)> {
        self.inherited.take()
    }

    /// Gives the reason for which this sidecar may not act now.
    pub fn objection(&self, now: Timestamp) -> Option<String> {
        match self.role {
            Role::Observer => None,
            Role::Starting => Some("it has just started and looks who else acts here".to_owned()),
            Role::Waits(other) => Some(format!("another sidecar acts here: {other}")),
            Role::Acts if self.has_lapsed(now) => {
                let away = self.looked.map_or(0, |looked| now.millis_since(looked));
                Some(format!(
                    "it was away from the console for {away} ms; another sidecar may act by now"
                ))
            }
            Role::Acts => None,
        }
    }

    /// Takes in one look at the console.
    pub fn look(&mut self, seen: &[Peer], every: Duration, now: Timestamp) {
        let Some(me) = self.me else { return };
        let lapsed = self.has_lapsed(now);
        self.every = every;
        if lapsed {
            // What was seen before says nothing of now.
            self.peers.values_mut().for_each(|peer| peer.missing = None);
            if self.role == Role::Acts {
                self.become_(Role::Starting, now);
            }
        }
        if self.looked.is_none() {
            self.since = now;
        }
        self.looked = Some(now);
        self.looks = self.looks.saturating_add(1);
        self.note(me, seen, now);
        let before = self.role;
        let next = self.next(me, now);
        if next != before {
            self.hand(before, next, now);
            self.become_(next, now);
            if next == Role::Acts {
                self.inherited = self.before;
            }
        }
        if next == Role::Acts {
            self.before = None;
        }
    }

    fn become_(&mut self, role: Role, now: Timestamp) {
        (self.role, self.since, self.looks) = (role, now, 0);
    }

    /// Notes who is there; of one that says two things the later in its life counts.
    fn note(&mut self, me: Uuid, seen: &[Peer], now: Timestamp) {
        let patience = self.patience();
        let mut there: BTreeMap<Uuid, (Claim, Told)> = BTreeMap::new();
        for peer in seen.iter().filter(|peer| peer.id != me && peer.claim != Claim::Watches) {
            let (claim, told) = there.entry(peer.id).or_insert((peer.claim, Told::default()));
            match peer.claim.cmp(claim) {
                Ordering::Less => {}
                Ordering::Equal => *told = told.and(peer.told),
                Ordering::Greater => (*claim, *told) = (peer.claim, peer.told),
            }
        }
        for (id, (claim, _)) in &there {
            self.peers.insert(*id, Seen { claim: *claim, missing: None });
        }
        self.note_told(&there);
        self.peers.retain(|id, peer| {
            if !there.contains_key(id) {
                let missing = *peer.missing.get_or_insert(now);
                return now.since(missing) < patience;
            }
            peer.claim != Claim::Left
        });
    }

    /// Notes what people have told the one that acts; one that has left may say it a last time.
    fn note_told(&mut self, there: &BTreeMap<Uuid, (Claim, Told)>) {
        let acts = there.iter().find(|(_, (claim, _))| *claim == Claim::Acts);
        let left = there.iter().find(|(id, (claim, _))| {
            *claim == Claim::Left && self.before.is_none_or(|(before, _)| before == **id)
        });
        self.is_told &= acts.is_none();
        if let Some((id, (_, told))) = acts.or(left) {
            self.before = Some((*id, *told));
        }
    }

    /// Says what this sidecar is from now on.
    fn next(&self, me: Uuid, now: Timestamp) -> Role {
        let of = |claim| {
            let peers = self.peers.iter().filter(move |(_, peer)| peer.claim == claim);
            peers.map(|(id, peer)| (*id, peer.missing.is_none()))
        };
        let acting = of(Claim::Acts).map(|(id, _)| id).min();
        // One that has been missing for a moment has no claim to what nobody holds.
        let waiting = of(Claim::Waits).filter(|(_, there)| *there).map(|(id, _)| id).min();
        let before_me = waiting.filter(|other| *other < me);
        match (self.role, acting) {
            (Role::Observer, _) => Role::Observer,
            (Role::Acts, Some(other)) if other < me => Role::Waits(other),
            (Role::Acts, _) => Role::Acts,
            (Role::Starting | Role::Waits(_), Some(other)) => Role::Waits(other),
            (Role::Starting, None) => {
                let watched = self.looks >= LOOKS && now.since(self.since) >= WATCH;
                if watched && before_me.is_none() { Role::Acts } else { Role::Starting }
            }
            (Role::Waits(_), None) => before_me.map_or(Role::Acts, Role::Waits),
        }
    }

    fn hand(&mut self, from: Role, to: Role, now: Timestamp) {
        let told = match (from, to) {
            (Role::Waits(other), Role::Acts) => {
                format!("this sidecar acts from now on: {other}, which did before, is gone")
            }
            (Role::Acts, Role::Waits(other)) => {
                format!("the sidecar {other} acts from now on, and this one waits")
            }
            _ => return,
        };
        self.handed = Some((now, told));
    }

    /// Tells, for a while, that another sidecar acts than before.
    pub fn news(&self, now: Timestamp) -> Option<Proposal> {
        let (at, told) = self.handed.as_ref()?;
        let recent = now.since(*at) < TOLD;
        recent.then(|| {
            host_alert("writer-changed", Subject::Target, Severity::Info, told.clone(), Vec::new())
        })
    }
}

#[cfg(test)]
mod tests;
