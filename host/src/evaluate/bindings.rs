//! Bindings that are generated from the contract; only `convert`, `instance` and `load` touch them.

#![expect(clippy::all, reason = "generated code")]
#![expect(clippy::as_conversions, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../plugins/wit/v1",
    world: "policy",
    additional_derives: [serde::Serialize, serde::Deserialize, PartialEq],
});

pub use poolwarden::policy::{host, types};
