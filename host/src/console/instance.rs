//! What this sidecar calls itself on a console, and who else is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tokio::sync::Notify;
use uuid::Uuid;

use super::{ConsoleError, Cost, Session};
use crate::config::Console;
use crate::model::{Claim, Peer};

/// This sidecar on one PgBouncer: its sessions carry the name, and the claim as it is at their login.
#[derive(Debug, Clone)]
pub struct Instance {
    id: Uuid,
    claim: Arc<AtomicU8>,
    changed: Arc<Notify>,
}

impl Instance {
    /// Makes one that says a claim.
    pub fn new(id: Uuid, claim: Claim) -> Self {
        Self { id, claim: Arc::new(AtomicU8::new(code(claim))), changed: Arc::default() }
    }

    /// Says something else from the next login on.
    pub fn announce(&self, claim: Claim) {
        if self.claim.swap(code(claim), Ordering::Relaxed) != code(claim) {
            self.changed.notify_one();
        }
    }

    /// Waits until something else is said.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Gives what it says now.
    pub fn peer(&self) -> Peer {
        let code = self.claim.load(Ordering::Relaxed);
        let claim = CLAIMS.into_iter().find(|claim| self::code(*claim) == code);
        Peer { id: self.id, claim: claim.unwrap_or(Claim::Watches) }
    }
}

/// Two configurations are the same whatever the sidecar says at the moment.
impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Instance {}

const CLAIMS: [Claim; 4] = [Claim::Watches, Claim::Waits, Claim::Acts, Claim::Left];

const fn code(claim: Claim) -> u8 {
    match claim {
        Claim::Watches => 0,
        Claim::Waits => 1,
        Claim::Acts => 2,
        Claim::Left => 3,
    }
}

/// Asks who is on the console (`SHOW CLIENTS`); before 1.18 PgBouncer names nobody.
///
/// # Errors
/// When the session broke, or PgBouncer refuses.
pub async fn read_peers(session: &mut Session) -> Result<(Vec<Peer>, Cost), ConsoleError> {
    let start = Instant::now();
    let table = session.run("SHOW CLIENTS").await?;
    let cost = Cost { command: "peers", took: start.elapsed(), rows: table.len() };
    let console = table.rows().filter(|row| row.text("database") == Some("pgbouncer"));
    let peers = console.filter_map(|row| Peer::parse(row.text("application_name")?));
    Ok((peers.collect(), cost))
}

/// Finds another sidecar that acts; asked right before something is sent.
///
/// Of two that say so neither sends: which of them goes on is settled at their next look, and the other
/// one says within seconds that it waits.
///
/// # Errors
/// When the session broke, or PgBouncer refuses.
pub async fn acts_beside(
    session: &mut Session,
    console: &Console,
) -> Result<Option<Uuid>, ConsoleError> {
    let Some(instance) = &console.instance else { return Ok(None) };
    let (peers, _) = read_peers(session).await?;
    Ok(acting(&peers, instance.id))
}

/// Finds one that acts; of one that says two things the later in its life counts.
fn acting(peers: &[Peer], me: Uuid) -> Option<Uuid> {
    let others = peers.iter().filter(|peer| peer.id != me && peer.claim >= Claim::Acts);
    let mut last: BTreeMap<Uuid, Claim> = BTreeMap::new();
    for peer in others {
        let claim = last.entry(peer.id).or_insert(peer.claim);
        *claim = peer.claim.max(*claim);
    }
    last.into_iter().find(|(_, claim)| *claim == Claim::Acts).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_else_acts_is_found_whatever_its_name() {
        let one = |id, claim| Peer { id: Uuid::from_u128(id), claim };
        let found = |peers: &[Peer]| acting(peers, Uuid::from_u128(5)).map(|id| id.as_u128());
        let me = one(5, Claim::Acts);
        assert_eq!(found(&[me, one(1, Claim::Waits), one(9, Claim::Watches)]), None);
        assert_eq!(found(&[me, one(1, Claim::Acts)]), Some(1));
        assert_eq!(found(&[one(9, Claim::Acts), me]), Some(9), "an older name is no right");
        // Its older sessions go on for a moment.
        assert_eq!(found(&[one(9, Claim::Acts), one(9, Claim::Left), me]), None);
        assert_eq!(found(&[one(9, Claim::Left), one(8, Claim::Acts)]), Some(8));
    }
}
