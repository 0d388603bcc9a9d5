//! A policy's `.toml`: which plugin, with which settings, for what, and how far it may go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use wildmatch::WildMatch;

use super::runtime::MEMORY_MAX_BYTES;
use crate::config::PluginLimits;
use crate::model::{Mode, PolicyName};

/// Longest time between two evaluations: a day.
pub(super) const EVERY_MAX_MS: u64 = 86_400_000;

/// A policy file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {reason}", path.display())]
pub struct PolicyFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, with the key and the line.
    pub reason: String,
}

/// What a policy file says.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyFile {
    /// File name of the plugin, in the same folder.
    pub plugin: String,
    /// How far the policy may go.
    pub mode: Mode,
    /// Policies of higher priority are evaluated and heard first.
    pub priority: i32,
    /// The policy that this one shadows: it is compared with that, recorded, and never heard.
    pub shadow_of: Option<PolicyName>,
    /// Least time between two evaluations; absent: what the plugin says.
    pub every: Option<Duration>,
    /// Patterns of the targets that it decides about.
    pub targets: Vec<String>,
    /// Patterns of the databases that it sees.
    pub databases: Vec<String>,
    /// Whether it may have sessions ended.
    pub may_end_sessions: bool,
    /// Limits of its evaluations.
    pub limits: PluginLimits,
    /// Settings, for the plugin to understand.
    pub settings: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    plugin: Option<String>,
    mode: Option<RawMode>,
    priority: Option<i32>,
    shadow_of: Option<String>,
    every_ms: Option<u64>,
    #[serde(default)]
    scope: RawScope,
    #[serde(default)]
    actions: RawActions,
    #[serde(default)]
    limits: RawLimits,
    settings: Option<Value>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawMode {
    Observe,
    Recommend,
    Enforce,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawScope {
    targets: Vec<String>,
    databases: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawActions {
    end_sessions: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    deadline_ms: Option<u64>,
    memory_mib: Option<u64>,
    answer_kib: Option<u64>,
    memory_blob_kib: Option<u64>,
}

impl Default for RawScope {
    fn default() -> Self {
        let all = || vec!["*".to_owned()];
        Self { targets: all(), databases: all() }
    }
}

impl PolicyFile {
    /// Gives what a bare `.wasm` without a file gets: everything in scope, and `observe`.
    pub fn bare(plugin: &str, limits: &PluginLimits) -> Self {
        let scope = RawScope::default();
        Self {
            plugin: plugin.to_owned(),
            mode: Mode::Observe,
            priority: 0,
            shadow_of: None,
            every: None,
            targets: scope.targets,
            databases: scope.databases,
            may_end_sessions: false,
            limits: limits.clone(),
            settings: Value::Object(serde_json::Map::new()),
        }
    }

    /// Reads a policy file; `default_plugin` is used when it names none.
    ///
    /// # Errors
    /// When the text is not TOML, has unknown keys or values out of range.
    pub fn parse(
        path: &Path,
        text: &str,
        default_plugin: &str,
        limits: &PluginLimits,
    ) -> Result<Self, PolicyFileError> {
        let wrong = |reason: String| PolicyFileError { path: path.to_owned(), reason };
        let raw: Raw = toml::from_str(text).map_err(|error| wrong(one_line(text, &error)))?;
        let shadow_of = shadow_of(&raw, path).map_err(wrong)?;
        let plugin = raw.plugin.unwrap_or_else(|| default_plugin.to_owned());
        if plugin.is_empty() || plugin.contains(['/', '\\']) {
            return Err(wrong(format!("plugin: {plugin:?}: must be a file name in this folder")));
        }
        Ok(Self {
            plugin,
            shadow_of,
            mode: raw.mode.map_or(Mode::Observe, |mode| match mode {
                RawMode::Observe => Mode::Observe,
                RawMode::Recommend => Mode::Recommend,
                RawMode::Enforce => Mode::Enforce,
            }),
            priority: raw.priority.unwrap_or(0),
            every: raw.every_ms.map(every).transpose().map_err(wrong)?,
            targets: raw.scope.targets,
            databases: raw.scope.databases,
            may_end_sessions: raw.actions.end_sessions,
            limits: merge(&raw.limits, limits).map_err(wrong)?,
            settings: raw.settings.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
        })
    }

    /// Says whether the policy decides about a target.
    pub fn covers_target(&self, name: &str) -> bool {
        self.targets.iter().any(|pattern| WildMatch::new(pattern).matches(name))
    }

    /// Says whether the policy sees a database.
    pub fn covers_database(&self, name: &str) -> bool {
        self.databases.iter().any(|pattern| WildMatch::new(pattern).matches(name))
    }

    /// Says whether the policy sees every database.
    pub fn covers_all_databases(&self) -> bool {
        self.databases.iter().any(|pattern| pattern == "*")
    }
}

impl PluginLimits {
    /// Gives the widest limits that a policy file may set.
    pub fn widest() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            memory_bytes: MEMORY_MAX_BYTES,
            answer_bytes: 16 << 20,
            blob_bytes: 1 << 20,
            faults_max: u32::MAX,
        }
    }
}

