//! Types of expressions, as far as they are known before an evaluation.

use std::fmt;

/// Type of an expression's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Null,
    List,
    Map,
    /// The operator's labels: a map from text to text.
    Labels,
    /// Known only when it is evaluated.
    Unknown,
}

impl Type {
    /// Says whether values of it are numbers.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Says whether a value of it can stand where `wanted` is expected.
    pub(crate) fn fits(self, wanted: Self) -> bool {
        self == wanted
            || self == Self::Unknown
            || wanted == Self::Unknown
            || (self == Self::Labels && wanted == Self::Map)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Uint => "a uint",
            Self::Double => "a double",
            Self::Text => "a string",
            Self::Bytes => "bytes",
            Self::Null => "null",
            Self::List => "a list",
            Self::Map | Self::Labels => "a map",
            Self::Unknown => "anything",
        })
    }
}
