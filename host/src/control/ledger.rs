//! What one PostgreSQL can take, over the pools of all targets that lead to it.
//!
//! A PostgreSQL server has one number of slots, whoever takes them. So all targets whose databases are
//! the same server share one account, and what it says is reckoned at the moment of each decision:
//! a change under way counts with the larger of its two sizes, in whichever target it is, and of two
//! growths that would fit alone the second meets the first. Servers that are open beyond their pool's
//! size, as after a shrink while clients queue, take slots too.
//!
//! A server that has started anew looks like another one until each target has looked again, and so does
//! a replica whose primary does not answer. What could be opened there bounds growth in either case; but
//! it takes nothing from anybody, and what one of them answers tells nothing of the other.
//!
//! Targets that may not ask PostgreSQL, and pools that lead elsewhere, are not counted here: what they
//! have open there shows as others' connections.

mod bracket;
mod doubt;
mod fair;
mod give_back;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) use bracket::Bracket;
use bracket::Seen;
pub use doubt::Doubt;
pub(super) use doubt::doubt;
pub(super) use give_back::give_back;

use super::target::TargetControl;
use crate::guard::{Budget, Room};
use crate::model::{
    DatabaseSample, Knob, PoolKey, PoolSize, ScopeKey, Setting, Snapshot, TargetName, TargetStatus,
    Timestamp, Window,
};

/// After connections had to be given back, a little stays free for this long, so that sizes do not
/// swing with every connection that others open and close.
const CALM: Duration = Duration::from_secs(60);

/// One PostgreSQL server as one target sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// `max_connections`.
    pub max_connections: u32,
    /// Slots that ordinary users cannot take.
    pub reserved: u32,
    /// What is to stay free: the largest margin of all targets that lead there.
    pub margin: u32,
    /// Connections of nobody's pools: the most that it can be.
    pub others: u32,
    /// The fewest that it can be. The two differ while pools grow or shrink around a look.
    pub others_least: u32,
    /// What this target's pools could open.
    pub could_open: u32,
    /// What the other targets' pools could open.
    pub rest: u32,
    /// What the pools of targets could open of which it is not sure that they lead there.
    pub rest_possible: u32,
    /// What stays free for a while because connections had to be given back.
    pub held_back: u32,
    /// What this target's pools may open all together when everybody gets a fair share.
    pub share: u32,
    /// Every target that leads there, this one included.
    pub members: Vec<TargetName>,
}

impl Account {
    /// Gives what pools and others may have open together.
    pub fn capacity(&self) -> u32 {
        self.max_connections.saturating_sub(self.reserved).saturating_sub(self.margin)
    }

    /// Gives what all pools together can still be raised by.
    pub fn left(&self) -> u32 {
        let taken = [self.others, self.could_open, self.rest, self.rest_possible, self.held_back];
        taken.iter().fold(self.capacity(), |left, part| left.saturating_sub(*part))
    }

    /// Gives by how much all that could be opened exceeds the capacity, for certain.
    pub fn exceeded(&self) -> u32 {
        let taken = [self.others_least, self.could_open, self.rest];
        let taken = taken.iter().fold(0_u32, |sum, part| sum.saturating_add(*part));
        taken.saturating_sub(self.capacity())
    }
}

/// What stays free after connections had to be given back: a fiftieth.
pub(super) fn slack(capacity: u32) -> u32 {
    (capacity / 50).max(1)
}

/// Which size of a setting counts while it is being changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// The largest that may be in force.
    Most,
    /// The one that will be in force.
    Goal,
}

/// What one pool may take of PostgreSQL.
#[derive(Debug, Clone)]
struct Claim {
    /// The scope that sizes it.
    scope: ScopeKey,
    /// The scope of its reserve, which may be another one: a database or user with a size of its own has
    /// the default reserve, unless it has its own reserve too.
    reserve_scope: ScopeKey,
    size: u32,
    reserve: u32,
    /// Servers open beyond both.
    lingering: u32,
    /// The database, whose own limit holds for all its pools.
    database: Arc<str>,
    /// Servers that are open.
    open: u32,
}

