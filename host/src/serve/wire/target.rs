//! Targets: their state, the sizes that the sidecar keeps, and what bounds them.

use serde::Serialize;
use utoipa::ToSchema;

use super::reach::Reach;
use super::{Hold, Text, millis};
use crate::control::{Role, ScopeView, TargetView, View, WriterView};
use crate::model::{self, DecisionId, PoolSize, Timestamp};

/// One PgBouncer.
#[derive(Debug, Serialize, ToSchema)]
struct Target<'a> {
    name: &'a str,
    /// The operator's labels.
    labels: &'a model::Labels,
    #[schema(pattern = "^(observe|recommend|enforce)$")]
    mode: &'static str,
    #[schema(pattern = "^(up|paused|down)$")]
    status: &'static str,
    /// Since when it is that; null until the first poll ended.
    status_since_ms: Option<u64>,
    /// Age of the newest numbers; null before the first good poll.
    data_age_ms: Option<u64>,
    /// Why the newest poll failed.
    problem: Option<PollProblem<'a>>,
    /// Empty until the target was seen.
    version: &'a str,
    default_pool_size: Option<u32>,
    min_pool_size: Option<u32>,
    reserve_pool_size: Option<u32>,
    max_client_conn: Option<u32>,
    query_wait_timeout_ms: Option<u64>,
    /// A person's word that nothing is changed; null when there is none.
    hold: Option<Hold<'a>>,
    /// Settings that a panic has not brought back to the file's value yet.
    going_back: Vec<String>,
    /// The size scopes that the sidecar keeps.
    scopes: Vec<Scope>,
    /// Which sizes can be acted on; null until that was looked at.
    reach: Option<Reach<'a>>,
    limits: Limits,
    /// What PostgreSQL can take; null where the sidecar may not look.
    connections: Option<Budget>,
    writer: Writer,
}

/// Which sidecar acts on the PgBouncer.
#[derive(Debug, Serialize, ToSchema)]
struct Writer {
    /// `self` acts, `other` does, it is `starting` and looks, or `none`: it may not act.
    #[schema(pattern = "^(self|other|starting|none)$")]
    role: &'static str,
    /// Whether this sidecar may send a change right now.
    acts: bool,
    /// The instance that acts, if it is known.
    #[schema(value_type = Option<String>, format = "uuid")]
    instance: Option<Text<uuid::Uuid>>,
    /// This sidecar's instance; null where it may not act.
    #[schema(value_type = Option<String>, format = "uuid")]
    this_instance: Option<Text<uuid::Uuid>>,
    /// Since when it is so; null until the first look at the console.
    since_ms: Option<u64>,
}

impl From<&WriterView> for Writer {
    fn from(writer: &WriterView) -> Self {
        let instance = match writer.role {
            Role::Acts => writer.instance,
            Role::Waits(other) => Some(other),
            Role::Observer | Role::Starting => None,
        };
        let since = writer.since.as_millis();
        Self {
            role: writer.role.as_str(),
            acts: writer.acts,
            instance: instance.map(Text),
            this_instance: writer.instance.map(Text),
            since_ms: (since > 0).then_some(since),
        }
    }
}

/// A poll that failed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct PollProblem<'a> {
    /// Short stable name.
    #[schema(pattern = "^(unreachable|timeout|refused|not_admin|command|answer)$")]
    kind: &'a str,
    /// What a person should know of it.
    detail: &'a str,
}

impl<'a> PollProblem<'a> {
    pub fn of(target: &'a TargetView) -> Option<Self> {
        target.problem.as_ref().map(|(kind, detail)| Self { kind, detail })
    }
}

/// A setting that sizes a set of pools.
#[derive(Debug, Serialize, ToSchema)]
struct Scope {
    /// `default`, `database:<name>` or `user:<name>`.
    scope: String,
    /// Which of its numbers.
    #[schema(pattern = "^(pool_size|min_pool_size|reserve_pool_size)$")]
    knob: &'static str,
    /// The size in force.
    size: Option<u32>,
    /// The size of PgBouncer's file.
    base_size: u32,
    /// The size that the sidecar keeps up.
    wanted_size: Option<u32>,
    /// Since when a person's size is respected.
    stood_down_since_ms: Option<u64>,
    /// The decision whose change is under way.
    #[schema(value_type = Option<String>, format = "uuid")]
    in_flight: Option<Text<DecisionId>>,
    /// Why the sidecar cannot change it itself, if it cannot, and what to do about that.
    not_actionable: Option<String>,
    /// When the sidecar last changed it.
    last_change_ms: Option<u64>,
}

/// What no policy can cross.
#[derive(Debug, Serialize, ToSchema)]
struct Limits {
    floor: u32,
    ceiling: u32,
    step_up: u32,
    step_down: u32,
    cooldown_up_ms: u64,
    cooldown_down_ms: u64,
    changes_per_hour: u32,
    /// Connections of PostgreSQL that the pools must leave free.
    database_margin: u32,
    /// Oldest pool data on which a size may be changed.
    data_age_max_ms: u64,
    /// Whether a shrink that queueing clients hold up may be helped with `RECONNECT`.
    reconnect: bool,
}

