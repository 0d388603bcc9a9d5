//! Which sizes of a target can be acted on, and what to do about the others.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{self, Means};

/// Which sizes can be acted on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reach<'a> {
    /// The settings that PgBouncer has now.
    settings: Vec<Setting<'a>>,
    /// What stands in the way of every other.
    others: Obstacle<'a>,
    /// What a person should see to.
    problems: Vec<Obstacle<'a>>,
}

/// One size of one scope.
#[derive(Debug, Serialize, ToSchema)]
struct Setting<'a> {
    /// `default`, `database:<name>` or `user:<name>`.
    scope: String,
    #[schema(pattern = "^(pool_size|min_pool_size|reserve_pool_size)$")]
    knob: &'static str,
    /// How it is changed; null where it is only recommended.
    #[schema(pattern = "^(set|override)$")]
    means: Option<&'static str>,
    /// Why it is only recommended.
    obstacle: Option<Obstacle<'a>>,
    /// What PgBouncer's own file says, where that could be read and names it.
    file_size: Option<u32>,
}

/// Why something cannot be acted on, and what to do.
#[derive(Debug, Serialize, ToSchema)]
struct Obstacle<'a> {
    reason: &'a str,
    remedy: &'a str,
}

impl<'a> From<&'a model::Obstacle> for Obstacle<'a> {
    fn from(obstacle: &'a model::Obstacle) -> Self {
        Self { reason: &obstacle.reason, remedy: &obstacle.remedy }
    }
}

impl<'a> From<&'a model::Reach> for Reach<'a> {
    fn from(reach: &'a model::Reach) -> Self {
        let one = |(setting, known): (&model::Setting, &'a model::Reachable)| Setting {
            scope: setting.scope.to_string(),
            knob: setting.knob.as_str(),
            means: known.means.as_ref().ok().copied().map(Means::as_str),
            obstacle: known.means.as_ref().err().map(Into::into),
            file_size: known.file,
        };
        Self {
            settings: reach.settings.iter().map(one).collect(),
            others: (&reach.others).into(),
            problems: reach.problems.iter().map(Into::into).collect(),
        }
    }
}
