//! Policy plugins: loading, running within limits, replacing while running, and running again.
//!
//! The only place of wasmtime and notify. Every evaluation gets a fresh instance with nothing but the
//! window, the settings and the policy's memory, so that it can be repeated bit for bit and a reload
//! has nothing to lose. What a plugin does wrong is a [`Fault`], a value that is recorded and
//! counted, and never an error of the sidecar.

mod answer;
mod bindings;
mod compile;
mod component;
mod convert;
mod fault;
mod file;
mod instance;
mod load;
mod policy;
mod registry;
mod replay;
mod runtime;
mod seen;
mod settings;
mod trial;
mod watch;
mod watchdog;

pub use compile::{COMPILE_COMMAND, Compile, compile};
pub use convert::Input;
pub use fault::Fault;
pub use file::{PolicyFile, PolicyFileError};
pub use load::LoadError;
pub use policy::{Answered, Part, Policy, PolicyResult, Round};
pub use registry::{Evaluated, PolicySet, PolicyState, PolicyStatus, Registry};
pub use replay::{Replay, ReplayError, Replayed, replay};
pub use runtime::{Runtime, RuntimeError};
pub use seen::PoolSeen;
pub use settings::{Setting, settings};
pub use trial::{Allowed, Import, Interface, Trial};
pub use watch::watch;

/// Largest plugin that is loaded, in bytes.
pub const PLUGIN_BYTES_MAX: u64 = load::FILE_MAX_BYTES;
