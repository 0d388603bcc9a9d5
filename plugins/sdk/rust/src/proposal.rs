//! Builds what a policy answers with.
//!
//! Each builder asks for what identifies a proposal (name and subject) and lets the rest be said by
//! name, so that a policy reads like a sentence. The answer keeps the order of the returned list;
//! views iterate by index, so a policy that does not reorder is deterministic without further care.

use std::time::Duration;

use crate::bindings::poolwarden::policy::types;
pub use crate::bindings::poolwarden::policy::types::{Knob, Proposal, Severity, Subject};
use crate::names::wire_index;
use crate::scope::Scope;
use crate::session::Holder;

/// Says that a condition holds now; the sidecar keeps its life cycle.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Alert(types::Alert);

/// Tells a person what to change; stands until it is no longer proposed.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Recommendation(types::Recommendation);

/// Asks for another size of one scope.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Resize(types::Resize);

/// Asks to end one session, which the sidecar does only while it idles.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct EndSession(types::EndSession);

/// Asks for a look at single sessions, which later windows then show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct LookAtSessions(String);

impl Alert {
    /// Starts an alert of severity `warning` that fires at once and may fire again at once.
    pub fn new(name: impl Into<String>, subject: Subject) -> Self {
        Self(types::Alert {
            name: name.into(),
            subject,
            severity: Severity::Warning,
            summary: String::new(),
            hold_ms: 0,
            cooldown_ms: 0,
            labels: Vec::new(),
            runbook: String::new(),
            evidence: Vec::new(),
        })
    }

    /// Sets how urgent it is.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.0.severity = severity;
        self
    }

    /// Sets the one sentence that a person reads.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.0.summary = summary.into();
        self
    }

    /// Sets how long the condition must hold without a break before it fires.
    pub fn hold(mut self, hold: Duration) -> Self {
        self.0.hold_ms = millis(hold);
        self
    }

    /// Sets how long it stays silent after it resolved.
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        self.0.cooldown_ms = millis(cooldown);
        self
    }

    /// Adds a label of the author's own, for routing.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.labels.push((name.into(), value.into()));
        self
    }

    /// Says where to read what to do: a path in the documentation or a URL.
    pub fn runbook(mut self, runbook: impl Into<String>) -> Self {
        self.0.runbook = runbook.into();
        self
    }

    /// Adds a number that it rests on.
    pub fn evidence(mut self, name: &str, value: impl Into<f64>) -> Self {
        self.0.evidence.push(evidence(name, value));
        self
    }
}

impl Recommendation {
    /// Starts a recommendation.
    pub fn new(name: impl Into<String>, subject: Subject) -> Self {
        Self(types::Recommendation {
            name: name.into(),
            subject,
            summary: String::new(),
            action: String::new(),
            evidence: Vec::new(),
        })
    }

    /// Sets the one sentence that a person reads.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.0.summary = summary.into();
        self
    }

    /// Sets the exact lines or commands.
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.0.action = action.into();
        self
    }

    /// Adds a number that it rests on.
    pub fn evidence(mut self, name: &str, value: impl Into<f64>) -> Self {
        self.0.evidence.push(evidence(name, value));
        self
    }
}

impl Resize {
    /// Starts a resize of a scope to `size` server connections per pool.
    pub fn new(scope: Scope<'_>, size: u32) -> Self {
        Self::by_index(scope.wire_index(), size)
    }

    /// Starts a resize of a scope that is named by its index.
    pub fn by_index(scope: u32, size: u32) -> Self {
        let knob = Knob::PoolSize;
        Self(types::Resize { scope, knob, size, reason: String::new(), evidence: Vec::new() })
    }

    /// Asks for another number of the scope than its `pool_size`.
    pub fn knob(mut self, knob: Knob) -> Self {
        self.0.knob = knob;
        self
    }

    /// Sets the one sentence that a person reads.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// Adds a number that it rests on.
    pub fn evidence(mut self, name: &str, value: impl Into<f64>) -> Self {
        self.0.evidence.push(evidence(name, value));
        self
    }
}

impl EndSession {
    /// Starts the end of a session.
    pub fn new(holder: Holder<'_>) -> Self {
        let holder = wire_index(holder.index());
        Self(types::EndSession { holder, reason: String::new(), evidence: Vec::new() })
    }

    /// Sets the one sentence that a person reads.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// Adds a number that it rests on.
    pub fn evidence(mut self, name: &str, value: impl Into<f64>) -> Self {
        self.0.evidence.push(evidence(name, value));
        self
    }
}

impl LookAtSessions {
    /// Asks for a look and says why.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<EndSession> for Proposal {
    fn from(end: EndSession) -> Self {
        Self::EndSession(end.0)
    }
}

impl From<LookAtSessions> for Proposal {
    fn from(look: LookAtSessions) -> Self {
        Self::LookAtSessions(look.0)
    }
}

impl From<Alert> for Proposal {
    fn from(alert: Alert) -> Self {
        Self::Alert(alert.0)
    }
}

impl From<Recommendation> for Proposal {
    fn from(recommendation: Recommendation) -> Self {
        Self::Recommendation(recommendation.0)
    }
}

impl From<Resize> for Proposal {
    fn from(resize: Resize) -> Self {
        Self::Resize(resize.0)
    }
}

fn evidence(name: &str, value: impl Into<f64>) -> types::Evidence {
    types::Evidence { name: name.to_owned(), value: value.into() }
}

/// A duration beyond half a thousand million years is as good as for ever.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
