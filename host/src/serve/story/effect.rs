//! What was expected of a change and what it did, in a table and as a chart's numbers.

use serde::Serialize;
use utoipa::ToSchema;

use super::Section;
use super::words::{moment, number, span_us};
use crate::model::{EffectPoint, EffectReport, Evidence, Measure};

/// The seconds before and after a change, to be drawn.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = StoryChart)]
pub(super) struct Chart {
    /// The moment of the change, milliseconds since 1970.
    changed_ms: u64,
    /// About one a second, oldest first.
    points: Vec<Point>,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = StoryPoint)]
struct Point {
    /// Milliseconds since 1970.
    at_ms: u64,
    size: u32,
    /// Open server connections.
    servers: f64,
    /// Clients that waited for a server.
    waiting: f64,
    /// Transactions finished per second.
    throughput_per_s: f64,
}

impl Chart {
    /// Makes it of what was measured; there is none without a point.
    pub fn new(report: &EffectReport) -> Option<Self> {
        let point = |one: &EffectPoint| Point {
            at_ms: one.at.as_millis(),
            size: one.size,
            servers: one.servers,
            waiting: one.waiting,
            throughput_per_s: one.throughput_per_s,
        };
        let points: Vec<Point> = report.series.iter().map(point).collect();
        let changed_ms = report.began.as_millis();
        (!points.is_empty()).then_some(Self { changed_ms, points })
    }
}

type Row = (&'static str, fn(&Measure) -> String);

const ROWS: [Row; 8] = [
    ("seconds observed", |one| number(one.observed_s)),
    ("transactions / s", |one| number(one.throughput_per_s)),
    ("mean transaction", |one| span_us(one.transaction_mean_us)),
    ("mean wait", |one| span_us(one.wait_mean_us)),
    ("clients waiting, mean", |one| number(one.waiting_mean)),
    ("time with waiters", |one| format!("{:.0} %", one.waiting_share * 100.0)),
    ("servers busy, mean", |one| number(one.busy_mean)),
    ("servers open, mean", |one| number(one.servers_mean)),
];

pub(super) fn section(report: &EffectReport) -> Section {
    let mut text = Vec::new();
    if !report.expected.is_empty() {
        text.push(format!("Expected: {}", report.expected));
    }
    if !report.expected_numbers.is_empty() {
        let one = |one: &Evidence| format!("{} = {}", one.name, number(one.value));
        let numbers: Vec<_> = report.expected_numbers.iter().map(one).collect();
        text.push(format!("In numbers: {}", numbers.join(", ")));
    }
    text.push(match report.judged_at {
        Some(at) => format!("Found, {}: {}", moment(at), report.judged),
        None => "It is still measured.".to_owned(),
    });
    let row = |(name, of): &Row| vec![(*name).to_owned(), of(&report.before), of(&report.after)];
    Section::of("effect", "What it did", text)
        .with(&["MEASURED", ">BEFORE", ">AFTER"], ROWS.iter().map(row).collect())
}
