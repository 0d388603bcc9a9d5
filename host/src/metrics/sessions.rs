//! Counts of looks at single sessions, and of sessions that were to be ended.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::{Histogram, ROUND_TRIPS};
use super::text::{Kind, Text};
use crate::model::TargetName;

/// The counts; a look's commands count among the polls' too, by command.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    looks: BTreeMap<TargetName, Histogram>,
    failed: BTreeMap<(TargetName, &'static str), u64>,
    ended: BTreeMap<(TargetName, &'static str), u64>,
}

impl Sessions {
    pub fn looked(&mut self, target: &TargetName, took: Duration) {
        self.looks.entry(target.clone()).or_insert_with(|| Histogram::new(&ROUND_TRIPS)).add(took);
    }

    pub fn look_failed(&mut self, target: &TargetName, kind: &'static str) {
        *self.failed.entry((target.clone(), kind)).or_default() += 1;
    }

    pub fn ended(&mut self, target: &TargetName, outcome: &'static str) {
        *self.ended.entry((target.clone(), outcome)).or_default() += 1;
    }

    pub fn write(&self, text: &mut Text) {
        let help = "Time of a whole look at single sessions, PostgreSQL's part included.";
        let name = "poolwarden_session_look_seconds";
        let mut seconds = text.family(name, Kind::Histogram, help);
        for (target, times) in &self.looks {
            times.write(&mut seconds, &[("target", target.as_str())]);
        }
        let help = "Looks at single sessions that failed.";
        let mut failed = text.counter("poolwarden_session_looks_failed_total", help);
        for ((target, kind), count) in &self.failed {
            failed.sample(&[("target", target.as_str()), ("kind", kind)], count);
        }
        let help = "Sessions that were to be ended, by what came of them.";
        let mut ended = text.counter("poolwarden_sessions_ended_total", help);
        for ((target, outcome), count) in &self.ended {
            ended.sample(&[("target", target.as_str()), ("outcome", outcome)], count);
        }
    }
}
