//! Who leaks is named down to the backend, and ended only where that is allowed and while it idles.

use std::time::Duration;

use poolwarden::model::{
    Decision, Kind, Mode, Outcome, Proposal, Rule, SessionState, Severity, Status, Word,
};
use poolwarden::sandbox::{ConsoleRole, Load, LoadOptions, SandboxOptions};
use poolwarden_tests::process::ask;
use poolwarden_tests::{Bench, Setup, Sidecar, seconds};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Row};

/// Leaks count after a second instead of a minute.
const QUICK: &str = "[settings]\nidle_in_transaction_min_ms = 1000\nunfinished_for_ms = 1000\n";
const ENDING: &str = "[settings]\nidle_in_transaction_min_ms = 1000\nend_after_ms = 1500\n";
const LOOKS: &str = "poolwarden_poll_seconds_count{target=\"main\",command=\"clients\"}";

/// A sidecar that may ask PostgreSQL and hunts for leaks.
fn setup(bench: &Bench, leaks: &str) -> Setup {
    let mut setup = bench.setup();
    setup.leaks = Some(leaks.to_owned());
    setup.target().database = bench.database();
    setup.target().sessions = "every_ms = 5000".to_owned();
    setup
}

/// Begins a transaction through PgBouncer and leaves it alone; gives the backend's process id.
async fn leak(bench: &Bench, application: &str) -> (PgConnection, i32) {
    let options = bench.sandbox.pgbouncer().connect_options("app", "app");
    let mut connection = options.application_name(application).connect().await.expect("connected");
    sqlx::raw_sql("begin").execute(&mut connection).await.expect("begun");
    let row = sqlx::raw_sql("select pg_backend_pid() as pid").fetch_one(&mut connection).await;
    (connection, row.expect("a row").get("pid"))
}

/// Says whether a backend lives, and what it does.
async fn state(bench: &Bench, pid: i32) -> Option<String> {
    let sql =
        format!("select coalesce(state, '') as state from pg_stat_activity where pid = {pid}");
    let rows = bench.sandbox.postgres().query("postgres", &sql).await.expect("asked");
    rows.first().map(|row| row.get("state"))
}

async fn ending(sidecar: &Sidecar, status: Status) -> Option<Decision> {
    let all = sidecar.decisions().await;
    all.into_iter().find(|one| one.kind() == Kind::EndSession && one.status == status)
}

