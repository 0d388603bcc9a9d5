//! Giving connections back when others take them, a pool appears, or a person raises a size.
//!
//! The sidecar shrinks what it may act on before PostgreSQL refuses anybody, down to the capacity less
//! a little. What a person holds, or another sidecar, is left alone; the alert tells of the rest.

use super::fair::{self, Wish};
use super::{Account, Aim, Claim, Targets, connections, members, scopes_of, slack};
use crate::control::drift::OwnChange;
use crate::control::scope::Afterwards;
use crate::control::target::TargetControl;
use crate::control::{Effect, Turn};
use crate::guard::{Facts, Purpose, judge};
use crate::model::{Mode, Outcome, PoolRow, PoolSize, Setting, TargetName, Timestamp};

/// Shrinks sizes of every target that shares a target's PostgreSQL, when too much could be opened.
pub(in crate::control) fn give_back(
    targets: &mut Targets,
    name: &TargetName,
    turn: &mut Turn<'_>,
) -> Vec<Effect> {
    let Some(account) = targets.get(name).and_then(|target| target.account.clone()) else {
        return Vec::new();
    };
    let room = account.capacity().saturating_sub(account.others_least);
    let (mut goal, mut most, mut wishes) = (0_u32, 0_u32, Vec::new());
    for member in members(targets, name) {
        let claims = member.claims(Aim::Goal);
        let sized = |claim: &Claim| claim.size.saturating_add(claim.reserve);
        goal = claims.iter().fold(goal, |sum, claim| sum.saturating_add(sized(claim)));
        most = most.saturating_add(member.together(&claims, sized));
        let ours = member.wishes(&claims, turn.now);
        wishes.extend(ours.map(|(setting, wish)| (member.facts.name.clone(), setting, wish)));
    }
    if most <= room || wishes.is_empty() {
        return Vec::new();
    }
    let sizes: Vec<Wish> = wishes.iter().map(|(.., wish)| *wish).collect();
    let ours = sizes
        .iter()
        .fold(0, |sum: u32, wish| sum.saturating_add(wish.pools.saturating_mul(wish.size)));
    let fixed = goal.saturating_sub(ours);
    // What `max_db_connections` keeps closed is there for the others.
    let closed = goal.saturating_sub(most);
    let available = room.saturating_sub(slack(account.capacity())).saturating_add(closed);
    let available = available.saturating_sub(fixed).min(ours);
    let lowered = fair::give_back(available, &sizes);
    let mut effects = Vec::new();
    for ((target, setting, wish), size) in wishes.into_iter().zip(lowered) {
        if size < wish.size
            && let Some(target) = targets.get_mut(&target)
        {
            effects.extend(target.take_back(&setting, (wish, size), (&account, most), turn));
        }
    }
    effects
}

impl TargetControl {
    /// Gives the sizes that the sidecar may lower, with what their pools needed lately.
    fn wishes<'a>(
        &'a self,
        claims: &'a [Claim],
        now: Timestamp,
    ) -> impl Iterator<Item = (Setting, Wish)> + 'a {
        let scopes = scopes_of(claims).into_iter().map(|scope| Setting::size_of(scope.clone()));
        let may: Vec<Setting> = scopes.filter(|one| self.may_take_back(one, now)).collect();
        let mut pools = if may.is_empty() { Vec::new() } else { self.history.pools(now) };
        if let Some(latest) = self.history.latest() {
            let leads_there = latest.leads_to_postgres();
            pools.retain(|(key, _)| leads_there(key));
        }
        may.into_iter().filter_map(move |setting| {
            let ours = || claims.iter().filter(|claim| claim.scope == setting.scope);
            let needs = || {
                let ours = |key| self.history.scope_of(key) == setting.scope;
                let ours = pools.iter().filter(move |(key, _)| ours(key));
                ours.map(|(_, pool)| (connections(pool.demand_max_long), &pool.row))
            };
            // PgBouncer keeps a pool of every user that ever logged in.
            let is_used = |&(need, row): &(u32, &PoolRow)| {
                need > 0 || row.servers() > 0 || row.cl_active > 0 || row.cl_waiting > 0
            };
            let wish = Wish {
                pools: u32::try_from(ours().count()).unwrap_or(u32::MAX),
                size: ours().map(|claim| claim.size).max()?,
                floor: self.facts.limits.floor.get(),
                used: needs().map(|(need, _)| need).max().unwrap_or(0),
                in_use: u32::try_from(needs().filter(is_used).count()).unwrap_or(u32::MAX),
            };
            Some((setting, wish))
        })
    }

    fn may_take_back(&self, setting: &Setting, now: Timestamp) -> bool {
        let facts = self.taking_back(setting, now);
        let less = facts.current.map_or(0, |size| size.get().saturating_sub(1));
        let passes =
            matches!(judge(less, &facts).verdict.outcome, Outcome::Approved | Outcome::Clamped);
        self.mode == Mode::Enforce && facts.held.is_none() && passes
    }

    fn taking_back(&self, setting: &Setting, now: Timestamp) -> Facts<'_> {
        Facts { purpose: Purpose::TakeBack, ..self.guard_facts(setting, self.mode, now) }
    }

    fn take_back(
        &mut self,
        setting: &Setting,
        (wish, size): (Wish, u32),
        (account, goal): (&Account, u32),
        turn: &mut Turn<'_>,
    ) -> Option<Effect> {
        let judged = judge(size, &self.taking_back(setting, turn.now));
        let passed = matches!(judged.verdict.outcome, Outcome::Approved | Outcome::Clamped);
        let size: PoolSize = judged.size.filter(|_| passed)?;
        let reason = format!(
            "pools could open {goal} connections, and PostgreSQL has room for {}: {} less {} \
             reserved, {} margin and {} of others; {} goes from {} to {size}, its busiest pool \
             needed {} lately",
            account.capacity().saturating_sub(account.others_least),
            account.max_connections,
            account.reserved,
            account.margin,
            account.others_least,
            setting.words(),
            wish.size,
            wish.used,
        );
        tracing::warn!(
            target = self.facts.name.as_str(), %setting, from = wish.size, to = %size, goal,
            others = account.others_least, "connections are given back"
        );
        self.gave_back = Some(turn.now);
        let change = OwnChange { setting, size, reason, verdict: Some(judged.verdict) };
        Some(self.resize_by_host(change, Afterwards::KeepUp, turn))
    }
}
