//! Changing the default size and reading back what is in force.
//!
//! The command tag proves nothing: `SET` of a key that cannot change answers success as well.

use std::sync::Arc;

use super::poll::{database_row, server_of};
use super::{ConsoleError, Session};
use crate::model::{DatabaseRow, PoolSize};

/// What PgBouncer says is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// `default_pool_size`.
    pub default_pool_size: Option<u32>,
    /// Databases with their effective sizes.
    pub databases: Arc<Vec<DatabaseRow>>,
}

/// Sends `SET default_pool_size`.
///
/// # Errors
/// When the session broke, or PgBouncer refuses.
pub async fn set_default_pool_size(
    session: &mut Session,
    size: PoolSize,
) -> Result<(), ConsoleError> {
    session.run(&format!("SET default_pool_size = {size}")).await.map(drop)
}

/// Reads the sizes in force.
///
/// # Errors
/// When the session broke, or the answer cannot be read.
pub async fn read_sizes(session: &mut Session) -> Result<ReadBack, ConsoleError> {
    let server = server_of(&session.run("SHOW CONFIG").await?)?;
    let databases = session.run("SHOW DATABASES").await?;
    let databases = databases
        .rows()
        .filter(|row| row.text("name") != Some("pgbouncer"))
        .map(database_row)
        .collect::<Result<_, _>>()?;
    Ok(ReadBack { default_pool_size: server.default_pool_size, databases: Arc::new(databases) })
}

/// Finds out whether a login may change settings, without changing any.
///
/// An unknown key is refused either way: for want of rights, or for want of the key.
///
/// # Errors
/// When the login may only watch, or the session broke.
pub async fn may_act(session: &mut Session) -> Result<(), ConsoleError> {
    match session.run("SET poolwarden_asks_for_its_rights = 1").await {
        Ok(_) | Err(ConsoleError::Command { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
