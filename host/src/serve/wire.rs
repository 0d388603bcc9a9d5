//! What goes over HTTP: one type each, made from the domain's by one conversion.
//!
//! They borrow from what they show, because an answer is written once and thrown away.

mod alert;
mod decision;
mod effect;
mod evaluation;
mod health;
mod history;
mod order;
mod policy;
mod pool;
mod reach;
mod shadow;
mod silence;
mod target;

use std::fmt::Display;
use std::time::Duration;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

pub(super) use alert::{Alert, AlertList, Recommendation, RecommendationList, Which};
pub(super) use decision::{Decision, DecisionDetail, DecisionPage, Show, Transition};
pub(super) use evaluation::Evaluation;
pub(super) use health::{Grade, Health, Quick, Store};
pub(super) use history::PoolHistory;
pub(super) use order::{HeldList, Hold, NewAnswer, NewPanic, NewPause, NewResume};
pub(super) use policy::PolicyList;
pub(super) use pool::{Connections, PoolList};
pub(super) use silence::{NewSilence, Silence, SilenceList, muted};
pub(super) use target::TargetList;

use crate::model::{Evidence, Subject};

/// Anything that is written as its `Display` text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<T>(pub T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What a decision, alert or recommendation is about: exactly one of the three.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct About<'a> {
    /// A size scope: `default`, `database:<name>` or `user:<name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// A pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<PoolName<'a>>,
    /// `target` (the PgBouncer as a whole) or `database_server` (the PostgreSQL behind it).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(target|database_server)$")]
    subject: Option<&'static str>,
}

/// A pool's name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PoolName<'a> {
    /// Database as clients name it.
    database: &'a str,
    /// User that the pool logs in as.
    user: &'a str,
}

impl<'a> From<&'a Subject> for About<'a> {
    fn from(subject: &'a Subject) -> Self {
        let nothing = Self { scope: None, pool: None, subject: None };
        match subject {
            Subject::Target => Self { subject: Some("target"), ..nothing },
            Subject::DatabaseServer => Self { subject: Some("database_server"), ..nothing },
            Subject::Scope(scope) => Self { scope: Some(scope.to_string()), ..nothing },
            Subject::Pool(pool) => {
                let pool = PoolName { database: &pool.database, user: &pool.user };
                Self { pool: Some(pool), ..nothing }
            }
        }
    }
}

/// Named numbers as one object; of two with one name the last counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a>(pub &'a [Evidence]);

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let last = |(at, one): &(usize, &Evidence)| {
            !self.0.iter().skip(at + 1).any(|other| other.name == one.name)
        };
        let numbers = self.0.iter().enumerate().filter(last);
        serializer.collect_map(numbers.map(|(_, one)| (&one.name, one.value)))
    }
}

/// An alert's labels as one object; of two with one name the last counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct LabelsShown<'a>(pub &'a [(String, String)]);

impl Serialize for LabelsShown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Gives whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Gives whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Gives the nearest float of a count, by its two halves, which both fit exactly.
pub(super) fn float(count: u64) -> f64 {
    let half = |bits: u64| f64::from(u32::try_from(bits).unwrap_or(u32::MAX));
    half(count >> 32).mul_add(4_294_967_296.0, half(count & 0xffff_ffff))
}
