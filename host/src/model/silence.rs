//! Silences: alerts that somebody does not want to be told of, until a moment.
//!
//! A silence mutes and never hides: a silenced alert lives on, is recorded and shown, with who
//! silenced it and until when. It always ends by itself, because one that is forgotten would mute
//! the next fault too.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;
use wildmatch::WildMatchPattern;

use super::{AlertKey, Labels, ScopeKey, Subject, TargetName, Timestamp};

/// A silence's identity: a UUIDv7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SilenceId(pub Uuid);

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text in which `*` stands for any characters, also none.
#[derive(Debug, Clone, PartialEq)]
pub struct Glob {
    text: String,
    // No character is a wildcard for exactly one: `?` may stand in a name.
    pattern: WildMatchPattern<'*', '\0'>,
}

impl Glob {
    /// Makes a pattern; any text is one.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), pattern: WildMatchPattern::new(text) }
    }

    /// Gives the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Says whether a text fits.
    pub fn fits(&self, text: &str) -> bool {
        self.pattern.matches(text)
    }
}

/// Which alerts are meant; every part narrows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matchers {
    /// The policy that raises it.
    pub policy: Option<Glob>,
    /// The alert's name.
    pub alert: Option<Glob>,
    /// The PgBouncer.
    pub target: Option<Glob>,
    /// The database of the pool or scope; empty for an alert about the whole target.
    pub database: Option<Glob>,
    /// The user of the pool or scope; empty likewise.
    pub user: Option<Glob>,
    /// Labels of the alert, and of its target where the alert has none of that name.
    pub labels: BTreeMap<String, Glob>,
}

/// Mutes the alerts that it matches until a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Identity.
    pub id: SilenceId,
    /// Which alerts.
    pub matchers: Matchers,
    /// When it was made.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
}

/// A silence that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SilenceError {
    /// Nothing says which alerts are meant.
    #[error("no matcher is given; `\"alert\": \"*\"` silences every alert")]
    NoMatcher,
    /// A pattern is empty or long.
    #[error("{0} must have 1 to {PATTERN_BYTES} bytes")]
    Pattern(&'static str),
    /// A label's name is none.
    #[error("label {0:?} is not of the form [a-zA-Z_][a-zA-Z0-9_]*, with at most 64 characters")]
    LabelName(String),
    /// More labels than an alert can have.
    #[error("{0} labels are given; an alert has at most {LABELS_MAX}")]
    Labels(usize),
    /// It would end before it began.
    #[error("it would have ended already; give a moment that is to come")]
    Over,
    /// It would last too long.
    #[error("it would last longer than {} days; make a new one when it ends", days())]
    TooLong,
    /// The reason is missing or long.
    #[error("the comment must have 1 to {COMMENT_BYTES} bytes: say why")]
    Comment,
    /// The author is missing or long.
    #[error("the author must have 1 to {AUTHOR_BYTES} bytes: say who")]
    Author,
}

/// Longest pattern, in bytes.
const PATTERN_BYTES: usize = 256;
/// Longest comment, in bytes.
const COMMENT_BYTES: usize = 1_024;
/// Longest author, in bytes.
const AUTHOR_BYTES: usize = 128;
/// Most labels of an alert, and so of a silence.
pub const LABELS_MAX: usize = 16;

const fn days() -> u64 {
    Silence::LONGEST.as_secs() / 86_400
}

impl SilenceError {
    /// Names the field that is wrong, as the API has it.
    pub fn field(&self) -> &str {
        match self {
            Self::NoMatcher => "matchers",
            Self::Pattern(field) => field,
            Self::LabelName(_) | Self::Labels(_) => "labels",
            Self::Over | Self::TooLong => "until_ms",
            Self::Comment => "comment",
            Self::Author => "author",
        }
    }
}

