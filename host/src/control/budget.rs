//! What of a target the sidecar can change.

use super::target::TargetControl;
use crate::model::{Knob, ScopeKey, Setting, Window};

impl TargetControl {
    /// Marks what of each scope can be changed.
    pub fn show_reach(&self, window: &mut Window) {
        for (scope, bits) in window.scope_keys.iter().zip(&mut window.scopes.actionable) {
            let can = |knob: &Knob| {
                self.not_actionable(&Setting { scope: scope.clone(), knob: *knob }).is_none()
            };
            *bits = Knob::ALL.iter().filter(|knob| can(knob)).map(|knob| knob.bit()).sum();
        }
    }

    /// Says why the sidecar cannot change a setting; `None` when it can.
    pub fn not_actionable(&self, setting: &Setting) -> Option<&'static str> {
        match (&setting.scope, self.facts.can_act) {
            (_, false) => Some("there is no login that may act: set act_user of the target"),
            (ScopeKey::Default, true) => None,
            (ScopeKey::Database(_), true) => {
                Some("a database's own sizes cannot be set at run time; change PgBouncer's file")
            }
            (ScopeKey::User(_), true) => {
                Some("a user's own sizes cannot be set at run time; change PgBouncer's file")
            }
        }
    }
}
