//! The configuration as it is written: TOML keys, with their meaning, unit, default and range.
//!
//! This is the one source of the loader, the JSON Schema, the environment names and the example
//! file: doc comments become descriptions, `Default` and `range` become the stated defaults and
//! bounds. Every key is read once, when the sidecar starts; a change takes effect at a restart.

mod target;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use target::{RawDatabase, RawEffect, RawLimits, RawOverride, RawSessions, RawTarget};

/// Configuration of Poolwarden.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// Whether PgBouncer is watched at all; off, only the HTTP server runs.
    pub monitoring: bool,
    /// The HTTP server.
    pub http: RawHttp,
    /// The store of decisions and history.
    pub store: RawStore,
    /// Policies and what their plugins may use.
    pub policies: RawPolicies,
    /// How often PgBouncer is asked.
    pub poll: RawPoll,
    /// What the recent past of a pool is reckoned from.
    pub history: RawHistory,
    /// What happens when the sidecar is told to stop.
    pub shutdown: RawShutdown,
    /// The sidecar's own log.
    pub log: RawLog,
    /// A PgBouncer to watch; repeat the table for each one.
    pub target: Vec<RawTarget>,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            monitoring: true,
            http: RawHttp::default(),
            store: RawStore::default(),
            policies: RawPolicies::default(),
            poll: RawPoll::default(),
            history: RawHistory::default(),
            shutdown: RawShutdown::default(),
            log: RawLog::default(),
            target: Vec::new(),
        }
    }
}

/// The HTTP server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawHttp {
    /// Address and port to listen on; port 0 takes a free one. Any address that is not loopback
    /// needs a token.
    #[schemars(length(min = 1))]
    pub listen: String,
    /// Bearer token that requests must carry. Better given by `token_file`.
    #[schemars(length(min = 1), extend("x-secret" = true, "examples" = ["change-me"]))]
    pub token: Option<String>,
    /// File that holds the bearer token; a newline at its end is not part of it.
    #[schemars(length(min = 1), extend("examples" = ["/run/secrets/poolwarden-token"]))]
    pub token_file: Option<String>,
}

impl Default for RawHttp {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7432".to_owned(), token: None, token_file: None }
    }
}

/// The store of decisions and history.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawStore {
    /// Folder of the database file, made when missing; the only one that is written to, but for
    /// that of `override.path`.
    #[schemars(length(min = 1))]
    pub dir: String,
    /// Days for which decisions are kept.
    #[schemars(range(min = 1, max = 3650))]
    pub decisions_kept_days: u64,
    /// Days for which the inputs of decisions are kept, which a replay needs; not longer than the
    /// decisions.
    #[schemars(range(min = 1, max = 3650))]
    pub inputs_kept_days: u64,
    /// Largest size of the database file in MiB.
    #[schemars(range(min = 16, max = 1_048_576))]
    pub size_max_mib: u64,
}

impl Default for RawStore {
    fn default() -> Self {
        Self {
            dir: "./data".to_owned(),
            decisions_kept_days: 90,
            inputs_kept_days: 30,
            size_max_mib: 1024,
        }
    }
}

/// Policies and what their plugins may use.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPolicies {
    /// Folder of the policies (`.toml`) and plugins (`.wasm`); its content is reloaded while the
    /// sidecar runs.
    #[schemars(length(min = 1))]
    pub dir: String,
    /// Milliseconds between two looks at the folder, for changes that were not reported.
    #[schemars(range(min = 100, max = 600_000))]
    pub rescan_interval_ms: u64,
    /// What one evaluation of a plugin may use.
    pub limits: RawPluginLimits,
}

impl Default for RawPolicies {
    fn default() -> Self {
        Self {
            dir: "./policies".to_owned(),
            rescan_interval_ms: 5000,
            limits: RawPluginLimits::default(),
        }
    }
}

