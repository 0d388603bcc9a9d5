//! Offers the little arithmetic that policies share and the standard library lacks.

/// Gives the value below which a part of the values lies, by nearest rank; reorders them.
pub fn quantile_of(values: &mut [f64], part: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = whole(part.clamp(0.0, 1.0) * f64::from(u32::try_from(last).ok()?) + 0.5);
    let at = usize::try_from(rank).ok()?.min(last);
    Some(*values.select_nth_unstable_by(at, f64::total_cmp).1)
}

/// Gives the middle value, or the mean of the middle two; reorders them.
pub fn median_of(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len().is_multiple_of(2) {
        return Some(f64::midpoint(*values.get(middle - 1)?, upper));
    }
    Some(upper)
}

/// Gives a number of things as a float; beyond what 32 bits hold, that many.
pub fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}

/// Rounds up to a whole server; what is whole but for rounding errors costs none.
pub fn servers_up(servers: f64) -> u32 {
    const SLACK: f64 = 1e-9;
    whole((servers - SLACK).ceil())
}

/// Cuts to a whole number; what is not a number counts as none.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "there is no `TryFrom<f64>`; `as` saturates at both ends and makes NaN 0, as wanted"
)]
pub fn whole(value: f64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let mut values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quantile_of(&mut values, 0.0), Some(1.0));
        assert_eq!(quantile_of(&mut values, 0.5), Some(3.0));
        assert_eq!(quantile_of(&mut values, 0.9), Some(5.0));
        assert_eq!(quantile_of(&mut [], 0.5), None);
        assert_eq!(median_of(&mut values), Some(3.0));
        assert_eq!(median_of(&mut values[..4]), Some(2.5));
    }

    #[test]
    fn servers_are_rounded_up_but_not_for_rounding_errors() {
        assert_eq!(servers_up(3.0 + 1e-12), 3);
        assert_eq!(servers_up(3.01), 4);
        assert_eq!(servers_up(-2.0), 0);
        assert_eq!(servers_up(f64::NAN), 0);
    }
}
