//! What an operator writes: a list of rules.
//!
//! The schema checks shapes and ranges; what only the expressions can tell (names, types, which
//! fields go together) is checked by [`crate::rule`], whose messages name rule and column.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `rules`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The rules, each one condition and what follows from it.
    #[schemars(length(max = 200))]
    pub rules: Vec<Rule>,
}

/// One rule: a condition in CEL, and the alert, recommendation or size that follows from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable name of what is proposed: 1 to 64 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// The condition: an expression in CEL that gives true or false.
    #[schemars(length(max = 2000))]
    pub when: String,
    /// What the rule is about; without it, the most particular thing that the rule mentions.
    #[serde(default)]
    pub on: Option<On>,
    /// How long the condition must hold without a break before the alert fires; 0 by default.
    #[serde(default)]
    #[schemars(range(max = 86_400_000))]
    pub for_ms: Option<u64>,
    /// How long the alert stays silent after it resolved; 0 by default.
    #[serde(default)]
    #[schemars(range(max = 86_400_000))]
    pub cooldown_ms: Option<u64>,
    /// How urgent the alert is; `warning` by default.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Labels of the alert, for routing.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub labels: BTreeMap<String, String>,
    /// Where to read what to do: a path in the documentation or a URL.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub runbook: Option<String>,
    /// What a person reads; `{{ expression }}` in it is replaced by the expression's value.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub message: Option<String>,
    /// Recommends an action instead of alerting.
    #[serde(default)]
    pub recommend: Option<Recommend>,
    /// Asks for a size instead of alerting: an expression that gives a number, rounded up.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub resize: Option<String>,
    /// Which number `resize` is for; `pool_size` by default.
    #[serde(default)]
    pub knob: Option<Knob>,
}

/// Which number of a scope a rule sizes.
#[expect(clippy::enum_variant_names, reason = "they are PgBouncer's names of the settings")]
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// The most servers of each pool, its reserve aside.
    PoolSize,
    /// Servers that are kept open while a pool has clients.
    MinPoolSize,
    /// Servers beyond the size for who has waited long.
    ReservePoolSize,
}

impl Knob {
    /// Returns the name of the setting where it is the whole target's, and elsewhere.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::PoolSize => ("default_pool_size", "pool_size"),
            Self::MinPoolSize => ("min_pool_size", "min_pool_size"),
            Self::ReservePoolSize => ("reserve_pool_size", "reserve_pool_size"),
        }
    }
}

impl From<Knob> for poolwarden_policy::Knob {
    fn from(knob: Knob) -> Self {
        match knob {
            Knob::PoolSize => Self::PoolSize,
            Knob::MinPoolSize => Self::MinPoolSize,
            Knob::ReservePoolSize => Self::ReservePoolSize,
        }
    }
}

/// What a person should do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recommend {
    /// The exact lines or commands; `{{ expression }}` is replaced as in `message`.
    #[schemars(length(max = 2000))]
    pub action: String,
}

/// What a rule is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Each pool by itself.
    Pool,
    /// Each size scope by itself.
    Scope,
    /// The PgBouncer as a whole.
    Target,
    /// The PostgreSQL server behind it.
    DatabaseServer,
}

impl On {
    /// Returns the name in settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Scope => "scope",
            Self::Target => "target",
            Self::DatabaseServer => "database_server",
        }
    }
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should act soon.
    Warning,
    /// Somebody must act now.
    Critical,
}

impl From<Severity> for poolwarden_policy::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}
