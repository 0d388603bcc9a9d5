//! Everything at one moment, for those who ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::LastChange;
use super::ledger::{Account, Doubt};
use super::shadow::ShadowView;
use super::target::TargetControl;
use super::writer::Role;
use crate::guard::Hindrance;
use crate::history::PoolView;
use crate::model::{
    Alert, AlertState, Counters, DatabaseSample, Databases, DecisionId, Hold, Labels, Limits, Mode,
    PolicyName, PoolKey, PoolSize, Proposal, Reach, Server, Setting, Silence, Subject, TargetName,
    TargetStatus, Timestamp,
};

/// All targets at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The moment.
    pub at: Timestamp,
    /// The targets, by name.
    pub targets: Vec<TargetView>,
    /// The silences that hold, the oldest first.
    pub silences: Vec<Arc<Silence>>,
}

/// One target at one moment.
#[derive(Debug, Clone)]
pub struct TargetView {
    /// The operator's name of it.
    pub name: TargetName,
    /// The operator's labels.
    pub labels: Arc<Labels>,
    /// The operator's mode.
    pub mode: Mode,
    /// What the guard holds to.
    pub limits: Limits,
    /// Up, paused or down.
    pub status: TargetStatus,
    /// Since when it is that; `None` until the first poll ended.
    pub status_since: Option<Timestamp>,
    /// Time since the newest good poll.
    pub data_age: Option<Duration>,
    /// Why the newest poll failed: a short name, and a text for a person.
    pub problem: Option<(&'static str, String)>,
    /// Settings of the PgBouncer.
    pub server: Arc<Server>,
    /// Every pool with its numbers.
    pub pools: Vec<(PoolKey, PoolView)>,
    /// `SHOW DATABASES`.
    pub databases: Arc<Databases>,
    /// Totals by database.
    pub counters: Vec<(Arc<str>, Counters)>,
    /// What PostgreSQL said last.
    pub postgres: Option<Arc<DatabaseSample>>,
    /// The size scopes that the sidecar keeps.
    pub scopes: Vec<ScopeView>,
    /// Which sizes can be acted on; `None` until that was looked at.
    pub reach: Option<Arc<Reach>>,
    /// Alerts that are pending, firing, or cooling down.
    pub alerts: Vec<AlertView>,
    /// Standing recommendations.
    pub advice: Vec<AdviceView>,
    /// How policies that shadow others compare with them.
    pub shadows: Vec<ShadowView>,
    /// A person's word that nothing is to be changed, while it holds.
    pub hold: Option<Hold>,
    /// What the panic switch has not brought back yet.
    pub going_back: Vec<Setting>,
    /// Asks for a look at single sessions that were not granted.
    pub looks_refused: u64,
    /// What PostgreSQL can take; `None` while it has never answered.
    pub budget: Option<Account>,
    /// Why it is not known what PostgreSQL has left, where it is asked and that is not known.
    pub doubt: Option<Doubt>,
    /// Who acts on it.
    pub writer: WriterView,
}

impl TargetView {
    /// Gives the sizes that the sidecar keeps up.
    pub fn wanted(&self) -> BTreeMap<Setting, PoolSize> {
        let wanted = |scope: &ScopeView| Some((scope.setting.clone(), scope.wanted?));
        self.scopes.iter().filter_map(wanted).collect()
    }
}

/// Who acts on a PgBouncer, as this sidecar knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterView {
    /// What this sidecar is there.
    pub role: Role,
    /// Since when; the beginning of time until the first look.
    pub since: Timestamp,
    /// This sidecar's instance, where it may act.
    pub instance: Option<Uuid>,
    /// Whether it would act now.
    pub acts: bool,
}

/// A size scope at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeView {
    /// The setting.
    pub setting: Setting,
    /// The size in force.
    pub size: Option<PoolSize>,
    /// The file's value.
    pub base: PoolSize,
    /// What the sidecar keeps up.
    pub wanted: Option<PoolSize>,
    /// Since when a person's size is respected.
    pub stood_down: Option<Timestamp>,
    /// The change under way.
    pub in_flight: Option<DecisionId>,
    /// Why the sidecar cannot change it, if it cannot.
    pub not_actionable: Option<String>,
    /// When the sidecar last changed it.
    pub last_change: Option<Timestamp>,
    /// What came of the last change.
    pub change: Option<LastChange>,
    /// Why what earlier changes did forbids a further one.
    pub hindrance: Hindrance,
}

