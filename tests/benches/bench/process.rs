//! A measured child process: started, looked at through `/proc`, ended.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// Length of the kernel's clock tick for user space (`USER_HZ` is 100 everywhere).
const TICK_MS: u64 = 10;

/// A child that ends with this value.
#[derive(Debug)]
pub struct Measured {
    child: Child,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time of all threads, user and system.
    pub cpu: Duration,
    /// Resident memory, in kB.
    pub resident_kb: u64,
    /// The part of it that is not backed by a file, in kB.
    pub anonymous_kb: u64,
    /// The most that was ever resident, in kB.
    pub peak_kb: u64,
}

impl Measured {
    /// Starts a program with its output going to a file.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = std::fs::File::create(log)?;
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("{} cannot be run", program.display()))?;
        Ok(Self { child })
    }

    /// Reads what it has used.
    pub fn usage(&self) -> Result<Usage> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).context(path)?;
        let kb = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            let word = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            word.with_context(|| format!("{key} is missing"))
        };
        Ok(Usage {
            cpu: self.cpu()?,
            resident_kb: kb("VmRSS:")?,
            anonymous_kb: kb("RssAnon:")?,
            peak_kb: kb("VmHWM:")?,
        })
    }

    /// Reads user and system time, threads that have ended included.
    fn cpu(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(&path).context(path)?;
        // The program's name may hold blanks; what follows its closing parenthesis does not.
        let words: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        let both = ticks(11).zip(ticks(12)).context("stat has user and system time")?;
        Ok(Duration::from_millis((both.0 + both.1) * TICK_MS))
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        for _ in 0..500 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
