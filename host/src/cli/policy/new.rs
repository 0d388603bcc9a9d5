//! `poolwarden policy new`: a folder that builds, and whose cases pass, before a line is written.
//!
//! What it writes is the example of the language, under the author's name, with the SDK and the
//! contract beside it in `vendor/`: a policy keeps building when the program is replaced.

mod files;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use thiserror::Error;

use super::language::Language;
use crate::cli::failed;

/// Starts a policy of your own in Rust, JavaScript, Python or C.
///
/// Writes a folder with a policy that works, its cases, the SDK and the contract. It needs no
/// network, and nothing is installed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden policy new --lang javascript queue-watch\n  \
    poolwarden policy new --lang rust --dir plugins/night-shift night-shift\n\nThen:\n  \
    poolwarden policy build queue-watch\n  poolwarden policy test queue-watch")]
pub(super) struct New {
    /// Language to write it in.
    #[arg(long, value_name = "LANGUAGE", value_enum)]
    lang: Language,
    /// Name of the policy: lower-case letters, digits and single dashes.
    #[arg(value_parser = name)]
    name: String,
    /// Folder to write; must not exist, or be empty. By default the name.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// A folder that cannot be written.
#[derive(Debug, Error)]
enum NewError {
    /// There is something already.
    #[error("{} is there already and is not empty; choose another folder with --dir", .0.display())]
    Occupied(PathBuf),
    /// The system refuses.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl New {
    pub fn run(self) -> ExitCode {
        match self.write() {
            Ok((dir, count)) => {
                let dir = dir.display();
                println!("wrote {count} files to {dir}/; README.md there says what is what");
                println!("next:  edit {dir}/{}", self.lang.source());
                if let Some(command) = files::install(self.lang) {
                    println!("       (cd {dir} && {command})");
                }
                println!("       poolwarden policy build {dir}");
                println!("       poolwarden policy test {dir}");
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error),
        }
    }

    fn write(&self) -> Result<(PathBuf, usize), NewError> {
        let dir = self.dir.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        let is_free = match fs::read_dir(&dir) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_free {
            return Err(NewError::Occupied(dir));
        }
        let files = files::files(self.lang, &self.name);
        for (name, bytes) in &files {
            let path = dir.join(name);
            let failed = |source| NewError::Write { path: path.clone(), source };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            fs::write(&path, bytes).map_err(failed)?;
        }
        Ok((dir, files.len()))
    }
}

/// Names that are taken: the shipped policies', and the sidecar's own.
const TAKEN: [&str; 7] =
    ["advisor", "autosize", "forecast", "leak-hunter", "pool-alerts", "poolwarden", "rules"];

/// Takes what can name a file, a crate and a class.
fn name(text: &str) -> Result<String, String> {
    let fits = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    if TAKEN.contains(&text) {
        return Err("a policy of this name comes with Poolwarden, whose files it would replace; take another".to_owned());
    }
    if begins && text.len() <= 48 && text.split('-').all(fits) {
        return Ok(text.to_owned());
    }
    Err("use lower-case letters, digits and single dashes, at most 48, for example queue-watch"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(lang: Language, dir: &std::path::Path) -> New {
        New { lang, name: "night-shift".to_owned(), dir: Some(dir.to_owned()) }
    }

    #[test]
    fn every_language_gets_a_folder_of_its_own_name() {
        for lang in Language::ALL {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let dir = dir.path().join("policy");
            let (_, count) = new(lang, &dir).write().expect("written");
            assert!(count > 8, "{lang}: {count} files");
            assert_eq!(Language::of(&dir), Some(lang));
            for file in [lang.source(), lang.manifest(), "README.md"] {
                let text = fs::read_to_string(dir.join(file)).expect("text");
                assert!(text.contains("night-shift"), "{lang}: {file}");
                for foreign in ["queue-watch", "QueueWatch", "queue_watch", "../..", "{{"] {
                    assert!(!text.contains(foreign), "{lang}: {file} has {foreign}");
                }
            }
            assert!(dir.join("vendor/wit/v1/policy.wit").is_file());
            assert!(dir.join("vendor/sdk").join(lang.folder()).is_dir());
            assert!(dir.join("cases/a-calm-pool-is-silent/window.toml").is_file());
        }
    }

    #[test]
    fn what_is_there_already_is_left_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("mine"), "mine").expect("written");
        let error = new(Language::C, dir.path()).write().expect_err("it is not empty");
        assert!(error.to_string().contains("is not empty"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_name_must_do_for_a_file_a_crate_and_a_class() {
        for good in ["q", "queue-watch", "p95-guard"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "Queue", "queue_watch", "-q", "q-", "a--b", "9lives", "../x", "a b"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
