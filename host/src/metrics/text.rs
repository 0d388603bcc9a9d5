//! Writes Prometheus' text format 0.0.4.
//!
//! A family's lines must stand together, so each is written in one go over all targets, and its
//! header only when it has a sample: a column that a PgBouncer does not have leaves no trace.

use std::fmt::{Display, Write};

/// What kind of number a family holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Labels of one sample, in order.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// One family that is being written.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut Text,
    name: &'a str,
    kind: Kind,
    help: &'a str,
    begun: bool,
}

impl Text {
    pub fn into_string(self) -> String {
        self.0
    }

    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &'a str) -> Family<'a> {
        Family { text: self, name, kind, help, begun: false }
    }

    pub fn counter<'a>(&'a mut self, name: &'a str, help: &'a str) -> Family<'a> {
        self.family(name, Kind::Counter, help)
    }

    pub fn gauge<'a>(&'a mut self, name: &'a str, help: &'a str) -> Family<'a> {
        self.family(name, Kind::Gauge, help)
    }

    fn put(&mut self, parts: std::fmt::Arguments<'_>) {
        self.0.write_fmt(parts).expect("a string takes any text");
    }

    fn label(&mut self, before: char, (name, value): (&str, &str)) {
        self.put(format_args!("{before}{name}=\""));
        for c in value.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.suffixed("", labels, None, value);
    }

    /// Writes a line of a histogram: the name with a suffix, and a bucket's bound if it has one.
    pub fn suffixed(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.begin();
        self.text.put(format_args!("{}{suffix}", self.name));
        let bound = bound.map(|bound| ("le", bound));
        let mut before = '{';
        for label in labels.iter().copied().chain(bound) {
            self.text.label(before, label);
            before = ',';
        }
        if before == ',' {
            self.text.0.push('}');
        }
        self.text.put(format_args!(" {value}\n"));
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            let (name, help, kind) = (self.name, self.help, self.kind.as_str());
            self.text.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_any_character_stays_one_label() {
        let mut text = Text::default();
        text.gauge("up", "Whether.").sample(&[("database", "a\"b\\c\nd")], 1);
        let line = "up{database=\"a\\\"b\\\\c\\nd\"} 1\n";
        assert_eq!(text.into_string(), format!("# HELP up Whether.\n# TYPE up gauge\n{line}"));
    }

    #[test]
    fn a_family_without_a_sample_leaves_no_trace() {
        let mut text = Text::default();
        text.counter("none_total", "Nothing.");
        assert_eq!(text.into_string(), "");
    }
}
