//! Single sessions between the domain and the contract.
//!
//! The contract shows a plugin what a person would need; which session of a process it is stays with
//! the host, by index, so that a plugin can only name what it was shown.

use crate::evaluate::bindings::types;
use crate::model::{
    BackendIdentity, ClientGroup, HolderRow, PoolKey, SessionKey, SessionState, SessionsWindow,
};

/// When a backend started and when its state last changed, in microseconds.
pub(super) type Identity = Option<(i64, i64)>;

/// Gives the identities of all holders, by index.
pub(super) fn identities(sessions: &SessionsWindow) -> Vec<Identity> {
    let identity = |row: &HolderRow| {
        let identity = row.holder.session.identity?;
        Some((identity.backend_start_us, identity.state_change_us))
    };
    sessions.holders.iter().map(identity).collect()
}

/// Writes what a plugin sees.
pub(super) fn sessions(sessions: &SessionsWindow) -> types::Sessions {
    types::Sessions {
        age_ms: super::millis(sessions.age),
        truncated: sessions.truncated,
        holders: holders(&sessions.holders),
        groups: groups(sessions),
    }
}

fn holders(rows: &[HolderRow]) -> types::Holders {
    let millis = |of: fn(&crate::model::Holder) -> std::time::Duration| {
        rows.iter().map(|row| super::millis(of(&row.holder))).collect()
    };
    let text = |of: fn(&SessionKey) -> &String| {
        rows.iter().map(|row| of(&row.holder.session).clone()).collect()
    };
    types::Holders {
        pool: rows.iter().map(|row| row.pool).collect(),
        state: rows.iter().map(|row| row.holder.session.state.code()).collect(),
        endable: rows.iter().map(|row| u8::from(row.endable)).collect(),
        client: text(|session| &session.client),
        application: text(|session| &session.application),
        address: text(|session| &session.address),
        backend_pid: rows.iter().map(|row| row.holder.session.backend_pid).collect(),
        connected_ms: millis(|holder| holder.connected),
        request_age_ms: millis(|holder| holder.request_age),
        state_age_ms: millis(|holder| holder.state_age),
        transaction_age_ms: millis(|holder| holder.transaction_age),
        statement_age_ms: millis(|holder| holder.statement_age),
    }
}

fn groups(sessions: &SessionsWindow) -> types::ClientGroups {
    let rows = || sessions.groups.iter().map(|(_, group)| group.as_ref());
    let text = |of: fn(&ClientGroup) -> &String| rows().map(|group| of(group).clone()).collect();
    types::ClientGroups {
        pool: sessions.groups.iter().map(|(pool, _)| *pool).collect(),
        application: text(|group| &group.application),
        address: text(|group| &group.address),
        clients: rows().map(|group| group.clients).collect(),
        holding: rows().map(|group| group.holding).collect(),
        oldest_ms: rows().map(|group| super::millis(group.oldest)).collect(),
    }
}

/// Gives the session of an index, as it was shown.
pub(super) fn session(
    shown: &types::Sessions,
    identities: &[Identity],
    pools: &[PoolKey],
    index: u32,
) -> Option<SessionKey> {
    let at = usize::try_from(index).ok()?;
    let holders = &shown.holders;
    let pool = usize::try_from(*holders.pool.get(at)?).ok()?;
    let identity = identities.get(at).copied().flatten();
    Some(SessionKey {
        pool: pools.get(pool)?.clone(),
        client: holders.client.get(at)?.clone(),
        application: holders.application.get(at)?.clone(),
        address: holders.address.get(at)?.clone(),
        backend_pid: *holders.backend_pid.get(at)?,
        state: SessionState::from_code(*holders.state.get(at)?),
        identity: identity.map(|(backend_start_us, state_change_us)| BackendIdentity {
            backend_start_us,
            state_change_us,
        }),
    })
}
