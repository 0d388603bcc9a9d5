//! Where the programs are that a sandbox starts.
//!
//! Debian keeps PostgreSQL's server programs off the PATH, one folder per major version.

use std::path::{Path, PathBuf};

use super::error::SandboxError;

const DEBIAN_POSTGRESQL: &str = "/usr/lib/postgresql";

/// The paths of the programs; PgBouncer's is looked up by whoever starts one.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
    pub(super) pgbench: PathBuf,
    /// Ties a child's life to ours; without it only `kill -9` of ourselves leaves children.
    pub(super) setpriv: Option<PathBuf>,
}

impl Programs {
    /// Finds PostgreSQL's programs, those of the newest version first.
    pub(super) fn find() -> Result<Self, SandboxError> {
        let folders = postgres_folders();
        let find = |program: &'static str| {
            folders
                .iter()
                .map(|folder| folder.join(program))
                .find(|path| path.is_file())
                .or_else(|| on_path(program))
                .ok_or(SandboxError::MissingProgram { program, package: "postgresql" })
        };
        Ok(Self {
            initdb: find("initdb")?,
            postgres: find("postgres")?,
            pgbench: find("pgbench")?,
            setpriv: on_path("setpriv"),
        })
    }
}

/// Finds the system's PgBouncer.
pub(super) fn find_pgbouncer() -> Result<PathBuf, SandboxError> {
    let debian = PathBuf::from("/usr/sbin/pgbouncer");
    Some(debian)
        .filter(|path| path.is_file())
        .or_else(|| on_path("pgbouncer"))
        .ok_or(SandboxError::MissingProgram { program: "pgbouncer", package: "pgbouncer" })
}

/// The folders of server programs, newest version first.
fn postgres_folders() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(DEBIAN_POSTGRESQL) else {
        return Vec::new();
    };
    let mut folders: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .collect();
    folders.sort_by_key(|bin| std::cmp::Reverse(version_of(bin)));
    folders
}

/// Reads the major version off `…/<version>/bin`; what is not a number sorts as oldest.
fn version_of(bin: &Path) -> u32 {
    let name = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.and_then(|name| name.split('.').next()?.parse().ok()).unwrap_or(0)
}

pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::version_of;

    #[test]
    fn versions_compare_as_numbers() {
        let of = |path: &str| version_of(Path::new(path));
        assert!(of("/usr/lib/postgresql/15/bin") > of("/usr/lib/postgresql/9.6/bin"));
        assert_eq!(of("/usr/lib/postgresql/x/bin"), 0);
    }
}
