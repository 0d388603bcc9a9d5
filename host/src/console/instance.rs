//! What this sidecar calls itself on a console, and who else is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use uuid::Uuid;

use super::clients::connected;
use super::{ConsoleError, Cost, Session, Table};
use crate::config::Console;
use crate::model::{Claim, Peer, Told};

/// Oldest session that tells of a sidecar which is alive: it renews its own every two seconds. One that
/// is frozen, or whose host lost its power, keeps its for hours.
const OLDEST: Duration = Duration::from_secs(10);

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
    Ok((peers_of(&table), cost))
}

fn peers_of(table: &Table) -> Vec<Peer> {
    let alive = connected(table).filter(|(_, age)| *age <= OLDEST).map(|(row, _)| row);
    let console = alive.filter(|row| row.text("database") == Some("pgbouncer"));
    console.filter_map(|row| Peer::parse(row.text("application_name")?)).collect()
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
    fn a_session_that_was_not_renewed_tells_of_nobody() {
        let row = |id, connected, requested| {
            let peer = Peer { id: Uuid::from_u128(id), claim: Claim::Acts, told: Told::default() };
            ["pgbouncer".to_owned(), connected, requested, peer.application()]
        };
        let at = |second: u32| format!("2026-11-28 10:00:{second:02} CET");
        let rows = [
            row(1, at(9), at(9)),
            row(2, at(10), at(10)),
            row(3, "no time".to_owned(), at(1)),
            row(5, at(19), at(20)),
        ];
        let rows = rows.each_ref().map(|row| row.each_ref().map(String::as_str));
        let rows: Vec<&[&str]> = rows.iter().map(<[&str; 4]>::as_slice).collect();
        let columns = "database connect_time request_time application_name";
        let peers = peers_of(&Table::of_values("SHOW CLIENTS", columns, &rows));
        let seen: Vec<u128> = peers.iter().map(|peer| peer.id.as_u128()).collect();
        assert_eq!(
            seen,
            [2, 3, 5],
            "the first is eleven seconds old; what is not known is no sign"
        );
    }

    #[test]
    fn whoever_else_acts_is_found_whatever_its_name() {
        let one = |id, claim| Peer { id: Uuid::from_u128(id), claim, told: Told::default() };
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