impl Claim {
    fn is_sized_by(&self, setting: &Setting) -> bool {
        match setting.knob {
            Knob::ReservePoolSize => self.reserve_scope == setting.scope,
            Knob::PoolSize | Knob::MinPoolSize => self.scope == setting.scope,
        }
    }

    fn could_open(&self) -> u32 {
        self.size.saturating_add(self.reserve).saturating_add(self.lingering)
    }
}

type Targets = BTreeMap<TargetName, TargetControl>;

/// Gives every target that leads to the PostgreSQL server of one, itself included.
fn members<'a>(targets: &'a Targets, name: &TargetName) -> Vec<&'a TargetControl> {
    let Some(own) = targets.get(name).and_then(TargetControl::sample) else { return Vec::new() };
    let same = |target: &&TargetControl| target.sample().is_some_and(|it| own.is_same_server(it));
    targets.values().filter(same).collect()
}

/// Gives every target that may lead to the PostgreSQL server of one, for all that is known.
fn possible_members<'a>(
    targets: &'a Targets,
    own: &'a TargetControl,
) -> impl Iterator<Item = &'a TargetControl> {
    let own = own.sample();
    targets.values().filter(move |one| {
        own.zip(one.sample()).is_some_and(|(own, sample)| own.may_be_same_server(sample))
    })
}

/// Reckons a target's account; `None` while PostgreSQL has never answered.
pub(super) fn account(targets: &Targets, name: &TargetName, now: Timestamp) -> Option<Account> {
    let own = targets.get(name)?;
    let members = members(targets, name);
    let looks = members.iter().filter_map(|one| Some((*one, one.sample()?)));
    let known = looks.filter(|(_, sample)| sample.is_known());
    let look = known.map(|(_, sample)| sample).max_by_key(|sample| sample.at)?;
    let (others_least, others) = others(&members);
    let rest = members.iter().filter(|one| one.facts.name != *name);
    let possible = possible_members(targets, own);
    let margin = members.iter().map(|one| one.facts.limits.database_margin).max();
    let mut account = Account {
        max_connections: look.max_connections,
        reserved: look.reserved_connections,
        margin: margin.unwrap_or(0),
        others,
        others_least,
        could_open: own.could_open(),
        rest: rest.clone().fold(0, |sum, one| sum.saturating_add(one.could_open())),
        rest_possible: possible.fold(0, |sum, one| sum.saturating_add(one.could_open())),
        members: members.iter().map(|one| one.facts.name.clone()).collect(),
        ..Account::default()
    };
    let gave_back = members.iter().filter_map(|one| one.gave_back).max();
    if gave_back.is_some_and(|at| now.since(at) < CALM) {
        account.held_back = slack(account.capacity());
    }
    let demands: Vec<u32> = rest.map(|one| one.demand).collect();
    account.share = fair::share(account.capacity().saturating_sub(account.others), &demands);
    Some(account)
}

/// Gives the fewest and the most connections that are of nobody's pools.
///
/// The fewest come from a look that every target was polled after, so that its servers are known
/// before and after; a newer look can only raise the most.
fn others(members: &[&TargetControl]) -> (u32, u32) {
    let is_down = |one: &TargetControl| one.history.status().0 == TargetStatus::Down;
    let of = |look: &Seen| {
        let (mut fewest, mut most) = (0_u32, 0_u32);
        for member in members {
            let (low, high) = member.servers.around(look);
            // Of a PgBouncer that does not answer nobody knows whether its servers are still there.
            fewest = fewest.saturating_add(if is_down(member) { 0 } else { low });
            most = most.saturating_add(high);
        }
        (look.total.saturating_sub(most), look.total.saturating_sub(fewest))
    };
    let is_closed =
        |look: &Seen| members.iter().all(|one| is_down(one) || one.servers.is_after(look));
    let looks = || members.iter().flat_map(|one| one.servers.looks());
    let closed = looks().filter(is_closed).max().map(|look| of(&look)).unwrap_or_default();
    let newest = looks().max().map(|look| of(&look)).unwrap_or_default();
    (closed.0, closed.1.max(newest.1))
}

