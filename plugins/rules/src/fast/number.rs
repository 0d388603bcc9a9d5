//! Calculates with and compares number columns, as CEL's ints and doubles do.
//!
//! Ints overflow and divide by zero into errors; doubles do neither. An int beside a double is
//! compared as a double, which is what the interpreter does too.

use std::sync::Arc;

use super::{ERROR, Test, Truths};
use crate::column::{Cells, Column, Columns};
use crate::field::FieldId;

/// A number, ready to be evaluated.
#[derive(Debug, Clone)]
pub(crate) enum Number {
    Int(i64),
    Double(f64),
    IntField(FieldId),
    DoubleField(FieldId),
    Negate(Box<Number>),
    Arithmetic(Operation, Box<Number>, Box<Number>),
    ToDouble(Box<Number>),
    ToInt(Box<Number>),
    If(Box<(Test, Number, Number)>),
}

/// What is done with two numbers of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// The rest of a division; of ints only.
    Rest,
}

/// What comes of a number, row by row.
#[derive(Debug, Clone)]
pub(crate) enum Numbers {
    Ints(Cells<i64>),
    Doubles(Cells<f64>),
}

impl Number {
    /// Says whether it gives ints rather than doubles.
    pub(crate) fn is_int(&self) -> bool {
        match self {
            Self::Int(_) | Self::IntField(_) | Self::ToInt(_) => true,
            Self::Double(_) | Self::DoubleField(_) | Self::ToDouble(_) => false,
            Self::Negate(one) | Self::Arithmetic(_, one, _) => one.is_int(),
            Self::If(parts) => parts.1.is_int(),
        }
    }

    /// Evaluates the number for every row.
    pub(crate) fn evaluate(&self, columns: &Columns<'_>) -> Numbers {
        match self {
            Self::Int(int) => Numbers::Ints(Cells::single(*int)),
            Self::Double(double) => Numbers::Doubles(Cells::single(*double)),
            Self::IntField(field) | Self::DoubleField(field) => match columns.get(*field) {
                Some(Column::Ints(cells)) => Numbers::Ints(cells.clone()),
                Some(Column::Doubles(cells)) => Numbers::Doubles(cells.clone()),
                _ => Numbers::Ints(map(&Cells::single(0), |_| None)),
            },
            Self::Negate(one) => match one.evaluate(columns) {
                Numbers::Ints(cells) => Numbers::Ints(map(&cells, |int| int.checked_neg())),
                Numbers::Doubles(cells) => Numbers::Doubles(map(&cells, |double| Some(-double))),
            },
            Self::Arithmetic(operation, left, right) => {
                calculate(*operation, left.evaluate(columns), right.evaluate(columns))
            }
            Self::ToDouble(one) => Numbers::Doubles(doubles(one.evaluate(columns))),
            Self::ToInt(one) => match one.evaluate(columns) {
                Numbers::Doubles(cells) => Numbers::Ints(map(&cells, to_int)),
                ints @ Numbers::Ints(_) => ints,
            },
            Self::If(parts) => {
                let (condition, yes, no) = &**parts;
                let condition = condition.evaluate(columns);
                match (yes.evaluate(columns), no.evaluate(columns)) {
                    (Numbers::Ints(yes), Numbers::Ints(no)) => {
                        Numbers::Ints(choose(&condition, &yes, &no))
                    }
                    (yes, no) => Numbers::Doubles(choose(&condition, &doubles(yes), &doubles(no))),
                }
            }
        }
    }
}

impl Numbers {
    /// Returns a row's value as a double, `None` when it is an error.
    pub(crate) fn get(&self, row: usize) -> Option<f64> {
        match self {
            Self::Ints(cells) => cells.get(row).map(|int| to_double(*int)),
            Self::Doubles(cells) => cells.get(row).copied(),
        }
    }
}

/// Compares two numbers row by row.
pub(super) fn compare(outcomes: &[u8; 4], left: &Numbers, right: &Numbers) -> Truths {
    match (left, right) {
        (Numbers::Ints(a), Numbers::Ints(b)) => compare_cells(outcomes, a, b),
        (Numbers::Doubles(a), Numbers::Doubles(b)) => compare_cells(outcomes, a, b),
        (a, b) => compare_cells(outcomes, &doubles(a.clone()), &doubles(b.clone())),
    }
}

