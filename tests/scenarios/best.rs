//! The best static size in hindsight, and the size beyond which throughput grows no more.

/// Part by which a size may be worse than the very best and still be taken, being smaller.
pub const TOLERANCE: f64 = 0.05;

/// What a sweep measured at one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// The size.
    pub size: u32,
    /// The measure: a time or a throughput.
    pub value: f64,
}

/// Gives the smallest size whose time is within the tolerance of the shortest.
pub fn shortest(tried: &[Tried]) -> Option<u32> {
    let best = tried.iter().map(|one| one.value).min_by(f64::total_cmp)?;
    let good = tried.iter().filter(|one| one.value <= best * (1.0 + TOLERANCE));
    good.map(|one| one.size).min()
}

/// Gives the smallest size whose throughput is within the tolerance of the greatest.
pub fn peak(tried: &[Tried]) -> Option<u32> {
    let best = tried.iter().map(|one| one.value).max_by(f64::total_cmp)?;
    let good = tried.iter().filter(|one| one.value >= best * (1.0 - TOLERANCE));
    good.map(|one| one.size).min()
}

/// Gives the middle of some values; of an even number the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(values: &[(u32, f64)]) -> Vec<Tried> {
        values.iter().map(|(size, value)| Tried { size: *size, value: *value }).collect()
    }

    #[test]
    fn the_best_is_the_smallest_of_the_good() {
        let all = tried(&[(48, 460.0), (38, 470.0), (34, 500.0), (20, 4_000.0), (5, 9_000.0)]);
        assert_eq!(shortest(&all), Some(38));
    }

    #[test]
    fn where_more_servers_only_harm_the_best_is_small() {
        assert_eq!(shortest(&tried(&[(2, 90.0), (5, 110.0), (20, 300.0)])), Some(2));
    }

    #[test]
    fn throughput_peaks_at_the_smallest_size_that_nearly_reaches_the_greatest() {
        assert_eq!(peak(&tried(&[(1, 60.0), (2, 96.0), (5, 100.0), (20, 99.0)])), Some(2));
        assert_eq!(peak(&[]), None);
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
