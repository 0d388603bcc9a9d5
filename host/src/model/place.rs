//! Where a PostgreSQL server is, as somebody's configuration names it.

use std::collections::BTreeSet;
use std::fmt;

use super::Obstacle;

/// Most places that a text names.
const NAMED_MAX: usize = 5;

/// A place as it stands in a configuration; a host has many names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// Host, or several with commas between; `None` for a Unix socket.
    pub host: Option<&'a str>,
    /// Port.
    pub port: Option<u32>,
}

impl<'a> Place<'a> {
    /// Says whether this place of a PgBouncer's database is the one that is asked.
    pub fn leads_to(self, asked: Self) -> bool {
        let host = match self.host {
            Some(hosts) => hosts.split(',').any(|host| is_same_host(Some(host.trim()), asked.host)),
            None => is_same_host(None, asked.host),
        };
        host && self.port == asked.port
    }

    /// Says whether there is more than one place.
    pub fn are_several(places: impl IntoIterator<Item = Self>) -> bool {
        let mut places = places.into_iter();
        places.next().is_some_and(|first| places.any(|place| place != first))
    }

    /// Says what is the matter when databases are in several places and none is the one that is
    /// asked, which is this one.
    pub fn missing_among(self, places: impl Iterator<Item = Self> + Clone) -> Option<Obstacle> {
        let found = || places.clone().any(|place| place.leads_to(self));
        if !Self::are_several(places.clone()) || found() {
            return None;
        }
        let places: BTreeSet<Self> = places.collect();
        let mut named: Vec<_> = places.iter().take(NAMED_MAX).map(Self::to_string).collect();
        if places.len() > NAMED_MAX {
            named.push("others".to_owned());
        }
        Some(Obstacle::new(
            format!(
                "which pools lead to PostgreSQL at {self} (`url` of [target.database]) is not known, \
                 for PgBouncer's databases are at {}",
                named.join(", ")
            ),
            "name host and port alike in both",
        ))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            None => f.write_str("a Unix socket")?,
            Some(host) if host.contains(':') => write!(f, "[{host}]")?,
            Some(host) => f.write_str(host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The names of one's own machine are alike; PgBouncer names a socket by its folder.
fn is_same_host(one: Option<&str>, other: Option<&str>) -> bool {
    let is_local = |host: Option<&str>| match host {
        None => true,
        Some(host) => {
            host.starts_with(['/', '@']) || matches!(host, "localhost" | "127.0.0.1" | "::1")
        }
    };
    one == other || (is_local(one) && is_local(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str) -> Place<'_> {
        Place { host: Some(host), port: Some(5432) }
    }

    #[test]
    fn a_place_leads_where_host_and_port_say() {
        let here = place("10.0.0.5");
        assert!(here.leads_to(here));
        assert!(place("10.0.0.4,10.0.0.5").leads_to(here), "one of several hosts");
        assert!(!Place { port: Some(5433), ..here }.leads_to(here));
        assert!(!place("db.example.com").leads_to(here), "nobody can say");
        for local in ["localhost", "127.0.0.1", "::1", "/var/run/postgresql"] {
            assert!(place(local).leads_to(Place { host: None, port: Some(5432) }), "{local}");
        }
        assert!(!here.leads_to(place("localhost")));
    }

    #[test]
    fn several_places_of_which_none_is_asked_are_named_with_the_remedy() {
        let told = |hosts: &[&'static str]| {
            let places: Vec<_> = hosts.iter().map(|host| place(host)).collect();
            place("db").missing_among(places.into_iter()).map(|told| told.to_string())
        };
        assert_eq!(told(&["db.example.com", "db.example.com"]), None, "one place is no question");
        assert_eq!(told(&["db.example.com", "db"]), None);
        let told = told(&["db.example.com", "10.0.0.6"]).expect("nobody can say");
        for part in ["at db:5432", "10.0.0.6:5432, db.example.com:5432", "alike"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
