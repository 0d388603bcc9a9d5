//! The sidecar beside a run: the program as a user runs it, with the shipped policies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use poolwarden::sandbox::{ConsoleRole, SUPERUSER, Sandbox, SandboxOptions};
use poolwarden_tests::SidecarProcess;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The configuration, with placeholders.
pub const CONFIG: &str = include_str!("sidecar.toml");
/// What is added to the settings of the policy `autosize`.
pub const AUTOSIZE: &str = include_str!("autosize.toml");
/// The folder of compiled plugins.
const CACHE: &str = "store/compiled";
/// Gives a whole number that the configuration sets.
pub fn setting(key: &str) -> Option<u32> {
    let value = |line: &str| {
        let (name, rest) = line.split_once('=')?;
        let number = rest.split('#').next()?.trim();
        (name.trim() == key).then(|| number.parse().ok()).flatten()
    };
    CONFIG.lines().find_map(value)
}

/// How long it may take to know its target.
const READY: Duration = Duration::from_secs(30);
/// Time between two looks whether it does.
const LOOK: Duration = Duration::from_millis(50);

/// A running sidecar that knows its target; the drop kills it.
#[derive(Debug)]
pub struct Sidecar {
    process: SidecarProcess,
    address: String,
}

impl Sidecar {
    /// Starts the program and waits until it has seen the PgBouncer.
    ///
    /// Plugins that an earlier one has compiled are taken from `compiled` if they are there: compiling
    /// takes seconds of the processor, which a sidecar beside other runs must not have.
    pub async fn start(program: &Path, sandbox: &Sandbox, compiled: &Path) -> Result<Self> {
        let dir = sandbox.folder().join("sidecar");
        let config = write(&dir, sandbox)?;
        if compiled.is_dir() {
            copy_all(compiled, &dir.join(CACHE))?;
        }
        let process = SidecarProcess::start_program(program, &config, &dir);
        let mut sidecar = Self { process, address: String::new() };
        let start = Instant::now();
        while !sidecar.knows_its_target().await {
            let log = sidecar.process.log();
            ensure!(sidecar.process.is_running(), "the sidecar ended:\n{log}");
            ensure!(start.elapsed() < READY, "the sidecar does not see PgBouncer:\n{log}");
            tokio::time::sleep(LOOK).await;
        }
        Ok(sidecar)
    }

    /// Says whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Gives its log.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Gives the newest size decisions that were carried out, each whole, as its API shows them.
    pub async fn decisions(&self) -> Result<String> {
        let listed = self.get("/v1/decisions?kind=resize&limit=500").await?;
        let listed: Value = serde_json::from_str(&listed)?;
        let listed = listed["decisions"].as_array().context("a list of decisions")?;
        let mut whole = Vec::new();
        for one in listed {
            let outcome = one["verdict"]["outcome"].as_str();
            if let (Some("approved" | "clamped"), Some(id)) = (outcome, one["id"].as_str()) {
                let one = self.get(&format!("/v1/decisions/{id}")).await?;
                whole.push(serde_json::from_str::<Value>(&one)?);
            }
        }
        Ok(serde_json::to_string_pretty(&whole)?)
    }

    async fn knows_its_target(&mut self) -> bool {
        if self.address.is_empty() {
            let log = self.process.log();
            let Some(address) = address(&log) else { return false };
            self.address = address;
        }
        self.get("/health").await.is_ok()
    }

    /// Asks over HTTP; gives the body of a good answer.
    async fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer in HTTP")?;
        ensure!(head.split(' ').nth(1) == Some("200"), "{path}: {head}");
        Ok(body.to_owned())
    }
}

/// Has the plugins compiled once, by a sidecar of its own.
pub async fn compile(program: &Path, into: &Path) -> Result<()> {
    let sandbox = Sandbox::start(SandboxOptions::default()).await?;
    let sidecar = Sidecar::start(program, &sandbox, into).await?;
    copy_all(&sandbox.folder().join("sidecar").join(CACHE), into)?;
    drop(sidecar);
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Finds where HTTP is served.
fn address(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("serving") && line.contains("address="))?;
    let rest = line.split("address=").nth(1)?;
    Some(rest.split_whitespace().next()?.trim_matches('"').to_owned())
}

/// Writes configuration, password and policies; gives the configuration's path.
fn write(dir: &Path, sandbox: &Sandbox) -> Result<PathBuf> {
    let policies = dir.join("policies");
    fs::create_dir_all(&policies)?;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    for file in fs::read_dir(&shipped)? {
        let file = file?;
        fs::copy(file.path(), policies.join(file.file_name()))?;
    }
    ensure!(
        policies.join("autosize.wasm").is_file(),
        "{} has no built plugins; build them with plugins/build.sh",
        shipped.display()
    );
    let autosize = policies.join("autosize.toml");
    let text = fs::read_to_string(&autosize)?;
    fs::write(&autosize, format!("{text}\n{AUTOSIZE}"))?;
    let password = dir.join("act_password");
    write_private(&password, sandbox.pgbouncer().console_password())?;
    let config = dir.join("poolwarden.toml");
    let values = [
        ("@DIR@", dir.display().to_string()),
        ("@WATCH@", sandbox.pgbouncer().console_url(ConsoleRole::Stats)),
        ("@ACT_USER@", ConsoleRole::Admin.user().to_owned()),
        ("@DATABASE@", sandbox.postgres().url(SUPERUSER, "postgres")),
    ];
    let text = values.iter().fold(CONFIG.to_owned(), |text, (key, value)| text.replace(key, value));
    write_private(&config, &text)?;
    Ok(config)
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, "")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    fs::write(path, text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{address, setting};

    #[test]
    fn a_setting_is_read_without_its_comment() {
        assert_eq!(setting("interval_ms"), Some(100));
        assert_eq!((setting("name"), setting("no_such_key")), (None, None));
    }

    #[test]
    fn the_address_is_read_off_the_log() {
        let log = "INFO starting\nINFO poolwarden::app: serving address=127.0.0.1:4711 targets=1\n";
        assert_eq!(address(log).as_deref(), Some("127.0.0.1:4711"));
        assert_eq!(address("INFO starting"), None);
    }
}
