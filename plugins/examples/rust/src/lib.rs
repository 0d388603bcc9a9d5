//! Alerts when clients queue, and asks for as many servers as they need.

use std::time::Duration;

use poolwarden_policy::{
    Alert, Policy, Pool, PoolMode, Proposal, Recommendation, Resize, Scope, Severity, Window,
};

/// Docs and ranges become the JSON Schema that the sidecar checks settings against.
#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Alerts from this many waiting clients.
    #[schemars(range(min = 1))]
    waiting_min: u32,
    /// Alerts after clients have waited for this long without a break, milliseconds.
    waiting_ms: u64,
    /// Asks for this many times the servers that clients need.
    #[schemars(range(min = 1, max = 4))]
    headroom: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { waiting_min: 5, waiting_ms: 1000, headroom: 1.1 }
    }
}

/// What it remembers: for how many evaluations in a row clients have queued, and since when.
#[derive(Default, serde::Deserialize, serde::Serialize)]
pub struct Memory {
    rounds: u32,
    since_ms: u64,
}

pub struct QueueWatch;

impl Policy for QueueWatch {
    const NAME: &'static str = "queue-watch";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PURPOSE: &'static str =
        "Alerts when clients queue, and asks for as many servers as they need.";
    type Settings = Settings;
    type Memory = Memory;

    fn evaluate(
        settings: &Settings,
        window: &Window,
        memory: &mut Memory,
    ) -> Result<Vec<Proposal>, String> {
        let waiting = Duration::from_millis(settings.waiting_ms);
        let queueing: Vec<_> = window
            .pools()
            .filter(|pool| pool.cl_waiting() >= settings.waiting_min)
            .filter(|pool| pool.waiting_for() >= waiting)
            .collect();
        if queueing.is_empty() {
            *memory = Memory::default();
            return Ok(Vec::new());
        }
        if memory.rounds == 0 {
            memory.since_ms = window.at_ms();
        }
        memory.rounds += 1;
        let mut proposals: Vec<_> = queueing.iter().map(|pool| alert(pool, memory)).collect();
        for scope in window.scopes() {
            let of_scope = queueing.iter().filter(|pool| pool.scope_index() == scope.index());
            let demand = of_scope.map(Pool::demand).reduce(|most, one| if one > most { one } else { most });
            proposals.extend(demand.and_then(|demand| size(scope, demand, settings)));
        }
        Ok(proposals)
    }
}

fn alert(pool: &Pool<'_>, memory: &Memory) -> Proposal {
    let (waiting, name) = (pool.cl_waiting(), pool.name());
    let (seconds, millis) = (pool.maxwait().as_secs(), pool.maxwait().subsec_millis());
    let share = f64::from(waiting) / (f64::from(waiting) + f64::from(pool.cl_active()));
    let mode = match pool.mode() {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
        PoolMode::Statement => "statement",
    };
    Alert::new("queue", pool.subject())
        .severity(if pool.sv_idle() > 0 { Severity::Critical } else { Severity::Warning })
        .summary(format!("{waiting} clients wait for {name}, the first for {seconds}.{millis:03} s."))
        .hold(Duration::from_secs(2))
        .cooldown(Duration::from_secs(60))
        .label("pool_mode", mode)
        .runbook("https://example.com/runbooks/queue")
        .evidence("waiting", waiting)
        .evidence("waiting_share", share)
        .evidence("wait_mean_us", pool.wait_mean_us())
        .evidence("rounds", memory.rounds)
        .into()
}

fn size(scope: Scope<'_>, demand: f64, settings: &Settings) -> Option<Proposal> {
    let servers = demand * settings.headroom;
    let wanted = (1..scope.ceiling())
        .find(|size| f64::from(*size) >= servers)
        .unwrap_or(scope.ceiling());
    if wanted <= scope.size() {
        return None;
    }
    let because = format!("Clients that queue need {wanted} servers instead of {}.", scope.size());
    Some(if scope.is_actionable() {
        Resize::new(scope, wanted)
            .reason(because)
            .evidence("demand", demand)
            .evidence("headroom", settings.headroom)
            .into()
    } else {
        Recommendation::new("pool-size", scope.subject())
            .summary(because)
            .action(format!("pool_size={wanted}"))
            .evidence("demand", demand)
            .evidence("headroom", settings.headroom)
            .into()
    })
}

poolwarden_policy::export!(QueueWatch);
