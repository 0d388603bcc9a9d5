//! Where and why PgBouncer would stop reading; never what stands there.

use std::fmt;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the including one names it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An ini that PgBouncer would not read to its end.
#[derive(Debug, Error)]
pub enum IniError {
    /// A file cannot be read.
    #[error("{file} cannot be read{}", included(from.as_ref()))]
    Read {
        /// The file.
        file: String,
        /// The line that includes it.
        from: Option<Place>,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Neither a section, nor a pair, nor a comment.
    #[error("{place}: is not of the form key = value")]
    Syntax {
        /// The line.
        place: Place,
    },
    /// A section that PgBouncer does not know.
    #[error("{place}: has a section other than databases, users, peers and pgbouncer")]
    Section {
        /// The line.
        place: Place,
    },
    /// A pair before the first section.
    #[error("{place}: has a value before any section")]
    Stray {
        /// The line.
        place: Place,
    },
    /// Files that include files too deeply.
    #[error(
        "{place}: includes a file more than {} levels deep; Poolwarden's own file is one level",
        super::INCLUDE_LEVEL_MAX
    )]
    Depth {
        /// The line.
        place: Place,
    },
    /// A connection string that is not a list of `key=value`.
    #[error("{place}: has a connection string that is not a list of key=value")]
    Entry {
        /// The line.
        place: Place,
    },
    /// An entry for the console.
    #[error("{place}: the database name pgbouncer is the console's")]
    Reserved {
        /// The line.
        place: Place,
    },
    /// A byte at which C stops reading.
    #[error("{place}: has a NUL byte")]
    Nul {
        /// The line.
        place: Place,
    },
    /// No settings at all.
    #[error("{file} has no section [pgbouncer]")]
    NoMain {
        /// The file.
        file: String,
    },
}

fn included(from: Option<&Place>) -> String {
    from.map(|place| format!(" (included at {place})")).unwrap_or_default()
}
