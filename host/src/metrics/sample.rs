//! A view as a busy target leaves it, for tests: every column has a value.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::control::{
    Account, AdviceView, AlertView, LastChange, Role, ScopeView, TargetView, View, WriterView,
};
use crate::guard::Hindrance;
use crate::history::{Backends, PoolView};
use crate::model::{
    Alert, AlertKey, AlertState, Condition, Counters, DatabaseRow, DatabaseSample, DecisionId,
    Evidence, Limits, Mode, PgSessions, PolicyName, PoolKey, PoolRow, PoolSize, Proposal, Server,
    Setting, Severity, Status, Subject, TargetName, TargetStatus, Timestamp,
};

/// Names the id that the sample's alert fires under.
pub(crate) const ALERT_ID: DecisionId = DecisionId(Uuid::from_u128(0xa1));

pub(crate) fn target_name(name: &str) -> TargetName {
    TargetName::new(name).expect("tests use fine names")
}

pub(crate) fn policy_name(name: &str) -> PolicyName {
    PolicyName::new(name).expect("tests use fine names")
}

pub(crate) fn size(size: u32) -> PoolSize {
    PoolSize::new(size).expect("tests use fine sizes")
}

/// Gives a view of one target, `main`, with the pool `app/web` full and waiting.
pub(crate) fn view(at: Timestamp) -> View {
    View { at, targets: vec![target("main", at)], silences: Vec::new() }
}

pub(crate) fn target(name: &str, at: Timestamp) -> TargetView {
    TargetView {
        reach: None,
        name: target_name(name),
        labels: Arc::new([("role".to_owned(), "primary".to_owned())].into()),
        mode: Mode::Enforce,
        limits: limits(),
        status: TargetStatus::Up,
        status_since: Some(at.minus(Duration::from_secs(60))),
        data_age: Some(Duration::from_millis(5)),
        problem: None,
        server: Arc::new(server()),
        pools: vec![(PoolKey::new("app", "web"), pool())],
        databases: Arc::new([database()].map(|row| (Arc::clone(&row.name), row)).into()),
        counters: vec![(Arc::from("app"), counters())],
        postgres: Some(Arc::new(postgres(at))),
        scopes: vec![ScopeView {
            setting: Setting::DEFAULT,
            size: Some(size(20)),
            base: size(10),
            wanted: Some(size(20)),
            stood_down: None,
            in_flight: None,
            not_actionable: None,
            last_change: Some(at.minus(Duration::from_secs(9))),
            change: Some(LastChange {
                status: Status::Applied,
                at: at.minus(Duration::from_secs(9)),
                from: size(10),
                to: size(20),
            }),
            hindrance: Hindrance { growth: Some("it is measured".into()), shrink: None },
        }],
        alerts: alerts(at),
        shadows: Vec::new(),
        advice: vec![AdviceView {
            id: DecisionId(Uuid::from_u128(0xad)),
            since: at,
            policy: policy_name("pool-alerts"),
            subject: Subject::Target,
            proposal: Proposal::Recommendation {
                name: "bound-the-queue".into(),
                subject: Subject::Target,
                summary: "clients queue for ever".into(),
                action: "SET query_wait_timeout = 30".into(),
                evidence: Vec::new(),
            },
        }],
        hold: None,
        going_back: Vec::new(),
        looks_refused: 3,
        budget: Some(account()),
        doubt: None,
        writer: WriterView {
            role: Role::Acts,
            since: Timestamp::from_millis(5_000),
            instance: Some(Uuid::from_u128(7)),
            acts: true,
        },
    }
}

fn alerts(at: Timestamp) -> Vec<AlertView> {
    let alert = |name: &str, state| AlertView {
        alert: Alert {
            key: AlertKey {
                policy: policy_name("pool-alerts"),
                name: name.to_owned(),
                subject: Subject::Pool(PoolKey::new("app", "web")),
            },
            state,
            since: at.minus(Duration::from_secs(3)),
        },
        proposal: Some(alert_proposal(name)),
        silenced_by: None,
    };
    vec![
        alert("pool-exhausted", AlertState::Firing(ALERT_ID)),
        alert("long-wait", AlertState::Pending),
        alert("leak", AlertState::Cooling(at.plus(Duration::from_secs(60)))),
    ]
}

pub(crate) fn alert_proposal(name: &str) -> Proposal {
    Proposal::Alert {
        name: name.to_owned(),
        subject: Subject::Pool(PoolKey::new("app", "web")),
        severity: Severity::Critical,
        summary: "every server is busy and clients wait".into(),
        hold: Duration::from_secs(2),
        cooldown: Duration::from_secs(30),
        labels: Vec::new(),
        runbook: String::new(),
        evidence: vec![Evidence { name: "cl_waiting".into(), value: 7.0 }],
    }
}

