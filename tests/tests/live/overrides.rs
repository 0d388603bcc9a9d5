//! Sizes of single databases and users: the override file, and what a `RELOAD` must not do.
//!
//! Each story runs on the system's PgBouncer and on a newer one, where there is one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use poolwarden::actuate::{Actuated, Actuator, Change, Done, Probe, log_in};
use poolwarden::config::Target;
use poolwarden::model::{Knob, Means, PoolSize, Reach, ScopeKey, Setting};
use poolwarden::sandbox::{ConsoleRole, DatabaseOptions, SandboxOptions};
use poolwarden_tests::{Bench, Version, seconds};
use sqlx::postgres::PgRow;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

/// One PgBouncer with the actuator on it, and no sidecar around.
pub struct Stage {
    pub bench: Bench,
    pub actuator: Actuator,
    pub target: Arc<Target>,
    pub file: PathBuf,
}

impl Stage {
    /// Two databases with sizes of their own, one that inherits; `None` where there is no such version.
    pub async fn new(version: Version) -> Option<Self> {
        Self::with(version, |_| {}, "").await
    }

    pub async fn with(
        version: Version,
        edit: impl FnOnce(&mut SandboxOptions),
        lines: &str,
    ) -> Option<Self> {
        let sized = |name: &str, size| DatabaseOptions {
            pool_size: Some(size),
            ..DatabaseOptions::inherited(name)
        };
        let databases =
            vec![sized("app", 3), sized("shop", 4), DatabaseOptions::inherited("plain")];
        let mut options = SandboxOptions {
            databases,
            pgbouncer_program: version.program()?,
            ..SandboxOptions::default()
        };
        edit(&mut options);
        let bench = Bench::start(options).await;
        let file = bench.sandbox.folder().join("override.ini");
        let target = configured(&bench, &format!("path = \"{}\"\n{lines}", file.display()));
        let actuator = Actuator::new(Arc::clone(&target), Default::default());
        Some(Self { bench, actuator, target, file })
    }

    pub async fn apply(&self, changes: &[(Setting, u32, u32)]) -> Done {
        let size = |setting: &Setting, size| PoolSize::of(setting.knob, size).expect("a size");
        let change = |(setting, from, to): &(Setting, u32, u32)| Change {
            setting: setting.clone(),
            from: Some(size(setting, *from)),
            to: size(setting, *to),
        };
        let changes: Vec<_> = changes.iter().map(change).collect();
        self.actuator.apply(log_in(&self.target.console).await, &changes, || true).await
    }

    pub async fn must(&self, changes: &[(Setting, u32, u32)]) -> Done {
        let done = self.apply(changes).await;
        let good = done.came.iter().all(|(_, came)| *came == Actuated::InForce);
        assert!(good, "{done:?}\n{}", self.bench.sandbox.logs());
        done
    }

    /// Applies a change that must be refused without a command; gives the reason.
    pub async fn refused(&self, setting: Setting, from: u32, to: u32) -> String {
        let done = self.apply(&[(setting, from, to)]).await;
        assert_eq!(done.sent, Vec::<String>::new());
        match done.came.into_iter().next() {
            Some((_, Actuated::Failed(why))) => why,
            other => panic!("{other:?}"),
        }
    }

    pub async fn inspect(&self) -> Reach {
        self.actuator.inspect(|| Probe::Once).await.expect("PgBouncer answers")
    }

