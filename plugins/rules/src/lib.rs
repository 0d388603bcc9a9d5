//! Alerting rules without code: each rule is a condition in CEL and what follows from it.
//!
//! Rules stand in the policy's settings. Every evaluation is a fresh instance, so they are parsed
//! and checked each time (5 µs an expression), which is also how a mistake is found when the policy
//! is loaded: the dry run on an empty window fails with rule, column and what was expected.
//!
//! CEL is the `cel` crate's (<https://github.com/cel-rust/cel-rust>), kept and released monthly. Of
//! the others, `cel-interpreter` is its old name; `rscel` and `cel-core` bring chrono's clock and
//! time zones, which import JavaScript under Wasm; `cel-cxx` is C++; `cel-rs` stands still.

mod check;
mod column;
mod expression;
mod fast;
mod field;
mod formula;
mod interpret;
mod nearest;
mod propose;
mod rule;
mod settings;
mod template;
mod types;

use std::collections::{BTreeMap, BTreeSet};

use poolwarden_policy::{
    Alert, Condition, Policy, Proposal, Severity, Subject, TargetStatus, Window, log,
};
use serde::{Deserialize, Serialize};

pub use crate::settings::{On, Recommend, Rule, Settings};

use crate::column::Columns;
use crate::interpret::Interpreter;
use crate::propose::Collector;
use crate::rule::{Compiled, Follows};

/// Most proposals, however many pools there are: nobody reads more, and a deadline has to be kept.
const PROPOSALS_MAX: usize = 5_000;

/// The policy.
pub struct Rules;

/// What the policy keeps between evaluations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Rules whose condition could not be told last time; each is logged once, not every second.
    untold: BTreeSet<String>,
}

impl Policy for Rules {
    const NAME: &'static str = "rules";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str = "Alerts, recommends and sizes by rules in CEL, without code.";
    type Settings = Settings;
    type Memory = Memory;

    fn evaluate(
        settings: &Settings,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<Vec<Proposal>, String> {
        let interpreter = Interpreter::default();
        let rules = rule::compile(settings, &interpreter).map_err(|all| all.join("; "))?;
        let mut collector = Collector {
            window,
            interpreter: &interpreter,
            proposals: Vec::new(),
            sizes: BTreeMap::new(),
        };
        let before = std::mem::take(&mut memory.untold);
        let mut columns: BTreeMap<On, Columns<'_>> = BTreeMap::new();
        for rule in rules.iter().filter(|rule| is_asked(rule, window)) {
            let columns = columns.entry(rule.on).or_insert_with(|| Columns::new(window, rule.on));
            columns.load(rule.findings.mentions.iter().map(|(field, _)| *field));
            let mut holds = rule.when.holds(columns, &interpreter);
            if let Some(row) = holds.error {
                note_untold(rule, row, &before, memory);
            }
            if rule.on == On::Pool {
                holds.rows.retain(|row| !is_stale(window, *row));
            }
            let room = proposals_max(window).saturating_sub(collector.proposals.len());
            if holds.rows.len() > room {
                collector.proposals.push(too_many(rule, holds.rows.len()));
                break;
            }
            collector.add(rule, columns, &holds.rows);
        }
        Ok(collector.finish())
    }
}

/// Says whether a rule is evaluated at all.
///
/// While the target is down its pools are what they were: the sidecar keeps their alerts, and sizes
/// wait until the target is up.
fn is_asked(rule: &Compiled<'_>, window: &Window) -> bool {
    let status = window.target().status;
    let is_about_pools = matches!(rule.on, On::Pool | On::Scope);
    match rule.follows {
        Follows::Resize { .. } => status == TargetStatus::Up,
        _ => status != TargetStatus::Down || !is_about_pools,
    }
}

fn is_stale(window: &Window, row: usize) -> bool {
    let code = window.columns().pools.condition.get(row);
    code.is_none_or(|code| Condition::from_code(*code) == Condition::Stale)
}

/// What the sidecar takes of one answer, with some left for sizes.
fn proposals_max(window: &Window) -> usize {
    let scopes = window.scopes().len();
    (window.pools().len() * 8 + 99).saturating_sub(scopes).min(PROPOSALS_MAX)
}

fn too_many(rule: &Compiled<'_>, rows: usize) -> Proposal {
    let name = &rule.rule.name;
    Alert::new("too-many-alerts", Subject::Target)
        .severity(Severity::Critical)
        .runbook("docs/runbooks/too-many-alerts.md")
        .summary(format!(
            "Too many rules hold to tell of each: {name:?} alone in {rows} places, and from it on \
             nothing is told."
        ))
        .evidence("places", u32::try_from(rows).unwrap_or(u32::MAX))
        .into()
}

fn note_untold(rule: &Compiled<'_>, row: usize, before: &BTreeSet<String>, memory: &mut Memory) {
    let name = &rule.rule.name;
    if !before.contains(name) {
        let when = &rule.rule.when;
        log::warn(&format!("rule {name:?} cannot be told, first in row {row}: {when}"));
    }
    memory.untold.insert(name.clone());
}

poolwarden_policy::export!(Rules);

#[cfg(test)]
mod tests;
