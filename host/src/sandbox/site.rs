//! What the servers of one sandbox share: the folder, the user, the programs, the spawning thread.
//!
//! Servers and loads hold it by `Arc`, so that none of them borrows from the sandbox and tests may
//! keep them where they like.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::account::Account;
use super::error::SandboxError;
use super::folder::Folder;
use super::process::{Process, Spawner};
use super::programs::Programs;

/// The ground that a sandbox stands on.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) account: Account,
    pub(super) programs: Programs,
    spawner: Spawner,
    path: PathBuf,
    folder: Mutex<Folder>,
    number: AtomicU32,
}

impl Site {
    pub(super) fn open() -> Result<Self, SandboxError> {
        let account = Account::find()?;
        let programs = Programs::find()?;
        let spawner = Spawner::start()?;
        let folder = Folder::create()?;
        let path = folder.path().to_owned();
        let (folder, number) = (Mutex::new(folder), AtomicU32::new(1));
        let site = Self { account, programs, spawner, path, folder, number };
        site.make_private_folder(&site.home())?;
        Ok(site)
    }

    /// The outer folder, which is ours.
    pub(super) fn folder(&self) -> &Path {
        &self.path
    }

    /// The inner folder, which is the servers' user's.
    pub(super) fn home(&self) -> PathBuf {
        self.path.join("server")
    }

    pub(super) fn make_private_folder(&self, path: &Path) -> Result<(), SandboxError> {
        fs::create_dir(path).map_err(SandboxError::file("create", path))?;
        let private = Permissions::from_mode(0o700);
        fs::set_permissions(path, private).map_err(SandboxError::file("chmod", path))?;
        self.account.own(path)
    }

    /// Writes a file that only the servers' user may read; a reader sees the old or the new one.
    pub(super) fn write_private(&self, path: &Path, text: &str) -> Result<(), SandboxError> {
        let new = path.with_extension("new");
        let written = fs::write(&new, "")
            .and_then(|()| fs::set_permissions(&new, Permissions::from_mode(0o600)))
            .and_then(|()| fs::write(&new, text));
        written.map_err(SandboxError::file("write", &new))?;
        self.account.own(&new)?;
        fs::rename(&new, path).map_err(SandboxError::file("write", path))
    }

    /// Prepares a child of the servers' user whose output goes to the file `log`.
    pub(super) fn command(&self, program: &Path, log: &Path) -> Result<Command, SandboxError> {
        let open = || File::options().create(true).append(true).open(log);
        let out = open().map_err(SandboxError::file("open", log))?;
        let err = open().map_err(SandboxError::file("open", log))?;
        let mut command = self.tied(program);
        // An own group: Ctrl-C in the terminal is for us, and we end the servers in order.
        command.process_group(0).current_dir(self.home());
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        // Of the environment only this: PG… variables would change what the programs do.
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C").env("HOME", self.home());
        self.account.apply(&mut command);
        Ok(command)
    }

    fn tied(&self, program: &Path) -> Command {
        match &self.programs.setpriv {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "QUIT", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    pub(super) async fn spawn(&self, command: Command) -> Result<Process, SandboxError> {
        self.spawner.spawn(command).await
    }

    /// Counts up, for names that must differ.
    pub(super) fn next_number(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends what still lives in the folder, and removes it.
    pub(super) fn close(&self) {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).remove();
    }
}

/// Finds a loopback port that is free now; a start that loses it to another tries again.
pub(super) fn free_port() -> Result<u16, SandboxError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    let address =
        bound.map_err(|source| SandboxError::System { action: "find a free port", source })?;
    Ok(address.port())
}

/// Accepts names that need no quoting in SQL, in an ini, in a URL and as a file name.
pub(super) fn plain_name(name: &str) -> Result<(), SandboxError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if starts && name.len() <= 63 && name.chars().all(plain) {
        return Ok(());
    }
    Err(SandboxError::Name { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        for name in ["", "A", "1a", "a b", "a'b", "a-b", "../a"] {
            assert!(plain_name(name).is_err(), "{name}");
        }
        assert!(plain_name("app_2").is_ok());
    }
}
