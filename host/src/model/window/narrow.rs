//! A window with fewer pools, for policies whose scope is not everything.

use std::sync::Arc;
use std::time::Duration;

use super::past::pick;
use super::{PoolColumns, ScopeColumns, TargetStatus, TargetWindow, Window};
use crate::model::{PoolKey, TargetName, Timestamp};

impl Window {
    /// Gives a window with only the pools for which `keep` says yes.
    ///
    /// All scopes stay, but one that also sizes pools which are left out is not actionable: who does
    /// not see them must not decide for them.
    pub fn narrowed(&self, keep: impl Fn(&PoolKey) -> bool) -> Self {
        let window = self;
        let rows: Vec<usize> =
            (0..window.pool_keys.len()).filter(|at| keep(&window.pool_keys[*at])).collect();
        let mut narrow = window.clone();
        narrow.pool_keys = pick(&window.pool_keys, &rows);
        narrow.leave_scopes(&rows);
        narrow.past = window.past.as_ref().map(|past| Arc::new(past.narrowed(&rows)));
        narrow.sessions = window.sessions.as_ref().map(|sessions| sessions.narrowed(&rows));
        let (from, to) = (&window.pools, &mut narrow.pools);
        to.scope = pick(&from.scope, &rows);
        to.condition = pick(&from.condition, &rows);
        to.mode = pick(&from.mode, &rows);
        to.cl_active = pick(&from.cl_active, &rows);
        to.cl_waiting = pick(&from.cl_waiting, &rows);
        to.sv_active = pick(&from.sv_active, &rows);
        to.sv_idle = pick(&from.sv_idle, &rows);
        to.sv_login = pick(&from.sv_login, &rows);
        to.size = pick(&from.size, &rows);
        to.reserve = pick(&from.reserve, &rows);
        to.maxwait_us = pick(&from.maxwait_us, &rows);
        to.waiting_for_ms = pick(&from.waiting_for_ms, &rows);
        to.full_for_ms = pick(&from.full_for_ms, &rows);
        to.unserved_for_ms = pick(&from.unserved_for_ms, &rows);
        to.observed_for_ms = pick(&from.observed_for_ms, &rows);
        narrow_statistics(from, to, &rows);
        narrow
    }
}

fn narrow_statistics(from: &PoolColumns, to: &mut PoolColumns, rows: &[usize]) {
    to.utilization = pick(&from.utilization, rows);
    to.utilization_p50 = pick(&from.utilization_p50, rows);
    to.utilization_p95 = pick(&from.utilization_p95, rows);
    to.wait_p95_us = pick(&from.wait_p95_us, rows);
    to.busy_mean = pick(&from.busy_mean, rows);
    to.busy_finished = pick(&from.busy_finished, rows);
    to.demand = pick(&from.demand, rows);
    to.demand_max_short = pick(&from.demand_max_short, rows);
    to.demand_max_long = pick(&from.demand_max_long, rows);
    to.demand_trend_per_min = pick(&from.demand_trend_per_min, rows);
    to.clients_trend_per_min = pick(&from.clients_trend_per_min, rows);
    to.transactions_per_s = pick(&from.transactions_per_s, rows);
    to.queries_per_s = pick(&from.queries_per_s, rows);
    to.transaction_mean_us = pick(&from.transaction_mean_us, rows);
    to.query_mean_us = pick(&from.query_mean_us, rows);
    to.wait_mean_us = pick(&from.wait_mean_us, rows);
    to.idle_in_transaction = pick(&from.idle_in_transaction, rows);
    to.idle_in_transaction_max_ms = pick(&from.idle_in_transaction_max_ms, rows);
    to.running = pick(&from.running, rows);
    to.waiting_on_lock = pick(&from.waiting_on_lock, rows);
    to.waiting_on_io = pick(&from.waiting_on_io, rows);
}

impl Window {
    /// Takes what a scope does with pools outside `rows` out of reach; pools are still all there.
    fn leave_scopes(&mut self, rows: &[usize]) {
        let scopes = &mut self.scopes;
        let all = std::mem::replace(&mut scopes.pools, vec![0; self.scope_keys.len()]);
        for row in rows {
            let scope = self.pools.scope.get(*row).and_then(|scope| usize::try_from(*scope).ok());
            if let Some(count) = scope.and_then(|scope| scopes.pools.get_mut(scope)) {
                *count += 1;
            }
        }
        for (at, key) in self.scope_keys.iter().enumerate() {
            if all.get(at) != scopes.pools.get(at) {
                self.beyond.push(key.clone());
                if let Some(actionable) = scopes.actionable.get_mut(at) {
                    *actionable = 0;
                }
            }
        }
    }

    /// Gives a window in which nothing is known, to try a policy on.
    pub fn empty(name: TargetName) -> Self {
        Self {
            at: Timestamp::default(),
            short_span: Duration::from_secs(10),
            long_span: Duration::from_secs(600),
            target: TargetWindow {
                name,
                status: TargetStatus::Up,
                status_for: Duration::ZERO,
                data_age: Duration::ZERO,
                labels: Arc::default(),
                version: 0,
                default_pool_size: 0,
                min_pool_size: 0,
                reserve_pool_size: 0,
                clients: 0,
                clients_max: 0,
                query_wait_timeout: Duration::ZERO,
            },
            database: None,
            scope_keys: Vec::new(),
            scopes: ScopeColumns::default(),
            beyond: Vec::new(),
            pool_keys: Vec::new(),
            pools: PoolColumns::default(),
            settings: Arc::default(),
            past: None,
            sessions: None,
        }
    }
}
