//! Policies with their state.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::shadow::Shadow;
use super::{Text, millis};
use crate::control::View;
use crate::evaluate::PolicyStatus;
use crate::model::{Digest, Timestamp};

/// A policy and what serves for it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Policy<'a> {
    name: &'a str,
    /// `last_good`: what the folder holds cannot serve, an earlier version does.
    #[schema(pattern = "^(serving|last_good|quarantined|broken)$")]
    state: &'static str,
    /// What is wrong with what the folder holds.
    problem: Option<&'a str>,
    #[schema(pattern = "^(observe|recommend|enforce)$")]
    mode: &'static str,
    /// Policies with a higher one are heard first.
    priority: i32,
    /// How it compares with the policy that it shadows; null when it shadows none.
    shadow: Option<Shadow<'a>>,
    /// The plugin's own name; empty while nothing serves, as the next three.
    plugin: &'a str,
    plugin_version: &'a str,
    purpose: &'a str,
    #[schema(value_type = Option<String>, example = "sha256:…")]
    plugin_digest: Option<Text<Digest>>,
    #[schema(value_type = Object)]
    settings: &'a Value,
    /// JSON Schema that settings must satisfy.
    #[schema(value_type = Object)]
    settings_schema: &'a Value,
    /// When it was taken over, milliseconds since 1970.
    loaded_at_ms: Option<u64>,
    /// Least time between two evaluations; 0: whenever there is news.
    every_ms: Option<u64>,
    /// Length and number of the steps of the past that the plugin sees.
    past_step_ms: Option<u64>,
    past_steps: Option<u32>,
    /// When it was last evaluated, for whichever target, milliseconds since 1970.
    evaluated_at_ms: Option<u64>,
    evaluations: u64,
    /// Time of all evaluations together.
    evaluation_us: u64,
    /// Mean time of an evaluation.
    evaluation_mean_us: Option<u64>,
    /// Evaluations in which the plugin misbehaved.
    faults: u64,
    last_fault: Option<&'a str>,
    last_fault_kind: Option<&'static str>,
}

impl<'a> Policy<'a> {
    fn new(status: &'a PolicyStatus, view: &'a View) -> Self {
        let shadow = |of| Shadow::new(&status.name, of, view);
        Self {
            name: status.name.as_str(),
            state: status.state.as_str(),
            problem: status.problem.as_deref(),
            mode: status.mode.as_str(),
            priority: status.priority,
            shadow: status.shadow_of.as_ref().map(shadow),
            plugin: &status.plugin,
            plugin_version: &status.plugin_version,
            purpose: &status.purpose,
            plugin_digest: status.digest.map(Text),
            settings: &status.settings,
            settings_schema: &status.settings_schema,
            loaded_at_ms: status.loaded_at.map(Timestamp::as_millis),
            every_ms: status.every.map(millis),
            past_step_ms: status.past.map(|past| millis(past.step)),
            past_steps: status.past.map(|past| past.steps),
            evaluated_at_ms: status.evaluated_at.map(Timestamp::as_millis),
            evaluations: status.evaluations,
            evaluation_us: status.evaluation_us,
            evaluation_mean_us: status.evaluation_us.checked_div(status.evaluations),
            faults: status.faults,
            last_fault: status.last_fault.as_deref(),
            last_fault_kind: status.last_fault_kind,
        }
    }
}

/// Every policy that the folder names.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct PolicyList<'a> {
    /// The folder.
    folder: String,
    /// Why the folder as a whole cannot be read; what serves, serves on.
    folder_problem: Option<&'a str>,
    policies: Vec<Policy<'a>>,
}

impl<'a> PolicyList<'a> {
    pub fn new(
        folder: String,
        problem: Option<&'a str>,
        statuses: &'a [PolicyStatus],
        view: &'a View,
    ) -> Self {
        let policies = statuses.iter().map(|status| Policy::new(status, view)).collect();
        Self { folder, folder_problem: problem, policies }
    }
}