/// Reads whom a policy shadows; a twin never acts, so it may not ask for a wider mode.
fn shadow_of(raw: &Raw, path: &Path) -> Result<Option<PolicyName>, String> {
    let Some(name) = &raw.shadow_of else { return Ok(None) };
    let of = PolicyName::new(name).map_err(|error| format!("shadow_of: {error}"))?;
    if path.file_stem().is_some_and(|own| own.to_str() == Some(name)) {
        return Err(format!("shadow_of: {name:?}: a policy cannot shadow itself"));
    }
    if matches!(raw.mode, Some(RawMode::Recommend | RawMode::Enforce)) {
        return Err("mode: a policy with shadow_of only observes: leave mode out".to_owned());
    }
    Ok(Some(of))
}

fn every(ms: u64) -> Result<Duration, String> {
    if ms > EVERY_MAX_MS {
        return Err(format!("every_ms: {ms}: must be 0 to {EVERY_MAX_MS}"));
    }
    Ok(Duration::from_millis(ms))
}

fn merge(raw: &RawLimits, base: &PluginLimits) -> Result<PluginLimits, String> {
    let ranged = |key: &str, value: Option<u64>, min: u64, max: u64, default: u64| match value {
        None => Ok(default),
        Some(value) if (min..=max).contains(&value) => Ok(value),
        Some(value) => Err(format!("limits.{key}: {value}: must be {min} to {max}")),
    };
    let deadline = u64::try_from(base.deadline.as_millis()).unwrap_or(u64::MAX);
    let most = MEMORY_MAX_BYTES >> 20;
    let memory = ranged("memory_mib", raw.memory_mib, 1, most, base.memory_bytes >> 20)?;
    let answer = ranged("answer_kib", raw.answer_kib, 1, 16_384, base.answer_bytes >> 10)?;
    let blob = ranged("memory_blob_kib", raw.memory_blob_kib, 0, 1_024, base.blob_bytes >> 10)?;
    Ok(PluginLimits {
        deadline: Duration::from_millis(ranged(
            "deadline_ms",
            raw.deadline_ms,
            1,
            10_000,
            deadline,
        )?),
        memory_bytes: memory << 20,
        answer_bytes: answer << 10,
        blob_bytes: blob << 10,
        faults_max: base.faults_max,
    })
}

fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', ", ");
    let Some(span) = error.span() else { return message };
    let line = text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> PluginLimits {
        PluginLimits {
            deadline: Duration::from_millis(50),
            memory_bytes: 16 << 20,
            answer_bytes: 256 << 10,
            blob_bytes: 64 << 10,
            faults_max: 3,
        }
    }

    fn parse(text: &str) -> Result<PolicyFile, PolicyFileError> {
        PolicyFile::parse(Path::new("policies/a.toml"), text, "a.wasm", &limits())
    }

    #[test]
    fn an_empty_file_is_a_policy_that_only_observes() {
        assert_eq!(parse(""), Ok(PolicyFile::bare("a.wasm", &limits())));
    }

    #[test]
    fn sessions_are_ended_only_where_the_file_says_so() {
        let file = parse("[actions]\nend_sessions = true").expect("fine");
        assert!(file.may_end_sessions);
        assert!(!parse("mode = \"enforce\"").expect("fine").may_end_sessions);
        assert!(parse("[actions]\nend_session = true").is_err());
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let error = parse("plugin = \"b.wasm\"\nmood = \"enforce\"\n").expect_err("unknown key");
        assert!(error.reason.starts_with("line 2: unknown field `mood`"), "{error}");
    }

    #[test]
    fn limits_are_obeyed_at_their_bounds_and_refused_beyond() {
        assert!(parse("[limits]\ndeadline_ms = 10000\nmemory_mib = 512").is_ok());
        let error = parse("[limits]\ndeadline_ms = 10001").expect_err("too long");
        assert_eq!(error.reason, "limits.deadline_ms: 10001: must be 1 to 10000");
        assert!(parse("[limits]\nmemory_mib = 513").is_err());
    }

    #[test]
    fn a_cadence_may_be_any_up_to_a_day() {
        assert_eq!(parse("").expect("fine").every, None);
        assert_eq!(parse("every_ms = 0").expect("fine").every, Some(Duration::ZERO));
        let day = parse("every_ms = 86_400_000").expect("fine");
        assert_eq!(day.every, Some(Duration::from_secs(86_400)));
        let error = parse("every_ms = 86_400_001").expect_err("too long");
        assert_eq!(error.reason, "every_ms: 86400001: must be 0 to 86400000");
    }

    #[test]
    fn scope_patterns_choose_targets_and_databases() {
        let file = parse("[scope]\ntargets = [\"eu-*\"]\ndatabases = [\"shop\"]").expect("fine");
        assert!(file.covers_target("eu-1") && !file.covers_target("us-1"));
        assert!(file.covers_database("shop") && !file.covers_database("shop2"));
        assert!(!file.covers_all_databases());
    }

    #[test]
    fn a_shadow_names_another_policy_and_only_observes() {
        let file = parse("shadow_of = \"autosize\"").expect("fine");
        assert_eq!(file.shadow_of, PolicyName::new("autosize").ok());
        assert_eq!(file.mode, Mode::Observe);
        let acts = parse("shadow_of = \"autosize\"\nmode = \"enforce\"").expect_err("it would act");
        assert!(acts.reason.starts_with("mode:"), "{acts}");
        let itself = parse("shadow_of = \"a\"").expect_err("its own twin");
        assert!(itself.reason.starts_with("shadow_of:"), "{itself}");
    }

    #[test]
    fn a_plugin_outside_the_folder_is_refused() {
        assert!(parse("plugin = \"../x.wasm\"").is_err());
    }
}
