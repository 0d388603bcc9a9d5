//! Targets: their addresses, logins and limits.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::address::{self, Parts};
use crate::config::path::KeyPath;
use crate::config::problem::Report;
use crate::config::raw::{RawDatabase, RawEffect, RawLimits, RawMode, RawSessions, RawTarget};
use crate::config::secret::{self, Fallbacks};
use crate::config::{Console, Database, Login, Secret, Target};
use crate::model::{EffectLimits, Limits, Mode, PoolSize, SessionLimits, TargetName};

const CONSOLE_PORT: u16 = 6432;
const POSTGRES_PORT: u16 = 5432;

/// Converts all targets; those with a problem are left out of the answer.
pub fn targets(
    raw: Vec<RawTarget>,
    passwords: &Fallbacks,
    interval: Duration,
    report: &mut Report,
) -> Vec<Target> {
    let mut names = BTreeSet::new();
    if passwords.admin.is_some() && !raw.is_empty() && raw.iter().all(|t| t.act_user.is_none()) {
        let reason = "POOLWARDEN_ADMIN_PASSWORD is set, but no target has an act_user";
        report.warn(reason.to_owned());
    }
    let mut targets = Vec::new();
    for (at, raw) in raw.into_iter().enumerate() {
        if !names.insert(raw.name.clone()) {
            let reason = "another target has the same name";
            report.key(&KeyPath::target(at, &["name"]), format!("{:?}", raw.name), reason);
        }
        targets.extend(Reader { at, passwords, interval, report }.target(raw));
    }
    targets
}

fn sessions(raw: &RawSessions) -> SessionLimits {
    SessionLimits {
        look_every: raw.enabled.then(|| Duration::from_millis(raw.every_ms)),
        ends_per_minute: raw.ends_per_minute,
    }
}

fn effect(raw: &RawEffect) -> EffectLimits {
    EffectLimits {
        window: Duration::from_millis(raw.window_ms),
        settle: Duration::from_millis(raw.settle_ms),
        tolerance_percent: raw.tolerance_percent,
        min_gain_percent: raw.min_gain_percent,
        min_transactions: raw.min_transactions,
        rollback_wait: Duration::from_millis(raw.rollback_wait_ms),
        calm: Duration::from_millis(raw.calm_ms),
    }
}

