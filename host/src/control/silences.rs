//! The silences that hold, and which alert each of them mutes.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::model::{Alerting, Silence, SilenceId, Timestamp};
use crate::record::{Batch, SilenceChange};

/// Why a change of the silences is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SilenceRefusal {
    /// As many as may hold at one time do.
    #[error(
        "{} silences hold already, which is the most; remove some, or silence more at once with \
         `*`",
        Silence::MOST
    )]
    TooMany,
    /// No such silence holds.
    #[error("no silence {0} holds; it has ended, was removed, or never was")]
    Unknown(SilenceId),
}

/// Silences by identity.
#[derive(Debug, Default)]
pub(super) struct SilenceBook {
    holding: BTreeMap<SilenceId, Arc<Silence>>,
}

impl SilenceBook {
    /// Makes a book from what the store knows.
    pub fn new(silences: Vec<Silence>, now: Timestamp) -> Self {
        let holding = silences.into_iter().filter(|silence| silence.holds(now));
        Self { holding: holding.map(|silence| (silence.id, Arc::new(silence))).collect() }
    }

    pub fn holding(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.holding.values()
    }

    /// Judges a change; what comes of it is to be recorded before it is made.
    pub fn judge(&self, change: &SilenceChange) -> Result<Batch, SilenceRefusal> {
        match change {
            SilenceChange::Add(_) if self.holding.len() >= Silence::MOST => {
                Err(SilenceRefusal::TooMany)
            }
            SilenceChange::Remove { id, .. } if !self.holding.contains_key(id) => {
                Err(SilenceRefusal::Unknown(*id))
            }
            change => Ok(Batch { silences: vec![change.clone()], ..Batch::default() }),
        }
    }

    /// Makes a change.
    pub fn make(&mut self, change: SilenceChange) {
        match change {
            SilenceChange::Add(silence) => {
                self.holding.insert(silence.id, Arc::new(silence));
            }
            SilenceChange::Remove { id, .. } => {
                self.holding.remove(&id);
            }
        }
    }

    /// Lets go of what has ended; says whether anything has.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let before = self.holding.len();
        self.holding.retain(|_, silence| silence.holds(now));
        self.holding.len() < before
    }

    /// Finds the silence that mutes an alert for longest.
    pub fn find(&self, alert: Alerting<'_>) -> Option<Arc<Silence>> {
        let meant = self.holding.values().filter(|silence| silence.matches(alert));
        meant.max_by_key(|silence| silence.until).cloned()
    }
}
