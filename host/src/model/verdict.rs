//! The guard's word on a proposal, with what each of its rules said.

/// What came out of all rules together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Passed as proposed.
    Approved,
    /// Passed with another size.
    Clamped,
    /// Refused.
    Rejected,
    /// Only recorded, because the mode is `observe`.
    Shadowed,
}

impl Outcome {
    /// Gives the name that store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Clamped => "clamped",
            Self::Rejected => "rejected",
            Self::Shadowed => "shadowed",
        }
    }
}

/// A rule of the guard, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each rule is documented where the guard asks it")]
pub enum Rule {
    Actionable,
    FreshData,
    TargetState,
    Writer,
    StandDown,
    Held,
    InFlight,
    Bounds,
    Step,
    Budget,
    Change,
    Cooldown,
    Effect,
    ChangesPerHour,
    Priority,
    EndingAllowed,
    IdleSession,
    KnownBackend,
    OwnSession,
    EndsPerMinute,
    Mode,
}

impl Rule {
    /// Every rule, in the order in which they are asked.
    pub const ALL: [Self; 21] = [
        Self::Actionable,
        Self::FreshData,
        Self::TargetState,
        Self::Writer,
        Self::StandDown,
        Self::Held,
        Self::InFlight,
        Self::Bounds,
        Self::Step,
        Self::Budget,
        Self::Change,
        Self::Cooldown,
        Self::Effect,
        Self::ChangesPerHour,
        Self::Priority,
        Self::EndingAllowed,
        Self::IdleSession,
        Self::KnownBackend,
        Self::OwnSession,
        Self::EndsPerMinute,
        Self::Mode,
    ];

    /// Gives the name that store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actionable => "actionable",
            Self::FreshData => "fresh_data",
            Self::TargetState => "target_state",
            Self::Writer => "writer",
            Self::StandDown => "stand_down",
            Self::Held => "held",
            Self::InFlight => "in_flight",
            Self::Bounds => "bounds",
            Self::Step => "step",
            Self::Budget => "budget",
            Self::Change => "change",
            Self::Cooldown => "cooldown",
            Self::Effect => "effect",
            Self::ChangesPerHour => "changes_per_hour",
            Self::Priority => "priority",
            Self::EndingAllowed => "ending_allowed",
            Self::IdleSession => "idle_session",
            Self::KnownBackend => "known_backend",
            Self::OwnSession => "own_session",
            Self::EndsPerMinute => "ends_per_minute",
            Self::Mode => "mode",
        }
    }
}

/// What one rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// Nothing against it.
    Pass,
    /// Another size.
    Clamp,
    /// No.
    Reject,
    /// Not to be acted on by the sidecar.
    Shadow,
}

impl Word {
    /// Gives the name that store and API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Clamp => "clamp",
            Self::Reject => "reject",
            Self::Shadow => "shadow",
        }
    }
}

/// One rule's word with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleWord {
    /// The rule.
    pub rule: Rule,
    /// What it said.
    pub word: Word,
    /// Why, with the numbers.
    pub reason: String,
}

/// The guard's word on a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What came out.
    pub outcome: Outcome,
    /// Every rule's word, in order.
    pub rules: Vec<RuleWord>,
}

impl Verdict {
    /// Gives the rule that refused, when exactly one did.
    pub fn only_refusal(&self) -> Option<Rule> {
        let mut refused = self.rules.iter().filter(|said| said.word == Word::Reject);
        let first = refused.next()?;
        refused.next().is_none().then_some(first.rule)
    }
}
