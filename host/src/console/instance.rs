//! What this sidecar calls itself on a console, and who else is there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use uuid::Uuid;

use super::{ConsoleError, Cost, Session};
use crate::model::{Claim, Peer, Told};

/// This sidecar on one PgBouncer: its sessions carry the name, and what it says at their login.
#[derive(Debug, Clone)]
pub struct Instance {
    id: Uuid,
    says: Arc<Mutex<(Claim, Told)>>,
    changed: Arc<Notify>,
}

impl Instance {
    /// Makes one that says a claim.
    pub fn new(id: Uuid, claim: Claim) -> Self {
        Self { id, says: Arc::new(Mutex::new((claim, Told::default()))), changed: Arc::default() }
    }

    /// Says something else from the next login on.
    pub fn announce(&self, claim: Claim, told: Told) {
        let before = std::mem::replace(&mut *self.says(), (claim, told));
        if before != (claim, told) {
            self.changed.notify_one();
        }
    }

    /// Says from the next login on that it stops.
    pub fn leave(&self) {
        self.says().0 = Claim::Left;
    }

    /// Waits until something else is said.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Gives what it says now.
    pub fn peer(&self) -> Peer {
        let (claim, told) = *self.says();
        Peer { id: self.id, claim, told }
    }

    fn says(&self) -> MutexGuard<'_, (Claim, Told)> {
        self.says.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two configurations are the same whatever the sidecar says at the moment.
impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Instance {}

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
