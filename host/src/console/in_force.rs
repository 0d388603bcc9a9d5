//! Everything that a `RELOAD` could change, as it is in force.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::poll::{databases_of, version_number};
use super::users::{UserRow, users_of};
use super::{ConsoleError, Session, Table};
use crate::model::{Databases, Knob, ScopeKey, Setting};

/// One row of `SHOW CONFIG`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConfigRow {
    /// What is in force.
    pub value: Option<String>,
    /// What a `RELOAD` puts it to when the file does not name it; without one it stays.
    pub default: Option<String>,
    /// Whether it changes without a restart.
    pub changeable: bool,
}

impl fmt::Debug for ConfigRow {
    /// Leaves the values out: some hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigRow").field("changeable", &self.changeable).finish_non_exhaustive()
    }
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InForce {
    /// Version as major * 10000 + minor * 100 + patch; 0 when unknown.
    pub version: u32,
    /// `SHOW CONFIG`.
    pub config: BTreeMap<String, ConfigRow>,
    /// `SHOW DATABASES`, without the console.
    pub databases: Databases,
    /// `SHOW USERS`, without the console's.
    pub users: BTreeMap<Arc<str>, UserRow>,
}

impl InForce {
    /// Gives the value of a key of `SHOW CONFIG`.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.config.get(key)?.value.as_deref()
    }

    /// Gives a size; for a database the effective one, its own and inherited ones look alike.
    pub fn size(&self, setting: &Setting) -> Option<u32> {
        match &setting.scope {
            ScopeKey::Default => self.value(setting.knob.default_key())?.parse().ok(),
            ScopeKey::Database(name) => {
                let row = self.databases.get(name)?;
                match setting.knob {
                    Knob::PoolSize => row.pool_size,
                    Knob::MinPoolSize => row.min_pool_size,
                    Knob::ReservePoolSize => row.reserve_pool,
                }
            }
            ScopeKey::User(name) => self.users.get(name)?.size(setting.knob),
        }
    }
}

/// Reads everything that a `RELOAD` could change.
///
/// # Errors
/// When the session broke, or an answer cannot be read.
pub async fn read_in_force(session: &mut Session) -> Result<InForce, ConsoleError> {
    let version = session.run("SHOW VERSION").await?;
    let version = version.rows().next().and_then(|row| row.text("version")).unwrap_or_default();
    let version = version_number(version);
    Ok(InForce {
        version,
        config: read_config(session).await?,
        databases: databases_of(&session.run("SHOW DATABASES").await?)?,
        users: users_of(&session.run("SHOW USERS").await?, version),
    })
}

/// Reads all settings.
///
/// # Errors
/// When PgBouncer does not answer.
pub async fn read_config(
    session: &mut Session,
) -> Result<BTreeMap<String, ConfigRow>, ConsoleError> {
    Ok(config(&session.run("SHOW CONFIG").await?))
}

fn config(table: &Table) -> BTreeMap<String, ConfigRow> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let row = |row: super::Row<'_>| {
        let one = ConfigRow {
            value: owned(row.text("value")),
            default: owned(row.text("default")),
            changeable: row.flag("changeable"),
        };
        Some((row.text("key")?.to_owned(), one))
    };
    table.rows().filter_map(row).collect()
}
