//! What a sandbox is to look like.
//!
//! Plain public fields with a useful default, so that a test names only what it is about.

use std::path::PathBuf;

/// When a server of the sandbox is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Startup {
    /// Together with the sandbox.
    Immediate,
    /// Later, by its own `start`; until then its port refuses connections.
    Deferred,
}

/// One database of the sandbox, of the same name on both servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseOptions {
    /// The database's name: lower-case letters, digits and underscores.
    pub name: String,
    /// Its own `pool_size` in connections; `None` inherits `default_pool_size`.
    pub pool_size: Option<u32>,
}

impl DatabaseOptions {
    /// Makes a database that inherits `default_pool_size`.
    #[must_use]
    pub fn inherited(name: &str) -> Self {
        Self { name: name.to_owned(), pool_size: None }
    }

    /// Makes a database with a `pool_size` of its own, in connections.
    #[must_use]
    pub fn sized(name: &str, pool_size: u32) -> Self {
        Self { name: name.to_owned(), pool_size: Some(pool_size) }
    }
}

/// The settings of a [`super::Sandbox`]; the default is one database `app` with user `app`.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// When PostgreSQL starts.
    pub postgres: Startup,
    /// When PgBouncer starts.
    pub pgbouncer: Startup,
    /// The databases; the first is the default of loads and URLs.
    pub databases: Vec<DatabaseOptions>,
    /// The login roles of the application; the first owns the databases.
    pub users: Vec<String>,
    /// PgBouncer's `default_pool_size`, in connections.
    pub default_pool_size: u32,
    /// PgBouncer's `reserve_pool_size`, in connections.
    pub reserve_pool_size: u32,
    /// PgBouncer's `max_client_conn`, in connections.
    pub max_client_conn: u32,
    /// PostgreSQL's `max_connections`.
    pub max_connections: u32,
    /// Further keys of the section `[pgbouncer]`; they win over the sandbox's own.
    pub pgbouncer_settings: Vec<(String, String)>,
    /// Further lines of `postgresql.conf`; they win over the sandbox's own.
    pub postgres_settings: Vec<(String, String)>,
    /// The PgBouncer program, where not the system's own is meant.
    pub pgbouncer_program: Option<PathBuf>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            postgres: Startup::Immediate,
            pgbouncer: Startup::Immediate,
            databases: vec![DatabaseOptions::inherited("app")],
            users: vec!["app".to_owned()],
            default_pool_size: 5,
            reserve_pool_size: 0,
            max_client_conn: 500,
            max_connections: 100,
            pgbouncer_settings: Vec::new(),
            postgres_settings: Vec::new(),
            pgbouncer_program: None,
        }
    }
}

/// Puts `extra` over `base`: same keys are replaced in place, new ones follow.
pub(super) fn merged(
    mut base: Vec<(String, String)>,
    extra: &[(String, String)],
) -> Vec<(String, String)> {
    for (key, value) in extra {
        match base.iter_mut().find(|(known, _)| known == key) {
            Some(entry) => entry.1.clone_from(value),
            None => base.push((key.clone(), value.clone())),
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn extra_settings_win_over_the_sandbox_s_own() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let base = vec![pair("pool_mode", "transaction"), pair("port", "1")];
        let all = merged(base, &[pair("pool_mode", "session"), pair("verbose", "2")]);
        assert_eq!(all, [pair("pool_mode", "session"), pair("port", "1"), pair("verbose", "2")]);
    }
}
