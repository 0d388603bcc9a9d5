//! What a change did, from what was measured before it and after it.
//!
//! The question of a growth is whether the added servers did work or only shared the database's.
//! What the size before would have done under the same load is reckoned from the throughput of each
//! of its busy servers: X0' = X0 / B0 · min(B, size before). The measured throughput is then X / X0' = x
//! with B / min(B, size before) = b times the servers, and (x - 1) / (b - 1) is what the added servers
//! gave of what they could give at best: 1 when they all worked, 0 when the database was the limit,
//! negative when they only stood in one another's way. These are two points on the curve of the
//! Universal Scalability Law (N. J. Gunther, "A Simple Capacity Model of Massively Parallel Transaction
//! Systems", 1993). Transactions are weighted by the mean time that those of their database took
//! before, so that a pool of many short ones does not hide one of few long ones.
//!
//! A shrink, or a change of another knob, is asked only whether it did harm.

mod compare;

use std::time::Duration;

use self::compare::Scaling;
use crate::history::Stretch;
use crate::model::{EffectLimits, Measure, Timestamp};

/// Logarithm of the odds from which a growth is likely to help, so that a further step may follow.
const LIKELY: f64 = 0.5;
/// Logarithm of the odds from which a growth has surely not helped: nineteen to one.
const SURE: f64 = 2.9;
/// The same at the end of the window: five to one.
const PROBABLE: f64 = 1.6;
/// Standard errors by which a number must be clear of its border before the window ends.
const SIGMAS: f64 = 2.0;
/// What must have been seen before the next step may follow a change: the time from one poll to the next,
/// the quickest of which are 50 ms apart, or nearly. What so little time tells is weighed as little.
pub(super) const EARLY: Duration = Duration::from_millis(45);
/// What must have been seen before a gain ends the measuring.
const CLEAR_GAIN: Duration = Duration::from_secs(1);
/// What must have been seen before harm does: new servers begin with cold caches.
const CLEAR_HARM: Duration = Duration::from_secs(2);
/// Part of the added servers of one pool that must have been busy for a growth to tell something.
const USED: f64 = 0.2;
/// Part of the time with waiters from which a pool counts as pressed.
const PRESSED: f64 = 0.5;
/// Part of the time with waiters up to which nobody is said to wait.
const CALM: f64 = 0.1;
/// By how much the part of rolled back transactions must have risen to be harm.
const ROLLBACKS: f64 = 0.05;
/// Fewer deadlocks than these are chance.
const DEADLOCKS: f64 = 3.0;
/// So many windows at most it is waited for transactions enough to tell.
const WINDOWS_MAX: u32 = 4;

/// Which way a change went, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum Course {
    /// A larger `pool_size`.
    Growth,
    /// A smaller `pool_size`.
    Shrink,
    /// Another knob.
    Other,
}

/// What is known of a change so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) enum Finding {
    /// Not enough yet.
    Open(String),
    /// It helps; a further step may follow.
    Gain(String),
    /// Too little to tell, but no more than a part of one step: the next part may follow.
    Part(String),
    /// It helped, or did no harm, and that is clear.
    Good(String),
    /// It did harm, or did not help.
    Harm(String),
    /// As harm, and so did the growths before it.
    HarmOfAll(String),
    /// Nothing can be told.
    Unclear(String),
    /// Nothing can be told, because the added servers were not needed; when they are is a new question.
    Unneeded(String),
    /// There was nothing before to compare with; what is known now is, for the next change.
    Incomparable(String),
}

/// What there was before, to compare with.
#[derive(Debug, Clone)]
pub(in crate::control) struct Baseline {
    /// When the change that it was before came into force.
    pub at: Timestamp,
    pub stretch: Stretch,
    pub measure: Measure,
    /// The servers that each pool had: the size, or more where a shrink had not come through.
    pub size: u32,
    /// The size that was set.
    pub set: u32,
}

