//! Tells of the pools that are in trouble, each in one sentence with its numbers.

use std::time::Duration;

use poolwarden_policy::{Alert, Pool, Proposal, Severity, Subject, Window};

use crate::kind::{self, Kind, start};
use crate::leak::unfinished;
use crate::settings::{Settings, Timing};
use crate::trouble::{Seen, Trouble, longest, waited};
use crate::{counted, postgres};

/// Proposes what holds for each pool, one trouble after the other, in the order of the pools.
///
/// Of a trouble that more pools share than a person could read, the longest are told and the rest
/// is one alert on the target: an evaluation has a deadline, and one beyond it is a fault, so that
/// in the worst hour, when every pool of thousands is in trouble, the policy would say nothing.
pub(crate) fn tell_all(
    settings: &Settings,
    window: &Window,
    seen: &mut Seen<'_>,
    proposals: &mut Vec<Proposal>,
) {
    let most = settings.many_pools.told_max;
    let mut more = Vec::new();
    for (trouble, pools) in &mut seen.troubled {
        let kind = trouble.kind();
        let Some(timing) = trouble.timing(settings) else { continue };
        if pools.len() > most {
            more.push((kind, pools.len()));
            longest(pools, most);
        }
        let told = pools.iter().map(|pool| {
            let alert = kind::with_timing(settings, timing, kind, pool.subject());
            trouble.tell(alert, pool, window).into()
        });
        proposals.extend(told);
    }
    proposals.extend(many_pools(settings, window, &more));
}

fn many_pools(settings: &Settings, window: &Window, more: &[(&Kind, usize)]) -> Option<Proposal> {
    let (all, most) = (window.pools().len(), settings.many_pools.told_max);
    let worst =
        more.iter().map(|(kind, _)| kind.severity).max_by_key(|severity| match severity {
            Severity::Info => 0,
            Severity::Warning => 1,
            Severity::Critical => 2,
        })?;
    let alert = start(settings, &settings.many_pools, &kind::MANY_POOLS, Subject::Target)?;
    let shares = more.iter().map(|(kind, count)| format!("{} on {count}", kind.name));
    let alert = alert.severity(worst).summary(format!(
        "Of {all} pools of {}: {}; each is told of the {most} that have had waiters for longest.",
        window.target().name,
        shares.collect::<Vec<_>>().join(", "),
    ));
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let alert = more.iter().fold(alert, |alert, (kind, pools)| {
        alert.evidence(&format!("pools-{}", kind.name), count(*pools))
    });
    Some(alert.evidence("pools", count(all)).into())
}

impl Trouble {
    fn kind(self) -> &'static Kind {
        match self {
            Self::Exhausted => &kind::POOL_EXHAUSTED,
            Self::LongWait => &kind::LONG_WAIT,
            Self::Wedged => &kind::WEDGED_QUEUE,
            Self::LoginQueue => &kind::LOGIN_QUEUE,
            Self::ServerLogins => &kind::SERVER_LOGINS_FAILING,
            Self::TimeoutNear => &kind::TIMEOUT_NEAR,
            Self::HighUtilization => &kind::HIGH_UTILIZATION,
            Self::Leak => &kind::CONNECTION_LEAK,
            Self::Growing => &kind::CLIENTS_GROWING,
        }
    }

    fn timing(self, settings: &Settings) -> Option<(Duration, Duration)> {
        match self {
            Self::Exhausted => settings.pool_exhausted.timing(),
            Self::LongWait => settings.long_wait.timing(),
            Self::Wedged => settings.wedged_queue.timing(),
            Self::LoginQueue => settings.login_queue.timing(),
            Self::ServerLogins => settings.server_logins_failing.timing(),
            Self::TimeoutNear => settings.timeout_near.timing(),
            Self::HighUtilization => settings.high_utilization.timing(),
            Self::Leak => settings.connection_leak.timing(),
            Self::Growing => settings.clients_growing.timing(),
        }
    }

    fn tell(self, alert: Alert, pool: &Pool<'_>, window: &Window) -> Alert {
        match self {
            Self::Exhausted => exhausted(alert, pool),
            Self::LongWait => long_wait(alert, pool),
            Self::Wedged => wedged(alert, pool),
            Self::LoginQueue => login_queue(alert, pool),
            Self::ServerLogins => server_logins(alert, pool, window),
            Self::TimeoutNear => timeout_near(alert, pool, window),
            Self::HighUtilization => high_utilization(alert, pool),
            Self::Leak => connection_leak(alert, pool),
            Self::Growing => clients_growing(alert, pool),
        }
    }
}

fn waiting(pool: &Pool<'_>) -> String {
    counted(pool.cl_waiting(), "client waits", "clients wait")
}

fn exhausted(alert: Alert, pool: &Pool<'_>) -> Alert {
    let (size, name) = (pool.size(), pool.name());
    alert
        .summary(format!("All {size} servers of {name} are busy and {}.", waiting(pool)))
        .evidence("size", size)
        .evidence("sv-active", pool.sv_active())
        .evidence("waiting", pool.cl_waiting())
        .evidence("demand", pool.demand())
}

