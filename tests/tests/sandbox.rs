//! The test bench itself: it starts, survives what tests do to it, and leaves nothing behind.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use poolwarden::sandbox::{
    ConsoleRole, DatabaseOptions, Load, LoadOptions, PgBouncer, Sandbox, SandboxError,
    SandboxOptions, Startup, Stop,
};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, Row};

async fn start(options: SandboxOptions) -> Sandbox {
    Sandbox::start(options).await.unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

async fn number(options: &PgConnectOptions) -> Result<i32, sqlx::Error> {
    let mut connection = options.connect().await?;
    let row: PgRow = sqlx::raw_sql("select 42").fetch_one(&mut connection).await?;
    connection.close().await?;
    row.try_get(0)
}

/// The pids of all processes whose working directory lies in the folder.
fn living_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
    entries
        .filter(|entry| {
            let cwd = std::fs::read_link(entry.path().join("cwd"));
            cwd.is_ok_and(|cwd| cwd.starts_with(folder))
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Waits for what another process does on its own; fails after 20 s.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "not so after 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn database_field(pgbouncer: &PgBouncer, database: &str, field: &str) -> i32 {
    let rows = pgbouncer.console(ConsoleRole::Stats, "SHOW DATABASES").await.expect("console");
    let row = rows.iter().find(|row| row.get::<&str, _>("name") == database).expect("database");
    row.get(field)
}

#[tokio::test]
async fn a_query_passes_through_pgbouncer_to_postgresql() {
    let sandbox = start(SandboxOptions::default()).await;
    let through = sandbox.pgbouncer().connect_options("app", "app");
    assert_eq!(number(&through).await.expect("an answer"), 42);
    let from_url: PgConnectOptions = sandbox.pgbouncer().url("app", "app").parse().expect("a URL");
    assert_eq!(number(&from_url.extra_float_digits(None)).await.expect("an answer"), 42);
    assert_eq!(database_field(sandbox.pgbouncer(), "app", "pool_size").await, 5);
}

#[tokio::test]
async fn wrong_passwords_are_refused_by_both_servers() {
    let sandbox = start(SandboxOptions::default()).await;
    for options in [
        sandbox.pgbouncer().connect_options("app", "app"),
        sandbox.pgbouncer().console_options(ConsoleRole::Admin),
        sandbox.postgres().connect_options("app", "app"),
    ] {
        let error = PgConnection::connect_with(&options.password("wrong")).await.expect_err("auth");
        assert!(error.to_string().contains("password authentication failed"), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_left_after_the_drop() {
    let sandbox = start(SandboxOptions::default()).await;
    let mut load = Load::start(&sandbox, LoadOptions::default()).await.expect("pgbench starts");
    let folder = sandbox.folder().to_owned();
    assert!(living_in(&folder).len() >= 3, "two servers and a load live there");
    drop(sandbox);
    assert!(!folder.exists());
    assert_eq!(living_in(&folder), Vec::<String>::new());
    assert!(!load.is_running());
}

#[tokio::test]
async fn nothing_is_left_after_a_kill_of_postgresql_and_a_drop() {
    let sandbox = start(SandboxOptions::default()).await;
    let folder = sandbox.folder().to_owned();
    let pid_file = folder.join("server/data/postmaster.pid");
    let segment = std::fs::read_to_string(&pid_file).expect("a running server's pid file");
    let segment = segment.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
    let segment = segment.expect("a segment").to_owned();
    let segments = || std::fs::read_to_string("/proc/sysvipc/shm").expect("Linux");
    let exists = |id: &str| segments().lines().any(|l| l.split_whitespace().nth(1) == Some(id));
    assert!(exists(&segment));
    sandbox.postgres().kill9().await.expect("killed");
    drop(sandbox);
    assert!(!folder.exists());
    assert_eq!(living_in(&folder), Vec::<String>::new());
    assert!(!exists(&segment), "the kernel keeps segment {segment}");
}

/// Runs only as the child of the test below, which gives it a temporary folder of its own.
#[tokio::test]
#[ignore = "the subject of `a_start_that_fails_half_way_shows_the_log_and_leaves_nothing`"]
async fn failing_start() {
    let options = SandboxOptions {
        pgbouncer_settings: vec![("pool_mode".to_owned(), "nonsense".to_owned())],
        ..SandboxOptions::default()
    };
    let error = Sandbox::start(options).await.expect_err("PgBouncer refuses its ini");
    assert!(matches!(error, SandboxError::Ended { .. }), "{error:?}");
    assert!(error.to_string().contains("pool_mode"), "{error}");
    let base = std::env::temp_dir();
    assert_eq!(living_in(&base), Vec::<String>::new());
    println!("FOLDER {}", base.display());
}

#[test]
fn a_start_that_fails_half_way_shows_the_log_and_leaves_nothing() {
    let base = std::env::temp_dir().join(format!("poolwarden-test-{}", std::process::id()));
    std::fs::create_dir(&base).expect("writable");
    let output = this_test("failing_start").env("TMPDIR", &base).output().expect("started");
    let left: Vec<_> = std::fs::read_dir(&base).expect("a folder").flatten().collect();
    std::fs::remove_dir_all(&base).expect("ours");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("FOLDER {}", base.display())), "{said}");
    assert!(left.is_empty(), "{left:?}");
}

/// Prepares another process of this program that runs one ignored test.
fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command
}

#[tokio::test]
async fn kill_9_of_each_server_is_survived_by_restart() {
    let sandbox = start(SandboxOptions::default()).await;
    let (postgres, pgbouncer) = (sandbox.postgres(), sandbox.pgbouncer());
    postgres
        .query("app", "create table kept (n int); insert into kept values (7)")
        .await
        .expect("");
    let through = pgbouncer.connect_options("app", "app");
    let (port, pooler_port) = (postgres.port(), pgbouncer.port());

    pgbouncer.kill9().await.expect("killed");
    assert_eq!(pgbouncer.pid(), None);
    number(&through).await.expect_err("nobody listens");
    pgbouncer.restart().await.expect("restarted");
    assert_eq!(number(&through).await.expect("an answer"), 42);

    postgres.kill9().await.expect("killed");
    assert_eq!(postgres.pid(), None);
    postgres.restart().await.expect("restarted");
    let rows = postgres.query("app", "select n from kept").await.expect("recovered");
    assert_eq!(rows.first().expect("a row").get::<i32, _>(0), 7);
    let start = Instant::now();
    // PgBouncer finds its dead server connections one by one.
    while number(&through).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", sandbox.logs());
    }
    assert_eq!((postgres.port(), pgbouncer.port()), (port, pooler_port));
}

#[tokio::test]
async fn a_rewritten_ini_acts_after_a_reload() {
    let sandbox = start(SandboxOptions {
        databases: vec![DatabaseOptions::inherited("app"), DatabaseOptions::sized("fixed", 3)],
        ..SandboxOptions::default()
    })
    .await;
    let pgbouncer = sandbox.pgbouncer();
    pgbouncer.rewrite_setting("default_pool_size", "9").expect("written");
    assert_eq!(database_field(pgbouncer, "app", "pool_size").await, 5);
    pgbouncer.reload().expect("running");
    let start = Instant::now();
    while database_field(pgbouncer, "app", "pool_size").await != 9 {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", sandbox.logs());
    }
    assert_eq!(database_field(pgbouncer, "fixed", "pool_size").await, 3);
}

#[tokio::test]
async fn a_stats_role_may_look_and_only_an_admin_may_change() {
    let sandbox = start(SandboxOptions::default()).await;
    let pgbouncer = sandbox.pgbouncer();
    let refused = pgbouncer.console(ConsoleRole::Stats, "SET default_pool_size = 6").await;
    assert!(matches!(refused, Err(SandboxError::Statement { .. })), "{refused:?}");
    pgbouncer.console(ConsoleRole::Admin, "SET default_pool_size = 6").await.expect("admin");
    assert_eq!(database_field(pgbouncer, "app", "pool_size").await, 6);
}

#[tokio::test]
async fn a_deferred_server_starts_later_on_the_port_that_was_promised() {
    let sandbox =
        start(SandboxOptions { postgres: Startup::Deferred, ..SandboxOptions::default() }).await;
    let through = sandbox.pgbouncer().connect_options("app", "app");
    assert_eq!(sandbox.postgres().pid(), None);
    sandbox.postgres().start().await.expect("started");
    assert_eq!(number(&through).await.expect("an answer"), 42);
    sandbox.postgres().stop(Stop::Fast).await.expect("stopped");
    assert_eq!(sandbox.postgres().pid(), None);
}

#[tokio::test]
async fn a_port_that_another_process_took_is_reported() {
    let (postgres, pgbouncer) = (Startup::Deferred, Startup::Deferred);
    let sandbox = start(SandboxOptions { postgres, pgbouncer, ..SandboxOptions::default() }).await;
    let take = |port| std::net::TcpListener::bind(("127.0.0.1", port)).expect("free until now");

    let taken = take(sandbox.postgres().port());
    let error = sandbox.postgres().start().await.expect_err("taken");
    assert!(matches!(error, SandboxError::PortTaken { .. }), "{error}");
    drop(taken);

    let taken = take(sandbox.pgbouncer().port());
    let error = sandbox.pgbouncer().start().await.expect_err("taken");
    assert!(matches!(error, SandboxError::PortTaken { .. }), "{error}");
    assert_eq!(sandbox.pgbouncer().pid(), None);
    drop(taken);

    sandbox.postgres().start().await.expect("free again");
    sandbox.pgbouncer().start().await.expect("free again");
    let through = sandbox.pgbouncer().connect_options("app", "app");
    assert_eq!(number(&through).await.expect("an answer"), 42);
}

#[tokio::test]
async fn a_further_pgbouncer_has_its_own_console() {
    let sandbox = start(SandboxOptions::default()).await;
    let options = SandboxOptions { default_pool_size: 2, ..SandboxOptions::default() };
    let replica = sandbox.another_pgbouncer("replica", &options).await.expect("started");
    assert_eq!(database_field(&replica, "app", "pool_size").await, 2);
    assert_eq!(database_field(sandbox.pgbouncer(), "app", "pool_size").await, 5);
    assert_eq!(number(&replica.connect_options("app", "app")).await.expect("an answer"), 42);
}

#[tokio::test]
async fn a_load_beyond_the_pool_queues_and_is_reported() {
    let sandbox = start(SandboxOptions { default_pool_size: 2, ..SandboxOptions::default() }).await;
    let options = LoadOptions {
        clients: 8,
        duration: Some(Duration::from_secs(2)),
        ..LoadOptions::default()
    };
    let load = Load::start(&sandbox, options).await.expect("started");
    let start = Instant::now();
    loop {
        let pools = sandbox.pgbouncer().console(ConsoleRole::Stats, "SHOW POOLS").await;
        let pools = pools.expect("console");
        let app = pools.iter().find(|row| row.get::<&str, _>("database") == "app");
        if app.is_some_and(|row| row.get::<i32, _>("cl_waiting") == 6) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{}", sandbox.logs());
    }
    let report = load.finish().await.expect("finished");
    assert!(report.transactions.expect("a summary") > 0, "{report:?}");
    assert!(report.latency > Duration::from_millis(100), "four wait per server: {report:?}");
    assert_eq!((report.aborted_clients, report.failed_transactions), (0, 0), "{report:?}");
}

#[tokio::test]
async fn a_stopped_load_still_has_figures() {
    let sandbox = start(SandboxOptions::default()).await;
    let load = Load::start(&sandbox, LoadOptions::default()).await.expect("started");
    eventually("a sample", || !load.samples().is_empty()).await;
    let report = load.stop().await.expect("stopped");
    assert_eq!(report.transactions, None);
    assert!(report.tps > 0.0, "{report:?}");
}

/// Runs only as the child of the test below, which kills it.
#[tokio::test]
#[ignore = "the victim of `kill_9_of_ourselves_ends_the_servers`"]
async fn victim() {
    let sandbox = start(SandboxOptions::default()).await;
    let _load = Load::start(&sandbox, LoadOptions::default()).await.expect("started");
    println!("FOLDER {}", sandbox.folder().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn kill_9_of_ourselves_ends_the_servers_and_the_next_start_removes_the_folder() {
    use std::io::{BufRead, BufReader};
    let mut child =
        this_test("victim").stdout(std::process::Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let folder = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("FOLDER ")?.1.to_owned()))
        .expect("the victim says where it lives");
    let folder = Path::new(&folder);
    assert!(living_in(folder).len() >= 3);
    child.kill().expect("killed");
    child.wait().expect("reaped");
    eventually("the servers are gone", || living_in(folder).is_empty()).await;
    // Any start removes it, also one of a test that runs beside this one.
    drop(start(SandboxOptions { postgres: Startup::Deferred, ..SandboxOptions::default() }).await);
    eventually("the folder is gone", || !folder.exists()).await;
}
