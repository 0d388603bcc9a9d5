//! The demo's folder: a store, and the shipped policies with settings that fit into a minute.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::DemoError;
use crate::config::{Config, ConfigError};
use crate::sandbox::{ConsoleRole, SUPERUSER, Sandbox};

/// Minutes of calm become seconds; everything else is as shipped.
const AUTOSIZE: &str = r#"plugin = "autosize.wasm"
mode = "enforce"
[settings]
shrink_after_ms = 2000
shrink_step_percent = 60
"#;

const ALERTS: &str = r#"plugin = "pool-alerts.wasm"
mode = "enforce"
[settings.pool_exhausted]
hold_ms = 300
[settings.high_utilization]
hold_ms = 3000
"#;

/// A temporary folder with everything that the sidecar needs; gone with this value.
#[derive(Debug)]
pub struct Scene {
    folder: TempDir,
    config: String,
}

impl Scene {
    /// Copies the shipped policies and writes the demo's configuration.
    pub fn set(sandbox: &Sandbox, policies: &Path) -> Result<Self, DemoError> {
        let folder = tempfile::Builder::new().prefix("poolwarden-demo-").tempdir()?;
        let dir = folder.path().join("policies");
        fs::create_dir(&dir)?;
        for (name, text) in [("autosize", AUTOSIZE), ("pool-alerts", ALERTS)] {
            let plugin = policies.join(format!("{name}.wasm"));
            fs::copy(&plugin, dir.join(format!("{name}.wasm"))).map_err(|error| {
                let why = format!("{error}; build it with plugins/build.sh, or name --policies");
                DemoError::Policies { path: plugin, why }
            })?;
            fs::write(dir.join(format!("{name}.toml")), text)?;
        }
        let password = folder.path().join("act_password");
        fs::write(&password, sandbox.pgbouncer().console_password())?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
        let config = text(sandbox, folder.path(), &password);
        Ok(Self { folder, config })
    }

    /// Gives the configuration.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let source = self.folder.path().join("poolwarden.toml").display().to_string();
        Config::from_text(&source, &self.config, &BTreeMap::new())
    }
}

fn text(sandbox: &Sandbox, folder: &Path, password: &Path) -> String {
    let (bouncer, postgres) = (sandbox.pgbouncer(), sandbox.postgres());
    format!(
        r#"[http]
listen = "127.0.0.1:0"
[store]
dir = "{store}"
[policies]
dir = "{policies}"
[history]
short_span_s = 2
long_span_s = 10
[shutdown]
sizes = "hand_back"
[[target]]
name = "demo"
mode = "enforce"
console_url = "{watch}"
act_user = "{act}"
act_password_file = "{password}"
[target.limits]
cooldown_up_ms = 2000
step_up = 6
cooldown_down_ms = 2000
step_down = 20
[target.database]
url = "{postgres}"
interval_ms = 1000
"#,
        store = folder.join("store").display(),
        policies = folder.join("policies").display(),
        watch = bouncer.console_url(ConsoleRole::Stats),
        act = ConsoleRole::Admin.user(),
        password = password.display(),
        postgres = postgres.url(SUPERUSER, "postgres"),
    )
}
