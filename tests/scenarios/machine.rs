//! What a suite ran on.

use std::path::Path;
use std::process::Command;

use crate::pin::Processors;

/// Gives the load averages.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Names the processor.
pub fn processor(processors: Processors) -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown");
    format!("{model}, {} virtual cores", processors.count())
}

/// Names the servers' versions.
pub fn servers() -> Vec<String> {
    vec![said("/usr/sbin/pgbouncer", &["--version"]), said("psql", &["--version"])]
}

/// Names a program by its place below the repository, if it lies there.
pub fn program(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let inside = root.and_then(|root| path.strip_prefix(root).ok());
    inside.unwrap_or_else(|| path.file_name().map_or(path, Path::new)).display().to_string()
}

/// Gives the SHA-256 of a program.
pub fn digest(path: &Path) -> String {
    let said = said("sha256sum", &[&path.display().to_string()]);
    said.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// Gives the first line that a program prints.
pub fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().next().unwrap_or("unknown").to_owned()
}
