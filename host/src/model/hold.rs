//! A person's word that nothing of a PgBouncer is to be changed, until they say otherwise.
//!
//! Not a mode: the mode is the operator's, stands in the configuration and is read at a start. A hold
//! is given while the sidecar runs, holds at once and survives restarts.

use thiserror::Error;

use super::{TargetName, Timestamp};

/// Longest author, in bytes.
const AUTHOR_BYTES: usize = 128;
/// Longest comment, in bytes.
const COMMENT_BYTES: usize = 1_024;

/// Who gave an order, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who; never empty.
    pub author: String,
    /// Why; may be empty.
    pub comment: String,
}

/// An order that is not signed as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The author is missing or long.
    #[error("the author must have 1 to {AUTHOR_BYTES} bytes: say who")]
    Author,
    /// The reason is long.
    #[error("the comment must have at most {COMMENT_BYTES} bytes")]
    Comment,
}

impl SignatureError {
    /// Names the field that is wrong, as the API has it.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Comment => "comment",
        }
    }
}

impl Signature {
    /// Signs an order.
    ///
    /// # Errors
    /// When nobody is named, or one of the two is too long to be kept.
    pub fn new(author: &str, comment: &str) -> Result<Self, SignatureError> {
        let (author, comment) = (author.trim(), comment.trim());
        if author.is_empty() || author.len() > AUTHOR_BYTES {
            return Err(SignatureError::Author);
        }
        if comment.len() > COMMENT_BYTES {
            return Err(SignatureError::Comment);
        }
        Ok(Self { author: author.to_owned(), comment: comment.to_owned() })
    }

    /// Writes `ada (a migration)`, or `ada` where no reason was given.
    pub fn words(&self) -> String {
        let Self { author, comment } = self;
        if comment.is_empty() { author.clone() } else { format!("{author} ({comment})") }
    }
}

/// What a person has asked for; the later is the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldKind {
    /// Everything stays as it is.
    Pause,
    /// Everything goes back to the file's values, and then stays so.
    Panic,
}

impl HoldKind {
    /// Every kind, for parsing and documentation.
    pub const ALL: [Self; 2] = [Self::Pause, Self::Panic];

    /// Gives the name that store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Panic => "panic",
        }
    }

    /// Reads the name that [`HoldKind::as_str`] gives.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Nothing of a PgBouncer is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The PgBouncer.
    pub target: TargetName,
    /// What was asked for.
    pub kind: HoldKind,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself; a panic never does.
    pub until: Option<Timestamp>,
    /// Who asked for it.
    pub by: Signature,
}

impl Hold {
    /// Says whether it holds at a moment.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Says in plain words why nothing is changed.
    pub fn words(&self) -> String {
        match self.kind {
            HoldKind::Pause => format!("it is paused by {}", self.by.words()),
            HoldKind::Panic => format!("the panic switch was pulled by {}", self.by.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_says_who_gave_it() {
        assert_eq!(Signature::new(" ", "why"), Err(SignatureError::Author));
        assert_eq!(Signature::new(&"x".repeat(129), ""), Err(SignatureError::Author));
        assert_eq!(Signature::new("ada", &"x".repeat(1_025)), Err(SignatureError::Comment));
        let words = |comment| Signature::new("ada", comment).map(|by| by.words());
        assert_eq!(words("a migration"), Ok("ada (a migration)".to_owned()));
        assert_eq!(words(""), Ok("ada".to_owned()));
    }
}