#[tokio::test]
async fn a_leaked_transaction_is_named_down_to_the_backend() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&setup(&bench, QUICK)).await;
    let (_connection, pid) = leak(&bench, "leaky-shop").await;
    let alert = bench
        .until("the leak is told", seconds(15), async || sidecar.firing("idle-in-transaction"))
        .await;
    let Some(Proposal::Alert { summary, severity, labels, runbook, .. }) = alert.proposal else {
        panic!("an alert says something")
    };
    let label = |name: &str| {
        let label = labels.iter().find(|(key, _)| key == name);
        label.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    assert_eq!((label("application"), severity), ("leaky-shop", Severity::Warning));
    assert_eq!(label("backend_pid"), pid.to_string());
    assert_eq!(state(&bench, pid).await.as_deref(), Some("idle in transaction"));
    assert_eq!(runbook, "docs/runbooks/idle-in-transaction.md");
    let rows = bench.sandbox.pgbouncer().console(ConsoleRole::Stats, "SHOW CLIENTS").await;
    let rows = rows.expect("asked");
    let row = rows.iter().find(|row| row.get::<&str, _>("application_name") == "leaky-shop");
    let row = row.expect("it is connected");
    let address = format!("{}:{}", row.get::<&str, _>("addr"), row.get::<i32, _>("port"));
    assert_eq!(label("address"), address);
    for part in ["leaky-shop", &address, &format!("backend {pid}"), "last statement"] {
        assert!(summary.contains(part), "{part} is not in {summary:?}");
    }
    let advice = sidecar.target().advice;
    let command = format!("select pg_terminate_backend({pid});");
    let told = |one: &Proposal| match one {
        Proposal::Recommendation { action, .. } => action.contains(&command),
        _ => false,
    };
    assert!(advice.iter().any(|one| told(&one.proposal)), "{advice:#?}");
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn without_postgresql_the_client_and_its_backend_are_named_all_the_same() {
    let bench = Bench::small().await;
    let mut setup = setup(&bench, QUICK);
    setup.target().database = None;
    let sidecar = bench.sidecar(&setup).await;
    let (_connection, pid) = leak(&bench, "leaky-shop").await;
    let alert = bench
        .until("the leak is told", seconds(20), async || sidecar.firing("idle-in-transaction"))
        .await;
    let Some(Proposal::Alert { labels, .. }) = alert.proposal else { panic!("it says something") };
    let named = |key: &str, value: &str| labels.iter().any(|(k, v)| k == key && v == value);
    assert!(named("application", "leaky-shop"), "{labels:?}");
    assert!(named("backend_pid", &pid.to_string()), "{labels:?}");
}

#[tokio::test]
async fn clients_are_not_listed_unless_something_is_suspicious_and_then_seldom() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&setup(&bench, QUICK)).await;
    let load = bench.load(2).await;
    bench
        .until("the load is seen", seconds(10), async || {
            (sidecar.pool("app")?.row.sv_active > 0).then_some(())
        })
        .await;
    let polls = "poolwarden_poll_seconds_count{target=\"main\",command=\"pools\"}";
    let before = sidecar.metric(polls).await;
    bench.stays("nobody looks", seconds(4), async || sidecar.metric(LOOKS).await == 0.0).await;
    assert!(sidecar.metric(polls).await > before, "it polls meanwhile");
    load.stop().await.expect("stopped");

    let _leak = leak(&bench, "leaky-shop").await;
    let start = std::time::Instant::now();
    bench
        .until("it looks", seconds(15), async || (sidecar.metric(LOOKS).await >= 2.0).then_some(()))
        .await;
    bench
        .stays("it looks seldom", seconds(6), async || {
            let most = 1.0 + start.elapsed().as_secs_f64() / 5.0;
            sidecar.metric(LOOKS).await <= most
        })
        .await;
    let took = sidecar.metric("poolwarden_session_look_seconds_count{target=\"main\"}").await;
    let refused = sidecar.metric("poolwarden_session_looks_refused_total{target=\"main\"}").await;
    assert!(took >= 2.0 && refused > 0.0, "{took} looks, {refused} too early");
}

#[tokio::test]
async fn an_idle_session_is_ended_where_that_is_allowed_and_one_that_works_lives() {
    let bench = Bench::small().await;
    let leaks = format!("[actions]\nend_sessions = true\n{ENDING}");
    let setup = setup(&bench, &leaks);
    let sidecar = bench.sidecar(&setup).await;
    let script = "select pg_sleep(60);".to_owned();
    let options = LoadOptions { clients: 1, script, ..LoadOptions::default() };
    let mut works = Load::start(&bench.sandbox, options).await.expect("started");
    let (mut connection, pid) = leak(&bench, "leaky-shop").await;
    let ended = bench
        .until("the leak is ended", seconds(20), async || ending(&sidecar, Status::Verified).await)
        .await;
    assert_eq!(state(&bench, pid).await, None, "the backend is gone");
    assert!(works.is_running(), "the long statement is not the leak");
    let sql = "select count(*) as works from pg_stat_activity where query like '%pg_sleep(60)%' \
               and state = 'active' and pid <> pg_backend_pid()";
    let rows = bench.sandbox.postgres().query("postgres", sql).await.expect("asked");
    assert_eq!(rows[0].get::<i64, _>("works"), 1);
    let lost = sqlx::raw_sql("select 1").execute(&mut connection).await;
    assert!(lost.is_err(), "its client is told");
    assert_eq!(
        (ended.mode, ended.verdict.map(|v| v.outcome)),
        (Mode::Enforce, Some(Outcome::Approved))
    );
    bench
        .until("the alert is over", seconds(10), async || {
            sidecar.firing("idle-in-transaction").is_none().then_some(())
        })
        .await;
    let gone = "poolwarden_sessions_ended_total{target=\"main\",outcome=\"gone\"}";
    assert_eq!(sidecar.metric(gone).await, 1.0);
    let (url, id) = (sidecar.url(), ended.id.to_string());
    let told = tokio::task::spawn_blocking(move || ask(&url, &["explain", &id]));
    let told = told.await.expect("no panic").text;
    let backend = format!("backend process {pid}");
    for part in ["end_session", "leaky-shop", &backend, "idle_session", "applied", "verified"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[tokio::test]
async fn without_leave_nothing_is_ended_and_the_verdict_says_why() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&setup(&bench, ENDING)).await;
    bench
        .until("it acts here", seconds(10), async || sidecar.target().writer.acts.then_some(()))
        .await;
    let (_connection, pid) = leak(&bench, "leaky-shop").await;
    let refused = bench
        .until("the end is refused", seconds(15), async || ending(&sidecar, Status::Proposed).await)
        .await;
    let verdict = refused.verdict.expect("a verdict");
    assert_eq!(verdict.outcome, Outcome::Rejected);
    // Beside it the sidecar may still be looking for another one that acts here.
    let no = verdict.rules.iter().find(|said| said.rule == Rule::EndingAllowed).expect("its word");
    assert_eq!(no.word, Word::Reject);
    assert!(no.reason.contains("end_sessions = true"), "{}", no.reason);
    bench.stays("it lives", seconds(2), async || state(&bench, pid).await.is_some()).await;
}

