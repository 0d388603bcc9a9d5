//! The scenario suite runs end to end, so that it does not rot between two releases.
//!
//! The figures of so short a run say nothing and are not looked at; that they are there is.

use std::path::Path;
use std::process::Command;

use poolwarden_tests::process::binary;
use serde_json::Value;

/// Runs the suite in a folder; gives what it prints.
fn scenarios(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scenarios"));
    let out = command.args(arguments).arg("--out").arg(folder).output();
    let out = out.expect("the suite can be run");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{:?}\n{errors}", out.status.code());
    String::from_utf8(out.stdout).expect("the table is UTF-8")
}

fn record(folder: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths = files.map(|file| file.expect("listed").path());
    let is_record = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "jsonl");
    paths.find(is_record).expect("a record is written")
}

#[test]
fn a_short_scenario_runs_to_its_table_and_its_record_can_be_read_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let sidecar = binary();
    let sidecar = sidecar.to_str().expect("a path in UTF-8");
    let table = scenarios(
        folder,
        &[
            "--scenario",
            "lock-convoy",
            "--variant",
            "20",
            "--variant",
            "poolwarden",
            "--quick",
            "--sidecar",
            sidecar,
        ],
    );
    let record = record(folder);
    let text = std::fs::read_to_string(&record).expect("the record can be read");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let runs: Vec<&Value> = lines.iter().filter_map(|line| line.get("run")).collect();
    assert_eq!(runs.len(), 2, "{text}");
    // The same requests, all of them answered, by both.
    for key in ["requests", "work_s", "seed"] {
        assert_eq!(runs[0][key], runs[1][key], "{key}");
    }
    for run in &runs {
        assert_eq!(run["served"], run["requests"], "{run}");
        assert!(run["samples"].as_u64() > Some(100), "{run}");
        assert!(run["connection_s"].as_f64() > Some(0.0), "{run}");
    }
    for row in ["| static 20", "| poolwarden |", "lock-convoy: largest size"] {
        assert!(table.contains(row), "{row}\n{table}");
    }
    let path = record.to_str().expect("a path in UTF-8");
    let again = scenarios(folder, &["--report", path, "--print"]);
    assert_eq!(again, table);
}
