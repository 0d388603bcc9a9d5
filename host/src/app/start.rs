//! Starts a sidecar from a checked configuration.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::{ContextV7, Uuid};

use super::drive::{Actor, Drive};
use super::recorder::{BATCHES, Recorder};
use super::{App, EVENTS};
use crate::actuate::Actuator;
use crate::clock::Clock;
use crate::collect::{Collector, attend, observe};
use crate::config::{Config, ExitSizes, Target};
use crate::console::Instance;
use crate::control::{Control, Ids, Known, TargetSetup, TargetView, View};
use crate::evaluate::{Compile, Registry, Runtime, RuntimeError, watch as watch_policies};
use crate::history::{Spans, TargetFacts};
use crate::metrics::Metrics;
use crate::model::{Claim, Mode, Timestamp};
use crate::record::{RecordError, Store, StoreOptions};
use crate::serve::{ASKS, ServeState, router, serve};

/// Decisions that a slow listener of the stream may lag behind.
const TOLD: usize = 256;
/// The span of `changes_per_hour`.
const AN_HOUR: Duration = Duration::from_secs(3_600);

/// A sidecar that cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[from] RecordError),
    /// The Wasm runtime cannot be set up.
    #[error("policies cannot be run")]
    Runtime(#[from] RuntimeError),
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on; set http.listen to a free address")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A start-up step died.
    #[error("a start-up step died")]
    Step(#[from] tokio::task::JoinError),
}

impl App {
    /// Starts everything; returns when HTTP is being served.
    ///
    /// # Errors
    /// When the store, the runtime or the address cannot be had.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Compile::Here).await
    }

    /// Starts everything, compiling plugins where it is told to.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(mut config: Config, compile: Compile) -> Result<Self, StartError> {
        let clock = Clock::start();
        let id = Uuid::now_v7();
        config.targets.iter_mut().for_each(|target| name_instance(target, id));
        let store = Arc::new(Store::open(&store_options(&config)).await?);
        let cache = config.store.dir.join("compiled");
        let runtime = Arc::new(Runtime::with_cache(&cache, compile)?);
        let registry = Arc::new(Registry::new(runtime, config.policies.clone()));
        let first_look = Arc::clone(&registry);
        let now = clock.now();
        tokio::task::spawn_blocking(move || first_look.rescan(now)).await?;
        let address = config.http.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| StartError::Listen { address, source })?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let control = control(&config, &store, &clock).await?;
        Ok(Self::spawn(config, Parts { clock, store, registry, listener, address, control }))
    }

    fn spawn(config: Config, parts: Parts) -> Self {
        let Parts { clock, store, registry, listener, address, control } = parts;
        let (stop, drained, tasks) =
            (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let metrics = Arc::new(Metrics::new());
        let (problem, store_problem) = watch::channel(None);
        let (told, _) = broadcast::channel(TOLD);
        let recorder = Arc::new(Recorder {
            store: Arc::clone(&store),
            metrics: Arc::clone(&metrics),
            problem,
            told: told.clone(),
            clock: clock.clone(),
            stored: std::sync::Mutex::default(),
            answered: std::sync::Mutex::default(),
        });
        let (batches, queue) = mpsc::channel(BATCHES);
        let waiting = Arc::default();
        tasks.spawn(Arc::clone(&recorder).run(queue, Arc::clone(&waiting), drained.clone()));
        let every = config.policies.rescan_interval;
        tasks.spawn(watch_policies(Arc::clone(&registry), clock.clone(), every, stop.clone()));

        let (collected, collections) = mpsc::channel(EVENTS);
        let targets = if config.monitoring { config.targets.as_slice() } else { &[] };
        let now = control.view(clock.now());
        let actors = targets
            .iter()
            .map(|target| {
                let nudge = Arc::new(Notify::new());
                let postgres = watch_postgres(target, &clock, &tasks, &stop);
                let collector = Collector {
                    target: target.clone(),
                    poll: config.poll.clone(),
                    clock: clock.clone(),
                    postgres,
                    nudge: Arc::clone(&nudge),
                };
                tasks.spawn(collector.run(collected.clone(), stop.clone()));
                let actor = actor(target, nudge, &now);
                if let Some(instance) = target.console.instance.clone().filter(|_| may_act(target))
                {
                    // Until the end, because until then something may be sent.
                    let (target, out) = (Arc::clone(&actor.target), collected.clone());
                    tasks.spawn(attend(target, instance, out, drained.clone()));
                }
                (target.name.clone(), actor)
            })
            .collect();
        let (show, view) = watch::channel(Arc::new(control.view(clock.now())));
        let (stopping, stops) = mpsc::channel(1);
        let (asks, asked) = mpsc::channel(ASKS);
        let drive = Drive::new(
            control,
            clock.clone(),
            actors,
            Arc::clone(&registry),
            recorder,
            batches,
            waiting,
            show,
        );
        drive.watch_reach(&tasks, &stop);
        let control = tokio::spawn(drive.run(collections, asked, stops));
        let state = ServeState {
            view: view.clone(),
            store: Arc::clone(&store),
            registry: Arc::clone(&registry),
            metrics,
            decisions: told,
            store_problem,
            token: config.http.token.clone(),
            asks,
            clock,
            expected_interval: config.poll.interval,
        };
        tasks.spawn(serve_http(listener, state, stop.clone()));
        tracing::info!(%address, targets = targets.len(), "serving");
        let grace = config.shutdown.grace;
        Self { address, view, store, registry, stop, drained, control, tasks, stopping, grace }
    }
}

