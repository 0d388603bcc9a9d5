//! Alerts and recommendations as they stand.

use serde::Serialize;
use utoipa::ToSchema;

use super::{About, LabelsShown, Numbers, Text, millis};
use crate::control::{AdviceView, AlertView, TargetView, View};
use crate::model::{
    AlertState, DecisionId, Evidence, Proposal, ScopeKey, Setting, Silence, SilenceId, Timestamp,
};

/// An alert that is not forgotten yet.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Alert<'a> {
    target: &'a str,
    policy: &'a str,
    /// Stable name of the condition.
    name: &'a str,
    #[serde(flatten)]
    about: About<'a>,
    /// Where it is in its life.
    #[schema(pattern = "^(pending|firing|cooling)$")]
    state: &'static str,
    /// Since when it is that, milliseconds since 1970.
    since_ms: u64,
    /// What is left of its hold time, while it is pending and its policy has spoken.
    hold_left_ms: Option<u64>,
    /// Until when it stays silent, while it cools.
    until_ms: Option<u64>,
    /// The decision that it is recorded as, while it fires.
    #[schema(value_type = Option<String>, format = "uuid")]
    decision: Option<Text<DecisionId>>,
    /// Null right after a start, until the policy has spoken again; known while it fires.
    #[schema(pattern = "^(info|warning|critical)$")]
    severity: Option<&'static str>,
    summary: Option<&'a str>,
    /// The policy's own labels.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    labels: LabelsShown<'a>,
    /// Where to read what to do: a path in the documentation or a URL.
    runbook: Option<&'a str>,
    /// The silence that mutes it, of several the one that ends last.
    silenced_by: Option<SilencedBy<'a>>,
    /// The newest numbers behind it.
    #[schema(value_type = std::collections::BTreeMap<String, f64>)]
    evidence: Numbers<'a>,
}

/// Who does not want to be told, and until when.
#[derive(Debug, Serialize, ToSchema)]
struct SilencedBy<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: Text<SilenceId>,
    until_ms: u64,
    author: &'a str,
    comment: &'a str,
}

impl<'a> From<&'a Silence> for SilencedBy<'a> {
    fn from(silence: &'a Silence) -> Self {
        Self {
            id: Text(silence.id),
            until_ms: silence.until.as_millis(),
            author: &silence.author,
            comment: &silence.comment,
        }
    }
}

impl<'a> Alert<'a> {
    pub fn new(target: &'a TargetView, view: &'a AlertView, at: Timestamp) -> Self {
        let (state, until_ms, decision) = match view.alert.state {
            AlertState::Pending => ("pending", None, None),
            AlertState::Firing(id) => ("firing", None, Some(Text(id))),
            AlertState::Cooling(until) => ("cooling", Some(until.as_millis()), None),
        };
        let said = Said::of(view.proposal.as_ref());
        let key = &view.alert.key;
        Self {
            target: target.name.as_str(),
            policy: key.policy.as_str(),
            name: &key.name,
            about: (&key.subject).into(),
            state,
            since_ms: view.alert.since.as_millis(),
            hold_left_ms: view.hold_left(at).map(millis),
            until_ms,
            decision,
            severity: said.severity,
            summary: said.summary,
            labels: LabelsShown(said.labels),
            runbook: said.runbook,
            silenced_by: view.silenced_by.as_deref().map(Into::into),
            evidence: Numbers(said.evidence),
        }
    }

    /// Gives the alerts that fire, or all that are not forgotten.
    pub fn of(view: &'a View, which: Which) -> impl Iterator<Item = Self> {
        view.targets.iter().flat_map(move |target| {
            let wanted = move |alert: &&AlertView| which == Which::All || alert.is_firing();
            target.alerts.iter().filter(wanted).map(move |alert| Self::new(target, alert, view.at))
        })
    }
}

/// What the policy said last, if it has spoken.
#[derive(Debug, Default)]
struct Said<'a> {
    severity: Option<&'static str>,
    summary: Option<&'a str>,
    labels: &'a [(String, String)],
    runbook: Option<&'a str>,
    evidence: &'a [Evidence],
}

