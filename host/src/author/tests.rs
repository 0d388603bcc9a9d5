//! Tells what a case folder may say, and what is said of one that cannot be run.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::case::{Case, list};
use super::{rows, window};
use crate::model::PastSpan;

fn read(text: &str) -> Result<Value, Vec<String>> {
    window::read(&rows::parse(false, text).expect("TOML"))
}

fn problems(text: &str) -> Vec<String> {
    read(text).expect_err("something is wrong")
}

#[test]
fn a_window_of_one_line_a_pool_is_a_plausible_pgbouncer() {
    let input =
        read("[[pools]]\ndatabase = \"orders\"\nsv_active = 10\ncl_waiting = 3\n").expect("fine");
    let pool = |column: &str| input["window"]["pools"][column][0].clone();
    assert_eq!(input["pools"], json!([["orders", "app"]]));
    assert_eq!(
        (pool("size"), pool("sv_idle"), pool("condition")),
        (json!(20), json!(10), json!(2))
    );
    assert_eq!((pool("utilization"), pool("demand")), (json!(0.5), json!(13.0)));
    assert_eq!(input["window"]["target"]["clients"], json!(13));
    assert_eq!(input["window"]["scopes"]["pools"], json!([1]));
    assert_eq!(input["window"]["past"], Value::Null);
}

#[test]
fn a_pool_belongs_to_the_scope_that_pgbouncer_would_take() {
    let text = "[[scopes]]\nname = \"default\"\n[[scopes]]\nname = \"database:a\"\nsize = 4\n\
                [[scopes]]\nname = \"user:u\"\nsize = 7\n\
                [[pools]]\ndatabase = \"a\"\n[[pools]]\ndatabase = \"a\"\nuser = \"u\"\n\
                [[pools]]\ndatabase = \"b\"\n[[pools]]\ndatabase = \"b\"\nscope = \"user:u\"\n";
    let input = read(text).expect("fine");
    assert_eq!(input["window"]["pools"]["scope"], json!([1, 2, 0, 2]));
    assert_eq!(input["window"]["pools"]["size"], json!([4, 7, 20, 7]));
    assert_eq!(input["window"]["scopes"]["kind"], json!([0, 1, 2]));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_the_nearest_key() {
    let text = "[target]\nstatus = \"upp\"\nclints = 3\n[[pools]]\nuser = \"u\"\ncl_waitin = 1\n\
                sv_active = -1\nsize = 1.5\n[[holders]]\npool = \"b/u\"\n";
    assert_eq!(
        problems(text),
        [
            "pools[0].database: is missing",
            "pools[0].size: 1.5: must be a whole number from 0 to 4294967295",
            "pools[0].sv_active: -1: must be a whole number from 0 to 4294967295",
            "pools[0].cl_waitin: is not a known key; did you mean cl_waiting?",
            "target.status: \"upp\" is not one of up, paused, down; did you mean up?",
            "target.clints: is not a known key; did you mean clients?",
            "holders[0].pool: there is no pool \"b/u\"; did you mean /u?",
        ]
    );
}

#[test]
fn a_past_follows_days_and_weeks() {
    let text = "[[pools]]\ndatabase = \"a\"\n[[pools]]\ndatabase = \"b\"\n\
                [past]\nstep_ms = 21_600_000\nsteps = 28\n[[past.pools]]\npool = \"b/app\"\n\
                busy_mean = { daily = [1, 2, 3, 4], weekly = [10, 20, 30, 40, 50, 60, 70] }\n\
                busy_max = { from = 1, to = 28 }\n";
    let input = read(text).expect("fine");
    let past = &input["window"]["past"];
    let mean = past["busy_mean"].as_array().expect("a column");
    assert_eq!(mean.len(), 56);
    assert!(mean[..28].iter().all(|unknown| *unknown == json!(0)));
    // The window is a Monday's, so the past begins on one.
    assert_eq!(mean[28..33], [json!(11.0), json!(12.0), json!(13.0), json!(14.0), json!(21.0)]);
    assert_eq!(past["busy_max"][28], json!(1));
    assert_eq!(past["busy_max"][55], json!(28));
    assert_eq!(
        (past["samples"][0].clone(), past["samples"][28].clone()),
        (json!(0), json!(21_600))
    );
    let short = problems(
        "[[pools]]\ndatabase = \"a\"\n[past]\n[[past.pools]]\npool = \"a/app\"\nsize = [1]",
    );
    assert!(
        short[0].starts_with("past.pools[0].size: must be a number, a list of 24"),
        "{short:?}"
    );
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), files);
    dir
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(dir).expect("a folder");
    for (name, text) in files {
        fs::write(dir.join(name), text).expect("written");
    }
}

#[test]
fn an_incomplete_case_says_what_is_missing() {
    let told = |files: &[(&str, &str)]| {
        Case::read(folder(files).path()).map(drop).expect_err("incomplete").to_string()
    };
    assert_eq!(told(&[]), "window.toml is missing: it says what the policy is to see");
    let told_of_name = told(&[("windo.toml", "")]);
    assert!(told_of_name.contains("did you mean window.toml?"), "{told_of_name}");
    let silent = told(&[("window.toml", ""), ("expected.toml", "")]);
    assert!(silent.starts_with("expected.toml: it expects nothing"), "{silent}");
    let broken = told(&[("window.toml", "a = 1\nb"), ("memory.json", "{")]);
    assert!(broken.contains("window.toml: line 2") && broken.contains("memory.json:"), "{broken}");
    let twice = told(&[("window.toml", ""), ("window.json", "{}")]);
    assert_eq!(twice, "both window.toml and window.json: remove one");
}

