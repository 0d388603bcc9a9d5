//! The override file: the operator's ini included, and after it whole entries with other sizes.
//!
//! PgBouncer replaces an entry whole, so an override repeats the operator's, passwords and all, and
//! only appends sizes, of which the last one counts. The file has no `[pgbouncer]`: a second header
//! would put every setting back to its default.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::console::InForce;
use crate::ini::{ANY, Entry, Ini};
use crate::model::{Knob, ScopeKey, Setting};

/// By its first line a file is known as the sidecar's own.
const FIRST_LINE: &str = "; Written by Poolwarden, and written again whenever something changes.\n";
const HOLDS: &str = "; holds ";
const LOADED: &str = "; where the file said ";
/// Version from which on a database's reserve is called as everywhere else.
const RESERVE_RENAMED: u32 = 12_400;

/// Sizes that are to be in force other than the operator's file says.
pub(super) type Sizes = BTreeMap<Setting, u32>;

/// Says what is in the file for a setting itself; `None` when it names none.
pub(super) fn in_file(ini: &Ini, setting: &Setting) -> Option<u32> {
    match &setting.scope {
        ScopeKey::Default => {
            let value = ini.settings.get(setting.knob.default_key())?;
            value.text.parse().ok()
        }
        ScopeKey::Database(name) => ini.databases.get(name)?.number(names(setting.knob)),
        ScopeKey::User(name) => ini.users.get(name)?.number(&[setting.knob.as_str()]),
    }
}

/// The names of a knob in an entry, today's first.
pub(super) fn names(knob: Knob) -> &'static [&'static str] {
    match knob {
        Knob::PoolSize => &["pool_size"],
        Knob::MinPoolSize => &["min_pool_size"],
        Knob::ReservePoolSize => &super::compare::RESERVE,
    }
}

/// Makes the text of the file; `None` when the operator's ini alone says the same.
///
/// What the ini no longer names is left out, so that an override keeps nothing alive. Beside each size
/// stands what the ini said when it was last loaded: as in `loaded`, or else what it says now.
pub(super) fn text(
    main: &str,
    ini: &Ini,
    (sizes, loaded): (&Sizes, &Sizes),
    now: &InForce,
) -> Option<Vec<u8>> {
    let version = now.version;
    let differs = |setting: &&Setting, size: u32| match in_file(ini, setting) {
        Some(own) => own != size,
        None => inherited(ini, setting, now) != Some(size),
    };
    let (mut databases, mut users) = (BTreeMap::new(), BTreeMap::new());
    for (setting, size) in sizes.iter().filter(|(setting, size)| differs(setting, **size)) {
        let (entries, lines, name) = match &setting.scope {
            ScopeKey::Default => continue,
            ScopeKey::Database(name) if &**name == ANY => continue,
            ScopeKey::Database(name) => (&ini.databases, &mut databases, name),
            ScopeKey::User(name) => (&ini.users, &mut users, name),
        };
        let Some(entry) = entries.get(name) else { continue };
        let line: &mut Line<'_> =
            lines.entry(Arc::clone(name)).or_insert_with(|| Line { entry, sizes: Vec::new() });
        let file = loaded.get(setting).copied().or_else(|| in_file(ini, setting));
        line.sizes.push((setting, *size, file));
    }
    if databases.is_empty() && users.is_empty() {
        return None;
    }
    let mut text = head(main);
    for (section, lines) in [("databases", databases), ("users", users)] {
        if !lines.is_empty() {
            text.extend_from_slice(format!("[{section}]\n").as_bytes());
        }
        for (name, line) in lines {
            line.write(&name, version, &mut text);
        }
    }
    Some(text)
}

/// Gives what a database without its own size has, where that is the file's word and no `SET`.
fn inherited(ini: &Ini, setting: &Setting, now: &InForce) -> Option<u32> {
    let ScopeKey::Database(_) = setting.scope else { return None };
    let key = setting.knob.default_key();
    let row = now.config.get(key)?;
    let written = ini.settings.get(key).map(|value| value.text.as_str());
    let of_file = written.or(row.default.as_deref())?.parse().ok()?;
    (row.value.as_deref()?.parse() == Ok(of_file)).then_some(of_file)
}

/// Makes the text of a file that overrides nothing, to find out whether PgBouncer sees it.
pub(super) fn head(main: &str) -> Vec<u8> {
    let note = "; It may hold passwords: it repeats entries of the file that it includes.\n";
    format!("{FIRST_LINE}{note}%include {main}\n").into_bytes()
}

struct Line<'a> {
    entry: &'a Entry,
    /// Each size, and what the ini said instead when it was last loaded.
    sizes: Vec<(&'a Setting, u32, Option<u32>)>,
}