struct Parts {
    clock: Clock,
    store: Arc<Store>,
    registry: Arc<Registry>,
    listener: TcpListener,
    address: SocketAddr,
    control: Control,
}

async fn serve_http(listener: TcpListener, state: ServeState, stop: CancellationToken) {
    if let Err(error) = serve(listener, router(state), stop).await {
        tracing::error!(%error, "HTTP is no longer served");
    }
}

/// Makes what acts on a target; it knows the sizes that the sidecar had brought into force before.
fn actor(target: &Target, nudge: Arc<Notify>, now: &View) -> Actor {
    let known = now.targets.iter().find(|one| one.name == target.name);
    let wanted = known.map(TargetView::wanted).unwrap_or_default();
    let target = Arc::new(target.clone());
    let actuator = Arc::new(Actuator::new(Arc::clone(&target), wanted));
    Actor { target, nudge, turn: Arc::default(), actuator }
}

fn watch_postgres(
    target: &Target,
    clock: &Clock,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> watch::Receiver<Option<Arc<crate::model::DatabaseSample>>> {
    let (out, sample) = watch::channel(None);
    if let Some(database) = &target.database {
        tasks.spawn(observe(
            target.name.clone(),
            database.clone(),
            clock.clone(),
            out,
            stop.clone(),
        ));
    }
    sample
}

/// Gives this sidecar a name on a target's console, so that others there can be told from it.
fn name_instance(target: &mut Target, id: Uuid) {
    let claim = if may_act(target) { Claim::Waits } else { Claim::Watches };
    target.console.instance = Some(Instance::new(id, claim));
}

/// Says whether anything may ever be changed on a target.
fn may_act(target: &Target) -> bool {
    target.mode == Mode::Enforce && target.console.act.is_some()
}

fn store_options(config: &Config) -> StoreOptions {
    StoreOptions {
        dir: config.store.dir.clone(),
        decisions_kept: config.store.decisions_kept,
        inputs_kept: config.store.inputs_kept,
        size_max_bytes: config.store.size_max_bytes,
    }
}

/// Makes the control state from what is configured and what the store knows.
async fn control(config: &Config, store: &Store, clock: &Clock) -> Result<Control, StartError> {
    let mut setups = Vec::new();
    let unsettled = store.unsettled().await?;
    let memories = store.memories().await?;
    for target in &config.targets {
        let name = &target.name;
        let known = Known {
            changes: store.changes(name, clock.now().minus(AN_HOUR)).await?,
            effects: store.effect_states(name).await?,
            scopes: store.scope_states(name).await?,
            alerts: store.alerts(name).await?,
            advice: store.standing(name).await?,
            memories: memories.iter().filter(|row| row.target == *name).cloned().collect(),
            hold: store.hold(name, clock.now()).await?,
            rejected: store.rejected(name, clock.now().minus(target.rejected_for)).await?,
            unsettled: unsettled.iter().filter(|row| row.target == *name).cloned().collect(),
            now: clock.now(),
        };
        setups.push(setup(config, target, known));
    }
    let silences = store.silences(clock.now()).await?;
    Ok(Control::new(setups, ids()).with_silences(silences, clock.now()))
}

fn setup(config: &Config, target: &Target, known: Known) -> TargetSetup {
    use crate::control::HandBack;
    let history = &config.history;
    // Three polls may be missed before numbers count as old.
    let missed = config.poll.interval.saturating_mul(3).max(Duration::from_secs(3));
    TargetSetup {
        facts: TargetFacts {
            name: target.name.clone(),
            labels: Arc::new(target.labels.clone()),
            limits: target.limits.clone(),
            can_act: target.console.act.is_some(),
        },
        mode: target.mode,
        sessions: target.sessions,
        effect: target.effect,
        spans: Spans {
            short: history.short_span,
            long: history.long_span,
            drain_horizon: history.drain_horizon,
            login_queue_after: history.login_queue_after,
            wedged_after: history.wedged_after,
            stale_after: target.limits.data_age_max.max(missed),
        },
        rejected_for: target.rejected_for,
        hand_back: match config.shutdown.sizes {
            ExitSizes::Keep => HandBack::Keep,
            ExitSizes::HandBack => HandBack::HandBack,
        },
        known,
        looks_every: target.database.as_ref().map(|database| database.interval),
        instance: target
            .console
            .instance
            .as_ref()
            .filter(|_| may_act(target))
            .map(|instance| instance.peer().id),
    }
}

/// UUIDv7 of the decision's own moment, so that ids sort by it; a counter keeps the order within a
/// millisecond.
fn ids() -> Ids {
    let context = ContextV7::new();
    Box::new(move |at: Timestamp| {
        let (s, ms) = (at.as_millis() / 1_000, at.as_millis() % 1_000);
        let nanos = u32::try_from(ms).unwrap_or(0) * 1_000_000;
        Uuid::new_v7(uuid::Timestamp::from_unix(&context, s, nanos))
    })
}
