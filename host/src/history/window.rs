//! Builds the window that policies get from what is remembered.

use std::sync::Arc;
use std::time::Duration;

use super::pool::PoolView;
use super::scopes::Scopes;
use super::{History, server};
use crate::model::{
    DatabaseSample, DatabaseWindow, PoolColumns, Snapshot, TargetWindow, Timestamp, Window,
};

impl History {
    /// Builds the window of this moment; `None` until the target was seen once.
    pub fn window(&self, now: Timestamp) -> Option<Window> {
        let latest = self.latest.as_ref()?;
        let scopes = Scopes::new(latest, &self.own_sizes, &self.facts.limits);
        let views = self.pools(now);
        let mut pools = PoolColumns::default();
        let mut pool_keys = Vec::with_capacity(views.len());
        for (key, view) in views {
            pools.scope.push(u32::try_from(scopes.index_of(&key)).unwrap_or(u32::MAX));
            push(&mut pools, &view);
            pool_keys.push(key);
        }
        Some(Window {
            at: latest.at,
            short_span: self.spans.short,
            long_span: self.spans.long,
            target: self.target_window(latest, now),
            database: latest.postgres.as_ref().map(|pg| database_window(pg, now)),
            scope_keys: scopes.keys,
            scopes: scopes.columns,
            beyond: Vec::new(),
            pool_keys,
            pools,
            settings: Arc::clone(&server(Some(latest)).settings),
            past: None,
            sessions: None,
        })
    }

    fn target_window(&self, latest: &Snapshot, now: Timestamp) -> TargetWindow {
        let server = server(Some(latest));
        let clients = latest.pools.iter().fold(0_u32, |sum, row| {
            sum.saturating_add(row.cl_active).saturating_add(row.cl_waiting)
        });
        TargetWindow {
            name: self.facts.name.clone(),
            status: self.status,
            status_for: self.status_since.map_or(Duration::ZERO, |since| now.since(since)),
            data_age: now.since(latest.at),
            labels: Arc::clone(&self.facts.labels),
            version: server.version_number,
            default_pool_size: server.default_pool_size.unwrap_or(0),
            min_pool_size: server.min_pool_size.unwrap_or(0),
            reserve_pool_size: server.reserve_pool_size.unwrap_or(0),
            clients,
            clients_max: server.max_client_conn.unwrap_or(0),
            query_wait_timeout: server.query_wait_timeout.unwrap_or(Duration::ZERO),
        }
    }
}

/// What the server has for this target's pools is for others to fill in.
fn database_window(pg: &DatabaseSample, now: Timestamp) -> DatabaseWindow {
    let connections = pg.sum(|s| s.total);
    let active = pg.sum(|s| s.active);
    let waiting_on_lock = pg.sum(|s| s.waiting_on_lock);
    let waiting_on_io = pg.sum(|s| s.waiting_on_io);
    let waiting_on_other = pg.sum(|s| s.waiting_on_other);
    let waiting = waiting_on_lock.saturating_add(waiting_on_io).saturating_add(waiting_on_other);
    DatabaseWindow {
        reachable: pg.is_reachable(),
        data_age: now.since(pg.at),
        max_connections: pg.max_connections,
        reserved_connections: pg.reserved_connections,
        connections,
        active,
        idle_in_transaction: pg.sum(|s| s.idle_in_transaction),
        running: active.saturating_sub(waiting),
        waiting_on_lock,
        waiting_on_io,
        waiting_on_other,
        others: 0,
        budget: 0,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Gives the contract's number of a pooling mode; PgBouncer's own default is `session`.
fn mode_code(mode: Option<&str>) -> u8 {
    match mode {
        Some("transaction") => 1,
        Some("statement") => 2,
        _ => 0,
    }
}

fn push(to: &mut PoolColumns, view: &PoolView) {
    let row = &view.row;
    let idle = row.sv_idle.saturating_add(row.sv_used).saturating_add(row.sv_tested);
    to.condition.push(view.condition.code());
    to.mode.push(mode_code(row.pool_mode.as_deref()));
    to.cl_active.push(row.cl_active);
    to.cl_waiting.push(row.cl_waiting);
    to.sv_active.push(row.sv_active);
    to.sv_idle.push(idle);
    to.sv_login.push(row.sv_login);
    to.size.push(view.size);
    to.reserve.push(view.reserve);
    to.maxwait_us.push(u64::try_from(row.maxwait.as_micros()).unwrap_or(u64::MAX));
    to.waiting_for_ms.push(millis(view.waiting_for));
    to.full_for_ms.push(millis(view.full_for));
    to.unserved_for_ms.push(millis(view.unserved_for));
    to.observed_for_ms.push(millis(view.observed_for));
    to.utilization.push(view.utilization);
    to.utilization_p50.push(view.utilization_p50);
    to.utilization_p95.push(view.utilization_p95);
    to.wait_p95_us.push(view.wait_p95_us);
    to.busy_mean.push(view.busy_mean);
    to.busy_finished.push(view.rates.busy_finished);
    to.demand.push(view.demand);
    to.demand_max_short.push(view.demand_max_short);
    to.demand_max_long.push(view.demand_max_long);
    to.demand_trend_per_min.push(view.demand_trend_per_min);
    to.clients_trend_per_min.push(view.clients_trend_per_min);
    to.transactions_per_s.push(view.rates.transactions_per_s);
    to.queries_per_s.push(view.rates.queries_per_s);
    to.transaction_mean_us.push(view.rates.transaction_mean_us);
    to.query_mean_us.push(view.rates.query_mean_us);
    to.wait_mean_us.push(view.rates.wait_mean_us);
    to.idle_in_transaction.push(view.backends.idle_in_transaction);
    to.idle_in_transaction_max_ms.push(millis(view.backends.idle_in_transaction_max));
    to.running.push(view.backends.running);
    to.waiting_on_lock.push(view.backends.waiting_on_lock);
    to.waiting_on_io.push(view.backends.waiting_on_io);
}
