//! Compiles a plugin in a process of its own, which takes the compiler's memory with it.
//!
//! Whoever has compiled keeps twenty megabytes resident afterwards, more than all else that an idle
//! sidecar needs. So a child fills wasmtime's cache, and the sidecar finds the code there; a file on
//! which the compiler dies takes the child and not the sidecar. Where no child can be started, or
//! the cache cannot be written, the sidecar compiles as it would without all this. Rejected: another
//! allocator (it kept more), and precompiled files (loading them is an `unsafe` function).

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::load::prepare;
use super::{LoadError, Runtime};

/// Longest time of a compilation; an interpreter of 18 MB takes 15 s on an idle core.
const DEADLINE: Duration = Duration::from_secs(180);
/// How often the child is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// The command of the `poolwarden` program that compiles what it reads from its input.
pub const COMPILE_COMMAND: &str = "compile-plugin";

/// Where plugins are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compile {
    /// In this process.
    Here,
    /// By a child: the `poolwarden` program at this path.
    Apart(PathBuf),
}

/// Compiles into the cache of the runtime, and does nothing else.
///
/// # Errors
/// When the plugin cannot be compiled or linked.
pub fn compile(runtime: &Arc<Runtime>, bytes: &[u8]) -> Result<(), LoadError> {
    prepare(runtime, bytes).map(drop)
}

/// Starts children that fill a cache.
#[derive(Debug)]
pub(super) struct Compiler {
    pub program: PathBuf,
    pub cache: PathBuf,
}

impl Compiler {
    /// Sees to it that the cache has a plugin's code, as far as that can be done.
    ///
    /// # Errors
    /// When the compiler died of it or did not come to an end; whatever else is wrong with a
    /// plugin is said when it is loaded.
    pub fn fill_cache(&self, bytes: &[u8]) -> Result<(), LoadError> {
        let ended = match self.start(bytes) {
            Ok(mut child) => wait(&mut child),
            Err(error) => {
                tracing::debug!(%error, "plugins are compiled in this process");
                return Ok(());
            }
        };
        let wrong = |what: String| Err(LoadError::Compile(what));
        match ended {
            Ok(Some(status)) if status.code().is_none() => {
                wrong(format!("the compiler died of it ({status})"))
            }
            Ok(None) => wrong(format!("it takes longer than {} s", DEADLINE.as_secs())),
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }

    fn start(&self, bytes: &[u8]) -> io::Result<Child> {
        // A file and not a pipe, which could block; in the folder that can surely be written.
        let mut input: File = tempfile::tempfile_in(&self.cache)?;
        input.write_all(bytes)?;
        input.rewind()?;
        Command::new(&self.program)
            .arg(COMPILE_COMMAND)
            .arg("--cache")
            .arg(&self.cache)
            // The sidecar's secrets are none of its business.
            .env_clear()
            .stdin(Stdio::from(input))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }
}

/// Waits for the end of a child; gives nothing when it had to be ended.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > DEADLINE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Puts a script where the program would be.
    fn compiler(script: &str) -> (tempfile::TempDir, Compiler) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a file in it");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
        let cache = folder.path().to_owned();
        (folder, Compiler { program, cache })
    }

    #[test]
    fn a_child_gets_the_bytes_and_the_folder() {
        let (folder, compiler) = compiler("[ $1 = compile-plugin ] && /bin/cat >\"$3/got\"");
        compiler.fill_cache(b"some bytes").expect("nothing is wrong");
        assert_eq!(fs::read(folder.path().join("got")).expect("it wrote"), b"some bytes");
    }

    #[test]
    fn a_plugin_on_which_the_compiler_dies_is_refused() {
        let (_folder, compiler) = compiler("kill -9 $$");
        let error = compiler.fill_cache(b"").expect_err("it died");
        assert!(error.to_string().contains("the compiler died of it"), "{error}");
    }

    #[test]
    fn a_child_that_fails_or_cannot_be_started_leaves_the_verdict_to_the_loading() {
        let (_folder, failing) = compiler("exit 1");
        assert!(failing.fill_cache(b"").is_ok());
        let missing = Compiler { program: PathBuf::from("/nowhere/poolwarden"), ..failing };
        assert!(missing.fill_cache(b"").is_ok());
    }
}
