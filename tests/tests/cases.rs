//! The cases of the shipped policies: every one passes, and together they try every setting.

use std::fs;
use std::path::{Path, PathBuf};

use poolwarden::author::{Given, OnFailure, Suite, Verdict};
use poolwarden_tests::plugins::runtime;

/// Folders of plugins that have cases.
fn folders() -> Vec<PathBuf> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let entries = fs::read_dir(plugins).expect("the folder of the plugins");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry of it").path())
        // The examples have cases too, which `policy new` writes: the plugins' page runs these.
        .filter(|path| path.join("cases").is_dir() && path.join("Cargo.toml").is_file())
        .collect();
    folders.sort();
    folders
}

#[test]
fn every_case_of_every_shipped_policy_passes_and_every_setting_is_tried() {
    let runtime = runtime();
    let mut wrong = Vec::new();
    let folders = folders();
    for folder in &folders {
        let given = Given::find(folder).unwrap_or_else(|error| panic!("{error}"));
        let suite = Suite::run(&runtime, &given, &folder.join("cases"), None, OnFailure::Tell)
            .unwrap_or_else(|error| {
                panic!("{}: {}", folder.display(), poolwarden::report::chain(&error))
            });
        for (name, verdict) in &suite.cases {
            if *verdict != Verdict::Passed {
                wrong.push(format!("{}: {name}: {verdict:#?}", suite.plugin));
            }
        }
        let untried = suite.coverage.expect("all cases were run").untried;
        if !untried.is_empty() {
            wrong.push(format!("{}: no case changes {untried:?}", suite.plugin));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let names = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    let names: Vec<String> = folders.iter().map(names).collect();
    for shipped in ["autosize", "pool-alerts"] {
        assert!(names.iter().any(|name| name == shipped), "{shipped} has no cases: {names:?}");
    }
}
