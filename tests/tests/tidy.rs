//! What must stay true of the source tree itself.
//!
//! Layers, purity and the shape of files are decisions that a compiler does not check; here they are
//! tests, so that breaking one is a choice that somebody makes on purpose.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The stages, none of which may import another: `control` carries values between them.
const STAGES: [&str; 8] =
    ["collect", "history", "evaluate", "guard", "actuate", "record", "serve", "database"];
/// What a stage may use of another all the same, and why.
const ALLOWED: [(&str, &str, &str); 6] = [
    ("collect", "console", "polls"),
    ("collect", "database", "looks"),
    ("actuate", "console", "acts"),
    ("database", "console", "shares the driver's options"),
    ("serve", "record", "answers from the store"),
    ("serve", "evaluate", "shows the policies' states"),
];
/// Where a crate may be used, and nowhere else.
const CONFINED: [(&str, &[&str]); 4] = [
    // The test bench meets the servers without the code that it tests.
    ("sqlx", &["console", "record", "database", "sandbox"]),
    ("wasmtime", &["evaluate"]),
    ("notify", &["evaluate"]),
    ("axum", &["serve"]),
];
/// Modules without I/O, clock or serde.
const PURE: [&str; 4] = ["model", "history", "guard", "control"];
/// What a pure module must not mention.
const IMPURE: [&str; 9] = [
    "tokio::",
    "sqlx::",
    "serde::",
    "serde_json::",
    "std::fs",
    "std::net",
    "std::io",
    "SystemTime",
    "Instant",
];
/// Lines beyond which a file is more than one idea.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the crate lies in the repository").to_owned()
}

/// Every Rust file below a folder of the repository, with its text.
fn sources(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("a source file is text");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{below} has no source");
    found
}

