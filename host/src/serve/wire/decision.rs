//! Decisions.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::effect::Effect;
use super::{About, LabelsShown, Numbers, Text, millis};
use crate::model::{self, DecisionId, Digest, Origin, PoolSize, Proposal, RuleWord};
use crate::record;

/// A proposal, the guard's word on it, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Decision<'a> {
    /// UUIDv7: ids sort by time.
    #[schema(value_type = String, format = "uuid")]
    id: Text<DecisionId>,
    /// When it was taken, milliseconds since 1970.
    at_ms: u64,
    /// The PgBouncer.
    target: &'a str,
    /// What it decides.
    #[schema(pattern = "^(alert|recommendation|resize|end_session)$")]
    kind: &'static str,
    /// The policy; `poolwarden` for the sidecar itself.
    policy: &'a str,
    /// SHA-256 of the plugin's bytes; null for the sidecar's own.
    #[schema(value_type = Option<String>, example = "sha256:…")]
    plugin_digest: Option<Text<Digest>>,
    /// The version that the plugin says it has; null for the sidecar's own.
    plugin_version: Option<&'a str>,
    /// The evaluation that it came from; null for the sidecar's own.
    #[schema(value_type = Option<String>, format = "uuid")]
    evaluation: Option<Text<Uuid>>,
    #[serde(flatten)]
    about: About<'a>,
    /// The mode in force when it was taken.
    #[schema(pattern = "^(observe|recommend|enforce)$")]
    mode: &'static str,
    /// What came of it so far.
    #[schema(
        pattern = "^(proposed|applied|verified|rolled_back|inconclusive|failed|superseded|rejected|firing|resolved)$"
    )]
    status: &'static str,
    /// Why, in plain words.
    reason: &'a str,
    /// The numbers that it rests on; each name ends with its unit.
    #[schema(value_type = std::collections::BTreeMap<String, f64>)]
    evidence: Numbers<'a>,
    /// The policy's word.
    proposal: Said<'a>,
    /// The guard's word; null for what no guard is asked about.
    verdict: Option<Verdict<'a>>,
    /// For a resize: the size when it was taken.
    size_from: Option<u32>,
    /// For a resize: the size after the guard's word.
    size_to: Option<u32>,
}

/// What the policy said; the fields differ by `kind`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Said<'a> {
    /// A condition that a person should know of.
    Alert {
        /// Stable name of the condition.
        name: &'a str,
        #[schema(pattern = "^(info|warning|critical)$")]
        severity: &'static str,
        summary: &'a str,
        /// How long it must hold before it fires.
        hold_ms: u64,
        /// How long it stays silent after it resolved.
        cooldown_ms: u64,
        /// The policy's own labels.
        #[schema(value_type = std::collections::BTreeMap<String, String>)]
        labels: LabelsShown<'a>,
        /// Where to read what to do: a path in the documentation or a URL.
        #[serde(skip_serializing_if = "str::is_empty")]
        runbook: &'a str,
    },
    /// Advice for a person.
    Recommendation {
        name: &'a str,
        summary: &'a str,
        /// The exact lines or commands.
        action: &'a str,
    },
    /// Another size.
    Resize {
        /// The scope: `default`, `database:<name>` or `user:<name>`.
        scope: String,
        /// Which of its numbers.
        #[schema(pattern = "^(pool_size|min_pool_size|reserve_pool_size)$")]
        knob: &'static str,
        /// The size asked for.
        size: u32,
    },
    /// The end of one session.
    EndSession {
        /// PgBouncer's name of the client: its `id` from 1.24 on, `ptr` before.
        client: &'a str,
        application: &'a str,
        /// The client's address and port, as PgBouncer sees them.
        address: &'a str,
        /// Process id of the PostgreSQL backend.
        backend_pid: u32,
        /// What the backend was seen to do.
        #[schema(pattern = "^(unknown|running|idle_in_transaction|idle)$")]
        state: &'static str,
        /// When the backend started, microseconds since 1970 on PostgreSQL's clock.
        backend_start_us: Option<i64>,
        /// When its state last changed, on the same clock.
        state_change_us: Option<i64>,
    },
}

