//! What PostgreSQL can take, seen from one scope of one target.

use crate::guard::Budget;
use crate::model::{Limits, PoolRow, ScopeKey, Snapshot};

/// Gives the budget of the default scope; `None` while PostgreSQL has never answered.
///
/// `others` are connections from elsewhere; `explicit` says whether a database has a size of its own.
pub(super) fn of_default_scope(
    snapshot: &Snapshot,
    limits: &Limits,
    others: u32,
    explicit: impl Fn(&str) -> bool,
) -> Option<Budget> {
    let postgres = snapshot.postgres.as_ref()?;
    let inherits = |row: &PoolRow| !explicit(&row.key.database);
    let reserve = |row: &PoolRow| snapshot.reserve_of(&row.key);
    let could_open =
        |row: &PoolRow| snapshot.size_of(&row.key).saturating_add(snapshot.reserve_of(&row.key));
    Some(Budget {
        max_connections: postgres.max_connections,
        reserved: postgres.reserved_connections,
        others,
        margin: limits.database_margin,
        elsewhere: sum(snapshot, |row| !inherits(row), could_open),
        reserve: sum(snapshot, inherits, reserve),
        pools: sum(snapshot, inherits, |_| 1),
    })
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

fn sum(
    snapshot: &Snapshot,
    keep: impl Fn(&PoolRow) -> bool,
    number: impl Fn(&PoolRow) -> u32,
) -> u32 {
    let rows = snapshot.pools.iter().filter(|row| keep(row));
    rows.fold(0, |sum, row| sum.saturating_add(number(row)))
}
