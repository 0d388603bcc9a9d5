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
    pub fn now(&self, now: Instant) -> Probe {
        holding(*self.0.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Renews it; gives the one that held before.
    pub fn renew(&self, most: Probe, now: Instant) -> Probe {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holding(said.replace((most, now)), now)
    }
}

fn holding(said: Option<(Probe, Instant)>, now: Instant) -> Probe {
    let fresh = said.filter(|(_, at)| now.saturating_duration_since(*at) <= HOLDS);
    fresh.map_or(Probe::LookOnly, |(most, _)| most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leave_holds_for_a_moment_and_ends_by_itself() {
        let (leave, start) = (Leave::default(), Instant::now());
        assert_eq!(leave.now(start), Probe::LookOnly, "nothing was said");
        assert_eq!(leave.renew(Probe::Once, start), Probe::LookOnly);
        assert_eq!(leave.now(start + HOLDS), Probe::Once);
        assert_eq!(leave.now(start + HOLDS * 2), Probe::LookOnly);
        assert_eq!(leave.renew(Probe::Never, start + HOLDS), Probe::Once);
        assert_eq!(leave.now(start + HOLDS), Probe::Never);
    }
}
