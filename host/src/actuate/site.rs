//! The files of one PgBouncer, as the sidecar reaches them and as PgBouncer names them.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::overrides::{self, Found, PutError};
use crate::config::Override;
use crate::ini::{INCLUDE_LEVEL_MAX, Ini, IniError};
use crate::model::Obstacle;
use crate::report::chain;

/// The longest path that `SET conffile` takes, in bytes.
const PATH_MAX: usize = 255;
/// What helps where the ini is not known any more.
const RESTART: &str = "restart PgBouncer, which then reads its own ini again";

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
    /// Finds the operator's ini behind `conffile`, and what files of Poolwarden's that are in use override:
    /// this sidecar's own, or one that it had under another path, or that of the sidecar before it.
    ///
    /// `known` are the inis that this PgBouncer was seen to have.
    pub fn new(
        config: &'a Override,
        conffile: &str,
        known: &BTreeSet<String>,
    ) -> Result<(Self, Option<Found>), Obstacle> {
        let mut site = Self { config, main: conffile.to_owned() };
        let mut in_use: Option<Found> = None;
        for _ in 0..INCLUDE_LEVEL_MAX {
            let Some(found) = site.ours() else {
                site.is_apart(conffile, known)?;
                return Ok((site, in_use));
            };
            site.main.clone_from(&found.main);
            in_use = Some(in_use.map_or_else(|| found.clone(), |outer| outer.over(found.clone())));
        }
        Err(Obstacle::new(
            format!("PgBouncer reads {conffile}, and Poolwarden's files include one another"),
            RESTART,
        ))
    }

    /// Gives what a file that PgBouncer reads overrides, if it is one of Poolwarden's.
    fn ours(&self) -> Option<Found> {
        if self.is_own(&self.main) {
            return self.found();
        }
        // Where this sidecar's own lies, and where PgBouncer says that it is.
        let name = Path::new(&self.main);
        let own = (Path::new(&self.config.path_in_pgbouncer), self.config.path.as_path());
        let places = [beside(name, own), self.whole(&self.main).ok()];
        let read = |path: PathBuf| overrides::found(&std::fs::read(path).ok()?);
        places.into_iter().flatten().find_map(read)
    }

    /// Says whether PgBouncer calls this sidecar's own override file so.
    pub fn is_own(&self, conffile: &str) -> bool {
        conffile == self.config.path_in_pgbouncer
    }

    /// Takes the name of the operator's ini as it was found before.
    pub fn of(config: &'a Override, main: &str) -> Self {
        Self { config, main: main.to_owned() }
    }

    /// Refuses an override file that is in truth a file of the operator's, or another PgBouncer's.
    fn is_apart(&self, conffile: &str, known: &BTreeSet<String>) -> Result<(), Obstacle> {
        let (main, path) = (&self.main, self.config.path.display());
        if self.is_own(main) {
            let reason =
                format!("PgBouncer reads {main}, and Poolwarden's file {path} is gone or changed");
            return Err(Obstacle::new(reason, RESTART));
        }
        match self.found() {
            Some(found) if self.is_own(conffile) || found.main == *main => Ok(()),
            Some(found) if known.contains(&found.main) || self.is_gone(&found.main) => Ok(()),
            Some(found) => Err(self.shared(&found.main)),
            None if !self.config.path.exists() => Ok(()),
            None => Err(Obstacle::new(
                format!("{path} exists and was not written by Poolwarden"),
                "name a file in override.path that nobody else needs",
            )),
        }
    }

    /// Says whether no such ini is to be found any more: a PgBouncer that was restarted may read one at
    /// another path, as in a folder of each version, and what overrode the old one is only left over. Where
    /// it cannot be looked for, it may well be there.
    fn is_gone(&self, main: &str) -> bool {
        self.local(main).is_ok_and(|path| path.try_exists().is_ok_and(|exists| !exists))
    }

    /// Says that the override file belongs to the ini of another PgBouncer.
    pub fn shared(&self, main: &str) -> Obstacle {
        let path = self.config.path.display();
        Obstacle::new(
            format!("{path} overrides {main}, and this PgBouncer's ini is {}", self.main),
            "name a file in override.path that no other PgBouncer has, or remove this one if it is only \
             left over",
        )
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
        if let Some(ini) = self.config.ini_path.as_ref().filter(|_| name == self.main) {
            return Ok(ini.clone());
        }
        let path = self.whole(name)?;
        let (Some(ini), Ok(main)) = (&self.config.ini_path, self.whole(&self.main)) else {
            return Ok(path);
        };
        // What lies beside the ini there lies beside it here.
        Ok(beside(&path, (&main, ini)).unwrap_or(path))
    }

    /// Gives a whole path for one that PgBouncer has.
    fn whole(&self, name: &str) -> io::Result<PathBuf> {
        match (&self.config.working_dir, Path::new(name)) {
            (_, path) if path.is_absolute() => Ok(path.to_owned()),
            (Some(folder), path) => Ok(folder.join(path)),
            (None, _) => Err(io::Error::other(
                "the path is relative, and only PgBouncer knows to what: set override.working_dir to \
                 the folder that it was started in",
            )),
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

    /// Writes the override file, for those who may read all the operator's `files`.
    pub fn put(&self, text: &[u8], files: &[String]) -> Result<(), Obstacle> {
        let path = &self.config.path;
        let files = files.iter().map(|file| self.local(file)).collect::<io::Result<Vec<_>>>();
        let put = |files: Vec<PathBuf>| overrides::put(path, text, &files);
        files.map_err(PutError::Io).and_then(put).map_err(|error| {
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

/// Gives the path here of what lies in the folder of a file there, or below, of which both paths are known.
fn beside(path: &Path, (there, here): (&Path, &Path)) -> Option<PathBuf> {
    let inside = path.strip_prefix(there.parent()?).ok()?;
    Some(here.parent()?.join(inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TlsReload;

    /// A folder that the sidecar has elsewhere than PgBouncer, which has it as `/there`.
    fn config(here: &Path) -> Override {
        Override {
            path: here.join("own.ini"),
            path_in_pgbouncer: "/there/own.ini".to_owned(),
            ini_path: Some(here.join("mounted.ini")),
            working_dir: None,
            tls_reload: TlsReload::Refuse,
        }
    }

    fn none() -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn write(here: &Path, name: &str, main: &str, size: u32) {
        let mut text = overrides::head(main);
        let lines = format!("[databases]\n; holds database:{name} = {size}\n{name} = host=h\n");
        text.extend_from_slice(lines.as_bytes());
        std::fs::write(here.join(name), text).expect("written");
    }

    #[test]
    fn the_file_of_another_poolwarden_is_not_the_operator_s_ini() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = config(dir.path());
        let main = |conffile| {
            let (site, found) = Site::new(&config, conffile, &none()).expect("an ini");
            (site.main, found.map_or(0, |found| found.sizes.len()))
        };
        assert_eq!(main("/etc/p.ini"), ("/etc/p.ini".to_owned(), 0));
        write(dir.path(), "other.ini", "/etc/p.ini", 7);
        assert_eq!(main("/there/other.ini"), ("/etc/p.ini".to_owned(), 1));
        // What was chained is seen through.
        write(dir.path(), "own.ini", "/there/other.ini", 8);
        assert_eq!(main("/there/own.ini"), ("/etc/p.ini".to_owned(), 2));
    }

    #[test]
    fn a_file_that_overrides_another_ini_is_another_pgbouncer_s() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = config(dir.path());
        let first = dir.path().join("first.ini");
        let (first, none) = (first.to_str().expect("a plain path"), &none());
        std::fs::write(first, "").expect("written");
        write(dir.path(), "own.ini", first, 7);
        assert!(Site::new(&config, first, none).is_ok(), "left over from before a restart");
        let obstacle = Site::new(&config, "/etc/second.ini", none).expect_err("the first one's");
        assert!(obstacle.reason.contains(first), "{obstacle}");
        assert!(Site::new(&config, "/there/own.ini", none).is_ok());
    }

    #[test]
    fn a_file_that_overrides_an_ini_of_before_a_restart_is_left_over() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = config(dir.path());
        let first = dir.path().join("first.ini");
        let name = first.to_str().expect("a plain path");
        std::fs::write(&first, "").expect("written");
        write(dir.path(), "own.ini", name, 7);
        let known = BTreeSet::from([name.to_owned()]);
        let (site, found) = Site::new(&config, "/v2/p.ini", &known).expect("it had the other one");
        assert_eq!((site.main.as_str(), found), ("/v2/p.ini", None), "it is not in use");
        std::fs::remove_file(&first).expect("removed");
        assert!(Site::new(&config, "/v2/p.ini", &none()).is_ok(), "it is gone");
        // Nobody can say where that is.
        write(dir.path(), "own.ini", "first.ini", 7);
        assert!(Site::new(&config, "/v2/p.ini", &none()).is_err());
    }

    #[test]
    fn files_that_include_one_another_lead_nowhere() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = config(dir.path());
        write(dir.path(), "own.ini", "/there/other.ini", 7);
        write(dir.path(), "other.ini", "/there/own.ini", 8);
        let obstacle = Site::new(&config, "/there/own.ini", &none()).expect_err("no ini");
        assert!(obstacle.reason.contains("include one another"), "{obstacle}");
        std::fs::remove_file(dir.path().join("own.ini")).expect("removed");
        let obstacle = Site::new(&config, "/there/other.ini", &none()).expect_err("no ini");
        assert!(obstacle.reason.contains("is gone or changed"), "{obstacle}");
    }
}
