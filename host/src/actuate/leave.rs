//! What a look at what can be acted on may do, as control last said.
//!
//! A leave ends by itself: a sidecar that was frozen may have been succeeded by another one, and control
//! that hangs knows nothing of it either.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Probe;

/// How long a leave holds; control renews it each second.
const HOLDS: Duration = Duration::from_secs(3);

/// The most that a look may do; nothing, until something is said.
#[derive(Debug, Default)]
pub(super) struct Leave(Mutex<Option<(Probe, Instant)>>);

impl Leave {
    /// Gives the leave that holds.
    pub fn now(&self) -> Probe {
        holding(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Renews it; gives the one that held before.
    pub fn renew(&self, most: Probe) -> Probe {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holding(said.replace((most, Instant::now())))
    }
}

fn holding(said: Option<(Probe, Instant)>) -> Probe {
    said.filter(|(_, at)| at.elapsed() <= HOLDS).map_or(Probe::LookOnly, |(most, _)| most)
}
