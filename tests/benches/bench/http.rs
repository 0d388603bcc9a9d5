//! Decision queries against a bare axum route that returns a constant of the same size.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use poolwarden::app::App;
use poolwarden::control::View;
use poolwarden::model::{
    Decision, DecisionId, Digest, Evidence, Mode, Origin, PolicyName, PoolKey, Proposal, Severity,
    Status, Subject, TargetName, Timestamp,
};
use poolwarden::record::{Batch, Evaluation, Store};
use poolwarden::sandbox::{Sandbox, SandboxOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::page::Section;
use crate::setup;
use crate::stats::Samples;

/// Requests of each kind.
const REQUESTS: usize = 2_000;
/// Decisions in the store.
const DECISIONS: u32 = 2_000;

const INTRODUCTION: &str = "\
The sidecar's own HTTP server with 2 000 decisions in its store, asked by one keep-alive client, in turns
with a bare axum server whose route returns a constant JSON text of the same length.";

/// Measures the queries that people and programs send most.
pub async fn run(plugins: &Path) -> Result<Section> {
    let sandbox = Sandbox::start(SandboxOptions::default()).await?;
    let folder = tempfile::tempdir()?;
    let app = App::start(setup::config(&sandbox, folder.path(), plugins, "")?).await?;
    let id = fill(app.store()).await?;
    let polled = |view: &Arc<View>| view.targets.iter().any(|target| target.data_age.is_some());
    app.view().wait_for(polled).await?;
    let mut client = Client::connect(app.address().port()).await?;
    let mut section = Section::new("HTTP against a bare axum route", INTRODUCTION);
    section.row(&["request", "bytes", "bare route", "Poolwarden", "ratio"]);
    let paths = [
        "/health/quick".to_owned(),
        format!("/v1/decisions/{id}"),
        "/v1/decisions?limit=50".to_owned(),
    ];
    for path in &paths {
        let body = client.get(path).await.with_context(|| path.clone())?;
        let bytes = body.len();
        let mut bare = bare(body).await?;
        let (mut theirs, mut ours) = (Samples::default(), Samples::default());
        for _ in 0..REQUESTS {
            theirs.push(timed(&mut bare, "/").await?);
            ours.push(timed(&mut client, path).await?);
        }
        let shown = if path.ends_with(&id.to_string()) { "/v1/decisions/{id}" } else { path };
        let ratio = format!("{:.1}", ours.ratio(&theirs));
        section.row(&[shown, &bytes.to_string(), &theirs.cell(), &ours.cell(), &ratio]);
    }
    app.stop().await;
    Ok(section)
}

async fn timed(client: &mut Client, path: &str) -> Result<Duration> {
    let start = Instant::now();
    client.get(path).await?;
    Ok(start.elapsed())
}

/// Serves one constant.
async fn bare(body: Vec<u8>) -> Result<Client> {
    let body = axum::body::Bytes::from(body);
    let answer = move || async move { ([(CONTENT_TYPE, "application/json")], body) };
    let router = Router::new().route("/", get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Client::connect(port).await
}

/// A keep-alive client that does no more than both sides need.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    async fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let (head, length) = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server hung up");
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break (end + 4, length(&self.buffer[..end])?);
            }
        };
        while self.buffer.len() < head + length {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server hung up");
        }
        Ok(self.buffer[head..head + length].to_vec())
    }
}

fn length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?.to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 200"), "{head}");
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    Ok(line.context("the answer says how long it is")?.trim().parse()?)
}

/// Puts alerts into the store as a busy week would, and gives the id of one.
async fn fill(store: &Store) -> Result<DecisionId> {
    let mut last = None;
    for chunk in 0..DECISIONS / 100 {
        let mut batch = Batch::default();
        let evaluation = evaluation(chunk)?;
        for at in 0..100 {
            let decision = decision(chunk * 100 + at, evaluation.id)?;
            last = Some(decision.id);
            batch.decisions.push(decision);
        }
        batch.evaluations.push(evaluation);
        store.write(&batch).await?;
    }
    last.context("there are decisions")
}

fn evaluation(at: u32) -> Result<Evaluation> {
    Ok(Evaluation {
        id: Uuid::now_v7(),
        at: Timestamp::from_millis(1_800_000_000_000 + u64::from(at)),
        target: TargetName::new("main")?,
        policy: PolicyName::new("pool-alerts")?,
        digest: Digest([7; 32]),
        settings: "{}".to_owned(),
        input: b"{}".to_vec(),
        memory: Vec::new(),
        answer: b"{}".to_vec(),
    })
}

fn decision(at: u32, evaluation: Uuid) -> Result<Decision> {
    let evidence = [("size", 4.0), ("sv-active", 4.0), ("waiting", 7.0), ("demand", 11.5)];
    let evidence = evidence.map(|(name, value)| Evidence { name: name.to_owned(), value });
    let pool = PoolKey::new(&format!("db{}", at % 10), "app");
    Ok(Decision {
        id: DecisionId(Uuid::now_v7()),
        at: Timestamp::from_millis(1_800_000_000_000 + u64::from(at)),
        target: TargetName::new("main")?,
        policy: PolicyName::new("pool-alerts")?,
        origin: Origin::Plugin { digest: Digest([7; 32]), version: "0.1.0".into(), evaluation },
        subject: Subject::Pool(pool.clone()),
        mode: Mode::Enforce,
        status: Status::Resolved,
        proposal: Proposal::Alert {
            name: "pool-exhausted".to_owned(),
            subject: Subject::Pool(pool),
            severity: Severity::Critical,
            summary: "All 4 servers are busy and 7 clients wait.".to_owned(),
            hold: Duration::from_secs(1),
            cooldown: Duration::from_secs(60),
            labels: Vec::new(),
            runbook: String::new(),
            evidence: evidence.to_vec(),
        },
        verdict: None,
        size_from: None,
        size_to: None,
    })
}
