//! Behaviour of the loader, by topic.

mod bounds;
mod environment;
mod example;
mod problems;
mod secrets;
mod urls;

use std::collections::BTreeMap;

use super::{Config, ConfigError};

/// The least that a file must say.
const MINIMUM: &str = r#"
[[target]]
name = "main"
console_url = "postgres://stats@127.0.0.1:6432/pgbouncer"
"#;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_text("p.toml", text, &env(pairs))
}

/// Loads what must load.
fn good(text: &str, pairs: &[(&str, &str)]) -> Config {
    load(text, pairs).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

/// Gives the lines that are reported of what must not load.
fn bad(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let error = load(text, pairs).map(|_| text).expect_err("must be refused");
    error.to_string().lines().map(str::to_owned).collect()
}

/// Writes a file that holds a secret and gives its path.
fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("a fresh folder can be written");
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, owner_only).expect("an own file can be changed");
    path.to_str().expect("a temporary path is ASCII").to_owned()
}
