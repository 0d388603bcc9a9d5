//! What a `RELOAD` would start from: the operator's file, and what is in force.

use super::Change;
use super::overrides::{Found, Sizes, in_file};
use super::reach::reach;
use super::reload::{is_marked, mark};
use super::site::{Signature, Site};
use crate::console::{ConsoleError, InForce};
use crate::ini::Ini;
use crate::model::{Obstacle, Setting};

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

    /// Says whether somebody else has reloaded since overrides came into force.
    pub fn has_reloaded(&self) -> bool {
        let mark = mark(&self.ini, &self.before);
        mark.is_some_and(|mark| !is_marked(&self.before, &mark))
    }

    /// Gives what the operator's ini said of overridden sizes when it was last loaded; nothing where
    /// somebody has reloaded, because then that is what it says now.
    pub fn loaded(&self) -> Sizes {
        let found = self.found.as_ref().filter(|_| !self.has_reloaded());
        found.map(|found| found.loaded.clone()).unwrap_or_default()
    }

    /// Gives the overridden settings to which the operator has given another size, and reloaded: that is
    /// his word, which the override would hide.
    pub fn overruled(&self) -> Vec<Setting> {
        let found = self.found.as_ref().filter(|_| self.is_own() && self.has_reloaded());
        let noted = found.into_iter().flat_map(|found| &found.loaded);
        let another = noted.filter(|(setting, size)| in_file(&self.ini, setting) != Some(**size));
        another.map(|(setting, _)| setting.clone()).collect()
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
