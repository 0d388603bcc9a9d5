//! Functions that an expression may call, with their types.
//!
//! The list is what the interpreter is given, see [`crate::interpret`]: CEL's standard functions,
//! and of the usual extensions `math` and the plain ones on strings. Regular expressions
//! (`matches`) are left out: they would double the module.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr};

use super::Checker;
use crate::expression::Problem;
use crate::nearest::nearest;
use crate::types::Type;

/// A function: how it is written, what it takes (the value before the dot first) and what it gives.
struct Function {
    name: &'static str,
    style: Style,
    takes: &'static [Takes],
    gives: Gives,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// `size(x)`
    Plain,
    /// `x.startsWith(y)`
    Member,
    /// `math.abs(x)`
    Math,
}

#[derive(Clone, Copy)]
enum Takes {
    One(Type),
    Number,
    /// A number, or a list of them.
    Numbers,
    Scalar,
    Sized,
    Anything,
}

#[derive(Clone, Copy)]
enum Gives {
    One(Type),
    /// What the first argument is.
    Same,
}

const fn plain(name: &'static str, takes: &'static [Takes], gives: Type) -> Function {
    Function { name, style: Style::Plain, takes, gives: Gives::One(gives) }
}

const fn member(name: &'static str, takes: &'static [Takes], gives: Type) -> Function {
    Function { name, style: Style::Member, takes, gives: Gives::One(gives) }
}

const fn math(name: &'static str, takes: &'static [Takes], gives: Gives) -> Function {
    Function { name, style: Style::Math, takes, gives }
}

const TEXT: Takes = Takes::One(Type::Text);
const DOUBLE: Takes = Takes::One(Type::Double);
const INT: Takes = Takes::One(Type::Int);
const SAME: Gives = Gives::Same;

const FUNCTIONS: &[Function] = &[
    plain("int", &[Takes::Scalar], Type::Int),
    plain("uint", &[Takes::Scalar], Type::Uint),
    plain("double", &[Takes::Scalar], Type::Double),
    plain("string", &[Takes::Scalar], Type::Text),
    plain("bool", &[Takes::Scalar], Type::Bool),
    plain("dyn", &[Takes::Anything], Type::Unknown),
    plain("type", &[Takes::Anything], Type::Unknown),
    plain("size", &[Takes::Sized], Type::Int),
    member("size", &[Takes::Sized], Type::Int),
    member("startsWith", &[TEXT, TEXT], Type::Bool),
    member("endsWith", &[TEXT, TEXT], Type::Bool),
    member("contains", &[TEXT, TEXT], Type::Bool),
    member("lowerAscii", &[TEXT], Type::Text),
    member("upperAscii", &[TEXT], Type::Text),
    member("trim", &[TEXT], Type::Text),
    member("replace", &[TEXT, TEXT, TEXT], Type::Text),
    member("split", &[TEXT, TEXT], Type::List),
    member("indexOf", &[TEXT, TEXT], Type::Int),
    member("lastIndexOf", &[TEXT, TEXT], Type::Int),
    member("substring", &[TEXT, INT], Type::Text),
    member("substring", &[TEXT, INT, INT], Type::Text),
    member("join", &[Takes::One(Type::List)], Type::Text),
    member("join", &[Takes::One(Type::List), TEXT], Type::Text),
    math("math.abs", &[Takes::Number], SAME),
    math("math.sign", &[Takes::Number], SAME),
    math("math.ceil", &[DOUBLE], SAME),
    math("math.floor", &[DOUBLE], SAME),
    math("math.round", &[DOUBLE], SAME),
    math("math.trunc", &[DOUBLE], SAME),
    math("math.sqrt", &[Takes::Number], Gives::One(Type::Double)),
    math("math.isNaN", &[DOUBLE], Gives::One(Type::Bool)),
    math("math.isInf", &[DOUBLE], Gives::One(Type::Bool)),
    math("math.isFinite", &[DOUBLE], Gives::One(Type::Bool)),
    // `math.greatest` and `math.least`, under the names that the interpreter knows them by.
    math("math.@max", &[Takes::Numbers], SAME),
    math("math.@max", &[Takes::Number, Takes::Number], SAME),
    math("math.@min", &[Takes::Numbers], SAME),
    math("math.@min", &[Takes::Number, Takes::Number], SAME),
];

