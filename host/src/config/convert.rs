//! From the written form to the checked one: units, secrets, and what spans several keys.

mod target;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::path::KeyPath;
use super::problem::{Report, SECRET};
use super::raw::{
    RawConfig, RawExitSizes, RawHistory, RawHttp, RawLog, RawLogFormat, RawPluginLimits,
    RawPolicies, RawPoll, RawShutdown, RawStore,
};
use super::secret::{self, Fallbacks};
use super::{
    Config, ConfigError, ExitSizes, History, Http, Log, LogFormat, PluginLimits, Policies, Poll,
    Secret, Shutdown, Store,
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const DAY_S: u64 = 24 * 60 * 60;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Converts what the schema has passed, and reports what only shows when keys are seen together.
///
/// # Errors
/// Everything that the report holds in the end.
pub fn convert(
    raw: RawConfig,
    passwords: Fallbacks,
    mut report: Report,
) -> Result<Config, ConfigError> {
    let monitoring = raw.monitoring;
    let http = http(raw.http, &mut report);
    let store = store(raw.store, &mut report);
    let poll = poll(&raw.poll, &mut report);
    let history = history(&raw.history, &mut report);
    let log = log(raw.log, &mut report);
    if monitoring && raw.target.is_empty() {
        let reason = "there is no PgBouncer to watch; add a [[target]] with name and console_url, \
                      or set PGBOUNCER_URL, or switch watching off with monitoring = false";
        report.key(&KeyPath::of(&["target"]), "", reason);
    }
    let targets = target::targets(raw.target, &passwords, poll.interval, &mut report);
    let (Some(http), true) = (http, report.problems.is_empty()) else {
        return Err(ConfigError(report.problems));
    };
    Ok(Config {
        monitoring,
        http,
        store,
        policies: policies(raw.policies),
        poll,
        history,
        shutdown: shutdown(&raw.shutdown),
        log,
        targets,
        source: report.source,
        warnings: report.warnings,
    })
}

fn http(raw: RawHttp, report: &mut Report) -> Option<Http> {
    let path = |key| KeyPath::of(&["http", key]);
    let listen = raw.listen.parse::<SocketAddr>();
    if listen.is_err() {
        let reason = "must be an IP address and a port, for example 127.0.0.1:7432 or [::1]:7432";
        report.key(&path("listen"), format!("{:?}", raw.listen), reason);
    }
    let given = raw.token.is_some() || raw.token_file.is_some();
    if raw.token.is_some() && raw.token_file.is_some() {
        let reason = "the token is given twice; keep token or token_file";
        report.key(&path("token"), SECRET, reason);
    }
    let file = secret::of_file(&path("token_file"), raw.token_file.as_deref(), report);
    let key = if raw.token.is_some() { "token" } else { "token_file" };
    let token = raw.token.map(Secret::new).or(file);
    if token.as_ref().is_some_and(|t| !t.expose().bytes().all(|b| b.is_ascii_graphic())) {
        let reason = "must hold only visible ASCII characters, as it is sent in a header";
        report.key(&path(key), SECRET, reason);
    }
    let listen = listen.ok()?;
    if !listen.ip().is_loopback() && !given {
        let reason = "an address other machines can reach needs a token; set http.token_file";
        report.key(&path("listen"), listen.to_string(), reason);
    }
    Some(Http { listen, token })
}

fn store(raw: RawStore, report: &mut Report) -> Store {
    let (decisions, inputs) = (raw.decisions_kept_days, raw.inputs_kept_days);
    if inputs > decisions {
        let reason = format!("must not be longer than store.decisions_kept_days ({decisions})");
        report.key(&KeyPath::of(&["store", "inputs_kept_days"]), inputs.to_string(), reason);
    }
    Store {
        dir: PathBuf::from(raw.dir),
        decisions_kept: Duration::from_secs(decisions * DAY_S),
        inputs_kept: Duration::from_secs(inputs * DAY_S),
        size_max_bytes: raw.size_max_mib * MIB,
    }
}

fn policies(raw: RawPolicies) -> Policies {
    let limits = plugin_limits(&raw.limits);
    let rescan_interval = Duration::from_millis(raw.rescan_interval_ms);
    Policies { dir: PathBuf::from(raw.dir), rescan_interval, limits }
}

fn plugin_limits(raw: &RawPluginLimits) -> PluginLimits {
    PluginLimits {
        deadline: Duration::from_millis(raw.deadline_ms),
        memory_bytes: raw.memory_mib * MIB,
        answer_bytes: raw.answer_kib * KIB,
        blob_bytes: raw.blob_kib * KIB,
        faults_max: raw.faults_max,
    }
}

fn poll(raw: &RawPoll, report: &mut Report) -> Poll {
    let (fast, slow) = (raw.fast_interval_ms, raw.interval_ms);
    if fast > slow {
        let reason = format!("must not be longer than poll.interval_ms ({slow})");
        report.key(&KeyPath::of(&["poll", "fast_interval_ms"]), fast.to_string(), reason);
    }
    Poll {
        interval: Duration::from_millis(slow),
        fast_interval: Duration::from_millis(fast),
        glance_interval: (raw.glance_interval_ms > 0)
            .then(|| Duration::from_millis(raw.glance_interval_ms)),
        session_age_max: Duration::from_millis(raw.session_age_max_ms),
        backoff_max: Duration::from_millis(raw.backoff_max_ms),
    }
}

fn history(raw: &RawHistory, report: &mut Report) -> History {
    let (short, long) = (raw.short_span_s, raw.long_span_s);
    if short > long {
        let reason = format!("must not be longer than history.long_span_s ({long})");
        report.key(&KeyPath::of(&["history", "short_span_s"]), short.to_string(), reason);
    }
    History {
        short_span: Duration::from_secs(short),
        long_span: Duration::from_secs(long),
        drain_horizon: Duration::from_millis(raw.drain_horizon_ms),
        login_queue_after: Duration::from_millis(raw.login_queue_after_ms),
        wedged_after: Duration::from_millis(raw.wedged_after_ms),
    }
}

fn shutdown(raw: &RawShutdown) -> Shutdown {
    let sizes = match raw.sizes {
        RawExitSizes::Keep => ExitSizes::Keep,
        RawExitSizes::HandBack => ExitSizes::HandBack,
    };
    Shutdown { grace: Duration::from_millis(raw.grace_ms), sizes }
}

fn log(raw: RawLog, report: &mut Report) -> Log {
    // A bare word is a module's name to the filter, so that a misspelt level would log nothing.
    let bare = |word: &&str| !word.contains(['=', '[']) && !word.trim().is_empty();
    let levels = |word: &str| LEVELS.contains(&word.trim().to_ascii_lowercase().as_str());
    let wrong = raw.filter.split(',').filter(bare).find(|word| !levels(word));
    let reason = match (wrong, EnvFilter::try_new(&raw.filter)) {
        (Some(word), _) => {
            Some(format!("{word:?} is not a level; levels are {}", LEVELS.join(", ")))
        }
        (None, Err(error)) => Some(format!("is not a log filter: {error}")),
        (None, Ok(_)) => None,
    };
    if let Some(reason) = reason {
        report.key(&KeyPath::of(&["log", "filter"]), format!("{:?}", raw.filter), reason);
    }
    let format = match raw.format {
        RawLogFormat::Text => LogFormat::Text,
        RawLogFormat::Json => LogFormat::Json,
    };
    Log { filter: raw.filter, format }
}
