//! What each language's tools are asked to do.

mod c;
mod rust;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::project::Project;
use super::{BuildError, tools};
use crate::cli::policy::language::Language;

/// The version of the PyPI package that the SDK is proven with.
const COMPONENTIZE_PY: &str = "0.25.1";

/// Builds; gives the path of what was built.
pub(super) fn make(project: &Project, may_install: bool) -> Result<PathBuf, BuildError> {
    match project.language {
        Language::Rust => rust::make(project, may_install),
        Language::Javascript => javascript(project, may_install),
        Language::Python => python(project, may_install),
        Language::C => c::make(project, may_install),
    }
}

/// The file in the policy's own folder that a build goes to.
fn output(project: &Project) -> Result<PathBuf, BuildError> {
    let folder = project.dir.join("target");
    std::fs::create_dir_all(&folder)
        .map_err(|source| BuildError::Write { path: folder.clone(), source })?;
    Ok(folder.join(format!("{}.wasm", project.name)))
}

/// Says what is missing, or installs it where that was asked for.
fn missing(
    project: &Project,
    tool: &str,
    install: &str,
    may_install: bool,
) -> Result<(), BuildError> {
    if may_install {
        return tools::run(Command::new("sh").arg("-c").arg(install).current_dir(&project.dir));
    }
    let command = format!("(cd {} && {install})", project.dir.display());
    let with_option = format!("poolwarden policy build --install {}", project.dir.display());
    Err(BuildError::Missing { tool: tool.to_owned(), install: vec![command, with_option] })
}

fn javascript(project: &Project, may_install: bool) -> Result<PathBuf, BuildError> {
    let node = tools::find("node", &[]).ok_or_else(|| BuildError::Missing {
        tool: "node (version 18 or newer)".to_owned(),
        install: vec!["apt-get install nodejs npm".to_owned()],
    })?;
    let modules = project.dir.join("node_modules");
    let program = modules.join("componentize-qjs/bin/componentize-qjs");
    if !program.is_file() || !modules.join("@poolwarden/policy").is_dir() {
        missing(
            project,
            "componentize-qjs (npm)",
            "npm install --no-fund --no-audit",
            may_install,
        )?;
    }
    let out = output(project)?;
    let mut command = Command::new(node);
    command.arg(program).arg("--wit").arg(project.wit()).arg("--js").args(&project.sources);
    // Without the asynchronous runtime, and with WASI that traps: nothing but the contract.
    command.args(["--sync", "--stub-wasi", "-o"]).arg(&out).current_dir(&project.dir);
    tools::run(&mut command)?;
    Ok(out)
}

fn python(project: &Project, may_install: bool) -> Result<PathBuf, BuildError> {
    let own = project.dir.join(".venv");
    let venv = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let folders: Vec<PathBuf> =
        std::iter::once(own.clone()).chain(venv).map(|folder| folder.join("bin")).collect();
    if tools::find("componentize-py", &folders).is_none() {
        if tools::find("python3", &[]).is_none() {
            return Err(BuildError::Missing {
                tool: "python3 with its venv".to_owned(),
                install: vec!["apt-get install python3 python3-venv".to_owned()],
            });
        }
        let package = if project.dir.join("requirements.txt").is_file() {
            "-r requirements.txt".to_owned()
        } else {
            format!("componentize-py=={COMPONENTIZE_PY}")
        };
        let install = format!("python3 -m venv .venv && .venv/bin/pip install --quiet {package}");
        missing(project, "componentize-py (PyPI)", &install, may_install)?;
    }
    let program = tools::find("componentize-py", &folders);
    let program = program.unwrap_or_else(|| own.join("bin/componentize-py"));
    let out = output(project)?;
    let mut command = Command::new(&program);
    if program.starts_with(&own) {
        // Where it looks for packages that the policy imports.
        command.env("VIRTUAL_ENV", &own);
    }
    command.arg("-q").arg("-d").arg(project.wit()).args(["-w", "policy", "componentize"]);
    command.args(["--stub-wasi", "-p"]).arg(&project.dir).arg("-p").arg(project.sdk()?);
    command.args(&project.sources).arg("-o").arg(&out).current_dir(&project.dir);
    tools::run(&mut command)?;
    Ok(out)
}

/// Whether a folder of a toolchain has the standard library of Wasm.
fn has_std(libdir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(libdir) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}
