//! Reads what pgbench prints.
//!
//! Lines are recognised by their words, not by their place: versions add lines between.

use std::time::Duration;

/// One second of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadSample {
    /// Time since the load's start.
    pub at: Duration,
    /// Transactions per second.
    pub tps: f64,
    /// Mean time of a transaction, with its wait for a server.
    pub latency: Duration,
}

/// What became of a load.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadReport {
    /// Transactions done, if the load ran to its end.
    pub transactions: Option<u64>,
    /// Transactions per second; the samples' mean if the load was stopped.
    pub tps: f64,
    /// Mean time of a transaction; weighted over the samples if the load was stopped.
    pub latency: Duration,
    /// Transactions that failed without ending their client (PostgreSQL ≥ 15 counts them).
    pub failed_transactions: u64,
    /// Clients that gave up, as they do when their connection is cut or refused.
    pub aborted_clients: u64,
    /// One sample per second.
    pub samples: Vec<LoadSample>,
    /// The lines that pgbench wrote about errors.
    pub errors: Vec<String>,
}

impl LoadReport {
    pub(super) fn parse(text: &str) -> Self {
        let samples: Vec<_> = text.lines().filter_map(sample).collect();
        let errors: Vec<_> =
            text.lines().filter(|line| is_error(line)).map(str::to_owned).collect();
        let (mean_tps, mean_latency) = means(&samples);
        let tps = number_after(text, "tps = ").unwrap_or(mean_tps);
        let latency = number_after(text, "latency average = ").map(millis);
        let failed = number_after(text, "number of failed transactions: ");
        Self {
            transactions: number_after(text, "number of transactions actually processed: "),
            tps,
            latency: latency.unwrap_or(mean_latency),
            failed_transactions: failed.unwrap_or(0),
            aborted_clients: aborted(&errors),
            samples,
            errors,
        }
    }
}

/// Reads `progress: 1.0 s, 75.0 tps, lat 52.123 ms stddev 1.2, 0 failed`.
fn sample(line: &str) -> Option<LoadSample> {
    let rest = line.strip_prefix("progress: ")?;
    let mut parts = rest.split(", ");
    let at: f64 = parts.next()?.strip_suffix(" s")?.parse().ok()?;
    let tps = parts.next()?.strip_suffix(" tps")?.parse().ok()?;
    // "lat NaN ms" in a second without a transaction.
    let latency: f64 = parts.next()?.strip_prefix("lat ")?.split(' ').next()?.parse().ok()?;
    let at = Duration::try_from_secs_f64(at).ok()?;
    Some(LoadSample { at, tps, latency: millis(latency) })
}

fn means(samples: &[LoadSample]) -> (f64, Duration) {
    let total: f64 = samples.iter().map(|sample| sample.tps).sum();
    let weighted: f64 = samples.iter().map(|one| one.tps * one.latency.as_secs_f64()).sum();
    if total <= 0.0 {
        return (0.0, Duration::ZERO);
    }
    let count = f64::from(u32::try_from(samples.len()).unwrap_or(u32::MAX));
    (total / count, Duration::try_from_secs_f64(weighted / total).unwrap_or_default())
}

fn millis(value: f64) -> Duration {
    Duration::try_from_secs_f64(value / 1_000.0).unwrap_or_default()
}

fn number_after<T: std::str::FromStr>(text: &str, label: &str) -> Option<T> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split([' ', '/']).next()?.parse().ok()
}

fn is_error(line: &str) -> bool {
    line.starts_with("pgbench: error") || line.starts_with("pgbench: fatal")
}

fn aborted(errors: &[String]) -> u64 {
    let count = errors
        .iter()
        .filter(|line| line.contains("client ") && line.contains(" aborted in "))
        .count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::LoadReport;

    const SAMPLES: &str = "pgbench (15.18)\n\
        progress: 1.0 s, 100.0 tps, lat 50.000 ms stddev 0.071, 0 failed\n\
        progress: 2.0 s, 0.0 tps, lat NaN ms stddev NaN, 0 failed\n\
        progress: 3.0 s, 50.0 tps, lat 200.000 ms stddev 9.001, 0 failed\n";

    #[test]
    fn a_finished_load_is_reported_from_the_summary() {
        let text = format!(
            "{SAMPLES}number of transactions actually processed: 152/160\n\
             number of failed transactions: 3 (1.974%)\nlatency average = 52.632 ms\n\
             initial connection time = 7.1 ms\ntps = 75.99 (without initial connection time)\n"
        );
        let report = LoadReport::parse(&text);
        assert_eq!(report.transactions, Some(152));
        assert_eq!(report.failed_transactions, 3);
        assert_eq!(report.latency, Duration::from_micros(52_632));
        assert!((report.tps - 75.99).abs() < 1e-9);
    }

    #[test]
    fn a_stopped_load_is_reported_from_its_samples() {
        let report = LoadReport::parse(SAMPLES);
        assert_eq!(report.transactions, None);
        assert_eq!(report.samples.len(), 3);
        assert!((report.tps - 50.0).abs() < 1e-9);
        assert_eq!(report.latency, Duration::from_millis(100));
    }

    #[test]
    fn clients_that_gave_up_are_counted() {
        let report = LoadReport::parse(
            "pgbench: error: client 3 script 0 aborted in command 0 query 0: FATAL: x\n\
             pgbench: error: Run was aborted; the above results are incomplete.\n",
        );
        assert_eq!(report.errors.len(), 2);
        assert_eq!(report.aborted_clients, 1);
    }
}
