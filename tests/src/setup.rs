//! What a sidecar under test is configured with, and the folder in which that stands.
//!
//! The shipped policies, with settings that turn minutes of calm into a second or two; everything
//! that a test does not name is as a user gets it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use poolwarden::config::{Config, PluginLimits};
use poolwarden::sandbox::{ConsoleRole, PgBouncer};

/// The configuration of one sidecar.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The folder of configuration, policies and passwords.
    pub dir: PathBuf,
    /// The store's folder.
    pub store: PathBuf,
    /// Lines of the sizing policy's settings.
    pub autosize: String,
    /// Lines of the alerting policy's settings.
    pub alerts: String,
    /// The whole file of the policy `leak-hunter` after its plugin and mode; `None` leaves it out.
    pub leaks: Option<String>,
    /// The whole file of the policy `rules` after its plugin and mode; `None` leaves it out.
    pub rules: Option<String>,
    /// What becomes of sizes at the end: `keep` or `hand_back`.
    pub sizes: &'static str,
    /// Further lines of the configuration, before the targets.
    pub more: String,
    /// The PgBouncers.
    pub targets: Vec<TargetSetup>,
}

/// The configuration of one PgBouncer.
#[derive(Clone, Debug)]
pub struct TargetSetup {
    /// Its name.
    pub name: String,
    /// The watching login, with its password.
    pub console_url: String,
    /// The acting login: user and password.
    pub act: Option<(String, String)>,
    /// `observe`, `recommend` or `enforce`.
    pub mode: &'static str,
    /// The guard's limits.
    pub limits: BTreeMap<&'static str, u64>,
    /// PostgreSQL's URL, if it may be asked.
    pub database: Option<String>,
    /// Time between two looks at PostgreSQL, in milliseconds.
    pub database_interval_ms: u64,
    /// Lines of the table `[target.sessions]`.
    pub sessions: String,
    /// Lines of the table `[target.override]`.
    pub overrides: String,
    /// Lines of the table `[target.effect]`.
    pub effect: String,
    /// Whether held-up shrinks may be helped.
    pub reconnect: bool,
}

impl TargetSetup {
    /// Watches and acts on a PgBouncer in `enforce`, with short cooldowns and without PostgreSQL.
    #[must_use]
    pub fn of(name: &str, pgbouncer: &PgBouncer) -> Self {
        Self {
            name: name.to_owned(),
            console_url: pgbouncer.console_url(ConsoleRole::Stats),
            act: Some((
                ConsoleRole::Admin.user().to_owned(),
                pgbouncer.console_password().to_owned(),
            )),
            mode: "enforce",
            limits: BTreeMap::from([
                ("floor", 2),
                ("ceiling", 20),
                ("step_up", 6),
                ("step_down", 20),
                ("cooldown_up_ms", 500),
                ("cooldown_down_ms", 500),
            ]),
            database: None,
            database_interval_ms: 500,
            sessions: String::new(),
            overrides: String::new(),
            effect: "window_ms = 3000\ncalm_ms = 300\nrollback_wait_ms = 2000\n".to_owned(),
            reconnect: false,
        }
    }

    /// Changes one of the guard's limits.
    pub fn limit(&mut self, key: &'static str, value: u64) -> &mut Self {
        self.limits.insert(key, value);
        self
    }

    fn toml(&self, dir: &Path) -> String {
        let mut text = format!(
            "[[target]]\nname = \"{}\"\nmode = \"{}\"\nconsole_url = \"{}\"\n",
            self.name, self.mode, self.console_url
        );
        if let Some((user, password)) = &self.act {
            let file = dir.join(format!("{}_act_password", self.name));
            write_private(&file, password);
            let file = file.display();
            writeln!(text, "act_user = \"{user}\"\nact_password_file = \"{file}\"")
                .expect("text takes text");
        }
        text.push_str("[target.limits]\n");
        for (key, value) in &self.limits {
            writeln!(text, "{key} = {value}").expect("text takes text");
        }
        let (reconnect, effect) = (self.reconnect, &self.effect);
        writeln!(text, "reconnect = {reconnect}\n[target.effect]\n{effect}")
            .expect("text takes text");
        if let Some(url) = &self.database {
            let every = self.database_interval_ms;
            writeln!(text, "[target.database]\nurl = \"{url}\"\ninterval_ms = {every}")
                .expect("text takes text");
        }
        if !self.sessions.is_empty() {
            writeln!(text, "[target.sessions]\n{}", self.sessions).expect("text takes text");
        }
        if !self.overrides.is_empty() {
            writeln!(text, "[target.override]\n{}", self.overrides).expect("text takes text");
        }
        text
    }
}

