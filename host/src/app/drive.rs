//! The control task: takes events one by one, lets control decide, and carries out what it says.

mod resize;
mod sessions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use super::EVENTS;
use super::cadence::Cadence;
use super::past::Pasts;
use super::recorder::{Recorder, bytes_of};
use crate::actuate::{Actuator, Probe};
use crate::clock::Clock;
use crate::collect::Collected;
use crate::config::Target;
use crate::control::{
    Control, Effect, Event, Heard, Memories, Order, PoolBucket, Role, TargetView, View,
};
use crate::evaluate::{Part, Policy, Registry, Round};
use crate::history::Bucket;
use crate::model::{Claim, TargetName, Told, Window};
use crate::record::{Batch, HistorySample, Memory, PoolCounts};
use crate::report::chain;
use crate::serve::{Ask, Refused, Reply};

/// How often history and memories go to the store and old rows leave it.
const UPKEEP: Duration = Duration::from_secs(10);
/// How often the view is renewed at most.
const SHOW: Duration = Duration::from_millis(250);

/// How often the view is renewed at least, so that its age tells whether this task lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// History buckets that wait for a store that fails; the oldest are let go.
const SAMPLES_MAX: usize = 100_000;
/// Bytes of records that wait for a store that fails; what comes then is let go.
///
/// A week of 500 pools is an input of 24 MB, and two policies may look back in one tick.
const WAITING_MAX_BYTES: usize = 96 << 20;

/// Why something did not come to its end that should have.
const DIED: &str = "a defect of the sidecar";

/// What it takes to act on a target.
#[derive(Debug)]
pub struct Actor {
    pub target: Arc<Target>,
    pub nudge: Arc<Notify>,
    /// Changes of one PgBouncer one after the other: a `RELOAD` touches what a `SET` has set.
    pub turn: Arc<tokio::sync::Mutex<()>>,
    /// Brings sizes into force.
    pub actuator: Arc<Actuator>,
}

/// The control task's state.
pub struct Drive {
    control: Control,
    clock: Clock,
    actors: BTreeMap<TargetName, Actor>,
    registry: Arc<Registry>,
    recorder: Arc<Recorder>,
    batches: mpsc::Sender<Box<Batch>>,
    show: watch::Sender<Arc<View>>,
    shown: Instant,
    /// Targets that do not answer, with the kind of failure that was logged.
    failing: BTreeMap<TargetName, &'static str>,
    /// When each policy was last asked.
    cadence: Cadence,
    /// What policies see of the longer past.
    pasts: Arc<Pasts>,
    /// When the poll that led to the present evaluation came in.
    tick_start: BTreeMap<TargetName, Instant>,
    events: mpsc::Sender<Event>,
    incoming: Option<mpsc::Receiver<Event>>,
    /// Evaluations and changes under way.
    work: TaskTracker,
    /// History that the store would not take yet.
    unwritten: Arc<Mutex<Vec<HistorySample>>>,
    /// What the policies remembered when it was last written.
    remembered: Vec<Memory>,
    /// Bytes of the batches that wait for the store.
    waiting: Arc<AtomicUsize>,
    /// Who waits for an order to be recorded; one at a time, the others queue.
    asker: Option<Reply>,
}

impl Drive {
    #[expect(clippy::too_many_arguments, reason = "wiring; a struct would repeat the fields")]
    pub fn new(
        control: Control,
        clock: Clock,
        actors: BTreeMap<TargetName, Actor>,
        registry: Arc<Registry>,
        recorder: Arc<Recorder>,
        batches: mpsc::Sender<Box<Batch>>,
        waiting: Arc<AtomicUsize>,
        show: watch::Sender<Arc<View>>,
    ) -> Self {
        let (events, incoming) = mpsc::channel(EVENTS);
        Self {
            control,
            clock,
            actors,
            registry,
            cadence: Cadence::default(),
            pasts: Arc::new(Pasts::new(Arc::clone(&recorder))),
            recorder,
            batches,
            show,
            shown: Instant::now(),
            failing: BTreeMap::new(),
            tick_start: BTreeMap::new(),
            events,
            incoming: Some(incoming),
            work: TaskTracker::new(),
            unwritten: Arc::default(),
            remembered: Vec::new(),
            waiting,
            asker: None,
        }
    }