/// The guard's word.
#[derive(Debug, Serialize, ToSchema)]
struct Verdict<'a> {
    #[schema(pattern = "^(approved|clamped|rejected|shadowed)$")]
    outcome: &'static str,
    /// Every rule's word, in the order in which they were asked.
    rules: Vec<RuleSaid<'a>>,
}

/// One rule's word.
#[derive(Debug, Serialize, ToSchema)]
struct RuleSaid<'a> {
    /// The rule's name.
    rule: &'static str,
    #[schema(pattern = "^(pass|clamp|reject|shadow)$")]
    word: &'static str,
    /// Why, with the numbers.
    reason: &'a str,
}

impl<'a> From<&'a model::Decision> for Decision<'a> {
    fn from(decision: &'a model::Decision) -> Self {
        let (digest, version, evaluation) = match &decision.origin {
            Origin::Plugin { digest, version, evaluation } => {
                (Some(Text(*digest)), Some(&**version), Some(Text(*evaluation)))
            }
            Origin::Host => (None, None, None),
        };
        Self {
            id: Text(decision.id),
            at_ms: decision.at.as_millis(),
            target: decision.target.as_str(),
            kind: decision.kind().as_str(),
            policy: decision.policy.as_str(),
            plugin_digest: digest,
            plugin_version: version,
            evaluation,
            about: (&decision.subject).into(),
            mode: decision.mode.as_str(),
            status: decision.status.as_str(),
            reason: decision.reason(),
            evidence: Numbers(decision.evidence()),
            proposal: (&decision.proposal).into(),
            verdict: decision.verdict.as_ref().map(Into::into),
            size_from: decision.size_from.map(PoolSize::get),
            size_to: decision.size_to.map(PoolSize::get),
        }
    }
}

impl<'a> From<&'a Proposal> for Said<'a> {
    fn from(proposal: &'a Proposal) -> Self {
        match proposal {
            Proposal::Alert {
                name, severity, summary, hold, cooldown, labels, runbook, ..
            } => Self::Alert {
                name,
                severity: severity.as_str(),
                summary,
                hold_ms: millis(*hold),
                cooldown_ms: millis(*cooldown),
                labels: LabelsShown(labels),
                runbook,
            },
            Proposal::Recommendation { name, summary, action, .. } => {
                Self::Recommendation { name, summary, action }
            }
            Proposal::Resize { setting, size, .. } => Self::Resize {
                scope: setting.scope.to_string(),
                knob: setting.knob.as_str(),
                size: *size,
            },
            Proposal::EndSession { session, .. } => Self::EndSession {
                client: &session.client,
                application: &session.application,
                address: &session.address,
                backend_pid: session.backend_pid,
                state: session.state.as_str(),
                backend_start_us: session.identity.map(|identity| identity.backend_start_us),
                state_change_us: session.identity.map(|identity| identity.state_change_us),
            },
        }
    }
}

impl<'a> From<&'a model::Verdict> for Verdict<'a> {
    fn from(verdict: &'a model::Verdict) -> Self {
        let said = |said: &'a RuleWord| RuleSaid {
            rule: said.rule.as_str(),
            word: said.word.as_str(),
            reason: &said.reason,
        };
        Self { outcome: verdict.outcome.as_str(), rules: verdict.rules.iter().map(said).collect() }
    }
}

/// A page of decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct DecisionPage<'a> {
    decisions: Vec<Decision<'a>>,
    /// `cursor` of the next page; null on the last one.
    #[schema(value_type = Option<String>, format = "uuid")]
    next_cursor: Option<Text<DecisionId>>,
}

