//! Changes of PgBouncer: recorded, then sent, then told to control.

use std::sync::Arc;
use std::time::Instant;

use super::Drive;
use crate::actuate::{Actuated, bring_into_force, log_in, reconnect_databases};
use crate::app::recorder::Recorder;
use crate::config::Console;
use crate::control::{Acted, Event, Reconnect, Resize};
use crate::report::chain;

impl Drive {
    pub(super) fn resize(&self, resize: Box<Resize>) {
        let Some(actor) = self.actors.get(&resize.target) else { return };
        let (target, nudge) = (Arc::clone(&actor.target), Arc::clone(&actor.nudge));
        let (recorder, events) = (Arc::clone(&self.recorder), self.events.clone());
        let turn = Arc::clone(&actor.turn);
        self.work.spawn(async move {
            let start = Instant::now();
            let _turn = turn.lock().await;
            let acted = act(&recorder, &target.console, &resize).await;
            recorder.metrics.resized(&resize.target, start.elapsed(), kind_of(&acted));
            let (target, id, size) = (resize.target, resize.id, resize.size);
            match &acted {
                Acted::Verified => {
                    tracing::info!(target = target.as_str(), %id, %size, "a size was changed");
                }
                other => tracing::warn!(
                    target = target.as_str(), %id, %size, outcome = kind_of(other), ?other,
                    "a size could not be changed"
                ),
            }
            // Nothing was sent, so there is nothing to look at: the next try comes with the next poll.
            let sent = !matches!(acted, Acted::NotRecorded(_));
            let _ = events.send(Event::Acted { target, id, acted }).await;
            if sent {
                nudge.notify_one();
            }
        });
    }

    pub(super) fn reconnect(&self, reconnect: Reconnect) {
        let Reconnect { id, target, databases, intent } = reconnect;
        let Some(actor) = self.actors.get(&target) else { return };
        let (console, turn) = (Arc::clone(&actor.target), Arc::clone(&actor.turn));
        let (recorder, events) = (Arc::clone(&self.recorder), self.events.clone());
        self.work.spawn(async move {
            let _turn = turn.lock().await;
            let sent = match recorder.write(&intent).await {
                Ok(()) => reconnect_databases(&console.console, &databases).await,
                Err(error) => Err(chain(&error)),
            };
            let names = databases.join(", ");
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
async fn act(recorder: &Recorder, console: &Console, resize: &Resize) -> Acted {
    // The login takes as long as the disk and changes nothing.
    let (written, mut login) = tokio::join!(recorder.write(&resize.intent), log_in(console));
    if let Err(error) = written {
        login.log_out().await;
        return Acted::NotRecorded(chain(&error));
    }
    if recorder.clock.now() > resize.until {
        login.log_out().await;
        return Acted::Failed("recording took too long; the decision is too old to act on".into());
    }
    if let Some(why) = login.objection(console).await {
        login.log_out().await;
        return Acted::Failed(why);
    }
    let Resize { setting, from, size, .. } = resize;
    match bring_into_force(console, login, setting, *from, *size).await {
        Actuated::InForce => Acted::Verified,
        Actuated::Other(read) => Acted::NotInForce(read),
        Actuated::Failed(why) => Acted::Failed(why),
    }
}

fn kind_of(acted: &Acted) -> &'static str {
    match acted {
        Acted::Verified => "in_force",
        Acted::NotInForce(_) => "not_in_force",
        Acted::Failed(_) => "failed",
        Acted::NotRecorded(_) => "not_recorded",
    }
}
