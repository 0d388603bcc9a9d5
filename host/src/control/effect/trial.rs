//! A change that is being measured.

use std::time::Duration;

use super::judge::{Baseline, Case, Course, EARLY, Finding, Moment, is_one_step};
use crate::control::scope::InFlight;
use crate::history::{History, Stretch};
use crate::model::{
    DecisionId, EffectLimits, EffectReport, Evidence, Knob, Measure, PoolSize, ScopeKey, Setting,
    Timestamp,
};

/// What a chart shows of the time before a change.
pub(super) const CHART_BEFORE: Duration = Duration::from_secs(30);
/// What a chart shows of the time after a change.
pub(super) const CHART_AFTER: Duration = Duration::from_secs(60);
/// Seconds before a change that it may be compared with, as long as they are alike. The cells of the
/// record begin and end with polls, hence the half.
const ALIKE_MS: [u64; 4] = [1_500, 2_500, 5_500, 10_500];
/// Seconds that are taken when those tell too little.
const FARTHER_MS: [u64; 3] = [10_500, 30_500, 120_000];
/// Part of the time with waiters from which a pool counts as pressed.
const PRESSED: f64 = 0.5;
/// A change counts from the poll that is nearest to when it has settled: the quickest are 50 ms apart.
const NEAREST: Duration = Duration::from_millis(25);
/// Longest part of the window that is left out at its beginning.
const SETTLE_PART: u32 = 4;

/// A roll-back that is to be sent, until it is in force.
#[derive(Debug, Clone)]
pub(super) struct TakeBack {
    /// The decision that did harm.
    pub id: DecisionId,
    /// Since when it is to be taken back.
    pub since: Timestamp,
    /// The size that is taken back.
    pub of: PoolSize,
    /// The size to go back to.
    pub to: PoolSize,
    pub words: String,
    /// The decision under which it was last sent.
    pub sent: Option<DecisionId>,
}

/// A change that is being measured.
#[derive(Debug)]
pub(super) struct Trial {
    pub id: DecisionId,
    pub from: PoolSize,
    pub to: PoolSize,
    pub began: Timestamp,
    /// When it is to be told what it did, if it can be: the end of the window of the first of several
    /// growths that are one step together.
    pub due: Timestamp,
    pub climb: Option<Baseline>,
    course: Course,
    before: Baseline,
    /// When what the change does begins to count, and when a cut was made there.
    settles: Timestamp,
    settled: Option<Timestamp>,
    after: Measure,
    finding: Finding,
    /// A shrink after which nobody has waited so far.
    is_quiet: bool,
    expected: (String, Vec<Evidence>),
}

impl Trial {
    /// Begins with a change that was found in force; `earlier` is the growth that it goes on with, and
    /// `climb` what there was before the first of several.
    #[expect(clippy::too_many_arguments, reason = "one call; a struct would repeat the fields")]
    pub fn begin(
        history: &History,
        setting: &Setting,
        (flight, from): (&InFlight, PoolSize),
        earlier: Option<&Self>,
        climb: Option<Baseline>,
        (limits, step): (&EffectLimits, u32),
        now: Timestamp,
    ) -> Self {
        let course = match setting.knob {
            Knob::PoolSize if flight.size > from => Course::Growth,
            Knob::PoolSize => Course::Shrink,
            _ => Course::Other,
        };
        let least = f64::from(limits.min_transactions);
        let scope = &setting.scope;
        let of_earlier = earlier.and_then(|earlier| {
            let (from, to) = (earlier.settled?, flight.at);
            let stretch = history.stretch(scope, from, to);
            (stretch.transactions() >= least).then_some((from, stretch))
        });
        let (since, stretch) =
            of_earlier.unwrap_or_else(|| seconds_before(history, scope, flight.at, least));
        let measure = history.measure(&stretch, since, flight.at);
        // While a shrink has not come through more are at work than the size says.
        let had = from.get().max(history.most_busy(scope));
        let before = Baseline { at: now, stretch, measure, size: had, set: from.get() };
        let climb = climb.or_else(|| Some(before.clone()));
        let mean = Duration::from_secs_f64(measure.transaction_mean_us.max(0.0) / 1e6);
        let settle = limits.settle.max(mean).min(limits.window / SETTLE_PART);
        let expected = expected(course, &before, flight.size, limits);
        let together = |climb: &Baseline| is_one_step(climb.size, flight.size.get(), step);
        let first = earlier.filter(|_| climb.as_ref().is_some_and(together));
        Self {
            id: flight.id,
            from,
            to: flight.size,
            began: now,
            due: first.map_or(now.plus(limits.window), |earlier| earlier.due),
            climb: climb.filter(|_| course == Course::Growth),
            course,
            before,
            settles: now.plus(settle),
            settled: None,
            after: Measure::default(),
            finding: Finding::Open("nothing is known yet".to_owned()),
            is_quiet: false,
            expected,
        }
    }

    /// Gives the servers that each pool had before: the size, or as many as were at work.
    pub fn had(&self) -> u32 {
        self.before.size
    }

    pub fn course(&self) -> Course {
        self.course
    }

    /// Says whether a further shrink may follow now.
    pub fn may_shrink_on(&self) -> bool {
        self.is_quiet
    }

    /// Says whether a further growth may follow now.
    pub fn may_go_on(&self) -> bool {
        self.course == Course::Growth
            && matches!(self.finding, Finding::Gain(_) | Finding::Part(_) | Finding::Good(_))
    }

