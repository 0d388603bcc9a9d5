//! What people order: silences, pauses, the panic switch, approvals.
//!
//! An order is judged, recorded, and holds only then: an order that a crash would undo was never given.
//! Between its recording and its effect things may have moved on, so whatever acts is judged anew.

use thiserror::Error;
use uuid::Uuid;

use super::silences::SilenceRefusal;
use super::target::TargetControl;
use super::{Control, Effect, Turn};
use crate::model::{DecisionId, Hold, HoldKind, Signature, TargetName, Timestamp};
use crate::record::{Batch, HoldChange, SilenceChange};

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, for the length of a request")]
pub enum Order {
    /// Another silence, or one less.
    Silence(SilenceChange),
    /// Nothing of a target is changed any more.
    Pause {
        /// The PgBouncer.
        target: TargetName,
        /// When it ends by itself.
        until: Option<Timestamp>,
        /// Who, and why.
        by: Signature,
    },
    /// A target is changed again.
    Resume {
        /// The PgBouncer.
        target: TargetName,
        /// What becomes of sizes that a person has set.
        sizes: TheirSizes,
        /// Who, and why.
        by: Signature,
    },
    /// Every size goes back to the file's, and nothing is changed any more.
    Panic {
        /// The PgBouncer; every one without it.
        target: Option<TargetName>,
        /// Who, and why.
        by: Signature,
    },
    /// What waits for a person is to be done.
    Approve {
        /// The decision.
        id: DecisionId,
        /// Who, and why.
        by: Signature,
    },
    /// What waits for a person is not to be done.
    Reject {
        /// The decision.
        id: DecisionId,
        /// Who, and why.
        by: Signature,
    },
}

/// What becomes of sizes that a person has set, when a target is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TheirSizes {
    /// They stay that person's.
    Respect,
    /// They are what there is to go on from.
    Adopt,
}

/// Why an order is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrderRefusal {
    /// A silence that cannot be had.
    #[error(transparent)]
    Silence(#[from] SilenceRefusal),
    /// No such target is configured.
    #[error("there is no target {0}; GET /v1/targets lists them")]
    NoTarget(TargetName),
    /// Another sidecar acts there: what this one was told would hold nowhere.
    #[error("{}", elsewhere(.0))]
    Elsewhere(Vec<(TargetName, Uuid)>),
    /// The stronger order holds.
    #[error("{0} {1}; resume it first")]
    Panicked(TargetName, String),
    /// The decision does not wait for anybody.
    #[error("decision {0} does not wait for a person (any more)")]
    NotStanding(DecisionId),
    /// There is nothing that the sidecar could do.
    #[error(
        "decision {0} is a recommendation: a person carries it out, and rejecting it puts it away"
    )]
    NothingToDo(DecisionId),
    /// The size is another than the one that the decision goes from.
    #[error(
        "decision {id} goes from {then}, and {now} is in force by now; the policy says within a minute what \
         it makes of that"
    )]
    Moved {
        /// The decision.
        id: DecisionId,
        /// The size in force when it was said.
        then: u32,
        /// The size in force now.
        now: u32,
    },
    /// The guard refuses it at this moment.
    #[error("the guard refuses it now: {0}")]
    Guard(String),
}

impl Control {
    /// Judges an order; what comes of it is to be recorded before it holds.
    pub(super) fn ordered(&mut self, order: Order, now: Timestamp) -> Effect {
        match self.judge_order(&order, now) {
            Ok(batch) => Effect::KeepOrder { order: Box::new(order), batch: Box::new(batch) },
            Err(refusal) => Effect::RefuseOrder(refusal),
        }
    }

