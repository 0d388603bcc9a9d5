//! Settings that cost or endanger more than they look like; each with what PgBouncer's manual says.

use poolwarden_policy::{PoolMode, Proposal, Recommendation, Subject, Window};

use crate::lines;
use crate::stats::Stats;

/// A setting with the value that endangers, what to set instead, and why.
struct Danger {
    name: &'static str,
    advice: &'static str,
    value: f64,
    instead: &'static str,
    why: &'static str,
}

const DANGERS: [Danger; 4] = [
    Danger {
        name: "server_lifetime",
        advice: "server-lifetime-zero",
        value: 0.0,
        instead: "3600",
        why: "each server connection is used once and then closed, so that every transaction or \
              session waits for a login to PostgreSQL",
    },
    Danger {
        name: "server_check_delay",
        advice: "server-check-always",
        value: 0.0,
        instead: "30",
        why: "server_check_query runs each time before a server is given to a client: one more round \
              trip for every transaction",
    },
    Danger {
        name: "server_round_robin",
        advice: "servers-round-robin",
        value: 1.0,
        instead: "0",
        why: "servers take turns, so that none is idle long enough for server_idle_timeout to close \
              it, and PostgreSQL's caches are spread over all of them; meant for several servers \
              behind one address",
    },
    Danger {
        name: "tcp_keepalive",
        advice: "keepalive-off",
        value: 0.0,
        instead: "1",
        why: "clients and servers whose machine is gone are never noticed: they keep counting against \
              max_client_conn and pool sizes",
    },
];

/// Advises on each dangerous setting that is in force.
pub(crate) fn check(window: &Window, stats: &[Stats<'_>]) -> Vec<Proposal> {
    let number = |name: &str| window.setting(name)?.parse::<f64>().ok();
    let applies = |danger: &&Danger| {
        number(danger.name) == Some(danger.value)
            // Without a query there is nothing to run.
            && (danger.name != "server_check_delay" || checks(window))
    };
    let mut proposals: Vec<Proposal> = DANGERS.iter().filter(applies).map(advise).collect();
    proposals.extend(reset_always(number("server_reset_query_always"), stats));
    proposals
}

fn checks(window: &Window) -> bool {
    let query = window.setting("server_check_query").unwrap_or_default();
    !query.is_empty() && query != "<empty>"
}

fn advise(danger: &Danger) -> Proposal {
    let Danger { name, advice, value, instead, why } = danger;
    Recommendation::new(*advice, Subject::Target)
        .summary(format!("{name} is {value}: {why}."))
        .action(lines::set(name, instead))
        .evidence("value", *value)
        .into()
}

/// `DISCARD ALL` after every transaction; which the manual offers for working around broken setups.
fn reset_always(value: Option<f64>, stats: &[Stats<'_>]) -> Option<Proposal> {
    let shared = stats.iter().filter(|one| one.pool.mode() != PoolMode::Session);
    let busiest = shared.max_by(|a, b| a.transactions.total_cmp(&b.transactions))?;
    if value != Some(1.0) {
        return None;
    }
    let per_s = busiest.transactions / (busiest.days * 86_400.0);
    let advice = Recommendation::new("server-reset-always", Subject::Target)
        .summary(format!(
            "server_reset_query_always is 1: after every transaction the server runs \
             server_reset_query before anybody else gets it, {per_s:.1} times a second for {} alone, \
             and forgets its prepared statements. In transaction mode clients may not rely on \
             session state, so there is nothing to reset.",
            busiest.pool.name(),
        ))
        .action(lines::set("server_reset_query_always", "0"))
        .evidence("value", 1)
        .evidence("transactions-per-s", per_s);
    Some(advice.into())
}
