//! The page of results, section by section.

/// One part of the page: words and a table.
#[derive(Debug)]
pub struct Section {
    title: String,
    text: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Section {
    /// Starts a section.
    pub fn new(title: &str) -> Self {
        let title = title.to_owned();
        Self { title, text: Vec::new(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a paragraph before the table.
    pub fn text(&mut self, text: impl Into<String>) {
        self.text.push(text.into());
    }

    /// Adds a row; the first one is the head. Says it at once, because a run takes minutes.
    pub fn row(&mut self, cells: &[&str]) {
        eprintln!("  {}", cells.join(" | "));
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }

    /// Adds a paragraph after the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Writes the section as Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("## {}\n", self.title);
        for text in &self.text {
            out.push_str(&format!("\n{text}\n"));
        }
        if !self.rows.is_empty() {
            out.push('\n');
        }
        for (at, row) in self.rows.iter().enumerate() {
            out.push_str(&format!("| {} |\n", row.join(" | ")));
            if at == 0 {
                out.push_str(&format!("|{}\n", " --- |".repeat(row.len())));
            }
        }
        for note in &self.notes {
            out.push_str(&format!("\n{note}\n"));
        }
        out
    }
}