    fn judge_order(&mut self, order: &Order, now: Timestamp) -> Result<Batch, OrderRefusal> {
        match order {
            Order::Silence(change) => Ok(self.silences.judge(change)?),
            Order::Pause { target, until, by } => {
                let one = self.acted_on(target)?;
                if let Some(hold) = one.hold(now).filter(|hold| hold.kind == HoldKind::Panic) {
                    return Err(OrderRefusal::Panicked(target.clone(), hold.words()));
                }
                Ok(holds([HoldChange::Set(one.new_hold(HoldKind::Pause, *until, by, now))]))
            }
            Order::Resume { target, sizes, by } => {
                self.acted_on(target)?.judge_resume(*sizes, by, now)
            }
            Order::Panic { target, by } => {
                let others: Vec<_> = match target {
                    Some(target) => self.acted_on(target).map(|_| Vec::new())?,
                    None => self.targets.values().filter_map(TargetControl::other).collect(),
                };
                if !others.is_empty() && others.len() == self.targets.len() {
                    return Err(OrderRefusal::Elsewhere(others));
                }
                let chosen = self.targets.values().filter(|one| is_meant(one, target.as_ref()));
                // Pulled twice, it stays the first one's.
                let calm = chosen.filter(|one| !one.is_panicked(now));
                let set = |one: &TargetControl| {
                    HoldChange::Set(one.new_hold(HoldKind::Panic, None, by, now))
                };
                Ok(holds(calm.map(set)))
            }
            Order::Approve { id, by } => self.standing(*id)?.judge_approval(*id, by, now),
            Order::Reject { id, by } => self.standing(*id)?.judge_rejection(*id, by, now),
        }
    }

    /// Carries out what has been recorded, or lets go of what could not be.
    pub(super) fn order_kept(
        &mut self,
        order: Order,
        kept: Result<(), String>,
        now: Timestamp,
    ) -> Vec<Effect> {
        if let (Order::Panic { target, by }, Ok(())) = (&order, &kept) {
            return self.panic(target.as_ref(), by, now);
        }
        let Self { targets, silences, ids } = self;
        if kept.is_err() {
            if let Order::Approve { id, .. } = order {
                targets.values_mut().for_each(|one| one.advice.put_back(id));
            }
            return Vec::new();
        }
        let turn = &mut Turn { now, ids };
        match order {
            Order::Silence(change) => {
                silences.make(change);
                Vec::new()
            }
            Order::Pause { target, until, by } => {
                let one = targets.get_mut(&target);
                one.map(|one| one.pause(HoldKind::Pause, until, &by, turn)).unwrap_or_default()
            }
            Order::Resume { target, sizes, by } => {
                let one = targets.get_mut(&target);
                one.map(|one| one.resume(sizes, &by, turn)).unwrap_or_default()
            }
            Order::Panic { .. } => Vec::new(), // Its targets go back one after the other.
            Order::Approve { id, by } => {
                targets.values_mut().flat_map(|one| one.approve(id, &by, turn)).collect()
            }
            Order::Reject { id, .. } => {
                targets.values_mut().for_each(|one| one.reject(id, turn.now));
                Vec::new()
            }
        }
    }

    /// Brings the targets' sizes back, one after the other: each may take what the others leave.
    fn panic(
        &mut self,
        target: Option<&TargetName>,
        by: &Signature,
        now: Timestamp,
    ) -> Vec<Effect> {
        self.one_by_one(now, |one, turn| match is_meant(one, target) {
            true => one.panic(by, turn),
            false => Vec::new(),
        })
    }

    fn target(&self, name: &TargetName) -> Result<&TargetControl, OrderRefusal> {
        self.targets.get(name).ok_or_else(|| OrderRefusal::NoTarget(name.clone()))
    }

    /// Gives a target on which no other sidecar acts that could be told instead: of one that is missing
    /// since a look nobody knows whether it comes back, and what it cannot be told is kept here.
    fn acted_on(&self, name: &TargetName) -> Result<&TargetControl, OrderRefusal> {
        let target = self.target(name)?;
        match target.other() {
            Some(other) => Err(OrderRefusal::Elsewhere(vec![other])),
            None => Ok(target),
        }
    }

    fn standing(&mut self, id: DecisionId) -> Result<&mut TargetControl, OrderRefusal> {
        let mut targets = self.targets.values_mut();
        let found = targets.find(|one| one.advice.get(id).is_some());
        found.ok_or(OrderRefusal::NotStanding(id))
    }
}

/// Says whether the panic switch is pulled for a target: not where another sidecar acts, which may
/// hold to something else.
fn is_meant(one: &TargetControl, target: Option<&TargetName>) -> bool {
    one.other().is_none() && target.is_none_or(|target| one.facts.name == *target)
}

fn elsewhere(others: &[(TargetName, Uuid)]) -> String {
    let each = others.iter().map(|(target, other)| format!("on {target} the sidecar {other} acts"));
    let each = each.collect::<Vec<_>>().join(", ");
    format!("{each} and this one waits; give the order to the one that acts")
}