impl<'a> From<&'a record::Page> for DecisionPage<'a> {
    fn from(page: &'a record::Page) -> Self {
        Self {
            decisions: page.decisions.iter().map(Into::into).collect(),
            next_cursor: page.next.map(Text),
        }
    }
}

/// A change of a decision's status.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Transition<'a> {
    /// The decision.
    #[schema(value_type = String, format = "uuid")]
    id: Text<DecisionId>,
    /// When it changed, milliseconds since 1970.
    at_ms: u64,
    /// What it is now.
    status: &'static str,
    /// Why, in plain words.
    note: &'a str,
}

impl<'a> From<&'a model::Transition> for Transition<'a> {
    fn from(transition: &'a model::Transition) -> Self {
        Self {
            id: Text(transition.id),
            at_ms: transition.at.as_millis(),
            status: transition.status.as_str(),
            note: &transition.note,
        }
    }
}

/// A decision with all that came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct DecisionDetail<'a> {
    #[serde(flatten)]
    decision: Decision<'a>,
    /// What came of it, oldest first.
    transitions: Vec<Transition<'a>>,
    /// What the change did; null for what changed no size, and before the change is in force.
    effect: Option<Effect<'a>>,
    /// What the plugin was asked; null for the sidecar's own decisions and when it is no longer
    /// kept.
    recorded: Option<Recorded<'a>>,
}

/// A recorded evaluation.
#[derive(Debug, Serialize, ToSchema)]
struct Recorded<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: Text<Uuid>,
    /// When the plugin was asked, milliseconds since 1970.
    at_ms: u64,
    input_bytes: usize,
    memory_bytes: usize,
    answer_bytes: usize,
    /// Only with `input=true`.
    #[serde(flatten)]
    contents: Option<Contents<'a>>,
}

/// All that it takes to ask again.
#[derive(Debug, Serialize, ToSchema)]
struct Contents<'a> {
    /// The policy's settings.
    #[schema(value_type = Object)]
    settings: &'a RawValue,
    /// The window, as the plugin contract has it.
    #[schema(value_type = Object)]
    input: &'a RawValue,
    /// What the plugin remembered, in hexadecimal.
    memory_hex: String,
    /// What the plugin answered.
    #[schema(value_type = Object)]
    answer: &'a RawValue,
}

/// Whether a recorded evaluation is shown whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Show {
    Sizes,
    Everything,
}

impl<'a> DecisionDetail<'a> {
    /// Puts a decision and its evaluation together.
    ///
    /// # Errors
    /// When what is recorded of the evaluation is not JSON.
    pub fn new(
        stored: &'a record::Stored,
        evaluation: Option<&'a record::Evaluation>,
        effect: Option<&'a model::EffectReport>,
        show: Show,
    ) -> serde_json::Result<Self> {
        Ok(Self {
            decision: (&stored.decision).into(),
            transitions: stored.transitions.iter().map(Into::into).collect(),
            effect: effect.map(Into::into),
            recorded: evaluation.map(|evaluation| Recorded::new(evaluation, show)).transpose()?,
        })
    }
}

impl<'a> Recorded<'a> {
    fn new(evaluation: &'a record::Evaluation, show: Show) -> serde_json::Result<Self> {
        let contents = match show {
            Show::Sizes => None,
            Show::Everything => Some(Contents {
                settings: serde_json::from_str(&evaluation.settings)?,
                input: serde_json::from_slice(&evaluation.input)?,
                memory_hex: evaluation.memory.iter().map(|byte| format!("{byte:02x}")).collect(),
                answer: serde_json::from_slice(&evaluation.answer)?,
            }),
        };
        Ok(Self {
            id: Text(evaluation.id),
            at_ms: evaluation.at.as_millis(),
            input_bytes: evaluation.input.len(),
            memory_bytes: evaluation.memory.len(),
            answer_bytes: evaluation.answer.len(),
            contents,
        })
    }
}