struct Reader<'a> {
    at: usize,
    passwords: &'a Fallbacks,
    interval: Duration,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn path(&self, keys: &[&str]) -> KeyPath {
        KeyPath::target(self.at, keys)
    }

    fn key(&mut self, keys: &[&str], value: impl Into<String>, reason: impl Into<String>) {
        self.report.key(&self.path(keys), value, reason);
    }

    fn target(&mut self, raw: RawTarget) -> Option<Target> {
        let name = TargetName::new(&raw.name);
        if let Err(error) = &name {
            self.key(&["name"], "", error.to_string());
        }
        let mode = match raw.mode {
            RawMode::Observe => Mode::Observe,
            RawMode::Recommend => Mode::Recommend,
            RawMode::Enforce => Mode::Enforce,
        };
        if mode == Mode::Enforce && raw.act_user.is_none() {
            let reason = "needs a user that may change sizes; set act_user and its password";
            self.key(&["mode"], mode.as_str(), reason);
        }
        let limits = self.limits(&raw.limits, &raw.name);
        let console = self.console(&raw);
        let database = raw.database.map(|raw| self.database(&raw));
        Some(Target {
            name: name.ok()?,
            labels: raw.labels,
            mode,
            limits: limits?,
            rejected_for: Duration::from_millis(raw.rejected_for_ms),
            sessions: sessions(&raw.sessions),
            effect: effect(&raw.effect),
            console: console?,
            database: match database {
                None => None,
                Some(database) => Some(database?),
            },
        })
    }

    fn limits(&mut self, raw: &RawLimits, name: &str) -> Option<Limits> {
        if raw.floor > raw.ceiling {
            let reason = format!("must not be above limits.ceiling ({})", raw.ceiling);
            self.key(&["limits", "floor"], raw.floor.to_string(), reason);
        }
        let data_age_max = Duration::from_millis(raw.data_age_max_ms);
        if data_age_max < self.interval {
            self.report.warn(format!(
                "target {name}: limits.data_age_max_ms is shorter than poll.interval_ms, so that \
                 most of the time no size will be changed"
            ));
        }
        Some(Limits {
            floor: PoolSize::new(raw.floor).ok()?,
            ceiling: PoolSize::new(raw.ceiling).ok()?,
            step_up: raw.step_up,
            step_down: raw.step_down,
            cooldown_up: Duration::from_millis(raw.cooldown_up_ms),
            cooldown_down: Duration::from_millis(raw.cooldown_down_ms),
            changes_per_hour: raw.changes_per_hour,
            database_margin: raw.database_margin,
            data_age_max,
            reconnect: raw.reconnect,
        })
    }

    fn console(&mut self, raw: &RawTarget) -> Option<Console> {
        let act = self.act(raw);
        let url = &["console_url"];
        let parts = self.url(url, &raw.console_url, CONSOLE_PORT);
        let file = ["watch_password_file"];
        let given = parts.as_ref().and_then(|parts| parts.password.clone());
        let fallback = self.passwords.watch.clone();
        let password = self.password(&file, raw.watch_password_file.as_deref(), given, fallback);
        let parts = parts?;
        if parts.database.as_deref().is_some_and(|name| name != "pgbouncer") {
            let reason = "must name PgBouncer's own database: end it with /pgbouncer";
            self.key(url, address::redacted(&raw.console_url), reason);
        }
        let user = self.user(url, &raw.console_url, parts.user)?;
        Some(Console {
            address: parts.address,
            tls: parts.tls,
            watch: Login { user, password },
            act,
            connect_timeout: Duration::from_millis(raw.connect_timeout_ms),
            command_timeout: Duration::from_millis(raw.command_timeout_ms),
            instance: None,
        })
    }

    fn act(&mut self, raw: &RawTarget) -> Option<Login> {
        let file = raw.act_password_file.as_deref();
        let Some(user) = raw.act_user.clone() else {
            if let Some(file) = file {
                let reason = "is the password of nobody; set act_user too";
                self.key(&["act_password_file"], format!("{file:?}"), reason);
            }
            return None;
        };
        let password =
            self.password(&["act_password_file"], file, None, self.passwords.admin.clone());
        if password.is_none() && file.is_none() {
            let reason = "has no password; set act_password_file or POOLWARDEN_ADMIN_PASSWORD";
            self.key(&["act_user"], format!("{user:?}"), reason);
        }
        Some(Login { user, password })
    }

    fn database(&mut self, raw: &RawDatabase) -> Option<Database> {
        let url = &["database", "url"];
        let parts = self.url(url, &raw.url, POSTGRES_PORT);
        let file = ["database", "password_file"];
        let given = parts.as_ref().and_then(|parts| parts.password.clone());
        let fallback = self.passwords.database.clone();
        let password = self.password(&file, raw.password_file.as_deref(), given, fallback);
        let parts = parts?;
        let user = self.user(url, &raw.url, parts.user)?;
        Some(Database {
            address: parts.address,
            tls: parts.tls,
            login: Login { user, password },
            database: parts.database.unwrap_or_else(|| "postgres".to_owned()),
            interval: Duration::from_millis(raw.interval_ms),
            connect_timeout: Duration::from_millis(raw.connect_timeout_ms),
            command_timeout: Duration::from_millis(raw.command_timeout_ms),
            idle_timeout: Duration::from_millis(raw.idle_timeout_ms),
        })
    }

    fn url(&mut self, keys: &[&str], url: &str, port: u16) -> Option<Parts> {
        let parts = address::parse(url, port);
        parts.map_err(|reason| self.key(keys, address::redacted(url), reason)).ok()
    }

    fn user(&mut self, keys: &[&str], url: &str, user: Option<String>) -> Option<String> {
        if user.is_none() {
            let reason = "names no user; write it before the host, as postgres://user@host";
            self.key(keys, address::redacted(url), reason);
        }
        user
    }

    /// Takes the password from the URL, else from the file, else from the environment.
    fn password(
        &mut self,
        keys: &[&str],
        file: Option<&str>,
        of_url: Option<Secret>,
        fallback: Option<Secret>,
    ) -> Option<Secret> {
        if let (Some(_), Some(file)) = (&of_url, file) {
            let reason = "the password is given twice; take it out of the URL or drop this key";
            self.key(keys, format!("{file:?}"), reason);
            return None;
        }
        let of_file = secret::of_file(&self.path(keys), file, self.report);
        // A file that cannot be read is a problem; the environment must not paper over it.
        of_url.or(of_file).or(fallback.filter(|_| file.is_none()))
    }
}
