//! C, with clang and lld or with zig: without a C library, so that nothing but the contract is
//! imported.

use std::path::PathBuf;
use std::process::Command;

use super::{Project, missing, output, tools};
use crate::cli::policy::build::BuildError;

/// What the SDK consists of, besides the bindings' object with the contract's types.
const SDK: [&str; 6] = [
    "plugin.c",
    "json.c",
    "number.c",
    "text.c",
    "bindings/policy.c",
    "bindings/policy_component_type.o",
];

const OPTIONS: [&str; 8] = [
    "-O2",
    "-nostdlib",
    "-ffreestanding",
    "-mbulk-memory",
    "-fvisibility=hidden",
    "-Wall",
    "-Wl,--no-entry",
    "-Wl,--strip-debug",
];

pub(super) fn make(project: &Project, may_install: bool) -> Result<PathBuf, BuildError> {
    let mut command = match clang().or_else(|| zig(project)) {
        Some(command) => command,
        None => {
            let install = "python3 -m venv .venv && .venv/bin/pip install --quiet ziglang";
            let tool = "a C compiler for Wasm";
            missing(project, tool, install, may_install).map_err(with_clang)?;
            let nothing =
                || BuildError::Missing { tool: tool.to_owned(), install: clang_install() };
            zig(project).ok_or_else(nothing)?
        }
    };
    let (sdk, out) = (project.sdk()?, output(project)?);
    command.args(OPTIONS).arg("-I").arg(sdk.join("include")).arg("-I").arg(&sdk);
    command.args(&project.sources).args(SDK.map(|file| sdk.join(file)));
    command.arg("-o").arg(&out).current_dir(&project.dir);
    tools::run(&mut command)?;
    Ok(out)
}

fn clang_install() -> Vec<String> {
    vec!["apt-get install clang lld".to_owned()]
}

fn with_clang(error: BuildError) -> BuildError {
    match error {
        BuildError::Missing { tool, install } => BuildError::Missing {
            tool,
            install: clang_install().into_iter().chain(install).collect(),
        },
        other => other,
    }
}

/// clang is of use only with the linker of the same LLVM.
fn clang() -> Option<Command> {
    let folders = tools::llvm_folders();
    let linker = tools::find("wasm-ld", &folders)?;
    let beside = linker.canonicalize().ok()?.parent()?.to_owned();
    let clang = tools::find("clang", std::slice::from_ref(&beside))?;
    let mut command = Command::new(clang);
    command.arg("--target=wasm32-unknown-unknown").arg("-B").arg(beside);
    Some(command)
}

fn zig(project: &Project) -> Option<Command> {
    let mut command = match tools::find("zig", &[]) {
        Some(zig) => Command::new(zig),
        None => {
            let venv = project.dir.join(".venv/bin");
            let python = tools::find("python3", &[venv])?;
            tools::ask(Command::new(&python).args(["-m", "ziglang", "version"]))?;
            let mut command = Command::new(python);
            command.args(["-m", "ziglang"]);
            command
        }
    };
    command.args(["cc", "-target", "wasm32-freestanding"]);
    Some(command)
}
