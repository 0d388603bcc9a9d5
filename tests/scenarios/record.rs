//! What is kept of each run: one line of JSON, from which the page can be written again.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Who sets the pool's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// The file, once and for all.
    Static(u32),
    /// The same, and PgBouncer closes idle servers as much sooner as the sidecar's day is squeezed.
    Closing(u32),
    /// Poolwarden, from the size in the file on.
    Poolwarden,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(size) => write!(f, "static {size}"),
            Self::Closing(size) => write!(f, "static {size}, idle {IDLE_S} s"),
            Self::Poolwarden => f.write_str("poolwarden"),
        }
    }
}

/// PgBouncer's `server_idle_timeout` of 600 s, divided by what the sidecar's day is divided by.
pub const IDLE_S: u32 = 6;

/// Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Times {
    /// Half of them are shorter.
    pub p50: f64,
    /// 99 of 100 are shorter.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// One run of one scenario with one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The scenario's name.
    pub scenario: String,
    /// Who sets the size.
    pub variant: Variant,
    /// The number of the run, from 0; equal numbers have equal arrivals.
    pub number: u32,
    /// What the arrivals are drawn from.
    pub seed: u64,
    /// Length of the load in seconds.
    pub length_s: f64,
    /// Requests in all.
    pub requests: u64,
    /// Service time of all requests in seconds, where nothing is in their way.
    pub work_s: f64,
    /// Requests that were answered without error.
    pub served: u64,
    /// Requests that were not answered when the run was cut; their times count as what they had waited.
    pub unserved: u64,
    /// Errors that clients met, by text.
    pub errors: BTreeMap<String, u64>,
    /// From when a request was due to its answer.
    pub client_ms: Times,
    /// The same without its service time.
    pub wait_ms: Times,
    /// The first for each database.
    pub database_ms: BTreeMap<String, Times>,
    /// How late free clients sent, which is this machine's fault.
    pub late_ms: Times,
    /// When the one that was latest was due, in seconds.
    pub latest_s: f64,
    /// Requests per second until the last one was answered.
    pub throughput_per_s: f64,
    /// Requests per second in the scenario's overload.
    pub overload_per_s: Option<f64>,
    /// Open server connections times seconds.
    pub connection_s: f64,
    /// Seconds in which some client waited for a server.
    pub waiting_s: f64,
    /// Changes of a size.
    pub changes: u32,
    /// Changes of a size after the scenario became steady, and for how long that was, in seconds.
    pub steady: Option<(u32, f64)>,
    /// Sum of the sizes at the start and whenever it changed: (seconds, servers).
    pub path: Vec<(f64, u32)>,
    /// When the run ended, in seconds.
    pub end_s: f64,
    /// Samples of PgBouncer.
    pub samples: u64,
    /// Samples at which more could have been open than PostgreSQL has.
    pub over_budget: u64,
    /// Least room below the budget over all samples.
    pub budget_room: i64,
    /// Most client sessions that PostgreSQL had.
    pub sessions: u32,
    /// Whether the sidecar was still there at the end.
    pub sidecar_alive: Option<bool>,
    /// How often it had to be begun anew, because something did not start or ended.
    #[serde(default)]
    pub retried: u32,
    /// A sample a second: (seconds, sum of sizes, open servers, waiting clients).
    pub timeline: Vec<(f64, u32, u32, u32)>,
}

impl Run {
    /// Gives the largest size.
    pub fn largest(&self) -> u32 {
        self.path.iter().map(|(_, size)| *size).max().unwrap_or(0)
    }

    /// Gives the number of errors.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Gives changes per hour of the squeezed time, in which 36 s stand for an hour.
    pub fn steady_changes_per_hour(&self) -> Option<f64> {
        self.steady.map(|(changes, seconds)| f64::from(changes) * SQUEEZED / seconds)
    }
}

/// Seconds that stand for an hour, by the factor that the sidecar's settings are divided by.
pub const SQUEEZED: f64 = 36.0;

/// What all runs of a suite have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// When it began.
    pub date: String,
    /// The commit.
    pub source: String,
    /// The sidecar's program, from the repository's root on.
    pub sidecar: String,
    /// The SHA-256 of that program.
    #[serde(default)]
    pub digest: String,
    /// Processor and number of cores.
    pub processor: String,
    /// Versions of PgBouncer and PostgreSQL.
    pub servers: Vec<String>,
    /// The first seed.
    pub seed: u64,
    /// Runs at a time.
    pub jobs: usize,
    /// Rows of a series that one core counts in a millisecond.
    pub rows_per_ms: f64,
    /// Load averages before the start.
    pub load_before: String,
    /// Factor that the scenarios' lengths were multiplied by; 1 for a real suite.
    pub stretch: f64,
}

/// A line of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Suite(Suite),
    /// A run of the table.
    Run(Run),
    /// A run that only looks for the best size.
    Sweep(Run),
}