fn compare_cells<T: PartialOrd + Copy>(outcomes: &[u8; 4], a: &Cells<T>, b: &Cells<T>) -> Truths {
    let outcome = |a: T, b: T| {
        outcomes[if a < b {
            0
        } else if a == b {
            1
        } else if a > b {
            2
        } else {
            3
        }]
    };
    let is_single = a.is_single_with(b);
    let mut values: Vec<u8> = match (a.is_single, b.is_single) {
        (_, true) => a.values.iter().map(|one| outcome(*one, b.values[0])).collect(),
        (true, false) => b.values.iter().map(|one| outcome(a.values[0], *one)).collect(),
        _ => a.values.iter().zip(b.values.iter()).map(|(a, b)| outcome(*a, *b)).collect(),
    };
    for (errors, stride) in [(&a.errors, a.stride()), (&b.errors, b.stride())] {
        if let Some(errors) = errors {
            for (row, value) in values.iter_mut().enumerate() {
                if errors[row * stride] {
                    *value = ERROR;
                }
            }
        }
    }
    Truths { values: values.into(), is_single }
}

fn calculate(operation: Operation, left: Numbers, right: Numbers) -> Numbers {
    match (left, right) {
        (Numbers::Ints(a), Numbers::Ints(b)) => {
            Numbers::Ints(zip(&a, &b, |a, b| match operation {
                Operation::Add => a.checked_add(b),
                Operation::Subtract => a.checked_sub(b),
                Operation::Multiply => a.checked_mul(b),
                Operation::Divide => a.checked_div(b),
                Operation::Rest => a.checked_rem(b),
            }))
        }
        (a, b) => {
            let (a, b) = (doubles(a), doubles(b));
            Numbers::Doubles(zip(&a, &b, |a, b| match operation {
                Operation::Add => Some(a + b),
                Operation::Subtract => Some(a - b),
                Operation::Multiply => Some(a * b),
                Operation::Divide => Some(a / b),
                Operation::Rest => None,
            }))
        }
    }
}

fn doubles(numbers: Numbers) -> Cells<f64> {
    match numbers {
        Numbers::Ints(cells) => map(&cells, |int| Some(to_double(int))),
        Numbers::Doubles(cells) => cells,
    }
}

#[expect(clippy::as_conversions, reason = "rounds to the nearest as CEL does; there is no From")]
fn to_double(int: i64) -> f64 {
    int as f64
}

/// Converts as CEL does: only what lies between the least and the greatest int.
#[expect(clippy::as_conversions, reason = "bounded just before; there is no TryFrom")]
fn to_int(double: f64) -> Option<i64> {
    (double > i64::MIN as f64 && double < i64::MAX as f64).then_some(double as i64)
}

fn map<T: Copy, U: Default + Clone>(cells: &Cells<T>, of: impl Fn(T) -> Option<U>) -> Cells<U> {
    let values = cells.values.iter().enumerate().map(|(row, value)| {
        let is_error = cells.errors.as_ref().is_some_and(|errors| errors[row]);
        if is_error { None } else { of(*value) }
    });
    gather(values, cells.is_single)
}

fn zip<T: Copy + Default>(a: &Cells<T>, b: &Cells<T>, of: impl Fn(T, T) -> Option<T>) -> Cells<T> {
    let rows = a.rows_with(b);
    gather((0..rows).map(|row| of(*a.get(row)?, *b.get(row)?)), a.is_single_with(b))
}

fn choose<T: Copy + Default>(condition: &Truths, yes: &Cells<T>, no: &Cells<T>) -> Cells<T> {
    let is_single = condition.is_single && yes.is_single_with(no);
    let rows = if condition.is_single { yes.rows_with(no) } else { condition.values.len() };
    let values = (0..rows).map(|row| match condition.get(row) {
        super::TRUE => yes.get(row).copied(),
        super::FALSE => no.get(row).copied(),
        _ => None,
    });
    gather(values, is_single)
}

fn gather<T: Default + Clone>(found: impl Iterator<Item = Option<T>>, is_single: bool) -> Cells<T> {
    let mut errors: Vec<usize> = Vec::new();
    let mut values = Vec::with_capacity(found.size_hint().0);
    for one in found {
        if one.is_none() {
            errors.push(values.len());
        }
        values.push(one.unwrap_or_default());
    }
    let flags = (!errors.is_empty()).then(|| {
        let mut flags = vec![false; values.len()];
        errors.iter().for_each(|row| flags[*row] = true);
        Arc::from(flags)
    });
    Cells { values: values.into(), is_single, errors: flags }
}
