//! What of a target the sidecar can change.

use std::sync::Arc;

use super::target::TargetControl;
use crate::model::{Knob, Mode, Reach, ScopeKey, Setting, Snapshot, Window};

impl TargetControl {
    /// Marks what of each scope can be changed.
    pub fn show_reach(&self, window: &mut Window) {
        for (scope, bits) in window.scope_keys.iter().zip(&mut window.scopes.actionable) {
            let can = |knob: &Knob| {
                self.out_of_reach(&Setting { scope: scope.clone(), knob: *knob }).is_none()
            };
            *bits = Knob::ALL.iter().filter(|knob| can(knob)).map(|knob| knob.bit()).sum();
        }
    }

    /// Says why the sidecar cannot change a setting; `None` when it can.
    pub fn out_of_reach(&self, setting: &Setting) -> Option<String> {
        match (&self.reach, &setting.scope, self.facts.can_act) {
            (_, _, false) => {
                Some("there is no login that may act: set act_user of the target".to_owned())
            }
            (Some(reach), ..) => reach.obstacle(setting).map(ToString::to_string),
            (None, ScopeKey::Default, true) => None,
            (None, ..) => Some("what can be changed on this PgBouncer is not known yet".to_owned()),
        }
    }

    /// Gives the mode for a setting: what cannot be acted on is recommended instead.
    pub fn mode_of(&self, setting: &Setting) -> Mode {
        match self.out_of_reach(setting) {
            Some(_) => self.mode.stricter(Mode::Recommend),
            None => self.mode,
        }
    }

    /// Believes what `SHOW USERS` may only echo, where the file gives the user a size of its own.
    pub fn believe(&self, snapshot: &mut Snapshot) {
        let Some(reach) = self.reach.as_ref().filter(|_| !snapshot.server.echoes.is_empty()) else {
            return;
        };
        let of_file = |setting: &Setting| reach.settings.get(setting)?.file;
        let server = Arc::make_mut(&mut snapshot.server);
        server.believe(|setting| of_file(setting).is_some());
    }

    /// Takes in what can be acted on; says so where it is news.
    pub fn reached(&mut self, reach: Reach) {
        let target = self.facts.name.as_str();
        let before = self.reach.as_ref().map_or(&[][..], |reach| &reach.problems);
        for problem in reach.problems.iter().filter(|problem| !before.contains(problem)) {
            let (reason, remedy) = (&problem.reason, &problem.remedy);
            tracing::warn!(target, reason, remedy, "sizes cannot be acted on, only recommended");
        }
        self.reach = Some(Arc::new(reach));
    }
}
