//! The whole story of one decision in plain words, in sections, so that nobody else has to tell it.
//!
//! Made of what the store has and nothing else: the same answer today and in a month. The command line
//! only lays it out.

mod done;
mod effect;
mod guard;
mod said;
mod seen;
mod words;

use serde::Serialize;
use utoipa::ToSchema;

use crate::evaluate::PoolSeen;
use crate::model::{EffectReport, Kind};
use crate::record::{Evaluation, Stored};
use words::{moment, subject};

/// What a story is told from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// The decision with what came of it.
    pub stored: &'a Stored,
    /// What the plugin was asked, as long as it is kept.
    pub evaluation: Option<&'a Evaluation>,
    /// The pools that it was shown.
    pub seen: &'a [PoolSeen],
    /// What the change did.
    pub effect: Option<&'a EffectReport>,
}

/// A decision explained.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Story {
    /// The decision's id.
    #[schema(format = "uuid")]
    id: String,
    /// What it is about, in one line.
    title: String,
    /// The story in a few sentences.
    summary: String,
    /// The story in full, in the order in which it happened.
    sections: Vec<Section>,
    /// Seconds before and after a change of a size; null for everything else.
    chart: Option<effect::Chart>,
}

/// A part of a story.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = StorySection)]
struct Section {
    #[schema(pattern = "^(seen|policy|said|guard|done|effect|outcome|next)$")]
    name: &'static str,
    title: &'static str,
    /// Sentences.
    text: Vec<String>,
    /// Numbers to them.
    table: Option<Table>,
}

/// Rows under headings.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = StoryTable)]
struct Table {
    /// A heading that begins with `>` is of a column of numbers.
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Section {
    fn of(name: &'static str, title: &'static str, text: Vec<String>) -> Self {
        Self { name, title, text, table: None }
    }

    fn with(self, columns: &[&'static str], rows: Vec<Vec<String>>) -> Self {
        let table = (!rows.is_empty()).then(|| Table { columns: columns.to_vec(), rows });
        Self { table, ..self }
    }
}

impl Story {
    /// Tells it.
    pub fn new(source: Source<'_>) -> Self {
        let decision = &source.stored.decision;
        let sections = [
            Some(seen::section(source)),
            Some(said::policy(source)),
            Some(said::section(source)),
            guard::section(decision),
            Some(done::section(source)),
            source.effect.map(effect::section),
            Some(done::outcome(source)),
            done::next(source),
        ];
        Self {
            id: decision.id.to_string(),
            title: title(source),
            summary: summary(source),
            sections: sections.into_iter().flatten().collect(),
            chart: source.effect.and_then(effect::Chart::new),
        }
    }
}

fn title(source: Source<'_>) -> String {
    let decision = &source.stored.decision;
    let kind = match decision.kind() {
        Kind::Alert => "Alert",
        Kind::Recommendation => "Recommendation",
        Kind::Resize => "Resize",
        Kind::EndSession => "End of a session",
    };
    let (about, target) = (subject(decision), decision.target.as_str());
    let (at, status) = (moment(decision.at), words::status(decision));
    format!("{kind} about {about} on {target}, {at}: {status}")
}

/// Who wanted what and why, what the guard made of it, and what came of it.
fn summary(source: Source<'_>) -> String {
    let parts =
        [said::sentence(source), guard::sentence(&source.stored.decision), done::sentence(source)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
