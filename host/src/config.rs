//! The configuration: a TOML file with the environment laid over it, checked as a whole.
//!
//! What is loaded here is known to be good and is not checked again: plain types, durations instead
//! of numbers, secrets read. Everything that is wrong is reported at once, each problem with the
//! file or variable, the key, the value and the reason; a bad value never becomes the default.

mod address;
mod check;
mod convert;
mod env;
mod example;
mod path;
mod problem;
mod raw;
mod schema;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::console::Instance;
use crate::model::{EffectLimits, Labels, Limits, Mode, SessionLimits, TargetName};

pub use example::{environment_table, example};
pub use problem::{ConfigError, Problem, nearest};
pub use schema::schema;
pub use secret::Secret;

use problem::Report;

/// The file that is taken when none is named.
pub const DEFAULT_FILE: &str = "./poolwarden.toml";

/// A configuration that has passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether PgBouncer is watched at all; off, only the HTTP server runs.
    pub monitoring: bool,
    /// The HTTP server.
    pub http: Http,
    /// The store of decisions and history.
    pub store: Store,
    /// Policies and what their plugins may use.
    pub policies: Policies,
    /// How often PgBouncer is asked.
    pub poll: Poll,
    /// What the recent past of a pool is reckoned from.
    pub history: History,
    /// What happens when the sidecar is told to stop.
    pub shutdown: Shutdown,
    /// The sidecar's own log.
    pub log: Log,
    /// The PgBouncers; never empty while `monitoring` is on.
    pub targets: Vec<Target>,
    /// Where it was read from, for messages: the file's path or `environment`.
    pub source: String,
    /// What is not wrong but should be logged at start.
    pub warnings: Vec<String>,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Bearer token; always there when `listen` is not loopback.
    pub token: Option<Secret>,
}

/// The store of decisions and history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Folder of the database file.
    pub dir: PathBuf,
    /// How long decisions are kept.
    pub decisions_kept: Duration,
    /// How long their inputs are kept; never longer.
    pub inputs_kept: Duration,
    /// Largest size of the database file.
    pub size_max_bytes: u64,
}

/// Policies and what their plugins may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// Folder of policies and plugins.
    pub dir: PathBuf,
    /// Time between two looks at the folder.
    pub rescan_interval: Duration,
    /// What one evaluation may use.
    pub limits: PluginLimits,
}

/// What one evaluation of a plugin may use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginLimits {
    /// Longest time.
    pub deadline: Duration,
    /// Linear memory.
    pub memory_bytes: u64,
    /// Largest answer.
    pub answer_bytes: u64,
    /// Largest memory kept between evaluations.
    pub blob_bytes: u64,
    /// Faults in a row after which a policy is quarantined.
    pub faults_max: u32,
}

/// How often PgBouncer is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// Time between two polls while nobody waits.
    pub interval: Duration,
    /// Time between two polls while a client waits; never longer than `interval`.
    pub fast_interval: Duration,
    /// Time between two glances in between; `None` for none.
    pub glance_interval: Option<Duration>,
    /// Age at which a console session is closed.
    pub session_age_max: Duration,
    /// Longest pause between two tries.
    pub backoff_max: Duration,
}

/// What the recent past of a pool is reckoned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Span of rates and means; never longer than `long_span`.
    pub short_span: Duration,
    /// Span of percentiles, maxima and trends.
    pub long_span: Duration,
    /// Time within which a queue should be drained; turns waiting clients into demand.
    pub drain_horizon: Duration,
    /// Waiting without an age after which clients count as queued at login.
    pub login_queue_after: Duration,
    /// Time without anybody served after which a queue counts as wedged.
    pub wedged_after: Duration,
}

/// What happens when the sidecar is told to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// Time for what has begun to come to its end.
    pub grace: Duration,
    /// What becomes of changed sizes.
    pub sizes: ExitSizes,
}

/// What becomes of changed pool sizes when the sidecar stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExitSizes {
    /// They stay.
    #[default]
    Keep,
    /// The values of PgBouncer's own file are put back.
    HandBack,
}

/// The sidecar's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Levels, as `tracing_subscriber::EnvFilter` reads them.
    pub filter: String,
    /// Form of a line.
    pub format: LogFormat,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines, one object a line.
    Json,
}