/// An alert with the newest word of its policy.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertView {
    /// Identity and state.
    pub alert: Alert,
    /// The newest word; absent right after a start, unless it fires.
    pub proposal: Option<Proposal>,
    /// The silence that mutes it.
    pub silenced_by: Option<Arc<Silence>>,
}

/// A standing recommendation.
#[derive(Debug, Clone, PartialEq)]
pub struct AdviceView {
    /// The decision under which it is recorded.
    pub id: DecisionId,
    /// Since when it stands.
    pub since: Timestamp,
    /// The policy.
    pub policy: PolicyName,
    /// What it is about.
    pub subject: Subject,
    /// What it says.
    pub proposal: Proposal,
}

impl AlertView {
    /// Says whether the alert is firing.
    pub fn is_firing(&self) -> bool {
        matches!(self.alert.state, AlertState::Firing(_))
    }

    /// Says whether the alert is firing and no silence mutes it.
    pub fn is_heard(&self) -> bool {
        self.is_firing() && self.silenced_by.is_none()
    }

    /// Gives what is left of the hold time, while the alert is pending.
    pub fn hold_left(&self, now: Timestamp) -> Option<Duration> {
        match (self.alert.state, &self.proposal) {
            (AlertState::Pending, Some(Proposal::Alert { hold, .. })) => {
                Some(hold.saturating_sub(now.since(self.alert.since)))
            }
            _ => None,
        }
    }
}

impl TargetControl {
    pub(super) fn view(&self, now: Timestamp) -> TargetView {
        let (status, status_since) = self.history.status();
        let latest = self.history.latest();
        let (server, databases) = latest
            .map(|latest| (Arc::clone(&latest.server), Arc::clone(&latest.databases)))
            .unwrap_or_default();
        TargetView {
            name: self.facts.name.clone(),
            labels: Arc::clone(&self.facts.labels),
            mode: self.mode,
            limits: self.facts.limits.clone(),
            status,
            status_since,
            data_age: latest.map(|latest| now.since(latest.at)),
            problem: self.problem.clone(),
            server,
            pools: self.history.pools(now),
            databases,
            counters: latest.map(|latest| latest.counters.clone()).unwrap_or_default(),
            postgres: latest.and_then(|latest| latest.postgres.clone()),
            scopes: self.scope_views(now),
            reach: self.reach.clone(),
            alerts: self.alert_views(now),
            advice: self.advice_views(),
            shadows: self.shadows.views(),
            hold: self.hold(now).cloned(),
            going_back: self.going_back(now),
            looks_refused: self.sessions.refused,
            budget: self.account.clone(),
            doubt: self.doubt.clone(),
            writer: WriterView {
                role: self.writer.role(),
                since: self.writer.since(),
                instance: self.writer.me(),
                acts: self.writer.role() == Role::Acts && self.writer.may_act(now),
            },
        }
    }

    fn scope_views(&self, now: Timestamp) -> Vec<ScopeView> {
        let view = |(setting, scope): (&Setting, &super::scope::ScopeControl)| ScopeView {
            setting: setting.clone(),
            size: self.size_of(setting),
            base: scope.file_size(),
            wanted: scope.wanted,
            stood_down: scope.stood_down,
            in_flight: scope.in_flight.map(|flight| flight.id),
            not_actionable: self.out_of_reach(setting),
            last_change: scope.last_change().filter(|at| *at > Timestamp::default()),
            change: self.effects.last(setting),
            hindrance: self.hindrance(setting, now),
        };
        self.scopes.iter().map(view).collect()
    }

    fn alert_views(&self, now: Timestamp) -> Vec<AlertView> {
        let holds = |silence: &Arc<Silence>| silence.holds(now).then(|| Arc::clone(silence));
        let view = |entry: &super::alerts::Entry| AlertView {
            alert: entry.alert.clone(),
            proposal: entry.proposal.clone(),
            silenced_by: entry.silenced_by.as_ref().and_then(holds),
        };
        self.alerts.entries().map(view).collect()
    }

    fn advice_views(&self) -> Vec<AdviceView> {
        let standing = self.advice.standing();
        standing
            .map(|(key, standing)| AdviceView {
                id: standing.id,
                since: standing.since,
                policy: key.policy.clone(),
                subject: key.subject.clone(),
                proposal: standing.proposal.clone(),
            })
            .collect()
    }
}
