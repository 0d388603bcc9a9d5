//! What was seen: the pools that a decision is about, and the numbers that it names.

use super::words::{number, span_us};
use super::{Section, Source};
use crate::evaluate::PoolSeen;
use crate::model::{Proposal, Subject};

/// Pools that a table shows; the busiest ones.
const POOLS_MAX: usize = 8;

const COLUMNS: [&str; 9] =
    ["POOL", ">SIZE", ">BUSY", ">IDLE", ">CLIENTS", ">WAITING", ">OLDEST", ">USED P95", ">TX/S"];

pub(super) fn section(source: Source<'_>) -> Section {
    let section = |text| Section::of("seen", "What was seen", text);
    let decision = &source.stored.decision;
    let mut pools: Vec<&PoolSeen> =
        source.seen.iter().filter(|one| is_meant(source, one)).collect();
    if pools.is_empty() {
        let why = match (&decision.origin, source.evaluation) {
            (crate::model::Origin::Host, _) => {
                "The sidecar decided this itself, from what it knew at that moment; no plugin was asked."
            }
            (_, None) => "What the plugin was shown is no longer kept.",
            (_, Some(_)) => "The plugin was shown no pool of this.",
        };
        return section(vec![why.to_owned()]);
    }
    pools.sort_by_key(|one| std::cmp::Reverse((one.cl_waiting, one.sv_active)));
    let mut text = vec![sentence(&pools)];
    if pools.len() > POOLS_MAX {
        text.push(format!("The table shows the {POOLS_MAX} busiest of {}.", pools.len()));
    }
    section(text).with(&COLUMNS, pools.into_iter().take(POOLS_MAX).map(row).collect())
}

fn is_meant(source: Source<'_>, one: &PoolSeen) -> bool {
    let decision = &source.stored.decision;
    match (&decision.proposal, &decision.subject) {
        (Proposal::Resize { setting, .. }, _) => one.scope.as_ref() == Some(&setting.scope),
        (_, Subject::Scope(scope)) => one.scope.as_ref() == Some(scope),
        (_, Subject::Pool(pool)) => one.pool == *pool,
        (_, Subject::Target | Subject::DatabaseServer) => true,
    }
}

fn sentence(pools: &[&PoolSeen]) -> String {
    let sum = |of: fn(&PoolSeen) -> u32| pools.iter().fold(0_u32, |all, one| all + of(one));
    let (busy, waiting) = (sum(|one| one.sv_active), sum(|one| one.cl_waiting));
    let oldest = pools.iter().map(|one| one.maxwait_us).max().unwrap_or(0);
    let what = match pools {
        [one] => format!("Pool {} had {busy} of {} servers busy", one.pool, one.size),
        many => format!("{} pools had {busy} servers busy together", many.len()),
    };
    let queue = match (waiting, oldest) {
        (0, _) => "nobody waited".to_owned(),
        (1, 0) => "1 client waited".to_owned(),
        (1, us) => format!("1 client waited, for {}", span_us(micros(us))),
        (n, 0) => format!("{n} clients waited"),
        (n, us) => format!("{n} clients waited, the oldest for {}", span_us(micros(us))),
    };
    format!("{what}, and {queue}.")
}

fn row(one: &PoolSeen) -> Vec<String> {
    vec![
        one.pool.to_string(),
        one.size.to_string(),
        one.sv_active.to_string(),
        one.sv_idle.to_string(),
        one.cl_active.saturating_add(one.cl_waiting).to_string(),
        one.cl_waiting.to_string(),
        span_us(micros(one.maxwait_us)),
        format!("{:.0} %", one.utilization_p95 * 100.0),
        number(one.transactions_per_s),
    ]
}

fn micros(us: u64) -> f64 {
    crate::serve::wire::float(us)
}
