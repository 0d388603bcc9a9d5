//! Writes the lines that a person has to change.

use poolwarden_policy::{Scope, ScopeKind};

/// Names the setting that sizes a scope, in an operator's words.
pub(crate) fn setting(scope: Scope<'_>) -> String {
    match scope.kind() {
        ScopeKind::Default => "default_pool_size".to_owned(),
        ScopeKind::Database => format!("pool_size of database {}", scope.name()),
        ScopeKind::User => format!("pool_size of user {}", scope.name()),
    }
}

/// Writes how a scope gets another size; `…` stands for what its entry says already.
pub(crate) fn size(scope: Scope<'_>, size: u32) -> String {
    match scope.kind() {
        ScopeKind::Default => set("default_pool_size", &size.to_string()),
        ScopeKind::Database => {
            format!("[databases]\n{} = … pool_size={size}\n; then: RELOAD", scope.name())
        }
        ScopeKind::User => {
            format!("[users]\n{} = … pool_size={size}\n; then: RELOAD", scope.name())
        }
    }
}

/// Writes how a setting is changed, now and for good.
pub(crate) fn set(name: &str, value: &str) -> String {
    format!("[pgbouncer]\n{name} = {value}\n; at once, on the admin console: SET {name} = {value}")
}

/// Writes how a database gets an option of its own.
pub(crate) fn database(name: &str, option: &str) -> String {
    format!("[databases]\n{name} = … {option}\n; then: RELOAD")
}
