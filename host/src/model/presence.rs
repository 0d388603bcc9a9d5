//! How sidecars on one PgBouncer see one another: by the names of their console sessions.
//!
//! PgBouncer shows each session's `application_name` to the others (1.18 and newer). That needs no
//! store in common, and what a dead sidecar said ends with its sessions.

use uuid::Uuid;

use super::{HoldKind, Knob, ScopeKey, Setting};

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

/// Settings of a PgBouncer whose size is a person's.
///
/// A name has no room for names: of what is not the default scope it only says that there is some, and
/// then the size of every database and user may be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Theirs(u8);

impl Theirs {
    /// Any setting.
    pub const ANY: Self = Self(0b1111);
    const OF_ITS_OWN: u8 = 0b1000;
    const LETTERS: [(u8, char); 4] = [
        (Knob::PoolSize.bit(), 'p'),
        (Knob::MinPoolSize.bit(), 'm'),
        (Knob::ReservePoolSize.bit(), 'r'),
        (Self::OF_ITS_OWN, 'd'),
    ];

    /// Says whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Says whether a setting may be one of them.
    pub fn contains(self, setting: &Setting) -> bool {
        self.0 & bit(setting) != 0
    }

    /// Gives the settings of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Writes `=pm`, or `=*` for any.
    fn word(self) -> String {
        if self == Self::ANY {
            return "=*".to_owned();
        }
        let said = Self::LETTERS.into_iter().filter(|(bit, _)| self.0 & bit != 0);
        std::iter::once('=').chain(said.map(|(_, letter)| letter)).collect()
    }

    /// Reads such a word.
    fn parse(word: &str) -> Option<Self> {
        let letters = word.strip_prefix('=')?;
        if letters == "*" {
            return Some(Self::ANY);
        }
        let bit_of = |letter| {
            let known = Self::LETTERS.into_iter().find(|(_, known)| *known == letter);
            known.map(|(bit, _)| bit)
        };
        letters.chars().try_fold(0, |all, letter| Some(all | bit_of(letter)?)).map(Self)
    }
}

impl<'a> FromIterator<&'a Setting> for Theirs {
    fn from_iter<I: IntoIterator<Item = &'a Setting>>(settings: I) -> Self {
        Self(settings.into_iter().fold(0, |all, setting| all | bit(setting)))
    }
}

fn bit(setting: &Setting) -> u8 {
    match setting.scope {
        ScopeKey::Default => setting.knob.bit(),
        ScopeKey::Database(_) | ScopeKey::User(_) => Theirs::OF_ITS_OWN,
    }
}

/// What people have told a sidecar, for the one that takes over from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Told {
    /// That nothing is to be changed.
    pub hold: Option<HoldKind>,
    /// By setting sizes.
    pub theirs: Theirs,
}

impl Told {
    /// Takes the stronger of two words.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { hold: self.hold.max(other.hold), theirs: self.theirs.union(other.theirs) }
    }
}

/// A sidecar on a PgBouncer's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// Which process; made at its start.
    pub id: Uuid,
    /// What it says that it does.
    pub claim: Claim,
    /// What people have told it.
    pub told: Told,
}

impl Peer {
    /// Gives the application name of its sessions, 63 bytes at most, which PostgreSQL keeps: for
    /// example `poolwarden act ID`, or `poolwarden act ID pause =p`. One that only watches hands
    /// nothing on.
    pub fn application(&self) -> String {
        let mut words = vec![OWN_APPLICATION, self.claim.as_str()];
        let (id, theirs) = (self.id.to_string(), self.told.theirs.word());
        words.push(&id);
        if self.claim != Claim::Watches {
            words.extend(self.told.hold.map(HoldKind::as_str));
            words.extend((!self.told.theirs.is_empty()).then_some(theirs.as_str()));
        }
        words.join(" ")
    }

    /// Reads such a name; PgBouncer may have added the client's address (`application_name_add_host`).
    pub fn parse(application: &str) -> Option<Self> {
        let mut words = application.split_whitespace();
        let (name, claim, id) = (words.next()?, words.next()?, words.next()?);
        let claim = Claim::ALL.into_iter().find(|one| one.as_str() == claim)?;
        let id = Uuid::parse_str(id).ok()?;
        // Older sidecars say nothing more, and skip what they do not know.
        let told = Told {
            hold: words.clone().find_map(HoldKind::parse),
            theirs: words.find_map(Theirs::parse).unwrap_or_default(),
        };
        (name == OWN_APPLICATION).then_some(Self { id, claim, told })
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
    fn a_database_that_is_a_persons_leaves_the_default_to_the_sidecar() {
        let database = Setting::size_of(ScopeKey::Database("shop".into()));
        let theirs: Theirs = [&Setting::DEFAULT].into_iter().collect();
        assert!(theirs.contains(&Setting::DEFAULT) && !theirs.contains(&database));
        let theirs: Theirs = [&database].into_iter().collect();
        let user = Setting::size_of(ScopeKey::User("ada".into()));
        assert!(theirs.contains(&database) && theirs.contains(&user), "which one is not said");
        assert!(!theirs.contains(&Setting::DEFAULT));
        assert!(Theirs::ANY.contains(&database) && Theirs::ANY.contains(&Setting::DEFAULT));
    }

    #[test]
    fn names_read_back_what_they_say_and_fit() {
        let knobs = |some: &[Knob]| -> Theirs {
            let setting = |knob: &Knob| Setting { scope: ScopeKey::Default, knob: *knob };
            some.iter().map(setting).collect::<Vec<_>>().iter().collect()
        };
        let hold = Some(HoldKind::Panic);
        let own = Theirs(Theirs::OF_ITS_OWN);
        let told = [
            Told::default(),
            Told { hold, theirs: Theirs::default() },
            Told { hold: Some(HoldKind::Pause), theirs: Theirs::ANY },
            Told { hold, theirs: knobs(&Knob::ALL) },
            Told { hold: None, theirs: knobs(&[Knob::MinPoolSize]) },
            Told { hold, theirs: knobs(&[Knob::PoolSize, Knob::MinPoolSize]).union(own) },
            Told { hold, theirs: own },
        ];
        for (claim, told) in Claim::ALL.into_iter().flat_map(|claim| told.map(|told| (claim, told)))
        {
            let peer = Peer { id: Uuid::from_u128(u128::MAX), claim, told };
            let name = peer.application();
            assert!(name.len() < 64, "{name}");
            let told = if claim == Claim::Watches { Told::default() } else { told };
            let peer = Peer { told, ..peer };
            assert_eq!(Peer::parse(&name), Some(peer));
            assert_eq!(Peer::parse(&format!("{name} - 10.0.0.1:4711")), Some(peer));
            assert!(is_own_application(&name));
        }
        for other in ["", "psql", "poolwarden", "poolwarden act", "poolwarden act me", "x act x"] {
            assert_eq!(Peer::parse(other), None, "{other:?}");
        }
        let (old, id) = ("poolwarden act", Uuid::from_u128(1));
        let said = |more: &str| Peer::parse(&format!("{old} {id}{more}")).map(|peer| peer.told);
        assert_eq!(said(""), Some(Told::default()), "an older one says no more");
        assert_eq!(said(" =*").map(|told| told.theirs), Some(Theirs::ANY), "as older ones say it");
        assert_eq!(said(" =px of later"), Some(Told::default()), "a newer one may say more");
        assert!(is_own_application("poolwarden") && !is_own_application("poolwarden-web"));
    }
}
