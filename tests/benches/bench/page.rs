//! The page of results: what must be reached and whether it is, then section by section.

use std::process::Command;

/// A requirement and what was measured for it.
#[derive(Debug)]
struct Target {
    what: String,
    measured: f64,
    most: f64,
    unit: &'static str,
}

/// One part of the page: words and a table.
#[derive(Debug)]
pub struct Section {
    title: String,
    text: &'static str,
    rows: Vec<Vec<String>>,
    targets: Vec<Target>,
}

impl Section {
    /// Starts a section.
    pub fn new(title: &str, text: &'static str) -> Self {
        Self { title: title.to_owned(), text, rows: Vec::new(), targets: Vec::new() }
    }

    /// Adds a row; the first one is the head. Says it at once, because a run takes minutes.
    pub fn row(&mut self, cells: &[&str]) {
        eprintln!("  {}", cells.join(" | "));
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }

    /// Adds a requirement: what was measured may be at most so much.
    pub fn target(
        &mut self,
        what: impl Into<String>,
        measured: f64,
        most: f64,
        unit: &'static str,
    ) {
        self.targets.push(Target { what: what.into(), measured, most, unit });
    }

    /// Writes the section as Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("## {}\n\n{}\n\n", self.title, self.text);
        for (at, row) in self.rows.iter().enumerate() {
            out.push_str(&format!("| {} |\n", row.join(" | ")));
            if at == 0 {
                out.push_str(&format!("|{}\n", " --- |".repeat(row.len())));
            }
        }
        out
    }
}

/// Writes the whole page.
pub fn page(sections: &[Section], load_before: &str) -> String {
    let mut out = format!("{HEAD}\n{}\n", machine(load_before));
    out.push_str("## What must be reached\n\n| what | measured | at most | |\n");
    out.push_str("| --- | --- | --- | --- |\n");
    for target in sections.iter().flat_map(|section| &section.targets) {
        let Target { what, measured, most, unit } = target;
        let reached = if measured <= most { "reached" } else { "**missed**" };
        out.push_str(&format!("| {what} | {measured:.2}{unit} | {most:.2}{unit} | {reached} |\n"));
    }
    for section in sections {
        out.push_str(&format!("\n{}", section.markdown()));
    }
    out
}

const HEAD: &str = "\
# Benchmarks

Written by `tests/bench.sh`, which builds, measures and writes this page; `tests/bench.sh WHAT` measures
one part (`evaluate`, `rules`, `tick`, `overload`, `http`, `idle`, `reload`, `languages`). A cell is the median with the
10th and 90th percentile. Both sides of a ratio take turns within one run, so that on a machine which other
programs use as well absolute times drift and ratios hardly do.
";

fn machine(load_before: &str) -> String {
    let rows = [
        ("date", said("date", &["-u", "+%F %H:%M UTC"])),
        ("source", said("git", &["rev-parse", "--short", "HEAD"])),
        ("processor", processor()),
        ("kernel", said("uname", &["-sr"])),
        ("load before and after (1, 5, 15 min)", format!("{load_before}; {}", load())),
        ("compiler", said("rustc", &["--version"])),
        ("PgBouncer", said("/usr/sbin/pgbouncer", &["--version"])),
        ("PostgreSQL", said("psql", &["--version"])),
    ];
    let mut out = "| | |\n| --- | --- |\n".to_owned();
    for (name, value) in rows {
        out.push_str(&format!("| {name} | {value} |\n"));
    }
    out
}

/// Gives the machine's load averages.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} virtual cores")
}

/// Gives the first line that a program prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().next().unwrap_or("unknown").to_owned()
}
