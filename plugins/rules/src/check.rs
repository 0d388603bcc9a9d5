//! Checks an expression before it is ever evaluated: names, types, and what each rule may mention.
//!
//! The `cel` crate evaluates and does not check, so that a misspelt field would show itself only at
//! run time, one pool at a time. Here every name is known and nearly every type: what is left as
//! [`Type::Unknown`] (a variable of `exists`, an element of a list) is found out by evaluating the
//! expression once on made-up values, see [`crate::interpret`].

mod functions;
mod operators;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr};

use crate::expression::{Expression, Problem};
use crate::field::{FieldId, Root};
use crate::nearest::nearest;
use crate::types::Type;

/// What an expression is found to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    /// Fields that it mentions, each once, with the name that it uses, in order.
    pub mentions: Vec<(FieldId, String)>,
}

impl Findings {
    /// Adds what another expression of the same rule mentions.
    pub(crate) fn add(&mut self, other: &Self) {
        for (field, name) in &other.mentions {
            self.mention(*field, name);
        }
    }

    /// Says whether anything of a root is mentioned.
    pub(crate) fn mentions(&self, root: Root) -> bool {
        self.mentions.iter().any(|(field, _)| field.root == root)
    }

    fn mention(&mut self, field: FieldId, name: &str) {
        if !self.mentions.iter().any(|(known, _)| *known == field) {
            self.mentions.push((field, name.to_owned()));
        }
    }
}

/// Checks an expression and returns its type and what it mentions.
///
/// # Errors
/// The first problem, with its place.
pub(crate) fn check(expression: &Expression) -> Result<(Type, Findings), Problem> {
    let mut checker = Checker { expression, findings: Findings::default(), variables: Vec::new() };
    let kind = checker.kind(&expression.root)?;
    Ok((kind, checker.findings))
}

/// Finds the field that a node selects, for example `pool.size`.
pub(crate) fn field_of(node: &IdedExpr) -> Option<FieldId> {
    match &node.expr {
        Expr::Select(SelectExpr { operand, field, test: false }) => match &operand.expr {
            Expr::Ident(root) => Root::named(root)?.field(field),
            _ => None,
        },
        _ => None,
    }
}

struct Checker<'e> {
    expression: &'e Expression,
    findings: Findings,
    /// Variables of the comprehensions around, innermost last.
    variables: Vec<&'e str>,
}

impl<'e> Checker<'e> {
    fn wrong<T>(&self, node: &IdedExpr, text: impl Into<String>) -> Result<T, Problem> {
        Err(self.expression.problem(node, text.into()))
    }

    fn kind(&mut self, node: &'e IdedExpr) -> Result<Type, Problem> {
        match &node.expr {
            Expr::Literal(literal) => Ok(literal_kind(literal)),
            Expr::Ident(name) => self.identifier(node, name),
            Expr::Select(select) => self.select(node, select),
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => {
                list.elements.iter().try_for_each(|element| self.kind(element).map(drop))?;
                Ok(Type::List)
            }
            Expr::Map(_) => {
                crate::expression::children(node)
                    .into_iter()
                    .try_for_each(|part| self.kind(part).map(drop))?;
                Ok(Type::Map)
            }
            Expr::Comprehension(all) => self.comprehension(all),
            Expr::Struct(_) | Expr::Unspecified => {
                self.wrong(node, "expected a value, found a message; there are none here")
            }
        }
    }

    fn identifier(&self, node: &IdedExpr, name: &str) -> Result<Type, Problem> {
        if self.variables.contains(&name) || name.starts_with('@') {
            return Ok(Type::Unknown);
        }
        if let Some(root) = Root::named(name) {
            let example = root.fields().first().map_or("", |field| field.name);
            return self.wrong(
                node,
                format!("expected a field of {name}, for example {name}.{example}, found `{name}`"),
            );
        }
        let near = offer(near_anywhere(name));
        self.wrong(node, format!("expected a known name, found `{name}`{near}"))
    }

