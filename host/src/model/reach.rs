//! Which sizes of a target can be acted on, and what stands in the way of the others.

use std::collections::BTreeMap;
use std::fmt;

use super::Setting;

/// How a size is brought into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// `SET` on the console.
    Set,
    /// An override file, `SET conffile` and `RELOAD`.
    Override,
}

impl Means {
    /// Gives the name that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Override => "override",
        }
    }
}

/// Why a size cannot be acted on, and what a person can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is the matter.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl Obstacle {
    /// Makes one from its two sentences.
    pub fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.remedy)
    }
}

/// What is known of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    /// How it is brought into force, or why not.
    pub means: Result<Means, Obstacle>,
    /// What PgBouncer's own file says, where that could be read and names it.
    pub file: Option<u32>,
}

/// Which sizes of a target can be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The settings that PgBouncer has at this moment.
    pub settings: BTreeMap<Setting, Reachable>,
    /// What stands in the way of every other.
    pub others: Obstacle,
    /// What should be said at once and concerns no single setting.
    pub problems: Vec<Obstacle>,
}

impl Reach {
    /// Makes a reach in which nothing can be acted on, for a reason that somebody should see to.
    pub fn none(obstacle: Obstacle) -> Self {
        let problems = vec![obstacle.clone()];
        Self { settings: BTreeMap::new(), others: obstacle, problems }
    }

    /// Says why a setting cannot be acted on; `None` when it can.
    pub fn obstacle(&self, setting: &Setting) -> Option<&Obstacle> {
        match self.settings.get(setting) {
            Some(known) => known.means.as_ref().err(),
            None => Some(&self.others),
        }
    }
}
