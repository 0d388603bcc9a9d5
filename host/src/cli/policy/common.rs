//! What the author's tools share: a Wasm runtime that remembers, and colours for terminals.

use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::ask::print;
use crate::cli::failed;
use crate::evaluate::{Runtime, RuntimeError};

/// Makes a runtime that keeps compiled plugins in the user's cache: an interpreter takes seconds
/// to compile, and an author runs it again and again.
pub(super) fn wasm() -> Result<Arc<Runtime>, RuntimeError> {
    let cache = cache_dir().filter(|dir| fs::create_dir_all(dir).is_ok());
    let runtime = match cache {
        // A cache that cannot be used is no reason not to work.
        Some(dir) => Runtime::new(Some(&dir)).or_else(|_| Runtime::new(None)),
        None => Runtime::new(None),
    };
    runtime.map(Arc::new)
}

fn cache_dir() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("poolwarden").join("compiled"))
}

/// Prints, and gives the code that is wanted when that worked.
pub(super) fn show(text: &str, code: ExitCode) -> ExitCode {
    match print::print(text) {
        Ok(_) => code,
        Err(error) => failed(&error),
    }
}

/// Gives success or failure.
pub(super) fn code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether words are coloured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    is_on: bool,
}

impl Paint {
    /// Colours on a terminal, unless the user asked for none (`NO_COLOR`).
    pub fn new() -> Self {
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { is_on: is_wanted && std::io::stdout().is_terminal() }
    }

    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
