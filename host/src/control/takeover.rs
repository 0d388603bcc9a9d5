//! What a sidecar takes over from the one that acted before it.
//!
//! Orders and stand-downs are in the store of the sidecar that got them, and another sidecar has another
//! store. So who acts says on the console what people have told it, who waits listens, and who takes
//! over holds to it until somebody tells this one otherwise. It knows neither who gave the order nor
//! when a pause was to end; so a pause goes on until it is resumed.
//!
//! A hold of its own that was resumed there is over here too. Where it was not there to see that, an old
//! panic is a pause when it takes over: sizes that others have worked with since are not thrown away.
//! What was ordered here while the one that acted was missing already is newer than its word, and holds.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::Effect;
use super::record::is_empty;
use super::scope::ScopeControl;
use super::target::TargetControl;
use super::writer::Role;
use crate::model::{
    Hold, HoldKind, Knob, Peer, PoolSize, ScopeKey, Setting, Signature, Theirs, Timestamp, Told,
};
use crate::record::{Batch, HoldChange};

impl TargetControl {
    /// Takes in who is on the console.
    pub fn attended(&mut self, seen: &[Peer], every: Duration, now: Timestamp) -> Vec<Effect> {
        let (before, heard) = (self.writer.role(), self.writer.heard());
        let is_told = self.writer.is_told();
        self.writer.look(seen, every, now);
        let role = self.writer.role();
        if role != before {
            let (target, was) = (self.facts.name.as_str(), before.as_str());
            let other = match role {
                Role::Waits(other) => other.to_string(),
                _ => String::new(),
            };
            tracing::info!(target, was, is = role.as_str(), other, "who acts here has changed");
        }
        let mut batch = Batch::default();
        // One that comes back knows nothing of an order that was given here while it was missing.
        self.resumed_elsewhere(heard.filter(|_| !is_told), now, &mut batch);
        if let Some((from, told)) = self.writer.take_inherited() {
            self.calm_down(from, told, now, &mut batch);
            self.inherit(from, told, now, &mut batch);
        }
        if is_empty(&batch) { Vec::new() } else { vec![Effect::Record(Box::new(batch))] }
    }

    /// Gives what is to be said on the console from now on, if that is new.
    pub fn announcement(&mut self, now: Timestamp) -> Option<Effect> {
        let claim = self.writer.claim()?;
        let hold = self.hold(now).map(|hold| hold.kind);
        let stood_down = self.scopes.iter().filter(|(_, scope)| scope.stood_down.is_some());
        let told = Told { hold, theirs: stood_down.map(|(setting, _)| setting).collect() };
        if self.announced == Some((claim, told)) {
            return None;
        }
        self.announced = Some((claim, told));
        Some(Effect::Announce { target: self.facts.name.clone(), claim, told })
    }

    /// Lets go of the own hold when the one that acts held to it too, and does no longer.
    fn resumed_elsewhere(
        &mut self,
        before: Option<(Uuid, Told)>,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        let own = self.hold(now).map(|hold| hold.kind);
        let Some(((one, held), (other, told))) = before.zip(self.writer.heard()) else { return };
        if one != other || own.is_none() || held.hold < own || told.hold.is_some() {
            return;
        }
        let (target, comment) = (self.facts.name.clone(), format!("the sidecar {one} was resumed"));
        tracing::warn!(target = target.as_str(), comment, "its own hold is over");
        let by = Signature { author: "a person".to_owned(), comment };
        batch.holds.push(HoldChange::End { target, at: now, by });
        self.hold = None;
    }

    /// Makes a pause of an own panic that the one before did not hold to, though it was still there.
    fn calm_down(&mut self, from: Uuid, told: Told, now: Timestamp, batch: &mut Batch) {
        let is_old =
            |hold: &&Hold| hold.kind == HoldKind::Panic && told.hold < Some(HoldKind::Panic);
        let old = self.hold(now).filter(is_old).filter(|_| !self.writer.is_told());
        let Some(author) = old.map(|hold| hold.by.author.clone()) else { return };
        let comment = format!("their panic of before the sidecar {from} acted here");
        tracing::warn!(target = self.facts.name.as_str(), comment, "an old panic is a pause now");
        let hold = self.new_hold(HoldKind::Pause, None, &Signature { author, comment }, now);
        batch.holds.push(HoldChange::Set(hold.clone()));
        self.hold = Some(hold);
    }

    /// Holds to what people told the one before.
    fn inherit(&mut self, from: Uuid, told: Told, now: Timestamp, batch: &mut Batch) {
        let own = self.hold(now).map(|hold| hold.kind);
        if let Some(kind) = told.hold.filter(|kind| own < Some(*kind)) {
            let target = self.facts.name.as_str();
            tracing::warn!(target, kind = kind.as_str(), %from, "a person's hold is taken over");
            let comment = format!("ordered while the sidecar {from} acted here");
            let by = Signature { author: "a person".to_owned(), comment };
            let hold = self.new_hold(kind, None, &by, now);
            batch.holds.push(HoldChange::Set(hold.clone()));
            self.hold = Some(hold);
        }
        self.inherited = told.theirs;
        self.respect_inherited(now, batch);
    }

    /// Stands down for sizes that were a person's for the one before, as soon as sizes are known.
    pub fn respect_inherited(&mut self, now: Timestamp, batch: &mut Batch) {
        if self.inherited.is_empty() || self.history.latest().is_none() {
            return;
        }
        let theirs = std::mem::take(&mut self.inherited);
        let mut settings: BTreeSet<Setting> = self.scopes.keys().cloned().collect();
        if theirs != Theirs::ANY {
            settings.extend(Knob::ALL.map(|knob| Setting { scope: ScopeKey::Default, knob }));
        }
        for setting in settings.into_iter().filter(|setting| theirs.contains(setting)) {
            let Some(current) = self.size_of(&setting) else { continue };
            let file = self.size_in_file(&setting);
            let first = || ScopeControl::first_seen(current);
            let scope = self.scopes.entry(setting.clone()).or_insert_with(first);
            scope.learn(file);
            scope.respect_inherited(current, now);
            batch.scopes.push(scope.state(&self.facts.name, &setting, now));
        }
    }

    /// Gives what PgBouncer's own file says now, where that can be read.
    pub fn size_in_file(&self, setting: &Setting) -> Option<PoolSize> {
        let file = self.reach.as_ref()?.settings.get(setting)?.file?;
        PoolSize::of(setting.knob, file).ok()
    }

    /// Gives the settings that another sidecar, which acts, has changed: their file says otherwise.
    pub fn set_by_another(&self) -> Vec<Setting> {
        let Some(reach) = self.reach.as_ref().filter(|_| self.writer.follows()) else {
            return Vec::new();
        };
        let is_other = |setting: &&Setting| {
            let (file, current) = (self.size_in_file(setting), self.size_of(setting));
            file.is_some() && current.is_some() && file != current
        };
        reach.settings.keys().filter(is_other).cloned().collect()
    }
}
