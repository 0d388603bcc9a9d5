//! Shares a budget of connections among scopes that want more than there is.
//!
//! Max-min fairness by water-filling (D. Bertsekas and R. Gallager, Data Networks, 2nd edition, 1992,
//! section 6.5.2): all get what they want up to one common level, the highest that the budget carries.
//! So small wants are met in full, the greatest are cut first, and nobody can have more without taking
//! it from somebody who has less.

/// What one scope wants of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Size that it wants.
    pub wanted: u32,
    /// Size that it gets in any case.
    pub floor: u32,
    /// Pools that each have that size.
    pub pools: u32,
    /// Reserve of each of these pools.
    pub reserve: u32,
}

impl Claim {
    fn at(&self, level: u32) -> u32 {
        self.wanted.min(level).max(self.floor)
    }

    fn cost(&self, size: u32) -> u64 {
        u64::from(self.pools) * (u64::from(size) + u64::from(self.reserve))
    }
}

/// Gives the connections that the scopes may open all together when each has a size.
pub(crate) fn total(claims: &[Claim], sizes: impl Iterator<Item = u32>) -> u64 {
    claims.iter().zip(sizes).map(|(claim, size)| claim.cost(size)).sum()
}

/// Gives each scope its size; in sum within the budget unless the floors alone exceed it.
pub(crate) fn share(claims: &[Claim], budget: u32) -> Vec<u32> {
    let budget = u64::from(budget);
    let fits = |level| total(claims, claims.iter().map(|claim| claim.at(level))) <= budget;
    let top = claims.iter().map(|claim| claim.wanted).max().unwrap_or(0);
    if fits(top) {
        return claims.iter().map(|claim| claim.at(top)).collect();
    }
    let (mut low, mut high) = (0, top);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    let mut sizes: Vec<u32> = claims.iter().map(|claim| claim.at(low)).collect();
    // What one more level for all would exceed may still be enough for some.
    let mut left = budget.saturating_sub(total(claims, sizes.iter().copied()));
    for (claim, size) in claims.iter().zip(&mut sizes) {
        let more = u64::from(claim.pools);
        if claim.wanted > *size && *size == low && more <= left {
            *size += 1;
            left -= more;
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(wanted: u32, floor: u32, pools: u32) -> Claim {
        Claim { wanted, floor, pools, reserve: 0 }
    }

    #[test]
    fn everybody_gets_what_there_is_enough_of() {
        assert_eq!(share(&[claim(4, 1, 1), claim(6, 1, 1)], 10), [4, 6]);
        assert_eq!(share(&[], 10), [0; 0]);
    }

    #[test]
    fn the_greatest_are_cut_first_and_to_one_level() {
        let claims = [claim(2, 1, 1), claim(8, 1, 1), claim(30, 1, 1)];
        assert_eq!(share(&claims, 20), [2, 8, 10]);
        assert_eq!(share(&claims, 15), [2, 7, 6]);
        assert_eq!(share(&claims, 14), [2, 6, 6]);
    }

    #[test]
    fn floors_stand_whatever_the_level() {
        assert_eq!(share(&[claim(30, 10, 1), claim(30, 1, 1)], 16), [10, 6]);
        assert_eq!(share(&[claim(30, 10, 1), claim(30, 9, 1)], 16), [10, 9]);
    }

    #[test]
    fn a_size_costs_as_often_as_it_has_pools_reserves_included() {
        assert_eq!(share(&[claim(10, 1, 3), claim(10, 1, 1)], 20), [5, 5]);
        let reserved = Claim { reserve: 2, ..claim(10, 1, 3) };
        assert_eq!(share(&[reserved, claim(10, 1, 1)], 26), [5, 5]);
    }
}
