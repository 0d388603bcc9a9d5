//! A console answer, read by column name.
//!
//! Columns come, go and change their type between versions, so every value is taken as the text that
//! PgBouncer sent and every column may be absent.

use std::str::FromStr;

use sqlx::postgres::PgRow;
use sqlx::{Column, Row as _, ValueRef};

use super::ConsoleError;

/// Rows of one `SHOW` command.
#[derive(Debug)]
pub struct Table {
    command: String,
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    values: &'a [Option<String>],
}

impl Table {
    /// Takes the rows that the driver read.
    ///
    /// # Errors
    /// When a value is not text.
    pub(super) fn new(command: &str, rows: &[PgRow]) -> Result<Self, ConsoleError> {
        let columns = rows.first().map_or_else(Vec::new, |row| {
            row.columns().iter().map(|column| column.name().to_owned()).collect()
        });
        let rows = rows.iter().map(|row| values(command, row)).collect::<Result<_, _>>()?;
        Ok(Self { command: command.to_owned(), columns, rows })
    }

    /// Makes a table from text, as some version of PgBouncer would send it; `-` stands for NULL.
    #[cfg(test)]
    pub(super) fn made(command: &str, columns: &str, rows: &[&str]) -> Self {
        let value = |text: &str| (text != "-").then(|| text.to_owned());
        Self {
            command: command.to_owned(),
            columns: columns.split_whitespace().map(str::to_owned).collect(),
            rows: rows.iter().map(|row| row.split_whitespace().map(value).collect()).collect(),
        }
    }

    /// Makes a table from values that may hold spaces.
    #[cfg(test)]
    pub(super) fn of_values(command: &str, columns: &str, rows: &[&[&str]]) -> Self {
        let value = |text: &&str| Some((*text).to_owned());
        Self {
            command: command.to_owned(),
            columns: columns.split_whitespace().map(str::to_owned).collect(),
            rows: rows.iter().map(|row| row.iter().map(value).collect()).collect(),
        }
    }

    /// Gives the rows in PgBouncer's order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { table: self, values })
    }

    /// Counts the rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Says whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn values(command: &str, row: &PgRow) -> Result<Vec<Option<String>>, ConsoleError> {
    (0..row.len())
        .map(|at| {
            let unreadable = |what: String| ConsoleError::Answer { command: command.into(), what };
            let value = row.try_get_raw(at).map_err(|e| unreadable(e.to_string()))?;
            if value.is_null() {
                return Ok(None);
            }
            let text = value.as_str().map_err(|e| unreadable(e.to_string()))?;
            Ok(Some(text.to_owned()))
        })
        .collect()
}

impl<'a> Row<'a> {
    /// Gives the text of a column; `None` when it is absent or NULL.
    pub fn text(&self, column: &str) -> Option<&'a str> {
        let at = self.table.columns.iter().position(|name| name == column)?;
        self.values.get(at)?.as_deref()
    }

    /// Gives a number; `None` when the column is absent, NULL, blank, or holds something else.
    ///
    /// Some versions put `-1` where others leave a blank, and an optional number must not take the
    /// whole target down.
    pub fn number<T: FromStr>(&self, column: &str) -> Option<T> {
        self.text(column)?.trim().parse().ok()
    }

    /// Gives a number that every supported version has.
    ///
    /// # Errors
    /// When the column is absent or holds no such number.
    pub fn essential<T: FromStr>(&self, column: &str) -> Result<T, ConsoleError> {
        let text = self.essential_text(column)?;
        let what = || format!("{text:?} where column {column:?} should hold a count");
        text.trim().parse().map_err(|_| self.answer(what()))
    }

    /// Gives a text that every supported version has.
    ///
    /// # Errors
    /// When the column is absent or NULL.
    pub fn essential_text(&self, column: &str) -> Result<&'a str, ConsoleError> {
        self.text(column).ok_or_else(|| self.answer(format!("no column {column:?}")))
    }

    /// Says yes for `1`, `yes` and `t`; no when absent.
    pub fn flag(&self, column: &str) -> bool {
        matches!(self.text(column), Some("1" | "yes" | "t"))
    }

    fn answer(&self, what: String) -> ConsoleError {
        ConsoleError::Answer { command: self.table.command.clone(), what }
    }
}