impl TargetControl {
    /// Gives what PostgreSQL said last.
    fn sample(&self) -> Option<&DatabaseSample> {
        self.history.latest()?.postgres.as_deref()
    }

    /// Gives what all pools that lead to PostgreSQL could open.
    fn could_open(&self) -> u32 {
        self.together(&self.claims(Aim::Most), Claim::could_open)
    }

    /// Sums up what pools could open, each database's no higher than its `max_db_connections`, or than
    /// what is open of it already.
    fn together(&self, claims: &[Claim], of_one: impl Fn(&Claim) -> u32) -> u32 {
        let mut databases: BTreeMap<&Arc<str>, (u32, u32)> = BTreeMap::new();
        for claim in claims {
            let (could, open) = databases.entry(&claim.database).or_default();
            *could = could.saturating_add(of_one(claim));
            *open = open.saturating_add(claim.open);
        }
        let rows = self.history.latest().map(|latest| &latest.databases);
        let limit = |database: &Arc<str>| {
            let row = rows.and_then(|rows| rows.get(database))?;
            row.max_connections.filter(|most| *most > 0)
        };
        let most = databases.into_iter().map(|(database, (could, open))| {
            limit(database).map_or(could, |limit| could.min(limit.max(open)))
        });
        most.fold(0, u32::saturating_add)
    }

    fn claims(&self, aim: Aim) -> Vec<Claim> {
        let Some(snapshot) = self.history.latest() else { return Vec::new() };
        let leads_there = snapshot.leads_to_postgres();
        let changing = self.changing(snapshot, aim);
        let rows = snapshot.pools.iter().filter(|row| leads_there(&row.key));
        rows.map(|row| {
            let scope = self.history.scope_of(&row.key);
            let reserve_scope = reserve_scope(snapshot, &row.key);
            let number = |scope: &ScopeKey, knob, read: u32| {
                let changed = changing.get(&Setting { scope: scope.clone(), knob });
                match (changed, aim) {
                    (None, _) => read,
                    (Some(changed), Aim::Most) => read.max(*changed),
                    (Some(changed), Aim::Goal) => *changed,
                }
            };
            let size = number(&scope, Knob::PoolSize, snapshot.size_of(&row.key));
            let reserve = snapshot.reserve_of(&row.key);
            let reserve = number(&reserve_scope, Knob::ReservePoolSize, reserve);
            let open = row.servers();
            let lingering = open.saturating_sub(size.saturating_add(reserve));
            let database = Arc::clone(&row.key.database);
            Claim { scope, reserve_scope, size, reserve, lingering, database, open }
        })
        .collect()
    }

    /// Gives the sizes of settings that are being changed, or were and have not been read since.
    fn changing(&self, snapshot: &Snapshot, aim: Aim) -> BTreeMap<Setting, u32> {
        let size = |setting: &Setting| {
            let scope = self.scopes.get(setting)?;
            let sent = scope.sent.filter(|(_, at)| snapshot.sizes_at <= *at).map(|(size, _)| size);
            let flight = scope.in_flight.map(|flight| flight.size);
            let changed = match aim {
                Aim::Most => flight.max(sent),
                Aim::Goal => flight.or(sent),
            };
            changed.map(|size| size.get())
        };
        self.scopes.keys().filter_map(|key| Some((key.clone(), size(key)?))).collect()
    }

