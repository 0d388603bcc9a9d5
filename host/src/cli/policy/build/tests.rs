//! Tells what a folder builds as, and what is said of one that cannot be built.

use super::*;
use crate::cli::policy::language::Language;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(dir.path().join("vendor/wit/v1")).expect("made");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("written");
    }
    dir
}

#[test]
fn a_manifest_says_language_name_and_sources() {
    let cases = [
        ("Cargo.toml", "[package]\nname = \"q\"", Language::Rust, vec![]),
        ("package.json", r#"{"name":"@me/q","main":"q.js"}"#, Language::Javascript, vec!["q.js"]),
        ("pyproject.toml", "[project]\nname = \"q\"", Language::Python, vec!["policy"]),
        (
            "policy.toml",
            "name = \"q\"\nsources = [\"a.c\", \"b.c\"]",
            Language::C,
            vec!["a.c", "b.c"],
        ),
    ];
    for (file, text, language, sources) in cases {
        let project = Project::find(folder(&[(file, text)]).path()).expect("a policy");
        assert_eq!((project.language, project.name.as_str()), (language, "q"));
        assert_eq!(project.sources, sources, "{file}");
    }
}

#[test]
fn a_folder_that_is_no_policy_says_what_is_missing() {
    let told = |files: &[(&str, &str)]| {
        Project::find(folder(files).path()).expect_err("no policy").to_string()
    };
    let nothing = told(&[]);
    let all = "there is no Cargo.toml, no package.json, no pyproject.toml, no policy.toml";
    assert!(nothing.contains(all), "{nothing}");
    assert!(told(&[("package.json", "{}")]).ends_with("package.json: name is missing"));
    assert!(told(&[("Cargo.toml", "[package]")]).ends_with("Cargo.toml: package.name is missing"));
    assert!(told(&[("policy.toml", "name = ")]).contains("policy.toml: TOML parse error"));
}

#[test]
fn what_is_missing_comes_with_the_command_that_installs_it() {
    let dir = folder(&[("package.json", r#"{"name":"q"}"#)]);
    let project = Project::find(dir.path()).expect("a policy");
    match languages::make(&project, false) {
        Err(BuildError::Missing { tool, install }) => {
            assert!(tool.contains("componentize-qjs") || tool.contains("node"), "{tool}");
            assert!(install[0].contains("install"), "{install:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plugin_takes_its_name_over_when_it_is_whole() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (into, plugin) = (dir.path().join("policies"), dir.path().join("policies/q.wasm"));
    put(&into, &plugin, b"old").expect("written");
    put(&into, &plugin, b"new").expect("written");
    assert_eq!(fs::read(&plugin).expect("there"), b"new");
    assert_eq!(fs::read_dir(&into).expect("there").count(), 1, "nothing else is left");
    let mode = fs::metadata(&plugin).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}
