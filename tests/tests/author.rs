//! The author's tools from the command line: what they find, say and exit with.

use std::fs;
use std::path::Path;

use poolwarden::author::{Given, OnFailure, Recorded as Capturable, Suite};
use poolwarden_tests::plugins::{
    Folder, Recorded, Seeded, answered, awkward_window, fixture, result_of, runtime, shipped,
};
use poolwarden_tests::process::{Ran, run_in};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with `autosize.wasm` and one case of it.
fn place(expected: Option<&str>) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("autosize.wasm"), shipped("autosize")).expect("written");
    let case = dir.path().join("cases/grows");
    fs::create_dir_all(&case).expect("a folder");
    let window = "[target]\ndefault_pool_size = 10\n[[pools]]\ndatabase = \"orders\"\n\
                  sv_active = 10\ncl_waiting = 7\ndemand = 13\n";
    fs::write(case.join("window.toml"), window).expect("written");
    if let Some(expected) = expected {
        fs::write(case.join("expected.toml"), expected).expect("written");
    }
    dir
}

fn policy(dir: &Path, arguments: &[&str]) -> Ran {
    run_in(dir, &[&["policy"], arguments].concat())
}

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.text).unwrap_or_else(|error| panic!("{error}: {}", ran.text))
}

#[test]
fn an_answer_that_differs_is_told_field_by_field() {
    let dir = place(Some(
        "[[proposals]]\nkind = \"resize\"\nscope = \"default\"\nsize = 11\n\
         evidence = { want = { near = 14, within = 0.5 }, waiting = 6 }\n\
         [[proposals]]\nkind = \"alert\"\nname = \"queue\"\npool = \"orders/app\"\n",
    ));
    let ran = policy(dir.path(), &["test", "autosize.wasm"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    for part in [
        "FAILED  grows\n    resize of scope default\n      size: expected 11, got 14\n",
        "      evidence.waiting: expected 6, got 7.0\n",
        "    missing: alert queue of pool orders/app\n",
        "1 case: 0 passed, 1 failed; 0 of 23 settings covered\n",
        "settings that no case changes: blip_ms, capacity_curve, ceiling_expires_ms",
    ] {
        assert!(ran.text.contains(part), "no {part:?} in:\n{}", ran.text);
    }
    assert!(!ran.text.contains("evidence.want"), "{}", ran.text);
    let ran = policy(dir.path(), &["test", "autosize.wasm", "--output", "json"]);
    let differences = &parsed(&ran)["cases"][0]["differences"];
    assert_eq!((ran.code, &differences[0]["fields"][1]["got"]), (Some(1), &json!(7.0)));
    assert_eq!(differences[1]["kind"], "missing");
}

#[test]
fn what_is_updated_passes_and_what_passes_is_left_alone() {
    let dir = place(None);
    let ran = policy(dir.path(), &["test", "autosize.wasm"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    assert!(ran.text.contains("expected.toml is missing"), "{}", ran.text);
    let ran = policy(dir.path(), &["test", "autosize.wasm", "--update"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    let expected = dir.path().join("cases/grows/expected.toml");
    let text = fs::read_to_string(&expected).expect("written");
    assert!(text.contains("size = 14\n"), "{text}");
    let commented = format!("# by hand\n{text}");
    fs::write(&expected, &commented).expect("written");
    let ran = policy(dir.path(), &["test", "autosize.wasm", "--update"]);
    assert!(ran.code == Some(0) && ran.text.contains("ok      grows"), "{}", ran.text);
    assert_eq!(fs::read_to_string(&expected).expect("there"), commented);
}

#[test]
fn cases_that_cannot_be_run_fail_and_say_what_is_missing() {
    let dir = place(Some("proposals = []"));
    fs::create_dir(dir.path().join("cases/empty")).expect("a folder");
    let misspelt = dir.path().join("cases/misspelt");
    fs::create_dir(&misspelt).expect("a folder");
    fs::write(misspelt.join("window.toml"), "[[pools]]\ndatabas = \"a\"\n").expect("written");
    fs::write(misspelt.join("expected.toml"), "proposals = []").expect("written");
    let ran = policy(dir.path(), &["test", "autosize.wasm"]);
    assert_eq!(ran.code, Some(1));
    for part in [
        "FAILED  empty\n    window.toml is missing",
        "window.toml: pools[0].databas: is not a known key; did you mean database?",
        "3 cases: 0 passed, 3 failed",
    ] {
        assert!(ran.text.contains(part), "no {part:?} in:\n{}", ran.text);
    }
    let none = tempfile::tempdir_in(dir.path()).expect("a temporary folder");
    let none = none.path().display().to_string();
    let ran = policy(dir.path(), &["test", "autosize.wasm", "--cases", &none]);
    assert!(ran.code == Some(1) && ran.text.contains("has no cases"), "{}", ran.text);
    let ran = policy(dir.path(), &["test", "autosize.wasm", "--case", "grow"]);
    assert!(ran.code == Some(1) && ran.text.contains("did you mean \"grows\"?"), "{}", ran.text);
    assert_eq!(policy(dir.path(), &["test"]).code, Some(2), "wrong usage");
}

#[test]
fn settings_of_a_case_are_checked_as_in_production() {
    let expected = "error = \"confirm_mss: is not a known setting; did you mean confirm_ms?\"";
    let dir = place(Some(expected));
    let settings = dir.path().join("cases/grows/settings.toml");
    fs::write(settings, "confirm_mss = 3\n").expect("written");
    let ran = policy(dir.path(), &["test", "autosize.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
}

#[test]
fn check_says_what_keeps_a_plugin_from_serving_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let check = |name: &str, bytes: &[u8]| {
        fs::write(dir.path().join(name), bytes).expect("written");
        policy(dir.path(), &["check", name])
    };
    for (name, parts) in [
        (
            "future-contract",
            ["FAILED  contract: built for 2.0.0", "a Poolwarden that speaks contract 2.0.0"],
        ),
        ("imports-forbidden", ["FAILED  import: acme:net/http is forbidden", "leave it out"]),
        ("traps", ["FAILED  dry run: ", "unreachable"]),
        ("loops-in-describe", ["FAILED  describe: ", "must return at once"]),
    ] {
        let ran = check(&format!("{name}.wasm"), &fixture(name));
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.text);
        for part in parts {
            assert!(ran.text.contains(part), "{name}: no {part:?} in:\n{}", ran.text);
        }
    }
    let ran = check("text.wasm", b"hello");
    assert!(ran.text.contains("FAILED  WebAssembly: the file is not WebAssembly"), "{}", ran.text);
    let ran = check("uses-wasi.wasm", &fixture("uses-wasi"));
    assert!(ran.text.contains("note    import: wasi:"), "{}", ran.text);
}

#[test]
fn check_of_a_policys_file_offers_the_nearest_setting() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("autosize.wasm"), shipped("autosize")).expect("written");
    let file = dir.path().join("autosize.toml");
    fs::write(&file, "[settings]\nmin_headrom = 3\n").expect("written");
    let ran = policy(dir.path(), &["check", "autosize.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    assert!(ran.text.contains("did you mean min_headroom?"), "{}", ran.text);
    fs::write(&file, "[settings]\nmin_headroom = 3\n").expect("written");
    let ran = policy(dir.path(), &["check", ".", "--output", "json"]);
    let found = parsed(&ran);
    assert_eq!((ran.code, &found["policies"][0]["is_good"]), (Some(0), &json!(true)), "{found:#}");
    assert_eq!(found["policies"].as_array().map(Vec::len), Some(1), "the plugin is its file's");
    fs::write(&file, "plugin = \"autosise.wasm\"\n").expect("written");
    let ran = policy(dir.path(), &["check", "autosize.toml"]);
    assert!(
        ran.code == Some(1) && ran.text.contains("autosise.wasm cannot be read"),
        "{}",
        ran.text
    );
}

#[test]
fn inspect_shows_the_settings_as_a_table() {
    let dir = place(None);
    let ran = policy(dir.path(), &["inspect", "autosize.wasm"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    for part in
        ["contract   1.0.0", "import     poolwarden:policy/host@1.0.0", "digest     sha256:"]
    {
        assert!(ran.text.contains(part), "no {part:?} in:\n{}", ran.text);
    }
    let row = ran.text.lines().find(|line| line.starts_with("min_headroom")).expect("a row");
    let cells: Vec<&str> = row.split_whitespace().take(6).collect();
    assert_eq!(cells, ["min_headroom", "integer", "1", "0", "to", "1000"]);
    let found = parsed(&policy(dir.path(), &["inspect", "autosize.wasm", "--output", "json"]));
    assert_eq!((&found["name"], &found["every_ms"]), (&json!("autosize"), &json!(0)));
    assert_eq!(found["settings"].as_array().map(Vec::len), Some(23));
}

#[test]
fn bench_measures_a_plugin_beside_others() {
    let dir = place(None);
    fs::write(dir.path().join("alerts.wasm"), shipped("pool-alerts")).expect("written");
    let arguments =
        ["bench", "autosize.wasm", "--pools", "1,20", "--beside", ".", "--output", "json"];
    let ran = policy(dir.path(), &arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    let found = parsed(&ran);
    let rows = found["figures"].as_array().expect("a list");
    let row = |one: &Value| format!("{} {}", one["policy"].as_str().unwrap_or("?"), one["pools"]);
    let names: Vec<String> = rows.iter().map(row).collect();
    assert_eq!(names, ["autosize 1", "autosize 20", "alerts 1", "alerts 20"]);
    for row in rows {
        let figure = |name: &str| row[name].as_u64().expect("a number");
        assert!(figure("median_ns") > 0 && figure("median_ns") <= figure("p95_ns"), "{row}");
        assert!(figure("memory_bytes") >= 64 << 10, "{row}");
    }
    let ran = policy(dir.path(), &["bench", "autosize.wasm", "--pools", "0,x"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text);
}

/// What the API gives of an evaluation.
fn as_api(record: &Recorded) -> Capturable {
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let hex: String = record.memory.iter().map(|byte| format!("{byte:02x}")).collect();
    let value = json!({
        "settings": json(record.settings.as_bytes()),
        "input": json(&record.input),
        "memory_hex": hex,
        "answer": json(&record.answer),
    });
    serde_json::from_value(value).expect("an evaluation")
}

#[test]
fn any_evaluation_that_is_captured_passes_at_once() {
    let folder = Folder::default();
    for name in ["autosize", "pool-alerts"] {
        folder.put(&format!("{name}.wasm"), shipped(name));
    }
    folder.put("counter.wasm", fixture("counter"));
    folder.scan();
    let cases = tempfile::tempdir().expect("a temporary folder");
    for seed in 1..=4 {
        let results = folder.tick(awkward_window(12, &mut Seeded::new(seed)));
        for name in ["autosize", "pool-alerts", "counter"] {
            let result = result_of(&results, name);
            answered(result);
            let into = cases.path().join(name).join(format!("seed-{seed}"));
            as_api(&Recorded::of(result)).write(&into).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    for name in ["autosize", "pool-alerts", "counter"] {
        let given = Given::find(&folder.file(&format!("{name}.wasm"))).expect("there");
        let cases = cases.path().join(name);
        let suite = Suite::run(&runtime(), &given, &cases, None, OnFailure::Tell);
        let suite = suite.unwrap_or_else(|error| panic!("{error}"));
        assert!(suite.is_good() && suite.cases.len() == 4, "{name}: {:#?}", suite.cases);
    }
}