fn holds(changes: impl IntoIterator<Item = HoldChange>) -> Batch {
    Batch { holds: changes.into_iter().collect(), ..Batch::default() }
}

impl TargetControl {
    /// Gives the other sidecar that acts and was there at the last look, with the target's name.
    fn other(&self) -> Option<(TargetName, Uuid)> {
        self.writer.other().map(|other| (self.facts.name.clone(), other))
    }

    /// Gives the hold, while it holds.
    pub fn hold(&self, now: Timestamp) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.holds(now))
    }

    /// Says why nothing is to be changed, if a person has said so.
    pub fn held(&self, now: Timestamp) -> Option<String> {
        self.hold(now).map(Hold::words)
    }

    pub fn is_panicked(&self, now: Timestamp) -> bool {
        self.hold(now).is_some_and(|hold| hold.kind == HoldKind::Panic)
    }

    pub fn new_hold(
        &self,
        kind: HoldKind,
        until: Option<Timestamp>,
        by: &Signature,
        now: Timestamp,
    ) -> Hold {
        Hold { target: self.facts.name.clone(), kind, since: now, until, by: by.clone() }
    }

    fn pause(
        &mut self,
        kind: HoldKind,
        until: Option<Timestamp>,
        by: &Signature,
        turn: &mut Turn<'_>,
    ) -> Vec<Effect> {
        let target = self.facts.name.as_str();
        tracing::warn!(target, kind = kind.as_str(), author = by.author, "a person holds it");
        self.hold = Some(self.new_hold(kind, until, by, turn.now));
        self.writer.hold_to_own();
        self.told(Batch::default(), turn)
    }

    fn panic(&mut self, by: &Signature, turn: &mut Turn<'_>) -> Vec<Effect> {
        // Also when it is pulled again: an old one would be a pause after a takeover.
        self.writer.hold_to_own();
        let mut effects = match self.is_panicked(turn.now) {
            true => Vec::new(),
            false => self.pause(HoldKind::Panic, None, by, turn),
        };
        effects.extend(self.go_back(turn));
        effects
    }

    fn judge_resume(
        &self,
        sizes: TheirSizes,
        by: &Signature,
        now: Timestamp,
    ) -> Result<Batch, OrderRefusal> {
        let end = HoldChange::End { target: self.facts.name.clone(), at: now, by: by.clone() };
        let mut batch = holds(self.hold(now).map(|_| end));
        if sizes == TheirSizes::Adopt {
            let mut adopted = self.scopes.clone();
            for (setting, scope) in adopted.iter_mut().filter(|(_, one)| one.stood_down.is_some()) {
                scope.adopt(self.size_of(setting));
                batch.scopes.push(scope.state(&self.facts.name, setting, now));
            }
        }
        Ok(batch)
    }

    fn resume(&mut self, sizes: TheirSizes, by: &Signature, turn: &mut Turn<'_>) -> Vec<Effect> {
        let target = self.facts.name.as_str();
        tracing::warn!(target, author = by.author, "a person resumes it");
        self.hold = None;
        self.writer.resume(sizes);
        let mut batch = Batch::default();
        if sizes == TheirSizes::Adopt {
            let theirs = self.scopes.iter().filter(|(_, one)| one.stood_down.is_some());
            let theirs: Vec<_> = theirs.map(|(setting, _)| setting.clone()).collect();
            for setting in theirs {
                let current = self.size_of(&setting);
                if let Some(scope) = self.scopes.get_mut(&setting) {
                    scope.adopt(current);
                }
                // What was on trial when they set it could not be told; that hinders nothing now.
                self.forgive(&setting, &mut batch);
            }
        }
        // What was refused while it was held is news again.
        self.said.clear();
        self.told(batch, turn)
    }

    /// Lets go of a hold that has ended by itself.
    pub fn expire_hold(&mut self, now: Timestamp) {
        if self.hold.as_ref().is_some_and(|hold| !hold.holds(now)) {
            let target = self.facts.name.as_str();
            tracing::info!(target, "a pause has ended by itself; it is changed again");
            self.hold = None;
            self.said.clear();
        }
    }

    fn told(&mut self, mut batch: Batch, turn: &mut Turn<'_>) -> Vec<Effect> {
        self.tell(turn, &mut batch);
        if super::record::is_empty(&batch) {
            return Vec::new();
        }
        vec![Effect::Record(Box::new(batch))]
    }
}
