//! Gives PostgreSQL a processor of its own, where a scenario is about the processor.

use std::ops::Range;

use anyhow::{Context, Result};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// The machine's processors; found before anything is restricted.
#[derive(Debug, Clone, Copy)]
pub struct Processors {
    count: usize,
}

/// Which of them a process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All there are.
    All,
    /// The last one, which is PostgreSQL's.
    Last,
    /// All but the last one.
    Others,
}

impl Processors {
    /// Counts them.
    pub fn find() -> Self {
        Self { count: std::thread::available_parallelism().map_or(1, usize::from) }
    }

    /// Gives their number.
    pub fn count(self) -> usize {
        self.count
    }

    /// Restricts a process with all its threads; what they start later inherits it.
    pub fn pin(self, pid: u32, to: Share) -> Result<()> {
        let mut set = CpuSet::new();
        self.range(to).for_each(|cpu| set.set(cpu));
        let tasks = format!("/proc/{pid}/task");
        for task in std::fs::read_dir(&tasks).with_context(|| tasks.clone())? {
            let name = task?.file_name().into_string().unwrap_or_default();
            let thread = name.parse().ok().and_then(Pid::from_raw);
            // A thread that has ended meanwhile needs no processor.
            let _: rustix::io::Result<()> = sched_setaffinity(thread, &set);
        }
        Ok(())
    }

    /// With one processor only, all share it.
    fn range(self, share: Share) -> Range<usize> {
        match share {
            Share::Last if self.count > 1 => self.count - 1..self.count,
            Share::Others if self.count > 1 => 0..self.count - 1,
            Share::All | Share::Last | Share::Others => 0..self.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_do_not_overlap_and_one_processor_is_shared() {
        let of = |count| {
            [Share::All, Share::Last, Share::Others].map(|share| Processors { count }.range(share))
        };
        assert_eq!(of(2), [0..2, 1..2, 0..1]);
        assert_eq!(of(1), [0..1, 0..1, 0..1]);
    }
}
