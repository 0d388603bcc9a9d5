//! What a plugin can do wrong while it runs.

use std::time::Duration;

use thiserror::Error;
use wasmtime::Trap;

/// A plugin's misbehaviour in one evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Ran longer than it may.
    #[error("took longer than {} ms", .0.as_millis())]
    Deadline(Duration),
    /// Asked for more memory or tables than it may have.
    #[error(
        "asked for more memory than its {limit_bytes} bytes (`memory_mib` under `[limits]` of the \
         policy's file says how much)"
    )]
    Memory {
        /// The limit.
        limit_bytes: u64,
    },
    /// Recursed too deep.
    #[error("overflowed its stack")]
    Stack,
    /// Stopped itself: a panic, an `unreachable`, a bad memory access.
    #[error("trapped: {0}")]
    Trap(String),
    /// Answered with an error of its own.
    #[error("answered with an error: {0}")]
    Refused(String),
    /// Answered with more than it may.
    #[error("answered with too much: {0}")]
    TooMuch(String),
    /// Answered with something that means nothing.
    #[error("answered with nonsense: {0}")]
    Nonsense(String),
}

impl Fault {
    /// Gives a short stable name, for metrics and the API.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Deadline(_) => "deadline",
            Self::Memory { .. } => "memory",
            Self::Stack => "stack",
            Self::Trap(_) => "trap",
            Self::Refused(_) => "refused",
            Self::TooMuch(_) => "too_much",
            Self::Nonsense(_) => "nonsense",
        }
    }

    /// Reads what wasmtime says of a call that did not return.
    pub(super) fn from_call(error: &wasmtime::Error, deadline: Duration) -> Self {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::Deadline(deadline),
            Some(Trap::StackOverflow) => Self::Stack,
            Some(trap) => Self::Trap(trap.to_string()),
            None => Self::of_host(error),
        }
    }

    fn of_host(error: &wasmtime::Error) -> Self {
        // The root cause: the outer text is a backtrace of the guest.
        let cause = error.root_cause().to_string();
        if cause.contains("fuel") && cause.contains("host") {
            return Self::TooMuch(cause);
        }
        Self::Trap(cause)
    }
}