#[test]
fn an_expectation_about_what_is_not_in_the_window_is_refused() {
    let expected = "[[proposals]]\nkind = \"alert\"\npool = \"order/app\"\nseverty = \"info\"\n\
                    [[proposals]]\nkind = \"alrt\"\n";
    let files = [("window.toml", "[[pools]]\ndatabase = \"orders\""), ("expected.toml", expected)];
    let told = Case::read(folder(&files).path()).map(drop).expect_err("wrong").to_string();
    for part in ["did you mean severity?", "did you mean orders/app?", "\"alrt\" is not known"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_folder_without_cases_fails_and_a_misspelt_case_is_offered() {
    let empty = folder(&[("notes.md", "")]);
    let none = list(empty.path(), None).expect_err("none").to_string();
    assert!(none.contains("has no cases"), "{none}");
    write(&empty.path().join("a-queue"), &[]);
    let far = list(empty.path(), Some("a-queu")).expect_err("none").to_string();
    assert!(far.ends_with("did you mean \"a-queue\"?"), "{far}");
}

/// Writes a window as a capture does and reads it as a case does.
fn written(input: &Value) -> Value {
    let (name, text) = super::write::window(input);
    let table = rows::parse(name.ends_with("json"), &text).expect("what is written can be read");
    window::read(&table).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn as_input(json: &Value) -> Value {
    let json = serde_json::to_vec(json).expect("JSON");
    let input = crate::evaluate::Input::from_json(&json).expect("an input");
    serde_json::from_slice(&input.to_json().expect("JSON")).expect("JSON")
}

/// Compares inputs as texts, which tell `-0.0` from `0.0`, and shows where they differ.
fn assert_same(input: &Value) {
    let (before, after) = (as_input(input).to_string(), as_input(&written(input)).to_string());
    let at = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        let bytes = text.as_bytes();
        let end = bytes.len().min(at + 60);
        String::from_utf8_lossy(&bytes[at.saturating_sub(60).min(end)..end]).into_owned()
    };
    assert!(before == after, "{}\n{}", around(&before), around(&after));
}

#[test]
fn a_captured_window_is_exact_to_the_last_bit() {
    let past = PastSpan { step: std::time::Duration::from_secs(3_600), steps: 30 };
    let table = super::synthetic::table(40, 3, Some(past));
    let mut input = as_input(&window::read(&table).expect("fine"));
    for (at, awkward) in
        [-0.0, 5e-324, f64::MAX, 0.1, 1.0 / 3.0, 1e23, 9_007_199_254_740_993.0].iter().enumerate()
    {
        input["window"]["pools"]["demand"][at] = json!(awkward);
        input["window"]["pools"]["wait_mean_us"][at] = json!(awkward);
    }
    input["window"]["target"]["labels"] = json!([["role", "primary"], ["a b", "\u{202e}\"x"]]);
    input["settings"] = json!({"server_idle_timeout": "600", "pool_mode": "transaction"});
    input["pools"][7] = json!(["a/b\"\n", "数据库"]);
    // Two pools that would be written alike are told apart by their index.
    input["pools"][8] = json!(["x/y", "z"]);
    input["pools"][9] = json!(["x", "y/z"]);
    assert_same(&input);
}

#[test]
fn captured_sessions_are_exact_too() {
    let text = "[[pools]]\ndatabase = \"a\"\n[sessions]\nage_ms = 7\ntruncated = true\n\
                [[holders]]\npool = \"a/app\"\nstate = \"running\"\nendable = false\n\
                [[holders]]\npool = \"a/app\"\nbackend_pid = 0\n[[groups]]\npool = \"a/app\"\n";
    let input = as_input(&read(text).expect("fine"));
    assert_eq!(input["window"]["sessions"]["holders"]["state"], json!([1, 2]));
    assert_eq!(input["window"]["sessions"]["holders"]["endable"], json!([0, 1]));
    assert_same(&input);
    let none = as_input(&read("").expect("fine"));
    assert_eq!(none["window"]["sessions"], Value::Null);
    assert_same(&none);
}

#[test]
fn a_number_that_toml_does_not_promise_is_exact_too() {
    let mut input = as_input(&read("[[pools]]\ndatabase = \"a\"\n").expect("fine"));
    input["window"]["target"]["data_age_ms"] = json!(u64::MAX);
    assert_same(&input);
}

#[test]
fn the_file_format_has_every_column_of_the_contract() {
    // Reading an input fails when a column is missing; here one that is too many would show.
    let text = "[[pools]]\ndatabase = \"a\"\n[database]\n[past]\n[[past.pools]]\npool = \"a/app\"\n\
                [[holders]]\npool = \"a/app\"\n[[groups]]\npool = \"a/app\"\n";
    let read = read(text).expect("fine");
    let input = as_input(&read);
    for part in ["target", "database", "scopes", "pools", "past", "sessions"] {
        let keys = |of: &Value| {
            let table = of["window"][part].as_object().expect("a table");
            table.keys().cloned().collect::<std::collections::BTreeSet<String>>()
        };
        assert_eq!(keys(&read), keys(&input), "{part}");
    }
}
