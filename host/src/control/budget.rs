//! What PostgreSQL can take, seen from one scope of one target.

use std::sync::Arc;

use super::target::TargetControl;
use crate::guard::Budget;
use crate::model::{Knob, Mode, Reach, ScopeKey, Setting, Window};

impl TargetControl {
    /// Gives what a setting may be raised to; `None` while PostgreSQL has never answered, and for what
    /// opens no connection beyond the size.
    pub fn budget_of(&self, setting: &Setting) -> Option<Budget> {
        if setting.knob == Knob::MinPoolSize {
            return None;
        }
        let snapshot = self.history.latest()?;
        let postgres =
            snapshot.postgres.as_ref().filter(|postgres| postgres.max_connections > 0)?;
        let leads_there = snapshot.leads_to_postgres();
        let mut budget = Budget {
            max_connections: postgres.max_connections,
            reserved: postgres.reserved_connections,
            others: self.history.other_connections(),
            margin: self.facts.limits.database_margin,
            ..Budget::default()
        };
        for row in snapshot.pools.iter().filter(|row| leads_there(&row.key)) {
            let reserve = snapshot.reserve_of(&row.key);
            let size = snapshot.size_of(&row.key);
            if self.history.scope_of(&row.key) == setting.scope {
                budget.pools += 1;
                let rest = if setting.knob == Knob::PoolSize { reserve } else { size };
                budget.reserve = budget.reserve.saturating_add(rest);
            } else {
                let could_open = size.saturating_add(reserve);
                budget.elsewhere = budget.elsewhere.saturating_add(could_open);
            }
        }
        Some(budget)
    }

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
