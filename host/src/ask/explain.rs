//! `poolwarden explain`: one decision in plain words.
//!
//! The sidecar tells the story; this lays it out.

pub(crate) mod chart;

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use super::client::encoded;
use super::print::{Table, clean, print, print_raw};
use super::{AskError, Output, Sidecar};
use chart::{Chart, Screen};

/// Explain one decision: what was seen, said, judged and done, and what it did.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden decisions --limit 5\n  poolwarden explain \
    019b1b2c-7f00-7000-8000-000000000001\n  poolwarden explain \
    019b1b2c-7f00-7000-8000-000000000001 --output json")]
pub struct Explain {
    #[command(flatten)]
    sidecar: Sidecar,
    /// The decision's id, from `poolwarden decisions`.
    id: String,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// A decision explained.
#[derive(Debug, Deserialize)]
pub(crate) struct Story {
    id: String,
    title: String,
    summary: String,
    sections: Vec<Section>,
    chart: Option<Chart>,
}

#[derive(Debug, Deserialize)]
struct Section {
    title: String,
    text: Vec<String>,
    table: Option<Rows>,
}

#[derive(Debug, Deserialize)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Explain {
    /// Asks and prints.
    ///
    /// # Errors
    /// When no sidecar answers, it does not know the decision, or the output cannot be written.
    pub async fn run(self) -> Result<ExitCode, AskError> {
        let path = format!("/v1/decisions/{}/explain", encoded(&self.id));
        let answer = self.sidecar.ask(&path).await?.success()?;
        match self.output {
            Output::Json => print_raw(&answer),
            Output::Text => print(&text(&answer.read()?, Screen::of_this_terminal())),
        }
    }
}

/// Lays a story out.
pub(crate) fn text(story: &Story, screen: Screen) -> String {
    let mut parts = vec![
        format!("{}\nDecision {}\n", screen.bold(&clean(&story.title)), clean(&story.id)),
        wrapped(&story.summary, "", screen.width),
    ];
    for section in &story.sections {
        parts.push(section.text(screen));
    }
    parts.extend(story.chart.as_ref().map(|chart| chart.text(screen)));
    parts.join("\n")
}

impl Section {
    fn text(&self, screen: Screen) -> String {
        let mut text = format!("{}\n", screen.bold(&clean(&self.title)));
        for line in &self.text {
            text.push_str(&wrapped(line, "  ", screen.width));
        }
        if let Some(rows) = &self.table {
            let columns: Vec<&str> = rows.columns.iter().map(String::as_str).collect();
            let mut table = Table::new(&columns);
            rows.rows.iter().for_each(|row| table.row(row.iter().cloned()));
            text.extend(table.text().lines().map(|line| format!("  {line}\n")));
        }
        text
    }
}

/// Breaks text between words, so that no line is wider than the screen, and indents it.
fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    // An advice may have lines of its own, which are commands or lines of a file.
    for own in text.split('\n') {
        for word in clean(own).split(' ') {
            let used = indent.len() + line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && used > width {
                lines.push_str(&format!("{indent}{line}\n"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push_str(format!("{indent}{line}").trim_end());
        lines.push('\n');
        line.clear();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_words_stay_whole() {
        assert_eq!(wrapped("one two three", "  ", 9), "  one two\n  three\n");
        assert_eq!(wrapped("a-very-long-word x", "", 5), "a-very-long-word\nx\n");
        assert_eq!(wrapped("a\nb c", "", 80), "a\nb c\n");
    }
}
