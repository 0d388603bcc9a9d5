//! The pools that evaluations are measured on, for the native call and for the host alike.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use poolwarden::model::{PoolColumns, PoolKey, TargetName, Window};
use poolwarden_policy::testing::{self, PoolRow, ScopeRow};

/// How much there is to say about the pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// One pool of a hundred queues, and always one; the others serve.
    Queueing,
    /// All serve, and nothing is to be said.
    Calm,
}

impl Mix {
    /// Returns the words for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queueing => "1 % queue",
            Self::Calm => "calm",
        }
    }
}

/// Makes the rows; every pool is sized by `default_pool_size`.
pub fn rows(count: usize, mix: Mix) -> Vec<PoolRow> {
    (0..count)
        .map(|at| {
            let (database, user) = (format!("db{}", at / 2), format!("user{}", at % 2));
            if mix == Mix::Queueing && at % 100 == 0 {
                PoolRow::queueing(&database, &user, 10, 5, 13.0)
            } else {
                PoolRow::serving(&database, &user, 10, 6)
            }
        })
        .collect()
}

/// Makes the window that a native call gets.
pub fn native(rows: &[PoolRow]) -> Result<poolwarden_policy::Window> {
    testing::window(&[ScopeRow::default_size(10)], rows).map_err(|error| anyhow::anyhow!("{error}"))
}

/// Makes the same window as the host has it.
pub fn host(rows: &[PoolRow]) -> Result<Window> {
    let mut window = Window::empty(TargetName::new("main")?);
    let scope = ScopeRow::default_size(10);
    window.at = poolwarden::model::Timestamp::from_millis(1_000_000_000);
    window.short_span = Duration::from_secs(10);
    window.long_span = Duration::from_secs(300);
    target(&mut window);
    window.scope_keys = vec![poolwarden::model::ScopeKey::Default];
    window.scopes = poolwarden::model::ScopeColumns {
        kind: vec![scope.kind],
        size: vec![scope.size],
        actionable: vec![7],
        min_size: vec![scope.min_size],
        reserve: vec![scope.reserve],
        floor: vec![scope.floor],
        ceiling: vec![scope.ceiling],
        pools: vec![u32::try_from(rows.len())?],
        change: vec![scope.change],
        change_age_ms: vec![scope.change_age_ms],
        change_from: vec![scope.change_from],
        change_to: vec![scope.change_to],
    };
    window.pool_keys =
        rows.iter().map(|row| PoolKey::new(&row.name.database, &row.name.user)).collect();
    window.pools = columns(rows);
    Ok(window)
}

fn target(window: &mut Window) {
    let target = testing::target();
    window.target.status = poolwarden::model::TargetStatus::Up;
    window.target.status_for = Duration::from_millis(target.status_for_ms);
    window.target.labels = Arc::default();
    window.target.version = target.version;
    window.target.default_pool_size = target.default_pool_size;
    window.target.clients = target.clients;
    window.target.clients_max = target.clients_max;
    window.target.query_wait_timeout = Duration::from_millis(target.query_wait_timeout_ms);
}

fn columns(rows: &[PoolRow]) -> PoolColumns {
    PoolColumns {
        scope: rows.iter().map(|row| row.scope).collect(),
        condition: rows.iter().map(|row| row.condition).collect(),
        mode: rows.iter().map(|row| row.mode).collect(),
        cl_active: rows.iter().map(|row| row.cl_active).collect(),
        cl_waiting: rows.iter().map(|row| row.cl_waiting).collect(),
        sv_active: rows.iter().map(|row| row.sv_active).collect(),
        sv_idle: rows.iter().map(|row| row.sv_idle).collect(),
        sv_login: rows.iter().map(|row| row.sv_login).collect(),
        size: rows.iter().map(|row| row.size).collect(),
        reserve: rows.iter().map(|row| row.reserve).collect(),
        maxwait_us: rows.iter().map(|row| row.maxwait_us).collect(),
        waiting_for_ms: rows.iter().map(|row| row.waiting_for_ms).collect(),
        full_for_ms: rows.iter().map(|row| row.full_for_ms).collect(),
        unserved_for_ms: rows.iter().map(|row| row.unserved_for_ms).collect(),
        observed_for_ms: rows.iter().map(|row| row.observed_for_ms).collect(),
        utilization: rows.iter().map(|row| row.utilization).collect(),
        utilization_p50: rows.iter().map(|row| row.utilization_p50).collect(),
        utilization_p95: rows.iter().map(|row| row.utilization_p95).collect(),
        wait_p95_us: rows.iter().map(|row| row.wait_p95_us).collect(),
        busy_mean: rows.iter().map(|row| row.busy_mean).collect(),
        busy_finished: rows.iter().map(|row| row.busy_finished).collect(),
        demand: rows.iter().map(|row| row.demand).collect(),
        demand_max_short: rows.iter().map(|row| row.demand_max_short).collect(),
        demand_max_long: rows.iter().map(|row| row.demand_max_long).collect(),
        demand_trend_per_min: rows.iter().map(|row| row.demand_trend_per_min).collect(),
        running: rows.iter().map(|row| row.running).collect(),
        waiting_on_lock: rows.iter().map(|row| row.waiting_on_lock).collect(),
        waiting_on_io: rows.iter().map(|row| row.waiting_on_io).collect(),
        clients_trend_per_min: rows.iter().map(|row| row.clients_trend_per_min).collect(),
        transactions_per_s: rows.iter().map(|row| row.transactions_per_s).collect(),
        queries_per_s: rows.iter().map(|row| row.queries_per_s).collect(),
        transaction_mean_us: rows.iter().map(|row| row.transaction_mean_us).collect(),
        query_mean_us: rows.iter().map(|row| row.query_mean_us).collect(),
        wait_mean_us: rows.iter().map(|row| row.wait_mean_us).collect(),
        idle_in_transaction: rows.iter().map(|row| row.idle_in_transaction).collect(),
        idle_in_transaction_max_ms: rows.iter().map(|r| r.idle_in_transaction_max_ms).collect(),
    }
}
