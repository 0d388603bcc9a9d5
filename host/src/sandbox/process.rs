//! Child processes that cannot outlive us.
//!
//! The drop of a [`Process`] ends it and waits. Against `kill -9` of ourselves there is the
//! parent-death signal (`setpriv --pdeathsig`); it fires when the parent's *thread* ends, and
//! runtimes retire threads as they like, so that all children are started by one thread which lives
//! as long as the sandbox.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use super::error::SandboxError;

/// How long a dropped process may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A running child; the drop ends it, at once and for sure.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, unless it has ended: then its pid may be another's.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.expect("a child's pid is a positive i32"), signal)?)
    }

    /// Returns how it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    fn end(&mut self) -> io::Result<()> {
        // A frozen process sees the first signal only after the second.
        self.signal(Signal::QUIT)?;
        self.signal(Signal::CONT)?;
        let deadline = Instant::now() + GRACE;
        while self.ended()?.is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        self.signal(Signal::KILL)?;
        self.child.wait().map(|_| ())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(pid = self.child.id(), %error, "a sandbox process could not be ended");
        }
    }
}

/// The thread that starts all children of a sandbox.
#[derive(Debug)]
pub(super) struct Spawner {
    orders: mpsc::Sender<Order>,
}

struct Order {
    command: Command,
    reply: oneshot::Sender<io::Result<Process>>,
}

impl Spawner {
    /// Starts the thread; it ends with this value.
    pub(super) fn start() -> Result<Self, SandboxError> {
        let (orders, inbox) = mpsc::channel::<Order>();
        let run = move || {
            for mut order in inbox {
                let process = order.command.spawn().map(|child| Process { child });
                // Nobody waits any more: the process comes back in the error and ends with it.
                let _ = order.reply.send(process);
            }
        };
        thread::Builder::new()
            .name("sandbox-spawner".to_owned())
            .spawn(run)
            .map_err(|source| SandboxError::System { action: "start a thread", source })?;
        Ok(Self { orders })
    }

    /// Starts a child.
    pub(super) async fn spawn(&self, command: Command) -> Result<Process, SandboxError> {
        let program = command.get_program().to_owned();
        let (reply, answer) = oneshot::channel();
        let gone = |_| io::Error::other("the spawning thread is gone");
        let sent = self.orders.send(Order { command, reply });
        let process = match sent {
            Ok(()) => answer.await.map_err(|_| gone(())).and_then(|spawned| spawned),
            Err(_) => Err(gone(())),
        };
        process.map_err(SandboxError::file("run", program))
    }
}
