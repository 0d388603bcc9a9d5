//! How sidecars on one PgBouncer see one another: by the names of their console sessions.
//!
//! PgBouncer shows each session's `application_name` to the others (1.18 and newer). That needs no
//! store in common, and what a dead sidecar said ends with its sessions.

use uuid::Uuid;

/// Application name under which the sidecar logs in where nobody has to tell it from another one.
pub const OWN_APPLICATION: &str = "poolwarden";

/// What a sidecar says that it does on a PgBouncer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Claim {
    /// It only watches, by its configuration.
    Watches,
    /// It may act, and another one does, or it has not looked yet.
    Waits,
    /// It acts.
    Acts,
    /// It acted, and stops.
    Left,
}

impl Claim {
    const ALL: [Self; 4] = [Self::Watches, Self::Waits, Self::Acts, Self::Left];

    /// Gives the word in the session's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watches => "watch",
            Self::Waits => "wait",
            Self::Acts => "act",
            Self::Left => "left",
        }
    }
}

/// A sidecar on a PgBouncer's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// Which process; made at its start.
    pub id: Uuid,
    /// What it says that it does.
    pub claim: Claim,
}

impl Peer {
    /// Gives the application name of its sessions, 54 bytes at most (PostgreSQL keeps 63).
    pub fn application(&self) -> String {
        format!("{OWN_APPLICATION} {} {}", self.claim.as_str(), self.id)
    }

    /// Reads such a name; PgBouncer may have added the client's address (`application_name_add_host`).
    pub fn parse(application: &str) -> Option<Self> {
        let mut words = application.split_whitespace();
        let (name, claim, id) = (words.next()?, words.next()?, words.next()?);
        let claim = Claim::ALL.into_iter().find(|one| one.as_str() == claim)?;
        let id = Uuid::parse_str(id).ok()?;
        (name == OWN_APPLICATION).then_some(Self { id, claim })
    }
}

/// Says whether an application name is a sidecar's.
pub fn is_own_application(application: &str) -> bool {
    application == OWN_APPLICATION || Peer::parse(application).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_what_they_say_and_fit() {
        for claim in Claim::ALL {
            let peer = Peer { id: Uuid::from_u128(u128::MAX), claim };
            let name = peer.application();
            assert!(name.len() < 64, "{name}");
            assert_eq!(Peer::parse(&name), Some(peer));
            assert_eq!(Peer::parse(&format!("{name} - 10.0.0.1:4711")), Some(peer));
            assert!(is_own_application(&name));
        }
        for other in ["", "psql", "poolwarden", "poolwarden act", "poolwarden act me", "x act x"] {
            assert_eq!(Peer::parse(other), None, "{other:?}");
        }
        assert!(is_own_application("poolwarden") && !is_own_application("poolwarden-web"));
    }
}
