//! PgBouncer's own configuration file, read exactly as PgBouncer reads it.
//!
//! No crate fits the dialect: `%include` in the middle of a section, a second `[pgbouncer]` header
//! that puts every setting back to its default, entries that replace each other whole, and connection
//! strings with `''` for a quote. Files are read through a closure, so that this is pure. Entries hold
//! passwords: what is read is neither in an error nor in a `Debug`.

mod connstr;
mod error;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

pub use connstr::{Entry, leading_int};
pub use error::{IniError, Place};
use scan::{Item, Scan};

/// How deep PgBouncer follows `%include`: the first file is at level 0.
pub const INCLUDE_LEVEL_MAX: u32 = 10;

/// The name in `[databases]` that stands for every database without an entry.
pub const ANY: &str = "*";

/// A value of `[pgbouncer]`, as it is written, with its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

impl std::fmt::Debug for Value {
    /// Leaves the text out: some settings hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value at {}", self.place)
    }
}

/// What a PgBouncer has configured once it has read its files without an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ini {
    /// `[pgbouncer]` since its last header; what is not here has its default.
    pub settings: BTreeMap<String, Value>,
    /// `[databases]` by name, [`ANY`] among them.
    pub databases: BTreeMap<Arc<str>, Entry>,
    /// `[users]` by name.
    pub users: BTreeMap<Arc<str>, Entry>,
    /// Every file that was read, in this order, as the including file names it.
    pub files: Vec<String>,
}

/// The sections that PgBouncer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Pgbouncer,
    Databases,
    Users,
    Peers,
}

/// Gives the bytes of a file by the name that an ini has for it.
pub type Read<'a> = &'a dyn Fn(&str) -> io::Result<Vec<u8>>;

/// Reads an ini and what it includes; `level` is 1 for a file that another is to include.
///
/// # Errors
/// Where PgBouncer would stop reading, with file and line.
pub fn read(file: &str, level: u32, read: Read<'_>) -> Result<Ini, IniError> {
    let mut loader = Loader { read, ini: Ini::default(), section: None, is_main_there: false };
    loader.file(file, level, None)?;
    if loader.is_main_there {
        return Ok(loader.ini);
    }
    Err(IniError::NoMain { file: file.to_owned() })
}

/// Reads one file alone: includes are listed and not followed.
///
/// # Errors
/// As [`read`].
pub fn read_alone(file: &str, text: &[u8]) -> Result<Ini, IniError> {
    let one = |name: &str| Ok(if name == file { text.to_vec() } else { Vec::new() });
    let mut loader =
        Loader { read: &one, ini: Ini::default(), section: None, is_main_there: false };
    loader.file(file, 0, None)?;
    Ok(loader.ini)
}

struct Loader<'a> {
    read: Read<'a>,
    ini: Ini,
    /// The section goes on across the border of an included file.
    section: Option<Section>,
    is_main_there: bool,
}

impl Loader<'_> {
    fn file(&mut self, name: &str, level: u32, from: Option<&Place>) -> Result<(), IniError> {
        let file = name.to_owned();
        let text = (self.read)(name).map_err(|source| IniError::Read {
            file,
            from: from.cloned(),
            source,
        })?;
        self.ini.files.push(name.to_owned());
        let name: Arc<str> = Arc::from(name);
        let mut scan = Scan::new(&name, &text)?;
        while let Some((place, item)) = scan.next()? {
            match item {
                Item::Include(_) if level >= INCLUDE_LEVEL_MAX => {
                    return Err(IniError::Depth { place });
                }
                Item::Include(file) => self.file(&file, level + 1, Some(&place))?,
                Item::Section(section) => self.open(&section, place)?,
                Item::Pair(key, value) => self.put(key, value, place)?,
            }
        }
        Ok(())
    }

    fn open(&mut self, name: &str, place: Place) -> Result<(), IniError> {
        self.section = Some(match name {
            "pgbouncer" => {
                self.is_main_there = true;
                self.ini.settings.clear();
                Section::Pgbouncer
            }
            "databases" => Section::Databases,
            "users" => Section::Users,
            "peers" => Section::Peers,
            _ => return Err(IniError::Section { place }),
        });
        Ok(())
    }

    fn put(&mut self, key: String, value: Vec<u8>, place: Place) -> Result<(), IniError> {
        let name = || Arc::<str>::from(key.as_str());
        match self.section {
            None => return Err(IniError::Stray { place }),
            Some(Section::Pgbouncer) => {
                let text = String::from_utf8_lossy(&value).into_owned();
                self.ini.settings.insert(key, Value { text, place });
            }
            Some(Section::Databases) if key == "pgbouncer" => {
                return Err(IniError::Reserved { place });
            }
            Some(Section::Databases) => {
                self.ini.databases.insert(name(), Entry::new(value, place)?);
            }
            Some(Section::Users) => {
                self.ini.users.insert(name(), Entry::new(value, place)?);
            }
            // Peers have no pools of clients; their entries only have to be in order.
            Some(Section::Peers) => drop(Entry::new(value, place)?),
        }
        Ok(())
    }
}
