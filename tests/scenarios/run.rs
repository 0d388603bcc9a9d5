//! One run: servers, maybe a sidecar, the load, and what was seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use poolwarden::sandbox::{DatabaseOptions, Sandbox, SandboxOptions};
use tokio::time::Instant;

use crate::arrivals::{Arrival, Work, draw};
use crate::driver::{Client, Crowd, Done, errors};
use crate::incident;
use crate::pin::{Processors, Share};
use crate::record::{IDLE_S, Run, Times, Variant};
use crate::scenario::Scenario;
use crate::series;
use crate::sidecar::Sidecar;
use crate::watch::Watch;

/// The size in the file from which Poolwarden starts.
pub const START_SIZE: u32 = 5;
/// From when everything stands to when the load begins: a sidecar first looks for another one for two
/// seconds, and in life it has done so long before.
const LEAD: Duration = Duration::from_millis(2_300);
/// For so long the load is what the story begins with, before the story begins and anything is measured:
/// no pool is new in life, and none of the stories is about one that is.
const WARM_UP: Duration = Duration::from_secs(6);
/// How long beyond the load's length answers are waited for.
const GRACE: Duration = Duration::from_secs(8);

/// What a run needs besides its scenario.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The sidecar's program.
    pub sidecar: PathBuf,
    /// The processors.
    pub processors: Processors,
    /// Rows of a series that one core counts in a millisecond.
    pub rows_per_ms: f64,
    /// Where compiled plugins are.
    pub compiled: PathBuf,
    /// Where logs of sidecars are kept.
    pub logs: PathBuf,
}

/// One run to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The story.
    pub scenario: Scenario,
    /// Who sets the size.
    pub variant: Variant,
    /// The number of the run.
    pub number: u32,
    /// What the arrivals are drawn from.
    pub seed: u64,
}

impl Plan {
    /// Says whether this is what was run there.
    pub fn is_of(&self, run: &Run) -> bool {
        (self.scenario.name, self.variant, self.number, self.seed)
            == (run.scenario.as_str(), run.variant, run.number, run.seed)
    }
}

/// Does one run.
pub async fn run(plan: &Plan, ground: &Ground) -> Result<Run> {
    let scenario = &plan.scenario;
    let sandbox = start_servers(plan, ground).await?;
    let mut sidecar = match plan.variant {
        Variant::Poolwarden => {
            Some(Sidecar::start(&ground.sidecar, &sandbox, &ground.compiled).await?)
        }
        Variant::Static(_) | Variant::Closing(_) => None,
    };
    let (mut crowds, mut arrivals, mut warm) = (Vec::new(), Vec::new(), Vec::new());
    for (stream, salt) in scenario.streams.iter().zip(0..) {
        // Each stream draws for itself.
        let seed = plan.seed.wrapping_mul(1_000).wrapping_add(salt);
        let drawn = draw(stream, scenario.length(), seed, ground.rows_per_ms);
        let before = draw(&stream.calm(), WARM_UP, !seed, ground.rows_per_ms);
        warm.push(before.len());
        let options = sandbox.pgbouncer().connect_options("app", stream.database);
        crowds.push(Crowd::connect(one_after_the_other(before, &drawn), options).await?);
        arrivals.push(drawn);
    }
    let begins = Instant::now() + LEAD;
    let start = begins + WARM_UP;
    let watch = Watch::start(&sandbox, start, scenario.max_connections);
    let cut = scenario.length() + GRACE;
    let crowds = crowds.into_iter().map(|crowd| tokio::spawn(crowd.run(begins, WARM_UP + cut)));
    let load = futures_join(crowds.collect());
    let (done, happened) = tokio::join!(load, incident::happen(scenario.incident, &sandbox, start));
    happened?;
    let done = done?;
    let errors = errors(&done.concat());
    let done = done.into_iter().zip(warm).map(|(done, warm)| of_the_story(done, warm)).collect();
    let seen = Seen { arrivals, done, cut };
    let mut result = Run { errors, ..seen.run(plan, watch) };
    if let Some(sidecar) = &mut sidecar {
        result.sidecar_alive = Some(sidecar.is_running());
        keep(sidecar, plan, &ground.logs).await?;
    }
    ensure!(result.samples > 0, "PgBouncer was never seen");
    // Ending servers takes a while and blocks, which other runs' clients must not feel.
    tokio::task::spawn_blocking(move || drop((sidecar, sandbox))).await?;
    Ok(result)
}