    /// Runs until a stop is asked for and everything under way is done.
    pub async fn run(
        mut self,
        mut collected: mpsc::Receiver<Collected>,
        mut asks: mpsc::Receiver<Ask>,
        mut stops: mpsc::Receiver<()>,
    ) {
        let mut events = self.incoming.take().expect("run is called once");
        let mut upkeep = interval(UPKEEP);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stops.recv() => break,
                Some(event) = events.recv() => self.take(event),
                Some(ask) = asks.recv(), if self.asker.is_none() => self.ask(ask),
                Some(seen) = collected.recv() => self.see(seen),
                _ = upkeep.tick() => self.upkeep(),
                _ = heartbeat.tick() => self.show(),
            }
        }
        drop(collected);
        self.drain(&mut events).await;
    }

    fn see(&mut self, seen: Collected) {
        let metrics = &self.recorder.metrics;
        let event = match seen {
            Collected::Polled { target, snapshot, costs } => {
                metrics.polled(&target, &costs);
                if self.failing.remove(&target).is_some() {
                    tracing::info!(target = target.as_str(), "the target answers again");
                }
                self.tick_start.insert(target.clone(), Instant::now());
                if let Some(actor) = self.actors.get(&target) {
                    actor.actuator.note_settings(&snapshot.server.settings);
                }
                Event::Polled { target, snapshot: *snapshot }
            }
            Collected::Attended { target, peers, every, cost } => {
                metrics.attended(&target, &cost);
                Event::Attended { target, peers, every }
            }
            Collected::Failed { target, kind, problem } => {
                metrics.poll_failed(&target, kind);
                // A target that stays away is news once.
                if self.failing.insert(target.clone(), kind) != Some(kind) {
                    tracing::warn!(target = target.as_str(), kind, problem, "a poll failed");
                }
                Event::PollFailed { target, kind, problem }
            }
        };
        self.take(event);
    }

    /// Takes in what a person asks for; the answer comes when it is recorded and holds.
    fn ask(&mut self, ask: Ask) {
        // Who has gone was told that it is withdrawn.
        if !ask.reply.is_closed() {
            self.asker = Some(ask.reply);
            self.take(Event::Ordered(Box::new(ask.order)));
        }
    }

    fn answer(&mut self, answer: Result<(), Refused>) {
        if let Some(asker) = self.asker.take() {
            // Who has gone does not want to know.
            let _ = asker.send(answer);
        }
    }

    fn take(&mut self, event: Event) {
        let urgent = matches!(
            event,
            Event::Acted { .. }
                | Event::Ended { .. }
                | Event::PollFailed { .. }
                | Event::OrderKept { .. }
        );
        let kept = match &event {
            Event::OrderKept { kept, .. } => Some(kept.clone().map_err(Refused::NotRecorded)),
            _ => None,
        };
        let effects = self.control.apply(event, self.clock.now());
        let acts = !effects.is_empty() && effects.iter().any(|e| !is_evaluation(e));
        // Before anything is sent, because who sends must know what is wanted.
        if urgent || acts || self.shown.elapsed() >= SHOW {
            self.show();
        }
        for effect in effects {
            self.carry_out(effect);
        }
        // Only now, so that who asks next sees it.
        if let Some(kept) = kept {
            self.answer(kept);
        }
    }

    fn show(&mut self) {
        self.shown = Instant::now();
        let view = self.control.view(self.clock.now());
        for target in &view.targets {
            if let Some(actor) = self.actors.get(&target.name) {
                actor.actuator.allow(leave(target));
                actor.actuator.want(target.wanted());
            }
        }
        self.show.send_replace(Arc::new(view));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Evaluate { target, window, memories } => {
                self.evaluate(target, window, memories);
            }
            Effect::Record(batch) => self.record(batch),
            Effect::Announce { target, claim, told } => self.announce(&target, claim, told),
            Effect::Resize(resize) => self.resize(resize),
            Effect::Look { target, policy, reason, databases } => {
                self.look(target, &policy, &reason, databases);
            }
            Effect::EndSession(end) => self.end_session(end),
            Effect::Reconnect(reconnect) => self.reconnect(*reconnect),
            Effect::KeepOrder { order, batch } => self.keep_order(order, batch),
            Effect::RefuseOrder(refusal) => self.answer(Err(Refused::Refused(refusal))),
        }
    }

    fn evaluate(&mut self, target: TargetName, window: Box<Window>, memories: Memories) {
        let (registry, events) = (Arc::clone(&self.registry), self.events.clone());
        let recorder = Arc::clone(&self.recorder);
        let start = self.tick_start.get(&target).copied();
        let set = registry.serving();
        let (now, pasts) = (self.clock.now(), Arc::clone(&self.pasts));
        let ready = |policy: &Policy| {
            policy.past().is_none_or(|span| pasts.ready(&target, span, now, &self.work))
        };
        let due = self.cadence.take_due(&set, &target, now, ready);
        self.work.spawn(async move {
            let name = target.clone();
            let evaluate = move || {
                set.evaluate_round(Round {
                    target: &name,
                    window: *window,
                    memories: &memories,
                    due: &|policy| due.iter().any(|one| std::ptr::eq(one.as_ref(), policy)),
                    past: &|span, pools| pasts.of(&name, span, pools),
                })
            };
            let parts = match tokio::task::spawn_blocking(evaluate).await {
                Ok(parts) => parts,
                // A panic in there is a defect of the host; the target's next tick goes on.
                Err(error) => {
                    tracing::error!(%error, "an evaluation died");
                    let _ = events.send(Event::EvaluationDied { target }).await;
                    return;
                }
            };
            let metrics = &recorder.metrics;
            for part in &parts {
                let Part::Asked(result) = part else { continue };
                recorder.remember(result);
                registry.report(result);
                metrics.evaluated(&target, result);
                if let Err(fault) = &result.outcome {
                    let policy = result.policy.name().as_str();
                    tracing::warn!(policy, %fault, "a policy faulted");
                }
            }
            if let Some(start) = start {
                metrics.tick(&target, start.elapsed());
            }
            let results = parts.into_iter().map(Heard::from).collect();
            // Only a control task that has ended does not take it.
            let _ = events.send(Event::Evaluated { target, results }).await;
        });
    }

    fn record(&self, batch: Box<Batch>) {
        let bytes = bytes_of(&batch);
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        if waiting > WAITING_MAX_BYTES || self.batches.try_send(batch).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.recorder.metrics.store_failed("overflow");
            tracing::error!("too much waits for the store; a record is lost");
        }
    }

    fn announce(&self, target: &TargetName, claim: Claim, told: Told) {
        let instance = self.actors.get(target).and_then(|one| one.target.console.instance.as_ref());
        if let Some(instance) = instance {
            instance.announce(claim, told);
        }
    }

    fn keep_order(&self, order: Box<Order>, batch: Box<Batch>) {
        let (recorder, events) = (Arc::clone(&self.recorder), self.events.clone());
        self.work.spawn(async move {
            // Whatever becomes of it must be said: the next order waits.
            let writing = async move { recorder.write(&batch).await };
            let kept = match outlive("the recording of an order", writing).await {
                Some(written) => written.map_err(|error| error.kind().to_owned()),
                None => Err(DIED.to_owned()),
            };
            let _ = events.send(Event::OrderKept { order, kept }).await;
        });
    }

    /// Makes room in the store, and writes history and memories; what fails waits for the next time.
    fn upkeep(&mut self) {
        let fresh = self.control.take_buckets().into_iter().flat_map(|(target, buckets)| {
            buckets.into_iter().map(move |bucket| sample(&target, bucket))
        });
        let mut samples = std::mem::take(&mut *lock(&self.unwritten));
        samples.extend(fresh);
        let excess = samples.len().saturating_sub(SAMPLES_MAX);
        samples.drain(..excess);
        let memories = self.control.memories();
        let memories = (memories != self.remembered).then(|| {
            self.remembered.clone_from(&memories);
            Batch { memories, ..Batch::default() }
        });
        let (recorder, unwritten) = (Arc::clone(&self.recorder), Arc::clone(&self.unwritten));
        let now = self.clock.now();
        // In order with what is recorded of the same alerts otherwise.
        let pending = self.control.pending_alerts(now);
        if !pending.alerts.is_empty() {
            self.record(Box::new(pending));
        }
        self.work.spawn(async move {
            // First, because it is what makes room.
            let maintained = recorder.store.maintain(now).await;
            let kept = async {
                recorder.put_answered().await?;
                if let Some(memories) = &memories {
                    recorder.write(memories).await?;
                }
                recorder.store.write_history(&samples).await
            };
            let kept = kept.await;
            if kept.is_err() {
                lock(&unwritten).extend(samples);
            }
            if let Err(error) = maintained.map(drop).and(kept) {
                recorder.metrics.store_failed(error.kind());
                tracing::warn!(error = chain(&error), "the store's upkeep failed");
            }
        });
    }

    /// Hands sizes back, waits for what is under way, and writes the last rows.
    async fn drain(mut self, events: &mut mpsc::Receiver<Event>) {
        self.settle_work(events).await;
        self.take(Event::Stopping);
        self.settle_work(events).await;
        self.upkeep();
        self.settle_work(events).await;
        // Dropping the sender lets the recorder write what it has, and end.
    }

    async fn settle_work(&mut self, events: &mut mpsc::Receiver<Event>) {
        let work = self.work.clone();
        work.close();
        loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => {
                    let is_evaluated = matches!(event, Event::Evaluated { .. });
                    // No new evaluations and no new decisions while stopping.
                    if !is_evaluated {
                        self.take(event);
                    }
                }
                () = work.wait() => break,
            }
        }
        while let Ok(event) = events.try_recv() {
            if !matches!(event, Event::Evaluated { .. }) {
                self.take(event);
            }
        }
        self.work.reopen();
    }
}

