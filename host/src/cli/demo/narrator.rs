//! Tells what changed, in the words of somebody who watches.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::DemoError;
use crate::app::App;
use crate::control::View;
use crate::model::{Decision, DecisionId, Kind, Outcome, PoolSize, Proposal, Status};
use crate::record::DecisionFilter;

/// How often to look.
const LOOK: Duration = Duration::from_millis(100);

/// What has happened so far; the loop is closed when all of it has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    waiters_rose: bool,
    alert_fired: bool,
    grew: bool,
    waiters_fell: bool,
    alert_resolved: bool,
    shrank: bool,
}

impl Seen {
    /// Gives each part with whether it has happened.
    pub fn list(&self) -> [(&'static str, bool); 6] {
        [
            ("clients had to wait", self.waiters_rose),
            ("an alert fired", self.alert_fired),
            ("the pool was grown, and the size was read back", self.grew),
            ("nobody waited any more, under the same load", self.waiters_fell),
            ("the alert resolved", self.alert_resolved),
            ("the pool was shrunk when the load had ended", self.shrank),
        ]
    }

    /// Says whether all of it has happened.
    pub fn closed(&self) -> bool {
        self.list().iter().all(|(_, done)| *done)
    }
}

/// Watches a sidecar as its users do, and tells.
#[derive(Debug)]
pub struct Narrator {
    start: Instant,
    pub seen: Seen,
    under_load: bool,
    waiting: u32,
    told_waiting: u32,
    /// Decisions that were told, with the status that was told.
    told: Vec<(DecisionId, Status)>,
}

impl Narrator {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            seen: Seen::default(),
            under_load: false,
            waiting: 0,
            told_waiting: 0,
            told: Vec::new(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Tells one line with the time.
    pub fn say(&self, what: &str) {
        println!("{:5.1} s  {what}", self.elapsed().as_secs_f64());
    }

    pub fn loaded(&mut self, under_load: bool) {
        self.under_load = under_load;
    }

    /// Tells what happens for so long, or until enough was seen.
    pub async fn watch(
        &mut self,
        app: &App,
        time: Duration,
        enough: impl Fn(&Seen) -> bool,
    ) -> Result<(), DemoError> {
        let end = Instant::now() + time;
        let view = app.view();
        while Instant::now() < end && !enough(&self.seen) {
            sleep_until((Instant::now() + LOOK).min(end)).await;
            let now = view.borrow().clone();
            self.pools(&now);
            self.decisions(app).await?;
        }
        Ok(())
    }

    fn pools(&mut self, view: &View) {
        let rows = view.targets.iter().flat_map(|target| &target.pools);
        let (mut waiting, mut busy, mut size) = (0, 0, 0);
        for (_, pool) in rows {
            waiting += pool.row.cl_waiting;
            busy += pool.row.sv_active;
            size = size.max(pool.size);
        }
        self.waiting = waiting;
        self.seen.waiters_rose |= waiting > 0;
        self.seen.waiters_fell |= self.under_load && self.seen.grew && waiting == 0 && busy > 0;
        let told = self.told_waiting;
        let worth_it = (told == 0) != (waiting == 0) || waiting.abs_diff(told) > 4;
        if worth_it {
            self.told_waiting = waiting;
            self.say(&match waiting {
                0 => format!("nobody waits; {busy} of {size} servers are busy"),
                n => format!("{n} clients wait; {busy} of {size} servers are busy"),
            });
        }
    }

    async fn decisions(&mut self, app: &App) -> Result<(), DemoError> {
        let mut newest = app.store().decisions(&DecisionFilter::default()).await?.decisions;
        newest.reverse();
        for decision in newest {
            let state = (decision.id, decision.status);
            if !self.told.contains(&state) {
                self.told.push(state);
                self.decision(&decision);
            }
        }
        Ok(())
    }

    fn decision(&mut self, decision: &Decision) {
        match decision.kind() {
            Kind::Alert => self.alert(decision),
            Kind::Recommendation => {
                self.say(&format!("recommendation ({}): {}", decision.policy, decision.reason()));
            }
            Kind::Resize => self.resize(decision),
            Kind::EndSession => {
                let status = decision.status.as_str();
                self.say(&format!("end of a session ({status}): {}", decision.reason()));
            }
        }
    }

    /// Says whether it was told before that a change is in force.
    fn is_resized(&self, decision: &Decision) -> bool {
        let others = [Status::Applied, Status::Verified, Status::Inconclusive, Status::Superseded];
        self.told.iter().any(|(id, status)| {
            *id == decision.id && *status != decision.status && others.contains(status)
        })
    }

    fn alert(&mut self, decision: &Decision) {
        let Proposal::Alert { name, .. } = &decision.proposal else { return };
        match decision.status {
            Status::Firing => {
                self.seen.alert_fired = true;
                self.say(&format!("ALERT {name}: {}", decision.reason()));
            }
            Status::Resolved => {
                self.seen.alert_resolved = true;
                self.say(&format!("alert {name} is resolved"));
            }
            _ => {}
        }
    }

    fn resize(&mut self, decision: &Decision) {
        let size = |size: Option<PoolSize>| size.map_or(0, PoolSize::get);
        let (from, to) = (size(decision.size_from), size(decision.size_to));
        let outcome = decision.verdict.as_ref().map(|verdict| verdict.outcome);
        if outcome == Some(Outcome::Rejected) {
            return; // The guard says why at /v1/decisions.
        }
        match decision.status {
            Status::Applied | Status::Verified | Status::Inconclusive | Status::Superseded
                if !self.is_resized(decision) =>
            {
                self.seen.grew |= to > from;
                self.seen.shrank |= to < from && !self.under_load && self.seen.grew;
                self.say(&format!("RESIZED {from} -> {to}, read back: {}", decision.reason()));
            }
            Status::Verified => self.say(&format!("{from} -> {to} did what it should")),
            Status::RolledBack => self.say(&format!("TAKEN BACK {from} -> {to}: it did not help")),
            Status::Failed => self.say(&format!("resize {from} -> {to} failed")),
            _ => {}
        }
    }
}
