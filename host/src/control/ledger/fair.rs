//! Max-min fairness: nobody gets more while somebody with less could have it.
//!
//! The water level of progressive filling (D. Bertsekas, R. Gallager, Data Networks, 2nd ed. 1992,
//! section 6.5.2), found by bisection because what is shared are whole connections.

/// One size that may be lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    /// Pools that it sizes: each of them may open that many.
    pub pools: u32,
    /// The size that it has.
    pub size: u32,
    /// What it may not fall below.
    pub floor: u32,
    /// What its busiest pool needed lately.
    pub used: u32,
    /// Those of its pools that somebody uses, or has used lately.
    pub in_use: u32,
}

/// Fills sizes between a least and a most, in connections of `pools` each, to one level.
fn fill(available: u64, bounds: &[(u32, u32, u32)]) -> Vec<u32> {
    let at = |level: u32| bounds.iter().map(move |(_, least, most)| level.clamp(*least, *most));
    let cost = |level: u32| {
        at(level).zip(bounds).map(|(size, (pools, ..))| u64::from(size) * u64::from(*pools)).sum()
    };
    let (mut low, mut high) = (0, bounds.iter().map(|(.., most)| *most).max().unwrap_or(0));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let cost: u64 = cost(middle);
        if cost <= available { low = middle } else { high = middle - 1 }
    }
    let mut sizes: Vec<u32> = at(low).collect();
    let mut left = available.saturating_sub(cost(low));
    // What is left is less than one more for everybody; some can still have it.
    for (size, (pools, _, most)) in sizes.iter_mut().zip(bounds) {
        if *size == low && *size < *most && u64::from(*pools) <= left {
            *size += 1;
            left -= u64::from(*pools);
        }
    }
    sizes
}

/// Gives the sizes that are left when all together may open `available` connections.
///
/// What nobody needed lately goes first, from the greatest. Only where that does not fit for the pools
/// in use either, what is needed goes next, from the greatest; never below the floor. So the sum may still
/// be too large: nobody is cut below need for pools of the same size that nobody uses.
pub(super) fn give_back(available: u32, wishes: &[Wish]) -> Vec<u32> {
    let available = u64::from(available);
    let needs = |wish: &Wish| wish.used.clamp(wish.floor.min(wish.size), wish.size);
    let needed: u64 =
        wishes.iter().map(|wish| u64::from(needs(wish)) * u64::from(wish.in_use)).sum();
    let bounds: Vec<_> = wishes
        .iter()
        .map(|wish| match needed <= available {
            true => (wish.pools, needs(wish), wish.size),
            false => (wish.in_use, wish.floor.min(wish.size), needs(wish)),
        })
        .collect();
    fill(available, &bounds)
}

/// Gives what one may take for itself at most, while the others get their fair share of what they
/// need: the largest x with x + Σ min(need, x) ≤ `available`.
pub(super) fn share(available: u32, needs: &[u32]) -> u32 {
    let mut bounds: Vec<_> = needs.iter().map(|need| (1, 0, *need)).collect();
    bounds.push((1, 0, available));
    // The last: what is left over in the filling is whole connections for the first ones.
    let level = fill(u64::from(available), &bounds).pop().unwrap_or(available);
    let others = needs.iter().fold(0_u32, |sum, need| sum.saturating_add((*need).min(level)));
    level.max(available.saturating_sub(others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(size: u32, used: u32) -> Wish {
        Wish { pools: 1, size, floor: 2, used, in_use: 1 }
    }

    #[test]
    fn what_nobody_needs_goes_first_from_the_greatest() {
        let wishes = [wish(30, 5), wish(20, 20), wish(12, 4)];
        assert_eq!(give_back(62, &wishes), [30, 20, 12], "it fits");
        assert_eq!(give_back(52, &wishes), [20, 20, 12]);
        assert_eq!(give_back(36, &wishes), [8, 20, 8]);
    }

    #[test]
    fn what_is_needed_goes_next_and_never_below_the_floor() {
        let wishes = [wish(30, 25), wish(20, 20), wish(12, 4)];
        assert_eq!(give_back(34, &wishes), [15, 15, 4]);
        assert_eq!(give_back(5, &wishes), [2, 2, 2], "not even the floors fit");
    }

    #[test]
    fn a_size_of_several_pools_costs_all_of_them() {
        let three = Wish { pools: 3, size: 10, floor: 1, used: 10, in_use: 3 };
        let wishes = [three, wish(10, 10)];
        assert_eq!(give_back(20, &wishes), [5, 5]);
        assert_eq!(give_back(22, &wishes), [5, 6], "the rest that three cannot share");
        assert_eq!(give_back(23, &wishes), [6, 5]);
    }

    #[test]
    fn a_busy_pool_is_not_cut_for_others_of_its_size_that_nobody_uses() {
        let shared = |in_use| Wish { pools: 40, size: 30, floor: 1, used: 20, in_use };
        assert_eq!(give_back(90, &[shared(1)]), [20], "what nobody needs goes");
        assert_eq!(give_back(90, &[shared(4)]), [20]);
        assert_eq!(give_back(90, &[shared(6)]), [15], "for six there is no more");
    }

    #[test]
    fn who_needs_little_leaves_the_rest_to_who_wants_more() {
        assert_eq!(share(90, &[]), 90);
        assert_eq!(share(90, &[10]), 80);
        assert_eq!(share(90, &[200]), 45);
        assert_eq!(share(90, &[10, 200]), 40);
        assert_eq!(share(0, &[10]), 0);
    }
}
