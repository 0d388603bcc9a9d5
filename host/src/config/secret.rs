//! Secrets: where they come from, and a type that does not print them.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::env::Env;
use super::path::KeyPath;
use super::problem::{Report, SECRET};

/// More than any password has; keeps a wrong path from filling the memory.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A password or token; printing it gives `<secret>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Gives the secret itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET)
    }
}

/// Passwords of the environment, for every target that gives none itself.
#[derive(Debug, Default)]
pub struct Fallbacks {
    /// Of the watching users.
    pub watch: Option<Secret>,
    /// Of the acting users.
    pub admin: Option<Secret>,
    /// Of the users at PostgreSQL.
    pub database: Option<Secret>,
}

impl Fallbacks {
    /// Picks the passwords up, from the variables or from the files that they name.
    pub fn new(env: &Env, report: &mut Report) -> Self {
        let mut take = |name: &str| {
            let file = format!("{name}_FILE");
            match (env.get(name), env.get(&file)) {
                (None, None) => None,
                (Some(secret), None) => Some(Secret::new(secret)),
                (None, Some(path)) => match read(Path::new(path), report) {
                    Ok(secret) => Some(secret),
                    Err(reason) => {
                        report.variable(&file, path, reason);
                        None
                    }
                },
                (Some(_), Some(_)) => {
                    let reason = format!("the password is given twice; keep this or {file}");
                    report.variable(name, SECRET, reason);
                    None
                }
            }
        };
        Self {
            watch: take("POOLWARDEN_WATCH_PASSWORD"),
            admin: take("POOLWARDEN_ADMIN_PASSWORD"),
            database: take("POOLWARDEN_DATABASE_PASSWORD"),
        }
    }
}

/// Reads the secret in the file that a key names.
pub fn of_file(path: &KeyPath, file: Option<&str>, report: &mut Report) -> Option<Secret> {
    let file = file?;
    match read(Path::new(file), report) {
        Ok(secret) => Some(secret),
        Err(reason) => {
            report.key(path, format!("{file:?}"), reason);
            None
        }
    }
}

/// Reads a secret without the newline at its end, and warns when anybody may read it.
fn read(path: &Path, report: &mut Report) -> Result<Secret, String> {
    let mut text = String::new();
    let mut open = || {
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        Ok(mode)
    };
    let mode = open().map_err(|error: std::io::Error| format!("cannot be read: {error}"))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err("is too large to hold a secret".to_owned());
    }
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        return Err("is empty".to_owned());
    }
    if mode & 0o004 != 0 {
        let file = path.display();
        report.warn(format!("{file}: anybody on this machine can read this secret; chmod o-r it"));
    }
    Ok(Secret::new(secret))
}
