//! Between the domain's window and the contract's; the only code that knows both.

mod sessions;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bindings::types;
use crate::model::{
    Past, PoolKey, ScopeKey, SessionKey, Settings, TargetStatus, Timestamp, Window,
};

/// A window as plugins get it, with the names behind its indices.
#[derive(Debug, Serialize, Deserialize)]
pub struct Input {
    pub(super) window: types::Window,
    #[serde(with = "pool_names")]
    pools: Vec<PoolKey>,
    #[serde(with = "scope_names")]
    scopes: Vec<ScopeKey>,
    #[serde(default)]
    settings: Arc<Settings>,
    /// Which session of its process each holder is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identities: Vec<sessions::Identity>,
    #[serde(skip)]
    beyond: Vec<ScopeKey>,
    /// The input as JSON, where that was costly to write.
    #[serde(skip)]
    written: OnceLock<Vec<u8>>,
}

impl Input {
    /// Converts a window; its columns move.
    pub fn new(window: Window) -> Self {
        let target = target(&window);
        let database = window.database.as_ref().map(|db| types::DatabaseServer {
            reachable: db.reachable,
            data_age_ms: millis(db.data_age),
            max_connections: db.max_connections,
            reserved_connections: db.reserved_connections,
            connections: db.connections,
            active: db.active,
            idle_in_transaction: db.idle_in_transaction,
            running: db.running,
            waiting_on_lock: db.waiting_on_lock,
            waiting_on_io: db.waiting_on_io,
            waiting_on_other: db.waiting_on_other,
            others: db.others,
            budget: db.budget,
        });
        let scopes = types::Scopes {
            kind: window.scopes.kind,
            size: window.scopes.size,
            actionable: window.scopes.actionable,
            min_size: window.scopes.min_size,
            reserve: window.scopes.reserve,
            floor: window.scopes.floor,
            ceiling: window.scopes.ceiling,
            pools: window.scopes.pools,
            change: window.scopes.change,
            change_age_ms: window.scopes.change_age_ms,
            change_from: window.scopes.change_from,
            change_to: window.scopes.change_to,
        };
        Self {
            window: types::Window {
                at_ms: window.at.as_millis(),
                short_span_ms: millis(window.short_span),
                long_span_ms: millis(window.long_span),
                target,
                database,
                scopes,
                pools: pools(window.pools),
                past: window.past.as_deref().map(past),
                sessions: window.sessions.as_ref().map(sessions::sessions),
            },
            identities: window.sessions.as_ref().map(sessions::identities).unwrap_or_default(),
            settings: window.settings,
            pools: window.pool_keys,
            scopes: window.scope_keys,
            beyond: window.beyond,
            written: OnceLock::new(),
        }
    }

    /// Gives the scopes that also size pools which the window leaves out.
    pub fn beyond(&self) -> &[ScopeKey] {
        &self.beyond
    }

    /// Gives the name of the target.
    pub fn target(&self) -> &str {
        &self.window.target.name
    }

    /// Gives the number of rows of the past: pools times steps.
    pub fn past_rows(&self) -> usize {
        self.window.past.as_ref().map_or(0, |past| past.samples.len())
    }

    /// Gives the number of pools.
    pub fn pools(&self) -> usize {
        self.pools.len()
    }

    /// Gives the pool of an index.
    pub fn pool(&self, index: u32) -> Option<&PoolKey> {
        self.pools.get(usize::try_from(index).ok()?)
    }

    /// Gives a setting of the PgBouncer.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(AsRef::as_ref)
    }

    /// Gives the session of a holder's index.
    pub fn session(&self, index: u32) -> Option<SessionKey> {
        let shown = self.window.sessions.as_ref()?;
        sessions::session(shown, &self.identities, &self.pools, index)
    }

    /// Gives the scope of an index.
    pub fn scope(&self, index: u32) -> Option<&ScopeKey> {
        self.scopes.get(usize::try_from(index).ok()?)
    }

    /// Writes the input as JSON, exact to the last bit.
    ///
    /// # Errors
    /// Never in practice: the types have no map with odd keys.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        self.written.get().map_or_else(|| serde_json::to_vec(self), |written| Ok(written.clone()))
    }

    /// Writes an input with a past as JSON ahead of time: a large one takes a tenth of a second.
    pub(super) fn write_down(&self) {
        if self.window.past.is_some()
            && let Ok(written) = serde_json::to_vec(self)
        {
            self.written.get_or_init(|| written);
        }
    }

    /// Gives the moment of the window's newest sample.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.window.at_ms)
    }

    /// Reads what [`Input::to_json`] wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_json(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }
}

