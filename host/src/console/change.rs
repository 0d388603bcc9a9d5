//! Changing the default size and reading back what is in force.
//!
//! The command tag proves nothing: `SET` of a key that cannot change answers success as well.

use super::poll::server_of;
use super::{ConsoleError, Session};
use crate::model::PoolSize;

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

/// Reads `default_pool_size` as it is in force.
///
/// # Errors
/// When the session broke, or the answer cannot be read.
pub async fn read_default_pool_size(session: &mut Session) -> Result<Option<u32>, ConsoleError> {
    Ok(server_of(&session.run("SHOW CONFIG").await?)?.default_pool_size)
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
