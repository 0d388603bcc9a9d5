//! Counts that the app reports as it goes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::{EVALUATIONS, Histogram, ROUND_TRIPS};
use super::sessions::Sessions;
use super::text::{Kind, Text};
use crate::console::Cost;
use crate::model::{Decision, Outcome, PolicyName, TargetName, Transition};

/// Every count; series come from targets, policies and fixed names, so they stay few.
#[derive(Debug, Default)]
pub(super) struct Tally {
    polls: BTreeMap<(TargetName, &'static str), (Histogram, u64)>,
    polls_failed: BTreeMap<(TargetName, String), u64>,
    evaluations: BTreeMap<(TargetName, PolicyName), Histogram>,
    faults: BTreeMap<(TargetName, PolicyName, &'static str), u64>,
    decisions: BTreeMap<(TargetName, &'static str, &'static str, &'static str), u64>,
    transitions: BTreeMap<&'static str, u64>,
    resizes: BTreeMap<(TargetName, String), u64>,
    resize_times: BTreeMap<TargetName, Histogram>,
    store_failures: BTreeMap<String, u64>,
    ticks: BTreeMap<TargetName, Histogram>,
    pub sessions: Sessions,
    pasts: BTreeMap<TargetName, (Histogram, usize)>,
}

impl Tally {
    pub fn poll(&mut self, target: &TargetName, cost: &Cost) {
        let key = (target.clone(), cost.command);
        let (times, rows) =
            self.polls.entry(key).or_insert_with(|| (Histogram::new(&ROUND_TRIPS), 0));
        times.add(cost.took);
        *rows += u64::try_from(cost.rows).unwrap_or(0);
    }

    pub fn poll_failed(&mut self, target: &TargetName, kind: &str) {
        *self.polls_failed.entry((target.clone(), kind.to_owned())).or_default() += 1;
    }

    pub fn evaluated(
        &mut self,
        target: &TargetName,
        policy: &PolicyName,
        took: Duration,
        fault: Option<&'static str>,
    ) {
        let key = (target.clone(), policy.clone());
        self.evaluations.entry(key).or_insert_with(|| Histogram::new(&EVALUATIONS)).add(took);
        if let Some(kind) = fault {
            *self.faults.entry((target.clone(), policy.clone(), kind)).or_default() += 1;
        }
    }

    pub fn decided(&mut self, decision: &Decision) {
        let outcome = decision.verdict.as_ref().map(|verdict| verdict.outcome);
        let key = (
            decision.target.clone(),
            decision.kind().as_str(),
            decision.status.as_str(),
            outcome.map_or("", Outcome::as_str),
        );
        *self.decisions.entry(key).or_default() += 1;
    }

    pub fn moved(&mut self, transition: &Transition) {
        *self.transitions.entry(transition.status.as_str()).or_default() += 1;
    }

    pub fn resized(&mut self, target: &TargetName, took: Duration, outcome: &str) {
        *self.resizes.entry((target.clone(), outcome.to_owned())).or_default() += 1;
        let new = || Histogram::new(&ROUND_TRIPS);
        self.resize_times.entry(target.clone()).or_insert_with(new).add(took);
    }

    pub fn store_failed(&mut self, kind: &str) {
        *self.store_failures.entry(kind.to_owned()).or_default() += 1;
    }

    pub fn tick(&mut self, target: &TargetName, took: Duration) {
        let new = || Histogram::new(&ROUND_TRIPS);
        self.ticks.entry(target.clone()).or_insert_with(new).add(took);
    }

    pub fn past_read(&mut self, target: &TargetName, took: Duration, rows: usize) {
        let new = || (Histogram::new(&ROUND_TRIPS), 0);
        let (times, at_hand) = self.pasts.entry(target.clone()).or_insert_with(new);
        times.add(took);
        *at_hand = rows;
    }

    pub fn write(&self, text: &mut Text) {
        self.write_polls(text);
        self.write_policies(text);
        self.write_decisions(text);
        self.sessions.write(text);
        self.write_pasts(text);
        let mut failures =
            text.counter("poolwarden_store_failures_total", "Writes that the store refused.");
        for (kind, count) in &self.store_failures {
            failures.sample(&[("kind", kind)], count);
        }
    }

    fn write_polls(&self, text: &mut Text) {
        let help = "Time that a console command took, from asking to the last row.";
        let mut seconds = text.family("poolwarden_poll_seconds", Kind::Histogram, help);
        for ((target, command), (times, _)) in &self.polls {
            times.write(&mut seconds, &[("target", target.as_str()), ("command", command)]);
        }
        let mut rows =
            text.counter("poolwarden_poll_rows_total", "Rows that a console command gave.");
        for ((target, command), (_, count)) in &self.polls {
            rows.sample(&[("target", target.as_str()), ("command", command)], count);
        }
        let mut failed = text.counter("poolwarden_polls_failed_total", "Polls that failed.");
        for ((target, kind), count) in &self.polls_failed {
            failed.sample(&[("target", target.as_str()), ("kind", kind)], count);
        }
        let help = "Time of a whole tick, from the poll to what was recorded.";
        let mut seconds = text.family("poolwarden_tick_seconds", Kind::Histogram, help);
        for (target, times) in &self.ticks {
            times.write(&mut seconds, &[("target", target.as_str())]);
        }
    }

    fn write_policies(&self, text: &mut Text) {
        let help = "Time of one evaluation, its fresh instance included.";
        let name = "poolwarden_policy_evaluation_seconds";
        let mut seconds = text.family(name, Kind::Histogram, help);
        for ((target, policy), times) in &self.evaluations {
            let labels = [("target", target.as_str()), ("policy", policy.as_str())];
            times.write(&mut seconds, &labels);
        }
        let help = "Evaluations in which the plugin misbehaved.";
        let mut faults = text.counter("poolwarden_policy_faults_total", help);
        for ((target, policy, kind), count) in &self.faults {
            let labels = [("target", target.as_str()), ("policy", policy.as_str()), ("kind", kind)];
            faults.sample(&labels, count);
        }
    }

    fn write_pasts(&self, text: &mut Text) {
        let help = "Time of reading the longer past that policies see, from the store.";
        let mut seconds = text.family("poolwarden_past_read_seconds", Kind::Histogram, help);
        for (target, (times, _)) in &self.pasts {
            times.write(&mut seconds, &[("target", target.as_str())]);
        }
        let help = "Rows of the longer past that are at hand: pools times steps.";
        let mut rows = text.gauge("poolwarden_past_rows", help);
        for (target, (_, count)) in &self.pasts {
            rows.sample(&[("target", target.as_str())], count);
        }
    }

    fn write_decisions(&self, text: &mut Text) {
        let help = "Decisions recorded, with the status that they began with.";
        let mut decisions = text.counter("poolwarden_decisions_total", help);
        for ((target, kind, status, outcome), count) in &self.decisions {
            let labels = [
                ("target", target.as_str()),
                ("kind", kind),
                ("status", status),
                ("outcome", outcome),
            ];
            decisions.sample(&labels, count);
        }
        let help = "Changes of a decision's status, by the new one.";
        let mut transitions = text.counter("poolwarden_transitions_total", help);
        for (status, count) in &self.transitions {
            transitions.sample(&[("status", status)], count);
        }
        let help = "Changes of a size that were tried, by what came of them.";
        let mut resizes = text.counter("poolwarden_resizes_total", help);
        for ((target, outcome), count) in &self.resizes {
            resizes.sample(&[("target", target.as_str()), ("outcome", outcome)], count);
        }
        let help = "Time from the recorded intent to the size read back.";
        let mut seconds = text.family("poolwarden_resize_seconds", Kind::Histogram, help);
        for (target, times) in &self.resize_times {
            times.write(&mut seconds, &[("target", target.as_str())]);
        }
    }
}
