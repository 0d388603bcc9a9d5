//! Silences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Text;
use crate::control::View;
use crate::model::{self, Glob, SilenceId};

/// A silence that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Silence<'a> {
    /// UUIDv7: ids sort by time.
    #[schema(value_type = String, format = "uuid")]
    id: Text<SilenceId>,
    matchers: MatchersShown<'a>,
    /// When it was made, milliseconds since 1970.
    since_ms: u64,
    /// When it ends, milliseconds since 1970.
    until_ms: u64,
    author: &'a str,
    comment: &'a str,
    /// Alerts that it mutes now, in whatever state they are.
    alerts: usize,
}

/// Which alerts are meant; what is absent is any.
#[derive(Debug, Serialize, ToSchema)]
struct MatchersShown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

impl<'a> From<&'a model::Matchers> for MatchersShown<'a> {
    fn from(matchers: &'a model::Matchers) -> Self {
        let labels = matchers.labels.iter();
        Self {
            policy: matchers.policy.as_ref().map(Glob::as_str),
            alert: matchers.alert.as_ref().map(Glob::as_str),
            target: matchers.target.as_ref().map(Glob::as_str),
            database: matchers.database.as_ref().map(Glob::as_str),
            user: matchers.user.as_ref().map(Glob::as_str),
            labels: labels.map(|(name, glob)| (name.as_str(), glob.as_str())).collect(),
        }
    }
}

impl<'a> Silence<'a> {
    /// Shows a silence with the number of alerts that it mutes.
    pub fn new(silence: &'a model::Silence, alerts: usize) -> Self {
        Self {
            id: Text(silence.id),
            matchers: (&silence.matchers).into(),
            since_ms: silence.since.as_millis(),
            until_ms: silence.until.as_millis(),
            author: &silence.author,
            comment: &silence.comment,
            alerts,
        }
    }
}

/// The silences that hold.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct SilenceList<'a> {
    /// The moment that this shows, milliseconds since 1970.
    at_ms: u64,
    silences: Vec<Silence<'a>>,
}

impl<'a> From<&'a View> for SilenceList<'a> {
    fn from(view: &'a View) -> Self {
        let silences = view.silences.iter();
        Self {
            at_ms: view.at.as_millis(),
            silences: silences.map(|one| Silence::new(one, muted(view, one.id))).collect(),
        }
    }
}

/// Counts the alerts that a silence mutes.
pub(in crate::serve) fn muted(view: &View, id: SilenceId) -> usize {
    let alerts = view.targets.iter().flat_map(|target| &target.alerts);
    alerts.filter(|alert| alert.silenced_by.as_ref().is_some_and(|one| one.id == id)).count()
}

/// A silence that is asked for; exactly one of `until_ms` and `for_ms`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct NewSilence {
    pub matchers: NewMatchers,
    /// When it is to end, milliseconds since 1970; at most 30 days ahead.
    pub until_ms: Option<u64>,
    /// How long it is to last; at most 30 days.
    pub for_ms: Option<u64>,
    /// Who asks for it.
    pub author: String,
    /// Why.
    pub comment: String,
}

/// Which alerts are meant; at least one. `*` stands for any characters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct NewMatchers {
    /// The policy that raises the alert.
    policy: Option<String>,
    /// The alert's name.
    alert: Option<String>,
    /// The PgBouncer.
    target: Option<String>,
    /// The database of the pool or scope; empty for an alert about the whole target.
    database: Option<String>,
    /// The user of the pool or scope; empty likewise.
    user: Option<String>,
    /// Labels of the alert, and of its target where the alert has none of that name.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl From<NewMatchers> for model::Matchers {
    fn from(wire: NewMatchers) -> Self {
        let glob = |text: Option<String>| text.as_deref().map(Glob::new);
        let labels = wire.labels.into_iter();
        Self {
            policy: glob(wire.policy),
            alert: glob(wire.alert),
            target: glob(wire.target),
            database: glob(wire.database),
            user: glob(wire.user),
            labels: labels.map(|(name, text)| (name, Glob::new(&text))).collect(),
        }
    }
}