    fn select(&mut self, node: &'e IdedExpr, select: &'e SelectExpr) -> Result<Type, Problem> {
        if let Expr::Ident(name) = &select.operand.expr
            && !self.variables.contains(&name.as_str())
            && let Some(root) = Root::named(name)
        {
            return self.field(node, root, select);
        }
        let of = self.kind(&select.operand)?;
        match (of, select.test) {
            (Type::Labels | Type::Map | Type::Unknown, true) => Ok(Type::Bool),
            (Type::Labels, false) => Ok(Type::Text),
            (Type::Map | Type::Unknown, false) => Ok(Type::Unknown),
            (of, _) => {
                let field = &select.field;
                self.wrong(node, format!("expected a map before `.{field}`, found {of}"))
            }
        }
    }

    fn field(&mut self, node: &IdedExpr, root: Root, select: &SelectExpr) -> Result<Type, Problem> {
        let (of, name) = (root.name(), select.field.as_str());
        let Some(id) = root.field(name) else {
            let near = offer(near_field(root, name));
            return self.wrong(node, format!("expected a field of {of}, found `{name}`{near}"));
        };
        if select.test {
            let text = format!(
                "expected a label in has(), for example has(target.labels.role), found `{of}.{name}`; \
                 whether PostgreSQL is looked at says database_server.known"
            );
            return self.wrong(node, text);
        }
        self.findings.mention(id, &format!("{of}.{name}"));
        Ok(id.field().kind())
    }

    fn comprehension(&mut self, all: &'e ComprehensionExpr) -> Result<Type, Problem> {
        let range = self.kind(&all.iter_range)?;
        if !matches!(range, Type::List | Type::Map | Type::Labels | Type::Unknown) {
            let text = format!("expected a list or a map to go through, found {range}");
            return self.wrong(&all.iter_range, text);
        }
        let accumulated = self.kind(&all.accu_init)?;
        let outside = self.variables.len();
        self.variables.push(&all.accu_var);
        self.variables.push(&all.iter_var);
        self.variables.extend(all.iter_var2.as_deref());
        self.kind(&all.loop_step)?;
        self.variables.truncate(outside);
        // `exists` and `all` begin with a bool, `map` and `filter` with a list; `exists_one`
        // counts.
        Ok(match (accumulated, &all.result.expr) {
            (_, Expr::Call(_)) => Type::Bool,
            (kind, _) => kind,
        })
    }

    fn call(&mut self, node: &'e IdedExpr, call: &'e CallExpr) -> Result<Type, Problem> {
        if call.target.is_none()
            && let Some(kind) = self.operator(node, call)?
        {
            return Ok(kind);
        }
        self.function(node, call)
    }
}

fn literal_kind(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::UInt(_) => Type::Uint,
    }
}

fn offer(name: Option<String>) -> String {
    name.map(|name| format!("; the nearest is {name}")).unwrap_or_default()
}

/// Finds the nearest field of a root, or else of any.
fn near_field(root: Root, wrong: &str) -> Option<String> {
    let names = root.fields().iter().flat_map(|field| [field.name, field.short]);
    nearest(wrong, names)
        .map(|name| format!("{}.{name}", root.name()))
        .or_else(|| near_anywhere(wrong))
}

/// Finds the nearest root or field by its own name.
fn near_anywhere(wrong: &str) -> Option<String> {
    let fields = Root::ALL.into_iter().flat_map(|root| {
        root.fields()
            .iter()
            .flat_map(|field| [field.name, field.short])
            .map(move |name| (root, name))
    });
    let fields: Vec<(Root, &str)> = fields.collect();
    let roots = Root::ALL.map(Root::name);
    let found = nearest(wrong, fields.iter().map(|(_, name)| *name).chain(roots))?;
    if roots.contains(&found) && !fields.iter().any(|(_, name)| *name == found) {
        return Some(found.to_owned());
    }
    let (root, name) = fields.into_iter().find(|(_, name)| *name == found)?;
    Some(format!("{}.{name}", root.name()))
}
