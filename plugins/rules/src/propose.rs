//! Turns rows in which a rule holds into alerts, recommendations and sizes.
//!
//! Sizes are gathered over all rules first: a scope is asked for one size, the largest that any
//! rule wants for any of its pools.

use std::collections::BTreeMap;
use std::time::Duration;

use poolwarden_policy::{
    Alert, Proposal, Recommendation, Resize, Scope, ScopeKind, Severity, Subject, Window,
};

use crate::column::{Column, Columns};
use crate::formula::Formula;
use crate::interpret::Interpreter;
use crate::rule::{Compiled, Follows};
use crate::settings::{Knob, On, Rule};
use crate::template::Template;

/// Longest text of a proposal, in bytes; the contract's.
const TEXT_BYTES: usize = 2048;
/// Most pieces of evidence of one proposal; the contract's.
const EVIDENCE_MAX: usize = 32;

/// A size that a rule wants for a scope, and what it rests on.
pub(crate) struct Wanted {
    rule: String,
    knob: Knob,
    size: u32,
    reason: String,
    evidence: Vec<(String, f64)>,
}

/// The sizes that are wanted, by scope and knob.
pub(crate) type Sizes = BTreeMap<(usize, Knob), Wanted>;

/// Collects what follows from rules.
pub(crate) struct Collector<'w> {
    pub window: &'w Window,
    pub interpreter: &'w Interpreter,
    pub proposals: Vec<Proposal>,
    pub sizes: Sizes,
}

impl Collector<'_> {
    /// Adds what follows from a rule in those rows in which it holds.
    pub(crate) fn add(&mut self, rule: &Compiled<'_>, columns: &Columns<'_>, rows: &[usize]) {
        match &rule.follows {
            Follows::Alert(message) => {
                let summaries = self.texts(rule, message.as_ref(), columns, rows);
                for (row, summary) in rows.iter().zip(summaries) {
                    let alert = start(rule.rule, subject(columns, *row)).summary(summary);
                    let evidence = evidence(rule, columns, *row);
                    let alert = evidence
                        .into_iter()
                        .fold(alert, |alert, (name, value)| alert.evidence(&name, value));
                    self.proposals.push(alert.into());
                }
            }
            Follows::Recommend { summary, action } => {
                let summaries = self.texts(rule, summary.as_ref(), columns, rows);
                let actions = action.fill(columns, self.interpreter, rows, TEXT_BYTES);
                for ((row, summary), action) in rows.iter().zip(summaries).zip(actions) {
                    let advice = Recommendation::new(&rule.rule.name, subject(columns, *row))
                        .summary(summary)
                        .action(action);
                    self.proposals.push(with_evidence(advice, evidence(rule, columns, *row)));
                }
            }
            Follows::Resize { reason, size } => {
                self.want(rule, reason.as_ref(), (columns, size), rows);
            }
        }
    }

    /// Notes the sizes that a rule wants, unless another wants more.
    fn want(
        &mut self,
        rule: &Compiled<'_>,
        reason: Option<&Template>,
        (columns, size): (&Columns<'_>, &Formula),
        rows: &[usize],
    ) {
        let wanted = size.evaluate(columns);
        let reasons = self.texts(rule, reason, columns, rows);
        for (row, reason) in rows.iter().zip(reasons) {
            let knob = rule.rule.knob.unwrap_or(Knob::PoolSize);
            let number = wanted.number(columns, self.interpreter, *row);
            let Some(size) = number.and_then(|number| servers(number, knob)) else { continue };
            let of = (scope_of(columns, *row), knob);
            if self.sizes.get(&of).is_none_or(|other| other.size < size) {
                let (rule_name, evidence) = (rule.rule.name.clone(), evidence(rule, columns, *row));
                let wanted = Wanted { rule: rule_name, knob, size, reason, evidence };
                self.sizes.insert(of, wanted);
            }
        }
    }

    fn texts(
        &self,
        rule: &Compiled<'_>,
        template: Option<&Template>,
        columns: &Columns<'_>,
        rows: &[usize],
    ) -> Vec<String> {
        match template {
            Some(template) => template.fill(columns, self.interpreter, rows, TEXT_BYTES),
            None => rows.iter().map(|row| summary(rule, columns, *row)).collect(),
        }
    }

    /// Gives all proposals, the sizes last.
    pub(crate) fn finish(mut self) -> Vec<Proposal> {
        for ((scope, _), wanted) in std::mem::take(&mut self.sizes) {
            if let Some(scope) = self.window.scopes().nth(scope) {
                self.proposals.extend(resize(scope, wanted));
            }
        }
        self.proposals
    }
}

fn start(rule: &Rule, subject: Subject) -> Alert {
    let alert = Alert::new(&rule.name, subject)
        .severity(rule.severity.map_or(Severity::Warning, Into::into))
        .hold(Duration::from_millis(rule.for_ms.unwrap_or_default()))
        .cooldown(Duration::from_millis(rule.cooldown_ms.unwrap_or_default()))
        .runbook(rule.runbook.clone().unwrap_or_default());
    rule.labels.iter().fold(alert, |alert, (name, value)| alert.label(name, value))
}

