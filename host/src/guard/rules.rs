//! The rules, in the order in which they are asked.

use super::{Facts, Purpose, Room};
use crate::model::{Knob, Mode, Rule, TargetStatus, Word};

/// What one rule says, and the size that it leaves to the next.
pub(super) struct Said {
    pub word: Word,
    pub reason: String,
    pub size: u32,
}

/// A question to one rule.
pub(super) struct Case<'a> {
    /// The size that was proposed.
    pub asked: u32,
    /// The size that the rules before have left.
    pub size: u32,
    pub facts: &'a Facts<'a>,
}

type Ask = fn(&Case<'_>) -> Said;

/// Every rule, in order.
pub(super) const ALL: [(Rule, Ask); 16] = [
    (Rule::Actionable, actionable),
    (Rule::FreshData, fresh_data),
    (Rule::TargetState, target_state),
    (Rule::Writer, writer),
    (Rule::StandDown, stand_down),
    (Rule::Held, held),
    (Rule::InFlight, in_flight),
    (Rule::Bounds, bounds),
    (Rule::Step, step),
    (Rule::Budget, budget),
    (Rule::Change, change),
    (Rule::Cooldown, cooldown),
    (Rule::Effect, effect),
    (Rule::ChangesPerHour, changes_per_hour),
    (Rule::Priority, priority),
    (Rule::Mode, mode),
];

fn pass(size: u32, reason: impl Into<String>) -> Said {
    Said { word: Word::Pass, reason: reason.into(), size }
}

fn reject(size: u32, reason: impl Into<String>) -> Said {
    Said { word: Word::Reject, reason: reason.into(), size }
}

fn clamp(size: u32, reason: impl Into<String>) -> Said {
    Said { word: Word::Clamp, reason: reason.into(), size }
}

fn current(facts: &Facts<'_>) -> u32 {
    facts.current.map_or(0, crate::model::PoolSize::get)
}

/// The sidecar must be able to change the scope at all.
fn actionable(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    match (facts.not_actionable, &facts.out_of_reach, facts.current) {
        (Some(why), _, _) => reject(size, why),
        (None, _, None) => reject(size, "the size in force is not known"),
        (None, Some(why), _) if facts.mode == Mode::Enforce => reject(size, why.clone()),
        (None, Some(why), Some(now)) => {
            pass(size, format!("the size in force is {now}; only a person can change it: {why}"))
        }
        (None, None, Some(now)) => pass(size, format!("the size in force is {now}")),
    }
}

/// Missing data is not zero load.
fn fresh_data(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    let (age, most) = (facts.data_age.as_millis(), facts.limits.data_age_max.as_millis());
    if age > most {
        return reject(size, format!("the data is {age} ms old, {most} ms are allowed"));
    }
    pass(size, format!("the data is {age} ms old"))
}

/// Only a PgBouncer that answers and works on its own account is changed.
fn target_state(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    match facts.status {
        TargetStatus::Up => pass(size, "the target is up"),
        // `SET` works while it is paused and does not resume it.
        TargetStatus::Paused if facts.purpose == Purpose::TakeBack => {
            pass(size, "the target is paused; going back is allowed")
        }
        TargetStatus::Paused => reject(size, "the target is paused: its queue is intended"),
        TargetStatus::Down => reject(size, "the target does not answer"),
    }
}

/// One sidecar acts on a PgBouncer.
fn writer(case: &Case<'_>) -> Said {
    match &case.facts.writer {
        Some(why) => reject(case.size, why.clone()),
        None => pass(case.size, "no other sidecar acts on it"),
    }
}

/// A person's size is respected.
fn stand_down(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    match facts.stood_down {
        Some(_) => reject(size, "a person set this size; it is theirs until they hand it back"),
        None => pass(size, "nobody else has set this size"),
    }
}

/// A person's word stops everything but going back.
fn held(case: &Case<'_>) -> Said {
    match &case.facts.held {
        Some(why) if case.facts.purpose != Purpose::TakeBack => reject(case.size, why.clone()),
        Some(why) => pass(case.size, format!("{why}; going back is allowed")),
        None => pass(case.size, "nobody has said to leave it"),
    }
}

/// One change at a time.
fn in_flight(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    if facts.in_flight {
        return reject(size, "a change of this scope is under way");
    }
    pass(size, "no change is under way")
}

/// Floor and ceiling, which are those of a pool's size. A reserve grows only as far as both stay within the
/// ceiling; a size is not held back by one, because the file's reserve would else stop a growth in need.
fn bounds(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    let limits = (facts.limits.floor.get(), facts.limits.ceiling.get());
    let pool_size = facts.pool_size.map_or(0, crate::model::PoolSize::get);
    let (floor, ceiling) = match facts.knob {
        Knob::PoolSize => limits,
        // More would be capped by PgBouncer, without a word.
        Knob::MinPoolSize => (0, pool_size),
        Knob::ReservePoolSize => (0, limits.1.saturating_sub(pool_size)),
    };
    let within = format!("the bounds are {floor} to {ceiling}");
    match size.clamp(floor, ceiling) {
        same if same == size => pass(size, within),
        other => clamp(other, within),
    }
}

/// No leaps.
fn step(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    let (up, down) = (facts.limits.step_up, facts.limits.step_down);
    if facts.purpose != Purpose::Decide {
        return pass(size, "going back may take any step");
    }
    let current = current(facts);
    let near = size.clamp(current.saturating_sub(down), current.saturating_add(up));
    if near == size {
        return pass(size, format!("a step is at most {up} up and {down} down"));
    }
    // A size outside the bounds, for example after they were changed, may still come back slowly.
    clamp(near, format!("a step is at most {up} up and {down} down from {current}"))
}

/// PostgreSQL must be able to take all that could be opened; giving back is always allowed, also while
/// nobody knows what is left: a shrink that does harm is taken back all the same.
fn budget(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    let (current, ceiling) = (current(facts), facts.limits.ceiling);
    let budget = match &facts.room {
        Room::Ceiling(why) => return pass(size, format!("{why}; the ceiling of {ceiling} holds")),
        Room::Unknown(why) if size > current => return clamp(current, why.clone()),
        Room::Unknown(why) => return pass(size, format!("{why}; giving back is allowed")),
        Room::Known(budget) => budget,
    };
    let largest = budget.largest();
    let held_back = match budget.held_back {
        0 => String::new(),
        some => format!("{some} held back, "),
    };
    let reason = format!(
        "{} connections less {} reserved, {} of others, {held_back}{} margin and {} elsewhere leave \
         {largest} for each of {} pools",
        budget.max_connections,
        budget.reserved,
        budget.others,
        budget.margin,
        budget.elsewhere.saturating_add(budget.reserve),
        budget.pools.max(1),
    );
    match budget.reach(current) {
        reach if size <= reach => pass(size, reason),
        reach => clamp(reach, reason),
    }
}

/// After all clamps there must be a change left.
fn change(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    let current = current(facts);
    if size == current {
        return reject(size, format!("the size is {current} already"));
    }
    // A clamp may shorten a proposal and never turn it round, for example when the size in force is
    // above the ceiling.
    if (size > current) != (case.asked > current) {
        let asked = case.asked;
        return reject(size, format!("{asked} was asked for, and the limits leave only {size}"));
    }
    pass(size, format!("from {current} to {size}"))
}

/// Every change gets time to show what it does.
fn cooldown(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    if let Some(again) = facts.retry_at.filter(|again| facts.now < *again) {
        let left = again.millis_since(facts.now);
        return reject(size, format!("the last try failed; the next one is in {left} ms"));
    }
    if facts.purpose != Purpose::Decide {
        return pass(size, "going back does not wait");
    }
    let Some(last) = facts.last_change else {
        return pass(size, "this scope was not changed yet");
    };
    let limits = facts.limits;
    let wait = if size > current(facts) { limits.cooldown_up } else { limits.cooldown_down };
    let (since, wait) = (facts.now.since(last).as_millis(), wait.as_millis());
    let reason = format!("the last change is {since} ms ago, the cooldown is {wait} ms");
    if since < wait { reject(size, reason) } else { pass(size, reason) }
}

/// What the last change did is known before the next is made.
fn effect(case: &Case<'_>) -> Said {
    let effect = &case.facts.effect;
    let hindrance = if case.size > current(case.facts) { &effect.growth } else { &effect.shrink };
    match hindrance {
        Some(why) if case.facts.purpose == Purpose::Decide => reject(case.size, why.clone()),
        Some(_) => pass(case.size, "going back does not wait for what the last change did"),
        None => pass(case.size, "no earlier change stands in the way"),
    }
}

/// Whatever goes wrong, it goes wrong a bounded number of times.
fn changes_per_hour(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    let (done, most) = (facts.changes_last_hour, facts.limits.changes_per_hour);
    let reason = format!("{done} changes in the last hour, {most} are allowed");
    if facts.purpose == Purpose::TakeBack {
        return pass(size, format!("{reason}; taking back is always"));
    }
    // A size that was lost was counted when it was made; what loses it may do so a few times as well.
    let most = if facts.purpose == Purpose::Reapply { most.saturating_mul(2) } else { most };
    if done >= most { reject(size, reason) } else { pass(size, reason) }
}

/// One setting has one size, so of several policies one is heard.
fn priority(case: &Case<'_>) -> Said {
    match &case.facts.rival {
        Some(rival) => reject(case.size, format!("another policy is heard: {rival}")),
        None => pass(case.size, "no other policy goes before"),
    }
}

/// Who acts.
fn mode(case: &Case<'_>) -> Said {
    let (size, facts) = (case.size, case.facts);
    match facts.mode {
        Mode::Observe => Said {
            word: Word::Shadow,
            reason: "the mode is observe: recorded, not applied".to_owned(),
            size,
        },
        Mode::Recommend => pass(size, "the mode is recommend: it waits for a person"),
        Mode::Enforce => pass(size, "the mode is enforce"),
    }
}
