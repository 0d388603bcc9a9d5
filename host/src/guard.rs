//! What no policy can cross: ordered rules between a proposed size and PgBouncer.
//!
//! Pure. Every rule is asked and its word recorded, also after one has refused, so that an answer to
//! "why not?" is complete. Rules that clamp come before those that judge the clamped size.

mod budget;
mod ending;
mod rules;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use budget::{Budget, Room};
pub use ending::{SessionFacts, judge_ending};
use rules::Case;

use crate::model::{
    Knob, Limits, Mode, Outcome, PoolSize, RuleWord, TargetStatus, Timestamp, Verdict, Word,
};

/// Why a size is proposed: what is put back or taken back does not wait and may take any step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A policy wants another size.
    Decide,
    /// A size that was in force is to be in force again.
    Reapply,
    /// The sidecar takes back what it gave: after harm, for want of connections, or on a person's order.
    TakeBack,
}

/// Why what earlier changes did forbids a further one, for each direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hindrance {
    /// Why there is to be no growth.
    pub growth: Option<String>,
    /// Why there is to be no shrink.
    pub shrink: Option<String>,
}

/// What the guard must know of a scope at the moment of a proposal.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The moment.
    pub now: Timestamp,
    /// Why the size is proposed.
    pub purpose: Purpose,
    /// Which number of the scope is proposed.
    pub knob: Knob,
    /// The operator's limits.
    pub limits: &'a Limits,
    /// The size in force; `None` when it is not known.
    pub current: Option<PoolSize>,
    /// The scope's `pool_size` in force, which bounds its other numbers.
    pub pool_size: Option<PoolSize>,
    /// Why the sidecar cannot change this setting itself, if it cannot; a person can.
    pub out_of_reach: Option<String>,
    /// Why nobody should change it on this proposal, if so.
    pub not_actionable: Option<&'a str>,
    /// State of the target.
    pub status: TargetStatus,
    /// Age of the pool numbers that the proposal rests on.
    pub data_age: Duration,
    /// Why this sidecar leaves acting on this PgBouncer to another one, if it does.
    pub writer: Option<String>,
    /// Since when a person's size is being respected.
    pub stood_down: Option<Timestamp>,
    /// Why nothing is to be changed, if a person has said so.
    pub held: Option<String>,
    /// Whether a change of this scope is under way.
    pub in_flight: bool,
    /// When this scope was last changed.
    pub last_change: Option<Timestamp>,
    /// Why what the last changes did forbids another one, if it does.
    pub effect: Hindrance,
    /// Not before then may a change be tried again, because the last try failed.
    pub retry_at: Option<Timestamp>,
    /// Changes of this scope within the last hour.
    pub changes_last_hour: u32,
    /// What PostgreSQL can take.
    pub room: Room,
    /// What another policy asks for that is heard instead, if one is.
    pub rival: Option<String>,
    /// The effective mode: the stricter of the target's and the policy's.
    pub mode: Mode,
}

/// The guard's word, and the size that it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What every rule said.
    pub verdict: Verdict,
    /// The size after all clamps; `None` when there is none to speak of.
    pub size: Option<PoolSize>,
}

/// Asks every rule about a proposed size.
pub fn judge(proposed: u32, facts: &Facts<'_>) -> Judged {
    let mut size = proposed;
    let mut words = Vec::with_capacity(rules::ALL.len());
    for (rule, ask) in rules::ALL {
        let said = ask(&Case { asked: proposed, size, facts });
        size = said.size;
        words.push(RuleWord { rule, word: said.word, reason: said.reason });
    }
    let has = |word| words.iter().any(|said: &RuleWord| said.word == word);
    let outcome = match (has(Word::Reject), has(Word::Shadow), has(Word::Clamp)) {
        (true, _, _) => Outcome::Rejected,
        (false, true, _) => Outcome::Shadowed,
        (false, false, true) => Outcome::Clamped,
        (false, false, false) => Outcome::Approved,
    };
    Judged { verdict: Verdict { outcome, rules: words }, size: PoolSize::of(facts.knob, size).ok() }
}