impl Line<'_> {
    fn write(&self, name: &str, version: u32, text: &mut Vec<u8>) {
        for (setting, size, file) in &self.sizes {
            text.extend_from_slice(format!("{HOLDS}{setting} = {size}\n").as_bytes());
            if let Some(file) = file {
                text.extend_from_slice(format!("{LOADED}{setting} = {file}\n").as_bytes());
            }
        }
        text.extend_from_slice(format!("{name} = ").as_bytes());
        text.extend_from_slice(self.entry.expose());
        for (setting, size, _) in &self.sizes {
            text.extend_from_slice(format!(" {}={size}", key(setting, version)).as_bytes());
        }
        text.push(b'\n');
    }
}

fn key(setting: &Setting, version: u32) -> &'static str {
    match (&setting.scope, setting.knob) {
        (ScopeKey::Database(_), Knob::ReservePoolSize) if version < RESERVE_RENAMED => {
            "reserve_pool"
        }
        (_, knob) => knob.as_str(),
    }
}

/// What an override file on disk says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The operator's ini, as PgBouncer sees it.
    pub main: String,
    /// The sizes that it overrides.
    pub sizes: Sizes,
    /// What the operator's ini said of them when it was last loaded.
    pub loaded: Sizes,
    /// Its entries of `[databases]`.
    pub databases: BTreeMap<Arc<str>, Entry>,
}

impl Found {
    /// Gives what is overridden where this file includes another one.
    pub fn over(self, mut inner: Self) -> Self {
        inner.sizes.extend(self.sizes);
        inner.loaded.extend(self.loaded);
        inner.databases.extend(self.databases);
        inner
    }
}

/// Reads an override file back; `None` when it is not the sidecar's own.
pub(super) fn found(text: &[u8]) -> Option<Found> {
    let rest = text.strip_prefix(FIRST_LINE.as_bytes())?;
    let ini = crate::ini::read_alone("override", rest).ok()?;
    let lossy = String::from_utf8_lossy(rest);
    let noted = |prefix: &'static str| {
        let noted = lossy.lines().filter_map(move |line| {
            let (setting, size) = line.strip_prefix(prefix)?.rsplit_once(" = ")?;
            Some((setting.parse().ok()?, size.parse().ok()?))
        });
        noted.collect()
    };
    let (main, sizes, loaded) = (ini.files.get(1)?.clone(), noted(HOLDS), noted(LOADED));
    Some(Found { main, sizes, loaded, databases: ini.databases })
}

/// Why the file was not put in place.
#[derive(Debug, Error)]
pub(super) enum PutError {
    /// Nobody but the sidecar could read it, or somebody who may not read the ini.
    #[error("only those who may read {0} may read it, and the sidecar can make no such file")]
    Readers(String),
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Puts a file in place at once, whole, and for nobody's eyes who may not read the operator's files: the
/// ini, which is the first, and what it includes.
///
/// Owner and group are the ini's as far as the sidecar may give them.
///
/// # Errors
/// When the system refuses, or the file could be read by more than the ini's readers or by none of them.
pub(super) fn put(path: &Path, text: &[u8], files: &[PathBuf]) -> Result<(), PutError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let metas = files.iter().map(std::fs::metadata).collect::<io::Result<Vec<_>>>()?;
    let like = metas.first().ok_or_else(|| io::Error::other("there is no ini"))?;
    let mut file = tempfile::Builder::new().prefix(".poolwarden-").tempfile_in(folder)?;
    let handle = file.as_file();
    // Whoever may give it only to a group of his gives it to that; the folder may have done so before.
    if fchown(handle, Some(like.uid()), Some(like.gid())).is_err() {
        let _ = fchown(handle, None, Some(like.gid()));
    }
    let given = handle.metadata()?;
    let mut strictest = 0o640;
    for (file, meta) in files.iter().zip(&metas) {
        let mode = mode(&Owned::of(meta), &Owned::of(&given));
        let mode = mode.ok_or_else(|| PutError::Readers(file.display().to_string()))?;
        strictest = mode.min(strictest);
    }
    let mode = strictest;
    handle.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(std::fs::File::open(folder)?.sync_all()?)
}

/// Whose a file is, and who may read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned {
    pub user: u32,
    pub group: u32,
    pub mode: u32,
}

impl Owned {
    fn of(meta: &Metadata) -> Self {
        Self { user: meta.uid(), group: meta.gid(), mode: meta.mode() }
    }
}

/// Gives the mode of a file that repeats the ini's passwords; `None` where no mode is right.
///
/// The group may read it when it may read the ini, and others never. One that only the sidecar can read is
/// of use to a `PgBouncer` of the same user alone, whose ini it then is.
pub(super) fn mode(ini: &Owned, file: &Owned) -> Option<u32> {
    let for_group = if file.group == ini.group { 0o040 } else { 0o004 };
    match (ini.mode & for_group != 0, file.user == ini.user) {
        (true, _) => Some(0o640),
        (false, true) => Some(0o600),
        (false, false) => None,
    }
}
