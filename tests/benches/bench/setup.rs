//! The configuration that the sidecar is measured with.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use poolwarden::config::Config;
use poolwarden::record::StoreOptions;
use poolwarden::sandbox::{ConsoleRole, Sandbox};

/// Writes the configuration's file into `folder` and gives its text.
///
/// The policies are the shipped ones with their shipped `.toml`; only the guard's spacing is lifted,
/// because a measurement cannot wait half a minute between two changes.
pub fn text(sandbox: &Sandbox, folder: &Path, plugins: &Path, more: &str) -> Result<String> {
    let policies = folder.join("policies");
    fs::create_dir_all(&policies)?;
    for file in ["autosize.toml", "autosize.wasm", "pool-alerts.toml", "pool-alerts.wasm"] {
        let from = plugins.join(file);
        fs::copy(&from, policies.join(file)).with_context(|| from.display().to_string())?;
    }
    let password = folder.join("act_password");
    fs::write(&password, sandbox.pgbouncer().console_password())?;
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
    Ok(format!(
        r#"{more}
[http]
listen = "127.0.0.1:0"
[store]
dir = "{store}"
[policies]
dir = "{policies}"
[[target]]
name = "main"
mode = "enforce"
console_url = "{watch}"
act_user = "{act}"
act_password_file = "{password}"
[target.limits]
step_up = 20
ceiling = 12
cooldown_up_ms = 0
"#,
        store = folder.join("store").display(),
        policies = policies.display(),
        watch = sandbox.pgbouncer().console_url(ConsoleRole::Stats),
        act = ConsoleRole::Admin.user(),
        password = password.display(),
    ))
}

/// Gives the checked configuration.
pub fn config(sandbox: &Sandbox, folder: &Path, plugins: &Path, more: &str) -> Result<Config> {
    let text = text(sandbox, folder, plugins, more)?;
    Config::from_text("bench.toml", &text, &BTreeMap::new())
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// Gives a store's options with nothing that would throw rows away.
pub fn store_options() -> StoreOptions {
    let month = Duration::from_secs(30 * 86_400);
    StoreOptions {
        dir: PathBuf::new(),
        decisions_kept: month,
        inputs_kept: month,
        size_max_bytes: 1 << 30,
    }
}
