//! Orders: what a person sends, and what holds afterwards.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::{Role, TargetView, View};
use crate::model::{self, Setting, TargetName, Timestamp};

/// A pause that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct NewPause {
    /// Who.
    #[schema(min_length = 1, max_length = 128)]
    pub author: String,
    /// Why.
    #[schema(min_length = 1, max_length = 1024)]
    pub comment: String,
    /// After this many milliseconds it ends by itself; without it, at a resume.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 2_592_000_000_u64)]
    pub for_ms: Option<u64>,
}

/// The end of a pause, or of a panic.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct NewResume {
    /// Who.
    #[schema(min_length = 1, max_length = 128)]
    pub author: String,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 1024)]
    pub comment: String,
    /// Also take sizes that a person has set for what there is to go on from; without it they stay
    /// that person's.
    #[serde(default)]
    pub adopt: bool,
}

/// The panic switch; in a hurry nothing has to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct NewPanic {
    /// Who.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub author: Option<String>,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 1024)]
    pub comment: String,
}

/// A person's yes or no.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct NewAnswer {
    /// Who.
    #[schema(min_length = 1, max_length = 128)]
    pub author: String,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 1024)]
    pub comment: String,
}

/// A person's word that nothing of a target is changed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Hold<'a> {
    /// `panic`: also, every size that the sidecar has changed goes back to the file's.
    #[schema(pattern = "^(pause|panic)$")]
    kind: &'static str,
    /// Since when, milliseconds since 1970.
    since_ms: u64,
    /// When it ends by itself; null: at a resume.
    until_ms: Option<u64>,
    author: &'a str,
    comment: &'a str,
}

impl<'a> From<&'a model::Hold> for Hold<'a> {
    fn from(hold: &'a model::Hold) -> Self {
        Self {
            kind: hold.kind.as_str(),
            since_ms: hold.since.as_millis(),
            until_ms: hold.until.map(Timestamp::as_millis),
            author: &hold.by.author,
            comment: &hold.by.comment,
        }
    }
}

/// What holds of a target after an order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Held<'a> {
    target: &'a str,
    #[schema(pattern = "^(up|paused|down)$")]
    status: &'static str,
    /// The other sidecar that acts on it, to which orders must be given; null where none does.
    acted_by: Option<String>,
    /// Why nothing is changed; null when it is.
    hold: Option<Hold<'a>>,
    /// Settings that are being changed at this moment.
    in_flight: Vec<String>,
    /// Settings that a panic has not brought back to the file's value yet: right after the change
    /// under way, or when the target answers again.
    going_back: Vec<String>,
    /// Settings that a person has set, and that are left to them.
    set_by_a_person: Vec<String>,
}

/// Targets after an order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct HeldList<'a> {
    targets: Vec<Held<'a>>,
}

impl<'a> HeldList<'a> {
    /// Shows one target, or all.
    pub fn new(view: &'a View, target: Option<&TargetName>) -> Self {
        let meant = |one: &&TargetView| target.is_none_or(|name| one.name == *name);
        Self { targets: view.targets.iter().filter(meant).map(Into::into).collect() }
    }
}

impl<'a> From<&'a TargetView> for Held<'a> {
    fn from(target: &'a TargetView) -> Self {
        let scopes = target.scopes.iter();
        let text = |setting: &Setting| setting.to_string();
        Self {
            target: target.name.as_str(),
            status: target.status.as_str(),
            acted_by: match target.writer.role {
                Role::Waits(other) => Some(other.to_string()),
                _ => None,
            },
            hold: target.hold.as_ref().map(Into::into),
            in_flight: scopes
                .clone()
                .filter(|scope| scope.in_flight.is_some())
                .map(|scope| text(&scope.setting))
                .collect(),
            going_back: target.going_back.iter().map(text).collect(),
            set_by_a_person: scopes
                .filter(|scope| scope.stood_down.is_some())
                .map(|scope| text(&scope.setting))
                .collect(),
        }
    }
}
