//! What the live tests share; the tests themselves stand in `tests/tests/`.
//!
//! A package of its own, so that the host's library is tested from outside, like a user meets it:
//! the same `App` that the binary starts, or the binary itself where it has to be killed.

pub mod bench;
pub mod fuzz;
pub mod log;
pub mod page;
pub mod plugins;
pub mod process;
pub mod sampler;
pub mod second;
pub mod setup;
pub mod sidecar;

pub use bench::{Bench, seconds};
pub use process::{Ran, SidecarProcess};
pub use sampler::Sampler;
pub use second::{SecondLoad, SecondPgBouncer};
pub use setup::{Setup, TargetSetup};
pub use sidecar::{Sidecar, ask_json, came_into_force};