impl Setup {
    /// Makes the configuration of one target in a folder that does not exist yet.
    #[must_use]
    pub fn new(dir: PathBuf, target: TargetSetup) -> Self {
        Self {
            store: dir.join("store"),
            dir,
            autosize: "shrink_after_ms = 1000\nshrink_step_percent = 60\n".to_owned(),
            alerts: "[settings.pool_exhausted]\nhold_ms = 200\ncooldown_ms = 500\n".to_owned(),
            leaks: None,
            rules: None,
            sizes: "keep",
            more: String::new(),
            targets: vec![target],
        }
    }

    /// Gives the first target's configuration, to be changed.
    pub fn target(&mut self) -> &mut TargetSetup {
        self.targets.first_mut().expect("a setup has at least one target")
    }

    /// Writes policies, passwords and configuration; returns the configuration's path.
    ///
    /// # Panics
    /// When a file cannot be written or the plugins are not built.
    pub fn write(&self) -> PathBuf {
        let policies = self.dir.join("policies");
        fs::create_dir_all(&policies).expect("the test's folder can be made");
        let text = |plugin: &str, more: &str| {
            format!("plugin = \"{plugin}.wasm\"\nmode = \"enforce\"\n{more}")
        };
        let settings = |settings: &str| format!("[settings]\n{settings}");
        let mut all =
            vec![("autosize", settings(&self.autosize)), ("pool-alerts", settings(&self.alerts))];
        all.extend(self.leaks.iter().map(|more| ("leak-hunter", more.clone())));
        all.extend(self.rules.iter().map(|more| ("rules", more.clone())));
        for (name, more) in all {
            let built = shipped().join(format!("{name}.wasm"));
            fs::copy(&built, policies.join(format!("{name}.wasm"))).unwrap_or_else(|error| {
                panic!("{}: {error}; build it with plugins/build.sh", built.display())
            });
            fs::write(policies.join(format!("{name}.toml")), text(name, &more))
                .expect("the test's folder can be written");
        }
        let path = self.dir.join("poolwarden.toml");
        write_private(&path, &self.toml());
        path
    }

    /// Loads the configuration as the sidecar does.
    ///
    /// # Panics
    /// When it is wrong.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::load(Some(&self.write()), &BTreeMap::new())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn toml(&self) -> String {
        let mut text = format!(
            r#"[http]
listen = "127.0.0.1:0"
[store]
dir = "{store}"
[policies]
dir = "{policies}"
[poll]
interval_ms = 300
fast_interval_ms = 50
backoff_max_ms = 600
[history]
short_span_s = 1
long_span_s = 10
[shutdown]
sizes = "{sizes}"
{more}
"#,
            store = self.store.display(),
            policies = self.dir.join("policies").display(),
            sizes = self.sizes,
            more = self.more,
        );
        for target in &self.targets {
            text.push_str(&target.toml(&self.dir));
        }
        text
    }
}

/// Returns the folder of the shipped policies.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// Writes a file that holds a secret.
fn write_private(path: &Path, text: &str) {
    let written = fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o600)));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Returns what one evaluation may use when nobody says otherwise.
///
/// # Panics
/// Never: the environment alone is enough of a configuration.
#[must_use]
pub fn plugin_limits() -> PluginLimits {
    let env = BTreeMap::from([("POOLWARDEN_MONITORING".to_owned(), "false".to_owned())]);
    let config = Config::from_text("test", "", &env).expect("a configuration without targets");
    config.policies.limits
}