/// The connections of the PostgreSQL server.
#[derive(Debug, Serialize, ToSchema)]
struct Budget {
    /// Whether the last look succeeded; if not, these are the last known numbers.
    reachable: bool,
    /// Why it is not known what is left; null when it is. Then no size grows, or, where PostgreSQL has
    /// never let the sidecar in, none beyond the ceiling.
    unknown_because: Option<String>,
    data_age_ms: u64,
    max_connections: u32,
    /// Slots that ordinary users cannot take.
    reserved_connections: u32,
    /// Server connections of this target's pools.
    pools: u32,
    /// Connections of nobody's pools: neither this target's nor those of `shared_by`.
    others: u32,
    /// What ordinary users can still open.
    free: u32,
    /// What pools and others may have open together: `max_connections` less what is reserved and
    /// the margin.
    capacity: u32,
    /// What this target's pools could open, reserves included.
    could_open: u32,
    /// What the pools of the other targets in `shared_by` could open.
    could_open_elsewhere: u32,
    /// What the sizes can still be raised by, all pools of all targets together.
    left: u32,
    /// By how much all that could be opened exceeds the capacity.
    exceeded_by: u32,
    /// What this target's pools may open all together when everybody gets a fair share.
    share: u32,
    /// The targets whose databases are this PostgreSQL server.
    shared_by: Vec<String>,
}

impl<'a> Target<'a> {
    fn new(target: &'a TargetView, at: Timestamp) -> Self {
        let server = &target.server;
        Self {
            name: target.name.as_str(),
            labels: &target.labels,
            mode: target.mode.as_str(),
            status: target.status.as_str(),
            status_since_ms: target.status_since.map(Timestamp::as_millis),
            data_age_ms: target.data_age.map(millis),
            problem: PollProblem::of(target),
            version: &server.version,
            default_pool_size: server.default_pool_size,
            min_pool_size: server.min_pool_size,
            reserve_pool_size: server.reserve_pool_size,
            max_client_conn: server.max_client_conn,
            query_wait_timeout_ms: server.query_wait_timeout.map(millis),
            hold: target.hold.as_ref().map(Into::into),
            going_back: target.going_back.iter().map(ToString::to_string).collect(),
            scopes: target.scopes.iter().map(Into::into).collect(),
            reach: target.reach.as_deref().map(Into::into),
            limits: (&target.limits).into(),
            connections: Budget::new(target, at),
            writer: (&target.writer).into(),
        }
    }
}

impl From<&ScopeView> for Scope {
    fn from(scope: &ScopeView) -> Self {
        Self {
            scope: scope.setting.scope.to_string(),
            knob: scope.setting.knob.as_str(),
            size: scope.size.map(PoolSize::get),
            base_size: scope.base.get(),
            wanted_size: scope.wanted.map(PoolSize::get),
            stood_down_since_ms: scope.stood_down.map(Timestamp::as_millis),
            in_flight: scope.in_flight.map(Text),
            not_actionable: scope.not_actionable.clone(),
            last_change_ms: scope.last_change.map(Timestamp::as_millis),
        }
    }
}

impl From<&model::Limits> for Limits {
    fn from(limits: &model::Limits) -> Self {
        Self {
            floor: limits.floor.get(),
            ceiling: limits.ceiling.get(),
            step_up: limits.step_up,
            step_down: limits.step_down,
            cooldown_up_ms: millis(limits.cooldown_up),
            cooldown_down_ms: millis(limits.cooldown_down),
            changes_per_hour: limits.changes_per_hour,
            database_margin: limits.database_margin,
            data_age_max_ms: millis(limits.data_age_max),
            reconnect: limits.reconnect,
        }
    }
}

impl Budget {
    fn new(target: &TargetView, at: Timestamp) -> Option<Self> {
        let postgres = target.postgres.as_ref()?;
        let account = target.budget.clone().unwrap_or_default();
        let all = postgres.sum(|sessions| sessions.total);
        let pools = target
            .pools
            .iter()
            .fold(0_u32, |sum, (_, pool)| sum.saturating_add(pool.row.servers()));
        Some(Self {
            reachable: postgres.is_reachable(),
            unknown_because: target.doubt.as_ref().map(ToString::to_string),
            data_age_ms: at.millis_since(postgres.at),
            max_connections: postgres.max_connections,
            reserved_connections: postgres.reserved_connections,
            pools,
            others: account.others,
            free: postgres
                .max_connections
                .saturating_sub(postgres.reserved_connections)
                .saturating_sub(all),
            capacity: account.capacity(),
            could_open: account.could_open,
            could_open_elsewhere: account.rest,
            left: account.left(),
            exceeded_by: account.exceeded(),
            share: account.share,
            shared_by: account.members.iter().map(ToString::to_string).collect(),
        })
    }
}

/// Every PgBouncer that is watched.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct TargetList<'a> {
    /// The moment that this shows, milliseconds since 1970.
    at_ms: u64,
    targets: Vec<Target<'a>>,
}

impl<'a> From<&'a View> for TargetList<'a> {
    fn from(view: &'a View) -> Self {
        let targets = view.targets.iter().map(|target| Target::new(target, view.at)).collect();
        Self { at_ms: view.at.as_millis(), targets }
    }
}