fn account() -> Account {
    Account {
        max_connections: 100,
        reserved: 3,
        margin: 10,
        others: 2,
        others_least: 2,
        could_open: 20,
        share: 85,
        members: vec![TargetName::new("main").expect("a fine name")],
        ..Account::default()
    }
}

fn limits() -> Limits {
    Limits {
        floor: size(5),
        ceiling: size(60),
        step_up: 20,
        step_down: 5,
        cooldown_up: Duration::from_secs(5),
        cooldown_down: Duration::from_secs(60),
        changes_per_hour: 20,
        database_margin: 10,
        data_age_max: Duration::from_secs(3),
        reconnect: false,
    }
}

fn server() -> Server {
    let lists = [
        "databases",
        "users",
        "pools",
        "free_clients",
        "used_clients",
        "login_clients",
        "free_servers",
        "used_servers",
        "dns_names",
        "dns_zones",
        "dns_queries",
        "dns_pending",
    ];
    Server {
        version: "PgBouncer 1.25.2".into(),
        version_number: 12502,
        default_pool_size: Some(20),
        min_pool_size: Some(0),
        reserve_pool_size: Some(0),
        max_client_conn: Some(500),
        max_user_connections: Some(0),
        query_wait_timeout: Some(Duration::from_secs(120)),
        settings: Arc::default(),
        paused: Some(false),
        taken_over: false,
        user_sizes: std::collections::BTreeMap::new(),
        user_reserves: std::collections::BTreeMap::new(),
        echoes: Vec::new(),
        lists: lists.map(|name| (name.to_owned(), 3)).into(),
    }
}

pub(crate) fn pool() -> PoolView {
    PoolView {
        row: PoolRow {
            key: PoolKey::new("app", "web"),
            cl_active: 20,
            cl_waiting: 7,
            cl_active_cancel_req: Some(0),
            cl_waiting_cancel_req: Some(0),
            sv_active: 20,
            sv_active_cancel: Some(0),
            sv_being_canceled: Some(0),
            sv_idle: 0,
            sv_used: 0,
            sv_tested: 0,
            sv_login: 0,
            maxwait: Duration::from_millis(2_500),
            pool_mode: Some("transaction".into()),
        },
        condition: Condition::Queueing,
        size: 20,
        reserve: 0,
        waiting_for: Duration::from_secs(4),
        full_for: Duration::from_secs(5),
        unserved_for: Duration::ZERO,
        observed_for: Duration::from_secs(60),
        utilization: 1.0,
        utilization_p50: 0.9,
        utilization_p95: 1.0,
        wait_p95_us: 2_000_000.0,
        busy_mean: 19.5,
        demand: 27.0,
        demand_max_short: 27.0,
        demand_max_long: 27.0,
        demand_trend_per_min: 3.0,
        clients_trend_per_min: 2.0,
        rates: Default::default(),
        backends: Backends {
            idle_in_transaction: 1,
            idle_in_transaction_max: Duration::from_millis(700),
            ..Backends::default()
        },
    }
}

fn database() -> DatabaseRow {
    DatabaseRow {
        name: Arc::from("app"),
        database: Arc::from("app_db"),
        host: Some("127.0.0.1".into()),
        port: Some(5432),
        force_user: None,
        pool_size: Some(20),
        min_pool_size: Some(0),
        reserve_pool: Some(0),
        pool_mode: None,
        max_connections: Some(0),
        current_connections: Some(20),
        paused: false,
        disabled: false,
    }
}

fn counters() -> Counters {
    Counters {
        xact_count: 100,
        query_count: 200,
        bytes_received: 3_000,
        bytes_sent: 4_000,
        xact_time_us: 5_500_000,
        query_time_us: 2_500_000,
        wait_time_us: 1_500_000,
        server_assignments: Some(100),
        client_parses: Some(1),
        server_parses: Some(2),
        binds: Some(3),
    }
}

fn postgres(at: Timestamp) -> DatabaseSample {
    let sessions = |application: &str, total, idle_in_transaction| PgSessions {
        database: Arc::from("app_db"),
        user: Arc::from("web"),
        application: Arc::from(application),
        total,
        active: total - idle_in_transaction,
        idle_in_transaction,
        idle_in_transaction_max: Duration::from_millis(700),
        waiting_on_lock: 1,
        waiting_on_io: 0,
        waiting_on_other: 0,
    };
    DatabaseSample {
        at,
        server: (None, None),
        identity: None,
        failure: None,
        max_connections: 100,
        reserved_connections: 3,
        sessions: vec![sessions("shop", 20, 1), sessions("psql", 2, 0)],
        xact_ends: None,
    }
}
