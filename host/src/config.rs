//! Temporary.
#![allow(missing_docs, reason = "temporary")]
use crate::model::*;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
pub struct Config {
    pub monitoring: bool,
    pub http: Http,
    pub store: Store,
    pub policies: Policies,
    pub poll: Poll,
    pub history: History,
    pub shutdown: Shutdown,
    pub log: Log,
    pub targets: Vec<Target>,
    pub source: String,
    pub warnings: Vec<String>,
}
pub struct Http {
    pub listen: SocketAddr,
    pub token: Option<Secret>,
}
pub struct Store {
    pub dir: PathBuf,
    pub decisions_kept: Duration,
    pub inputs_kept: Duration,
    pub size_max_bytes: u64,
}
#[derive(Debug, Clone)]
pub struct Policies {
    pub dir: PathBuf,
    pub rescan_interval: Duration,
    pub limits: PluginLimits,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginLimits {
    pub deadline: Duration,
    pub memory_bytes: u64,
    pub answer_bytes: u64,
    pub blob_bytes: u64,
    pub faults_max: u32,
}
#[derive(Debug, Clone)]
pub struct Poll {
    pub interval: Duration,
    pub fast_interval: Duration,
    pub session_age_max: Duration,
    pub backoff_max: Duration,
}
#[derive(Debug, Clone)]
pub struct History {
    pub short_span: Duration,
    pub long_span: Duration,
    pub drain_horizon: Duration,
    pub login_queue_after: Duration,
    pub wedged_after: Duration,
}
pub struct Shutdown {
    pub grace: Duration,
    pub sizes: ExitSizes,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitSizes {
    Keep,
    HandBack,
}
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}
pub enum LogFormat {
    Text,
    Json,
}
#[derive(Debug, Clone)]
pub struct Target {
    pub name: TargetName,
    pub labels: Labels,
    pub mode: Mode,
    pub limits: Limits,
    pub console: Console,
    pub database: Option<Database>,
}
#[derive(Debug, Clone)]
pub struct Console {
    pub address: Address,
    pub tls: Tls,
    pub watch: Login,
    pub act: Option<Login>,
    pub connect_timeout: Duration,
    pub command_timeout: Duration,
}
#[derive(Debug, Clone)]
pub enum Address {
    Tcp { host: String, port: u16 },
    Unix { dir: PathBuf, port: u16 },
}
#[derive(Debug, Clone)]
pub enum Tls {
    Disable,
    Prefer,
    Require,
    VerifyFull { ca_file: Option<PathBuf> },
}
#[derive(Debug, Clone)]
pub struct Login {
    pub user: String,
    pub password: Option<Secret>,
}
#[derive(Debug, Clone)]
pub struct Database {
    pub address: Address,
    pub tls: Tls,
    pub login: Login,
    pub database: String,
    pub interval: Duration,
    pub connect_timeout: Duration,
    pub command_timeout: Duration,
    pub idle_timeout: Duration,
}
#[derive(Debug, Clone)]
pub struct Secret(String);
impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}
