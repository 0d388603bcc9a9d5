//! The languages in which a policy can be started and built.

use std::path::Path;

use clap::ValueEnum;

/// A language that has an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli::policy) enum Language {
    /// The fastest, checked at compile time.
    Rust,
    /// `JavaScript`, run by `QuickJS`.
    #[value(alias = "js")]
    Javascript,
    /// Python, run by `CPython`.
    #[value(alias = "py")]
    Python,
    /// C without a C library.
    C,
}

impl Language {
    pub const ALL: [Self; 4] = [Self::Rust, Self::Javascript, Self::Python, Self::C];

    /// Finds the language of a folder by its manifest.
    pub fn of(folder: &Path) -> Option<Self> {
        Self::ALL.into_iter().find(|language| folder.join(language.manifest()).is_file())
    }

    /// The name of its folders under `sdk/` and `examples/`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Python => "python",
            Self::C => "c",
        }
    }

    /// The file by which a policy of this language is known.
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Javascript => "package.json",
            Self::Python => "pyproject.toml",
            Self::C => "policy.toml",
        }
    }

    /// The file that an author edits.
    pub fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Javascript => "policy.js",
            Self::Python => "policy.py",
            Self::C => "policy.c",
        }
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Javascript => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        })
    }
}