    /// Says what is known so far.
    pub fn words(&self) -> &str {
        match &self.finding {
            Finding::Open(words)
            | Finding::Gain(words)
            | Finding::Part(words)
            | Finding::Good(words)
            | Finding::Harm(words)
            | Finding::HarmOfAll(words)
            | Finding::Unclear(words)
            | Finding::Unneeded(words)
            | Finding::Incomparable(words) => words,
        }
    }

    /// Begins to count once the change has settled.
    pub fn settle(&mut self, history: &mut History, setting: &Setting) {
        let Some(at) = history.latest().map(|latest| latest.at) else { return };
        if self.settled.is_none() && at >= self.began && at.plus(NEAREST) >= self.settles {
            history.cut(&setting.scope);
            self.settled = Some(at);
        }
    }

    /// Says what is known by now.
    pub fn weigh(
        &mut self,
        history: &History,
        setting: &Setting,
        limits: (&EffectLimits, u32),
        now: Timestamp,
        moment: Moment,
    ) -> Finding {
        let (limits, step) = limits;
        let stretch = match self.settled {
            Some(from) => history.stretch(&setting.scope, from, now),
            None => Stretch::default(),
        };
        self.after = history.measure(&stretch, self.settled.unwrap_or(now), now);
        let case = Case {
            course: self.course,
            step,
            to: self.to.get(),
            limits,
            before: &self.before,
            climb: self.climb.as_ref().filter(|climb| climb.size < self.before.size),
            after: &stretch,
            measure: &self.after,
        };
        self.finding = case.judge(moment);
        let nobody_waits = self.settled.is_some() && stretch.waiting_share() <= 0.0;
        let is_told = matches!(self.finding, Finding::Open(_) | Finding::Good(_));
        self.is_quiet =
            self.course == Course::Shrink && nobody_waits && is_told && stretch.observed() >= EARLY;
        self.finding.clone()
    }

    /// Writes down what is known so far.
    pub fn report(&self, history: &History, setting: &Setting, now: Timestamp) -> EffectReport {
        EffectReport {
            decision: self.id,
            began: self.began,
            expected: self.expected.0.clone(),
            expected_numbers: self.expected.1.clone(),
            before: self.before.measure,
            after: self.after,
            series: history.points(&setting.scope, self.began.minus(CHART_BEFORE), now),
            judged_at: None,
            judged: String::new(),
        }
    }
}

/// Finds the seconds before a change under the load of the moment: as many as are alike, farther back
/// only where those tell too little.
fn seconds_before(
    history: &History,
    scope: &ScopeKey,
    to: Timestamp,
    least: f64,
) -> (Timestamp, Stretch) {
    let of = |ms: &u64| {
        let from = to.minus(Duration::from_millis(*ms));
        (from, history.stretch(scope, from, to))
    };
    let is_pressed = |stretch: &Stretch| stretch.waiting_share() >= PRESSED;
    let tells = |stretch: &Stretch| stretch.transactions() >= least;
    let newest = ALIKE_MS.first().map(of).map(|(_, stretch)| is_pressed(&stretch));
    let mut alike = ALIKE_MS.iter().map(of).filter(|(_, one)| Some(is_pressed(one)) == newest);
    if let Some(found) = alike.rfind(|(_, one)| tells(one)) {
        return found;
    }
    let farther = FARTHER_MS.iter().map(of).find(|(_, one)| tells(one));
    farther.unwrap_or_else(|| of(&FARTHER_MS[0]))
}

fn expected(
    course: Course,
    before: &Baseline,
    to: PoolSize,
    limits: &EffectLimits,
) -> (String, Vec<Evidence>) {
    let number = |name: &str, value: f64| Evidence { name: name.to_owned(), value };
    let measure = &before.measure;
    let slower = 1.0 + f64::from(limits.tolerance_percent) / 100.0;
    let (size, load) = (f64::from(before.size), before.stretch.load());
    let longest = measure.transaction_mean_us * slower;
    let ms = longest / 1_000.0;
    match course {
        Course::Growth => {
            let could = f64::from(to.get()).min(load.max(size)) / size.max(1.0);
            let gain = f64::from(limits.min_gain_percent) / 100.0;
            let (most, least) = (
                measure.throughput_per_s * could,
                measure.throughput_per_s * (1.0 + (could - 1.0) * gain),
            );
            let words = format!(
                "{} clients wait for {size} servers a pool; with {to}, throughput rises from {:.0} to \
                 {most:.0} transactions/s at best, {least:.0} at least, and fewer clients wait",
                round(before.stretch.waiting()),
                measure.throughput_per_s
            );
            let numbers = vec![
                number("throughput_at_best_per_s", most),
                number("throughput_at_least_per_s", least),
                number("transaction_mean_us", measure.transaction_mean_us),
            ];
            (words, numbers)
        }
        Course::Shrink => {
            let words = format!(
                "{to} servers a pool do for {} clients at work or waiting: nobody waits more than \
                 before, and throughput stays",
                round(load)
            );
            let numbers = vec![
                number("waiting_share_ratio", measure.waiting_share),
                number("throughput_per_s", measure.throughput_per_s),
            ];
            (words, numbers)
        }
        Course::Other => {
            let words =
                format!("no harm: throughput stays, and transactions take up to {ms:.1} ms");
            let numbers = vec![
                number("throughput_per_s", measure.throughput_per_s),
                number("transaction_max_us", longest),
            ];
            (words, numbers)
        }
    }
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