/// Macros of CEL, which are no functions any more when an expression is checked.
const MACROS: [&str; 8] =
    ["has", "all", "exists", "exists_one", "filter", "map", "math.greatest", "math.least"];

impl<'e> Checker<'e> {
    /// Checks a call of a function.
    pub(super) fn function(
        &mut self,
        node: &'e IdedExpr,
        call: &'e CallExpr,
    ) -> Result<Type, Problem> {
        let (style, name) = spelt(call);
        let mut of_name =
            FUNCTIONS.iter().filter(|f| f.style == style && f.name == name).peekable();
        if of_name.peek().is_none() {
            let known = FUNCTIONS.iter().map(|f| f.name).filter(|name| !name.contains('@'));
            let near = nearest(&name, known.chain(MACROS));
            let near = near.map(|name| format!("; the nearest is {name}")).unwrap_or_default();
            return self.wrong(node, format!("expected a known function, found `{name}`{near}"));
        }
        let args: Vec<&'e IdedExpr> = match (style, &call.target) {
            (Style::Member, Some(target)) => {
                std::iter::once(target.as_ref()).chain(&call.args).collect()
            }
            _ => call.args.iter().collect(),
        };
        let kinds = args.iter().map(|arg| self.kind(arg)).collect::<Result<Vec<_>, _>>()?;
        let of_name: Vec<&Function> = of_name.collect();
        let name = name.replace("@max", "greatest").replace("@min", "least");
        let Some(function) = of_name.iter().find(|f| f.takes.len() == kinds.len()) else {
            let behind = usize::from(style == Style::Member);
            let (wanted, found) = (of_name[0].takes.len() - behind, kinds.len() - behind);
            let s = if wanted == 1 { "" } else { "s" };
            let text = format!("expected {wanted} argument{s} of `{name}`, found {found}");
            return self.wrong(node, text);
        };
        for ((takes, kind), arg) in function.takes.iter().zip(&kinds).zip(&args) {
            if let Some(wanted) = refused(*takes, *kind) {
                let text = format!("expected {wanted} for `{name}`, found {kind}");
                return self.wrong(arg, text);
            }
        }
        Ok(match function.gives {
            Gives::One(kind) => kind,
            Gives::Same => same(&kinds),
        })
    }
}

/// Returns how a call is written, and the function's whole name.
fn spelt(call: &CallExpr) -> (Style, String) {
    let name = &call.func_name;
    match call.target.as_ref().map(|target| &target.expr) {
        Some(Expr::Ident(space)) if space == "math" => (Style::Math, format!("math.{name}")),
        Some(_) => (Style::Member, name.clone()),
        None if name.starts_with("math.") => (Style::Math, name.clone()),
        None => (Style::Plain, name.clone()),
    }
}

/// Says what is wanted instead of a type; `None` when it will do.
fn refused(takes: Takes, kind: Type) -> Option<String> {
    let (fits, wanted) = match takes {
        Takes::One(wanted) => (kind.fits(wanted), wanted.to_string()),
        Takes::Number => (kind.is_number() || kind == Type::Unknown, "a number".to_owned()),
        Takes::Numbers => {
            let fits = kind.is_number() || matches!(kind, Type::List | Type::Unknown);
            (fits, "numbers".to_owned())
        }
        Takes::Scalar => {
            let scalar = matches!(kind, Type::Bool | Type::Text | Type::Unknown);
            (scalar || kind.is_number(), "a number, a string or a bool".to_owned())
        }
        Takes::Sized => {
            let sized = Type::Text == kind || kind.fits(Type::List) || kind.fits(Type::Map);
            (sized, "a string, a list or a map".to_owned())
        }
        Takes::Anything => (true, String::new()),
    };
    (!fits).then_some(wanted)
}

fn same(kinds: &[Type]) -> Type {
    match kinds {
        [one] if one.is_number() => *one,
        [one, other] if one == other => *one,
        _ => Type::Unknown,
    }
}
