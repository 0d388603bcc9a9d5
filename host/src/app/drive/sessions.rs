//! Looks at single sessions and ends them, each as a task of its own.

use std::sync::Arc;
use std::time::Instant;

use super::{DIED, Drive, Recorder, outlive};
use crate::collect::look;
use crate::config::Target;
use crate::control::{EndSession, Event};
use crate::database::end_session;
use crate::model::{Databases, Ended, PolicyName, TargetName};
use crate::report::chain;

impl Drive {
    /// Looks at a target's sessions and says what was seen.
    pub(super) fn look(
        &self,
        name: TargetName,
        policy: &PolicyName,
        reason: &str,
        databases: Arc<Databases>,
    ) {
        let Some(actor) = self.actors.get(&name) else { return };
        let (target, clock) = (Arc::clone(&actor.target), self.clock.clone());
        let (recorder, events) = (Arc::clone(&self.recorder), self.events.clone());
        tracing::debug!(target = name.as_str(), policy = policy.as_str(), reason, "looking");
        self.work.spawn(async move {
            let start = Instant::now();
            let looking = async move { look(&target, &databases, &clock).await };
            let looked = outlive("a look at sessions", looking).await;
            let took = start.elapsed();
            let look = match looked {
                None => None,
                Some(Ok(looked)) => {
                    recorder.metrics.looked(&name, took, &looked.costs);
                    Some(Box::new(looked.look))
                }
                Some(Err(error)) => {
                    recorder.metrics.look_failed(&name, error.kind());
                    let problem = chain(&error);
                    tracing::warn!(target = name.as_str(), problem, "a look at sessions failed");
                    None
                }
            };
            let _ = events.send(Event::Looked { target: name, look }).await;
        });
    }

    /// Ends a session and says what came of it.
    pub(super) fn end_session(&self, end: Box<EndSession>) {
        let Some(actor) = self.actors.get(&end.target) else { return };
        let target = Arc::clone(&actor.target);
        let (recorder, events) = (Arc::clone(&self.recorder), self.events.clone());
        self.work.spawn(async move {
            let (name, id, pid) = (end.target.clone(), end.id, end.session.backend_pid);
            let by = Arc::clone(&recorder);
            let ending = async move { end_recorded(&by, &target, &end).await };
            let died = || Ended::Failed(DIED.to_owned());
            let ended = outlive("the end of a session", ending).await.unwrap_or_else(died);
            recorder.metrics.session_ended(&name, ended.as_str());
            let target = name;
            let outcome = ended.as_str();
            match &ended {
                Ended::Gone | Ended::MovedOn => {
                    let target = target.as_str();
                    tracing::info!(target, %id, pid, outcome, "a session was to be ended");
                }
                Ended::StillThere | Ended::Failed(_) | Ended::NotRecorded(_) => {
                    let target = target.as_str();
                    tracing::warn!(target, %id, pid, outcome, ?ended, "a session was not ended");
                }
            }
            let _ = events.send(Event::Ended { target, id, ended }).await;
        });
    }
}

/// Records the intent and only then ends the session, if it is still the one that was decided about.
async fn end_recorded(recorder: &Recorder, target: &Target, end: &EndSession) -> Ended {
    if let Err(error) = recorder.write(&end.intent).await {
        return Ended::NotRecorded(chain(&error));
    }
    if recorder.clock.now() > end.until {
        let why = "recording took too long; the decision is too old to act on";
        return Ended::Failed(why.to_owned());
    }
    match &target.database {
        Some(database) => end_session(database, &end.session).await,
        None => Ended::Failed("PostgreSQL's login is not configured any more".to_owned()),
    }
}
