//! Finds the known name that a misspelt one most likely meant.

/// Returns the nearest of the candidates, if it is near enough to be meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = wrong.chars().count().max(2) / 2;
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed || contains(candidate, wrong))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A word of several is often all that somebody remembers: `lock` of `waiting_on_lock`.
fn contains(candidate: &str, wrong: &str) -> bool {
    wrong.len() >= 3 && candidate.contains(wrong)
}

/// Counts the letters to add, drop, replace or swap with a neighbour (optimal string alignment, the
/// restricted distance of F. Damerau, 1964).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_nonsense_is_not_guessed_at() {
        let known = ["cl_waiting", "waiting_for_ms", "utilization", "size"];
        assert_eq!(nearest("cl_wating", known), Some("cl_waiting"));
        assert_eq!(nearest("utilisation", known), Some("utilization"));
        assert_eq!(nearest("sise", known), Some("size"));
        assert_eq!(nearest("isze", known), Some("size"));
        assert_eq!(nearest("frobnicate", known), None);
    }

    #[test]
    fn a_part_of_a_name_leads_to_it() {
        assert_eq!(nearest("lock", ["active", "waiting_on_lock"]), Some("waiting_on_lock"));
    }
}
