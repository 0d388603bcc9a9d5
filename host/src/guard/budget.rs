//! How large a scope may be before PostgreSQL runs out of connections.

/// What is known of the connections that PostgreSQL has for a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// Nothing, for this reason, and the ceiling alone bounds it.
    Ceiling(String),
    /// Nothing, for this reason, and it must not grow.
    Unknown(String),
    /// All that it takes.
    Known(Budget),
}

impl Room {
    /// Gives what may be reached from a size on the way to another.
    pub fn fit(&self, wanted: u32, current: u32) -> u32 {
        match self {
            Self::Ceiling(_) => wanted,
            Self::Unknown(_) => wanted.min(current),
            Self::Known(budget) => wanted.min(budget.reach(current)),
        }
    }
}

/// The connections of one PostgreSQL server, seen from one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// `max_connections`.
    pub max_connections: u32,
    /// Slots that ordinary users cannot take.
    pub reserved: u32,
    /// Connections of nobody's pools.
    pub others: u32,
    /// What is to stay free.
    pub margin: u32,
    /// What stays free for a while because connections had to be given back.
    pub held_back: u32,
    /// What the pools outside the scope could open, reserves included, in all targets that lead there.
    pub elsewhere: u32,
    /// Reserve connections that the scope's pools could open, all together.
    pub reserve: u32,
    /// Servers that are open in each of the scope's pools beyond size and reserve; `reserve` counts all of
    /// them.
    pub lingering: u32,
    /// Pools that the scope sizes; an empty scope counts as one, which is about to come.
    pub pools: u32,
}

impl Budget {
    /// Gives the largest size at which all that could be opened still fits; may be 0.
    ///
    /// pools · size + reserve + elsewhere ≤ `max_connections` − reserved − others − margin − `held_back`
    pub fn largest(&self) -> u32 {
        let taken =
            [self.reserved, self.others, self.margin, self.held_back, self.elsewhere, self.reserve];
        let free = taken.iter().fold(self.max_connections, |free, part| free.saturating_sub(*part));
        free / self.pools.max(1)
    }

    /// Gives the largest size that may be reached from the one in force: up to what is open already it
    /// takes nothing more.
    pub fn reach(&self, current: u32) -> u32 {
        self.largest().max(current.saturating_add(self.lingering))
    }
}
