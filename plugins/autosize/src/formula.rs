//! Turns a load into a number of servers.
//!
//! The load a is in servers: by Little's law (J. D. C. Little, "A Proof for the Queuing Formula:
//! L = λW", Operations Research 9(3), 1961) arrivals per second × mean time in the server. A pool
//! whose servers are all busy on average queues without bound when arrivals vary, since waiting grows
//! as 1 / (1 − utilization); so the size is the largest of
//! - a divided by a utilization below 1,
//! - a and a fixed headroom,
//! - what meets a goal for the wait ([`crate::erlang`]), where the time of a transaction is known.

use poolwarden_policy::numbers::servers_up;

use crate::erlang::{WaitGoal, servers_for, waits_longer};
use crate::settings::Settings;

/// A goal shorter than so many mean transactions is not kept: to wait for as long as one takes is no harm.
const SHORTEST: f64 = 1.0;

/// What sizes a pool: the settings, and how long its transactions take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizing<'s> {
    pub settings: &'s Settings,
    /// Mean time of a transaction in the server, µs; 0 when it is not known.
    pub transaction_us: f64,
}

impl Sizing<'_> {
    /// Returns the size that a load wants.
    pub(crate) fn wanted(&self, load: f64) -> u32 {
        let at_target = servers_up(load / self.settings.target_utilization);
        let with_headroom = servers_up(load).saturating_add(self.settings.min_headroom);
        let for_goal = self.goal().map_or(1, |goal| servers_for(load, &goal));
        at_target.max(with_headroom).max(for_goal).max(1)
    }

    /// Says whether a load is so large for a size that clients will soon wait.
    pub(crate) fn is_tight(&self, load: f64, size: u32) -> bool {
        let goal = self.goal();
        load > f64::from(size) * self.settings.grow_utilization
            || goal.is_some_and(|goal| waits_longer(size, load, goal.services) > goal.exceeding)
    }

    /// Returns the goal for the wait, where there is one and transactions have a time.
    pub(crate) fn goal(&self) -> Option<WaitGoal> {
        let slo_us =
            std::time::Duration::from_millis(self.settings.wait_slo_ms).as_secs_f64() * 1e6;
        let is_known = self.transaction_us > 0.0 && self.transaction_us.is_finite();
        (slo_us > 0.0 && is_known).then(|| WaitGoal {
            services: (slo_us / self.transaction_us).max(SHORTEST) / self.settings.variability,
            exceeding: 1.0 - self.settings.wait_slo_percentile,
        })
    }
}

/// Returns the size after one careful step down from `size` towards `wanted`.
pub(crate) fn step_down(size: u32, wanted: u32, settings: &Settings) -> u32 {
    let percent = u64::from(size) * u64::from(settings.shrink_step_percent) / 100;
    let step = u32::try_from(percent).unwrap_or(size).min(settings.shrink_step_max).max(1);
    wanted.max(size.saturating_sub(step))
}

/// Says whether `size` is too large for `wanted` by more than the tolerance.
pub(crate) fn is_oversized(size: u32, wanted: u32, settings: &Settings) -> bool {
    f64::from(wanted) < f64::from(size) * (1.0 - settings.shrink_tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizing(settings: &Settings, transaction_us: f64) -> Sizing<'_> {
        Sizing { settings, transaction_us }
    }

    #[test]
    fn load_is_divided_by_the_target_utilization() {
        let settings = Settings::default();
        assert_eq!(sizing(&settings, 0.0).wanted(9.0), 10);
        assert_eq!(sizing(&settings, 0.0).wanted(9.1), 11);
    }

    #[test]
    fn headroom_is_kept_where_utilization_gives_none() {
        let settings = Settings { target_utilization: 1.0, min_headroom: 3, ..Settings::default() };
        assert_eq!(sizing(&settings, 0.0).wanted(4.0), 7);
    }

    #[test]
    fn a_goal_for_the_wait_wants_more_for_long_transactions() {
        // C(2, 1) = 1/3, C(3, 1) = 1/11, C(4, 1) = 1/49; a wait of one service is exceeded by e^-2 = 0.135
        // of C(3, 1), in all 0.0123, and by e^-3 = 0.05 of C(4, 1).
        let settings = Settings::default();
        assert_eq!(sizing(&settings, 100_000.0).wanted(1.0), 4);
        assert_eq!(sizing(&settings, 1_000.0).wanted(1.0), 2);
        let off = Settings { wait_slo_ms: 0, ..Settings::default() };
        assert_eq!(sizing(&off, 100_000.0).wanted(1.0), 2);
        // Waits that vary five times as much are exceeded more often: by e^-0.6 = 0.55 of C(4, 1).
        let varied = Settings { variability: 5.0, ..settings };
        assert_eq!(sizing(&varied, 100_000.0).wanted(1.0), 5);
    }

    #[test]
    fn tight_is_beyond_the_utilization_or_off_the_goal() {
        let settings = Settings::default();
        assert!(!sizing(&settings, 0.0).is_tight(9.5, 10));
        assert!(sizing(&settings, 0.0).is_tight(9.51, 10));
        // C(3, 1) · e^-2 = 0.0123 where 0.01 may; C(4, 1) · e^-3 = 0.001.
        assert!(sizing(&settings, 100_000.0).is_tight(1.0, 3));
        assert!(!sizing(&settings, 100_000.0).is_tight(1.0, 4));
    }

    #[test]
    fn a_size_is_never_below_one() {
        let settings = Settings { min_headroom: 0, ..Settings::default() };
        assert_eq!(sizing(&settings, 0.0).wanted(0.0), 1);
        assert_eq!(sizing(&settings, f64::NAN).wanted(f64::NAN), 1);
        assert_eq!(sizing(&settings, 0.0).wanted(-3.0), 1);
    }

    #[test]
    fn a_step_down_is_bounded_in_percent_and_in_count() {
        assert_eq!(step_down(30, 4, &Settings::default()), 15);
        assert_eq!(step_down(3, 1, &Settings::default()), 2);
        assert_eq!(step_down(40, 35, &Settings::default()), 35);
        assert_eq!(step_down(400, 4, &Settings::default()), 380);
    }

    #[test]
    fn a_small_surplus_is_tolerated() {
        assert!(!is_oversized(10, 8, &Settings::default()));
        assert!(is_oversized(10, 7, &Settings::default()));
    }
}
