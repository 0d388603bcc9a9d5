//! Health: one answer with everything that an on-call person looks at first.

use serde::Serialize;
use utoipa::ToSchema;

use super::target::PollProblem;
use super::{Alert, Hold, Recommendation, Which, micros, millis};
use crate::control::{PoolView, TargetView, View};
use crate::evaluate::{PolicyState, PolicyStatus};
use crate::model::{PoolKey, TargetStatus, Timestamp};

/// How well things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::serve) enum Grade {
    /// All is well.
    Ok,
    /// The sidecar works; `problems` says what does not.
    Degraded,
    /// The sidecar cannot do its work.
    Failing,
}

/// The quick answer.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Quick {
    pub status: Grade,
    /// Why not `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Everything at one glance.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Health<'a> {
    status: Grade,
    /// The moment that this shows, milliseconds since 1970.
    at_ms: u64,
    version: &'static str,
    /// What is wrong, in plain words.
    problems: Vec<String>,
    targets: Vec<TargetHealth<'a>>,
    pools: Vec<PoolHealth<'a>>,
    /// Alerts that fire, also silenced ones.
    alerts: Vec<Alert<'a>>,
    recommendations: Vec<Recommendation<'a>>,
    store: Store<'a>,
    policies: Vec<PolicyHealth<'a>>,
}

/// One PgBouncer in short.
#[derive(Debug, Serialize, ToSchema)]
struct TargetHealth<'a> {
    name: &'a str,
    #[schema(pattern = "^(up|paused|down)$")]
    status: &'static str,
    /// Since when it is that; null until the first poll ended.
    status_since_ms: Option<u64>,
    /// Age of the newest numbers; null before the first good poll.
    data_age_ms: Option<u64>,
    problem: Option<PollProblem<'a>>,
    /// A person's word that nothing is changed; null when there is none.
    hold: Option<Hold<'a>>,
    version: &'a str,
}

/// One pool in short.
#[derive(Debug, Serialize, ToSchema)]
struct PoolHealth<'a> {
    target: &'a str,
    database: &'a str,
    user: &'a str,
    #[schema(pattern = "^(idle|serving|queueing|login_queue|paused|wedged|stale)$")]
    condition: &'static str,
    size: u32,
    cl_active: u32,
    cl_waiting: u32,
    sv_active: u32,
    /// Busy servers / size, now.
    utilization: f64,
    maxwait_us: u64,
}

/// The store in short.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::serve) struct Store<'a> {
    pub status: Grade,
    /// Why nothing can be recorded; sizes are not changed meanwhile.
    pub problem: Option<&'a str>,
    /// What it takes on disk.
    pub size_bytes: Option<u64>,
}

/// One policy in short.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyHealth<'a> {
    name: &'a str,
    #[schema(pattern = "^(serving|last_good|quarantined|broken)$")]
    state: &'static str,
    problem: Option<&'a str>,
}

impl<'a> Health<'a> {
    /// Puts everything together; `failing` is why the sidecar cannot do its work.
    pub fn new(
        view: &'a View,
        failing: Option<String>,
        store: Store<'a>,
        policies: &'a [PolicyStatus],
    ) -> Self {
        let degraded = degradations(view, policies);
        let unrecorded = store.problem.map(|problem| format!("nothing is recorded: {problem}"));
        let status = match (failing.is_some() || unrecorded.is_some(), degraded.is_empty()) {
            (true, _) => Grade::Failing,
            (false, false) => Grade::Degraded,
            (false, true) => Grade::Ok,
        };
        let pools = view.targets.iter().flat_map(|target| {
            target.pools.iter().map(move |(key, pool)| PoolHealth::new(target, key, pool))
        });
        Self {
            status,
            at_ms: view.at.as_millis(),
            version: env!("CARGO_PKG_VERSION"),
            problems: failing.into_iter().chain(unrecorded).chain(degraded).collect(),
            targets: view.targets.iter().map(Into::into).collect(),
            pools: pools.collect(),
            alerts: Alert::of(view, Which::Firing).collect(),
            recommendations: Recommendation::of(view).collect(),
            store,
            policies: policies.iter().map(Into::into).collect(),
        }
    }

    pub fn status(&self) -> Grade {
        self.status
    }
}

/// Says what does not work although the sidecar does.
fn degradations(view: &View, policies: &[PolicyStatus]) -> Vec<String> {
    let down = view.targets.iter().filter(|target| target.status == TargetStatus::Down);
    let down = down.map(|target| {
        let why = target.problem.as_ref().map_or("not seen yet", |(_, detail)| detail);
        format!("target {} is down: {why}", target.name)
    });
    let firing = view.targets.iter().flat_map(|target| {
        let heard = target.alerts.iter().filter(|alert| alert.is_heard());
        heard.map(move |alert| format!("{} fires on {}", alert.alert.key.name, target.name))
    });
    let bad = policies.iter().filter(|policy| policy.state != PolicyState::Serving);
    let bad = bad.map(|policy| {
        let why = policy.problem.as_deref().unwrap_or("it does not say why");
        format!("policy {} is {}: {why}", policy.name, policy.state.as_str())
    });
    down.chain(firing).chain(bad).collect()
}

impl<'a> From<&'a TargetView> for TargetHealth<'a> {
    fn from(target: &'a TargetView) -> Self {
        Self {
            name: target.name.as_str(),
            status: target.status.as_str(),
            status_since_ms: target.status_since.map(Timestamp::as_millis),
            data_age_ms: target.data_age.map(millis),
            problem: PollProblem::of(target),
            hold: target.hold.as_ref().map(Into::into),
            version: &target.server.version,
        }
    }
}

impl<'a> PoolHealth<'a> {
    fn new(target: &'a TargetView, key: &'a PoolKey, pool: &'a PoolView) -> Self {
        Self {
            target: target.name.as_str(),
            database: &key.database,
            user: &key.user,
            condition: pool.condition.as_str(),
            size: pool.size,
            cl_active: pool.row.cl_active,
            cl_waiting: pool.row.cl_waiting,
            sv_active: pool.row.sv_active,
            utilization: pool.utilization,
            maxwait_us: micros(pool.row.maxwait),
        }
    }
}

impl<'a> From<&'a PolicyStatus> for PolicyHealth<'a> {
    fn from(policy: &'a PolicyStatus) -> Self {
        Self {
            name: policy.name.as_str(),
            state: policy.state.as_str(),
            problem: policy.problem.as_deref(),
        }
    }
}
