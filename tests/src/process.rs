//! The real binary in a process of its own, to be killed, signalled and asked.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::setup::Setup;

/// How long a process may take to end.
const END: Duration = Duration::from_secs(30);

/// A `poolwarden run`; the drop kills it.
#[derive(Debug)]
pub struct SidecarProcess {
    child: Child,
    log: PathBuf,
}

/// What came of a command that ended by itself.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Both outputs, standard output first.
    pub text: String,
}

/// Finds the binary beside this test's own.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its program");
    let folder = test.parent().and_then(Path::parent).expect("tests stand in target/*/deps");
    let binary = folder.join("poolwarden");
    assert!(
        binary.is_file(),
        "{} is missing: cargo build -p poolwarden --bin poolwarden",
        binary.display()
    );
    binary
}

/// Runs a subcommand with a setup's configuration to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(setup: &Setup, arguments: &[&str]) -> Ran {
    run_with(&setup.write(), arguments)
}

/// Runs a subcommand with a configuration file to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run_with(config: &Path, arguments: &[&str]) -> Ran {
    let output = command(&binary()).args(arguments).arg("--config").arg(config).output();
    let output = output.expect("the binary can be run");
    let text = [output.stdout, output.stderr].concat();
    Ran { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// Asks a running sidecar through the command line, to its end; blocks.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn ask(url: &str, arguments: &[&str]) -> Ran {
    let output = command(&binary()).args(arguments).arg("--url").arg(url).output();
    let output = output.expect("the binary can be run");
    let text = [output.stdout, output.stderr].concat();
    Ran { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// Runs a subcommand that needs no configuration, in a folder, to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run_in(folder: &Path, arguments: &[&str]) -> Ran {
    let cache = folder.join(".cache");
    let mut command = command(&binary());
    let output = command.args(arguments).current_dir(folder).env("XDG_CACHE_HOME", cache).output();
    let output = output.expect("the binary can be run");
    let text = [output.stdout, output.stderr].concat();
    Ran { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// A command without our environment, which could configure it.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    command
}

impl SidecarProcess {
    /// Starts the sidecar with a setup's configuration.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(setup: &Setup) -> Self {
        let config = setup.write();
        Self::spawn(command(&binary()).arg("run").arg("--config").arg(config), &setup.dir)
    }

    /// Starts the sidecar as another user, from a configuration that is written already.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_as(uid: u32, gid: u32, binary: &Path, config: &Path, dir: &Path) -> Self {
        let mut command = command(binary);
        command.arg("run").arg("--config").arg(config).uid(uid).gid(gid).current_dir("/");
        Self::spawn(&mut command, dir)
    }

    /// Starts a given program from a configuration that is written already; `dir` takes its log.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_program(program: &Path, config: &Path, dir: &Path) -> Self {
        let mut command = command(program);
        // An own group: Ctrl-C in the terminal is for us, and we end the sidecar.
        Self::spawn(command.arg("run").arg("--config").arg(config).process_group(0), dir)
    }

    fn spawn(command: &mut Command, dir: &Path) -> Self {
        let log = dir.join("sidecar.log");
        let open = || File::options().create(true).append(true).open(&log).expect("a log file");
        let child = command.stdout(open()).stderr(open()).spawn().expect("the binary can be run");
        Self { child, log }
    }

    /// Returns the log of this sidecar and of those before it in the same folder.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub fn kill9(mut self) {
        self.end();
    }

    /// Asks it to end.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn terminate(&mut self) {
        assert!(self.is_running(), "it ended by itself:\n{}", self.log());
        self.signal(Signal::TERM);
    }

    /// Freezes it (`SIGSTOP`): its sessions stay open, and nobody answers in them.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen one go on.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a child's pid is a positive i32");
        kill_process(pid, signal).expect("a child of ours can be signalled");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(start.elapsed() < END, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn end(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for SidecarProcess {
    fn drop(&mut self) {
        self.end();
    }
}
