//! Waiting longer after each failure: jittered and capped, one rule for all retries.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// How long to wait before the next attempt.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Makes a back-off that starts at `first` and doubles up to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most: most.max(first), failures: 0 }
    }

    /// Counts a failure and gives the wait: the doubled one, less up to a quarter by chance.
    pub fn failed(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let chance = f64::from(u16::try_from(random() & 0xffff).unwrap_or(0)) / 65_536.0;
        doubled.min(self.most).mul_f64(1.0 - chance / 4.0)
    }

    /// Starts anew after a success.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Gives a random number; std seeds its hashers from the system, which is good enough for jitter.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        for most in [1, 2, 4, 8, 10, 10] {
            let (wait, most) = (backoff.failed(), Duration::from_secs(most));
            assert!(wait <= most && wait >= most.mul_f64(0.75), "{wait:?} for {most:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed() <= Duration::from_secs(1));
    }
}
