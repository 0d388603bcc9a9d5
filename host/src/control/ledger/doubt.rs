//! When nobody knows what PostgreSQL has left, and what follows.
//!
//! It is exactly when PostgreSQL is in trouble that it does not answer, so no answer, and no old one,
//! lets anything grow. The exception is a login that was never let in: that is no trouble of
//! PostgreSQL's but a mistake in the configuration, which is told, and until it is mended there is no
//! more than the ceiling, as for a sidecar that is not told of PostgreSQL at all.

use std::time::Duration;

use super::{Targets, members};
use crate::control::target::TargetControl;
use crate::guard::Room;
use crate::model::{LookFailure, Obstacle, TargetName, Timestamp};

/// Looks that may be missed before the last one is too old to grow by.
const MISSED_MAX: u32 = 3;
/// A look is not too old before that, however often PostgreSQL is looked at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why it is not known what PostgreSQL has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// The first look is under way.
    NotYet,
    /// The sidecar was never let in.
    Refused,
    /// It has not answered yet, for another reason.
    Never(LookFailure),
    /// The last answer is older than this, or PostgreSQL said since that it is full.
    Old(LookFailure, Duration),
    /// Which pools lead there cannot be told.
    Elsewhere(Obstacle),
}

impl Doubt {
    /// Gives what it means for growth.
    pub(in crate::control) fn room(&self) -> Room {
        let words = self.to_string();
        if *self == Self::Refused { Room::Ceiling(words) } else { Room::Unknown(words) }
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotYet => f.write_str("PostgreSQL was not looked at yet"),
            Self::Refused => f.write_str("PostgreSQL does not let the sidecar in"),
            Self::Never(LookFailure::Full) | Self::Old(LookFailure::Full, _) => {
                f.write_str("PostgreSQL is full: it has no connection left for the sidecar's look")
            }
            Self::Never(_) => f.write_str("PostgreSQL has not answered yet"),
            Self::Old(_, age) => {
                write!(f, "PostgreSQL's last answer is {} s old", age.as_secs())
            }
            Self::Elsewhere(obstacle) => obstacle.fmt(f),
        }
    }
}

/// Says why it is not known what PostgreSQL has left for a target, if it is not.
pub(in crate::control) fn doubt(
    targets: &Targets,
    name: &TargetName,
    now: Timestamp,
) -> Option<Doubt> {
    let own = targets.get(name)?;
    own.looks_every?;
    let Some(sample) = own.sample() else { return Some(Doubt::NotYet) };
    if let Some(obstacle) = own.history.latest().and_then(|latest| latest.led_elsewhere()) {
        return Some(Doubt::Elsewhere(obstacle));
    }
    let members = members(targets, name);
    if members.iter().any(|one| one.knows(now)) {
        return None;
    }
    let known = members.iter().filter_map(|one| one.sample()).filter(|one| one.is_known());
    let failure = sample.failure.unwrap_or(LookFailure::Unreachable);
    Some(match (known.map(|one| one.at).max(), failure) {
        (Some(at), failure) => Doubt::Old(failure, now.since(at)),
        (None, LookFailure::Refused) => Doubt::Refused,
        (None, failure) => Doubt::Never(failure),
    })
}

impl TargetControl {
    /// Notes why it is not known what PostgreSQL has left; a mistake in the configuration is told.
    pub fn note_doubt(&mut self, doubt: Option<Doubt>) {
        if let Some(Doubt::Elsewhere(obstacle)) = &doubt
            && self.doubt != doubt
        {
            let (target, reason, remedy) =
                (self.facts.name.as_str(), &obstacle.reason, &obstacle.remedy);
            tracing::warn!(target, reason, remedy, "no size grows");
        }
        self.doubt = doubt;
    }

    /// Says whether this target's own looks tell what PostgreSQL has left.
    fn knows(&self, now: Timestamp) -> bool {
        let patience = self.looks_every.map(|every| every.saturating_mul(MISSED_MAX).max(PATIENCE));
        self.sample().zip(patience).is_some_and(|(sample, patience)| {
            let full = sample.failure == Some(LookFailure::Full);
            sample.is_known() && !full && now.since(sample.at) <= patience
        })
    }
}