/// A change, as it is judged.
#[derive(Debug)]
pub(in crate::control) struct Case<'a> {
    pub course: Course,
    /// The largest growth at once.
    pub step: u32,
    pub to: u32,
    pub limits: &'a EffectLimits,
    pub before: &'a Baseline,
    /// The first of several growths without a calm in between, where this is not the first.
    pub climb: Option<&'a Baseline>,
    pub after: &'a Stretch,
    pub measure: &'a Measure,
}

/// Whether more is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum Moment {
    Early,
    /// The window of the step is over of which this growth is a part, its own is not.
    Due,
    Last,
}

/// Says whether all growths from a first size on are no more than one large step together.
pub(super) fn is_one_step(first: u32, to: u32, step: u32) -> bool {
    to.saturating_sub(first) <= step
}

fn part(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

impl Case<'_> {
    /// Says what is known by now.
    pub fn judge(&self, moment: Moment) -> Finding {
        match self.course {
            Course::Growth => self.growth(moment),
            Course::Shrink => self.shrink(moment),
            Course::Other => self.other(moment),
        }
    }

    fn growth(&self, moment: Moment) -> Finding {
        let after = self.after;
        let [clipped, _] = after.clipped();
        let added = f64::from(self.to.saturating_sub(self.before.size));
        let used = after.busy() - clipped;
        if used < USED * added {
            return self.unused(moment);
        }
        let Some(step) = self.scaling(self.before, clipped) else {
            return self.uncounted(moment);
        };
        let all = self.climb.and_then(|first| self.scaling(first, after.clipped()[1]));
        let words = self.words(&step, used);
        let harm = |words: String| match all {
            // Growths that are no more than one step together had leave to go on as one.
            Some(all)
                if !self.is_gain(&all, moment)
                    && (self.is_one_step() || self.is_harm(&all, moment)) =>
            {
                Finding::HarmOfAll(words)
            }
            _ => Finding::Harm(words),
        };
        let seen = self.after.observed();
        let harms = |one: &Scaling| !self.is_gain(one, moment) && self.is_harm(one, moment);
        let is_clear = match moment {
            Moment::Early => seen >= CLEAR_HARM && harms(&step),
            Moment::Due => seen >= EARLY && (harms(&step) || all.as_ref().is_some_and(harms)),
            Moment::Last => return self.last(&step, all.as_ref(), words, harm),
        };
        if is_clear {
            return harm(format!("{words}: the database is the limit"));
        }
        match self.is_gain(&step, moment) {
            true if seen >= CLEAR_GAIN => Finding::Good(words),
            true if seen >= EARLY => Finding::Gain(words),
            false if seen >= EARLY && self.is_part_of_a_step(&step, all) => Finding::Part(words),
            _ => Finding::Open(words),
        }
    }

    fn last(
        &self,
        step: &Scaling,
        all: Option<&Scaling>,
        words: String,
        harm: impl Fn(String) -> Finding,
    ) -> Finding {
        let moment = Moment::Last;
        if let Some(why) = self.errors() {
            return harm(format!("{words}; {why}"));
        }
        if self.is_gain(step, moment) {
            return Finding::Good(words);
        }
        if self.is_harm(step, moment) {
            return harm(format!("{words}: the database is the limit"));
        }
        // A small step alone tells little; many of them in a row do.
        match all {
            Some(all) if !self.is_gain(all, moment) && self.is_harm(all, moment) => {
                Finding::HarmOfAll(format!("{words}; so it was with the growths before it"))
            }
            _ => Finding::Good(format!("{words}, which is within tolerance")),
        }
    }

    /// Says whether the growths so far are too small to tell anything, and no more than one large step
    /// together: a load that rises evenly must not wait for each of them to be told.
    fn is_part_of_a_step(&self, step: &Scaling, all: Option<Scaling>) -> bool {
        // By all the time that was taken, over what has finished: of the first moments only the short
        // ones have, and their mean says that all is well (as for lifetimes that are cut off).
        let likely = |one: &Scaling| self.evidence(one, one.b / one.x) > -LIKELY;
        self.is_one_step() && likely(step) && all.is_none_or(|all| likely(&all))
    }

    /// Says whether all growths without a calm in between are no more than one large step together.
    fn is_one_step(&self) -> bool {
        let first = self.climb.map_or(self.before.size, |climb| climb.size);
        is_one_step(first, self.to, self.step)
    }

    /// Judges a growth whose servers nobody needed.
    fn unused(&self, moment: Moment) -> Finding {
        let (before, after) = (&self.before.stretch, self.after);
        let load = after.load();
        let words = format!(
            "the added servers were hardly used: the busiest pool had {load:.1} clients at work or \
             waiting, {} fitted before",
            self.before.size
        );
        let served = before.waiting_share() >= PRESSED && after.waiting_share() <= CALM;
        // Whoever waited is served, by servers that the smaller size would not always have had.
        let peaks = served && load > f64::from(self.before.size) * (1.0 - USED);
        match moment {
            Moment::Early | Moment::Due => Finding::Open(words),
            Moment::Last if peaks && !self.is_slower() => {
                Finding::Good(format!("nobody waits any more, before {:.1} did", before.waiting()))
            }
            Moment::Last => Finding::Unneeded(words),
        }
    }

    /// Judges a growth in which too few transactions finished.
    fn uncounted(&self, moment: Moment) -> Finding {
        let (before, after) = (&self.before.stretch, self.after);
        let words = format!(
            "{:.0} transactions before and {:.0} after are too few to tell",
            before.transactions(),
            after.transactions()
        );
        let served = before.waiting_share() >= PRESSED && after.waiting_share() <= CALM;
        let least = f64::from(self.limits.min_transactions);
        // A burst out of nothing: to hold the next step back would leave a queue to itself.
        let cold = before.transactions() < least && after.transactions() >= least;
        match moment {
            Moment::Last if cold => Finding::Incomparable(words),
            _ if cold && after.observed() >= CLEAR_GAIN => Finding::Incomparable(words),
            Moment::Early | Moment::Due => Finding::Open(words),
            Moment::Last if served => {
                Finding::Good(format!("nobody waits any more, before {:.1} did", before.waiting()))
            }
            // A pool of long transactions, or one that has just begun: with time there are enough.
            Moment::Last
                if after.transactions() < least
                    && after.observed() < self.limits.window * WINDOWS_MAX =>
            {
                Finding::Open(words)
            }
            Moment::Last => Finding::Unclear(words),
        }
    }

    fn shrink(&self, moment: Moment) -> Finding {
        let (before, after) = (&self.before.stretch, self.after);
        let seen = after.observed();
        let load = after.load();
        let share = after.waiting_share();
        let quiet = format!(
            "waiting: {:.0} % of the time, before {:.0} %",
            share * 100.0,
            before.waiting_share() * 100.0
        );
        // Clients that would have fitted into the size before.
        let most = f64::from(self.before.size) * (1.0 + part(self.limits.tolerance_percent));
        let new = before.waiting_share() <= CALM;
        let due = match moment {
            Moment::Early | Moment::Due => seen >= CLEAR_GAIN && share >= PRESSED,
            Moment::Last => share > CALM,
        };
        if new && due && load > f64::from(self.to) {
            let words = format!(
                "clients wait {:.0} % of the time, before {:.0} %: the busiest pool has {load:.1} at \
                 work or waiting, {} fitted before",
                share * 100.0,
                before.waiting_share() * 100.0,
                self.before.size
            );
            return match (load <= most, moment) {
                (true, _) => Finding::Harm(words),
                (false, Moment::Early | Moment::Due) => Finding::Open(words),
                (false, Moment::Last) => Finding::Unclear(format!("{words}; the load has risen")),
            };
        }
        self.harmless(moment, quiet)
    }

    fn other(&self, moment: Moment) -> Finding {
        let quiet = format!("no harm seen; transactions take {}", self.times());
        self.harmless(moment, quiet)
    }

    /// Judges by throughput, transaction time and errors alone.
    fn harmless(&self, moment: Moment, quiet: String) -> Finding {
        let tolerance = part(self.limits.tolerance_percent);
        let (before, after) = (&self.before.stretch, self.after);
        let same_load = after.load() >= before.load() * (1.0 - tolerance);
        let enough = moment == Moment::Last || after.observed() >= CLEAR_HARM;
        if let Some(change) = self.throughput().filter(|_| enough && same_load) {
            let clear = change.x * (1.0 + margin(change.error, moment));
            let [then, now] = [self.before.measure, *self.measure].map(|m| m.throughput_per_s);
            // Fewer servers that do as much in less time do no harm.
            if clear < 1.0 - tolerance {
                return Finding::Harm(format!(
                    "throughput fell from {then:.0} to {now:.0} transactions/s while as many clients \
                     came"
                ));
            }
        }
        match (moment, self.errors()) {
            (Moment::Last, Some(why)) => Finding::Harm(why),
            (Moment::Last, None) => Finding::Good(quiet),
            (Moment::Early | Moment::Due, _) => Finding::Open(quiet),
        }
    }

    /// The later of two ways of counting decides, because what has finished lags behind what has begun.
    fn is_gain(&self, scaling: &Scaling, moment: Moment) -> bool {
        let slowdown = scaling.w.max(scaling.b / scaling.x);
        let enough = match moment {
            Moment::Early | Moment::Due => LIKELY,
            Moment::Last => 0.0,
        };
        scaling.b > 1.0 && self.evidence(scaling, slowdown) > enough
    }

    /// Both ways of counting must say so.
    fn is_harm(&self, scaling: &Scaling, moment: Moment) -> bool {
        let slowdown = scaling.w.min(scaling.b / scaling.x);
        let slower = slowdown > 1.0 + part(self.limits.tolerance_percent);
        let enough = match moment {
            Moment::Early => SURE,
            Moment::Due | Moment::Last => PROBABLE,
        };
        slower && scaling.b > 1.0 && self.evidence(scaling, slowdown) < -enough
    }

    fn is_slower(&self) -> bool {
        let w = self.throughput().map_or(1.0, |change| change.w);
        w > 1.0 + part(self.limits.tolerance_percent)
    }

    /// Says how errors have risen, if they have.
    fn errors(&self) -> Option<String> {
        let (before, after) = (&self.before.measure, self.measure);
        let per_s = |measure: &Measure| match (measure.deadlocks, measure.observed_s) {
            (Some(count), seconds) if seconds > 0.0 => Some(count / seconds),
            _ => None,
        };
        let (was, is) = (before.rollback_ratio?, after.rollback_ratio?);
        if is > was + ROLLBACKS {
            return Some(format!(
                "{:.1} % of the transactions are rolled back, before {:.1} %",
                is * 100.0,
                was * 100.0
            ));
        }
        let (was, is) = (per_s(before)?, per_s(after)?);
        let many = after.deadlocks.is_some_and(|count| count >= DEADLOCKS);
        (many && is > 2.0 * was).then(|| format!("{is:.1} deadlocks/s, before {was:.1}"))
    }

    fn words(&self, scaling: &Scaling, used: f64) -> String {
        let [then, now] = [self.before.measure, *self.measure].map(|m| m.throughput_per_s);
        format!(
            "{used:.1} more servers at work gave {:.0} % of what they could at best: {now:.0} \
             transactions/s, before {then:.0}; each takes {}",
            scaling.gain(scaling.x) * 100.0,
            self.times()
        )
    }

    fn times(&self) -> String {
        let ms = |measure: &Measure| measure.transaction_mean_us / 1_000.0;
        format!("{:.1} ms, before {:.1} ms", ms(self.measure), ms(&self.before.measure))
    }
}

/// The relative error of a mean of times that vary as an exponential distribution does; more than
/// that of a count.
fn margin(error: f64, moment: Moment) -> f64 {
    match moment {
        Moment::Early | Moment::Due => (SIGMAS * error).min(0.9),
        Moment::Last => 0.0,
    }
}