impl Matchers {
    fn globs(&self) -> [(&'static str, Option<&Glob>); 5] {
        [
            ("policy", self.policy.as_ref()),
            ("alert", self.alert.as_ref()),
            ("target", self.target.as_ref()),
            ("database", self.database.as_ref()),
            ("user", self.user.as_ref()),
        ]
    }

    fn check(&self) -> Result<(), SilenceError> {
        let globs = || self.globs().into_iter().filter_map(|(name, glob)| Some((name, glob?)));
        if globs().next().is_none() && self.labels.is_empty() {
            return Err(SilenceError::NoMatcher);
        }
        let fits = |glob: &Glob| (1..=PATTERN_BYTES).contains(&glob.text.len());
        if let Some((name, _)) = globs().find(|(_, glob)| !fits(glob)) {
            return Err(SilenceError::Pattern(name));
        }
        if self.labels.len() > LABELS_MAX {
            return Err(SilenceError::Labels(self.labels.len()));
        }
        if let Some(name) = self.labels.keys().find(|name| !is_label_name(name)) {
            return Err(SilenceError::LabelName(name.clone()));
        }
        // An empty pattern is how one says that a label must be missing.
        match self.labels.values().all(|glob| glob.text.len() <= PATTERN_BYTES) {
            true => Ok(()),
            false => Err(SilenceError::Pattern("labels")),
        }
    }
}

/// Says whether a text can name a label: Prometheus' rule, and at most 64 characters.
pub fn is_label_name(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// An alert as silences see it.
#[derive(Debug, Clone, Copy)]
pub struct Alerting<'a> {
    /// The PgBouncer.
    pub target: &'a TargetName,
    /// Its labels.
    pub target_labels: &'a Labels,
    /// The alert's identity.
    pub key: &'a AlertKey,
    /// The alert's own labels.
    pub labels: &'a [(String, String)],
}

impl Alerting<'_> {
    /// Gives a label; a missing one is empty, as Prometheus has it.
    fn label(&self, name: &str) -> &str {
        let own = self.labels.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        own.or_else(|| self.target_labels.get(name)).map_or("", String::as_str)
    }

    fn database_and_user(&self) -> (&str, &str) {
        match &self.key.subject {
            Subject::Pool(pool) => (&pool.database, &pool.user),
            Subject::Scope(ScopeKey::Database(database)) => (database, ""),
            Subject::Scope(ScopeKey::User(user)) => ("", user),
            Subject::Target | Subject::DatabaseServer | Subject::Scope(ScopeKey::Default) => {
                ("", "")
            }
        }
    }
}

impl Silence {
    /// The longest that a silence may last.
    pub const LONGEST: Duration = Duration::from_secs(30 * 86_400);
    /// Most silences at one time.
    pub const MOST: usize = 1_000;

    /// Checks that it says which alerts, why, by whom and for how long.
    ///
    /// # Errors
    /// When one of these is missing or out of bounds.
    pub fn check(&self) -> Result<(), SilenceError> {
        self.matchers.check()?;
        if self.until <= self.since {
            return Err(SilenceError::Over);
        }
        if self.until.since(self.since) > Self::LONGEST {
            return Err(SilenceError::TooLong);
        }
        let says = |text: &str, most| !text.trim().is_empty() && text.len() <= most;
        if !says(&self.comment, COMMENT_BYTES) {
            return Err(SilenceError::Comment);
        }
        if !says(&self.author, AUTHOR_BYTES) {
            return Err(SilenceError::Author);
        }
        Ok(())
    }

    /// Says whether it holds at a moment.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Says whether it means an alert.
    pub fn matches(&self, alert: Alerting<'_>) -> bool {
        let fits = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|g| g.fits(text));
        let (database, user) = alert.database_and_user();
        let wanted = &self.matchers;
        fits(&wanted.alert, &alert.key.name)
            && fits(&wanted.target, alert.target.as_str())
            && fits(&wanted.database, database)
            && fits(&wanted.user, user)
            && fits(&wanted.policy, alert.key.policy.as_str())
            && wanted.labels.iter().all(|(name, glob)| glob.fits(alert.label(name)))
    }
}

#[cfg(test)]
mod tests;
