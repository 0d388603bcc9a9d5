//! What a policy costs in each language: time, memory, and how soon a new version decides.
//!
//! The example policies, which decide the same in all four. Time is measured in this process, on the
//! product's path; memory and reloads on a sidecar of its own, as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use poolwarden::config::{PluginLimits, Policies};
use poolwarden::evaluate::{Input, Registry, Runtime};
use poolwarden::model::Timestamp;
use poolwarden::sandbox::{Sandbox, SandboxOptions};
use poolwarden_tests::plugins::{example, variant};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::page::Section;
use crate::process::Measured;
use crate::rows::{self, Mix};
use crate::setup;
use crate::stats::Samples;

const LANGUAGES: [&str; 4] = ["rust", "c", "javascript", "python"];
const POOLS: [usize; 3] = [1, 100, 1_000];
/// Evaluations of each language and size.
const ROUNDS: usize = 60;
/// Hot reloads of each language.
const RELOADS: u8 = 3;
/// How long a sidecar may take to settle.
const SETTLED: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(180);

const INTRODUCTION: &str = "\
The same policy (`plugins/examples`) in four languages, each evaluation in a fresh instance, all told: make an
instance, call it, read and check the answer, drop the instance; every hundredth pool queues. *Resident* is what
a running sidecar has more with this policy than before it, 8 s after the policy was dropped into its folder.
*Hot reload* is from the moment at which changed bytes stand in the folder to the first evaluation by them, compiled
anew each time; *longest pause* is the longest time meanwhile in which the old version was not seen to decide, one
evaluation a second being due.";

/// Measures all languages.
pub async fn run(plugins: &Path, sidecar: &Path) -> Result<Section> {
    let mut section = Section::new("Policies in four languages", INTRODUCTION);
    section.row(&[
        "language",
        "plugin",
        "1 pool",
        "100 pools",
        "1 000 pools",
        "resident",
        "hot reload",
        "longest pause",
    ]);
    let folder = tempfile::tempdir()?;
    let registry = load(folder.path())?;
    let sandbox = Sandbox::start(SandboxOptions::default()).await?;
    for language in LANGUAGES {
        let mut cells = vec![language.to_owned(), size(example(language).len())];
        let mut at_100 = Duration::ZERO;
        for pools in POOLS {
            let samples = evaluate(&registry, language, pools)?;
            cells.push(samples.cell());
            at_100 = if pools == 100 { samples.median() } else { at_100 };
        }
        let live = Live::start(&sandbox, folder.path(), plugins, sidecar, language).await?;
        let (resident, reloads, pause) = live.measure(language).await?;
        cells.extend([format!("{resident:.1} MiB"), reloads.cell(), crate::stats::short(pause)]);
        section.row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        let within = if matches!(language, "javascript" | "python") { 10.0 } else { 2.0 };
        let slowest = reloads.percentile(100).as_secs_f64();
        section.target(format!("hot reload, {language}"), slowest, within, " s");
        if within > 2.0 {
            let took = at_100.as_secs_f64() * 1e3;
            section.target(format!("evaluation of 100 pools, {language}"), took, 10.0, " ms");
            section.target(format!("resident memory, {language}"), resident, 100.0, " MiB");
        }
    }
    Ok(section)
}

fn size(bytes: usize) -> String {
    let kib = f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX));
    if kib < 1024.0 { format!("{kib:.0} KiB") } else { format!("{:.1} MiB", kib / 1024.0) }
}

/// Loads all four as the sidecar would, with limits that a busy machine does not break.
fn load(folder: &Path) -> Result<Registry> {
    let dir = folder.join("policies");
    fs::create_dir_all(&dir)?;
    for language in LANGUAGES {
        fs::write(dir.join(format!("{language}.wasm")), example(language))?;
    }
    let limits = PluginLimits {
        deadline: Duration::from_secs(5),
        memory_bytes: 64 << 20,
        answer_bytes: 1 << 20,
        blob_bytes: 64 << 10,
        faults_max: 3,
    };
    let config = Policies { dir, rescan_interval: Duration::from_secs(5), limits };
    let registry = Registry::new(Arc::new(Runtime::new(None)?), config);
    registry.rescan(Timestamp::default());
    for status in registry.statuses() {
        ensure!(status.problem.is_none(), "{}: {:?}", status.name, status.problem);
    }
    Ok(registry)
}

