//! How large a scope may be before PostgreSQL runs out of connections.

/// The connections of one PostgreSQL server, as far as one target's pools concern them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// `max_connections`.
    pub max_connections: u32,
    /// Slots that ordinary users cannot take.
    pub reserved: u32,
    /// Connections that did not come through this target's pools.
    pub others: u32,
    /// What is to stay free.
    pub margin: u32,
    /// What the target's pools outside the scope could open, reserves included.
    pub elsewhere: u32,
    /// Reserve connections that the scope's pools could open, all together.
    pub reserve: u32,
    /// Pools that the scope sizes; an empty scope counts as one, which is about to come.
    pub pools: u32,
}

impl Budget {
    /// Gives the largest size at which all that could be opened still fits; may be 0.
    ///
    /// pools · size + reserve + elsewhere ≤ `max_connections` − reserved − others − margin
    pub fn largest(&self) -> u32 {
        let taken = [self.reserved, self.others, self.margin, self.elsewhere, self.reserve];
        let free = taken.iter().fold(self.max_connections, |free, part| free.saturating_sub(*part));
        free / self.pools.max(1)
    }
}
