//! The ordinary user that the servers run as.
//!
//! PostgreSQL and PgBouncer both refuse to run as root, and containers and CI jobs mostly are root.
//! `/etc/passwd` is read directly: a lookup through NSS would need unsafe code, and the two names
//! that matter are always local.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::SandboxError;

/// The user to run servers as; `None` inside means this process's own user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account(Option<Ids>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Finds the user: this process's own, or as root `postgres`, else `nobody`.
    pub(super) fn find() -> Result<Self, SandboxError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let path = "/etc/passwd";
        let passwd = std::fs::read_to_string(path).map_err(SandboxError::file("read", path))?;
        let ids = ids_of(&passwd, "postgres").or_else(|| ids_of(&passwd, "nobody"));
        ids.map(|ids| Self(Some(ids))).ok_or(SandboxError::NoAccount)
    }

    /// Gives a file or folder to this user.
    pub(super) fn own(self, path: &Path) -> Result<(), SandboxError> {
        let Some(ids) = self.0 else { return Ok(()) };
        chown(path, Some(ids.uid), Some(ids.gid)).map_err(SandboxError::file("chown", path))
    }

    /// Makes a command run as this user; root's supplementary groups are dropped by std.
    pub(super) fn apply(self, command: &mut Command) {
        if let Some(ids) = self.0 {
            command.uid(ids.uid).gid(ids.gid);
        }
    }
}

fn ids_of(passwd: &str, name: &str) -> Option<Ids> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Ids { uid, gid }).filter(|ids| ids.uid != 0)
}

#[cfg(test)]
mod tests {
    use super::{Ids, ids_of};

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7::/:\n\
                          postgres:x:101:104::/var/lib/postgresql:/bin/bash\nbad:x:y:z\n";

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        assert_eq!(ids_of(PASSWD, "postgres"), Some(Ids { uid: 101, gid: 104 }));
    }

    #[test]
    fn root_unknown_and_malformed_users_are_not_taken() {
        for name in ["root", "nobody", "bad"] {
            assert_eq!(ids_of(PASSWD, name), None, "{name}");
        }
    }
}
