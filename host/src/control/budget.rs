//! What PostgreSQL can take, seen from one scope of one target.

use super::target::TargetControl;
use crate::guard::Budget;
use crate::model::ScopeKey;

impl TargetControl {
    /// Gives the budget of the default scope; `None` while PostgreSQL has never answered.
    pub fn default_budget(&self) -> Option<Budget> {
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
            if self.history.inherits_size(&row.key) {
                budget.pools += 1;
                budget.reserve = budget.reserve.saturating_add(reserve);
            } else {
                let could_open = snapshot.size_of(&row.key).saturating_add(reserve);
                budget.elsewhere = budget.elsewhere.saturating_add(could_open);
            }
        }
        Some(budget)
    }
}

/// Says why the sidecar cannot change a scope; `None` when it can.
pub(super) fn not_actionable(scope: &ScopeKey, can_act: bool) -> Option<&'static str> {
    match (scope, can_act) {
        (_, false) => Some("there is no login that may act: set act_user of the target"),
        (ScopeKey::Default, true) => None,
        (ScopeKey::Database(_), true) => {
            Some("a database's own pool_size cannot be set at run time; change PgBouncer's file")
        }
        (ScopeKey::User(_), true) => {
            Some("a user's own pool_size cannot be set at run time; change PgBouncer's file")
        }
    }
}
