//! Changing sizes and reading back what is in force.
//!
//! The command tag proves nothing: `SET` of a key that cannot change answers success as well.

use super::poll::server_of;
use super::{ConsoleError, Session};
use crate::model::Knob;

/// Reads a knob of the default scope as it is in force.
///
/// # Errors
/// When the session broke, or the answer cannot be read.
pub async fn read_default(session: &mut Session, knob: Knob) -> Result<Option<u32>, ConsoleError> {
    let server = server_of(&session.run("SHOW CONFIG").await?)?;
    Ok(match knob {
        Knob::PoolSize => server.default_pool_size,
        Knob::MinPoolSize => server.min_pool_size,
        Knob::ReservePoolSize => server.reserve_pool_size,
    })
}

/// Sends `RECONNECT` for one database: each of its servers closes when it is released.
///
/// # Errors
/// When the session broke, or PgBouncer refuses.
pub async fn reconnect(session: &mut Session, database: &str) -> Result<(), ConsoleError> {
    let name = database.replace('"', "\"\"");
    session.run(&format!("RECONNECT \"{name}\"")).await.map(drop)
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