    pub async fn rows(&self, command: &str) -> Vec<PgRow> {
        let rows = self.bench.sandbox.pgbouncer().console(ConsoleRole::Admin, command).await;
        rows.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Reads a column of a database's row; `None` when the database is not there.
    pub async fn column(&self, database: &str, column: &str) -> Option<String> {
        let rows = self.rows("SHOW DATABASES").await;
        let row = rows.iter().find(|row| row.get::<String, _>("name") == database)?;
        Some(text(row, column))
    }

    pub async fn size(&self, database: &str) -> Option<u32> {
        self.column(database, "pool_size").await?.parse().ok()
    }

    /// Reads everything of `SHOW CONFIG` but what the sidecar itself sets.
    pub async fn settings(&self) -> Vec<(String, String)> {
        let rows = self.rows("SHOW CONFIG").await;
        let pairs = rows.iter().map(|row| (text(row, "key"), text(row, "value")));
        pairs.filter(|(key, _)| !["conffile", "suspend_timeout"].contains(&key.as_str())).collect()
    }

    pub async fn setting(&self, key: &str) -> String {
        let rows = self.rows("SHOW CONFIG").await;
        let row = rows.iter().find(|row| row.get::<String, _>("key") == key).expect("a known key");
        text(row, "value")
    }

    pub fn ini(&self) -> PathBuf {
        self.bench.sandbox.pgbouncer().ini_path()
    }

    pub fn rewrite(&self, edit: impl FnOnce(String) -> String) {
        self.bench.sandbox.pgbouncer().rewrite(edit).expect("the ini can be written");
    }

    pub async fn client(&self, database: &str) -> PgConnection {
        let options = self.bench.sandbox.pgbouncer().connect_options("app", database);
        options.connect().await.expect("a client")
    }
}

/// Configures a target with an override file.
pub fn configured(bench: &Bench, lines: &str) -> Arc<Target> {
    let mut setup = bench.setup();
    setup.target().overrides = lines.to_owned();
    Arc::new(setup.config().targets.remove(0))
}

/// Reads any column as the text that PgBouncer sent.
pub fn text(row: &PgRow, column: &str) -> String {
    let value = row.try_get_raw(column).expect("the column is there");
    value.as_str().unwrap_or_default().trim().to_owned()
}

pub fn database(name: &str) -> Setting {
    Setting::size_of(ScopeKey::Database(name.into()))
}

pub fn of(name: &str, knob: Knob) -> Setting {
    Setting { scope: ScopeKey::Database(name.into()), knob }
}

async fn backend(client: &mut PgConnection) -> i32 {
    let row = sqlx::raw_sql("select pg_backend_pid()").fetch_one(client).await.expect("an answer");
    row.get(0)
}

macro_rules! on_both {
    ($($story:ident)*) => {
        mod system {
            $(#[tokio::test]
            async fn $story() { super::$story(super::Version::System).await; })*
        }
        mod newer {
            $(#[tokio::test]
            async fn $story() { super::$story(super::Version::Newer).await; })*
        }
    };
}

on_both! {
    an_override_changes_sizes_and_nothing_else
    sizes_that_were_set_outlive_our_reload
    a_file_that_is_bad_or_not_loaded_is_never_reloaded
    a_database_that_the_operator_removes_is_gone
    an_edit_of_the_operator_is_not_hidden
    what_changed_while_nothing_might_be_sent_is_read_afterwards
    a_restart_returns_to_the_plain_file
    a_path_that_pgbouncer_cannot_see_is_told
    a_reload_over_tls_is_refused_where_it_recycles
    what_only_the_star_serves_is_out_of_reach
    a_user_s_size_is_changed_where_there_is_one
}

async fn an_override_changes_sizes_and_nothing_else(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    let password = stage.bench.sandbox.postgres().password("app").to_owned();
    stage.rewrite(|ini| {
        let whole = format!("user=app password='{password}' application_name='it''s' pool_size=3");
        ini.replacen("dbname=app pool_size=3", &format!("dbname=app {whole}"), 1)
    });
    stage.bench.admin("RELOAD").await;
    let ini = fs::read(stage.ini()).expect("the ini");
    let reach = stage.inspect().await;
    assert_eq!(reach.problems, []);
    assert_eq!(reach.settings[&database("app")].means, Ok(Means::Override));
    assert_eq!(reach.settings[&database("app")].file, Some(3));
    assert_eq!(reach.settings[&Setting::DEFAULT].means, Ok(Means::Set));
    assert!(!stage.file.exists(), "the probe leaves nothing");
    let before = stage.settings().await;
    let mut others = Vec::new();
    for column in ["host", "port", "database", "force_user"] {
        others.push((column, stage.column("app", column).await));
    }
    let mut client = stage.client("app").await;
    let server = backend(&mut client).await;

    let done = stage
        .must(&[
            (database("app"), 3, 7),
            (of("app", Knob::MinPoolSize), 0, 1),
            (of("app", Knob::ReservePoolSize), 0, 2),
            (database("shop"), 4, 5),
        ])
        .await;
    assert!(done.sent.contains(&"RELOAD".to_owned()), "{done:?}");
    assert!(!format!("{done:?}").contains(&password));
    assert_eq!((stage.size("app").await, stage.size("shop").await), (Some(7), Some(5)));
    assert_eq!(stage.column("app", "min_pool_size").await.as_deref(), Some("1"));
    for (column, value) in others {
        assert_eq!(stage.column("app", column).await, value, "{column}");
    }
    assert_eq!(stage.settings().await, before);
    assert_eq!(backend(&mut client).await, server, "no connection was recycled");
    let meta = fs::metadata(&stage.file).expect("the override file");
    let like = fs::metadata(stage.ini()).expect("the ini");
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (like.mode() & 0o7777, like.uid()));

