//! Compares the throughput and the times of two stretches of time.

use super::{Baseline, Case, PRESSED, part};

/// Polls from which a sampled mean of busy servers is worth something.
const POLLS_MIN: f64 = 5.0;

/// The comparison of a growth with what a smaller size would have done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaling {
    /// Busy servers, by those that the smaller size would have had.
    pub(super) b: f64,
    /// Throughput, by what those would have done.
    pub(super) x: f64,
    /// Transaction time, by the one before.
    pub(super) w: f64,
    /// Relative error of `x` and `w`.
    pub(super) error: f64,
}

impl Scaling {
    /// Gives what the added servers gave of what they could give, at a given throughput.
    pub(super) fn gain(&self, x: f64) -> f64 {
        if self.b > 1.0 { (x - 1.0) / (self.b - 1.0) } else { 0.0 }
    }
}

impl Case<'_> {
    /// Weighs whether the added servers did work against whether they only shared the database's.
    ///
    /// The logarithm of how much likelier the first is than the second (A. Wald, "Sequential Tests of
    /// Statistical Hypotheses", 1945), given by how much longer transactions take. Were the database the
    /// limit, they would take as much longer as there are more of them, b; where the added servers gave
    /// twice the least gain, b / (1 + 2·gain·(b − 1)). The logarithm of a mean of n times that vary as an
    /// exponential distribution does has a standard error of about 1/√n.
    ///
    /// Longer than b² is not what a few servers more do: something else has changed as well, so it
    /// weighs no more than that.
    pub(super) fn evidence(&self, scaling: &Scaling, slowdown: f64) -> f64 {
        let gain = (2.0 * part(self.limits.min_gain_percent)).min(1.0);
        let useless = scaling.b.ln();
        let useful = useless - (1.0 + gain * (scaling.b - 1.0)).ln();
        let seen = slowdown.max(f64::MIN_POSITIVE).ln().min(2.0 * useless);
        let away = |from: f64| ((seen - from) / scaling.error.max(1e-3)).powi(2);
        (away(useless) - away(useful)) / 2.0
    }

    /// Compares with what the servers of a smaller size would have done.
    pub(super) fn scaling(&self, with: &Baseline, clipped: f64) -> Option<Scaling> {
        let compared = self.compare(with)?;
        let (before, after) = (&with.stretch, self.after);
        // Throughput of one busy server: 1 transaction in its mean time, unless clients hold servers
        // without using them, which only shows where enough was seen under load.
        let measure = &with.measure;
        let pressed = before.waiting_share() >= PRESSED && f64::from(measure.polls) >= POLLS_MIN;
        let each = match before.busy() {
            busy if pressed && busy > 0.0 => (compared.rate_before / busy).min(1.2),
            _ => 1.0,
        };
        if clipped <= 0.0 || each <= 0.0 {
            return None;
        }
        let (b, x) = (after.busy() / clipped, compared.rate_after / (each * clipped));
        Some(Scaling { b, x, w: compared.w, error: compared.error })
    }

    /// Compares throughput as such; `b` means nothing here.
    pub(super) fn throughput(&self) -> Option<Scaling> {
        let compared = self.compare(self.before)?;
        let x = compared.rate_after / compared.rate_before;
        Some(Scaling { b: 1.0, x, w: compared.w, error: compared.error })
    }

    fn compare(&self, with: &Baseline) -> Option<Compared> {
        let least = f64::from(self.limits.min_transactions);
        let (before, after) = (&with.stretch, self.after);
        let (mut counts, mut was, mut is, mut took) = ((0.0, 0.0), 0.0, 0.0, 0.0);
        for (database, then) in before.work() {
            let (Some(mean), Some(now)) = (then.mean_us(), after.work().get(database)) else {
                continue;
            };
            counts.0 += then.transactions;
            counts.1 += now.transactions;
            was += then.transactions * mean;
            is += now.transactions * mean;
            took += now.transaction_us;
        }
        let spans = [before.observed(), after.observed()].map(|span| span.as_secs_f64() * 1e6);
        if counts.0 < least || counts.1 < least || is <= 0.0 || spans.contains(&0.0) {
            return None;
        }
        Some(Compared {
            rate_before: was / spans[0],
            rate_after: is / spans[1],
            w: took / is,
            error: (1.0 / counts.0 + 1.0 / counts.1).sqrt(),
        })
    }
}

/// Two stretches of time, in servers' worth of work: what finished, times what that took before.
#[derive(Debug, Clone, Copy)]
struct Compared {
    rate_before: f64,
    rate_after: f64,
    pub(super) w: f64,
    pub(super) error: f64,
}
