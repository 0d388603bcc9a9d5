//! Holds what wit-bindgen generates from the contract; only this crate touches it.
//!
//! Generated at compile time rather than checked in, so that it cannot fall behind the WIT. The
//! export macro is public because [`export!`](crate::export) expands it in the plugin's crate.
//! Columns implement `Default`, so that a native test fills only those that it is about.

wit_bindgen::generate!({
    path: "../../wit/v1",
    world: "policy",
    pub_export_macro: true,
    additional_derives: [PartialEq],
    additional_type_attributes: {
        "poolwarden:policy/types@1.0.0/pools": [#[derive(Default)]],
        "poolwarden:policy/types@1.0.0/scopes": [#[derive(Default)]],
        "poolwarden:policy/types@1.0.0/past": [#[derive(Default)]],
        "poolwarden:policy/types@1.0.0/sessions": [#[derive(Default)]],
        "poolwarden:policy/types@1.0.0/holders": [#[derive(Default)]],
        "poolwarden:policy/types@1.0.0/client-groups": [#[derive(Default)]],
    },
});
