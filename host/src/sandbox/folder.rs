//! The temporary folder of a sandbox, and the reclaiming of one whose process was killed.
//!
//! `kill -9` leaves nobody to remove the folder, so every start looks for folders of this user
//! whose lock is free. The lock is the kernel's (`flock`): it goes with the process, whatever ended
//! it, which a pid in a file or in the name does not.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::error::SandboxError;

const PREFIX: &str = "poolwarden-sandbox-";
const LOCK: &str = "owner.lock";
/// Where PostgreSQL's data is, below the folder.
pub(super) const DATA: &str = "server/data";
/// A unix socket's path must fit 107 bytes, and ours add about 60 to the base folder.
const BASE_PATH_MAX: usize = 45;
const STRAY_DEADLINE: Duration = Duration::from_secs(5);

/// A folder of our own that is gone after the drop, with every process that lives in it.
#[derive(Debug)]
pub(super) struct Folder {
    dir: Option<TempDir>,
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes a new one, after removing those whose owners were killed.
    pub(super) fn create() -> Result<Self, SandboxError> {
        let base = base();
        sweep(&base);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&base)
            .map_err(SandboxError::file("create a folder in", &base))?;
        let path = dir.path().to_owned();
        let file = SandboxError::file("prepare", path.clone());
        let lock = lock(&path).and_then(|lock| {
            // Others may pass through to what they own inside, but not list it.
            fs::set_permissions(&path, Permissions::from_mode(0o711)).map(|()| lock)
        });
        Ok(Self { dir: Some(dir), path, _lock: lock.map_err(file)? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends every process that still lives in the folder, and removes it.
    pub(super) fn remove(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        reclaim(dir.path());
        // Gone already; what remains for the guard is to find nothing.
        drop(dir);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove();
    }
}

fn base() -> PathBuf {
    let base = std::env::temp_dir();
    if base.as_os_str().len() > BASE_PATH_MAX { PathBuf::from("/tmp") } else { base }
}

/// Locks the folder; the name appears only once the lock is held, so that no sweep sees it free.
fn lock(folder: &Path) -> std::io::Result<File> {
    let early = folder.join("owner.new");
    let file = File::create(&early)?;
    file.lock()?;
    fs::rename(&early, folder.join(LOCK))?;
    Ok(file)
}

/// Removes the folders of this user's killed sandboxes; failures are left to the next sweep.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if ours && is_abandoned(&entry.path()) {
            reclaim(&entry.path());
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let owned = fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir() && meta.uid() == me);
    owned && File::open(folder.join(LOCK)).is_ok_and(|file| file.try_lock().is_ok())
}

fn reclaim(folder: &Path) {
    end_strays(folder);
    remove_shared_memory(folder);
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), %error, "a sandbox folder could not be removed");
    }
}

/// Kills the servers that work in the folder and whose parent was killed before them.
fn end_strays(folder: &Path) {
    let end = Instant::now() + STRAY_DEADLINE;
    loop {
        let strays = strays(folder);
        if strays.is_empty() || Instant::now() > end {
            return;
        }
        for pid in strays {
            // It may have ended since it was listed, which is what is wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lists the server processes whose working directory lies in the folder.
///
/// The program's name is asked for too: a shell that somebody opened there is not ours to end.
pub(super) fn strays(folder: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let lives_here = |process: &Path| {
        fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
            && fs::read_link(process.join("exe")).is_ok_and(|exe| is_server(&exe))
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            lives_here(&entry.path()).then_some(pid)
        })
        .collect()
}

fn is_server(exe: &Path) -> bool {
    let name = exe.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["postgres", "initdb", "pgbouncer", "pgbench"].contains(&name)
}

/// Frees the segment that a killed PostgreSQL left in the kernel; its pid file names it.
fn remove_shared_memory(folder: &Path) {
    let Ok(text) = fs::read_to_string(folder.join(DATA).join("postmaster.pid")) else {
        return;
    };
    let Some(id) = shared_memory_id(&text) else {
        return;
    };
    let _ = Command::new("ipcrm")
        .args(["-m", &id.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Reads the segment's id: the second number of the seventh line.
fn shared_memory_id(pid_file: &str) -> Option<u32> {
    pid_file.lines().nth(6)?.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Folder, LOCK, base, is_abandoned, shared_memory_id, sweep};

    #[test]
    fn a_folder_is_gone_after_the_drop() {
        let folder = Folder::create().expect("a temporary folder");
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").expect("writable");
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_in_use_is_not_swept() {
        let folder = Folder::create().expect("a temporary folder");
        assert!(!is_abandoned(folder.path()));
        sweep(&base());
        assert!(folder.path().join(LOCK).exists());
    }

    #[test]
    fn a_folder_whose_lock_is_free_is_swept() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dead = base.path().join("poolwarden-sandbox-dead");
        let starting = base.path().join("poolwarden-sandbox-starting");
        for folder in [&dead, &starting] {
            fs::create_dir(folder).expect("writable");
        }
        fs::write(dead.join(LOCK), "").expect("writable");
        sweep(base.path());
        assert!(!dead.exists());
        assert!(starting.exists(), "a folder without a lock is one that just starts");
    }

    #[test]
    fn the_segment_is_read_from_the_pid_file() {
        let text = "12\n/data\n1700000000\n5432\n/run\n127.0.0.1\n  5432001    32769\nready\n";
        assert_eq!(shared_memory_id(text), Some(32769));
        assert_eq!(shared_memory_id("12\n/data\n"), None);
    }
}