    /// Gives what a setting may be raised to.
    pub fn room_of(&self, setting: &Setting) -> Room {
        if setting.knob == Knob::MinPoolSize {
            return Room::Ceiling("it opens no connection beyond the pool's size".to_owned());
        }
        match (&self.doubt, &self.account) {
            (Some(doubt), _) => doubt.room(),
            (None, Some(account)) => Room::Known(self.budget_of(setting, account)),
            (None, None) => Room::Ceiling("PostgreSQL is not asked".to_owned()),
        }
    }

    fn budget_of(&self, setting: &Setting, account: &Account) -> Budget {
        let mut budget = Budget {
            max_connections: account.max_connections,
            reserved: account.reserved,
            others: account.others,
            margin: account.margin,
            held_back: account.held_back,
            elsewhere: account.rest.saturating_add(account.rest_possible),
            ..Budget::default()
        };
        let claims = self.claims(Aim::Most);
        let ours = claims.iter().filter(|claim| claim.is_sized_by(setting));
        budget.lingering = ours.map(|claim| claim.lingering).min().unwrap_or(0);
        let (ours, others): (Vec<_>, Vec<_>) =
            claims.into_iter().partition(|claim| claim.is_sized_by(setting));
        for claim in ours {
            let is_size = setting.knob == Knob::PoolSize;
            let rest = if is_size { claim.reserve } else { claim.size };
            budget.pools += 1;
            budget.reserve = budget.reserve.saturating_add(rest).saturating_add(claim.lingering);
        }
        let others = self.together(&others, Claim::could_open);
        budget.elsewhere = budget.elsewhere.saturating_add(others);
        budget
    }

    /// Gives a size that goes from `current` towards `wanted`, and never past what PostgreSQL can take.
    pub fn fitting(&self, setting: &Setting, wanted: PoolSize, current: PoolSize) -> PoolSize {
        let size = self.room_of(setting).fit(wanted.get(), current.get());
        PoolSize::of(setting.knob, size).unwrap_or(current)
    }

    /// Tells the policies what the server has for this target, and notes what the pools need of it.
    pub fn show_share(&mut self, window: &mut Window) {
        let Some(snapshot) = self.history.latest() else { return };
        let leads_there = snapshot.leads_to_postgres();
        let peaks = window.pool_keys.iter().zip(&window.pools.demand_max_short);
        let there: Vec<f64> =
            peaks.filter(|(key, _)| leads_there(key)).map(|(_, peak)| *peak).collect();
        self.demand = there.iter().fold(0, |sum: u32, peak| sum.saturating_add(connections(*peak)));
        if let (Some(account), Some(database)) = (&self.account, &mut window.database) {
            database.others = account.others;
            database.budget = account.share.max(1);
        }
    }
}

/// Gives the scope that a pool has its reserve from: its user's own goes before the database's. One of a
/// database that equals the default counts as inherited, because then a change of the default may change it.
fn reserve_scope(snapshot: &Snapshot, pool: &PoolKey) -> ScopeKey {
    if snapshot.server.user_reserves.contains_key(&pool.user) {
        return ScopeKey::User(Arc::clone(&pool.user));
    }
    let own = snapshot.databases.get(&pool.database).and_then(|row| row.reserve_pool);
    match own {
        Some(own) if Some(own) != snapshot.server.reserve_pool_size => {
            ScopeKey::Database(Arc::clone(&pool.database))
        }
        _ => ScopeKey::Default,
    }
}

/// Rounds a mean number of connections up to whole ones.
fn connections(mean: f64) -> u32 {
    // No pool comes near; a NaN is 0.
    #[expect(clippy::as_conversions, reason = "clamped before")]
    let whole = mean.ceil().clamp(0.0, 2_147_483_647.0) as u32;
    whole
}

/// Gives the scopes that size pools which lead to PostgreSQL.
fn scopes_of(claims: &[Claim]) -> BTreeSet<&ScopeKey> {
    claims.iter().map(|claim| &claim.scope).collect()
}
