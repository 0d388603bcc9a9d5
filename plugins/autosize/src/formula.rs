//! Turns a demand into a number of servers.
//!
//! The demand is the host's: busy servers by Little's law (J. D. C. Little, "A Proof for the
//! Queuing Formula: L = λW", Operations Research 9(3), 1961: arrivals per second × mean time in the
//! server) plus what drains the queue in time. A pool whose servers are all busy on average queues
//! without bound when arrivals vary, since waiting grows as 1 / (1 − utilization); so the size is
//! the demand divided by a utilization below 1.

use crate::settings::Settings;

/// Returns the size at which `demand` makes the target utilization, with the least headroom.
pub(crate) fn servers_wanted(demand: f64, settings: &Settings) -> u32 {
    let at_target = round_up(demand / settings.target_utilization);
    let with_headroom = round_up(demand).saturating_add(settings.min_headroom);
    at_target.max(with_headroom).max(1)
}

/// Returns the size after one careful step down from `size` towards `wanted`.
pub(crate) fn step_down(size: u32, wanted: u32, settings: &Settings) -> u32 {
    let percent = u64::from(size) * u64::from(settings.shrink_step_percent) / 100;
    let step = u32::try_from(percent).unwrap_or(size).max(1);
    wanted.max(size.saturating_sub(step))
}

/// Says whether `size` is too large for `wanted` by more than the tolerance.
pub(crate) fn is_oversized(size: u32, wanted: u32, settings: &Settings) -> bool {
    f64::from(wanted) < f64::from(size) * (1.0 - settings.shrink_tolerance)
}

/// Rounds up to a whole server; what is not a number counts as none.
///
/// A demand that is whole but for rounding errors must not cost a server, hence the slack.
fn round_up(servers: f64) -> u32 {
    const SLACK: f64 = 1e-9;
    let whole = (servers - SLACK).ceil();
    if whole >= f64::from(u32::MAX) {
        return u32::MAX;
    }
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "there is no `TryFrom<f64>`; `as` saturates below 0 and makes NaN 0, both wanted"
    )]
    let whole = whole as u32;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_is_divided_by_the_target_utilization() {
        assert_eq!(servers_wanted(9.0, &Settings::default()), 12);
        assert_eq!(servers_wanted(9.1, &Settings::default()), 13);
    }

    #[test]
    fn headroom_is_kept_where_utilization_gives_none() {
        let settings = Settings { target_utilization: 1.0, min_headroom: 3, ..Settings::default() };
        assert_eq!(servers_wanted(4.0, &settings), 7);
    }

    #[test]
    fn a_size_is_never_below_one() {
        let settings = Settings { min_headroom: 0, ..Settings::default() };
        assert_eq!(servers_wanted(0.0, &settings), 1);
        assert_eq!(servers_wanted(f64::NAN, &settings), 1);
        assert_eq!(servers_wanted(-3.0, &settings), 1);
    }

    #[test]
    fn a_step_down_is_a_part_of_the_size_and_at_least_one() {
        assert_eq!(step_down(40, 4, &Settings::default()), 30);
        assert_eq!(step_down(3, 1, &Settings::default()), 2);
        assert_eq!(step_down(40, 35, &Settings::default()), 35);
    }

    #[test]
    fn a_small_surplus_is_tolerated() {
        assert!(!is_oversized(10, 8, &Settings::default()));
        assert!(is_oversized(10, 7, &Settings::default()));
    }
}
