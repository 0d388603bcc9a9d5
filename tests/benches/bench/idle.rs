//! What the sidecar costs while nothing happens, beside a plain metrics exporter.
//!
//! Both watch one PgBouncer at the same time, each in its own process as a user runs it, so that
//! the machine's noise and the rows of the console are the same for both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use poolwarden::sandbox::{ConsoleRole, DatabaseOptions, Sandbox, SandboxOptions};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::page::Section;
use crate::process::{Measured, Usage};
use crate::setup;

/// How long both are watched.
const WATCHED: Duration = Duration::from_secs(60);
/// How long both may set themselves up.
const SETTLED: Duration = Duration::from_secs(15);
/// Pools of the PgBouncer, each with one idle client.
const POOLS: usize = 10;

const INTRODUCTION: &str = "\
`poolwarden run` (release) with both shipped policies, polling each second, beside PyPI's
`prometheus-pgbouncer-exporter` scraped each second, on one PgBouncer with 10 pools and an idle client
in each, at the same time, for 60 s, from `/proc`. *Warm cache* is a sidecar that finds its plugins
compiled by an earlier start, *first start* one that compiles them itself.";

/// Measures both for a minute.
pub async fn run(plugins: &Path, sidecar: &Path, exporter: Option<&PathBuf>) -> Result<Section> {
    let names: Vec<String> = (0..POOLS).map(|at| format!("db{at}")).collect();
    let databases = names.iter().map(|name| DatabaseOptions::inherited(name)).collect();
    let sandbox = Sandbox::start(SandboxOptions { databases, ..SandboxOptions::default() }).await?;
    let clients = clients(&sandbox, &names).await?;
    let folder = tempfile::tempdir()?;
    let mut watched = vec![(
        "poolwarden, first start",
        start(&sandbox, folder.path(), plugins, sidecar, "cold")?,
    )];
    tokio::time::sleep(Duration::from_secs(8)).await;
    // The cache of the first one is taken over by the second.
    let cache = folder.path().join("warm/store/compiled");
    std::fs::create_dir_all(&cache)?;
    copy_all(&folder.path().join("cold/store/compiled"), &cache)?;
    watched.push((
        "poolwarden, warm cache",
        start(&sandbox, folder.path(), plugins, sidecar, "warm")?,
    ));
    let mut scraped = None;
    if let Some(python) = exporter {
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        watched.push((
            "prometheus-pgbouncer-exporter",
            start_exporter(&sandbox, folder.path(), python, port)?,
        ));
        scraped = Some(port);
    }
    watch(scraped, SETTLED).await;
    let before = watched.iter().map(|(_, it)| it.usage()).collect::<Result<Vec<_>>>()?;
    watch(scraped, WATCHED).await;
    let mut section = Section::new("Idle", INTRODUCTION);
    section.row(&["process", "of one core", "resident", "of it anonymous", "most ever resident"]);
    let mut all = Vec::new();
    for ((name, it), before) in watched.iter().zip(before) {
        let after = it.usage()?;
        all.push((share_of(before, after), after.resident_kb));
        section.row(&[
            name,
            &format!("{:.2} %", share_of(before, after)),
            &format!("{:.1} MiB", mib(after.resident_kb)),
            &format!("{:.1} MiB", mib(after.anonymous_kb)),
            &format!("{:.1} MiB", mib(after.peak_kb)),
        ]);
    }
    let exporter = all.get(2).map(|(_, kb)| *kb);
    for (name, (percent, kb)) in ["first start", "warm cache"].into_iter().zip(all) {
        section.target(format!("processor time at idle, {name}"), percent, 1.0, " %");
        if let Some(most) = exporter {
            let what = format!("resident memory at idle, {name} (at most the exporter's)");
            section.target(what, mib(kb), mib(most), " MiB");
        }
    }
    for client in clients {
        client.close().await?;
    }
    Ok(section)
}

fn share_of(before: Usage, after: Usage) -> f64 {
    let used = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    100.0 * used / WATCHED.as_secs_f64()
}

fn mib(kb: u64) -> f64 {
    f64::from(u32::try_from(kb).unwrap_or(u32::MAX)) / 1024.0
}

async fn clients(sandbox: &Sandbox, names: &[String]) -> Result<Vec<PgConnection>> {
    let mut clients = Vec::new();
    for name in names {
        let options = sandbox.pgbouncer().connect_options("app", name);
        let mut client = PgConnection::connect_with(&options).await?;
        sqlx::raw_sql("select 1").execute(&mut client).await?;
        clients.push(client);
    }
    Ok(clients)
}

fn start(
    sandbox: &Sandbox,
    folder: &Path,
    plugins: &Path,
    sidecar: &Path,
    name: &str,
) -> Result<Measured> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("poolwarden.toml");
    std::fs::write(&file, setup::text(sandbox, &folder, plugins, "")?)?;
    Measured::start(
        Command::new(sidecar).arg("run").arg("--config").arg(&file),
        &folder.join("log"),
    )
}

fn start_exporter(sandbox: &Sandbox, folder: &Path, python: &Path, port: u16) -> Result<Measured> {
    let dsn = sandbox.pgbouncer().console_url(ConsoleRole::Stats);
    let file = folder.join("exporter.yml");
    let text = format!(
        "exporter_host: 127.0.0.1\nexporter_port: {port}\npgbouncers:\n  - dsn: \"{dsn}\"\n"
    );
    std::fs::write(&file, text)?;
    let program = "from prometheus_pgbouncer_exporter.cli import main; main()";
    let mut command = Command::new(python);
    command.args(["-W", "ignore", "-c", program, "--config"]).arg(&file);
    Measured::start(&mut command, &folder.join("exporter.log"))
}

/// Lets time pass, scraping each second.
async fn watch(scraped: Option<u16>, time: Duration) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..time.as_secs() {
        second.tick().await;
        if let Some(port) = scraped {
            // The first ones come before it listens.
            let _ = scrape(port).await;
        }
    }
}

async fn scrape(port: u16) -> Result<usize> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut body = Vec::new();
    stream.read_to_end(&mut body).await.context("the exporter answers")
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&to)?;
            copy_all(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
