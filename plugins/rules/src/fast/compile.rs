//! Turns a checked syntax tree into what the columns are evaluated by, where it is plain.
//!
//! `None` means "not plain", never "wrong": the interpreter takes the whole expression then. Types
//! have been checked before, so that a tree which compiles cannot meet a type that it does not
//! know.

use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators};

use super::number::{Number, Operation};
use super::text::Text;
use super::{ERROR, FALSE, Relation, TRUE, Test};
use crate::check::field_of;
use crate::field::FieldId;
use crate::types::Type;

/// Compiles a condition.
pub(crate) fn test(node: &IdedExpr) -> Option<Test> {
    match &node.expr {
        Expr::Literal(LiteralValue::Boolean(value)) => Some(Test::Constant(*value.inner())),
        Expr::Select(_) => field(node, Type::Bool).map(Test::Flag),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, [one]) => Some(Test::Not(boxed(one)?)),
            (operators::LOGICAL_AND, [a, b]) => Some(Test::And(boxed(a)?, boxed(b)?)),
            (operators::LOGICAL_OR, [a, b]) => Some(Test::Or(boxed(a)?, boxed(b)?)),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                Some(Test::If(Box::new([test(condition)?, test(yes)?, test(no)?])))
            }
            (operators::IN, [one, all]) => member(one, all),
            (name, [a, b]) if call.target.is_none() => compare(name, a, b),
            _ => words(call),
        },
        _ => None,
    }
}

fn boxed(node: &IdedExpr) -> Option<Box<Test>> {
    test(node).map(Box::new)
}

fn compare(name: &str, a: &IdedExpr, b: &IdedExpr) -> Option<Test> {
    let outcomes = match name {
        operators::LESS => [TRUE, FALSE, FALSE, ERROR],
        operators::LESS_EQUALS => [TRUE, TRUE, FALSE, ERROR],
        operators::GREATER => [FALSE, FALSE, TRUE, ERROR],
        operators::GREATER_EQUALS => [FALSE, TRUE, TRUE, ERROR],
        operators::EQUALS => [FALSE, TRUE, FALSE, FALSE],
        operators::NOT_EQUALS => [TRUE, FALSE, TRUE, TRUE],
        _ => return None,
    };
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Some(Test::Compare(outcomes, a, b));
    }
    let is_equal = match name {
        operators::EQUALS => true,
        operators::NOT_EQUALS => false,
        _ => return None,
    };
    if let (Some(a), Some(b)) = (text(a), text(b)) {
        let relation = if is_equal { Relation::Equal } else { Relation::Unequal };
        return Some(Test::Words(relation, a, b));
    }
    Some(Test::Same(is_equal, boxed(a)?, boxed(b)?))
}

/// Compiles `x in [a, b]` into `x == a || x == b`; of literals, because an element that is an error
/// makes the whole list one.
fn member(one: &IdedExpr, all: &IdedExpr) -> Option<Test> {
    let Expr::List(list) = &all.expr else { return None };
    if !list.elements.iter().all(|element| matches!(element.expr, Expr::Literal(_))) {
        return None;
    }
    let mut any = list.elements.iter().map(|element| compare(operators::EQUALS, one, element));
    let first = any.next()??;
    any.try_fold(first, |left, right| Some(Test::Or(Box::new(left), Box::new(right?))))
}

fn words(call: &CallExpr) -> Option<Test> {
    let relation = match call.func_name.as_str() {
        "startsWith" => Relation::StartsWith,
        "endsWith" => Relation::EndsWith,
        "contains" => Relation::Contains,
        _ => return None,
    };
    let ([needle], Some(hay)) = (call.args.as_slice(), &call.target) else { return None };
    Some(Test::Words(relation, text(hay)?, text(needle)?))
}

fn text(node: &IdedExpr) -> Option<Text> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(Text::Constant(Arc::from(text.inner()))),
        Expr::Select(SelectExpr { operand, field: name, test: false }) => {
            if let Some(labels) = field(operand, Type::Labels) {
                return Some(Text::Label(labels, name.clone()));
            }
            field(node, Type::Text).map(Text::Field)
        }
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [of, index] = call.args.as_slice() else { return None };
            let Expr::Literal(LiteralValue::String(name)) = &index.expr else { return None };
            field(of, Type::Labels).map(|labels| Text::Label(labels, name.inner().to_owned()))
        }
        _ => None,
    }
}

/// Compiles a number.
pub(crate) fn number(node: &IdedExpr) -> Option<Number> {
    match &node.expr {
        Expr::Literal(LiteralValue::Int(int)) => Some(Number::Int(*int.inner())),
        Expr::Literal(LiteralValue::Double(double)) => Some(Number::Double(*double.inner())),
        Expr::Select(_) => field(node, Type::Int)
            .map(Number::IntField)
            .or_else(|| field(node, Type::Double).map(Number::DoubleField)),
        Expr::Call(call) if call.target.is_none() => calculation(call),
        _ => None,
    }
}

fn calculation(call: &CallExpr) -> Option<Number> {
    let operation = match call.func_name.as_str() {
        operators::ADD => Operation::Add,
        operators::SUBSTRACT => Operation::Subtract,
        operators::MULTIPLY => Operation::Multiply,
        operators::DIVIDE => Operation::Divide,
        operators::MODULO => Operation::Rest,
        _ => return conversion(call),
    };
    let [a, b] = call.args.as_slice() else { return None };
    let (a, b) = (number(a)?, number(b)?);
    let fits = a.is_int() == b.is_int() && (a.is_int() || operation != Operation::Rest);
    fits.then(|| Number::Arithmetic(operation, Box::new(a), Box::new(b)))
}

fn conversion(call: &CallExpr) -> Option<Number> {
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::NEGATE, [one]) => Some(Number::Negate(Box::new(number(one)?))),
        ("double", [one]) => Some(Number::ToDouble(Box::new(number(one)?))),
        ("int", [one]) => Some(Number::ToInt(Box::new(number(one)?))),
        (operators::CONDITIONAL, [condition, yes, no]) => {
            let (yes, no) = (number(yes)?, number(no)?);
            let condition = test(condition)?;
            (yes.is_int() == no.is_int()).then(|| Number::If(Box::new((condition, yes, no))))
        }
        _ => None,
    }
}

fn field(node: &IdedExpr, kind: Type) -> Option<FieldId> {
    field_of(node).filter(|id| id.field().kind() == kind)
}