    // One goes back, the other stays; then the last one, and nothing is left.
    stage.must(&[(database("shop"), 5, 4)]).await;
    assert_eq!((stage.size("app").await, stage.size("shop").await), (Some(7), Some(4)));
    stage
        .must(&[
            (database("app"), 7, 3),
            (of("app", Knob::MinPoolSize), 1, 0),
            (of("app", Knob::ReservePoolSize), 2, 0),
        ])
        .await;
    assert_eq!(stage.setting("conffile").await, stage.ini().display().to_string());
    assert_eq!(stage.setting("suspend_timeout").await, "10");
    assert!(!stage.file.exists());
    assert_eq!(fs::read(stage.ini()).expect("the ini"), ini, "never written");
    client.close().await.expect("closed");
}

async fn sizes_that_were_set_outlive_our_reload(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    stage.must(&[(Setting::DEFAULT, 5, 9)]).await;
    stage.must(&[(database("app"), 3, 6)]).await;
    assert_eq!((stage.bench.size().await, stage.size("plain").await), (9, Some(9)));
    let both = [(Setting::DEFAULT, 9, 8), (database("shop"), 4, 2)];
    stage.must(&both).await;
    assert_eq!((stage.bench.size().await, stage.size("shop").await), (8, Some(2)));
    assert_eq!(stage.size("app").await, Some(6));
    // Somebody was faster.
    let why = stage.refused(database("app"), 5, 4).await;
    assert!(why.contains("6 is in force and not 5 any more"), "{why}");
    // A person's SET would be lost.
    stage.bench.admin("SET max_client_conn = 321").await;
    let why = stage.refused(database("app"), 6, 4).await;
    assert!(why.contains("max_client_conn (321 in force, 500 in "), "{why}");
    assert_eq!(stage.setting("max_client_conn").await, "321");
    let reach = stage.inspect().await;
    assert!(reach.obstacle(&database("app")).is_some());
    assert!(reach.obstacle(&Setting::DEFAULT).is_none());
}

