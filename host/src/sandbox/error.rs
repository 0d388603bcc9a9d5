//! Why a sandbox could not do what was asked, with the log of the server that failed.
//!
//! The log tail is part of the message, against the rule that an error is one clause: whoever reads
//! it has no other way to see the log, because its folder is removed with the sandbox.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A failure of the sandbox or of one of its servers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A program is not installed.
    #[error("no `{program}` on this machine; on Debian: apt-get install {package}")]
    MissingProgram {
        /// The program that was looked for.
        program: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// The servers refuse to run as root and there is no other user to run them as.
    #[error("servers refuse to run as root, and /etc/passwd has neither `postgres` nor `nobody`")]
    NoAccount,
    /// A name cannot be used as given.
    #[error("`{name}` is not a plain name of lower-case letters, digits and underscores")]
    Name {
        /// The refused name.
        name: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The system refused something that has no path.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program ended although it should not have, or with a failure.
    #[error("{program} ended with {status}; its log ends:\n{log}")]
    Ended {
        /// The program's name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// Another process took the server's port; the server was ended again.
    #[error("{program} found its port taken; its log ends:\n{log}")]
    PortTaken {
        /// The program's name.
        program: String,
        /// The end of its log.
        log: String,
    },
    /// A server did not do something in time.
    #[error("{program} did not {action} within {waited:?}; its log ends:\n{log}")]
    Deadline {
        /// The program's name.
        program: String,
        /// What was waited for.
        action: &'static str,
        /// For how long.
        waited: Duration,
        /// The end of its log.
        log: String,
        /// The last answer, if there was one.
        #[source]
        source: Option<Box<sqlx::Error>>,
    },
    /// A server refused a statement.
    #[error("{program} refused a statement; its log ends:\n{log}")]
    Statement {
        /// The program's name.
        program: String,
        /// The end of its log.
        log: String,
        /// The server's answer.
        #[source]
        source: Box<sqlx::Error>,
    },
    /// A server that was to be signalled is not running.
    #[error("{program} is not running")]
    NotRunning {
        /// The program's name.
        program: String,
    },
}

impl SandboxError {
    /// Wraps the failure of a file operation, for use in `map_err`.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
