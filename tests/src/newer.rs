//! A newer PgBouncer than the system's, where `tests/run.sh` could fetch one.

use std::path::{Path, PathBuf};

/// Names the program.
const VARIABLE: &str = "POOLWARDEN_TEST_PGBOUNCER_NEW";

/// Which PgBouncer a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The system's.
    System,
    /// A newer one.
    Newer,
}

impl Version {
    /// Returns the program; `None` inside means the system's, outside that there is no newer one.
    #[must_use]
    pub fn program(self) -> Option<Option<PathBuf>> {
        if self == Self::System {
            return Some(None);
        }
        let fetched =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pgbouncer-new/pgbouncer");
        let named = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()).map(PathBuf::from);
        let found = named.or_else(|| fetched.exists().then_some(fetched));
        if found.is_none() {
            eprintln!("NOT TESTED: there is no newer PgBouncer; set {VARIABLE} to one");
        }
        found.map(Some)
    }
}
