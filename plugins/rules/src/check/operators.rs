//! Types of operators: what CEL's specification allows, and the traps that it sets said in words.
//!
//! Comparisons mix number types and arithmetic does not; two things that can never be equal, and a
//! word that a field never has, are refused, because nobody means them.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

use super::{Checker, field_of};
use crate::expression::Problem;
use crate::nearest::nearest;
use crate::types::Type;

impl<'e> Checker<'e> {
    /// Checks a call that is an operator; `None` when it is a function.
    pub(super) fn operator(
        &mut self,
        node: &'e IdedExpr,
        call: &'e CallExpr,
    ) -> Result<Option<Type>, Problem> {
        let kind = match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                self.expect(left, Type::Bool)?;
                self.expect(right, Type::Bool)?
            }
            (operators::LOGICAL_NOT, [one]) => self.expect(one, Type::Bool)?,
            (operators::NOT_STRICTLY_FALSE, [one]) => {
                self.kind(one)?;
                Type::Bool
            }
            (operators::NEGATE, [one]) => self.negate(one)?,
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.expect(condition, Type::Bool)?;
                let (yes, no) = (self.kind(yes)?, self.kind(no)?);
                if yes == no { yes } else { Type::Unknown }
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                self.equality(node, left, right)?
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [left, right],
            ) => self.order(node, left, right)?,
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                [left, right],
            ) => self.arithmetic(node, &call.func_name, left, right)?,
            (operators::IN, [one, all]) => self.membership(one, all)?,
            (operators::INDEX, [of, index]) => self.index(node, of, index)?,
            (operators::OPT_INDEX | operators::OPT_SELECT, _) => {
                return self.wrong(node, "expected no optional syntax, found `?`");
            }
            _ => return Ok(None),
        };
        Ok(Some(kind))
    }

    fn expect(&mut self, node: &'e IdedExpr, wanted: Type) -> Result<Type, Problem> {
        let kind = self.kind(node)?;
        if kind.fits(wanted) {
            return Ok(wanted);
        }
        self.wrong(node, format!("expected {wanted}, found {kind}"))
    }

    fn negate(&mut self, one: &'e IdedExpr) -> Result<Type, Problem> {
        match self.kind(one)? {
            kind @ (Type::Int | Type::Double | Type::Unknown) => Ok(kind),
            kind => self.wrong(one, format!("expected an int or a double after `-`, found {kind}")),
        }
    }

    fn equality(
        &mut self,
        node: &IdedExpr,
        left: &'e IdedExpr,
        right: &'e IdedExpr,
    ) -> Result<Type, Problem> {
        let (a, b) = (self.kind(left)?, self.kind(right)?);
        let alike = a.fits(b) || b.fits(a) || (a.is_number() && b.is_number());
        if !alike && a != Type::Null && b != Type::Null {
            let text = format!("expected two values that can be equal, found {a} and {b}");
            return self.wrong(node, text);
        }
        self.known_word(left, right)?;
        self.known_word(right, left)?;
        Ok(Type::Bool)
    }

    /// Refuses to compare a word out of a few with one that is none of them.
    fn known_word(&self, field: &IdedExpr, literal: &IdedExpr) -> Result<(), Problem> {
        let words = field_of(field).map(|id| id.field().words()).unwrap_or_default();
        let Expr::Literal(LiteralValue::String(word)) = &literal.expr else { return Ok(()) };
        if words.is_empty() || words.contains(&word.inner()) {
            return Ok(());
        }
        let near = nearest(word.inner(), words.iter().copied());
        let near = near.map(|name| format!("; the nearest is \"{name}\"")).unwrap_or_default();
        let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let (words, word) = (words.join(", "), word.inner());
        self.wrong(literal, format!("expected one of {words}, found \"{word}\"{near}"))
    }

    fn order(
        &mut self,
        node: &IdedExpr,
        left: &'e IdedExpr,
        right: &'e IdedExpr,
    ) -> Result<Type, Problem> {
        let (a, b) = (self.kind(left)?, self.kind(right)?);
        let ordered = |kind: Type| kind.is_number() || matches!(kind, Type::Text | Type::Unknown);
        let alike = (a.is_number() && b.is_number()) || a.fits(b) || b.fits(a);
        if ordered(a) && ordered(b) && alike {
            return Ok(Type::Bool);
        }
        self.wrong(node, format!("expected two numbers or two strings, found {a} and {b}"))
    }

    fn arithmetic(
        &mut self,
        node: &IdedExpr,
        name: &str,
        left: &'e IdedExpr,
        right: &'e IdedExpr,
    ) -> Result<Type, Problem> {
        let (a, b) = (self.kind(left)?, self.kind(right)?);
        if a == Type::Unknown || b == Type::Unknown {
            return Ok(if a == Type::Unknown { b } else { a });
        }
        let (is_sum, is_rest) = (name == operators::ADD, name == operators::MODULO);
        let joins = is_sum && matches!(a, Type::Text | Type::Bytes | Type::List);
        let counts = a.is_number() && !(is_rest && a == Type::Double);
        if a == b && (joins || counts) {
            return Ok(a);
        }
        let sign = name.trim_matches('_');
        if a.is_number() && b.is_number() && !is_rest {
            let text = format!(
                "expected two numbers of one type around `{sign}`, found {a} and {b}; write {}",
                converted(left, a, right, b)
            );
            return self.wrong(node, text);
        }
        let wanted = if is_rest { "two ints" } else { "two numbers" };
        self.wrong(node, format!("expected {wanted} around `{sign}`, found {a} and {b}"))
    }

    fn membership(&mut self, one: &'e IdedExpr, all: &'e IdedExpr) -> Result<Type, Problem> {
        let kind = self.kind(one)?;
        let container = self.kind(all)?;
        if !matches!(container, Type::List | Type::Map | Type::Labels | Type::Unknown) {
            return self.wrong(all, format!("expected a list or a map, found {container}"));
        }
        if container == Type::Labels && !kind.fits(Type::Text) {
            return self.wrong(one, format!("expected a label's name, found {kind}"));
        }
        if let Expr::List(list) = &all.expr {
            for element in &list.elements {
                self.known_word(one, element)?;
                let other = self.kind(element)?;
                let is_alike =
                    other.fits(kind) || kind.fits(other) || (kind.is_number() && other.is_number());
                if !is_alike {
                    return self.wrong(element, format!("expected {kind}, found {other}"));
                }
            }
        }
        Ok(Type::Bool)
    }

    fn index(
        &mut self,
        node: &IdedExpr,
        of: &'e IdedExpr,
        index: &'e IdedExpr,
    ) -> Result<Type, Problem> {
        let (of, by) = (self.kind(of)?, self.kind(index)?);
        match of {
            Type::Labels if by.fits(Type::Text) => Ok(Type::Text),
            Type::Labels => self.wrong(index, format!("expected a label's name, found {by}")),
            Type::List if !by.is_number() && by != Type::Unknown => {
                self.wrong(index, format!("expected an int, found {by}"))
            }
            Type::List | Type::Map | Type::Unknown => Ok(Type::Unknown),
            _ => self.wrong(node, format!("expected a list or a map before `[`, found {of}")),
        }
    }
}

/// Shows how to bring two numbers to one type: the int becomes a double.
fn converted(left: &IdedExpr, a: Type, right: &IdedExpr, b: Type) -> String {
    let (node, other) = if a == Type::Double { (right, b) } else { (left, a) };
    match (&node.expr, field_of(node)) {
        (Expr::Literal(LiteralValue::Int(int)), _) => format!("{}.0", int.inner()),
        (Expr::Select(select), Some(id)) => {
            format!("double({}.{})", id.root.name(), select.field)
        }
        _ => format!("double(…) around what is {other}"),
    }
}