/// What one evaluation of a plugin may use.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPluginLimits {
    /// Milliseconds that an evaluation may take.
    #[schemars(range(min = 1, max = 10_000))]
    pub deadline_ms: u64,
    /// Linear memory of an evaluation in MiB; an interpreter starts with about 25.
    #[schemars(range(min = 1, max = 1024))]
    pub memory_mib: u64,
    /// Largest answer of an evaluation in KiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub answer_kib: u64,
    /// Largest memory that a policy keeps between evaluations in KiB.
    #[schemars(range(min = 1, max = 16_384))]
    pub blob_kib: u64,
    /// Faults in a row after which a policy is quarantined.
    #[schemars(range(min = 1, max = 1000))]
    pub faults_max: u32,
}

impl Default for RawPluginLimits {
    fn default() -> Self {
        Self { deadline_ms: 50, memory_mib: 64, answer_kib: 256, blob_kib: 64, faults_max: 3 }
    }
}

/// How often PgBouncer is asked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPoll {
    /// Milliseconds between two polls while nobody waits.
    #[schemars(range(min = 100, max = 60_000))]
    pub interval_ms: u64,
    /// Milliseconds between two polls while a client waits; not longer than `interval_ms`.
    #[schemars(range(min = 20, max = 60_000))]
    pub fast_interval_ms: u64,
    /// Milliseconds between two glances at the pools in between, which count only when a client waits or
    /// a pool has become nearly full: a burst is then seen that much sooner. 0 for none. A glance that
    /// takes PgBouncer long comes more seldom.
    #[schemars(range(min = 0, max = 60_000))]
    pub glance_interval_ms: u64,
    /// Milliseconds after which a console session is closed; an open one would hold up
    /// PgBouncer's own shutdown.
    #[schemars(range(min = 100, max = 2000))]
    pub session_age_max_ms: u64,
    /// Longest pause in milliseconds between two tries to reach a PgBouncer that does not answer.
    #[schemars(range(min = 100, max = 300_000))]
    pub backoff_max_ms: u64,
}

impl Default for RawPoll {
    fn default() -> Self {
        Self {
            interval_ms: 1000,
            fast_interval_ms: 100,
            glance_interval_ms: 200,
            session_age_max_ms: 1500,
            backoff_max_ms: 10_000,
        }
    }
}

/// What the recent past of a pool is reckoned from.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawHistory {
    /// Seconds over which rates and means are taken; not longer than `long_span_s`.
    #[schemars(range(min = 1, max = 600))]
    pub short_span_s: u64,
    /// Seconds over which percentiles, maxima and trends are taken.
    #[schemars(range(min = 10, max = 3600))]
    pub long_span_s: u64,
    /// Milliseconds within which a queue should be drained; turns waiting clients into demand.
    #[schemars(range(min = 10, max = 60_000))]
    pub drain_horizon_ms: u64,
    /// Milliseconds of waiting without an age after which clients count as queued at login.
    #[schemars(range(min = 100, max = 600_000))]
    pub login_queue_after_ms: u64,
    /// Milliseconds without anybody served after which a queue counts as wedged.
    #[schemars(range(min = 100, max = 600_000))]
    pub wedged_after_ms: u64,
}

impl Default for RawHistory {
    fn default() -> Self {
        Self {
            short_span_s: 10,
            long_span_s: 600,
            drain_horizon_ms: 250,
            login_queue_after_ms: 1000,
            wedged_after_ms: 3000,
        }
    }
}

/// What happens when the sidecar is told to stop.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawShutdown {
    /// Milliseconds for what has begun to come to its end.
    #[schemars(range(min = 100, max = 300_000))]
    pub grace_ms: u64,
    /// Whether changed pool sizes stay, or the values of PgBouncer's own file are put back.
    pub sizes: RawExitSizes,
}

impl Default for RawShutdown {
    fn default() -> Self {
        Self { grace_ms: 10_000, sizes: RawExitSizes::Keep }
    }
}

// No doc comments on the variants of these enums: with them the schema would be a `oneOf` of
// constants, and its errors would not list the choices.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum RawExitSizes {
    Keep,
    HandBack,
}

/// The sidecar's own log.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLog {
    /// Levels to log, for example `info` or `warn,poolwarden=debug`.
    #[schemars(length(min = 1))]
    pub filter: String,
    /// Form of a line.
    pub format: RawLogFormat,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: RawLogFormat::Text }
    }
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum RawLogFormat {
    Text,
    Json,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
pub enum RawMode {
    #[default]
    Observe,
    Recommend,
    Enforce,
}
