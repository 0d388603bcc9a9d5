//! What can go wrong when a sidecar is asked, each with what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// A question that got no good answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// The URL cannot be used.
    #[error("{url:?} is not the address of a sidecar: {why}; give --url as http://host:port")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The token cannot be read.
    #[error("the token cannot be read from {}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The token has characters that a header cannot carry.
    #[error("the token must be printable ASCII without spaces")]
    TokenText,
    /// Nothing listens there.
    #[error(
        "no sidecar answers at {url}; is it running? start it with `poolwarden run`, or say where \
         it is with --url"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No answer in time.
    #[error("the sidecar at {url} did not answer within {} s", within.as_secs())]
    Timeout {
        /// The address.
        url: String,
        /// The deadline.
        within: Duration,
    },
    /// The connection broke, or the other side speaks something else.
    #[error("{url} does not answer in HTTP; is another program listening there?")]
    Broken {
        /// The address.
        url: String,
        /// What hyper says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The token is missing or wrong.
    #[error(
        "the sidecar at {url} asks for a token; set POOLWARDEN_HTTP__TOKEN or give --token-file"
    )]
    Unauthorized {
        /// The address.
        url: String,
    },
    /// The sidecar refuses the question and says why.
    #[error("the sidecar refuses: {detail} (HTTP status {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The sidecar's own words.
        detail: String,
    },
    /// The answer is not what this version expects.
    #[error("the answer of {url} cannot be read; are both sides of the same version?")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
}
