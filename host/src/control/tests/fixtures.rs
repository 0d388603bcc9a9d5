//! Limits, spans and polls that tests of control share.

use std::sync::Arc;
use std::time::Duration;

use crate::history::Spans;
use crate::model::{
    DatabaseRow, EffectLimits, Limits, PoolKey, PoolRow, PoolSize, Server, Snapshot, Timestamp,
};

pub fn size(size: u32) -> PoolSize {
    PoolSize::new(size).expect("above zero")
}

pub fn limits() -> Limits {
    Limits {
        floor: size(1),
        ceiling: size(50),
        step_up: 10,
        step_down: 5,
        cooldown_up: Duration::from_secs(5),
        cooldown_down: Duration::from_secs(60),
        changes_per_hour: 60,
        database_margin: 5,
        data_age_max: Duration::from_secs(3),
        reconnect: false,
    }
}

pub fn effect() -> EffectLimits {
    EffectLimits {
        window: Duration::from_secs(10),
        settle: Duration::from_millis(200),
        tolerance_percent: 10,
        min_gain_percent: 25,
        min_transactions: 30,
        rollback_wait: Duration::from_secs(600),
        calm: Duration::from_secs(30),
    }
}

pub fn spans() -> Spans {
    Spans {
        short: Duration::from_secs(10),
        long: Duration::from_secs(600),
        drain_horizon: Duration::from_millis(250),
        login_queue_after: Duration::from_secs(1),
        wedged_after: Duration::from_secs(3),
        stale_after: Duration::from_secs(3),
    }
}

pub fn snapshot(at: Timestamp, sizes_at: Timestamp, size: u32, waiting: u32) -> Snapshot {
    let row = PoolRow {
        key: PoolKey::new("app", "app"),
        cl_active: size,
        cl_waiting: waiting,
        cl_active_cancel_req: None,
        cl_waiting_cancel_req: None,
        sv_active: if waiting > 0 { size } else { 0 },
        sv_active_cancel: None,
        sv_being_canceled: None,
        sv_idle: 0,
        sv_used: 0,
        sv_tested: 0,
        sv_login: 0,
        maxwait: Duration::ZERO,
        pool_mode: None,
    };
    let database = DatabaseRow {
        name: Arc::from("app"),
        database: Arc::from("app"),
        host: None,
        port: None,
        force_user: None,
        pool_size: Some(size),
        min_pool_size: None,
        reserve_pool: Some(0),
        pool_mode: None,
        max_connections: None,
        current_connections: None,
        paused: false,
        disabled: false,
    };
    let server = Server { default_pool_size: Some(size), ..Server::default() };
    Snapshot {
        at,
        sizes_at,
        pools: vec![row],
        counters: Vec::new(),
        databases: Arc::new([(Arc::from("app"), database)].into()),
        server: Arc::new(server),
        console_queries: None,
        postgres: None,
    }
}
