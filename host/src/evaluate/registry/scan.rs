//! What lies in the policies folder, and whether it changed since the last look.
//!
//! A look reads no plugin: it compares inode, size and time of change, so that a rescan every few
//! seconds costs next to nothing. A file that is still being written changes again and is looked at
//! again. The time of change is that of the inode: it moves with the rights too, and no tool that
//! copies times can set it back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::evaluate::load::FILE_MAX_BYTES;
use crate::evaluate::{LoadError, PolicyFileError};
use crate::model::PolicyName;

/// Identity and time of change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    bytes: u64,
    changed_s: i64,
    changed_ns: i64,
}

impl Mark {
    fn of(data: &Metadata) -> Self {
        Self {
            inode: data.ino(),
            bytes: data.len(),
            changed_s: data.ctime(),
            changed_ns: data.ctime_nsec(),
        }
    }
}

/// What a policy's files looked like; another stamp means that they are to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    file: Option<Mark>,
    plugin: Option<Mark>,
}

/// A policy that the folder names.
#[derive(Debug, Clone)]
pub struct Found {
    pub name: PolicyName,
    pub stamp: Stamp,
    dir: PathBuf,
    has_file: bool,
}

impl Found {
    pub fn file_path(&self) -> PathBuf {
        self.dir.join(format!("{}.toml", self.name))
    }

    pub fn read_file(&self) -> Result<Option<String>, LoadError> {
        if !self.has_file {
            return Ok(None);
        }
        let path = self.file_path();
        match fs::read_to_string(&path) {
            // Written in place, a file is empty before it is anything else.
            Ok(text) if text.is_empty() => {
                let reason = "is empty, or not yet written".to_owned();
                Err(PolicyFileError { path, reason }.into())
            }
            Ok(text) => Ok(Some(text)),
            Err(source) => Err(LoadError::Read { path, source }),
        }
    }

    pub fn plugin_path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    pub fn read_plugin(&self, file: &str) -> Result<Vec<u8>, LoadError> {
        let path = self.dir.join(file);
        let read = |path: &Path| {
            let bytes = fs::metadata(path)?.len();
            if bytes > FILE_MAX_BYTES {
                return Ok(Err(LoadError::TooLarge { bytes }));
            }
            fs::read(path).map(Ok)
        };
        read(&path).map_err(|source| LoadError::Read { path, source })?
    }
}

/// Lists the policies of a folder: each `.toml`, and each `.wasm` that none of them uses or names.
///
/// A policy also uses the plugin that serves for it (`in_use`): a mistake in its file must not let
/// that plugin loose as a policy of its own.
pub fn scan(
    dir: &Path,
    in_use: &BTreeMap<PolicyName, String>,
) -> io::Result<BTreeMap<PolicyName, Found>> {
    let mut files = BTreeMap::new();
    let mut plugins = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        // Through symbolic links, because Kubernetes mounts config maps as such.
        let Ok(data) = fs::metadata(&path) else { continue };
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if !data.is_file() || name.starts_with('.') {
            continue;
        }
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => files.insert(name.to_owned(), (Mark::of(&data), plugin_of(&path))),
            Some("wasm") => {
                plugins.insert(format!("{name}.wasm"), Mark::of(&data));
                continue;
            }
            _ => continue,
        };
    }
    Ok(found(dir, files, &plugins, in_use))
}

fn found(
    dir: &Path,
    files: BTreeMap<String, (Mark, Option<String>)>,
    plugins: &BTreeMap<String, Mark>,
    in_use: &BTreeMap<PolicyName, String>,
) -> BTreeMap<PolicyName, Found> {
    let mut found = BTreeMap::new();
    let mut used = BTreeSet::new();
    for (name, (mark, plugin)) in files {
        let own = format!("{name}.wasm");
        let plugin = plugin.unwrap_or_else(|| own.clone());
        let stamp = Stamp { file: Some(mark), plugin: plugins.get(&plugin).copied() };
        let serving = PolicyName::new(&name).ok().and_then(|name| in_use.get(&name).cloned());
        // Its own plugin too, used or not: a name is one policy's.
        used.extend([own, plugin].into_iter().chain(serving));
        insert(&mut found, dir, &name, stamp);
    }
    for (plugin, mark) in plugins.iter().filter(|(plugin, _)| !used.contains(*plugin)) {
        let name = plugin.trim_end_matches(".wasm");
        insert(&mut found, dir, name, Stamp { file: None, plugin: Some(*mark) });
    }
    found
}

fn insert(found: &mut BTreeMap<PolicyName, Found>, dir: &Path, name: &str, stamp: Stamp) {
    match PolicyName::new(name) {
        Ok(name) => {
            let has_file = stamp.file.is_some();
            let policy = Found { name: name.clone(), stamp, dir: dir.to_owned(), has_file };
            found.insert(name, policy);
        }
        Err(error) => tracing::warn!(%error, "a policy cannot have that file name"),
    }
}

/// Finds the plugin that a policy file names, without judging the file.
fn plugin_of(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let table: toml::Table = text.parse().ok()?;
    table.get("plugin")?.as_str().map(str::to_owned)
}