#[tokio::test]
async fn for_want_of_rights_the_remedy_is_told() {
    let bench = Bench::small().await;
    let postgres = bench.sandbox.postgres();
    let create = format!(
        "create role watcher login password '{}' in role pg_monitor",
        postgres.password("watcher")
    );
    postgres.query("postgres", &create).await.expect("made");
    let mut setup = setup(&bench, &format!("[actions]\nend_sessions = true\n{ENDING}"));
    setup.target().database = Some(postgres.url("watcher", "postgres"));
    let sidecar = bench.sidecar(&setup).await;
    let (_connection, pid) = leak(&bench, "leaky-shop").await;
    let failed =
        bench.until("it fails", seconds(20), async || ending(&sidecar, Status::Failed).await).await;
    let story = sidecar.store().decision(failed.id).await.expect("readable").expect("there");
    let note = &story.transitions.last().expect("it moved").note;
    assert!(note.contains("GRANT pg_signal_backend TO \"watcher\""), "{note}");
    assert!(state(&bench, pid).await.is_some());
}

#[tokio::test]
async fn a_session_that_moved_on_meanwhile_is_left_alone() {
    use poolwarden::config::Config;
    use poolwarden::database::end_session;
    use poolwarden::model::{BackendIdentity, Ended, PoolKey, SessionKey};

    let bench = Bench::start(SandboxOptions::default()).await;
    let config: Config = setup(&bench, QUICK).config();
    let database = config.targets[0].database.clone().expect("configured");
    let (mut connection, pid) = leak(&bench, "busy-shop").await;
    let identity = async || {
        let sql = format!(
            "select (extract(epoch from backend_start) * 1000000)::int8 as started, \
             (extract(epoch from state_change) * 1000000)::int8 as changed \
             from pg_stat_activity where pid = {pid}"
        );
        let rows = bench.sandbox.postgres().query("postgres", &sql).await.expect("asked");
        BackendIdentity {
            backend_start_us: rows[0].get("started"),
            state_change_us: rows[0].get("changed"),
        }
    };
    let session = |identity| SessionKey {
        pool: PoolKey::new("app", "app"),
        client: "1".into(),
        application: "busy-shop".into(),
        address: "127.0.0.1:1".into(),
        backend_pid: u32::try_from(pid).expect("a process id"),
        state: SessionState::IdleInTransaction,
        identity: Some(identity),
    };
    let seen = identity().await;
    sqlx::raw_sql("select 1").execute(&mut connection).await.expect("it goes on");
    assert_eq!(end_session(&database, &session(seen)).await, Ended::MovedOn);

    let now = identity().await;
    let running = tokio::spawn(async move {
        let slept = sqlx::raw_sql("select pg_sleep(2)").execute(&mut connection).await;
        (slept, connection)
    });
    bench
        .until("it runs", seconds(5), async || {
            (state(&bench, pid).await.as_deref() == Some("active")).then_some(())
        })
        .await;
    assert_eq!(end_session(&database, &session(now)).await, Ended::MovedOn);
    let (slept, _connection) = running.await.expect("no panic");
    slept.expect("a statement that runs is never ended");
    tokio::time::timeout(Duration::from_secs(5), async {
        assert_eq!(end_session(&database, &session(identity().await)).await, Ended::Gone);
    })
    .await
    .expect("an end is quick");
    assert_eq!(state(&bench, pid).await, None);
}
