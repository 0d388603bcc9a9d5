//! Timeouts beside the waits, gaps and transactions that were measured.

use std::time::Duration;

use poolwarden_policy::numbers::{count, quantile_of, servers_up};
use poolwarden_policy::{Past, PoolMode, Proposal, Recommendation, Subject, Window};

use crate::lines;
use crate::settings::Settings;
use crate::sizes::{ms, percent};
use crate::stats::{Stats, micros};

/// A timeout is long when it is this many times the longest wait.
const LONG: f64 = 20.0;
/// What is advised instead, in longest waits; and at least so much.
const ROOM: f64 = 10.0;
const WAIT_TIMEOUT_MIN_S: u32 = 15;
/// A timeout up to this is never called long.
const SHORT: Duration = Duration::from_secs(30);
/// Closed and opened again this often a day, servers are closed too soon.
const REOPENED_MIN: f64 = 4.0;
/// Longest gap that servers are advised to be kept through.
const GAP_MAX: Duration = Duration::from_secs(2 * 3_600);

/// Advises on the timeouts of the target.
pub(crate) fn check(
    settings: &Settings,
    window: &Window,
    past: &Past<'_>,
    stats: &[Stats<'_>],
) -> Vec<Proposal> {
    let timeout = Duration::from_millis(window.target().query_wait_timeout_ms);
    let reached = stats.iter().filter_map(|one| wait_reached(timeout, one));
    let mut proposals: Vec<Proposal> = reached.collect();
    if proposals.is_empty() {
        proposals.extend(wait_long(settings, timeout, stats));
    }
    proposals.extend(servers_closed_early(window, past, stats));
    proposals.extend(idle_transactions(window, stats));
    proposals
}

/// `query_wait_timeout` was reached: clients were thrown out of the queue.
fn wait_reached(timeout: Duration, one: &Stats<'_>) -> Option<Proposal> {
    if timeout.is_zero() {
        return None;
    }
    let near = micros(timeout) * 0.95;
    let steps = one.past.steps().flatten().filter(|step| micros(step.wait_max()) >= near).count();
    if steps == 0 {
        return None;
    }
    let share = count(steps) / count(one.past.seen());
    let doubled = timeout.as_secs().saturating_mul(2).max(2);
    let advice = Recommendation::new("query-wait-timeout-reached", one.pool.subject())
        .summary(format!(
            "In {steps} steps ({}) of {:.1} days the oldest waiter of {} reached the {} s of \
             query_wait_timeout, and clients were disconnected. Where the pool is too small its size \
             is the remedy; where such waits are wanted, a longer timeout is.",
            percent(share),
            one.days,
            one.pool.name(),
            timeout.as_secs(),
        ))
        .action(lines::set("query_wait_timeout", &doubled.to_string()))
        .evidence("steps", count(steps))
        .evidence("timeout-s", timeout.as_secs_f64())
        .evidence("wait-max-ms", one.wait_max_us / 1e3)
        .evidence("days", one.days);
    Some(advice.into())
}

/// `query_wait_timeout` is far beyond every wait: a database that hangs holds up its clients as long.
fn wait_long(settings: &Settings, timeout: Duration, stats: &[Stats<'_>]) -> Option<Proposal> {
    let days = stats.iter().map(|one| one.days).fold(0.0, f64::max);
    let longest = stats.iter().map(|one| one.wait_max_us).fold(0.0, f64::max);
    let p99 = stats.iter().map(|one| one.wait_p99_us).fold(0.0, f64::max);
    let long = timeout > SHORT && micros(timeout) > longest * LONG;
    if !long || days < settings.never_days {
        return None;
    }
    let wanted = servers_up(longest * ROOM / 1e6).max(WAIT_TIMEOUT_MIN_S);
    let advice = Recommendation::new("query-wait-timeout-long", Subject::Target)
        .summary(format!(
            "The longest wait of any client in {days:.1} days was {} (all but 1 % of the steps: {}), \
             and query_wait_timeout is {} s: when PostgreSQL hangs, each client finds out that much \
             later. {wanted} s leave ten times the longest wait and fail within {wanted} s.",
            ms(longest),
            ms(p99),
            timeout.as_secs(),
        ))
        .action(lines::set("query_wait_timeout", &wanted.to_string()))
        .evidence("timeout-s", timeout.as_secs_f64())
        .evidence("wanted-s", wanted)
        .evidence("wait-max-ms", longest / 1e3)
        .evidence("wait-p99-ms", p99 / 1e3)
        .evidence("days", days);
    Some(advice.into())
}

/// Servers were closed for idleness and opened again soon after, several times a day.
fn servers_closed_early(window: &Window, past: &Past<'_>, stats: &[Stats<'_>]) -> Option<Proposal> {
    let timeout: f64 = window.setting("server_idle_timeout")?.parse().ok()?;
    if timeout <= 0.0 {
        return None;
    }
    let worst = stats.iter().map(|one| (one, gaps(past, one)));
    let (one, gaps) = worst.max_by_key(|(_, gaps)| gaps.len())?;
    let per_day = count(gaps.len()) / one.days;
    if per_day < REOPENED_MIN {
        return None;
    }
    let mut lengths = gaps.clone();
    let gap = quantile_of(&mut lengths, 0.9)?;
    let wanted = servers_up((timeout + gap) / 60.0).saturating_mul(60);
    let advice = Recommendation::new("server-idle-timeout-short", Subject::Target)
        .summary(format!(
            "All servers of {} were closed for idleness and opened again {per_day:.1} times a day: \
             server_idle_timeout is {timeout:.0} s, and nine of ten such gaps end {:.0} s after it. \
             With {wanted} s they stay open, and the first clients after a gap do not wait for \
             logins.",
            one.pool.name(),
            gap,
        ))
        .action(lines::set("server_idle_timeout", &wanted.to_string()))
        .evidence("gaps-per-day", per_day)
        .evidence("gap-p90-s", gap)
        .evidence("timeout-s", timeout)
        .evidence("wanted-s", wanted)
        .evidence("days", one.days);
    Some(advice.into())
}

/// Lengths, in seconds, of the gaps in which no server was open between two times with several.
fn gaps(past: &Past<'_>, one: &Stats<'_>) -> Vec<f64> {
    let step_s = past.step().as_secs_f64();
    let (mut gaps, mut empty, mut before) = (Vec::new(), 0_usize, false);
    for step in one.past.steps() {
        match step.map(|step| step.servers_max()) {
            Some(0) => empty += 1,
            Some(servers) => {
                let length = count(empty) * step_s;
                if before && empty > 0 && servers > 1 && length <= GAP_MAX.as_secs_f64() {
                    gaps.push(length);
                }
                (before, empty) = (true, 0);
            }
            // Nothing is known of it, so nothing follows from what came before.
            None => (before, empty) = (false, 0),
        }
    }
    gaps
}

/// `idle_transaction_timeout` is unset: a client that forgets its transaction keeps a server for ever.
fn idle_transactions(window: &Window, stats: &[Stats<'_>]) -> Option<Proposal> {
    let timeout: f64 = window.setting("idle_transaction_timeout")?.parse().ok()?;
    let shared = stats.iter().any(|one| one.pool.mode() != PoolMode::Session);
    if timeout > 0.0 || !shared {
        return None;
    }
    let means = stats.iter().flat_map(|one| one.past.transaction_mean_us());
    let longest = means.copied().fold(0.0, f64::max);
    let wanted = servers_up(longest * LONG / 60e6).clamp(1, 60).saturating_mul(60);
    let advice = Recommendation::new("idle-transaction-timeout-unset", Subject::Target)
        .summary(format!(
            "idle_transaction_timeout is 0: a client that opens a transaction and forgets it keeps a \
             server until it disconnects. The slowest step's mean transaction took {}; {wanted} s \
             disturb no such transaction and free the server of a forgotten one.",
            ms(longest),
        ))
        .action(lines::set("idle_transaction_timeout", &wanted.to_string()))
        .evidence("transaction-mean-max-ms", longest / 1e3)
        .evidence("wanted-s", wanted);
    Some(advice.into())
}
