//! Moments and spans as people read them.

use std::time::Duration;

const DAY_S: u64 = 86_400;

/// Writes milliseconds since 1970 as `2026-01-31 23:59:59.250Z`.
pub(crate) fn moment(ms: u64) -> String {
    let (s, ms) = (ms / 1_000, ms % 1_000);
    let (year, month, day) = date(s / DAY_S);
    let (hour, minute, second) = (s % DAY_S / 3_600, s % 3_600 / 60, s % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Gives year, month and day of a number of days since 1970.
///
/// By eras of 400 years (146 097 days) that begin in March, so that the leap day comes last; see
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// Writes a span with the one unit that tells most.
pub(crate) fn span(span: Duration) -> String {
    match span.as_micros() {
        0 => "0".to_owned(),
        us @ 1..1_000 => format!("{us} µs"),
        us @ 1_000..10_000_000 => format!("{} ms", us / 1_000),
        us @ 10_000_000..120_000_000 => format!("{} s", us / 1_000_000),
        us @ 120_000_000..7_200_000_000 => format!("{} min", us / 60_000_000),
        us @ 7_200_000_000..172_800_000_000 => format!("{} h", us / 3_600_000_000),
        us => format!("{} d", us / 86_400_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00.000Z");
        assert_eq!(moment(1_767_225_599_250), "2025-12-31 23:59:59.250Z");
        assert_eq!(moment(4_107_542_400_000), "2100-03-01 00:00:00.000Z");
    }

    #[test]
    fn spans_have_a_fitting_unit() {
        for (ms, text) in [(0, "0"), (9_999, "9999 ms"), (10_000, "10 s"), (7_200_000, "2 h")] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }
}
