//! Names what a rule may mention: every column of a window, and how to read it.
//!
//! Names are the contract's in snake_case, so that they are learnt once for all plugins. The tables
//! in [`tables`] are the one list: the checker, the reader, suggestions and the README's table (by
//! a test) come from them.

mod tables;

use poolwarden_policy::DatabaseServer;
use poolwarden_policy::contract::{Pools, Scopes, Target, Window as Columns};

use crate::types::Type;

/// What stands before the dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Root {
    Pool,
    Scope,
    Target,
    DatabaseServer,
    Window,
}

impl Root {
    /// All, from the most particular to the most general.
    pub(crate) const ALL: [Self; 5] =
        [Self::Pool, Self::Scope, Self::Target, Self::DatabaseServer, Self::Window];

    /// Finds a root by its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|root| root.name() == name)
    }

    /// Returns the name in expressions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Scope => "scope",
            Self::Target => "target",
            Self::DatabaseServer => "database_server",
            Self::Window => "window",
        }
    }

    /// Returns its fields.
    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::Pool => tables::POOL,
            Self::Scope => tables::SCOPE,
            Self::Target => tables::TARGET,
            Self::DatabaseServer => tables::DATABASE_SERVER,
            Self::Window => tables::WINDOW,
        }
    }

    /// Finds a field of it by name, short names included.
    pub(crate) fn field(self, name: &str) -> Option<FieldId> {
        let at = self.fields().iter().position(|field| field.name == name || field.short == name);
        at.filter(|_| !name.is_empty()).map(|at| FieldId { root: self, at })
    }
}

/// One thing that a rule may mention.
#[derive(Debug)]
pub(crate) struct Field {
    /// The contract's name in snake_case.
    pub name: &'static str,
    /// Another name for it; empty for none.
    pub short: &'static str,
    /// What it is, for the README.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that holds the README"))]
    pub means: &'static str,
    pub read: Read,
}

impl Field {
    /// Returns the type that its values have in expressions.
    pub(crate) fn kind(&self) -> Type {
        match self.read {
            Read::PoolFloat(_) => Type::Double,
            Read::PoolWord(..)
            | Read::Database
            | Read::User
            | Read::ScopeKind
            | Read::ScopeWord(..)
            | Read::ScopeName
            | Read::TargetText(_)
            | Read::Status => Type::Text,
            Read::ScopeBit(..) | Read::Known | Read::ServerFlag(_) => Type::Bool,
            Read::Labels => Type::Labels,
            Read::PoolCount(_)
            | Read::PoolLong(_)
            | Read::ScopeCount(_)
            | Read::ScopeLong(_)
            | Read::TargetCount(_)
            | Read::Total(_)
            | Read::ServerCount(_)
            | Read::Moment(_) => Type::Int,
        }
    }

    /// Returns the only values that it may have, where it is a word out of a few.
    pub(crate) fn words(&self) -> &'static [&'static str] {
        match self.read {
            Read::PoolWord(_, words) | Read::ScopeWord(_, words) => words,
            Read::ScopeKind => SCOPE_KINDS,
            Read::Status => STATUSES,
            _ => &[],
        }
    }
}

/// The contract's codes of a scope's kind, in words.
pub(crate) const SCOPE_KINDS: &[&str] = &["default", "database", "user"];
/// The contract's statuses of a target, in their order.
pub(crate) const STATUSES: &[&str] = &["up", "paused", "down"];

/// How a field is read from a window.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Read {
    PoolCount(fn(&Pools) -> &[u32]),
    PoolLong(fn(&Pools) -> &[u64]),
    PoolFloat(fn(&Pools) -> &[f64]),
    /// A code, and the words that it stands for.
    PoolWord(fn(&Pools) -> &[u8], &'static [&'static str]),
    Database,
    User,
    ScopeKind,
    ScopeName,
    ScopeCount(fn(&Scopes) -> &[u32]),
    ScopeLong(fn(&Scopes) -> &[u64]),
    /// A code, and the words that it stands for.
    ScopeWord(fn(&Scopes) -> &[u8], &'static [&'static str]),
    /// Whether a bit of a sum of bits is there.
    ScopeBit(fn(&Scopes) -> &[u8], u8),
    TargetText(fn(&Target) -> &str),
    TargetCount(fn(&Target) -> u64),
    Status,
    Labels,
    /// A sum over all pools.
    Total(fn(&Pools) -> u64),
    /// Whether the sidecar may look at the database server.
    Known,
    ServerFlag(fn(&DatabaseServer) -> bool),
    ServerCount(fn(&DatabaseServer) -> u64),
    Moment(fn(&Columns) -> u64),
}

/// A field by its place in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FieldId {
    pub root: Root,
    at: usize,
}

impl FieldId {
    /// Returns the field.
    pub(crate) fn field(self) -> &'static Field {
        &self.root.fields()[self.at]
    }

    /// Finds a field by its full name, for example `pool.cl_waiting`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (root, field) = name.split_once('.')?;
        Root::named(root)?.field(field)
    }
}
