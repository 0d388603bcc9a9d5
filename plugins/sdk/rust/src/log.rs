//! Writes to the sidecar's log, the only thing that a policy can do besides answering.

use crate::bindings::poolwarden::policy::host;

/// Writes what helps an author; hidden by default.
pub fn debug(message: &str) {
    write(host::Level::Debug, message);
}

/// Writes a fact worth keeping.
pub fn info(message: &str) {
    write(host::Level::Info, message);
}

/// Writes that somebody should act soon.
pub fn warn(message: &str) {
    write(host::Level::Warn, message);
}

/// Natively there is no sidecar, and a test that wants the words asks for the answer instead.
fn write(level: host::Level, message: &str) {
    if cfg!(target_family = "wasm") {
        host::log(level, message);
    }
}
