//! The life of alerts: pending while the hold time runs, firing, resolved, and silent for a while.
//!
//! The life cycle is the host's, so that it is the same for every policy and survives a reload of
//! the plugin that raises the alert.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Alert, AlertKey, AlertState, DecisionId, PolicyName, Proposal, Subject, Timestamp,
};

/// What an alert does next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Move {
    /// It fires; the caller records it and says under which id.
    Fire(AlertKey, Proposal),
    /// Its cause is gone.
    Resolve(AlertKey, DecisionId),
    /// It is over, and its cooldown too.
    Forget(AlertKey),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub alert: Alert,
    /// The newest word of the policy on it; absent right after a start.
    pub proposal: Option<Proposal>,
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
}

impl AlertBook {
    /// Makes a book from what the store knows; moments that lie ahead count as now.
    pub fn new(alerts: Vec<Alert>, now: Timestamp) -> Self {
        let entry = |mut alert: Alert| {
            if alert.since > now {
                alert.since = now;
                if let AlertState::Cooling(until) = &mut alert.state {
                    *until = now;
                }
            }
            (alert.key.clone(), Entry { alert, proposal: None })
        };
        Self { entries: alerts.into_iter().map(entry).collect() }
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
        entry.alert.state = AlertState::Firing(id);
        entry.alert.since = now;
        Some(entry.alert.clone())
    }

    pub fn get(&self, key: &AlertKey) -> Option<&Alert> {
        self.entries.get(key).map(|entry| &entry.alert)
    }

    fn holds(&mut self, key: AlertKey, proposal: &Proposal, now: Timestamp) -> Option<Move> {
        let Proposal::Alert { hold, .. } = proposal else { return None };
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            alert: Alert { key: key.clone(), state: AlertState::Pending, since: now },
            proposal: None,
        });
        entry.proposal = Some(proposal.clone());
        match entry.alert.state {
            AlertState::Firing(_) => None,
            AlertState::Cooling(until) if now < until => None,
            AlertState::Cooling(_) => {
                entry.alert.state = AlertState::Pending;
                entry.alert.since = now;
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
            AlertState::Firing(id) => {
                let cooldown = match &entry.proposal {
                    Some(Proposal::Alert { cooldown, .. }) => *cooldown,
                    _ => std::time::Duration::ZERO,
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

fn key_of(policy: &PolicyName, proposal: &Proposal) -> Option<AlertKey> {
    let Proposal::Alert { name, subject, .. } = proposal else { return None };
    Some(AlertKey { policy: policy.clone(), name: name.clone(), subject: subject.clone() })
}

fn is_of_pools(subject: &Subject) -> bool {
    matches!(subject, Subject::Pool(_) | Subject::Scope(_))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::model::{PoolKey, Severity};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn policy() -> PolicyName {
        PolicyName::new("p").expect("a fine name")
    }

    fn alert(hold_ms: u64) -> Proposal {
        Proposal::Alert {
            name: "full".into(),
            subject: Subject::Pool(PoolKey::new("app", "app")),
            severity: Severity::Warning,
            summary: "full".into(),
            hold: Duration::from_millis(hold_ms),
            cooldown: Duration::from_millis(1_000),
            labels: Vec::new(),
            runbook: String::new(),
            evidence: Vec::new(),
        }
    }

    fn fire(book: &mut AlertBook, holding: &[Proposal], now: Timestamp) -> AlertKey {
        let moves = book.observe(&policy(), holding, Sight::of(1), now);
        let [Move::Fire(key, _)] = moves.as_slice() else { panic!("{moves:?} is not one fire") };
        book.fired(key, DecisionId(Uuid::nil()), now);
        key.clone()
    }

    #[test]
    fn an_alert_fires_once_after_it_held_without_a_break() {
        let mut book = AlertBook::default();
        let holding = [alert(500)];
        assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(0)), []);
        assert_eq!(
            book.observe(&policy(), &[], Sight::of(1), at(400)),
            [],
            "a break starts it again"
        );
        assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(450)), []);
        assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(949)), []);
        fire(&mut book, &holding, at(950));
        assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(2_000)), []);
    }

    #[test]
    fn a_resolved_alert_is_silent_for_its_cooldown() {
        let mut book = AlertBook::default();
        let holding = [alert(0)];
        let key = fire(&mut book, &holding, at(0));
        let moves = book.observe(&policy(), &[], Sight::of(1), at(100));
        assert_eq!(moves, [Move::Resolve(key.clone(), DecisionId(Uuid::nil()))]);
        assert_eq!(book.observe(&policy(), &holding, Sight::of(1), at(1_099)), []);
        fire(&mut book, &holding, at(1_100));
        book.observe(&policy(), &[], Sight::of(1), at(1_200));
        assert_eq!(book.observe(&policy(), &[], Sight::of(1), at(2_200)), [Move::Forget(key)]);
    }

    #[test]
    fn a_blind_policy_does_not_resolve_what_it_cannot_see() {
        let mut book = AlertBook::default();
        fire(&mut book, &[alert(0)], at(0));
        assert_eq!(
            book.observe(&policy(), &[], Sight { blind: true, ..Sight::of(1) }, at(100)),
            []
        );
        assert_eq!(book.observe(&policy(), &[], Sight::of(1), at(200)).len(), 1);
    }

    #[test]
    fn a_removed_policy_takes_its_alerts_with_it() {
        let mut book = AlertBook::default();
        fire(&mut book, &[alert(0)], at(0));
        assert_eq!(book.keep_policies(&BTreeSet::from([policy()]), at(1)), []);
        assert_eq!(book.keep_policies(&BTreeSet::new(), at(1)).len(), 1);
    }

    #[test]
    fn a_policy_cannot_keep_more_alerts_alive_than_its_pools_warrant() {
        let mut book = AlertBook::default();
        let flood: Vec<Proposal> = (0..500)
            .map(|at| match alert(0) {
                Proposal::Alert {
                    subject,
                    severity,
                    summary,
                    hold,
                    cooldown,
                    labels,
                    runbook,
                    evidence,
                    ..
                } => Proposal::Alert {
                    name: format!("full-{at}"),
                    subject,
                    severity,
                    summary,
                    hold,
                    cooldown,
                    labels,
                    runbook,
                    evidence,
                },
                other => other,
            })
            .collect();
        assert_eq!(book.observe(&policy(), &flood, Sight::of(1), at(0)).len(), 108);
        assert_eq!(book.entries().count(), 108);
    }
}
