//! What can go wrong on the console, told apart by what a person has to do about it.
//!
//! PgBouncer gives nearly every error the same SQLSTATE, so its text decides.

use std::time::Duration;

use thiserror::Error;

/// A console command or login that failed.
#[derive(Debug, Error)]
pub enum ConsoleError {
    /// Nothing listens there, or the connection broke.
    #[error("the console at {address} cannot be reached")]
    Unreachable {
        /// Host and port, or socket folder.
        address: String,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
    /// No answer in time.
    #[error("the console at {address} did not answer within {}", humantime(*within))]
    Timeout {
        /// Host and port, or socket folder.
        address: String,
        /// The deadline.
        within: Duration,
    },
    /// PgBouncer refuses the login.
    #[error("the console at {address} refuses user {user:?}: {message}; {remedy}")]
    Refused {
        /// Host and port, or socket folder.
        address: String,
        /// The user that tried.
        user: String,
        /// What PgBouncer says.
        message: String,
        /// What a person can do.
        remedy: &'static str,
    },
    /// The login may watch and not act.
    #[error("user {user:?} may not run {command:?}: name the user in PgBouncer's admin_users")]
    NotAdmin {
        /// The user that tried.
        user: String,
        /// The command.
        command: String,
    },
    /// PgBouncer refuses the command.
    #[error("PgBouncer refuses {command:?}: {message}")]
    Command {
        /// The command.
        command: String,
        /// What PgBouncer says.
        message: String,
    },
    /// The answer has no column or no readable value where one is essential.
    #[error("the answer to {command:?} has {what}")]
    Answer {
        /// The command.
        command: String,
        /// What is missing or wrong.
        what: String,
    },
}

fn humantime(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

impl ConsoleError {
    /// Gives a short stable name, for metrics and for deciding on a new attempt.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::NotAdmin { .. } => "not_admin",
            Self::Command { .. } => "command",
            Self::Answer { .. } => "answer",
        }
    }
}

/// Says what a person can do about a refused login.
pub(super) fn remedy(message: &str) -> &'static str {
    if message.contains("not allowed") {
        "name the user in PgBouncer's stats_users (to watch) or admin_users (to act)"
    } else if message.contains("password") || message.contains("auth") {
        "check the password and PgBouncer's auth_file"
    } else if message.contains("no such database") {
        "the console's database is called pgbouncer"
    } else if message.contains("no more connections") {
        "raise max_client_conn"
    } else {
        "see PgBouncer's log"
    }
}
