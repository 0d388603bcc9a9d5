//! A server's process with its log: what PostgreSQL and PgBouncer have in common.
//!
//! Shared references suffice for everything, so that a test can restart a server while another task
//! queries it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::error::SandboxError;
use super::process::Process;
use super::site::Site;

/// How long a server may take to end.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// How much of a log an error shows, in bytes.
const TAIL_BYTES: usize = 4_000;

/// How a server is told to end; the meaning is the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `SIGTERM`: PostgreSQL and PgBouncer ≥ 1.23 wait for their clients; PgBouncer < 1.23 ends.
    Smart,
    /// `SIGINT`: PostgreSQL disconnects its clients; PgBouncer waits for its servers.
    Fast,
    /// `SIGQUIT`: at once, without regard to clients.
    Immediate,
    /// `SIGKILL`: as a crash or the out-of-memory killer does.
    Kill,
}

impl Stop {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::TERM,
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
            Self::Kill => Signal::KILL,
        }
    }
}

#[derive(Debug)]
pub(super) struct Daemon {
    name: String,
    log: PathBuf,
    /// Where the log of the present process begins, in bytes.
    log_start: AtomicUsize,
    process: Mutex<Option<Process>>,
}

impl Daemon {
    pub(super) fn new(name: &str, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            log,
            log_start: AtomicUsize::new(0),
            process: Mutex::new(None),
        }
    }

    pub(super) fn log_path(&self) -> &PathBuf {
        &self.log
    }

    pub(super) async fn spawn(&self, site: &Site, command: Command) -> Result<(), SandboxError> {
        self.log_start.store(self.log_bytes().len(), Ordering::Relaxed);
        let process = site.spawn(command).await?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Starts a process that makes the present one end by itself, and goes on as this server.
    pub(super) async fn hand_over(
        &self,
        site: &Site,
        command: Command,
    ) -> Result<(), SandboxError> {
        let heir = site.spawn(command).await?;
        let start = Instant::now();
        while self.pid().is_some() {
            if start.elapsed() > STOP_DEADLINE {
                return Err(self.late("hand over", STOP_DEADLINE, None));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        *self.process() = Some(heir);
        Ok(())
    }

    /// Returns the pid while the server runs.
    pub(super) fn pid(&self) -> Option<u32> {
        let mut process = self.process();
        let process = process.as_mut()?;
        process.ended().ok()?.is_none().then(|| process.pid())
    }

    /// Fails with the log if the server has ended by itself.
    pub(super) fn must_run(&self) -> Result<(), SandboxError> {
        let mut process = self.process();
        let ended = process.as_mut().map(Process::ended).transpose();
        match ended.map_err(|source| SandboxError::System { action: "wait for a child", source })? {
            None => Err(SandboxError::NotRunning { program: self.name.clone() }),
            Some(None) => Ok(()),
            Some(Some(status)) => Err(SandboxError::Ended {
                program: self.name.clone(),
                status,
                log: self.log_tail(),
            }),
        }
    }

    /// Ends the server and fails if its port was taken by another process.
    ///
    /// PostgreSQL ends by itself then, but PgBouncer goes on with its unix socket alone.
    pub(super) fn must_own_port(&self) -> Result<(), SandboxError> {
        let log = self.log_bytes();
        let own = log.get(self.log_start.load(Ordering::Relaxed)..).unwrap_or_default();
        if !String::from_utf8_lossy(own).contains("Address already in use") {
            return Ok(());
        }
        self.end();
        Err(SandboxError::PortTaken { program: self.name.clone(), log: self.log_tail() })
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), SandboxError> {
        let mut process = self.process();
        let Some(process) = process.as_mut() else {
            return Err(SandboxError::NotRunning { program: self.name.clone() });
        };
        process
            .signal(signal)
            .map_err(|source| SandboxError::System { action: "signal a server", source })
    }

    /// Ends the server and waits until it is gone; one that is gone already is fine.
    pub(super) async fn stop(&self, how: Stop) -> Result<(), SandboxError> {
        if self.pid().is_some() {
            self.signal(how.signal())?;
        }
        let start = Instant::now();
        while self.pid().is_some() {
            if start.elapsed() > STOP_DEADLINE {
                return Err(self.late("stop", STOP_DEADLINE, None));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        *self.process() = None;
        Ok(())
    }

    /// Ends the server from a drop, where nothing can be awaited.
    pub(super) fn end(&self) {
        let process = self.process().take();
        drop(process);
    }

    pub(super) fn late(
        &self,
        action: &'static str,
        waited: Duration,
        source: Option<sqlx::Error>,
    ) -> SandboxError {
        let source = source.map(Box::new);
        let (program, log) = (self.name.clone(), self.log_tail());
        SandboxError::Deadline { program, action, waited, log, source }
    }

    pub(super) fn refused(&self, source: sqlx::Error) -> SandboxError {
        let source = Box::new(source);
        SandboxError::Statement { program: self.name.clone(), log: self.log_tail(), source }
    }

    /// Returns the whole log.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log_bytes()).into_owned()
    }

    fn log_bytes(&self) -> Vec<u8> {
        std::fs::read(&self.log).unwrap_or_default()
    }

    /// Returns the log's last lines.
    pub(super) fn log_tail(&self) -> String {
        tail(&self.log())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        // A panic elsewhere must not keep a drop from ending the server.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts a log to its last whole lines.
pub(super) fn tail(log: &str) -> String {
    let log = log.trim_end();
    if log.len() <= TAIL_BYTES {
        return log.to_owned();
    }
    let start = log.ceil_char_boundary(log.len() - TAIL_BYTES);
    let rest = &log[start..];
    let line = rest.find('\n').map_or(0, |newline| newline + 1);
    format!("…\n{}", &rest[line..])
}

#[cfg(test)]
mod tests {
    use super::{TAIL_BYTES, tail};

    #[test]
    fn a_tail_is_bounded_and_starts_with_a_whole_line() {
        let log = "éine Zeile\n".repeat(2_000);
        let end = tail(&log);
        assert!(end.len() <= TAIL_BYTES + "…\n".len());
        assert!(end.starts_with("…\néine Zeile\n"));
        assert!(end.ends_with("éine Zeile"));
    }

    #[test]
    fn a_short_log_is_shown_whole() {
        assert_eq!(tail("one\ntwo\n"), "one\ntwo");
    }
}
