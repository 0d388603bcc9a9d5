//! The life of alerts: pending while the hold time runs, firing, resolved, and silent for a while.
//!
//! The life cycle is the host's, so that it is the same for every policy and survives a reload of
//! the plugin that raises the alert, and a restart of the sidecar:
//!
//! - a pending alert goes on with the part of its hold time that it had before a restart; the time
//!   in between does not count, because nobody looked (Prometheus restores its own the same way);
//! - a firing alert fires on as the same decision, and gets a little time to be seen again, because
//!   conditions that need a history of seconds cannot hold at once after a start;
//! - a cooldown ends when it would have ended.
//!
//! The severity is not part of an alert's identity. While it fires, a higher one than it has been
//! recorded with is news and recorded as a decision of its own; a lower one only shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::silences::SilenceBook;
use crate::model::{
    Alert, AlertKey, AlertState, Alerting, DecisionId, Labels, PolicyName, Proposal, Severity,
    Silence, Subject, TargetName, Timestamp,
};
use crate::record::{AlertChange, StoredAlert};

/// How long after a start a firing alert from before may be absent: longer than any condition that
/// history tells needs to be seen, shorter than an operator looks for.
const CONFIRM: Duration = Duration::from_secs(15);

/// Hold times below this start anew after a restart: they are over before one is.
const HOLD_KEPT: Duration = Duration::from_secs(5);

/// Pending alerts that are kept over a restart, per target.
const PENDING_KEPT: usize = 1_000;

/// What an alert does next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Move {
    /// It fires; the caller records it and says under which id.
    Fire(AlertKey, Proposal),
    /// It fires already, and is worse than when it was recorded under this decision.
    Escalate(AlertKey, Proposal, DecisionId),
    /// Its cause is gone.
    Resolve(AlertKey, DecisionId),
    /// It is over, and its cooldown too.
    Forget(AlertKey),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub alert: Alert,
    /// The newest word of the policy on it; absent for a while after a start, unless it fires.
    pub proposal: Option<Proposal>,
    /// The silence that mutes it.
    pub silenced_by: Option<Arc<Silence>>,
    /// The highest severity that it was recorded with since it fires.
    recorded: Option<Severity>,
    /// It is from before the start and has not been seen since.
    unconfirmed: bool,
    /// Nobody has looked yet whether a silence means it.
    unmatched: bool,
}

impl Entry {
    fn new(alert: Alert, proposal: Option<Proposal>) -> Self {
        Self {
            alert,
            recorded: proposal.as_ref().and_then(severity),
            proposal,
            silenced_by: None,
            unconfirmed: false,
            unmatched: true,
        }
    }

    fn labels(&self) -> &[(String, String)] {
        match &self.proposal {
            Some(Proposal::Alert { labels, .. }) => labels,
            _ => &[],
        }
    }

    fn hold(&self) -> Duration {
        match &self.proposal {
            Some(Proposal::Alert { hold, .. }) => *hold,
            _ => Duration::ZERO,
        }
    }
}

/// What a policy could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    /// The pools' numbers were old, so that what it does not say of pools means nothing.
    pub blind: bool,
    /// Most alerts that it may keep alive.
    pub alerts_max: usize,
}

impl Sight {
    /// Fresh numbers of some pools: a policy has room for several alerts about each.
    pub fn of(pools: usize) -> Self {
        Self { blind: false, alerts_max: pools.saturating_mul(8).saturating_add(100) }
    }
}

/// The alerts of one target.
#[derive(Debug, Default)]
pub(super) struct AlertBook {
    entries: BTreeMap<AlertKey, Entry>,
    /// When the sidecar started.
    started: Timestamp,
    /// Alerts that the store has a row of although they are pending, or gone since.
    pending_rows: BTreeSet<AlertKey>,
    /// Some alert is new, or has other labels than before.
    any_unmatched: bool,
}

