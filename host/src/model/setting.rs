//! One number of PgBouncer that the sidecar may set: a knob of a size scope.

use std::fmt;
use std::str::FromStr;

use super::{NameError, ScopeKey};

/// Which of a scope's numbers is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Knob {
    /// `pool_size`: the most servers of each pool, its reserve aside.
    #[default]
    PoolSize,
    /// `min_pool_size`: servers that are kept open while a pool has clients.
    MinPoolSize,
    /// `reserve_pool_size`: servers beyond the size for who has waited `reserve_pool_timeout`.
    ReservePoolSize,
}

impl Knob {
    /// Every knob, for parsing and documentation.
    pub const ALL: [Self; 3] = [Self::PoolSize, Self::MinPoolSize, Self::ReservePoolSize];

    /// Gives the name that PgBouncer, store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PoolSize => "pool_size",
            Self::MinPoolSize => "min_pool_size",
            Self::ReservePoolSize => "reserve_pool_size",
        }
    }

    /// Gives the key of `[pgbouncer]` that sets it for all scopes without their own.
    pub const fn default_key(self) -> &'static str {
        match self {
            Self::PoolSize => "default_pool_size",
            Self::MinPoolSize => "min_pool_size",
            Self::ReservePoolSize => "reserve_pool_size",
        }
    }

    /// Reads the name that [`Knob::as_str`] gives.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|knob| knob.as_str() == text)
    }

    /// Gives the bit of the knob in the contract's column `actionable`.
    pub const fn bit(self) -> u8 {
        match self {
            Self::PoolSize => 1,
            Self::MinPoolSize => 2,
            Self::ReservePoolSize => 4,
        }
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A knob of a scope.
///
/// As text it is the scope for `pool_size`, for example `default` or `database:shop`, and the knob
/// before it for the others: `min_pool_size@database:shop`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Setting {
    /// The pools that it sizes.
    pub scope: ScopeKey,
    /// Which number.
    pub knob: Knob,
}

impl Setting {
    /// `default_pool_size`.
    pub const DEFAULT: Self = Self { scope: ScopeKey::Default, knob: Knob::PoolSize };

    /// Gives the `pool_size` of a scope.
    pub const fn size_of(scope: ScopeKey) -> Self {
        Self { scope, knob: Knob::PoolSize }
    }

    /// Names it in an operator's words, for example `pool_size of database shop`.
    pub fn words(&self) -> String {
        match &self.scope {
            ScopeKey::Default => self.knob.default_key().to_owned(),
            ScopeKey::Database(name) => format!("{} of database {name}", self.knob),
            ScopeKey::User(name) => format!("{} of user {name}", self.knob),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.knob {
            Knob::PoolSize => self.scope.fmt(f),
            knob => write!(f, "{knob}@{}", self.scope),
        }
    }
}

impl FromStr for Setting {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // A scope's own text never begins with a knob and `@`.
        let knob = Knob::ALL.into_iter().find_map(|knob| {
            let scope = text.strip_prefix(knob.as_str())?.strip_prefix('@')?;
            Some((knob, scope))
        });
        let (knob, scope) = knob.unwrap_or((Knob::PoolSize, text));
        Ok(Self { scope: scope.parse()?, knob })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_what_they_print() {
        for scope in [ScopeKey::Default, ScopeKey::Database("a@b:c".into())] {
            for knob in Knob::ALL {
                let setting = Setting { scope: scope.clone(), knob };
                assert_eq!(setting.to_string().parse(), Ok(setting));
            }
        }
        assert_eq!("default".parse(), Ok(Setting::DEFAULT));
    }
}
