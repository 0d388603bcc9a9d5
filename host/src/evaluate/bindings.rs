//! Bindings that are generated from the contract; only `convert`, `instance` and `load` touch them.

wasmtime::component::bindgen!({
    path: "../plugins/wit/v1",
    world: "policy",
    additional_derives: [serde::Serialize, serde::Deserialize, PartialEq],
});

pub use poolwarden::policy::{host, types};
