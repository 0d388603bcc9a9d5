//! How a session that is to be ended is written into a decision.

use serde::{Deserialize, Serialize};

use super::{Malformed, named};
use crate::model::{BackendIdentity, PoolKey, SessionKey, SessionState};

#[derive(Serialize, Deserialize)]
pub(in crate::record) struct WireSession {
    database: String,
    user: String,
    client: String,
    application: String,
    address: String,
    backend_pid: u32,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backend_start_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state_change_us: Option<i64>,
}

impl From<&SessionKey> for WireSession {
    fn from(session: &SessionKey) -> Self {
        Self {
            database: session.pool.database.to_string(),
            user: session.pool.user.to_string(),
            client: session.client.clone(),
            application: session.application.clone(),
            address: session.address.clone(),
            backend_pid: session.backend_pid,
            state: session.state.as_str().to_owned(),
            backend_start_us: session.identity.map(|identity| identity.backend_start_us),
            state_change_us: session.identity.map(|identity| identity.state_change_us),
        }
    }
}

impl TryFrom<WireSession> for SessionKey {
    type Error = Malformed;

    fn try_from(wire: WireSession) -> Result<Self, Malformed> {
        let identity = wire.backend_start_us.zip(wire.state_change_us);
        Ok(Self {
            pool: PoolKey::new(&wire.database, &wire.user),
            client: wire.client,
            application: wire.application,
            address: wire.address,
            backend_pid: wire.backend_pid,
            state: named(&SessionState::ALL, SessionState::as_str, &wire.state)?,
            identity: identity.map(|(backend_start_us, state_change_us)| BackendIdentity {
                backend_start_us,
                state_change_us,
            }),
        })
    }
}
