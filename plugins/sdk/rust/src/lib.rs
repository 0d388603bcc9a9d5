//! Writes a Poolwarden policy plugin in Rust: a struct for its settings and one function.
//!
//! ```
//! use poolwarden_policy::{Alert, Policy, Proposal, Window};
//!
//! /// Settings of the policy; the field's docs and ranges become its JSON Schema.
//! #[derive(Default, serde::Deserialize, schemars::JsonSchema)]
//! #[serde(default, deny_unknown_fields)]
//! struct Settings {
//!     /// Alerts when at least this many clients wait; 0 is "more than none".
//!     waiting_min: u32,
//! }
//!
//! struct Queues;
//!
//! impl Policy for Queues {
//!     const NAME: &'static str = "queues";
//!     const VERSION: &'static str = env!("CARGO_PKG_VERSION");
//!     const PURPOSE: &'static str = "Alerts when clients queue.";
//!     type Settings = Settings;
//!     type Memory = ();
//!
//!     fn evaluate(
//!         settings: &Settings,
//!         window: &Window,
//!         _memory: &mut (),
//!     ) -> Result<Vec<Proposal>, String> {
//!         let queueing = window.pools().filter(|pool| pool.cl_waiting() > settings.waiting_min);
//!         Ok(queueing.map(|pool| Alert::new("queue", pool.subject()).into()).collect())
//!     }
//! }
//!
//! poolwarden_policy::export!(Queues);
//! ```
//!
//! The crate compiles natively too, without the exports: [`evaluate`] and [`describe`] are plain
//! generic functions, so that a policy is unit-tested and measured without a Wasm runtime.
//! Hand-written exports per plugin were rejected: each would repeat the decoding of settings and
//! memory, and its faults.

#[doc(hidden)]
pub mod bindings;
mod names;
mod past;
mod pool;
mod proposal;
mod scope;
mod session;
mod window;

#[doc(hidden)]
pub mod fixture;
pub mod log;
pub mod numbers;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::names::PoolName;
pub use crate::past::{Moment, Past, PoolPast, Step};
pub use crate::pool::{Condition, Pool, PoolMode};
pub use crate::proposal::{
    Alert, EndSession, Knob, LookAtSessions, Proposal, Recommendation, Resize, Severity, Subject,
};
pub use crate::scope::{ChangeOutcome, LastChange, Scope, ScopeKind};
pub use crate::session::{ClientGroup, Holder, HolderState, Sessions};
pub use crate::window::{Window, WindowError};

/// The contract's types as they cross the border: the columns of a window and the parts of an
/// answer.
pub mod contract {
    pub use crate::bindings::poolwarden::policy::types::{
        Alert, Answer, ClientGroups, DatabaseServer, Description, EndSession, Evidence, Holders,
        Knob, Past, PastSpan, Pools, Proposal, Recommendation, Resize, Scopes, Sessions, Severity,
        Subject, Target, TargetStatus, Window,
    };
}

pub use crate::contract::{Answer, DatabaseServer, Description, PastSpan, Target, TargetStatus};

/// A policy: a pure function from settings, a window and its own memory to proposals.
pub trait Policy {
    /// Stable name, for example `autosize`.
    const NAME: &'static str;
    /// Version of the algorithm; the sidecar shows it beside the plugin's digest.
    const VERSION: &'static str;
    /// One line that says what it is for.
    const PURPOSE: &'static str;

    /// Least time between two evaluations; zero: whenever there is news.
    const EVERY: Duration = Duration::ZERO;
    /// How much of the past it wants to see in its windows.
    const PAST: Option<PastSpan> = None;

    /// What an operator can set; its schema is checked before the policy serves.
    type Settings: Default + DeserializeOwned + JsonSchema;
    /// What it keeps from one evaluation to the next; unreadable memory becomes the default.
    type Memory: Default + Serialize + DeserializeOwned;

    /// Decides.
    ///
    /// # Errors
    /// A sentence that says why it cannot decide; recorded as a fault of the policy.
    fn evaluate(
        settings: &Self::Settings,
        window: &Window,
        memory: &mut Self::Memory,
    ) -> Result<Vec<Proposal>, String>;
}

/// Says what a policy is, with the JSON Schema of its settings.
pub fn describe<P: Policy>() -> Description {
    let generator = schemars::generate::SchemaSettings::default()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    Description {
        name: P::NAME.to_owned(),
        version: P::VERSION.to_owned(),
        purpose: P::PURPOSE.to_owned(),
        every_ms: u64::try_from(P::EVERY.as_millis()).unwrap_or(u64::MAX),
        past: P::PAST,
        settings_schema: generator.into_root_schema_for::<P::Settings>().as_value().to_string(),
    }
}

/// Decides, with settings as a JSON object and memory as the bytes of the previous answer.
///
/// # Errors
/// When the settings do not fit, when the policy cannot decide, or when its memory cannot be
/// written.
pub fn evaluate<P: Policy>(
    window: &Window,
    settings: &str,
    memory: &[u8],
) -> Result<Answer, String> {
    let settings: P::Settings =
        serde_json::from_str(settings).map_err(|error| format!("settings do not fit: {error}"))?;
    let mut memory: P::Memory = serde_json::from_slice(memory).unwrap_or_default();
    let proposals = P::evaluate(&settings, window, &mut memory)?;
    let memory = serde_json::to_vec(&memory)
        .map_err(|error| format!("memory cannot be written: {error}"))?;
    Ok(Answer { proposals, memory })
}

/// Makes a policy the plugin of its crate.
///
/// A macro, though the house has few: the Component Model's exports are symbols of the final
/// module, and a generic function cannot have one. It expands to nothing natively, so that two
/// policies can be linked into one test or benchmark without their symbols clashing.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;

            impl $crate::bindings::Guest for Component {
                fn describe() -> $crate::Description {
                    $crate::describe::<$policy>()
                }

                fn evaluate(
                    window: $crate::contract::Window,
                    settings: String,
                    memory: Vec<u8>,
                ) -> Result<$crate::Answer, String> {
                    let window =
                        $crate::Window::from_host(window).map_err(|error| error.to_string())?;
                    $crate::evaluate::<$policy>(&window, &settings, &memory)
                }
            }

    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}

#[cfg(test)]
mod tests;