fn target(window: &Window) -> types::Target {
    let target = &window.target;
    types::Target {
        name: target.name.to_string(),
        status: match target.status {
            TargetStatus::Up => types::TargetStatus::Up,
            TargetStatus::Paused => types::TargetStatus::Paused,
            TargetStatus::Down => types::TargetStatus::Down,
        },
        status_for_ms: millis(target.status_for),
        data_age_ms: millis(target.data_age),
        labels: target.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        version: target.version,
        default_pool_size: target.default_pool_size,
        min_pool_size: target.min_pool_size,
        reserve_pool_size: target.reserve_pool_size,
        clients: target.clients,
        clients_max: target.clients_max,
        query_wait_timeout_ms: millis(target.query_wait_timeout),
    }
}

fn pools(p: crate::model::PoolColumns) -> types::Pools {
    types::Pools {
        scope: p.scope,
        condition: p.condition,
        mode: p.mode,
        cl_active: p.cl_active,
        cl_waiting: p.cl_waiting,
        sv_active: p.sv_active,
        sv_idle: p.sv_idle,
        sv_login: p.sv_login,
        size: p.size,
        reserve: p.reserve,
        maxwait_us: p.maxwait_us,
        waiting_for_ms: p.waiting_for_ms,
        full_for_ms: p.full_for_ms,
        unserved_for_ms: p.unserved_for_ms,
        observed_for_ms: p.observed_for_ms,
        utilization: p.utilization,
        utilization_p50: p.utilization_p50,
        utilization_p95: p.utilization_p95,
        wait_p95_us: p.wait_p95_us,
        busy_mean: p.busy_mean,
        busy_finished: p.busy_finished,
        demand: p.demand,
        demand_max_short: p.demand_max_short,
        demand_max_long: p.demand_max_long,
        demand_trend_per_min: p.demand_trend_per_min,
        clients_trend_per_min: p.clients_trend_per_min,
        transactions_per_s: p.transactions_per_s,
        queries_per_s: p.queries_per_s,
        transaction_mean_us: p.transaction_mean_us,
        query_mean_us: p.query_mean_us,
        wait_mean_us: p.wait_mean_us,
        idle_in_transaction: p.idle_in_transaction,
        idle_in_transaction_max_ms: p.idle_in_transaction_max_ms,
        running: p.running,
        waiting_on_lock: p.waiting_on_lock,
        waiting_on_io: p.waiting_on_io,
    }
}

fn past(past: &Past) -> types::Past {
    types::Past {
        from_ms: past.from.as_millis(),
        step_ms: millis(past.step),
        steps: past.steps,
        samples: past.samples.clone(),
        clients_max: past.clients_max.clone(),
        waiting_max: past.waiting_max.clone(),
        waiting_mean: past.waiting_mean.clone(),
        busy_max: past.busy_max.clone(),
        busy_mean: past.busy_mean.clone(),
        servers_max: past.servers_max.clone(),
        size: past.size.clone(),
        wait_max_us: past.wait_max_us.clone(),
        transactions: past.transactions.clone(),
        transaction_mean_us: past.transaction_mean_us.clone(),
        wait_mean_us: past.wait_mean_us.clone(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Gives the name that the contract hands out for a scope: empty for the default one.
pub(super) fn scope_name(key: &ScopeKey) -> String {
    match key {
        ScopeKey::Default => String::new(),
        ScopeKey::Database(name) | ScopeKey::User(name) => name.to_string(),
    }
}

mod pool_names {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::PoolKey;

    pub fn serialize<S: Serializer>(keys: &[PoolKey], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(keys.iter().map(|key| (key.database.as_ref(), key.user.as_ref())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PoolKey>, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(from)?;
        Ok(pairs.iter().map(|(database, user)| PoolKey::new(database, user)).collect())
    }
}

mod scope_names {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::ScopeKey;

    pub fn serialize<S: Serializer>(keys: &[ScopeKey], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(keys.iter().map(ScopeKey::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ScopeKey>, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        names.iter().map(|name| name.parse().map_err(D::Error::custom)).collect()
    }
}

/// Shares an input between the policies of one tick.
pub(super) fn shared(window: Window) -> Arc<Input> {
    Arc::new(Input::new(window))
}
