//! Keeps what this thread's sidecars log, to be shown when a test fails.
//!
//! Per thread, because `cargo test` runs many tests in one process; each of ours has a runtime of one
//! thread, on which all of its sidecars' tasks run.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;

/// What is shown of a log at most, in bytes.
const TAIL_BYTES: usize = 12_000;

/// The log of this thread's sidecars, from the making of this value to its drop.
#[derive(Debug)]
pub struct Log {
    text: Shared,
    _guard: DefaultGuard,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts to keep what this thread logs.
    #[must_use]
    pub fn keep() -> Self {
        let text = Shared::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("warn,poolwarden=debug"))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Returns all that was logged.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.text.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Cuts a log to its last lines.
#[must_use]
pub fn tail(text: &str) -> &str {
    let start = text.ceil_char_boundary(text.len().saturating_sub(TAIL_BYTES));
    &text[start..]
}
