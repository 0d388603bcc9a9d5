//! What a `RELOAD` would start from: the operator's file, and what is in force.

use super::Change;
use super::overrides::Found;
use super::reach::reach;
use super::site::{Signature, Site};
use crate::console::{ConsoleError, InForce};
use crate::ini::Ini;
use crate::model::Obstacle;

/// What a `RELOAD` would start from.
pub(super) struct Ground<'a> {
    pub site: Site<'a>,
    pub ini: Ini,
    pub before: InForce,
    /// What override files that are in use say.
    pub found: Option<Found>,
    pub signature: Signature,
}

impl Ground<'_> {
    /// Says whether PgBouncer reads this sidecar's own override file.
    pub fn is_own(&self) -> bool {
        self.before.value("conffile").is_some_and(|conffile| self.site.is_own(conffile))
    }
}

/// Why a change was not made.
pub(super) enum Stop {
    /// Nothing was sent.
    Nothing(String),
    /// Something was sent, and what came of it is not known.
    Unknown(ConsoleError),
}

impl From<Obstacle> for Stop {
    fn from(obstacle: Obstacle) -> Self {
        Self::Nothing(format!("{obstacle}; nothing was changed"))
    }
}

/// Says why one of some changes cannot be made here.
pub(super) fn unreachable(ground: &Ground<'_>, changes: &[Change]) -> Option<Obstacle> {
    let reach = reach(&ground.before, Ok(&ground.ini), None);
    changes.iter().find_map(|change| reach.obstacle(&change.setting).cloned())
}