async fn a_file_that_is_bad_or_not_loaded_is_never_reloaded(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    stage.must(&[(database("app"), 3, 6)]).await;
    let before = stage.settings().await;
    for (bad, named) in [
        ("nonsense = 1\n", "nonsense ("),
        ("max_client_conn = 77\n", "max_client_conn (500 in force, 77 in "),
        ("[databases]\nnew = host=127.0.0.1\n", "database new ("),
        ("[databases]\nshop = host=127.0.0.1 colour=blue\n", "whose key colour"),
        ("[databases]\nshop = host=127.0.0.1 pool_mode=fast\n", "pool_mode does not exist"),
        ("[databases]\nshop host\n", "is not of the form key = value"),
        ("%include /nowhere/at/all.ini\n", "/nowhere/at/all.ini cannot be read (included at "),
    ] {
        stage.rewrite(|ini| format!("{ini}\n{bad}"));
        let reach = stage.inspect().await;
        let told = reach.problems.iter().any(|problem| problem.reason.contains(named));
        assert!(told, "{named}: {reach:?}");
        let why = stage.refused(database("app"), 6, 9).await;
        assert!(why.contains(named) && why.contains("pgbouncer.ini:"), "{why}");
        assert_eq!(stage.settings().await, before, "{named}");
        stage.rewrite(|ini| ini.replace(&format!("\n{bad}"), ""));
    }
    assert_eq!(stage.size("app").await, Some(6));
    // The operator reloads a bad file himself: PgBouncer has lost settings, and is left alone.
    stage.rewrite(|ini| ini.replace("max_client_conn", "nonsense = 1\nmax_client_conn"));
    let pgbouncer = stage.bench.sandbox.pgbouncer();
    let _ = pgbouncer.console(ConsoleRole::Admin, "RELOAD").await;
    assert_eq!(stage.setting("max_client_conn").await, "100", "a failed RELOAD is not atomic");
    assert_eq!(stage.size("app").await, Some(3), "the override was not read any more");
    let why = stage.refused(database("app"), 3, 9).await;
    assert!(why.contains("nonsense"), "{why}");
    stage.rewrite(|ini| ini.replace("nonsense = 1\n", ""));
    stage.bench.admin("RELOAD").await;
    assert_eq!(stage.inspect().await.problems, []);
    stage.must(&[(database("app"), 6, 9)]).await;
}

async fn a_database_that_the_operator_removes_is_gone(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    stage.must(&[(database("app"), 3, 6), (database("shop"), 4, 5)]).await;
    assert!(!stage.actuator.is_due() || stage.inspect().await.problems.is_empty());
    let without = |ini: String, name: &str| {
        let keeps = |line: &&str| !line.starts_with(&format!("{name} = "));
        ini.lines().filter(keeps).collect::<Vec<_>>().join("\n")
    };
    // At once, before the sidecar could have looked.
    stage.rewrite(|ini| without(ini, "app"));
    stage.bench.admin("RELOAD").await;
    assert_eq!(stage.size("app").await, Some(6), "the override still names it");
    stage
        .bench
        .until("it is noticed", seconds(2), async || stage.actuator.is_due().then_some(()))
        .await;
    assert_eq!(stage.inspect().await.problems, []);
    assert_eq!(stage.size("app").await, None);
    assert_eq!((stage.size("shop").await, stage.size("plain").await), (Some(5), Some(5)));
    // Not reloaded by the operator yet: nothing is removed by the sidecar.
    stage.rewrite(|ini| without(ini, "plain"));
    let reach = stage.inspect().await;
    let named = |problem: &poolwarden::model::Obstacle| problem.reason.contains("database plain");
    assert!(reach.problems.iter().any(named), "{reach:?}");
    assert_eq!(stage.size("plain").await, Some(5));
    stage.bench.admin("RELOAD").await;
    assert_eq!(stage.inspect().await.problems, []);
    stage.rewrite(|ini| without(ini, "shop"));
    stage.inspect().await;
    assert_eq!(stage.size("shop").await, Some(5), "not reloaded by the operator yet");
    stage.bench.admin("RELOAD").await;
    assert_eq!(stage.size("shop").await, None, "the file had been brought up to date before");
    stage.inspect().await;
    assert_eq!(stage.setting("conffile").await, stage.ini().display().to_string());
    assert!(!stage.file.exists(), "nothing is left to override");
}

