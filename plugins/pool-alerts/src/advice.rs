//! Recommends lines for `pgbouncer.ini` where the window shows that one is missing.
//!
//! Sizes are left to a sizing policy: two policies that advise one number would contradict each
//! other.

use std::time::Duration;

use poolwarden_policy::{Condition, Pool, Proposal, Recommendation, Subject, TargetStatus, Window};

use crate::leak::leaks;
use crate::settings::Settings;

/// Proposes what the settings of the target lack.
pub(crate) fn check(settings: &Settings, window: &Window, proposals: &mut Vec<Proposal>) {
    if window.target().status == TargetStatus::Down {
        return;
    }
    let rule = &settings.connection_leak;
    let idle_min = Duration::from_millis(rule.idle_in_transaction_min_ms);
    let leaking = window.pools().filter(|pool| {
        pool.condition() != Condition::Stale
            && pool.idle_in_transaction() > 0
            && pool.idle_in_transaction_max() >= idle_min
            && leaks(rule, pool)
    });
    proposals.extend(leaking.map(|pool| leak_remedy(&pool, idle_min)));
    if window.target().query_wait_timeout_ms == 0 {
        proposals.push(unbounded_queue(&window.target().name));
    }
}

/// Only on PostgreSQL's word that a transaction is idle: the remedy ends clients, a long query is
/// none.
fn leak_remedy(pool: &Pool<'_>, idle_min: Duration) -> Proposal {
    let seconds = idle_min.as_secs().max(1);
    Recommendation::new("leak-remedy", pool.subject())
        .summary(format!(
            "{} keeps a server in a transaction that has been idle for {} s.",
            pool.name(),
            pool.idle_in_transaction_max().as_secs(),
        ))
        .action(format!(
            "[pgbouncer]\n\
             ; seconds; ends a client that is idle in a transaction for longer, frees its server\n\
             idle_transaction_timeout = {seconds}",
        ))
        .evidence("idle-in-transaction", pool.idle_in_transaction())
        .evidence("idle-in-transaction-max-s", pool.idle_in_transaction_max().as_secs_f64())
        .into()
}

fn unbounded_queue(target: &str) -> Proposal {
    Recommendation::new("unbounded-queue", Subject::Target)
        .summary(format!(
            "query_wait_timeout of {target} is 0: when the database hangs, clients queue for ever \
             instead of failing.",
        ))
        .action("[pgbouncer]\nquery_wait_timeout = 120")
        .evidence("query-wait-timeout-ms", 0)
        .into()
}
