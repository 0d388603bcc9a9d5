//! Parses expressions, and says where in them something is wrong.
//!
//! The parser is the Pratt parser of the `cel` crate: 5 µs for a condition, under Wasm, against 40
//! µs and half a megabyte of module for its ANTLR one; both are held equal by a test. It keeps the
//! places of nodes to itself unless parsing fails, so [`place`] makes it fail: the same source with
//! a `)` behind it numbers its nodes alike and hands its places over with the error.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, ListExpr, SourceInfo};
use cel::parser::{ParseError, PrattParser};

/// Nodes one below the other, beyond which an expression is refused: evaluation is recursive.
const DEPTH_MAX: usize = 100;

/// What is wrong with an expression, and where: a sentence without the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Place in the source, in bytes.
    pub at: usize,
    pub text: String,
}

/// A parsed expression with its source.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    pub source: String,
    pub root: IdedExpr,
}

impl Expression {
    /// Parses a source.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn parse(source: &str) -> Result<Self, Problem> {
        match PrattParser::new().parse(source) {
            Ok(mut root) => {
                if depth(&root, DEPTH_MAX) == 0 {
                    let text =
                        format!("expected at most {DEPTH_MAX} nested parts, found more; split it");
                    return Err(Problem { at: 0, text });
                }
                name_extremes(&mut root);
                Ok(Self { source: source.to_owned(), root })
            }
            Err(errors) => {
                let first = errors.errors.into_iter().next();
                Err(first.map_or_else(|| unreadable(source), |error| syntax(source, &error)))
            }
        }
    }

    /// Returns the problem that a node has, with its place.
    pub(crate) fn problem(&self, node: &IdedExpr, text: String) -> Problem {
        Problem { at: place(&self.source, node), text }
    }
}

/// Finds where a node stands: a name at its begin, an operator at itself.
fn place(source: &str, node: &IdedExpr) -> usize {
    let failed = PrattParser::new().parse(&format!("{source}\n)"));
    let info = failed.err().and_then(|errors| errors.errors.into_iter().next()?.source_info);
    let Some(start) = info.and_then(|info: std::sync::Arc<SourceInfo>| info.offset_for(node.id))
    else {
        return 0;
    };
    let start = usize::try_from(start.0).unwrap_or_default();
    match (&node.expr, source.get(start..)) {
        // A selection is placed at its dot; what may be wrong with it is the name behind.
        (Expr::Select(_), Some(rest)) if rest.starts_with('.') => {
            start + 1 + (rest.len() - 1 - rest[1..].trim_start().len())
        }
        _ => start,
    }
}

/// Writes a place as a person counts: from one, in characters, lines only where there are several.
pub(crate) fn column(source: &str, at: usize) -> String {
    let before = source.get(..at.min(source.len())).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    if line == 1 { format!("column {column}") } else { format!("line {line}, column {column}") }
}

/// Puts the parser's words into ours: what was expected and what was found.
fn syntax(source: &str, error: &ParseError) -> Problem {
    let at = offset(source, error.pos);
    let found = token(source, at);
    let said = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    let expected = if said.ends_with("expecting <EOF>") {
        format!("expected an operator or the end{}", hint(found))
    } else if said.ends_with("expecting expression") || said == "unexpected token" {
        "expected an expression".to_owned()
    } else if let Some((_, expected)) = said.split_once(" expecting ") {
        format!("expected {}", expected.replace('\'', "`"))
    } else if let Some((_, expected)) = said.rsplit_once("expected ") {
        format!("expected {}", expected.replace('\'', "`"))
    } else {
        format!("expected an expression in CEL ({said})")
    };
    let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
    Problem { at, text: format!("{expected}, found {found}") }
}

fn unreadable(source: &str) -> Problem {
    Problem { at: 0, text: format!("expected an expression in CEL, found `{source}`") }
}

/// Guesses what somebody meant who comes from another language.
fn hint(found: &str) -> &'static str {
    match found {
        "=" => " (`==` compares)",
        "and" | "AND" => " (and is `&&`)",
        "or" | "OR" => " (or is `||`)",
        "is" => " (`==` compares)",
        "<>" => " (`!=` compares)",
        _ => "",
    }
}

/// Turns the parser's line and column, both from one, into a place in bytes.
fn offset(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1) - 1;
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    let before: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    source.floor_char_boundary((before + column).min(source.len()))
}

/// Cuts the word or sign out that stands at a place.
fn token(source: &str, at: usize) -> &str {
    let rest = source.get(at..).unwrap_or_default();
    let rest = rest.trim_start();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    rest.get(..word.max(first)).unwrap_or(rest)
}

/// Calls `math.greatest` and `math.least` what the interpreter calls them.
///
/// In the `cel` crate they are macros, which its Pratt parser cannot be given.
fn name_extremes(node: &mut IdedExpr) {
    if let Expr::Call(call) = &mut node.expr {
        let is_math = call
            .target
            .as_ref()
            .is_some_and(|target| matches!(&target.expr, Expr::Ident(name) if name == "math"));
        let name = match call.func_name.as_str() {
            "greatest" if is_math => Some("math.@max"),
            "least" if is_math => Some("math.@min"),
            _ => None,
        };
        if let Some(name) = name {
            let mut args = std::mem::take(&mut call.args);
            if args.len() > 2 {
                args = vec![IdedExpr { id: node.id, expr: Expr::List(ListExpr::new(args)) }];
            }
            *call = CallExpr { func_name: name.to_owned(), target: None, args };
        }
    }
    for child in children_mut(node) {
        name_extremes(child);
    }
}

/// Returns how many of `left` levels are left below the deepest node; zero when too few.
fn depth(node: &IdedExpr, left: usize) -> usize {
    if left == 0 {
        return 0;
    }
    children(node).into_iter().map(|child| depth(child, left - 1)).min().unwrap_or(left)
}

/// Returns a node's parts, in the order of the source where they have one.
pub(crate) fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| parts(&entry.expr)).collect(),
        Expr::Struct(one) => one.entries.iter().flat_map(|entry| parts(&entry.expr)).collect(),
        Expr::Comprehension(all) => {
            vec![&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result]
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

fn children_mut(node: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    match &mut node.expr {
        Expr::Call(call) => {
            call.target.iter_mut().map(AsMut::as_mut).chain(&mut call.args).collect()
        }
        Expr::Select(select) => vec![&mut select.operand],
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => {
            map.entries.iter_mut().flat_map(|entry| parts_mut(&mut entry.expr)).collect()
        }
        Expr::Comprehension(all) => {
            vec![&mut all.iter_range, &mut all.accu_init, &mut all.loop_step, &mut all.result]
        }
        Expr::Struct(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn parts_mut(entry: &mut EntryExpr) -> Vec<&mut IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&mut field.value],
        EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
    }
}
