//! What Prometheus reads: counts that the app reports as it goes, and gauges taken from the view.
//!
//! The text format 0.0.4 is written by hand. The crate `prometheus-client` writes OpenMetrics
//! alone, where the family of a counter loses its `_total`, so that a reader of the older format
//! (which is what dashboards for `pgbouncer_exporter` were made with) would find those families
//! untyped. And nearly everything here is read from the view at the moment of the scrape, for
//! which a registry of living metrics has no use.

mod exporter;
mod histogram;
mod own;
mod process;
#[cfg(test)]
pub(crate) mod sample;
mod sessions;
mod tally;
mod text;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::console::Cost;
use crate::control::View;
use crate::evaluate::{PolicyResult, PolicyStatus};
use crate::model::{TargetName, Timestamp};
use crate::record::Batch;
use tally::Tally;
use text::Text;

/// The content type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The counts of one process.
#[derive(Debug, Default)]
pub struct Metrics {
    tally: Mutex<Tally>,
}

/// What a scrape shows beside the counts.
#[derive(Debug, Clone, Copy)]
pub struct Scrape<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The targets.
    pub view: &'a View,
    /// The policies.
    pub policies: &'a [PolicyStatus],
    /// Whether the policies folder as a whole cannot be read.
    pub folder_failing: bool,
    /// What the store takes on disk, where that is known.
    pub store_bytes: Option<u64>,
    /// Whether the store cannot be written.
    pub store_failing: bool,
}

impl Metrics {
    /// Starts all counts at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts what a good poll cost, by command.
    pub fn polled(&self, target: &TargetName, costs: &[Cost]) {
        let mut tally = self.lock();
        for cost in costs {
            tally.poll(target, cost);
        }
    }

    /// Counts what a look at who is on the console cost.
    pub fn attended(&self, target: &TargetName, cost: &Cost) {
        self.lock().poll(target, cost);
    }

    /// Counts a failed poll by the short name of its failure.
    pub fn poll_failed(&self, target: &TargetName, kind: &str) {
        self.lock().poll_failed(target, kind);
    }

    /// Counts one policy's evaluation, with its fault if it had one.
    pub fn evaluated(&self, target: &TargetName, result: &PolicyResult) {
        let fault = result.outcome.as_ref().err().map(crate::evaluate::Fault::kind);
        self.lock().evaluated(target, result.policy.name(), result.took, fault);
    }

    /// Counts the decisions and transitions of a batch that the store has taken.
    pub fn recorded(&self, batch: &Batch) {
        let mut tally = self.lock();
        batch.decisions.iter().for_each(|decision| tally.decided(decision));
        batch.transitions.iter().for_each(|transition| tally.moved(transition));
    }

    /// Counts a change that was tried: `in_force`, or the short name of its failure.
    pub fn resized(&self, target: &TargetName, took: Duration, outcome: &str) {
        self.lock().resized(target, took, outcome);
    }

    /// Counts a look at single sessions, with what it cost, by command.
    pub fn looked(&self, target: &TargetName, took: Duration, costs: &[Cost]) {
        let mut tally = self.lock();
        tally.sessions.looked(target, took);
        for cost in costs {
            tally.poll(target, cost);
        }
    }

    /// Counts a failed look at single sessions by the short name of its failure.
    pub fn look_failed(&self, target: &TargetName, kind: &'static str) {
        self.lock().sessions.look_failed(target, kind);
    }

    /// Counts a session that was to be ended, by what came of it.
    pub fn session_ended(&self, target: &TargetName, outcome: &'static str) {
        self.lock().sessions.ended(target, outcome);
    }

    /// Counts a write that the store refused, by the short name of its failure.
    pub fn store_failed(&self, kind: &str) {
        self.lock().store_failed(kind);
    }

    /// Counts one reading of a target's longer past, with the rows that are at hand after it.
    pub fn past_read(&self, target: &TargetName, took: Duration, rows: usize) {
        self.lock().past_read(target, took, rows);
    }

    /// Counts one whole tick of a target, from the poll to what was recorded.
    pub fn tick(&self, target: &TargetName, took: Duration) {
        self.lock().tick(target, took);
    }

    /// Writes everything in Prometheus' text format 0.0.4.
    pub fn render(&self, scrape: &Scrape<'_>) -> String {
        let mut text = Text::default();
        exporter::write(&mut text, scrape.view);
        own::write(&mut text, scrape);
        self.lock().write(&mut text);
        process::write(&mut text);
        text.into_string()
    }

    /// A panic elsewhere leaves at worst one count unmade, which is no reason to stop counting.
    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
