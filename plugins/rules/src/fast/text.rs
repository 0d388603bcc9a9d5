//! Compares text columns.

use std::sync::Arc;

use super::{ERROR, Relation, Truths};
use crate::column::{Cells, Column, Columns};
use crate::field::FieldId;

/// Text, ready to be evaluated.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    Constant(Arc<str>),
    Field(FieldId),
    /// A label of the target; without it an error, as a missing key is.
    Label(FieldId, String),
}

impl Text {
    /// Evaluates the text for every row.
    pub(crate) fn evaluate(&self, columns: &Columns<'_>) -> Cells<Arc<str>> {
        match self {
            Self::Constant(text) => Cells::single(Arc::clone(text)),
            Self::Field(field) => match columns.get(*field) {
                Some(Column::Texts(cells)) => cells.clone(),
                _ => missing(),
            },
            Self::Label(field, name) => match columns.get(*field) {
                Some(Column::Labels(labels)) => labels
                    .iter()
                    .rev()
                    .find(|(key, _)| key == name)
                    .map_or_else(missing, |(_, value)| Cells::single(Arc::from(value.as_str()))),
                _ => missing(),
            },
        }
    }
}

fn missing() -> Cells<Arc<str>> {
    Cells { errors: Some(Arc::from([true])), ..Cells::single(Arc::from("")) }
}

/// Compares two texts row by row.
pub(crate) fn relate(relation: Relation, a: &Cells<Arc<str>>, b: &Cells<Arc<str>>) -> Truths {
    let is_single = a.is_single_with(b);
    let rows = a.rows_with(b);
    let holds = |a: &str, b: &str| match relation {
        Relation::Equal => a == b,
        Relation::Unequal => a != b,
        Relation::StartsWith => a.starts_with(b),
        Relation::EndsWith => a.ends_with(b),
        Relation::Contains => a.contains(b),
    };
    let values = (0..rows).map(|row| match (a.get(row), b.get(row)) {
        (Some(a), Some(b)) => u8::from(holds(a, b)),
        _ => ERROR,
    });
    Truths { values: values.collect(), is_single }
}
