//! `poolwarden policy build`: from a folder of source to a plugin that the sidecar takes over.
//!
//! It runs the tools that each language's own people use, and nothing is installed that was not
//! asked for: what is missing is named with the command that installs it. The plugin appears in its
//! folder all at once, because a running sidecar may be watching.

mod error;
mod languages;
mod project;
mod tools;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::cli::{bad_config, failed};
use crate::config::Config;
use error::BuildError;
use project::Project;

/// Builds a policy into a plugin that the sidecar loads.
///
/// The language is that of the folder's manifest: Cargo.toml, package.json, pyproject.toml, or
/// policy.toml for C. What is missing is named with the command that installs it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  poolwarden policy build queue-watch\n  \
    poolwarden policy build queue-watch --into /etc/poolwarden/policies\n  \
    poolwarden policy build --install --config poolwarden.toml\n\n\
    Takes for Rust: cargo with the target wasm32-unknown-unknown; JavaScript: node 18 or newer \
    and the npm package componentize-qjs; Python: python3 and the PyPI package componentize-py; \
    C: clang and lld, or the PyPI package ziglang")]
pub(super) struct Build {
    /// Folder of the policy.
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Folder to put the plugin into; made when it is missing. By default ./policies.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    into: Option<PathBuf>,
    /// Puts the plugin into the policies folder of this configuration.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Installs what is missing into the policy's own folder (npm, pip), or a Rust target.
    #[arg(long)]
    install: bool,
}

impl Build {
    pub fn run(self) -> ExitCode {
        let into = match (&self.into, &self.config) {
            (Some(into), _) => into.clone(),
            (None, None) => PathBuf::from("policies"),
            (None, Some(file)) => match Config::load(Some(file), &crate::cli::environment()) {
                Ok(config) => config.policies.dir,
                Err(error) => return bad_config(&error),
            },
        };
        let start = Instant::now();
        match build(&self.dir, &into, self.install) {
            Ok((plugin, bytes)) => {
                let (plugin, took) = (plugin.display(), start.elapsed().as_secs_f64());
                println!("wrote {plugin}, {bytes} bytes, after {took:.1} s");
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error),
        }
    }
}

/// Builds a folder's policy; gives the plugin's path and its size.
fn build(dir: &Path, into: &Path, may_install: bool) -> Result<(PathBuf, usize), BuildError> {
    let project = Project::find(dir)?;
    eprintln!("building {}, a policy in {}", project.name, project.language);
    let made = languages::make(&project, may_install)?;
    let bytes = fs::read(&made).map_err(|source| BuildError::Read { path: made, source })?;
    let plugin = into.join(format!("{}.wasm", project.name));
    put(into, &plugin, &bytes)
        .map_err(|source| BuildError::Write { path: plugin.clone(), source })?;
    Ok((plugin, bytes.len()))
}

/// Writes a file that takes its name over when it is whole.
fn put(folder: &Path, plugin: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut partial = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(folder)?;
    partial.write_all(bytes)?;
    partial.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    partial.persist(plugin)?;
    Ok(())
}

#[cfg(test)]
mod tests;