fn one_after_the_other(warm: Vec<Arrival>, story: &[Arrival]) -> Vec<Arrival> {
    let later = |one: &Arrival| Arrival { at: one.at + WARM_UP, ..one.clone() };
    warm.into_iter().chain(story.iter().map(later)).collect()
}

/// Leaves the answers of the first requests out; times count from the story's start.
fn of_the_story(done: Vec<Done>, warm: usize) -> Vec<Done> {
    let from_start = |at: Duration| at.saturating_sub(WARM_UP);
    let of_story = |one: Done| {
        let index = one.index.checked_sub(warm)?;
        Some(Done { index, begun: from_start(one.begun), ended: from_start(one.ended), ..one })
    };
    done.into_iter().filter_map(of_story).collect()
}

/// Waits for tasks that must not panic; those that are left end with the error.
async fn futures_join(tasks: Vec<tokio::task::JoinHandle<Vec<Done>>>) -> Result<Vec<Vec<Done>>> {
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.context("the clients of a stream panicked")?);
    }
    Ok(all)
}

async fn start_servers(plan: &Plan, ground: &Ground) -> Result<Sandbox> {
    let scenario = &plan.scenario;
    let databases = scenario.streams.iter().map(|one| DatabaseOptions::inherited(one.database));
    let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let sandbox = Sandbox::start(SandboxOptions {
        databases: databases.collect(),
        default_pool_size: match plan.variant {
            Variant::Static(size) | Variant::Closing(size) => size,
            Variant::Poolwarden => START_SIZE,
        },
        max_connections: scenario.max_connections,
        max_client_conn: 1_000,
        postgres_settings: [("jit", "off"), ("work_mem", "64MB"), ("autovacuum", "off")]
            .map(text)
            .to_vec(),
        pgbouncer_settings: pgbouncer_settings(plan.variant),
        ..SandboxOptions::default()
    })
    .await?;
    if scenario.is_alone() {
        let pid = sandbox.postgres().pid().context("PostgreSQL runs")?;
        ground.processors.pin(pid, Share::Last)?;
    }
    for stream in &scenario.streams {
        if matches!(stream.work, Work::Locked { .. }) {
            let sql = "create table hot (n bigint) with (fillfactor = 10); \
                       insert into hot values (0); grant all on hot to app";
            sandbox.postgres().query(stream.database, sql).await?;
        }
    }
    Ok(sandbox)
}