fn with_evidence(advice: Recommendation, evidence: Vec<(String, f64)>) -> Proposal {
    evidence.into_iter().fold(advice, |advice, (name, value)| advice.evidence(&name, value)).into()
}

fn subject(columns: &Columns<'_>, row: usize) -> Subject {
    let index = u32::try_from(row).unwrap_or(u32::MAX);
    match columns.on {
        On::Pool => Subject::Pool(index),
        On::Scope => Subject::Scope(index),
        On::Target => Subject::Target,
        On::DatabaseServer => Subject::DatabaseServer,
    }
}

/// Returns the numbers that the rule mentions, as they are in a row.
fn evidence(rule: &Compiled<'_>, columns: &Columns<'_>, row: usize) -> Vec<(String, f64)> {
    let value = |(field, name): &(crate::field::FieldId, String)| {
        let value = match columns.get(*field)? {
            Column::Ints(cells) => crate::formula::number(&cel::Value::Int(*cells.get(row)?))?,
            Column::Doubles(cells) => *cells.get(row)?,
            Column::Bools(cells) => f64::from(u8::from(*cells.get(row)?)),
            Column::Texts(_) | Column::Labels(_) => return None,
        };
        value.is_finite().then(|| (name.clone(), value))
    };
    rule.findings.mentions.iter().filter_map(value).take(EVIDENCE_MAX).collect()
}

/// Writes what a rule without a message says: its condition's numbers.
fn summary(rule: &Compiled<'_>, columns: &Columns<'_>, row: usize) -> String {
    let numbers: Vec<String> = evidence(rule, columns, row)
        .into_iter()
        .map(|(name, value)| format!("{name} is {}", crate::formula::rounded(value)))
        .collect();
    let about = match columns.on {
        On::Pool => {
            let name = columns.window.pools().nth(row).map(|pool| pool.name()).unwrap_or_default();
            format!(" of {name}")
        }
        On::Scope => columns.window.scopes().nth(row).map(|s| of_scope(s)).unwrap_or_default(),
        On::Target => format!(" of {}", columns.window.target().name),
        On::DatabaseServer => " of PostgreSQL".to_owned(),
    };
    let mut text = format!("{}{about}: {}", rule.rule.name, numbers.join(", "));
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    text
}

fn of_scope(scope: Scope<'_>) -> String {
    format!(" of {}", setting(scope))
}

fn scope_of(columns: &Columns<'_>, row: usize) -> usize {
    match columns.on {
        On::Pool => columns.window.pools().nth(row).map_or(0, |pool| pool.scope_index()),
        _ => row,
    }
}

/// Rounds a wanted number up to whole servers; `None` for what is no number.
///
/// A `pool_size` is at least one: 0 means without limit, or none at all, by PgBouncer's version.
#[expect(clippy::as_conversions, reason = "bounded just before; there is no TryFrom")]
fn servers(wanted: f64, knob: Knob) -> Option<u32> {
    let least = if knob == Knob::PoolSize { 1.0 } else { 0.0 };
    (!wanted.is_nan()).then(|| wanted.ceil().clamp(least, f64::from(u32::MAX)) as u32)
}

/// Asks for a size within the guard's bounds, or says who must change what.
fn resize(scope: Scope<'_>, wanted: Wanted) -> Option<Proposal> {
    let Wanted { rule, knob, size, reason, mut evidence } = wanted;
    evidence.truncate(EVIDENCE_MAX - 1);
    evidence.push(("want".to_owned(), f64::from(size)));
    let present = match knob {
        Knob::PoolSize => scope.size(),
        Knob::MinPoolSize => scope.min_size(),
        Knob::ReservePoolSize => scope.reserve(),
    };
    if !scope.can_change(knob.into()) {
        if size == present {
            return None;
        }
        let advice = Recommendation::new(rule, scope.subject())
            .summary(reason)
            .action(ini_line(scope, knob, size));
        return Some(with_evidence(advice, evidence));
    }
    let size = match knob {
        Knob::PoolSize => {
            size.clamp(scope.floor().max(1), scope.ceiling().max(scope.floor()).max(1))
        }
        Knob::MinPoolSize | Knob::ReservePoolSize => size,
    };
    if size == present {
        return None;
    }
    let resize = Resize::new(scope, size).knob(knob.into()).reason(reason);
    Some(
        evidence
            .into_iter()
            .fold(resize, |resize, (name, value)| resize.evidence(&name, value))
            .into(),
    )
}

/// Names the setting in an operator's words.
fn setting(scope: Scope<'_>) -> String {
    match scope.kind() {
        ScopeKind::Default => "default_pool_size".to_owned(),
        ScopeKind::Database => format!("pool_size of database {}", scope.name()),
        ScopeKind::User => format!("pool_size of user {}", scope.name()),
    }
}

/// Writes the line for `pgbouncer.ini`; `…` stands for what the entry says already.
fn ini_line(scope: Scope<'_>, knob: Knob, size: u32) -> String {
    let (default, own) = knob.names();
    match scope.kind() {
        ScopeKind::Default => format!("[pgbouncer]\n{default} = {size}"),
        ScopeKind::Database => format!("[databases]\n{} = … {own}={size}", scope.name()),
        ScopeKind::User => format!("[users]\n{} = … {own}={size}", scope.name()),
    }
}
