//! What the pools of each scope did together, before and after a change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::History;
use super::counters::Delta;
use super::stretch::{Gauges, ScopeTrack, Stretch, Work};
use crate::model::{DatabaseSample, EffectPoint, Measure, ScopeKey, Setting, Timestamp, XactEnds};

/// Looks at PostgreSQL that are remembered.
const LOOKS_MAX: usize = 64;
/// How long a look may be before a span and still count as its beginning.
const LOOK_AGE_MAX: Duration = Duration::from_secs(10);

/// How transactions ended, as PostgreSQL counts it.
#[derive(Debug, Default)]
pub(super) struct Ends(VecDeque<(Timestamp, XactEnds)>);

impl Ends {
    fn note(&mut self, sample: &DatabaseSample) {
        let is_new = self.0.back().is_none_or(|(at, _)| sample.at > *at);
        if let Some(ends) = sample.xact_ends.filter(|_| sample.is_reachable() && is_new) {
            // Counters that fell were reset.
            if self.0.back().is_some_and(|(_, last)| ends.since(last).is_none()) {
                self.0.clear();
            }
            self.0.push_back((sample.at, ends));
            if self.0.len() > LOOKS_MAX {
                self.0.pop_front();
            }
        }
    }

    /// Gives what ended between the last looks before two moments.
    fn between(&self, from: Timestamp, to: Timestamp) -> Option<XactEnds> {
        let last_until = |at| self.0.iter().rev().find(move |(then, _)| *then <= at);
        let first = last_until(from).filter(|(at, _)| from.since(*at) <= LOOK_AGE_MAX);
        let (first_at, first) = first.or_else(|| self.0.iter().find(|(at, _)| *at >= from))?;
        let (last_at, last) = last_until(to)?;
        if last_at <= first_at { None } else { last.since(first) }
    }
}

impl History {
    /// Adds the newest snapshot to what each scope's pools did together.
    pub(super) fn note_together(&mut self, at: Timestamp) {
        let Some(latest) = &self.latest else { return };
        if let Some(sample) = &latest.postgres {
            self.ends.note(sample);
        }
        let (now, gap) = (self.gauges(), self.spans.gap());
        self.together.retain(|scope, _| now.contains_key(scope));
        for (scope, gauges) in now {
            let track = self.together.entry(scope).or_insert_with(|| ScopeTrack::new(gap));
            track.absorb(at, gauges);
        }
    }

    fn gauges(&self) -> BTreeMap<ScopeKey, Gauges> {
        let Some(latest) = &self.latest else { return BTreeMap::new() };
        let mut scopes: BTreeMap<ScopeKey, Gauges> = BTreeMap::new();
        scopes.insert(ScopeKey::Default, Gauges::default());
        // Busy servers and pools of each database in each scope, to share its counters out.
        let mut shares: BTreeMap<&Arc<str>, BTreeMap<ScopeKey, f64>> = BTreeMap::new();
        for row in &latest.pools {
            let scope = self.scope_of(&row.key);
            let gauges = scopes.entry(scope.clone()).or_default();
            gauges.waiting = gauges.waiting.saturating_add(row.cl_waiting);
            gauges.servers = gauges.servers.saturating_add(row.servers());
            gauges.load = gauges.load.max(row.sv_active.saturating_add(row.cl_waiting));
            let maxwait = u64::try_from(row.maxwait.as_micros()).unwrap_or(u64::MAX);
            gauges.maxwait_us = gauges.maxwait_us.max(maxwait);
            if row.sv_active > 0 {
                gauges.busy.push(row.sv_active);
            }
            // A pool without a busy server has a part too, so that nothing is divided by 0.
            let part = f64::from(row.sv_active).max(0.001);
            *shares.entry(&row.key.database).or_default().entry(scope).or_default() += part;
        }
        for (database, shares) in shares {
            let Some(track) = self.counters.get(database) else { continue };
            let (delta, all) = (track.last_delta(), shares.values().sum::<f64>());
            for (scope, part) in shares {
                let work = Work::share(delta, part / all);
                if let Some(gauges) = scopes.get_mut(&scope).filter(|_| delta != Delta::default()) {
                    gauges.work.push((Arc::clone(database), work));
                }
            }
        }
        for (scope, gauges) in &mut scopes {
            let size = latest.size_in_force(&Setting::size_of(scope.clone()));
            gauges.size = size.unwrap_or(0);
        }
        scopes
    }

    /// Gives the clients that wait in a scope's pools now.
    pub fn waiting(&self, scope: &ScopeKey) -> u32 {
        self.together.get(scope).map_or(0, ScopeTrack::waiting)
    }

    /// Gives the most servers of one of a scope's pools that are at work now.
    pub fn most_busy(&self, scope: &ScopeKey) -> u32 {
        self.together.get(scope).map_or(0, ScopeTrack::most_busy)
    }

    /// Cuts a scope's record at this moment, so that before and after can be told apart.
    pub fn cut(&mut self, scope: &ScopeKey) {
        if let Some(track) = self.together.get_mut(scope) {
            track.cut();
        }
    }

    /// Says which sizes the busy servers from now on are compared with.
    pub fn clip(&mut self, scope: &ScopeKey, at: [u32; 2]) {
        if let Some(track) = self.together.get_mut(scope) {
            track.clip(at);
        }
    }

    /// Sums what a scope's pools did within a span of time.
    pub fn stretch(&self, scope: &ScopeKey, from: Timestamp, to: Timestamp) -> Stretch {
        self.together.get(scope).map(|track| track.sum(from, to)).unwrap_or_default()
    }

    /// Gives the seconds of a span of time, for a chart.
    pub fn points(&self, scope: &ScopeKey, from: Timestamp, to: Timestamp) -> Vec<EffectPoint> {
        self.together.get(scope).map(|track| track.points(from, to)).unwrap_or_default()
    }

    /// Gives a stretch's numbers with how PostgreSQL's transactions ended in that time.
    pub fn measure(&self, stretch: &Stretch, from: Timestamp, to: Timestamp) -> Measure {
        let ends = self.ends.between(from, to);
        let deadlocks = ends.map(|ends| super::counters::float(ends.deadlocks));
        Measure {
            rollback_ratio: ends.and_then(|ends| ends.rollback_ratio()),
            deadlocks,
            ..stretch.measure()
        }
    }
}