async fn an_edit_of_the_operator_is_not_hidden(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    stage.must(&[(database("app"), 3, 6)]).await;
    stage.rewrite(|ini| ini.replacen("dbname=app", "dbname=shop pool_mode=session", 1));
    stage.bench.admin("RELOAD").await;
    assert_eq!(stage.column("app", "database").await.as_deref(), Some("app"), "hidden so far");
    assert_eq!(stage.inspect().await.problems, []);
    assert_eq!(stage.column("app", "database").await.as_deref(), Some("shop"));
    assert_eq!(stage.column("app", "pool_mode").await.as_deref(), Some("session"));
    assert_eq!(stage.size("app").await, Some(6));
    // Without his RELOAD the edit waits for it, and is then not hidden for a moment.
    stage.rewrite(|ini| ini.replacen("dbname=shop pool_mode=session", "dbname=app", 1));
    assert!(stage.actuator.is_due());
    assert!(stage.inspect().await.problems[0].reason.contains("database app"));
    assert_eq!(stage.column("app", "database").await.as_deref(), Some("shop"));
    stage.bench.admin("RELOAD").await;
    assert_eq!(stage.column("app", "database").await.as_deref(), Some("app"));
    assert_eq!(stage.inspect().await.problems, []);
    assert_eq!(stage.size("app").await, Some(6));
}

async fn what_changed_while_nothing_might_be_sent_is_read_afterwards(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    assert_eq!(stage.actuator.probe(), Probe::LookOnly, "nobody has said that it may");
    stage.must(&[(database("app"), 3, 6)]).await;
    stage.rewrite(|ini| ini.replacen("dbname=app", "dbname=shop", 1));
    stage.bench.admin("RELOAD").await;
    let file = || fs::read_to_string(&stage.file).expect("the override file");
    let before = (file(), stage.setting("suspend_timeout").await);
    stage.actuator.inspect(|| Probe::LookOnly).await.expect("PgBouncer answers");
    assert_eq!((file(), stage.setting("suspend_timeout").await), before, "nothing is touched");
    stage.actuator.inspect(|| Probe::Never).await.expect("PgBouncer answers");
    assert!(file().contains("dbname=shop"), "whoever reloads finds it as it should be");
    assert_eq!(stage.setting("suspend_timeout").await, before.1, "nothing is sent");
    assert_eq!(stage.column("app", "database").await.as_deref(), Some("app"));
    stage.actuator.allow(Probe::Once);
    assert_eq!(stage.actuator.probe(), Probe::Once);
    assert!(stage.actuator.is_due(), "it may do more than before");
    assert_eq!(stage.inspect().await.problems, []);
    assert_eq!(stage.column("app", "database").await.as_deref(), Some("shop"));
    assert_eq!(stage.size("app").await, Some(6));
}

async fn a_restart_returns_to_the_plain_file(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    stage.must(&[(database("app"), 3, 6), (database("shop"), 4, 5)]).await;
    stage.bench.sandbox.pgbouncer().restart().await.expect("restarted");
    assert_eq!(stage.size("app").await, Some(3));
    assert_eq!(stage.setting("conffile").await, stage.ini().display().to_string());
    assert_eq!(stage.inspect().await.problems, []);
    stage.must(&[(database("app"), 3, 6)]).await;
    assert_eq!(stage.size("shop").await, Some(4), "only what was decided anew");
    // Another sidecar process takes over what is in force.
    let next = Actuator::new(Arc::clone(&stage.target), Default::default());
    let reach = next.inspect(|| Probe::Once).await.expect("PgBouncer answers");
    assert_eq!(reach.problems, []);
    let stage = Stage { actuator: next, ..stage };
    stage.must(&[(database("shop"), 4, 2)]).await;
    assert_eq!(stage.size("app").await, Some(6));
}

async fn a_path_that_pgbouncer_cannot_see_is_told(version: Version) {
    let lines = "path_in_pgbouncer = \"/nowhere/override.ini\"";
    let Some(stage) = Stage::with(version, |_| {}, lines).await else { return };
    let before = stage.settings().await;
    let reach = stage.inspect().await;
    let problem = reach.obstacle(&database("app")).expect("out of reach").to_string();
    for part in ["/nowhere/override.ini", "override.path_in_pgbouncer"] {
        assert!(problem.contains(part), "{problem}");
    }
    assert!(reach.obstacle(&Setting::DEFAULT).is_none());
    assert_eq!(stage.setting("conffile").await, stage.ini().display().to_string());
    assert_eq!(stage.setting("suspend_timeout").await, "10");
    assert_eq!(stage.settings().await, before);
    assert!(!stage.file.exists());
    let why = stage.refused(database("app"), 3, 4).await;
    assert!(why.contains("/nowhere/override.ini"), "{why}");
    stage.must(&[(Setting::DEFAULT, 5, 6)]).await;
}

