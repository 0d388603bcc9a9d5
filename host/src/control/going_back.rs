//! The panic switch: every size that the sidecar has changed goes back to the file's value.
//!
//! It is a state and not a deed: as long as it holds, each poll and each outcome of a change looks for
//! what has not gone back yet. So it works while a change is under way (right after it), while a target
//! is down (when it comes back) and when a try fails (again, later). A size that a person has set is
//! left to them: the switch undoes what the sidecar did.

use super::drift::OwnChange;
use super::record::is_empty;
use super::scope::Afterwards;
use super::target::TargetControl;
use super::{Effect, Turn};
use crate::guard::{Facts, Purpose, judge};
use crate::model::{Limits, Mode, Outcome, PolicyName, PoolSize, Setting, Timestamp};
use crate::record::Batch;

impl TargetControl {
    /// Gives the settings that the panic switch has not brought back yet.
    pub fn going_back(&self, now: Timestamp) -> Vec<Setting> {
        if !self.is_panicked(now) {
            return Vec::new();
        }
        let ours = self.scopes.iter().filter(|(_, scope)| {
            let away = scope.wanted.is_some_and(|wanted| wanted != scope.file_size());
            scope.in_flight.is_some() || (away && scope.stood_down.is_none())
        });
        ours.map(|(setting, _)| setting.clone()).collect()
    }

    /// Brings back what is not back yet, while the panic switch is pulled.
    pub fn go_back(&mut self, turn: &mut Turn<'_>) -> Vec<Effect> {
        if !self.is_panicked(turn.now) {
            return Vec::new();
        }
        let mut batch = Batch::default();
        let settings: Vec<Setting> = self.scopes.keys().cloned().collect();
        let mut effects: Vec<Effect> = settings
            .iter()
            .filter_map(|setting| self.bring_back(setting, turn, &mut batch))
            .collect();
        if !is_empty(&batch) {
            effects.insert(0, Effect::Record(Box::new(batch)));
        }
        effects
    }

    fn bring_back(
        &mut self,
        setting: &Setting,
        turn: &mut Turn<'_>,
        batch: &mut Batch,
    ) -> Option<Effect> {
        let (current, name) = (self.size_of(setting)?, self.facts.name.clone());
        let scope = self.scopes.get(setting)?;
        let file = scope.file_size();
        if scope.in_flight.is_some() || scope.stood_down.is_some() || scope.wanted.is_none() {
            return None;
        }
        if current == file {
            let scope = self.scopes.get_mut(setting)?;
            scope.brought(file, Afterwards::LetGo);
            batch.scopes.push(scope.state(&name, setting, turn.now));
            return None;
        }
        if scope.wanted != Some(current) {
            return None; // Somebody else's; the next full poll says so.
        }
        let limits = reaching(&self.facts.limits, file);
        let facts = self.guard_facts(setting, Mode::Enforce, turn.now);
        let facts = Facts { purpose: Purpose::TakeBack, limits: &limits, ..facts };
        let judged = judge(file.get(), &facts);
        let passed = matches!(judged.verdict.outcome, Outcome::Approved | Outcome::Clamped);
        let who = self.hold.as_ref().map(|hold| hold.words()).unwrap_or_default();
        let reason = format!("{who}: {} goes back to the file's {file}", setting.words());
        if !passed {
            if self.is_news(&PolicyName::host(), setting, file.get(), &judged, turn.now) {
                let verdict = Some(judged.verdict);
                let change = OwnChange { setting, size: file, reason, verdict };
                batch.decisions.push(self.decision_of_host(change, turn));
            }
            return None;
        }
        let size = judged.size?;
        // What the budget keeps from going all the way is tried again when there is room.
        let after = if size == file { Afterwards::LetGo } else { Afterwards::KeepUp };
        let change = OwnChange { setting, size, reason, verdict: Some(judged.verdict) };
        Some(self.resize_by_host(change, after, turn))
    }
}

/// Gives limits that a size is within which was in force before: the file's, which is the operator's
/// own, may be outside of the bounds.
pub(super) fn reaching(limits: &Limits, size: PoolSize) -> Limits {
    Limits { floor: limits.floor.min(size), ceiling: limits.ceiling.max(size), ..limits.clone() }
}