/// The host's module that a file belongs to, for example `console` for `host/src/console/poll.rs`.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("host/src")).expect("a file of the host");
    let first = inside.components().next().expect("a file has a name").as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Code without comments and without its tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    product.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn stages_do_not_import_one_another() {
    let mut broken = Vec::new();
    for (path, text) in sources("host/src") {
        let from = module(&path);
        if !STAGES.contains(&from.as_str()) || is_test(&path) {
            continue;
        }
        for to in STAGES.iter().chain(&["console", "control", "app"]) {
            let allowed = *to == from
                || ALLOWED.iter().any(|(a, b, _)| *a == from && b == to)
                // Whoever shows the state of the loop reads its view.
                || (from == "serve" && *to == "control");
            let import = format!("crate::{to}::");
            if !allowed && code(&text).any(|line| line.contains(&import)) {
                broken.push(format!("{} imports {to}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn crates_stay_where_they_belong() {
    let mut broken = Vec::new();
    for (path, text) in sources("host/src") {
        let module = module(&path);
        for (name, places) in CONFINED {
            let (used, import) = (format!("{name}::"), format!("use {name}"));
            let mentions = |line: &str| {
                line.trim_start().starts_with(&import)
                    || line.contains(&format!(" {used}"))
                    || line.contains(&format!("({used}"))
                    || line.contains(&format!("<{used}"))
            };
            if !places.contains(&module.as_str()) && code(&text).any(mentions) {
                broken.push(format!("{} uses {name}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn pure_modules_are_pure() {
    let mut broken = Vec::new();
    for (path, text) in sources("host/src") {
        if !PURE.contains(&module(&path).as_str()) {
            continue;
        }
        for word in IMPURE {
            if code(&text).any(|line| line.contains(word)) {
                broken.push(format!("{} mentions {word}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn each_file_says_what_it_is_and_stays_one_idea() {
    let mut broken = Vec::new();
    for folder in ["host/src", "plugins", "tests"] {
        for (path, text) in sources(folder) {
            if path.ends_with("mod.rs") {
                broken.push(format!("{}: foo.rs beside foo/, never mod.rs", path.display()));
            }
            if !text.starts_with("//!") {
                broken.push(format!("{} does not open with //!", path.display()));
            }
            let lines = text.lines().count();
            if lines > LINES_MAX {
                broken.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_the_readme_names_is_there() {
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let mut missing = Vec::new();
    for link in readme.split("](").skip(1) {
        let target = link.split([')', '#']).next().unwrap_or_default();
        if !target.starts_with("http") && !root().join(target).exists() {
            missing.push(target.to_owned());
        }
    }
    for command in ["deploy/demo.sh", "tests/run.sh", "plugins/build.sh"] {
        if !root().join(command).exists() {
            missing.push(command.to_owned());
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// Every path of a runbook that a text names.
fn runbooks_in(text: &str) -> impl Iterator<Item = String> {
    text.split("docs/runbooks/").skip(1).filter_map(|rest| {
        let name = rest.split(".md").next().filter(|name| name.len() < rest.len())?;
        let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
        (!name.is_empty() && name.chars().all(is_name)).then(|| name.to_owned())
    })
}

/// Names of alerts that the sidecar itself raises in so many words; each has a page of its name.
fn host_alerts_in(text: &str) -> impl Iterator<Item = String> {
    let starts = text.split("host_alert(").skip(1);
    let literal = starts.filter_map(|rest| rest.trim_start().strip_prefix('"'));
    literal.filter_map(|rest| rest.split('"').next().map(str::to_owned))
}

/// Names of alerts that a plugin's source raises in so many words.
fn alerts_in(text: &str) -> impl Iterator<Item = String> {
    let starts = text.split("Alert::new(\"").skip(1);
    starts.filter_map(|rest| rest.split('"').next().map(str::to_owned))
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let folder = root().join("docs/runbooks");
    let files = fs::read_dir(&folder).expect("there are runbooks");
    let files = files.map(|entry| entry.expect("listed").path());
    let written: BTreeSet<String> = files
        .filter_map(|path| path.file_stem().map(|name| name.to_string_lossy().into_owned()))
        .filter(|name| name != "README")
        .collect();
    let mut named = BTreeSet::new();
    // A plugin is shipped when there is a policy of it.
    let shipped = fs::read_dir(root().join("policies")).expect("there are policies");
    let shipped = shipped.map(|entry| entry.expect("listed").path());
    let toml = shipped.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let plugins = toml.filter_map(|path| {
        let folder = format!("plugins/{}/src", path.file_stem()?.to_string_lossy());
        root().join(&folder).is_dir().then_some(folder)
    });
    let mut broken = Vec::new();
    for folder in plugins {
        for (path, text) in sources(&folder).into_iter().filter(|(path, _)| !is_test(path)) {
            let code: String = code(&text).collect::<Vec<_>>().join("\n");
            named.extend(runbooks_in(&code));
            for alert in alerts_in(&code).filter(|alert| !written.contains(alert)) {
                broken.push(format!("{}: alert {alert} has no runbook", path.display()));
            }
        }
    }
    for (_, text) in sources("host/src/control") {
        let code: String = code(&text).collect::<Vec<_>>().join("\n");
        named.extend(runbooks_in(&code).chain(host_alerts_in(&code)));
    }
    broken.extend(named.difference(&written).map(|name| format!("runbook {name} is missing")));
    broken.extend(written.difference(&named).map(|name| format!("no alert names {name}")));
    assert!(named.contains("budget-exceeded") && named.len() > 10, "{named:?}");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_runbook_says_the_same_five_things() {
    let mut broken = Vec::new();
    for entry in fs::read_dir(root().join("docs/runbooks")).expect("there are runbooks") {
        let path = entry.expect("listed").path();
        if path.ends_with("README.md") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        let title = format!("# {}\n", name.unwrap_or_default());
        let parts = [
            title.as_str(),
            "## What it means\n",
            "## Confirm it\n\n```sh\n",
            "## What to do\n",
            "## What Poolwarden does by itself\n",
            "## When to change the threshold\n",
        ];
        for part in parts.into_iter().filter(|part| !text.contains(part)) {
            broken.push(format!("{} lacks {part:?}", path.display()));
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") && !root().join("docs/runbooks").join(link).exists() {
                broken.push(format!("{} links to {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