impl<'a> Said<'a> {
    fn of(proposal: Option<&'a Proposal>) -> Self {
        match proposal {
            Some(Proposal::Alert { severity, summary, labels, runbook, evidence, .. }) => Self {
                severity: Some(severity.as_str()),
                summary: Some(summary),
                labels,
                runbook: Some(runbook.as_str()).filter(|runbook| !runbook.is_empty()),
                evidence,
            },
            _ => Self::default(),
        }
    }
}

/// Which alerts are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Which {
    Firing,
    All,
}

/// The alerts of every target.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct AlertList<'a> {
    /// The moment that this shows, milliseconds since 1970.
    at_ms: u64,
    alerts: Vec<Alert<'a>>,
}

impl<'a> AlertList<'a> {
    pub fn new(view: &'a View, which: Which) -> Self {
        Self { at_ms: view.at.as_millis(), alerts: Alert::of(view, which).collect() }
    }
}

/// Advice that stands until it is followed or withdrawn.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Recommendation<'a> {
    /// The decision that it is recorded as.
    #[schema(value_type = String, format = "uuid")]
    id: Text<DecisionId>,
    target: &'a str,
    policy: &'a str,
    /// `resize` and `end_session` wait for a person.
    #[schema(pattern = "^(recommendation|resize|end_session)$")]
    kind: &'static str,
    /// Stable name of the advice.
    name: &'a str,
    #[serde(flatten)]
    about: About<'a>,
    /// Since when it stands, milliseconds since 1970.
    since_ms: u64,
    summary: &'a str,
    /// The exact lines or commands.
    action: String,
    /// The numbers behind it.
    #[schema(value_type = std::collections::BTreeMap<String, f64>)]
    evidence: Numbers<'a>,
}

impl<'a> Recommendation<'a> {
    /// Gives what advises something; an alert does not.
    fn new(target: &'a TargetView, view: &'a AdviceView) -> Option<Self> {
        let (kind, name, summary, action, evidence): (_, _, _, _, &[Evidence]) =
            match &view.proposal {
                Proposal::Recommendation { name, summary, action, evidence, .. } => {
                    ("recommendation", name.as_str(), summary, action.clone(), evidence)
                }
                Proposal::Resize { setting, size, reason, evidence } => {
                    ("resize", "resize", reason, resize_action(setting, *size), evidence)
                }
                Proposal::EndSession { session, reason, evidence } => {
                    let pid = session.backend_pid;
                    let action = format!("select pg_terminate_backend({pid});");
                    ("end_session", "end-session", reason, action, evidence)
                }
                Proposal::Alert { .. } => return None,
            };
        Some(Self {
            id: Text(view.id),
            target: target.name.as_str(),
            policy: view.policy.as_str(),
            kind,
            name,
            about: (&view.subject).into(),
            since_ms: view.since.as_millis(),
            summary,
            action,
            evidence: Numbers(evidence),
        })
    }

    /// Gives the standing advice of every target.
    pub fn of(view: &'a View) -> impl Iterator<Item = Self> {
        view.targets.iter().flat_map(|target| {
            target.advice.iter().filter_map(move |advice| Self::new(target, advice))
        })
    }
}

fn resize_action(setting: &Setting, size: u32) -> String {
    let knob = setting.knob;
    match &setting.scope {
        ScopeKey::Default => format!("SET {} = {size}", knob.default_key()),
        ScopeKey::Database(name) => {
            format!("set {knob}={size} for {name} in PgBouncer's [databases], then RELOAD")
        }
        ScopeKey::User(name) => {
            format!("set {knob}={size} for {name} in PgBouncer's [users], then RELOAD")
        }
    }
}

/// The advice of every target.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct RecommendationList<'a> {
    /// The moment that this shows, milliseconds since 1970.
    at_ms: u64,
    recommendations: Vec<Recommendation<'a>>,
}

impl<'a> From<&'a View> for RecommendationList<'a> {
    fn from(view: &'a View) -> Self {
        Self { at_ms: view.at.as_millis(), recommendations: Recommendation::of(view).collect() }
    }
}
