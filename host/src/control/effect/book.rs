//! What is known of the last changes of each setting of a target.

use std::collections::BTreeMap;

use super::judge::Baseline;
use super::trial::{TakeBack, Trial};
use crate::guard::Hindrance;
use crate::model::{DecisionId, EffectLimits, EffectReport, PoolSize, Setting, Status, Timestamp};
use crate::record::EffectState;

/// Charts that wait for their last second; beyond that the oldest stay as they are.
const CHARTS_MAX: usize = 200;

/// The last change of a setting, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastChange {
    /// What came of it; [`Status::Applied`] while it is measured.
    pub status: Status,
    /// When it was found in force.
    pub at: Timestamp,
    /// The size before it.
    pub from: PoolSize,
    /// The size that it brought.
    pub to: PoolSize,
}

impl LastChange {
    /// Gives the contract's number: 1 measuring, 2 verified, 3 rolled back, 4 inconclusive.
    pub(super) fn code(&self) -> u8 {
        match self.status {
            Status::Applied => 1,
            Status::Verified | Status::Superseded => 2,
            Status::RolledBack => 3,
            _ => 4,
        }
    }
}

/// What came of the last growth, or the last shrink, of a setting.
#[derive(Debug, Clone)]
pub(super) struct Past {
    /// `None` after a restart of the sidecar, unless it is still to be taken back.
    pub id: Option<DecisionId>,
    pub status: Status,
    pub at: Timestamp,
    pub from: PoolSize,
    pub to: PoolSize,
    /// No further change of that direction before then.
    pub until: Option<Timestamp>,
    /// Roll-backs in a row.
    pub repeats: u32,
}

/// What is known of one setting.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub trial: Option<Trial>,
    pub growth: Option<Past>,
    pub shrink: Option<Past>,
    /// Where the present row of growths began.
    pub climb: Option<Baseline>,
    pub take_back: Option<TakeBack>,
    calm_since: Option<Timestamp>,
}

impl Record {
    /// Notes whether somebody waits; gives what a long calm has changed.
    pub fn note_calm(
        &mut self,
        waiting: u32,
        calm: std::time::Duration,
        now: Timestamp,
    ) -> Option<Past> {
        if waiting > 0 {
            self.calm_since = None;
            return None;
        }
        let since = *self.calm_since.get_or_insert(now);
        if now.since(since) < calm {
            return None;
        }
        if self.trial.is_none() {
            self.climb = None;
        }
        let is_stuck = self.growth.as_ref()?.status == Status::Inconclusive;
        if is_stuck { self.free_growth() } else { None }
    }

    /// Lets a growth follow the last one; gives what that has changed.
    pub fn free_growth(&mut self) -> Option<Past> {
        let past = self.growth.as_mut().filter(|past| past.until.is_some())?;
        past.until = None;
        Some(past.clone())
    }

    pub fn past(&mut self, id: DecisionId) -> Option<&mut Past> {
        let mut both = self.growth.iter_mut().chain(&mut self.shrink);
        both.find(|past| past.id == Some(id))
    }

    /// Notes of a change that did harm that it stays; gives what that has changed.
    pub fn is_not_taken_back(&mut self, id: DecisionId) -> Option<Past> {
        let past = self.past(id)?;
        past.status = Status::Inconclusive;
        Some(past.clone())
    }

    /// Lets go of all that hinders; gives what that has changed.
    pub fn forgive(&mut self) -> Vec<Past> {
        self.climb = None;
        let both = self.growth.iter_mut().chain(&mut self.shrink);
        let waits = both.filter(|past| past.until.is_some() || past.repeats > 0);
        waits
            .map(|past| {
                (past.until, past.repeats) = (None, 0);
                past.clone()
            })
            .collect()
    }
}

/// What is known of all settings of a target.
#[derive(Debug)]
pub(in crate::control) struct EffectBook {
    limits: EffectLimits,
    settings: BTreeMap<Setting, Record>,
    /// Reports whose charts are not complete, with when they will be.
    charts: Vec<(Setting, EffectReport, Timestamp)>,
}

impl EffectBook {
    /// Makes a book from what the store knows; moments that lie ahead are of a clock that ran ahead.
    pub fn new(limits: EffectLimits, known: Vec<EffectState>, now: Timestamp) -> Self {
        let mut book = Self { limits, settings: BTreeMap::new(), charts: Vec::new() };
        for state in known {
            let record = book.settings.entry(state.setting).or_default();
            let grows = state.to > state.from;
            let longest = now.plus(limits.rollback_wait.saturating_mul(1 << super::REPEATS_MAX));
            let back = state.going_back;
            if let Some((id, to)) = back {
                let words = format!(
                    "takes back decision {id} ({} to {}), which did harm: Poolwarden ended before \
                     that was done",
                    state.from, state.to
                );
                let (since, of) = (now, state.to);
                record.take_back = Some(TakeBack { id, since, of, to, words, sent: None });
            }
            let past = Past {
                id: back.map(|(id, _)| id),
                status: state.status,
                at: state.at.min(now),
                from: state.from,
                to: state.to,
                until: state.until.map(|until| until.min(longest)),
                repeats: state.repeats,
            };
            *(if grows { &mut record.growth } else { &mut record.shrink }) = Some(past);
        }
        book
    }

