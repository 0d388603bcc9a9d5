//! Fills `{{ expression }}` in messages with values.

use crate::column::Columns;
use crate::expression::Problem;
use crate::formula::Formula;
use crate::interpret::Interpreter;

/// A message, cut into text and expressions.
#[derive(Debug, Default)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Value(Formula),
}

/// A piece of a message's source: text, or an expression with its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'s> {
    Text(&'s str),
    Expression(usize, &'s str),
}

/// Cuts a message into pieces.
///
/// # Errors
/// When a `{{` has no `}}`.
pub(crate) fn pieces(source: &str) -> Result<Vec<Piece<'_>>, Problem> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(open) = source.get(at..).and_then(|rest| rest.find("{{")).map(|to| at + to) {
        let inside = open + 2;
        let Some(length) = end_of(&source[inside..]) else {
            let text = "expected `}}` for this `{{`, found the end".to_owned();
            return Err(Problem { at: open, text });
        };
        pieces.push(Piece::Text(&source[at..open]));
        pieces.push(Piece::Expression(inside, &source[inside..inside + length]));
        at = inside + length + 2;
    }
    pieces.push(Piece::Text(source.get(at..).unwrap_or_default()));
    Ok(pieces)
}

/// Finds the `}}` that ends an expression: not one inside a string.
fn end_of(rest: &str) -> Option<usize> {
    let mut quote = None;
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        match quote {
            Some(_) if letter == '\\' => drop(letters.next()),
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if rest[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

impl Template {
    /// Adds text that stays as it is.
    pub(crate) fn push_text(&mut self, text: &str) {
        self.parts.push(Part::Text(text.to_owned()));
    }

    /// Adds an expression.
    pub(crate) fn push_value(&mut self, formula: Formula) {
        self.parts.push(Part::Value(formula));
    }

    /// Writes the message for each of some rows, at most so many bytes.
    pub(crate) fn fill(
        &self,
        columns: &Columns<'_>,
        interpreter: &Interpreter,
        rows: &[usize],
        bytes: usize,
    ) -> Vec<String> {
        let mut texts = vec![String::new(); rows.len()];
        for part in &self.parts {
            match part {
                Part::Text(text) => texts.iter_mut().for_each(|one| one.push_str(text)),
                Part::Value(formula) => {
                    let value = formula.evaluate(columns);
                    for (text, row) in texts.iter_mut().zip(rows) {
                        value.write(columns, interpreter, *row, text);
                    }
                }
            }
        }
        for text in &mut texts {
            text.truncate(text.floor_char_boundary(bytes));
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_at_its_expressions() {
        use Piece::{Expression, Text};
        let cut = pieces("{{pool.size}} of {{ '}}' }}!").expect("closed");
        let expected = [
            Text(""),
            Expression(2, "pool.size"),
            Text(" of "),
            Expression(19, " '}}' "),
            Text("!"),
        ];
        assert_eq!(cut, expected);
        assert_eq!(pieces("plain").expect("nothing to close"), [Text("plain")]);
        assert_eq!(pieces("é {{ 1").expect_err("open").at, 3);
    }
}
