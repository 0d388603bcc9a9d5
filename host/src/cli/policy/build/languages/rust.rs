//! Rust, with cargo: the active toolchain, or Debian's compiler for its browsers.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Project, has_std, tools};
use crate::cli::policy::build::BuildError;

const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's `rustc-web`, which can build for Wasm.
const DEBIAN: &str = "/usr/bin/rustc";
/// Debian's `rust-web-src`: it builds the standard library from source.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

pub(super) fn make(project: &Project, may_install: bool) -> Result<PathBuf, BuildError> {
    let cargo = tools::find("cargo", &[]).ok_or_else(|| BuildError::Missing {
        tool: "cargo".to_owned(),
        install: vec!["curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh".to_owned()],
    })?;
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--lib", "--target", TARGET]);
    command.arg("--message-format=json-render-diagnostics");
    toolchain(project, may_install, &mut command)?;
    // An incremental guest runs at half the speed, and its digest depends on earlier builds.
    command.env("CARGO_INCREMENTAL", "0").current_dir(&project.dir);
    plugin(&tools::output(&mut command)?, &project.dir).ok_or(BuildError::NothingBuilt)
}

/// Sees to it that there is a compiler with the standard library.
fn toolchain(
    project: &Project,
    may_install: bool,
    command: &mut Command,
) -> Result<(), BuildError> {
    if has_target(project) {
        return Ok(());
    }
    let rustup = tools::find("rustup", &[]);
    if may_install && rustup.is_some() {
        let mut add = Command::new("rustup");
        let added = tools::run(add.args(["target", "add", TARGET]).current_dir(&project.dir));
        if added.is_ok() && has_target(project) {
            return Ok(());
        }
    }
    if let Some(linker) = linker().filter(|_| Path::new(DEBIAN_SOURCE).is_file()) {
        command.env("RUSTC", DEBIAN).env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        let mut asked = Command::new(DEBIAN);
        let libdir = tools::ask(asked.args(["--print", "target-libdir", "--target", TARGET]));
        if !libdir.is_some_and(|libdir| has_std(Path::new(&libdir))) {
            command.args(["-Z", "build-std=std,panic_abort"]);
        }
        return Ok(());
    }
    let debian = "apt-get install rustc-web rust-web-src lld".to_owned();
    let install = match rustup {
        Some(_) => vec![format!("rustup target add {TARGET}"), debian],
        None => vec![debian],
    };
    Err(BuildError::Missing { tool: format!("Rust's target {TARGET}"), install })
}

fn has_target(project: &Project) -> bool {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut asked = Command::new(compiler);
    asked.args(["--print", "target-libdir", "--target", TARGET]).current_dir(&project.dir);
    tools::ask(&mut asked).is_some_and(|libdir| has_std(Path::new(&libdir)))
}

/// A linker for Wasm: Debian's compiler brings none, rustup's toolchains and package lld do.
fn linker() -> Option<PathBuf> {
    let sysroot = tools::ask(Command::new("rustc").args(["--print", "sysroot"]));
    let host = tools::ask(Command::new("rustc").args(["--print", "host-tuple"]));
    let own = sysroot
        .zip(host)
        .map(|(sysroot, host)| Path::new(&sysroot).join("lib/rustlib").join(host).join("bin"));
    let folders: Vec<PathBuf> = own.into_iter().chain(tools::llvm_folders()).collect();
    tools::find("rust-lld", &folders).or_else(|| tools::find("wasm-ld", &folders))
}

/// Finds the plugin in what cargo says of each artefact.
fn plugin(messages: &str, dir: &Path) -> Option<PathBuf> {
    let of_policy = |message: &Value| {
        let manifest = message.get("manifest_path")?.as_str()?;
        let files = message.get("filenames")?.as_array()?;
        let file = files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"))?;
        (Path::new(manifest).parent()? == dir).then(|| PathBuf::from(file))
    };
    let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
    messages.filter_map(|message: Value| of_policy(&message)).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_the_artefact_of_the_policys_own_manifest() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/x/dep/Cargo.toml","filenames":["/t/dep.wasm"]}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/x/q/Cargo.toml","filenames":["/t/q.rlib","/t/q.wasm"]}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#
        );
        assert_eq!(plugin(messages, Path::new("/x/q")), Some(PathBuf::from("/t/q.wasm")));
        assert_eq!(plugin(messages, Path::new("/x/other")), None);
    }
}