    pub fn limits(&self) -> &EffectLimits {
        &self.limits
    }

    pub(super) fn record(&mut self, setting: &Setting) -> &mut Record {
        self.settings.entry(setting.clone()).or_default()
    }

    pub(super) fn settings(&self) -> Vec<Setting> {
        self.settings.keys().cloned().collect()
    }

    pub(super) fn on_trial(&self) -> Vec<Setting> {
        self.those(|record| record.trial.is_some())
    }

    pub(super) fn going_back(&self, setting: &Setting) -> Option<&TakeBack> {
        self.settings.get(setting)?.take_back.as_ref()
    }

    pub(super) fn to_take_back(&self) -> Vec<Setting> {
        self.those(|record| record.take_back.is_some())
    }

    fn those(&self, wanted: impl Fn(&Record) -> bool) -> Vec<Setting> {
        let some = self.settings.iter().filter(|(_, record)| wanted(record));
        some.map(|(setting, _)| setting.clone()).collect()
    }

    pub(super) fn chart_later(&mut self, setting: &Setting, report: EffectReport, due: Timestamp) {
        self.charts.retain(|(_, one, _)| one.decision != report.decision);
        if self.charts.len() < CHARTS_MAX {
            self.charts.push((setting.clone(), report, due));
        }
    }

    pub(super) fn due_charts(&mut self, now: Timestamp) -> Vec<(Setting, EffectReport)> {
        let due = self.charts.extract_if(.., |(_, _, due)| *due <= now);
        due.map(|(setting, report, _)| (setting, report)).collect()
    }

    /// Gives the last change of a setting.
    pub fn last(&self, setting: &Setting) -> Option<LastChange> {
        let record = self.settings.get(setting)?;
        let past = |past: &Past| LastChange {
            status: past.status,
            at: past.at,
            from: past.from,
            to: past.to,
        };
        let trial = record.trial.as_ref().map(|trial| LastChange {
            status: Status::Applied,
            at: trial.began,
            from: trial.from,
            to: trial.to,
        });
        let ended = record.growth.iter().chain(&record.shrink).max_by_key(|one| one.at);
        trial.or(ended.map(past))
    }

    pub fn status_of(&self, setting: &Setting, id: DecisionId) -> Status {
        let Some(record) = self.settings.get(setting) else { return Status::Verified };
        if record.trial.as_ref().is_some_and(|trial| trial.id == id) {
            return Status::Applied;
        }
        let mut both = record.growth.iter().chain(&record.shrink);
        both.find(|past| past.id == Some(id)).map_or(Status::Verified, |past| past.status)
    }

    pub fn hindrance(&self, setting: &Setting, now: Timestamp) -> Hindrance {
        let Some(record) = self.settings.get(setting) else { return Hindrance::default() };
        if let Some(one) = &record.take_back {
            let why = format!("the size goes back from {} to {}", one.of, one.to);
            return Hindrance { growth: Some(why.clone()), shrink: Some(why) };
        }
        let growth = self.waits(record.growth.as_ref(), record, now);
        let shrink = self.waits(record.shrink.as_ref(), record, now);
        let Some(trial) = &record.trial else { return Hindrance { growth, shrink } };
        let (grew, from, to) = (trial.to > trial.from, trial.from, trial.to);
        let ms = now.since(trial.began).as_millis();
        let words = format!(
            "what the change from {from} to {to} does has been measured for {ms} ms: {}",
            trial.words()
        );
        match (grew, trial.may_go_on()) {
            (true, true) => Hindrance { growth, shrink },
            (true, false) => Hindrance { growth: growth.or(Some(words)), shrink },
            (false, _) if trial.may_shrink_on() => Hindrance { growth, shrink },
            (false, _) => Hindrance { growth, shrink: shrink.or(Some(words)) },
        }
    }

    fn waits(&self, past: Option<&Past>, record: &Record, now: Timestamp) -> Option<String> {
        let past = past?;
        let left = past.until.filter(|until| *until > now)?.millis_since(now);
        let Past { from, to, .. } = past;
        if past.status == Status::RolledBack {
            return Some(format!(
                "the change from {from} to {to} was taken back; the next try is in {left} ms"
            ));
        }
        let calm = record.calm_since.map_or(0, |since| now.since(since).as_millis());
        Some(format!(
            "what the change from {from} to {to} did could not be told; the next one is when nobody \
             has waited for {} ms ({calm} so far), at the latest in {left} ms",
            self.limits.calm.as_millis()
        ))
    }
}
