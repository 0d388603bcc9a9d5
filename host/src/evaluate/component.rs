//! From the bytes of a `.wasm` file to a component that speaks the contract.
//!
//! Compilers without a component target write a core module with the contract in a custom section;
//! turning it into a component here means that an author needs no further tool.

use wasmtime::component::Component;
use wasmtime::{Engine, Module};
use wit_component::ComponentEncoder;

use super::LoadError;

/// The contract's package, without its version.
pub(super) const PACKAGE: &str = "poolwarden:policy/";
/// The contract's version that this sidecar speaks.
pub(super) const VERSION: &str = "1.0.0";

/// Gives component bytes, wrapping a core module.
pub(super) fn component_bytes(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x01, 0, 0, 0]) => wrap(engine, bytes),
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(bytes.to_vec()),
        _ => Err(LoadError::NotWasm),
    }
}

fn wrap(engine: &Engine, module: &[u8]) -> Result<Vec<u8>, LoadError> {
    // The encoder takes for granted that it gets a whole module, and panics on half of one.
    Module::validate(engine, module).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| LoadError::NotAComponent(format!("{error:#}")))
}

/// Checks that a component asks for nothing but the contract, in a version that is spoken here.
pub(super) fn check_contract(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let kind = component.component_type();
    for (name, _) in kind.imports(engine) {
        check_import(name)?;
    }
    for export in ["describe", "evaluate"] {
        if !kind.exports(engine).any(|(name, _)| name == export) {
            return Err(LoadError::MissingExport(export));
        }
    }
    Ok(())
}

pub(super) fn check_import(name: &str) -> Result<(), LoadError> {
    if name.starts_with("wasi:") {
        return Ok(());
    }
    let Some(rest) = name.strip_prefix(PACKAGE) else {
        return Err(LoadError::ForbiddenImport(name.to_owned()));
    };
    let version = rest.split_once('@').map_or("", |(_, version)| version);
    if version != VERSION {
        return Err(LoadError::Contract { needs: version.to_owned(), speaks: VERSION });
    }
    Ok(())
}

/// Says whether a component imports WASI and so needs the stubs.
pub(super) fn wants_wasi(engine: &Engine, component: &Component) -> bool {
    component.component_type().imports(engine).any(|(name, _)| name.starts_with("wasi:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_wasm_are_refused_by_name() {
        let engine = Engine::default();
        let bytes = |bytes: &[u8]| component_bytes(&engine, bytes);
        assert!(matches!(bytes(b"hello, world"), Err(LoadError::NotWasm)));
        assert!(matches!(bytes(b""), Err(LoadError::NotWasm)));
        let half = b"\0asm\x01\0\0\0\x01\x7f";
        assert!(matches!(bytes(half), Err(LoadError::Compile(_))), "{:?}", bytes(half));
    }

    #[test]
    fn an_import_outside_the_contract_is_named() {
        assert!(check_import("wasi:cli/environment@0.2.6").is_ok());
        assert!(check_import("poolwarden:policy/host@1.0.0").is_ok());
        assert!(matches!(check_import("acme:net/http"), Err(LoadError::ForbiddenImport(_))));
        let newer = check_import("poolwarden:policy/host@2.0.0");
        assert!(matches!(newer, Err(LoadError::Contract { needs, .. }) if needs == "2.0.0"));
    }
}
