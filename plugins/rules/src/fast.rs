//! Evaluates plain expressions column by column: comparisons, `&&`, `||`, `!`, `?:`, arithmetic,
//! and text that is compared with text.
//!
//! The `cel` crate's interpreter takes about 1.4 µs for a condition of three terms under Wasm,
//! which 20 rules over 1 000 pools would make 28 ms. The same syntax tree, walked once per rule
//! instead of once per pool, takes about 2 ns a term. Whatever is not plain is left to the
//! interpreter, see [`crate::interpret`]. That both come to the same, errors included, is held by a
//! test over random expressions and windows, see `tests/equal.rs`.
//!
//! A condition has three values: in CEL an error on one side of `&&` or `||` does not count where
//! the other side decides.

mod compile;
mod number;
mod text;

use std::sync::Arc;

pub(crate) use compile::{number, test};
pub(crate) use number::{Number, Numbers};
pub(crate) use text::Text;

use crate::column::{Cells, Column, Columns};
use crate::field::FieldId;

/// Values of a condition; the order makes `&&` and `||` cheap.
pub(crate) const FALSE: u8 = 0;
/// The condition holds.
pub(crate) const TRUE: u8 = 1;
/// It cannot be told.
pub(crate) const ERROR: u8 = 2;

/// A condition, ready to be evaluated.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Constant(bool),
    Flag(FieldId),
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    If(Box<[Test; 3]>),
    /// What each outcome of a comparison means: less, equal, greater, not to be compared.
    Compare([u8; 4], Number, Number),
    /// Two conditions that are equal (`true`) or not.
    Same(bool, Box<Test>, Box<Test>),
    Words(Relation, Text, Text),
}

/// How two texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Unequal,
    StartsWith,
    EndsWith,
    Contains,
}

/// What comes of a condition, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Truths {
    pub values: Arc<[u8]>,
    pub is_single: bool,
}

impl Truths {
    fn single(value: u8) -> Self {
        Self { values: Arc::from([value]), is_single: true }
    }

    /// Returns a row's value.
    pub(crate) fn get(&self, row: usize) -> u8 {
        let at = if self.is_single { 0 } else { row };
        self.values.get(at).copied().unwrap_or(ERROR)
    }

    fn are_all(&self, value: u8) -> bool {
        self.values.iter().all(|one| *one == value)
    }

    fn map(&self, of: impl Fn(u8) -> u8) -> Self {
        Self { values: self.values.iter().map(|one| of(*one)).collect(), ..*self }
    }

    fn zip(&self, other: &Self, of: impl Fn(u8, u8) -> u8) -> Self {
        match (self.is_single, other.is_single) {
            (true, _) => other.map(|one| of(self.values[0], one)),
            (_, true) => self.map(|one| of(one, other.values[0])),
            _ => {
                let pairs = self.values.iter().zip(other.values.iter());
                Self { values: pairs.map(|(a, b)| of(*a, *b)).collect(), is_single: false }
            }
        }
    }
}

impl Test {
    /// Evaluates the condition for every row.
    pub(crate) fn evaluate(&self, columns: &Columns<'_>) -> Truths {
        match self {
            Self::Constant(value) => Truths::single(u8::from(*value)),
            Self::Flag(field) => flags(columns, *field),
            Self::Not(one) => one.evaluate(columns).map(not),
            Self::And(left, right) => {
                let left = left.evaluate(columns);
                // Nearly every condition begins with something that nearly never holds.
                if left.are_all(FALSE) {
                    return left;
                }
                left.zip(&right.evaluate(columns), and)
            }
            Self::Or(left, right) => {
                let left = left.evaluate(columns);
                if left.are_all(TRUE) {
                    return left;
                }
                left.zip(&right.evaluate(columns), or)
            }
            Self::If(parts) => {
                let [condition, yes, no] = parts.each_ref().map(|part| part.evaluate(columns));
                let taken = condition.zip(&yes, |condition, yes| match condition {
                    TRUE => yes,
                    other => other + REST,
                });
                taken.zip(&no, |taken, no| match taken {
                    REST => no,
                    WRONG => ERROR,
                    taken => taken,
                })
            }
            Self::Compare(outcomes, left, right) => {
                number::compare(outcomes, &left.evaluate(columns), &right.evaluate(columns))
            }
            Self::Same(wanted, left, right) => {
                let right = right.evaluate(columns);
                left.evaluate(columns).zip(&right, |a, b| match (a, b) {
                    (ERROR, _) | (_, ERROR) => ERROR,
                    (a, b) => u8::from((a == b) == *wanted),
                })
            }
            Self::Words(relation, left, right) => {
                text::relate(*relation, &left.evaluate(columns), &right.evaluate(columns))
            }
        }
    }
}

/// What a row of `?:` still has to take from the other branch.
const REST: u8 = 4;
/// A row of `?:` whose condition cannot be told.
const WRONG: u8 = REST + ERROR;

fn not(one: u8) -> u8 {
    if one == ERROR { ERROR } else { TRUE - one }
}

fn and(a: u8, b: u8) -> u8 {
    if a == FALSE || b == FALSE { FALSE } else { a.max(b) }
}

fn or(a: u8, b: u8) -> u8 {
    if a == TRUE || b == TRUE { TRUE } else { a.max(b) }
}

fn flags(columns: &Columns<'_>, field: FieldId) -> Truths {
    let Some(Column::Bools(cells)) = columns.get(field) else { return Truths::single(ERROR) };
    truths(cells)
}

fn truths(cells: &Cells<bool>) -> Truths {
    let values = cells.values.iter().enumerate().map(|(row, value)| {
        let is_error = cells.errors.as_ref().is_some_and(|errors| errors[row]);
        if is_error { ERROR } else { u8::from(*value) }
    });
    Truths { values: values.collect(), is_single: cells.is_single }
}
