//! What this sidecar calls itself on a console, and who else is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tokio::sync::Notify;
use uuid::Uuid;

use super::{ConsoleError, Cost, Session};
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

/// Finds a sidecar that acts and goes before this one; asked right before something is sent.
///
/// # Errors
/// When the session broke, or PgBouncer refuses.
pub async fn first_before(
    session: &mut Session,
    instance: &Instance,
) -> Result<Option<Peer>, ConsoleError> {
    let (peers, _) = read_peers(session).await?;
    let me = instance.peer();
    Ok(peers.into_iter().filter(|peer| peer.id < me.id && peer.claim == Claim::Acts).min())
}
