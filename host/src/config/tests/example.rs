//! The example file is what the code says, and it loads.

use std::path::PathBuf;

use super::good;
use crate::config::problem::Report;
use crate::config::{check, example, schema};

fn committed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/poolwarden.example.toml")
}

#[test]
fn the_committed_example_is_up_to_date() {
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        std::fs::write(committed(), example()).expect("the checkout can be written");
    }
    let text = std::fs::read_to_string(committed()).unwrap_or_default();
    assert!(
        text == example(),
        "deploy/poolwarden.example.toml is stale; write it again with \
         UPDATE_EXAMPLES=1 cargo test -p poolwarden the_committed_example"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 100), "a line is too long");
}

#[test]
fn the_example_loads_as_it_is_and_says_only_defaults() {
    let config = good(&example(), &[]);
    let minimum = super::MINIMUM.replace("stats@", "poolwarden_watch@");
    assert_eq!(config, good(&minimum, &[]));
}

#[test]
fn every_line_of_the_example_may_be_uncommented() {
    let set =
        |line: &str| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).map(str::to_owned);
    let text: Vec<_> = example().lines().map(|l| set(l).unwrap_or_else(|| l.to_owned())).collect();
    let text = text.join("\n");
    let table = check::parse("example", &text).unwrap_or_else(|problem| panic!("{problem}"));
    let mut report = Report::new("example");
    check::check(&schema(), &table, &mut report);
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert!(text.contains("\n[target.database]\n"), "nothing was uncommented");
}
