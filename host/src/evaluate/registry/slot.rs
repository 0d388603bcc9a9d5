//! One policy's place: what serves, what served before, and what was counted.
//!
//! Only a version that answered well becomes the one to fall back on, so that two bad versions in a
//! row cannot push the last good one out.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::latest::Latest;
use super::scan::Stamp;
use super::{PolicyState, PolicyStatus, Refusal};
use crate::evaluate::{Fault, Policy, PolicyResult};
use crate::model::{Mode, PolicyName, Timestamp};

#[derive(Debug, Default)]
pub struct Slot {
    pub active: Option<Arc<Policy>>,
    /// The last good version before the active one, for when that turns out bad.
    pub previous: Option<Arc<Policy>>,
    pub stamp: Option<Stamp>,
    /// The active version has answered, and well.
    proven: bool,
    problem: Option<String>,
    quarantined: bool,
    faults_in_row: u32,
    faults: u64,
    last_fault: Option<Fault>,
    evaluations: u64,
    evaluation_time: Duration,
    evaluated_at: Option<Timestamp>,
    latest: Latest,
}

impl Slot {
    /// Lets a new version serve.
    pub fn take(&mut self, policy: Arc<Policy>) {
        let digest = policy.digest().to_string();
        tracing::info!(policy = policy.name().as_str(), digest, "the policy serves");
        let is_good = self.proven && self.faults_in_row == 0;
        let old = self.active.replace(policy);
        if is_good || self.previous.is_none() {
            self.previous = old;
        }
        self.proven = false;
        self.faults_in_row = 0;
        self.keep();
    }

    /// Notes that what serves is what the folder holds.
    pub fn keep(&mut self) {
        self.problem = None;
        self.quarantined = false;
    }

    /// Notes why what the folder holds may not serve.
    pub fn refuse(&mut self, name: &PolicyName, refusal: Refusal) {
        let Refusal { problem, is_passing } = refusal;
        if is_passing {
            self.stamp = None;
        }
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!(policy = name.as_str(), problem, "the policy cannot be taken over");
            self.problem = Some(problem);
        }
    }

    /// Counts an evaluation; says whether it put the active version into quarantine.
    pub fn count(&mut self, result: &PolicyResult, faults_max: u32) -> bool {
        self.evaluations += 1;
        self.evaluation_time += result.took;
        self.evaluated_at = self.evaluated_at.max(Some(result.input.at()));
        self.latest.note(result);
        let is_current =
            self.active.as_ref().is_some_and(|active| Arc::ptr_eq(active, &result.policy));
        match &result.outcome {
            Ok(_) if is_current => {
                self.faults_in_row = 0;
                self.proven = true;
            }
            Ok(_) => {}
            Err(fault) => {
                self.faults += 1;
                self.last_fault = Some(fault.clone());
                self.faults_in_row += u32::from(is_current);
            }
        }
        let is_bad = self.faults_in_row >= faults_max;
        if is_bad {
            self.quarantine(result.policy.name());
        }
        is_bad
    }

    fn quarantine(&mut self, name: &PolicyName) {
        let fault = self.last_fault.as_ref().map(ToString::to_string).unwrap_or_default();
        // What the operator has taken back since stays taken back.
        let newest = self.active.take();
        let narrowed = |previous: Arc<Policy>| match &newest {
            Some(newest) => Arc::new(previous.at_most(&newest.file)),
            None => previous,
        };
        self.active = self.previous.take().map(narrowed);
        self.proven = false;
        self.quarantined = true;
        self.faults_in_row = 0;
        let instead = self.active.is_some();
        self.problem = Some(format!("quarantined after faults in a row: the plugin {fault}"));
        tracing::warn!(policy = name.as_str(), fault, instead, "a policy faulted too often");
    }

    fn state(&self) -> PolicyState {
        match (&self.active, &self.problem, self.quarantined) {
            (Some(_), None, _) => PolicyState::Serving,
            (Some(_), Some(_), _) => PolicyState::LastGood,
            (None, _, true) => PolicyState::Quarantined,
            (None, _, false) => PolicyState::Broken,
        }
    }

    /// Gives the latest evaluations.
    pub fn latest(&self) -> &Latest {
        &self.latest
    }

    /// Gives what the API shows.
    pub fn status(&self, name: &PolicyName) -> PolicyStatus {
        let active = self.active.as_ref();
        let plugin = active.map(|policy| &policy.plugin);
        PolicyStatus {
            name: name.clone(),
            state: self.state(),
            mode: active.map_or(Mode::Observe, |policy| policy.mode()),
            priority: active.map_or(0, |policy| policy.file.priority),
            shadow_of: active.and_then(|policy| policy.file.shadow_of.clone()),
            plugin: plugin.map(|plugin| plugin.name.clone()).unwrap_or_default(),
            plugin_version: plugin.map(|plugin| plugin.version.to_string()).unwrap_or_default(),
            purpose: plugin.map(|plugin| plugin.purpose.clone()).unwrap_or_default(),
            digest: plugin.map(|plugin| plugin.digest),
            settings: active.map_or(Value::Null, |policy| policy.file.settings.clone()),
            settings_schema: plugin.map_or(Value::Null, |plugin| plugin.schema.clone()),
            loaded_at: active.map(|policy| policy.loaded_at),
            problem: self.problem.clone(),
            every: active.map(|policy| policy.every()),
            past: active.and_then(|policy| policy.past()),
            evaluated_at: self.evaluated_at,
            evaluations: self.evaluations,
            evaluation_us: u64::try_from(self.evaluation_time.as_micros()).unwrap_or(u64::MAX),
            faults: self.faults,
            last_fault: self.last_fault.as_ref().map(ToString::to_string),
            last_fault_kind: self.last_fault.as_ref().map(Fault::kind),
        }
    }
}