fn long_wait(alert: Alert, pool: &Pool<'_>) -> Alert {
    alert
        .summary(format!(
            "A client of {} has waited {:.1} s for a server.",
            pool.name(),
            pool.maxwait().as_secs_f64(),
        ))
        .evidence("maxwait-us", micros(pool.maxwait()))
        .evidence("wait-p95-us", pool.wait_p95_us())
        .evidence("waiting", pool.cl_waiting())
}

fn wedged(alert: Alert, pool: &Pool<'_>) -> Alert {
    let unserved = pool.unserved_for();
    alert
        .summary(format!(
            "{} for {} and nobody has been served for {} s; more servers would not help.",
            waiting(pool),
            pool.name(),
            unserved.as_secs(),
        ))
        .evidence("unserved-s", unserved.as_secs_f64())
        .evidence("waiting", pool.cl_waiting())
        .evidence("sv-active", pool.sv_active())
        .evidence("idle-in-transaction", pool.idle_in_transaction())
}

fn login_queue(alert: Alert, pool: &Pool<'_>) -> Alert {
    alert
        .summary(format!(
            "{} to log in to {}: PostgreSQL does not let PgBouncer in, or is slow to.",
            waiting(pool),
            pool.name(),
        ))
        .evidence("waiting", pool.cl_waiting())
        .evidence("sv-login", pool.sv_login())
        .evidence("waiting-s", pool.waiting_for().as_secs_f64())
}

fn server_logins(alert: Alert, pool: &Pool<'_>, window: &Window) -> Alert {
    let login = match pool.sv_login() {
        0 => "none is being opened: logins fail, or another limit is reached",
        _ => "the login under way does not end",
    };
    let alert = alert
        .summary(format!(
            "{} for {}, which has {} of {} servers, and {login}.{}",
            waiting(pool),
            pool.name(),
            pool.sv_active(),
            pool.size(),
            postgres::word(window),
        ))
        .evidence("waiting", pool.cl_waiting())
        .evidence("waiting-s", pool.waiting_for().as_secs_f64())
        .evidence("sv-active", pool.sv_active())
        .evidence("sv-login", pool.sv_login())
        .evidence("size", pool.size());
    postgres::with_connections(alert, window)
}

fn timeout_near(alert: Alert, pool: &Pool<'_>, window: &Window) -> Alert {
    let timeout = Duration::from_millis(window.target().query_wait_timeout_ms);
    let waited = waited(pool, pool.condition());
    let left = timeout.saturating_sub(waited);
    alert
        .summary(format!(
            "A client of {} has waited {:.1} s; query_wait_timeout ends it in {:.1} s, at {:.1} s.",
            pool.name(),
            waited.as_secs_f64(),
            left.as_secs_f64(),
            timeout.as_secs_f64(),
        ))
        .evidence("maxwait-us", micros(waited))
        .evidence("query-wait-timeout-us", micros(timeout))
        .evidence("left-us", micros(left))
        .evidence("waiting", pool.cl_waiting())
}

fn high_utilization(alert: Alert, pool: &Pool<'_>) -> Alert {
    alert
        .summary(format!(
            "{} of {} servers of {} are busy ({:.0} %).",
            pool.sv_active(),
            pool.size(),
            pool.name(),
            100.0 * pool.utilization(),
        ))
        .evidence("utilization", pool.utilization())
        .evidence("utilization-p95", pool.utilization_p95())
        .evidence("sv-active", pool.sv_active())
        .evidence("size", pool.size())
}

fn connection_leak(alert: Alert, pool: &Pool<'_>) -> Alert {
    let mut summary = format!(
        "{:.1} of {} servers of {} are held by transactions that do not finish",
        unfinished(pool),
        pool.size(),
        pool.name(),
    );
    if pool.idle_in_transaction() > 0 {
        summary.push_str(&format!(
            "; {} idle in a transaction, the longest for {} s",
            counted(pool.idle_in_transaction(), "session is", "sessions are"),
            pool.idle_in_transaction_max().as_secs(),
        ));
    }
    summary.push('.');
    alert
        .summary(summary)
        .evidence("busy-mean", pool.busy_mean())
        .evidence("busy-finished", pool.busy_finished())
        .evidence("unfinished", unfinished(pool))
        .evidence("idle-in-transaction", pool.idle_in_transaction())
        .evidence("idle-in-transaction-max-s", pool.idle_in_transaction_max().as_secs_f64())
}

fn clients_growing(alert: Alert, pool: &Pool<'_>) -> Alert {
    let clients = pool.cl_active().saturating_add(pool.cl_waiting());
    alert
        .summary(format!(
            "{} has {clients} clients and gains {:.0} a minute.",
            pool.name(),
            pool.clients_trend_per_min(),
        ))
        .evidence("clients", clients)
        .evidence("clients-per-min", pool.clients_trend_per_min())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
