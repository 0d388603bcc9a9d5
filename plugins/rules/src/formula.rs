//! Evaluates a rule's expressions: by columns where they are plain, else by the interpreter.
//!
//! A condition that is not plain is asked of the interpreter only for rows where none of its plain
//! parts is false: in CEL `false && x` is false whatever `x` comes to.

use std::fmt::Write as _;

use cel::common::ast::{Expr, operators};
use cel::{IdedExpr, Value};

use crate::column::Columns;
use crate::expression::Expression;
use crate::fast::{self, FALSE, Number, Numbers, TRUE, Test};
use crate::interpret::Interpreter;

/// A condition, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Condition {
    /// The whole condition when `rest` is empty, else its plain parts.
    plain: Option<Test>,
    /// The whole condition, when not all of it is plain.
    rest: Option<IdedExpr>,
}

/// The rows in which a condition holds, and the first in which it cannot be told.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    pub rows: Vec<usize>,
    pub error: Option<usize>,
}

impl Condition {
    /// Prepares a checked expression.
    pub(crate) fn new(expression: &Expression) -> Self {
        match fast::test(&expression.root) {
            Some(test) => Self { plain: Some(test), rest: None },
            None => {
                let plain = plain_parts(&expression.root);
                Self { plain, rest: Some(expression.root.clone()) }
            }
        }
    }

    /// Finds the rows in which it holds.
    pub(crate) fn holds(&self, columns: &Columns<'_>, interpreter: &Interpreter) -> Holds {
        let plain = self.plain.as_ref().map(|test| test.evaluate(columns));
        let mut holds = Holds::default();
        for row in 0..columns.rows() {
            let value = match (&plain, &self.rest) {
                (Some(plain), None) => plain.get(row),
                (Some(plain), Some(_)) if plain.get(row) == FALSE => FALSE,
                (_, Some(rest)) => asked(interpreter, rest, columns, row),
                (None, None) => fast::ERROR,
            };
            if value == TRUE {
                holds.rows.push(row);
            } else if value != FALSE && holds.error.is_none() {
                holds.error = Some(row);
            }
        }
        holds
    }
}

fn asked(interpreter: &Interpreter, rest: &IdedExpr, columns: &Columns<'_>, row: usize) -> u8 {
    match interpreter.evaluate(rest, columns, row) {
        Ok(Value::Bool(value)) => u8::from(value),
        _ => fast::ERROR,
    }
}

/// Joins the plain ones of what `&&` joins.
fn plain_parts(node: &IdedExpr) -> Option<Test> {
    if let Some(test) = fast::test(node) {
        return Some(test);
    }
    let Expr::Call(call) = &node.expr else { return None };
    let [left, right] = call.args.as_slice() else { return None };
    if call.func_name != operators::LOGICAL_AND {
        return None;
    }
    match (plain_parts(left), plain_parts(right)) {
        (Some(left), Some(right)) => Some(Test::And(Box::new(left), Box::new(right))),
        (left, right) => left.or(right),
    }
}

/// An expression that gives a number or text, ready to be evaluated.
#[derive(Debug)]
pub(crate) enum Formula {
    Plain(Number),
    Any(IdedExpr),
}

/// What a formula comes to, for those rows that are asked for.
#[derive(Debug)]
pub(crate) enum Evaluated<'f> {
    Columns(Numbers),
    Any(&'f IdedExpr),
}

impl Formula {
    /// Prepares a checked expression.
    pub(crate) fn new(expression: &Expression) -> Self {
        fast::number(&expression.root)
            .map_or_else(|| Self::Any(expression.root.clone()), Self::Plain)
    }

    /// Evaluates what can be evaluated for all rows at once.
    pub(crate) fn evaluate(&self, columns: &Columns<'_>) -> Evaluated<'_> {
        match self {
            Self::Plain(number) => Evaluated::Columns(number.evaluate(columns)),
            Self::Any(expression) => Evaluated::Any(expression),
        }
    }
}

impl Evaluated<'_> {
    /// Returns a row's number, `None` when there is none.
    pub(crate) fn number(
        &self,
        columns: &Columns<'_>,
        interpreter: &Interpreter,
        row: usize,
    ) -> Option<f64> {
        match self {
            Self::Columns(numbers) => numbers.get(row),
            Self::Any(expression) => match interpreter.evaluate(expression, columns, row) {
                Ok(value) => number(&value),
                Err(_) => None,
            },
        }
    }

    /// Writes a row's value for a person; a question mark when it cannot be told.
    pub(crate) fn write(
        &self,
        columns: &Columns<'_>,
        interpreter: &Interpreter,
        row: usize,
        out: &mut String,
    ) {
        match self {
            Self::Columns(Numbers::Ints(ints)) => match ints.get(row) {
                Some(int) => write!(out, "{int}").expect("text takes text"),
                None => out.push('?'),
            },
            Self::Columns(Numbers::Doubles(doubles)) => {
                out.push_str(&doubles.get(row).map_or_else(|| "?".to_owned(), |d| rounded(*d)));
            }
            Self::Any(expression) => match interpreter.evaluate(expression, columns, row) {
                Ok(value) => out.push_str(&shown(&value)),
                Err(_) => out.push('?'),
            },
        }
    }
}

/// Returns the number that a value is.
#[expect(clippy::as_conversions, reason = "a size beyond 2^53 is no size; there is no From")]
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::UInt(uint) => Some(*uint as f64),
        Value::Float(double) => Some(*double),
        _ => None,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Int(int) => int.to_string(),
        Value::UInt(uint) => uint.to_string(),
        Value::Float(double) => rounded(*double),
        Value::Bool(bool) => bool.to_string(),
        Value::String(text) => text.to_string(),
        _ => "?".to_owned(),
    }
}

/// Writes a double with at most three decimals.
pub(crate) fn rounded(double: f64) -> String {
    let text = format!("{double:.3}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}
