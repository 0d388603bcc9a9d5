//! The files of a new policy: what is part of the program, under another name.

use crate::cli::policy::language::Language;

/// Everything under `plugins/examples`, `plugins/sdk` and `plugins/wit`.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/author_files.rs"));
/// What the README of a new policy says.
const README: &str = include_str!("README.md");

/// The command that installs what a language needs inside the folder.
pub(in crate::cli::policy) fn install(lang: Language) -> Option<&'static str> {
    match lang {
        Language::Rust | Language::C => None,
        Language::Javascript => Some("npm install"),
        Language::Python => {
            Some("python3 -m venv .venv && .venv/bin/pip install -r requirements.txt")
        }
    }
}

/// Gives the files of a policy with their places in its folder.
pub(super) fn files(lang: Language, name: &str) -> Vec<(String, Vec<u8>)> {
    let example = format!("examples/{}/", lang.folder());
    let sdk = format!("sdk/{}/", lang.folder());
    let mut files = vec![("README.md".to_owned(), readme(lang, name).into_bytes())];
    for (path, bytes) in FILES {
        if let Some(path) = path.strip_prefix(&example) {
            files.push((path.to_owned(), renamed(bytes, name)));
        } else if let Some(path) = path.strip_prefix("examples/cases/") {
            files.push((format!("cases/{path}"), bytes.to_vec()));
        } else if path.starts_with(&sdk) || path.starts_with("wit/") {
            files.push((format!("vendor/{path}"), standalone(path, bytes)));
        }
    }
    if lang == Language::Javascript || lang == Language::Python || lang == Language::Rust {
        let ignored = "/target/\n/node_modules/\n/.venv/\n__pycache__/\n";
        files.push((".gitignore".to_owned(), ignored.into()));
    }
    files
}

fn readme(lang: Language, name: &str) -> String {
    let install = install(lang).map(|command| format!("{command}\n")).unwrap_or_default();
    README
        .replace("{{name}}", name)
        .replace("{{language}}", &lang.to_string())
        .replace("{{source}}", lang.source())
        .replace("{{install}}\n", &install)
}

/// Puts the author's name where the example's was.
fn renamed(bytes: &[u8], name: &str) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let capitalized = |part: &str| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    let class: String = name.split('-').map(capitalized).collect();
    text.replace("queue-watch", name)
        .replace("QueueWatch", &class)
        .replace("queue_watch", &name.replace('-', "_"))
        .replace("../../sdk/", "vendor/sdk/")
        .into_bytes()
}

/// Makes the Rust SDK's manifest one that needs no workspace around it.
fn standalone(path: &str, bytes: &[u8]) -> Vec<u8> {
    if path != "sdk/rust/Cargo.toml" {
        return bytes.to_vec();
    }
    let text = String::from_utf8_lossy(bytes);
    let values = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("edition", "2024"),
        ("rust-version", env!("CARGO_PKG_RUST_VERSION")),
        ("license", env!("CARGO_PKG_LICENSE")),
        ("repository", env!("CARGO_PKG_REPOSITORY")),
    ];
    let mut lines = Vec::new();
    for line in text.lines() {
        let key = line.strip_suffix(".workspace = true");
        match values.iter().find(|(name, _)| Some(*name) == key) {
            Some((name, value)) => lines.push(format!("{name} = {value:?}")),
            None if key == Some("publish") => lines.push("publish = false".to_owned()),
            None if line == "[lints]" || line == "workspace = true" => {}
            None => lines.push(line.to_owned()),
        }
    }
    (lines.join("\n").trim_end().to_owned() + "\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rust_sdk_stands_on_its_own() {
        let files = files(Language::Rust, "night-shift");
        let manifest = files.iter().find(|(path, _)| path == "vendor/sdk/rust/Cargo.toml");
        let (_, bytes) = manifest.expect("it is among them");
        let manifest: toml::Table =
            std::str::from_utf8(bytes).expect("text").parse().expect("TOML");
        assert_eq!(manifest["package"]["edition"].as_str(), Some("2024"));
        assert!(!String::from_utf8_lossy(bytes).contains("workspace"));
    }

    #[test]
    fn a_class_has_the_name_in_capitals() {
        let text = renamed(b"class QueueWatch // queue-watch queue_watch", "p95-night-shift");
        assert_eq!(text, b"class P95NightShift // p95-night-shift p95_night_shift");
    }
}