fn pgbouncer_settings(variant: Variant) -> Vec<(String, String)> {
    let mut settings =
        vec![("log_connections", "0".to_owned()), ("log_disconnections", "0".to_owned())];
    if let Variant::Closing(_) = variant {
        settings.push(("server_idle_timeout", IDLE_S.to_string()));
    }
    settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Keeps what a sidecar logged and decided, for whoever asks why.
async fn keep(sidecar: &Sidecar, plan: &Plan, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let name = format!("{}-{}", plan.scenario.name, plan.number);
    std::fs::write(folder.join(format!("{name}.log")), sidecar.log())?;
    let decisions = sidecar.decisions().await.unwrap_or_else(|error| error.to_string());
    std::fs::write(folder.join(format!("{name}.decisions.json")), decisions)?;
    Ok(())
}

/// What came of the load, by stream.
struct Seen {
    arrivals: Vec<Vec<Arrival>>,
    done: Vec<Vec<Done>>,
    cut: Duration,
}

impl Seen {
    fn run(self, plan: &Plan, watch: Watch) -> Run {
        let scenario = &plan.scenario;
        let (mut client, mut wait, mut late) = (times(), times(), times());
        let mut by_database = BTreeMap::new();
        let (mut served, mut last) = (0_u64, Duration::ZERO);
        let (mut overload, mut latest) = (0_u64, (Duration::ZERO, Duration::ZERO));
        for ((stream, arrivals), done) in
            scenario.streams.iter().zip(&self.arrivals).zip(&self.done)
        {
            let mut own = times();
            let mut answered = vec![false; arrivals.len()];
            for one in done {
                answered[one.index] = true;
                let arrival = &arrivals[one.index];
                if one.client == Client::Free {
                    let by = one.begun.saturating_sub(arrival.at);
                    record(&mut late, by);
                    latest = latest.max((by, arrival.at));
                }
                if one.error.is_some() {
                    continue;
                }
                let took = one.ended.saturating_sub(arrival.at);
                record(&mut own, took);
                record(&mut wait, took.saturating_sub(arrival.needs));
                served += 1;
                last = last.max(one.ended);
                overload += u64::from(within(scenario.overload_s, one.ended));
            }
            for (arrival, _) in arrivals.iter().zip(answered).filter(|(_, answered)| !answered) {
                let waited = self.cut.saturating_sub(arrival.at);
                record(&mut own, waited);
                record(&mut wait, waited);
                last = self.cut;
            }
            client.add(&own).expect("histograms of one shape");
            by_database.insert(stream.database.to_owned(), summary(&own));
        }
        let requests: usize = self.arrivals.iter().map(Vec::len).sum();
        let finished: usize = self.done.iter().map(Vec::len).sum();
        let work = self.arrivals.iter().flatten().map(|one| one.needs.as_secs_f64()).sum();
        // Both ends count alike for all: what is open while nothing is asked is not free.
        let end_s = last.as_secs_f64().max(scenario.length_s);
        let (samples, sessions) = watch.finish();
        let rooms = samples.iter().map(|one| i64::from(one.budget) - i64::from(one.could_open));
        let steady = scenario.steady_from_s;
        Run {
            scenario: scenario.name.to_owned(),
            variant: plan.variant,
            number: plan.number,
            seed: plan.seed,
            length_s: scenario.length_s,
            requests: count(requests),
            work_s: work,
            served,
            unserved: count(requests - finished),
            errors: BTreeMap::new(),
            client_ms: summary(&client),
            wait_ms: summary(&wait),
            database_ms: by_database,
            late_ms: summary(&late),
            latest_s: latest.1.as_secs_f64(),
            throughput_per_s: float(served) / last.as_secs_f64().max(f64::MIN_POSITIVE),
            overload_per_s: scenario.overload_s.map(|(from, to)| float(overload) / (to - from)),
            connection_s: series::connection_seconds(&samples, end_s),
            waiting_s: series::waiting_seconds(&samples, end_s),
            changes: series::changes(&samples, 0.0),
            steady: steady.map(|from| (series::changes(&samples, from), scenario.length_s - from)),
            path: series::path(&samples),
            end_s,
            samples: count(samples.len()),
            over_budget: count(rooms.clone().filter(|room| *room < 0).count()),
            budget_room: rooms.min().unwrap_or(0),
            sessions,
            sidecar_alive: None,
            retried: 0,
            timeline: series::timeline(&samples),
        }
    }
}

fn within(span: Option<(f64, f64)>, at: Duration) -> bool {
    span.is_some_and(|(from, to)| (from..to).contains(&at.as_secs_f64()))
}

/// Microseconds up to ten minutes, to three digits.
fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("bounds that the library documents")
}

fn record(times: &mut Histogram<u64>, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

fn summary(times: &Histogram<u64>) -> Times {
    let ms = |micros: u64| float(micros) / 1e3;
    Times {
        p50: ms(times.value_at_quantile(0.5)),
        p99: ms(times.value_at_quantile(0.99)),
        max: ms(times.max()),
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Exact up to 2³², beyond which nothing here counts.
fn float(n: u64) -> f64 {
    u32::try_from(n).map_or(f64::from(u32::MAX), f64::from)
}