async fn a_reload_over_tls_is_refused_where_it_recycles(version: Version) {
    let tls = |options: &mut SandboxOptions| {
        let pair = ("server_tls_sslmode".to_owned(), "prefer".to_owned());
        options.pgbouncer_settings.push(pair);
    };
    let Some(stage) = Stage::with(version, tls, "").await else { return };
    let mut client = stage.client("app").await;
    let server = backend(&mut client).await;
    if version == Version::Newer {
        stage.must(&[(database("app"), 3, 6)]).await;
        assert_eq!(backend(&mut client).await, server, "nothing is recycled");
        return;
    }
    let reach = stage.inspect().await;
    let problem = reach.obstacle(&database("app")).expect("out of reach").to_string();
    assert!(problem.contains("allow_tls_reload"), "{problem}");
    stage.refused(database("app"), 3, 6).await;
    assert_eq!(backend(&mut client).await, server);
    // With the operator's word it goes on, and this is what it costs.
    let lines = format!("path = \"{}\"\nallow_tls_reload = true", stage.file.display());
    let target = configured(&stage.bench, &lines);
    let actuator = Actuator::new(Arc::clone(&target), Default::default());
    let stage = Stage { actuator, target, ..stage };
    stage.must(&[(database("app"), 3, 6)]).await;
    let after = stage.rows("SHOW SERVERS").await;
    let marked = after.iter().all(|row| text(row, "close_needed") == "1");
    assert!(marked || backend(&mut client).await != server, "every server is recycled");
}

async fn what_only_the_star_serves_is_out_of_reach(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    stage.rewrite(|ini| ini.replacen("plain = ", "* = ", 1).replace(" dbname=plain", ""));
    stage.bench.sandbox.pgbouncer().restart().await.expect("restarted");
    let mut client = stage.client("plain").await;
    backend(&mut client).await;
    assert_eq!(stage.size("plain").await, Some(5));
    let reach = stage.inspect().await;
    assert_eq!(reach.problems, [], "an automatic database is no difference");
    let problem = reach.obstacle(&database("plain")).expect("out of reach").to_string();
    assert!(problem.contains("give it an entry in the file"), "{problem}");
    let why = stage.refused(database("plain"), 5, 7).await;
    assert!(why.contains("no entry of its own"), "{why}");
    stage.must(&[(database("app"), 3, 6)]).await;
    backend(&mut client).await;
    client.close().await.expect("closed");
}

async fn a_user_s_size_is_changed_where_there_is_one(version: Version) {
    let Some(stage) = Stage::new(version).await else { return };
    let user = Setting::size_of(ScopeKey::User("app".into()));
    if version == Version::System {
        stage.rewrite(|ini| format!("{ini}\n[users]\napp = pool_mode=transaction\n"));
        stage.bench.admin("RELOAD").await;
        let reach = stage.inspect().await;
        assert_eq!(reach.problems, []);
        let problem = reach.obstacle(&user).expect("out of reach").to_string();
        assert!(problem.contains("upgrade PgBouncer"), "{problem}");
        return;
    }
    let entry = "app = max_user_connections=90 pool_size=4";
    stage.rewrite(|ini| format!("{ini}\n[users]\n{entry}\n"));
    stage.bench.admin("RELOAD").await;
    let size = async || {
        let rows = stage.rows("SHOW USERS").await;
        let row = rows.iter().find(|row| row.get::<String, _>("name") == "app").expect("a user");
        (text(row, "pool_size"), text(row, "max_user_connections"))
    };
    assert_eq!(stage.inspect().await.problems, []);
    stage.must(&[(user.clone(), 4, 6)]).await;
    assert_eq!(size().await, ("6".to_owned(), "90".to_owned()));
    stage.must(&[(user.clone(), 6, 4)]).await;
    assert_eq!(size().await, ("4".to_owned(), "90".to_owned()));
    assert!(!stage.file.exists());
}
