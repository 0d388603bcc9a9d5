//! A whole tick against the bare console round trips that it needs.
//!
//! The stages are driven here in the order in which `app` drives them, with the same functions, so
//! that start and end of a tick are exact; the task hops of `app` between them are in the overload
//! measurement, which runs the whole `App`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use poolwarden::actuate::{Actuated, Actuator, Change, log_in};
use poolwarden::clock::Clock;
use poolwarden::config::{Config, Target};
use poolwarden::console::{Depth, Poller, connect_options};
use poolwarden::control::{Control, Effect, Event, HandBack, Heard, Known, Resize, TargetSetup};
use poolwarden::evaluate::Registry;
use poolwarden::history::{Spans, TargetFacts};
use poolwarden::record::{Store, StoreOptions};
use poolwarden::sandbox::{Load, LoadOptions, Sandbox, SandboxOptions};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use crate::evaluate;
use crate::page::Section;
use crate::setup;
use crate::stats::Samples;

/// Rounds; each is one tick and one set of bare round trips.
const ROUNDS: usize = 150;
/// The size at the start of each tick; the load wants about three times as much.
const SIZE: u32 = 4;
/// Clients of the load.
const CLIENTS: u32 = 20;

const INTRODUCTION: &str = "\
One tick that ends in a change: poll, history, evaluation of both shipped policies, guard, the intent
in the store (SQLite on disk) while logging in as administrator, see that the size is still the expected one, `SET
default_pool_size`, read back. Against it the bare round trips: the same `SHOW`s on an open session, the
same login, `SHOW CONFIG`, the same `SET`, `SHOW CONFIG`, by the same driver, rows fetched and not looked
at. 20 clients queue for a pool whose size is set back to 4 before each round, and may be 12 at most. *Quick* is the poll that runs ten times a second while somebody waits,
*full* the one of each second.";

/// Everything that a tick goes through.
struct Stage {
    config: Config,
    store: Store,
    registry: Arc<Registry>,
    poller: Poller,
    actuator: Actuator,
    clock: Clock,
}

/// What the parts of one tick took.
#[derive(Default)]
struct Parts {
    poll: Samples,
    decide: Samples,
    record: Samples,
    act: Samples,
    whole: Samples,
    bare: Samples,
}