/// Does a part of a task in one of its own; `None` when it died, so that this can be told.
async fn outlive<T: Send + 'static>(
    what: &'static str,
    part: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let done = tokio::spawn(part).await;
    done.inspect_err(|error| tracing::error!(what, %error, "a task died")).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what a look at what can be acted on may do: nothing beside another sidecar that acts, and
/// nothing on PgBouncer while a person holds the target.
fn leave(target: &TargetView) -> Probe {
    match target.writer.role {
        Role::Acts if target.writer.acts && target.hold.is_none() => Probe::Once,
        Role::Acts if target.writer.acts => Probe::Never,
        // By its configuration it does not act; its mode says the rest.
        Role::Observer => Probe::Never,
        Role::Acts | Role::Starting | Role::Waits(_) => Probe::LookOnly,
    }
}

fn is_evaluation(effect: &Effect) -> bool {
    matches!(effect, Effect::Evaluate { .. })
}

fn sample(target: &TargetName, (pool, bucket): PoolBucket) -> HistorySample {
    HistorySample { at: bucket.at, target: target.clone(), pool, counts: counts(&bucket) }
}

fn counts(bucket: &Bucket) -> PoolCounts {
    PoolCounts {
        samples: bucket.samples,
        cl_active_max: bucket.cl_active_max,
        cl_waiting_max: bucket.cl_waiting_max,
        cl_waiting_sum: bucket.cl_waiting_sum,
        sv_active_max: bucket.sv_active_max,
        sv_active_sum: bucket.sv_active_sum,
        servers_max: bucket.servers_max,
        size: bucket.size,
        maxwait_us_max: bucket.maxwait_us_max,
        transactions: bucket.transactions,
        queries: bucket.queries,
        transaction_us: bucket.transaction_us,
        query_us: bucket.query_us,
        wait_us: bucket.wait_us,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_dies_is_outlived_and_told() {
        assert_eq!(outlive("a part", async { 7 }).await, Some(7));
        assert_eq!(outlive("a part", async { panic!("of a test") }).await, None::<u32>);
    }
}
