//! From the first client that has to wait to the size that was read back, on the whole sidecar.
//!
//! The first waiter is a client of ours, so that its moment is known; what came of it is read from
//! the same view that the HTTP server answers from.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use poolwarden::app::App;
use poolwarden::sandbox::{Sandbox, SandboxOptions};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::task::JoinSet;

use crate::page::Section;
use crate::setup;
use crate::stats::{Samples, short};

/// Runs of each way into the overload; every one starts the sidecar anew.
const RUNS: u32 = 20;
/// Servers of the pool.
const SIZE: u32 = 4;
/// Clients that come at once in a burst.
const BURST: u32 = 20;

const INTRODUCTION: &str = "\
The whole sidecar (`App`) with the shipped policies; from the moment at which a client sends the first
query that has to wait, to the moment at which the larger size has been read back. *Full pool*: all 4
servers have been busy for a while when one more client comes, so that the fast poll (100 ms) runs
already. *Burst*: nobody has been there and 20 clients come at once, which only the slow poll (1 s) can
see first. Each run starts a new sidecar and meets another phase of its poll.";

/// How the overload comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    FullPool,
    Burst,
}

/// What a tick may take beside the poll, in milliseconds; on a busy machine it waits for its turn.
const TICK_MS: f64 = 20.0;

impl Way {
    /// Gives the most it may take, in milliseconds, and the poll that it has to wait for.
    fn limit(self) -> (f64, &'static str) {
        match self {
            Self::FullPool => (100.0 + TICK_MS, "fast poll"),
            Self::Burst => (1_000.0 + TICK_MS, "slow poll"),
        }
    }
}

/// Measures both ways.
pub async fn run(plugins: &Path) -> Result<Section> {
    let options = SandboxOptions { default_pool_size: SIZE, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await?;
    let mut section = Section::new("From the first waiter to the verified resize", INTRODUCTION);
    section.row(&["way", "runs", "least", "median", "90 %", "most"]);
    for (name, way) in [("full pool", Way::FullPool), ("burst", Way::Burst)] {
        let mut samples = Samples::default();
        for run in 0..RUNS {
            samples.push(once(&sandbox, plugins, way, run).await?);
        }
        let at = |percent| short(samples.percentile(percent));
        let runs = samples.len().to_string();
        let (limit, poll) = way.limit();
        let most = samples.percentile(90).as_secs_f64() * 1e3;
        section.target(
            format!(
                "first waiter to verified resize, {name}, 90 % of {runs} (one {poll} and one tick)"
            ),
            most,
            limit,
            " ms",
        );
        section.row(&[name, &runs, &at(0), &at(50), &at(90), &at(100)]);
    }
    Ok(section)
}

async fn once(sandbox: &Sandbox, plugins: &Path, way: Way, run: u32) -> Result<Duration> {
    let folder = tempfile::tempdir()?;
    let config = setup::config(sandbox, folder.path(), plugins, SHUTDOWN)?;
    let app = App::start(config).await?;
    // The policies must serve and the first poll be over; each run waits a little longer.
    let phase = Duration::from_millis(u64::from(run) * 1_000 / u64::from(RUNS));
    let mut view = app.view();
    view.wait_for(|view| view.targets.iter().any(|target| !target.scopes.is_empty())).await?;
    let mut clients = JoinSet::new();
    let held = if way == Way::FullPool { SIZE } else { 0 };
    for client in connect(sandbox, held).await? {
        clients.spawn(hold(client, 3.0));
    }
    let late = match way {
        Way::FullPool => connect(sandbox, 1).await?,
        Way::Burst => connect(sandbox, BURST).await?,
    };
    tokio::time::sleep(Duration::from_millis(1_200) + phase).await;
    let start = Instant::now();
    for client in late {
        clients.spawn(hold(client, 0.5));
    }
    let grown = view.wait_for(|view| {
        let mut scopes = view.targets.iter().flat_map(|target| &target.scopes);
        scopes.any(|scope| scope.wanted.is_some_and(|size| size.get() > SIZE))
    });
    let waited = tokio::time::timeout(Duration::from_secs(10), grown).await;
    waited.context("the pool is not resized")??;
    let took = start.elapsed();
    clients.abort_all();
    while clients.join_next().await.is_some() {}
    app.stop().await;
    Ok(took)
}

/// The next run starts with the file's size again.
const SHUTDOWN: &str = "[shutdown]\nsizes = \"hand_back\"";

async fn connect(sandbox: &Sandbox, count: u32) -> Result<Vec<PgConnection>> {
    let options = sandbox.pgbouncer().connect_options("app", "app");
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(PgConnection::connect_with(&options).await?);
    }
    Ok(clients)
}

/// Keeps a server busy; what comes of it does not matter.
async fn hold(mut client: PgConnection, seconds: f64) {
    let sql = format!("select pg_sleep({seconds})");
    let _ = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut client).await;
}