/// Measures ticks of both depths.
pub async fn run(plugins: &Path) -> Result<Section> {
    let options = SandboxOptions { default_pool_size: SIZE, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await?;
    let folder = tempfile::tempdir()?;
    let load = LoadOptions { clients: CLIENTS, ..LoadOptions::default() };
    let load = Load::start(&sandbox, load).await?;
    // Clients that still log in would be counted in.
    while load.samples().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut stage = Stage::new(&sandbox, folder.path(), plugins).await?;
    let mut section = Section::new("A whole tick against the bare round trips", INTRODUCTION);
    section.row(&[
        "poll",
        "poll",
        "history, evaluation, guard",
        "record and log in",
        "set and read back",
        "whole tick",
        "bare round trips",
        "tick/bare",
    ]);
    for (name, depth) in [("quick", Depth::Quick), ("full", Depth::Full)] {
        let it = stage.measure(depth).await?;
        let ratio = it.whole.ratio(&it.bare);
        section.target(format!("whole tick, {name} poll, / bare round trips"), ratio, 2.0, "");
        let ratio = format!("{ratio:.2}");
        section.row(&[
            name,
            &it.poll.cell(),
            &it.decide.cell(),
            &it.record.cell(),
            &it.act.cell(),
            &it.whole.cell(),
            &it.bare.cell(),
            &ratio,
        ]);
    }
    stage.poller.close().await;
    load.stop().await?;
    Ok(section)
}

impl Stage {
    async fn new(sandbox: &Sandbox, folder: &Path, plugins: &Path) -> Result<Self> {
        let config = setup::config(sandbox, folder, plugins, "")?;
        let store = StoreOptions {
            dir: config.store.dir.clone(),
            decisions_kept: config.store.decisions_kept,
            inputs_kept: config.store.inputs_kept,
            size_max_bytes: config.store.size_max_bytes,
        };
        let store = Store::open(&store).await?;
        let policies = tempfile::tempdir_in(folder)?.keep();
        let registry = Arc::new(evaluate::registry(plugins, &policies, "enforce")?);
        let target = config.targets.first().context("one target")?;
        let poller = Poller::new(target.console.clone(), Duration::from_secs(3600));
        let actuator = Actuator::new(Arc::new(target.clone()), BTreeMap::new());
        Ok(Self { store, registry, poller, actuator, clock: Clock::start(), config })
    }

    fn target(&self) -> &Target {
        &self.config.targets[0]
    }

    async fn measure(&mut self, depth: Depth) -> Result<Parts> {
        let mut parts = Parts::default();
        let console = self.target().console.clone();
        let mut watch = PgConnection::connect_with(&connect_options(
            &console.address,
            &console.tls,
            &console.watch,
            "pgbouncer",
        ))
        .await?;
        let shows = self.shows(depth).await?;
        for round in 0..ROUNDS {
            // Whoever comes second finds warmer caches; they take turns.
            for turn in [round % 2, (round + 1) % 2] {
                self.overload().await?;
                if turn == 0 {
                    self.tick(depth, &mut parts).await?;
                } else {
                    let start = Instant::now();
                    bare(&mut watch, &console, &shows).await?;
                    parts.bare.push(start.elapsed());
                }
            }
        }
        watch.close().await?;
        Ok(parts)
    }

    /// Learns which commands a poll of this depth sends.
    async fn shows(&mut self, depth: Depth) -> Result<Vec<String>> {
        self.poller.poll(&self.clock, Depth::Full).await?;
        let polled = self.poller.poll(&self.clock, depth).await?;
        let shown = polled.costs.iter().filter(|cost| cost.command != "connect");
        Ok(shown.map(|cost| format!("SHOW {}", cost.command.to_uppercase())).collect())
    }

    /// Sets the small size again and waits until clients queue.
    ///
    /// It closes no server while clients queue, so that each tick meets the servers of the one
    /// before; the decision is the same.
    async fn overload(&mut self) -> Result<()> {
        let console = &self.target().console;
        let act = console.act.as_ref().context("the sandbox has an administrator")?;
        let options = connect_options(&console.address, &console.tls, act, "pgbouncer");
        let mut act = PgConnection::connect_with(&options).await?;
        fetch(&mut act, format!("SET default_pool_size = {SIZE}")).await?;
        act.close().await?;
        let mut seen = Vec::new();
        for _ in 0..500 {
            // Full, so that the next quick poll knows the size.
            let polled = self.poller.poll(&self.clock, Depth::Full).await?;
            seen = polled.snapshot.pools;
            if seen.iter().any(|pool| pool.cl_waiting > 0 && pool.sv_active >= SIZE) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("the load does not queue: {seen:?}")
    }

    async fn tick(&mut self, depth: Depth, parts: &mut Parts) -> Result<()> {
        // No memory of the changes before: the guard would space them out.
        let mut control = control(&self.config, &self.clock);
        let target = self.target().name.clone();
        let start = Instant::now();
        let polled = self.poller.poll(&self.clock, depth).await?;
        let at_poll = Instant::now();
        let event = Event::Polled { target: target.clone(), snapshot: polled.snapshot };
        let effects = control.apply(event, self.clock.now());
        let (window, memories) = effects
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Evaluate { window, memories, .. } => Some((window, memories)),
                _ => None,
            })
            .context("a poll leads to an evaluation")?;
        let (serving, name) = (self.registry.serving(), target.clone());
        let evaluate = move || serving.evaluate(&name, *window, &memories);
        let results = tokio::task::spawn_blocking(evaluate).await?;
        let results = results.into_iter().map(Heard::from).collect();
        let event = Event::Evaluated { target, results };
        let resize = resize(control.apply(event, self.clock.now()))?;
        let at_decide = Instant::now();
        let console = &self.target().console;
        let (written, login) = tokio::join!(self.store.write(&resize.intent), log_in(console));
        written?;
        let at_record = Instant::now();
        let (setting, from, to) = (resize.setting.clone(), resize.from, resize.size);
        let done = self.actuator.apply(login, &[Change { setting, from, to }], || true).await;
        let end = Instant::now();
        ensure!(done.came.iter().all(|(_, came)| *came == Actuated::InForce), "{done:?}");
        parts.poll.push(at_poll - start);
        parts.decide.push(at_decide - at_poll);
        parts.record.push(at_record - at_decide);
        parts.act.push(end - at_record);
        parts.whole.push(end - start);
        Ok(())
    }
}

fn resize(effects: Vec<Effect>) -> Result<Box<Resize>> {
    let said = format!("{effects:?}");
    let mut found = effects.into_iter().filter_map(|effect| match effect {
        Effect::Resize(resize) => Some(resize),
        _ => None,
    });
    found.next().with_context(|| format!("an overloaded pool is not resized: {said}"))
}

/// Sends what a tick sends, and nothing else.
async fn bare(
    watch: &mut PgConnection,
    console: &poolwarden::config::Console,
    shows: &[String],
) -> Result<()> {
    for show in shows {
        fetch(watch, show.clone()).await?;
    }
    let act = console.act.as_ref().context("the sandbox has an administrator")?;
    let options = connect_options(&console.address, &console.tls, act, "pgbouncer");
    let mut act = PgConnection::connect_with(&options).await?;
    for command in ["SHOW CONFIG", "SET default_pool_size = 12", "SHOW CONFIG"] {
        fetch(&mut act, command.to_owned()).await?;
    }
    act.close().await?;
    Ok(())
}

async fn fetch(connection: &mut PgConnection, command: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(command)).fetch_all(connection).await?;
    Ok(())
}

fn control(config: &Config, clock: &Clock) -> Control {
    let target = &config.targets[0];
    let setup = TargetSetup {
        facts: TargetFacts {
            name: target.name.clone(),
            labels: Arc::default(),
            limits: target.limits.clone(),
            can_act: true,
        },
        mode: target.mode,
        sessions: target.sessions,
        spans: Spans {
            short: config.history.short_span,
            long: config.history.long_span,
            drain_horizon: config.history.drain_horizon,
            login_queue_after: config.history.login_queue_after,
            wedged_after: config.history.wedged_after,
            stale_after: Duration::from_secs(5),
        },
        hand_back: HandBack::Keep,
        effect: target.effect,
        rejected_for: Duration::from_secs(3_600),
        known: Known { now: clock.now(), ..Known::default() },
        looks_every: target.database.as_ref().map(|database| database.interval),
        instance: None,
    };
    Control::new(vec![setup], Box::new(|_| Uuid::now_v7()))
}