impl AlertBook {
    /// Makes a book from what the store knows; moments that lie ahead count as now.
    pub fn new(alerts: Vec<StoredAlert>, now: Timestamp) -> Self {
        let mut book = Self { started: now, any_unmatched: true, ..Self::default() };
        for stored in alerts {
            let StoredAlert { mut alert, held_until, proposal } = stored;
            match &mut alert.state {
                AlertState::Pending => {
                    // Without a word on how long it was seen to hold, the hold time starts anew.
                    let held = held_until.map_or(Duration::ZERO, |until| until.since(alert.since));
                    alert.since = now.minus(held);
                    book.pending_rows.insert(alert.key.clone());
                }
                AlertState::Cooling(until) if alert.since > now => {
                    (*until, alert.since) = (now, now);
                }
                AlertState::Firing(_) | AlertState::Cooling(_) => {
                    alert.since = alert.since.min(now);
                }
            }
            let unconfirmed = matches!(alert.state, AlertState::Firing(_))
                && alert.key.policy != PolicyName::host();
            let entry = Entry { unconfirmed, ..Entry::new(alert, proposal) };
            book.entries.insert(entry.alert.key.clone(), entry);
        }
        book
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Takes in all that one policy says holds now.
    ///
    /// A policy that could not see the pools leaves their alerts as they are, and one that keeps more
    /// alerts alive than its pools warrant gets no new ones.
    pub fn observe(
        &mut self,
        policy: &PolicyName,
        holding: &[Proposal],
        sight: Sight,
        now: Timestamp,
    ) -> Vec<Move> {
        let mut moves = Vec::new();
        let mut seen = BTreeSet::new();
        let mut alive = self.entries.keys().filter(|key| key.policy == *policy).count();
        for proposal in holding {
            let Some(key) = key_of(policy, proposal) else { continue };
            if !self.entries.contains_key(&key) {
                alive += 1;
                if alive > sight.alerts_max {
                    continue;
                }
            }
            if seen.insert(key.clone()) {
                moves.extend(self.holds(key, proposal, now));
            }
        }
        let absent: Vec<AlertKey> = self
            .entries
            .keys()
            .filter(|key| key.policy == *policy && !seen.contains(*key))
            .filter(|key| !(sight.blind && is_of_pools(&key.subject)))
            .cloned()
            .collect();
        moves.extend(absent.into_iter().filter_map(|key| self.ends(key, now)));
        moves
    }

    /// Ends the alerts of policies that are no longer asked.
    pub fn keep_policies(&mut self, asked: &BTreeSet<PolicyName>, now: Timestamp) -> Vec<Move> {
        let orphans: Vec<AlertKey> =
            self.entries.keys().filter(|key| !asked.contains(&key.policy)).cloned().collect();
        orphans.into_iter().filter_map(|key| self.ends(key, now)).collect()
    }

    /// Notes under which decision an alert was recorded as firing.
    pub fn fired(&mut self, key: &AlertKey, id: DecisionId, now: Timestamp) -> Option<Alert> {
        let entry = self.entries.get_mut(key)?;
        // Its row is that of a firing alert from now on.
        self.pending_rows.remove(key);
        if !matches!(entry.alert.state, AlertState::Firing(_)) {
            entry.alert.since = now;
        }
        entry.alert.state = AlertState::Firing(id);
        entry.recorded = entry.proposal.as_ref().and_then(severity);
        Some(entry.alert.clone())
    }

    pub fn get(&self, key: &AlertKey) -> Option<&Alert> {
        self.entries.get(key).map(|entry| &entry.alert)
    }

    /// Gives the rows of pending alerts, as of now, and takes back those of alerts that are over.
    ///
    /// Only long hold times are worth a row; it is written from time to time, not at each change.
    pub fn pending_changes(&mut self, target: &TargetName, now: Timestamp) -> Vec<AlertChange> {
        let pending = |entry: &&Entry| entry.alert.state == AlertState::Pending;
        let kept = self.entries.values().filter(pending).filter(|entry| entry.hold() >= HOLD_KEPT);
        let kept: Vec<_> = kept.take(PENDING_KEPT).map(|entry| entry.alert.clone()).collect();
        let keys: BTreeSet<_> = kept.iter().map(|alert| alert.key.clone()).collect();
        let gone: Vec<_> = self.pending_rows.difference(&keys).cloned().collect();
        self.pending_rows = keys;
        let forget = |key| AlertChange::Forget { target: target.clone(), key };
        let set = |alert: Alert| AlertChange::Pending {
            target: target.clone(),
            key: alert.key,
            since: alert.since,
            held_until: now,
        };
        gone.into_iter().map(forget).chain(kept.into_iter().map(set)).collect()
    }

    /// Looks up which silences mean which alerts: all of them, or those that are new.
    pub fn match_silences(
        &mut self,
        silences: &SilenceBook,
        (target, target_labels): (&TargetName, &Labels),
        anew: Anew,
    ) {
        if anew == Anew::Unmatched && !self.any_unmatched {
            return;
        }
        for entry in self.entries.values_mut().filter(|one| anew == Anew::All || one.unmatched) {
            let labels = entry.labels();
            let alert = Alerting { target, target_labels, key: &entry.alert.key, labels };
            entry.silenced_by = silences.find(alert);
            entry.unmatched = false;
        }
        self.any_unmatched = false;
    }

    fn holds(&mut self, key: AlertKey, proposal: &Proposal, now: Timestamp) -> Option<Move> {
        let Proposal::Alert { hold, labels, .. } = proposal else { return None };
        let entry = self.entries.entry(key.clone()).or_insert_with(|| {
            Entry::new(Alert { key: key.clone(), state: AlertState::Pending, since: now }, None)
        });
        entry.unmatched |= entry.labels() != labels;
        self.any_unmatched |= entry.unmatched;
        entry.proposal = Some(proposal.clone());
        entry.unconfirmed = false;
        match entry.alert.state {
            AlertState::Firing(id) => {
                // What it was recorded with may be unknown; then it counts as just as bad.
                let before = entry.recorded.or(severity(proposal));
                entry.recorded = before;
                let worse = severity(proposal) > before;
                worse.then(|| Move::Escalate(key, proposal.clone(), id))
            }
            AlertState::Cooling(until) if now < until => None,
            AlertState::Cooling(_) => {
                entry.alert.state = AlertState::Pending;
                entry.alert.since = now;
                // The store still says that it cools.
                self.pending_rows.insert(key.clone());
                hold.is_zero().then(|| Move::Fire(key, proposal.clone()))
            }
            AlertState::Pending => {
                (now.since(entry.alert.since) >= *hold).then(|| Move::Fire(key, proposal.clone()))
            }
        }
    }

    fn ends(&mut self, key: AlertKey, now: Timestamp) -> Option<Move> {
        let entry = self.entries.get_mut(&key)?;
        match entry.alert.state {
            AlertState::Pending => {
                self.entries.remove(&key);
                None
            }
            AlertState::Firing(_) if entry.unconfirmed && now.since(self.started) < CONFIRM => None,
            AlertState::Firing(id) => {
                let cooldown = match &entry.proposal {
                    Some(Proposal::Alert { cooldown, .. }) => *cooldown,
                    _ => Duration::ZERO,
                };
                entry.alert.state = AlertState::Cooling(now.plus(cooldown));
                entry.alert.since = now;
                Some(Move::Resolve(key, id))
            }
            AlertState::Cooling(until) if now >= until => {
                self.entries.remove(&key);
                Some(Move::Forget(key))
            }
            AlertState::Cooling(_) => None,
        }
    }
}

/// Which alerts are compared with the silences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anew {
    /// All, because the silences have changed.
    All,
    /// Those that never were.
    Unmatched,
}

fn severity(proposal: &Proposal) -> Option<Severity> {
    match proposal {
        Proposal::Alert { severity, .. } => Some(*severity),
        _ => None,
    }
}

fn key_of(policy: &PolicyName, proposal: &Proposal) -> Option<AlertKey> {
    let Proposal::Alert { name, subject, .. } = proposal else { return None };
    Some(AlertKey { policy: policy.clone(), name: name.clone(), subject: subject.clone() })
}

fn is_of_pools(subject: &Subject) -> bool {
    matches!(subject, Subject::Pool(_) | Subject::Scope(_))
}

#[cfg(test)]
mod tests;
