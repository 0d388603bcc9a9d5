//! Lists the SDKs and the example policies, so that `poolwarden policy new` can write them.
//!
//! A user has the program and not the repository, so the files are part of it. Found by a walk and
//! not named one by one: a file that is added to an SDK cannot be forgotten here.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders of `plugins/` that go into the program.
const FOLDERS: [&str; 3] = ["examples", "sdk", "wit"];
/// What tools leave behind.
const LEFT_BEHIND: [&str; 4] = ["node_modules", "target", "__pycache__", "package-lock.json"];

fn main() -> io::Result<()> {
    let host = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo says it"));
    let plugins = host.join("../plugins").canonicalize()?;
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={}", plugins.join(folder).display());
        walk(&plugins.join(folder), &mut files)?;
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&plugins).expect("it was found in there");
        let (name, path) = (name.display().to_string(), file.display().to_string());
        writeln!(text, "    ({name:?}, include_bytes!({path:?})),").expect("memory");
    }
    text.push_str("]\n");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo says it"));
    fs::write(out.join("author_files.rs"), text)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || LEFT_BEHIND.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
