//! The files of one PgBouncer, as the sidecar reaches them and as PgBouncer names them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::overrides::{self, Found, PutError};
use crate::config::Override;
use crate::ini::{Ini, IniError};
use crate::model::Obstacle;
use crate::report::chain;

/// The longest path that `SET conffile` takes, in bytes.
const PATH_MAX: usize = 255;

/// Files, by the name that PgBouncer has for the operator's ini.
#[derive(Debug, Clone)]
pub(super) struct Site<'a> {
    config: &'a Override,
    /// The operator's ini as PgBouncer names it.
    pub main: String,
}

/// What a file looks like from outside: another one is another signature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Signature(Vec<Option<(u64, u64, i64, i64)>>);

impl<'a> Site<'a> {
    /// Finds the operator's ini: `conffile`, or what our own file includes where that is in use.
    pub fn new(config: &'a Override, conffile: &str) -> Result<Self, Obstacle> {
        if conffile != config.path_in_pgbouncer {
            let site = Self { config, main: conffile.to_owned() };
            return site.is_apart().map(|()| site);
        }
        let path = config.path.display();
        let main = std::fs::read(&config.path).ok().and_then(|text| overrides::found(&text));
        main.map(|found| Self { config, main: found.main }).ok_or_else(|| {
            Obstacle::new(
                format!(
                    "PgBouncer reads {conffile}, and Poolwarden's file {path} is gone or changed"
                ),
                "restart PgBouncer, which then reads its own ini again",
            )
        })
    }

    /// Takes the name of the operator's ini as it was found before.
    pub fn of(config: &'a Override, main: &str) -> Self {
        Self { config, main: main.to_owned() }
    }

    /// Refuses an override file that is in truth a file of the operator's.
    fn is_apart(&self) -> Result<(), Obstacle> {
        let path = &self.config.path;
        let Ok(text) = std::fs::read(path) else { return Ok(()) };
        if overrides::found(&text).is_some() {
            return Ok(());
        }
        Err(Obstacle::new(
            format!("{} exists and was not written by Poolwarden", path.display()),
            "name a file in override.path that nobody else needs",
        ))
    }

    /// Gives the override file as it lies on the disk, if there is one.
    pub fn found(&self) -> Option<Found> {
        overrides::found(&std::fs::read(&self.config.path).ok()?)
    }

    /// Reads the operator's ini one level down, as the override file includes it.
    pub fn read(&self) -> Result<Ini, Obstacle> {
        let get = |name: &str| std::fs::read(self.local(name)?);
        crate::ini::read(&self.main, 1, &get).map_err(|error| {
            let remedy = match &error {
                IniError::Read { .. } => {
                    "let the sidecar read it: mount it, give its group the right, and set \
                     override.ini_path to where the sidecar finds it"
                }
                _ => "correct the file; PgBouncer would stop reading there too",
            };
            Obstacle::new(chain(&error), remedy)
        })
    }

    /// Gives the path under which the sidecar finds what PgBouncer calls by a name.
    fn local(&self, name: &str) -> io::Result<PathBuf> {
        let config = self.config;
        if let Some(ini) = config.ini_path.as_ref().filter(|_| name == self.main) {
            return Ok(ini.clone());
        }
        let whole = |name: &str| match (&config.working_dir, Path::new(name)) {
            (_, path) if path.is_absolute() => Ok(path.to_owned()),
            (Some(folder), path) => Ok(folder.join(path)),
            (None, _) => Err(io::Error::other(
                "the path is relative, and only PgBouncer knows to what: set override.working_dir to \
                 the folder that it was started in",
            )),
        };
        let path = whole(name)?;
        let (Some(ini), Ok(main)) = (&config.ini_path, whole(&self.main)) else { return Ok(path) };
        // What lies beside the ini there lies beside it here.
        let inside = main.parent().and_then(|folder| path.strip_prefix(folder).ok());
        match (inside, ini.parent()) {
            (Some(inside), Some(folder)) => Ok(folder.join(inside)),
            _ => Ok(path),
        }
    }

    /// Gives the signature of every file that the ini consists of.
    pub fn signature(&self, files: &[String]) -> Signature {
        let one = |name: &String| {
            let meta = std::fs::metadata(self.local(name).ok()?).ok()?;
            Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
        };
        Signature(files.iter().map(one).collect())
    }

    /// Writes the override file.
    pub fn put(&self, text: &[u8]) -> Result<(), Obstacle> {
        let path = &self.config.path;
        let ini = self.local(&self.main).map_err(PutError::Io);
        ini.and_then(|ini| overrides::put(path, text, &ini)).map_err(|error| {
            let remedy = match &error {
                PutError::Io(_) => "let the sidecar write into the folder of override.path",
                PutError::Readers(_) => {
                    "let the ini's group read the ini, and put the sidecar's user into that group; or \
                     give that group to the folder of override.path (chgrp, chmod g+s)"
                }
            };
            Obstacle::new(format!("{} cannot be written: {error}", path.display()), remedy)
        })
    }

    /// Removes the override file.
    pub fn remove(&self) {
        let path = &self.config.path;
        if self.found().is_none() {
            return;
        }
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(%error, path = %path.display(), "the override file cannot be removed");
        }
    }

    /// Makes `SET conffile` for a path.
    pub fn command(path: &str) -> Result<String, Obstacle> {
        if path.len() > PATH_MAX {
            let reason = format!("{path} is longer than the {PATH_MAX} bytes that SET takes");
            return Err(Obstacle::new(reason, "choose a shorter override.path_in_pgbouncer"));
        }
        Ok(format!("SET conffile = '{}'", path.replace('\'', "''")))
    }
}
