//! Finding and running the tools of others.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::BuildError;

/// Finds a program in `PATH`, or in one of some folders.
pub(super) fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path);
    folders
        .iter()
        .cloned()
        .chain(in_path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The folders that Debian's versions of LLVM have their programs in, the newest first.
pub(super) fn llvm_folders() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib") else { return Vec::new() };
    let version = |path: &PathBuf| -> Option<u32> {
        path.file_name()?.to_str()?.strip_prefix("llvm-")?.parse().ok()
    };
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| version(path).is_some())
        .collect();
    folders.sort_by_key(|path| std::cmp::Reverse(version(path)));
    folders.into_iter().map(|folder| folder.join("bin")).collect()
}

/// Runs a tool that speaks to the person at the terminal.
///
/// # Errors
/// When it cannot be run or fails.
pub(super) fn run(command: &mut Command) -> Result<(), BuildError> {
    say(command);
    // What it prints is about its progress; this program's own output is the result.
    let output = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).output();
    let output = ended(command, output)?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stdout));
    }
    success(command, &output)
}

/// Runs a tool and gives what it prints.
///
/// # Errors
/// When it cannot be run or fails.
pub(super) fn output(command: &mut Command) -> Result<String, BuildError> {
    say(command);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).output();
    let output = ended(command, output)?;
    success(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Gives what a tool prints when it is only asked something; nothing when it cannot tell.
pub(super) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn say(command: &Command) {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    eprintln!("running: {}", words.join(" "));
}

fn tool(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

fn ended(command: &Command, output: std::io::Result<Output>) -> Result<Output, BuildError> {
    output.map_err(|source| BuildError::Run { tool: tool(command), source })
}

fn success(command: &Command, output: &Output) -> Result<(), BuildError> {
    if output.status.success() {
        return Ok(());
    }
    Err(BuildError::Failed { tool: tool(command), status: output.status })
}
