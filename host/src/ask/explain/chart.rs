//! What a change did, as rows of blocks with the moment of the change marked.
//!
//! Crates for sparklines (`sparkline`, `rspark`, `textplots`) know neither a mark in time, nor rows that
//! share a scale, nor a terminal without UTF-8; a whole terminal interface (`ratatui`) draws screens.

use std::io::IsTerminal;

use serde::Deserialize;

/// Widest chart; wider ones are no easier to read.
const WIDTH_MAX: usize = 90;
/// Columns of a row's name and of its numbers.
const NAME: usize = 13;
const NUMBERS: usize = 22;
/// Width where the terminal does not tell.
const WIDTH: usize = 100;

/// What can be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Columns.
    pub width: usize,
    /// Whether characters beyond ASCII come through.
    pub blocks: bool,
    /// Whether colours are wanted.
    pub colour: bool,
}

impl Screen {
    /// Finds out what this terminal can show.
    pub fn of_this_terminal() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase().replace('-', "");
        let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0.into());
        Self {
            width: width.max(40),
            blocks: locale.contains("utf8"),
            colour: std::io::stdout().is_terminal() && set("NO_COLOR").is_none(),
        }
    }

    pub fn bold(self, text: &str) -> String {
        self.styled(text, "1")
    }

    fn styled(self, text: &str, style: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    const fn levels(self) -> [char; 9] {
        match self.blocks {
            true => [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            false => [' ', '.', ':', '-', '=', '+', '*', '%', '#'],
        }
    }

    const fn mark(self) -> char {
        if self.blocks { '│' } else { '|' }
    }
}

/// The seconds before and after a change.
#[derive(Debug, Deserialize)]
pub(crate) struct Chart {
    changed_ms: u64,
    points: Vec<Point>,
}

#[derive(Debug, Deserialize)]
struct Point {
    at_ms: u64,
    size: u32,
    servers: f64,
    waiting: f64,
    throughput_per_s: f64,
}

/// A row: its name, its numbers, and the row that it shares the scale with.
type Row = (&'static str, fn(&Point) -> f64);

const ROWS: [Row; 4] = [
    ("size", |point| f64::from(point.size)),
    ("servers", |point| point.servers),
    ("waiting", |point| point.waiting),
    ("tx/s", |point| point.throughput_per_s),
];

impl Chart {
    /// Draws it; nothing without points on both sides.
    pub fn text(&self, screen: Screen) -> String {
        let (before, after): (Vec<&Point>, Vec<&Point>) =
            self.points.iter().partition(|point| point.at_ms < self.changed_ms);
        let (Some(first), Some(last)) = (before.first(), after.last()) else {
            return String::new();
        };
        let seconds = |from: u64, to: u64| to.saturating_sub(from) / 1_000;
        let heading = format!(
            "Before and after: {} s before the change, {} s after it",
            seconds(first.at_ms, self.changed_ms),
            seconds(self.changed_ms, last.at_ms)
        );
        let room = screen.width.min(WIDTH_MAX).saturating_sub(NAME + NUMBERS + 6).max(12);
        let share = |points: usize| (room * points / self.points.len()).max(1);
        let widths = (share(before.len()).min(before.len()), share(after.len()).min(after.len()));
        let peak = |of: fn(&Point) -> f64| self.points.iter().map(of).fold(0.0, f64::max);
        // Servers are measured by the size that allows them.
        let servers = peak(ROWS[0].1).max(peak(ROWS[1].1));
        let mut text = format!("{}\n", screen.bold(&heading));
        for (name, of) in ROWS {
            let top = if matches!(name, "size" | "servers") { servers } else { peak(of) };
            let left = bars(&columns(&before, widths.0, of), top, screen);
            let right = bars(&columns(&after, widths.1, of), top, screen);
            let (left, right) = (screen.styled(&left, "2"), screen.styled(&right, "36"));
            let (then, now) = (mean(&before, of), mean(&after, of));
            let arrow = if screen.blocks { '→' } else { '>' };
            let numbers = format!("{} {arrow} {}", short(then), short(now));
            text.push_str(&format!("  {name:<NAME$}{left}{}{right}  {numbers}\n", screen.mark()));
        }
        text
    }
}

/// Puts points into columns, each the mean of its share.
fn columns(points: &[&Point], width: usize, of: fn(&Point) -> f64) -> Vec<f64> {
    let column = |at: usize| {
        let (from, to) = (at * points.len() / width, (at + 1) * points.len() / width);
        mean(points.get(from..to.max(from + 1)).unwrap_or_default(), of)
    };
    (0..width).map(column).collect()
}

fn mean(points: &[&Point], of: fn(&Point) -> f64) -> f64 {
    let count = u32::try_from(points.len()).unwrap_or(u32::MAX).max(1);
    points.iter().map(|point| of(point)).sum::<f64>() / f64::from(count)
}

/// Writes values as blocks between 0 and the top; what is not quite nothing shows.
fn bars(values: &[f64], top: f64, screen: Screen) -> String {
    let levels = screen.levels();
    let block = |value: &f64| {
        let part = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
        let reached = (1..levels.len()).rev().find(|level| {
            let level = u32::try_from(*level).unwrap_or(1);
            part > (f64::from(level) - 0.75) / 8.0
        });
        levels[reached.unwrap_or(usize::from(part > 0.0))]
    };
    values.iter().map(block).collect()
}

fn short(value: f64) -> String {
    if value >= 10.0 || value.fract() < 0.05 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let point = |at: u64| {
            let grown = at >= 4;
            Point {
                at_ms: at * 1_000,
                size: if grown { 8 } else { 4 },
                servers: if grown { 7.0 } else { 4.0 },
                waiting: if grown { 0.0 } else { 6.0 },
                throughput_per_s: if grown { 160.0 } else { 80.0 },
            }
        };
        Chart { changed_ms: 4_000, points: (0..10).map(point).collect() }
    }

    #[test]
    fn a_change_is_drawn_with_its_moment_and_its_numbers() {
        let screen = Screen { width: 80, blocks: true, colour: false };
        assert_eq!(
            chart().text(screen),
            "Before and after: 4 s before the change, 5 s after it\n\
             \x20 size         ▄▄▄▄│██████  4 → 8\n\
             \x20 servers      ▄▄▄▄│▇▇▇▇▇▇  4 → 7\n\
             \x20 waiting      ████│        6 → 0\n\
             \x20 tx/s         ▄▄▄▄│██████  80 → 160\n"
        );
        let plain = Screen { blocks: false, ..screen };
        assert!(chart().text(plain).is_ascii());
        assert!(chart().text(plain).contains("====|######  4 > 8"), "{}", chart().text(plain));
        let coloured = Screen { colour: true, ..screen };
        assert!(chart().text(coloured).contains("\u{1b}[36m"));
    }

    #[test]
    fn a_narrow_screen_is_not_overrun() {
        let mut long = chart();
        long.points = (0..90).map(|at| Point { at_ms: at * 1_000, ..point_of(&chart()) }).collect();
        long.changed_ms = 30_000;
        for width in [40, 60, 80, 200] {
            let screen = Screen { width, blocks: true, colour: false };
            let widest = long.text(screen).lines().skip(1).map(|line| line.chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= width.max(56)), "{width}: {widest:?}");
        }
    }

    fn point_of(chart: &Chart) -> Point {
        let Point { at_ms, size, servers, waiting, throughput_per_s } = chart.points[0];
        Point { at_ms, size, servers, waiting, throughput_per_s }
    }

    #[test]
    fn one_side_alone_is_no_before_and_after() {
        let only = Chart { changed_ms: 0, ..chart() };
        assert_eq!(only.text(Screen { width: 80, blocks: true, colour: false }), "");
    }
}
