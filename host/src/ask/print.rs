//! Prints for people: aligned columns, and nothing that a terminal would take for a command.

use std::io::{self, Write};
use std::process::ExitCode;

use super::AskError;
use super::client::Answer;

/// Rows of text under headings; columns are as wide as their widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns of numbers, which stand to the right.
    right: Vec<bool>,
}

impl Table {
    /// Makes a table; a heading that begins with `>` is of a column of numbers.
    pub fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let row = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned());
        Self { rows: vec![row.collect()], right }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    pub fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.right);
            let padded: Vec<String> = cells
                .map(|((cell, width), right)| match right {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                })
                .collect();
            text.push_str(padded.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Replaces control characters: names come from databases and reasons from plugins, and neither may
/// steer the reader's terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Writes text to standard output; a reader that has gone (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<ExitCode, AskError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(AskError::Output(error)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Writes an answer as it came.
pub(super) fn print_raw(answer: &Answer) -> Result<ExitCode, AskError> {
    print(&format!("{}\n", String::from_utf8_lossy(&answer.body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["POOL", ">SIZE", "CONDITION"]);
        table.row(["app/web".into(), "20".into(), "serving".into()]);
        table.row(["b".into(), "7".into(), "idle".into()]);
        assert_eq!(
            table.text(),
            "POOL     SIZE  CONDITION\napp/web    20  serving\nb           7  idle\n"
        );
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
