//! Names and identities, each its own type so that one cannot stand in for another.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A name that cannot be used as an identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// The name is empty or longer than 63 characters.
    #[error("{0:?} must have 1 to 63 characters")]
    Length(String),
    /// The name has a character that is not allowed.
    #[error("{0:?} may hold only letters, digits, '-', '_' and '.'")]
    Character(String),
}

fn checked(name: &str) -> Result<Arc<str>, NameError> {
    if name.is_empty() || name.chars().count() > 63 {
        return Err(NameError::Length(name.to_owned()));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(fits) {
        return Err(NameError::Character(name.to_owned()));
    }
    Ok(Arc::from(name))
}

/// The operator's name of one PgBouncer instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetName(Arc<str>);

/// The name of a policy: the file name of its `.toml` or `.wasm` without the ending.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName(Arc<str>);

impl TargetName {
    /// Checks and makes a target name.
    ///
    /// # Errors
    /// When the name is empty, too long or has a character that a URL path would not carry as is.
    pub fn new(name: &str) -> Result<Self, NameError> {
        checked(name).map(Self)
    }

    /// Gives the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PolicyName {
    /// Checks and makes a policy name.
    ///
    /// # Errors
    /// As [`TargetName::new`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        checked(name).map(Self)
    }

    /// Names the sidecar itself, for decisions that no plugin made (a size applied again).
    pub fn host() -> Self {
        Self(Arc::from("poolwarden"))
    }

    /// Gives the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pool of a target: PgBouncer keeps one per (database, user).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolKey {
    /// Database name as clients give it to PgBouncer.
    pub database: Arc<str>,
    /// User that the pool logs in as.
    pub user: Arc<str>,
}

impl PoolKey {
    /// Makes a key from PgBouncer's own names, which may hold any character.
    pub fn new(database: &str, user: &str) -> Self {
        Self { database: Arc::from(database), user: Arc::from(user) }
    }
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.user)
    }
}

/// The one setting that sizes a set of pools.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScopeKey {
    /// The target's `default_pool_size`.
    Default,
    /// A database's own `pool_size`.
    Database(Arc<str>),
    /// A user's own `pool_size` (PgBouncer 1.23 and newer).
    User(Arc<str>),
}

impl fmt::Display for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Database(name) => write!(f, "database:{name}"),
            Self::User(name) => write!(f, "user:{name}"),
        }
    }
}

impl std::str::FromStr for ScopeKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once(':') {
            None if text == "default" => Ok(Self::Default),
            Some(("database", name)) => Ok(Self::Database(Arc::from(name))),
            Some(("user", name)) => Ok(Self::User(Arc::from(name))),
            _ => Err(NameError::Character(text.to_owned())),
        }
    }
}

/// SHA-256 of a plugin's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = || NameError::Character(text.to_owned());
        let hex = text.strip_prefix("sha256:").ok_or_else(bad)?;
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(NameError::Length(text.to_owned()));
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_path_would_not_carry_is_refused() {
        assert!(TargetName::new("main-1").is_ok());
        assert_eq!(TargetName::new("a/b"), Err(NameError::Character("a/b".into())));
        assert_eq!(TargetName::new(""), Err(NameError::Length(String::new())));
    }

    #[test]
    fn scopes_and_digests_read_back_what_they_print() {
        for scope in [ScopeKey::Default, ScopeKey::Database("a:b".into())] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        let digest = Digest([0xab; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }
}
