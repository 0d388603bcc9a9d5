//! Changes sizes and looks at which can be changed, each as a task of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Actor, DIED, Drive, Recorder, outlive};
use crate::actuate::{Actuated, Actuator, Change, Done, log_in, reconnect_databases};
use crate::config::{Console, Target};
use crate::control::{Acted, Event, Reconnect, Resize};
use crate::model::{Reach, TargetName, Timestamp};
use crate::report::chain;

/// How often it is looked whether the operator's files have changed.
const GLANCE: Duration = Duration::from_millis(500);
/// How often PgBouncer is asked again where an override file is configured.
const INSPECT: Duration = Duration::from_secs(15);
/// How soon a look that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// How often it is asked again otherwise.
const INSPECT_SELDOM: Duration = Duration::from_secs(60);

impl Drive {
    /// Starts looking which sizes of each target can be acted on.
    pub fn watch_reach(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        for Actor { target, actuator, .. } in self.actors.values() {
            let (target, actuator) = (Arc::clone(target), Arc::clone(actuator));
            tasks.spawn(watch_reach(target, actuator, self.events.clone(), stop.clone()));
        }
    }

    /// Changes a size and says what came of it.
    pub(super) fn resize(&self, resize: Box<Resize>) {
        let Some(actor) = self.actors.get(&resize.target) else { return };
        let Actor { target, nudge, turn, actuator } = actor;
        let (target, nudge) = (Arc::clone(target), Arc::clone(nudge));
        let (turn, actuator) = (Arc::clone(turn), Arc::clone(actuator));
        let (recorder, events) = (Arc::clone(&self.recorder), self.events.clone());
        self.work.spawn(async move {
            let start = Instant::now();
            let _turn = turn.lock().await;
            let until = resize.until(recorder.clock.now());
            let (name, id) = (resize.target.clone(), resize.id);
            let (setting, size) = (resize.setting.clone(), resize.size);
            let by = Arc::clone(&recorder);
            let acting = async move { act(&by, &target.console, &actuator, &resize, until).await };
            // What it sent before it died is not known, and is found out by the next poll.
            let died = (Acted::NotInForce(None), Vec::new());
            let (acted, commands) = outlive("a change of a size", acting).await.unwrap_or(died);
            recorder.metrics.resized(&name, start.elapsed(), kind_of(&acted));
            let target = name;
            match &acted {
                Acted::Verified => {
                    tracing::info!(
                        target = target.as_str(), %id, %setting, %size, "a size was changed"
                    );
                }
                other => tracing::warn!(
                    target = target.as_str(), %id, %setting, %size, outcome = kind_of(other),
                    ?other, "a size could not be changed"
                ),
            }
            if !commands.is_empty() {
                let _ = events.send(Event::Sent { target: target.clone(), id, commands }).await;
            }
            // Nothing was sent, so there is nothing to look at: the next try comes with the next poll.
            let sent = !matches!(acted, Acted::NotRecorded(_));
            let _ = events.send(Event::Acted { target, id, acted }).await;
            if sent {
                nudge.notify_one();
            }
        });
    }

    /// Makes servers that a shrink wants closed go, and says what came of it.
    pub(super) fn reconnect(&self, reconnect: Reconnect) {
        let (id, target) = (reconnect.id, reconnect.target.clone());
        let names = reconnect.databases.join(", ");
        let Some(actor) = self.actors.get(&target) else { return };
        let (console, turn) = (Arc::clone(&actor.target), Arc::clone(&actor.turn));
        let (recorder, events) = (Arc::clone(&self.recorder), self.events.clone());
        self.work.spawn(async move {
            let _turn = turn.lock().await;
            let sending =
                async move { send_reconnect(&recorder, &console.console, &reconnect).await };
            let died = || Err(DIED.to_owned());
            let sent = outlive("a RECONNECT", sending).await.unwrap_or_else(died);
            match &sent {
                Ok(()) => tracing::info!(target = target.as_str(), %id, names, "reconnecting"),
                Err(why) => {
                    tracing::warn!(target = target.as_str(), %id, names, why, "RECONNECT failed");
                }
            }
            let _ = events.send(Event::Reconnected { target, id, sent }).await;
        });
    }
}

/// Records the intent and only then changes the size, if that is still what was decided about.
async fn act(
    recorder: &Recorder,
    console: &Console,
    actuator: &Actuator,
    resize: &Resize,
    until: Timestamp,
) -> (Acted, Vec<String>) {
    // The login takes as long as the disk and changes nothing.
    let (written, login) = tokio::join!(recorder.write(&resize.intent), log_in(console));
    if let Err(error) = written {
        login.log_out().await;
        return (Acted::NotRecorded(chain(&error)), Vec::new());
    }
    let Resize { setting, from, size, .. } = resize;
    let change = Change { setting: setting.clone(), from: *from, to: *size };
    let in_time = || recorder.clock.now() <= until;
    let Done { came, sent } = actuator.apply(login, &[change], in_time).await;
    let acted = match came.into_iter().next() {
        Some((_, Actuated::InForce)) => Acted::Verified,
        Some((_, Actuated::Other(read))) => Acted::NotInForce(read),
        Some((_, Actuated::Failed(why))) => Acted::Failed(why),
        None => Acted::Failed("nothing came of it".into()),
    };
    (acted, sent)
}

/// Records the intent and only then has the servers closed, if that is still to be done.
async fn send_reconnect(
    recorder: &Recorder,
    console: &Console,
    reconnect: &Reconnect,
) -> Result<(), String> {
    let Reconnect { databases, setting, size, until, intent, .. } = reconnect;
    recorder.write(intent).await.map_err(|error| chain(&error))?;
    let in_time = || recorder.clock.now() <= *until;
    reconnect_databases(console, databases, (setting, *size), in_time).await
}

fn kind_of(acted: &Acted) -> &'static str {
    match acted {
        Acted::Verified => "in_force",
        Acted::NotInForce(_) => "not_in_force",
        Acted::Failed(_) => "failed",
        Acted::NotRecorded(_) => "not_recorded",
    }
}

/// Looks which sizes can be acted on: at the start, whenever a file of the operator's changes or
/// somebody reloads, and now and then.
async fn watch_reach(
    target: Arc<Target>,
    actuator: Arc<Actuator>,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
) {
    let every = if target.overrides.is_some() { INSPECT } else { INSPECT_SELDOM };
    let mut glances = interval(GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut looked): (Option<Reach>, Option<Instant>) = (None, None);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = glances.tick() => {}
        }
        let has_problems = last.as_ref().is_some_and(|reach| !reach.problems.is_empty());
        let every = if has_problems { INSPECT } else { every };
        let is_time = looked.is_none_or(|at| at.elapsed() >= every);
        if !is_time && !actuator.is_due() {
            continue;
        }
        let reach = match actuator.inspect(|| actuator.probe()).await {
            Ok(reach) => reach,
            // The poller tells of a target that does not answer.
            Err(error) => {
                tracing::debug!(error = chain(&error), "what can be acted on cannot be looked at");
                if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
                    return;
                }
                continue;
            }
        };
        looked = Some(Instant::now());
        if last.as_ref() != Some(&reach) {
            last = Some(reach.clone());
            let target: TargetName = target.name.clone();
            let _ = events.send(Event::Reached { target, reach }).await;
        }
    }
}
