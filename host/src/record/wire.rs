//! How decisions and alerts are written into rows, and read back from them.
//!
//! Columns hold what queries filter by; the rest is JSON, so that a person with `sqlite3` can read
//! it. The names are those of the model's `as_str`, and reading searches the model's variants for
//! them, so that a name stands in one place.

mod session;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use session::WireSession;

use crate::model::{
    Evidence, Mode, Outcome, PoolKey, Proposal, Rule, RuleWord, Severity, Subject, Timestamp,
    Verdict, Word,
};

type Malformed = Box<dyn Error + Send + Sync>;

const MODES: [Mode; 3] = [Mode::Observe, Mode::Recommend, Mode::Enforce];
const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];
const OUTCOMES: [Outcome; 4] =
    [Outcome::Approved, Outcome::Clamped, Outcome::Rejected, Outcome::Shadowed];
const WORDS: [Word; 4] = [Word::Pass, Word::Clamp, Word::Reject, Word::Shadow];

/// What a decision's columns do not hold.
#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    /// The version that the plugin says it has; absent when the sidecar itself decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    pub(super) subject: WireSubject,
    pub(super) proposal: WireProposal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<WireVerdict>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WireSubject {
    Target,
    DatabaseServer,
    Scope { scope: String },
    Pool { database: String, user: String },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WireProposal {
    Alert {
        name: String,
        subject: WireSubject,
        severity: String,
        summary: String,
        hold_ms: u64,
        cooldown_ms: u64,
        #[serde(default)]
        labels: Vec<(String, String)>,
        #[serde(default)]
        runbook: String,
        evidence: Vec<WireEvidence>,
    },
    Recommendation {
        name: String,
        subject: WireSubject,
        summary: String,
        action: String,
        evidence: Vec<WireEvidence>,
    },
    Resize {
        /// The setting's text.
        scope: String,
        size: u32,
        reason: String,
        evidence: Vec<WireEvidence>,
    },
    EndSession {
        session: WireSession,
        reason: String,
        evidence: Vec<WireEvidence>,
    },
}

/// A number that is not finite has no JSON; it is written as `null` and read as NaN, so that a
/// fault of the evaluation cannot make a decision unreadable.
#[derive(Serialize, Deserialize)]
pub(super) struct WireEvidence {
    name: String,
    value: Option<f64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireVerdict {
    outcome: String,
    rules: Vec<WireRule>,
}

#[derive(Serialize, Deserialize)]
struct WireRule {
    rule: String,
    word: String,
    reason: String,
}

impl From<&Subject> for WireSubject {
    fn from(subject: &Subject) -> Self {
        match subject {
            Subject::Target => Self::Target,
            Subject::DatabaseServer => Self::DatabaseServer,
            Subject::Scope(scope) => Self::Scope { scope: scope.to_string() },
            Subject::Pool(PoolKey { database, user }) => {
                Self::Pool { database: database.to_string(), user: user.to_string() }
            }
        }
    }
}

impl TryFrom<WireSubject> for Subject {
    type Error = Malformed;

    fn try_from(wire: WireSubject) -> Result<Self, Malformed> {
        Ok(match wire {
            WireSubject::Target => Self::Target,
            WireSubject::DatabaseServer => Self::DatabaseServer,
            WireSubject::Scope { scope } => Self::Scope(scope.parse()?),
            WireSubject::Pool { database, user } => {
                Self::Pool(PoolKey { database: Arc::from(database), user: Arc::from(user) })
            }
        })
    }
}

impl From<&Proposal> for WireProposal {
    fn from(proposal: &Proposal) -> Self {
        match proposal {
            Proposal::Alert {
                name,
                subject,
                severity,
                summary,
                hold,
                cooldown,
                labels,
                runbook,
                evidence,
            } => Self::Alert {
                name: name.clone(),
                subject: subject.into(),
                severity: severity.as_str().to_owned(),
                summary: summary.clone(),
                hold_ms: millis(*hold),
                cooldown_ms: millis(*cooldown),
                labels: labels.clone(),
                runbook: runbook.clone(),
                evidence: evidence_to_wire(evidence),
            },
            Proposal::Recommendation { name, subject, summary, action, evidence } => {
                Self::Recommendation {
                    name: name.clone(),
                    subject: subject.into(),
                    summary: summary.clone(),
                    action: action.clone(),
                    evidence: evidence_to_wire(evidence),
                }
            }
            Proposal::Resize { setting, size, reason, evidence } => Self::Resize {
                scope: setting.to_string(),
                size: *size,
                reason: reason.clone(),
                evidence: evidence_to_wire(evidence),
            },
            Proposal::EndSession { session, reason, evidence } => Self::EndSession {
                session: session.into(),
                reason: reason.clone(),
                evidence: evidence_to_wire(evidence),
            },
        }
    }
}

impl TryFrom<WireProposal> for Proposal {
    type Error = Malformed;

    fn try_from(wire: WireProposal) -> Result<Self, Malformed> {
        Ok(match wire {
            WireProposal::Alert {
                name,
                subject,
                severity,
                summary,
                hold_ms,
                cooldown_ms,
                labels,
                runbook,
                evidence,
            } => Self::Alert {
                name,
                subject: subject.try_into()?,
                severity: named(&SEVERITIES, Severity::as_str, &severity)?,
                summary,
                hold: Duration::from_millis(hold_ms),
                cooldown: Duration::from_millis(cooldown_ms),
                labels,
                runbook,
                evidence: evidence_from_wire(evidence),
            },
            WireProposal::Recommendation { name, subject, summary, action, evidence } => {
                Self::Recommendation {
                    name,
                    subject: subject.try_into()?,
                    summary,
                    action,
                    evidence: evidence_from_wire(evidence),
                }
            }
            WireProposal::Resize { scope, size, reason, evidence } => Self::Resize {
                setting: scope.parse()?,
                size,
                reason,
                evidence: evidence_from_wire(evidence),
            },
            WireProposal::EndSession { session, reason, evidence } => Self::EndSession {
                session: session.try_into()?,
                reason,
                evidence: evidence_from_wire(evidence),
            },
        })
    }
}

impl From<&Verdict> for WireVerdict {
    fn from(verdict: &Verdict) -> Self {
        let rule = |said: &RuleWord| WireRule {
            rule: said.rule.as_str().to_owned(),
            word: said.word.as_str().to_owned(),
            reason: said.reason.clone(),
        };
        Self {
            outcome: verdict.outcome.as_str().to_owned(),
            rules: verdict.rules.iter().map(rule).collect(),
        }
    }
}

impl TryFrom<WireVerdict> for Verdict {
    type Error = Malformed;

    fn try_from(wire: WireVerdict) -> Result<Self, Malformed> {
        let rule = |said: WireRule| -> Result<RuleWord, Malformed> {
            Ok(RuleWord {
                rule: named(&Rule::ALL, Rule::as_str, &said.rule)?,
                word: named(&WORDS, Word::as_str, &said.word)?,
                reason: said.reason,
            })
        };
        Ok(Self {
            outcome: named(&OUTCOMES, Outcome::as_str, &wire.outcome)?,
            rules: wire.rules.into_iter().map(rule).collect::<Result<_, _>>()?,
        })
    }
}

/// Writes named numbers.
pub(super) fn evidence_to_wire(evidence: &[Evidence]) -> Vec<WireEvidence> {
    let wire = |Evidence { name, value }: &Evidence| WireEvidence {
        name: name.clone(),
        value: Some(*value),
    };
    evidence.iter().map(wire).collect()
}

/// Reads named numbers.
pub(super) fn evidence_from_wire(wire: Vec<WireEvidence>) -> Vec<Evidence> {
    let evidence =
        |WireEvidence { name, value }| Evidence { name, value: value.unwrap_or(f64::NAN) };
    wire.into_iter().map(evidence).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Result<T, Malformed> {
    let found = all.iter().copied().find(|value| name(*value) == text);
    found.ok_or_else(|| format!("unknown name {text:?}").into())
}

/// Reads the name of a mode.
pub(super) fn mode(text: &str) -> Result<Mode, Malformed> {
    named(&MODES, Mode::as_str, text)
}

/// Writes an alert's subject, the same text for the same subject.
pub(super) fn subject_to_json(subject: &Subject) -> sqlx::Result<String> {
    to_json(&WireSubject::from(subject))
}

/// Reads what [`subject_to_json`] wrote.
pub(super) fn subject_from_json(json: &str) -> Result<Subject, Malformed> {
    serde_json::from_str::<WireSubject>(json)?.try_into()
}

/// Writes any wire type.
pub(super) fn to_json<T: Serialize>(value: &T) -> sqlx::Result<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Marks a row as unreadable.
pub(super) fn malformed(cause: impl Into<Malformed>) -> sqlx::Error {
    sqlx::Error::Decode(cause.into())
}

/// Reads 16 bytes as an id.
pub(super) fn uuid(bytes: &[u8]) -> sqlx::Result<Uuid> {
    Uuid::from_slice(bytes).map_err(malformed)
}

/// Gives SQLite's signed form; a moment beyond the year 292 277 026 is cut.
pub(super) fn to_ms(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

/// Reads what [`to_ms`] gives.
pub(super) fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(ms).unwrap_or(0))
}