/// One PgBouncer and what may be done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name, unique among the targets.
    pub name: TargetName,
    /// Labels that policies and metrics see.
    pub labels: Labels,
    /// How far a decision may go; `Enforce` only when `console.act` is there.
    pub mode: Mode,
    /// What no policy can cross; `floor` is never above `ceiling`.
    pub limits: Limits,
    /// How what a change does is measured.
    pub effect: EffectLimits,
    /// How long advice that a person has rejected is not said again.
    pub rejected_for: Duration,
    /// What is done about single sessions.
    pub sessions: SessionLimits,
    /// The admin console.
    pub console: Console,
    /// The PostgreSQL server behind it, if it may be asked.
    pub database: Option<Database>,
}

/// How the admin console is reached; its database is always `pgbouncer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// Where it is.
    pub address: Address,
    /// How the connection is protected.
    pub tls: Tls,
    /// Who watches.
    pub watch: Login,
    /// Who changes sizes; nobody can without it.
    pub act: Option<Login>,
    /// Time to reach it and log in.
    pub connect_timeout: Duration,
    /// Time for one command.
    pub command_timeout: Duration,
    /// What this sidecar calls itself there; not configured, but given at its start.
    pub instance: Option<Instance>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host name or IP address (IPv6 without brackets) and a port.
    Tcp {
        /// Host.
        host: String,
        /// Port, never 0.
        port: u16,
    },
    /// A Unix socket, `.s.PGSQL.<port>` in a folder.
    Unix {
        /// Folder.
        dir: PathBuf,
        /// Port in the socket's name, never 0.
        port: u16,
    },
}

/// How a connection is protected, as libpq's `sslmode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Never encrypted.
    Disable,
    /// Encrypted when the server can.
    Prefer,
    /// Always encrypted; the certificate is not checked.
    Require,
    /// Always encrypted; certificate and host name are checked.
    VerifyFull {
        /// Authorities to trust instead of the system's.
        ca_file: Option<PathBuf>,
    },
}

/// Who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User.
    pub user: String,
    /// Password, if there is one.
    pub password: Option<Secret>,
}

/// How the PostgreSQL server behind a PgBouncer is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Where it is.
    pub address: Address,
    /// How the connection is protected.
    pub tls: Tls,
    /// Who asks.
    pub login: Login,
    /// Database to connect to.
    pub database: String,
    /// Time between two looks.
    pub interval: Duration,
    /// Time to reach it and log in.
    pub connect_timeout: Duration,
    /// Time for one query.
    pub command_timeout: Duration,
    /// Idle time after which the sidecar's own connection is closed.
    pub idle_timeout: Duration,
}

impl Config {
    /// Loads the file (or `./poolwarden.toml` if there is one) with the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong, at once; no secret is in it.
    pub fn load(file: Option<&Path>, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let default = Path::new(DEFAULT_FILE);
        match file.or_else(|| default.exists().then_some(default)) {
            Some(file) => {
                let source = file.display().to_string();
                let text = std::fs::read_to_string(file).map_err(|error| {
                    let reason = format!("cannot be read: {error}");
                    let (key, value) = (String::new(), String::new());
                    ConfigError(vec![Problem { place: source.clone(), key, value, reason }])
                })?;
                Self::from_text(&source, &text, env)
            }
            None => Self::from_text("environment", "", env),
        }
    }

    /// Loads TOML text with the environment over it; `source` names it in messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_text(
        source: &str,
        text: &str,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let mut table = check::parse(source, text).map_err(|p| ConfigError(vec![p]))?;
        let mut report = Report::new(source);
        let schema = schema();
        let passwords = env::overlay(&schema, &mut table, env, &mut report);
        let before = report.problems.len();
        check::check(&schema, &table, &mut report);
        if report.problems.len() > before {
            return Err(ConfigError(report.problems));
        }
        let document = check::json(&toml::Value::Table(table));
        let raw = serde_json::from_value(document).map_err(|_| {
            // Only a schema that disagrees with its own types could come here.
            report.key(&path::KeyPath::default(), "", "does not have the form that it should");
            ConfigError(report.problems.clone())
        })?;
        convert::convert(raw, passwords, report)
    }
}