fn evaluate(registry: &Registry, language: &str, pools: usize) -> Result<Samples> {
    let set = registry.serving();
    let policy = set.policies().iter().find(|policy| policy.name().as_str() == language);
    let policy = policy.context("it was loaded")?;
    let input = Arc::new(Input::new(rows::host(&rows::rows(pools, Mix::Queueing))?));
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let result = policy.evaluate(&input, Arc::from([].as_slice()));
        samples.push(start.elapsed());
        ensure!(!result.outcome?.proposals.is_empty(), "{language} has nothing to say");
    }
    Ok(samples)
}

/// A running sidecar, with its folder of policies and its port.
struct Live {
    process: Measured,
    policies: PathBuf,
    port: u16,
}

/// What the API says of one policy.
struct Seen {
    digest: String,
    evaluations: u64,
}

impl Live {
    async fn start(
        sandbox: &Sandbox,
        folder: &Path,
        plugins: &Path,
        sidecar: &Path,
        name: &str,
    ) -> Result<Self> {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let text = setup::text(sandbox, &folder, plugins, "")?;
        let text = text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
        let file = folder.join("poolwarden.toml");
        fs::write(&file, text)?;
        let mut command = Command::new(sidecar);
        command.arg("run").arg("--config").arg(&file);
        let process = Measured::start(&mut command, &folder.join("log"))?;
        tokio::time::sleep(SETTLED).await;
        Ok(Self { process, policies: folder.join("policies"), port })
    }

    /// Gives the memory that a policy adds, in MiB, the times of its reloads, and the longest pause.
    async fn measure(&self, language: &str) -> Result<(f64, Samples, Duration)> {
        let before = self.process.usage()?.resident_kb;
        let plugin = example(language);
        let limits = "[limits]\ndeadline_ms = 5000\n";
        fs::write(self.policies.join(format!("{language}.toml")), limits)?;
        self.put(language, &plugin)?;
        self.until(language, |seen| seen.evaluations > 0).await?;
        tokio::time::sleep(SETTLED).await;
        let more = self.process.usage()?.resident_kb.saturating_sub(before);
        let (mut reloads, mut pause) = (Samples::default(), Duration::ZERO);
        for round in 0..RELOADS {
            let old = self.seen(language).await?.context("it serves")?;
            let start = Instant::now();
            self.put(language, &variant(&plugin, round))?;
            let (taken_over, longest) =
                self.until(language, |seen| seen.digest != old.digest).await?;
            self.until(language, |seen| seen.evaluations > taken_over.evaluations).await?;
            reloads.push(start.elapsed());
            pause = pause.max(longest);
        }
        let mib = f64::from(u32::try_from(more).unwrap_or(u32::MAX)) / 1024.0;
        Ok((mib, reloads, pause))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let partial = self.policies.join(format!(".{name}.tmp"));
        fs::write(&partial, bytes)?;
        Ok(fs::rename(&partial, self.policies.join(format!("{name}.wasm")))?)
    }

    /// Waits for something to be so; gives also the longest time without an evaluation.
    async fn until(&self, name: &str, is_so: impl Fn(&Seen) -> bool) -> Result<(Seen, Duration)> {
        let start = Instant::now();
        let (mut last, mut last_at, mut longest) = (0, start, Duration::ZERO);
        loop {
            if let Some(seen) = self.seen(name).await? {
                if seen.evaluations != last {
                    (last, last_at) = (seen.evaluations, Instant::now());
                }
                longest = longest.max(last_at.elapsed());
                if is_so(&seen) {
                    return Ok((seen, longest));
                }
            }
            ensure!(start.elapsed() < PATIENCE, "{name}: not so after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn seen(&self, name: &str) -> Result<Option<Seen>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(b"GET /v1/policies HTTP/1.0\r\nhost: localhost\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        let body: Value = serde_json::from_str(body)?;
        let policies = body["policies"].as_array().context("policies")?;
        let Some(policy) = policies.iter().find(|policy| policy["name"] == name) else {
            return Ok(None);
        };
        let Some(digest) = policy["plugin_digest"].as_str() else { return Ok(None) };
        let evaluations = policy["evaluations"].as_u64().unwrap_or(0);
        Ok(Some(Seen { digest: digest.to_owned(), evaluations }))
    }
}
