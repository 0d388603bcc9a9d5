//! Override files that are not as this sidecar left them: another's, a shared one, one edited meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use poolwarden::actuate::{Actuated, Actuator, Change, Probe, log_in};
use poolwarden::model::{Knob, PoolSize, ScopeKey, Setting};
use poolwarden::sandbox::{DatabaseOptions, SandboxOptions};
use poolwarden_tests::process::run;
use poolwarden_tests::{Bench, Version, seconds};

use super::overrides::{Stage, configured, database};

const BOTH: [Version; 2] = [Version::System, Version::Newer];

impl Stage {
    /// The same PgBouncer with a new sidecar, which has another override file.
    fn succeeded(self, file: PathBuf) -> Self {
        let target = configured(&self.bench, &format!("path = \"{}\"", file.display()));
        let actuator = Actuator::new(Arc::clone(&target), Default::default());
        Self { actuator, target, file, ..self }
    }

    /// Gives the path that PgBouncer reads.
    async fn conffile(&self) -> PathBuf {
        self.setting("conffile").await.into()
    }

    /// How often PgBouncer was told to read its files anew.
    fn reloads(&self) -> usize {
        self.bench.sandbox.pgbouncer().log().matches("RELOAD command issued").count()
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[tokio::test]
async fn the_file_of_a_sidecar_that_is_gone_is_replaced() {
    for version in BOTH {
        let Some(stage) = Stage::new(version).await else { continue };
        stage.must(&[(database("app"), 3, 6), (database("shop"), 4, 5)]).await;
        let (old, own) = (stage.file.clone(), stage.file.with_file_name("next.ini"));
        let stage = stage.succeeded(own.clone());
        let watching = stage.actuator.inspect(|| Probe::Never).await.expect("PgBouncer answers");
        assert_eq!((watching.problems, own.exists()), (vec![], false), "nothing is sent");
        assert_eq!(stage.inspect().await.problems, []);
        assert_eq!(stage.conffile().await, own);
        let text = read(&own);
        assert!(text.contains(&format!("%include {}\n", stage.ini().display())), "{text}");
        assert!(!text.contains(&old.display().to_string()), "{text}");
        assert_eq!((stage.size("app").await, stage.size("shop").await), (Some(6), Some(5)));
        stage.must(&[(database("app"), 6, 3), (database("shop"), 5, 4)]).await;
        assert_eq!((stage.conffile().await, own.exists()), (stage.ini(), false));
    }
}

#[tokio::test]
async fn a_path_that_two_pgbouncers_share_is_refused() {
    let Some(first) = Stage::new(Version::System).await else { return };
    first.must(&[(database("app"), 3, 6)]).await;
    let Some(second) = Stage::new(Version::System).await else { return };
    let second = second.succeeded(first.file.clone());
    let (before, text) = (second.reloads(), read(&first.file));
    let reach = second.inspect().await;
    let problem = reach.obstacle(&database("app")).expect("out of reach").to_string();
    for part in [first.ini().display().to_string().as_str(), "override.path"] {
        assert!(problem.contains(part), "{problem}");
    }
    second.refused(database("app"), 3, 4).await;
    assert_eq!((second.reloads(), read(&first.file)), (before, text), "it is the first one's");
    // Where it was overwritten all the same, the second one's ini is not taken for the first one's.
    assert_eq!(first.inspect().await.problems, []);
    let theirs = second.ini().display().to_string();
    fs::write(&first.file, read(&first.file).replace(&first.ini().display().to_string(), &theirs))
        .expect("written");
    assert!(first.inspect().await.problems[0].reason.contains(&theirs));
    assert!(first.refused(database("app"), 6, 3).await.contains(&theirs));
}

#[tokio::test]
async fn an_edit_that_the_console_does_not_show_waits_for_the_operator_s_reload() {
    for version in BOTH {
        let Some(stage) = Stage::new(version).await else { continue };
        stage.must(&[(database("app"), 3, 6)]).await;
        let before = stage.reloads();
        stage.rewrite(|ini| ini.replacen("dbname=app", "dbname=app application_name=new", 1));
        assert_eq!(stage.inspect().await.problems, []);
        assert!(read(&stage.file).contains("application_name=new"), "whoever reloads finds it");
        assert_eq!(stage.reloads(), before, "nobody has said that the edit is ready");
        stage.bench.admin("RELOAD").await;
        let before = stage.reloads();
        assert_eq!(stage.inspect().await.problems, []);
        assert_eq!((stage.size("app").await, stage.reloads()), (Some(6), before));
    }
}

#[tokio::test]
async fn a_size_that_control_takes_up_later_is_no_person_s() {
    for version in BOTH {
        let Some(stage) = Stage::new(version).await else { continue };
        stage.bench.admin("SET default_pool_size = 9").await;
        let why = stage.refused(database("app"), 3, 6).await;
        assert!(why.contains("default_pool_size (9 in force"), "{why}");
        // A takeover, or a person who hands it over.
        let size = PoolSize::of(Knob::PoolSize, 9).expect("a size");
        stage.inspect().await;
        stage.actuator.want(BTreeMap::from([(Setting::DEFAULT, size)]));
        assert!(stage.actuator.is_due());
        assert_eq!(stage.inspect().await.problems, []);
        stage.must(&[(database("app"), 3, 6)]).await;
        assert_eq!((stage.bench.size().await, stage.size("plain").await), (9, Some(9)));
    }
}

#[tokio::test]
async fn what_a_broken_reload_brought_into_force_is_told() {
    for version in BOTH {
        let Some(stage) = Stage::new(version).await else { continue };
        let size = |size| PoolSize::of(Knob::PoolSize, size).expect("a size");
        let change =
            |from, to| [Change { setting: database("app"), from: Some(size(from)), to: size(to) }];
        let pgbouncer = stage.bench.sandbox.pgbouncer();
        // The operator edits in the very moment in which the sidecar has read his file.
        let edit = || pgbouncer.rewrite_setting("max_client_conn", "77").is_ok();
        let login = log_in(&stage.target.console).await;
        let done = stage.actuator.apply(login, &change(3, 6), edit).await;
        assert_eq!(done.came, [(database("app"), Actuated::InForce)], "{:?}", done.sent);
        assert_eq!(stage.size("app").await, Some(6));
        assert_eq!(stage.setting("max_client_conn").await, "500", "put back");
        assert_eq!((stage.conffile().await, stage.file.exists()), (stage.ini(), false));
        // His file as it was: the size is the sidecar's own, and goes back.
        pgbouncer.rewrite_setting("max_client_conn", "500").expect("written");
        assert_eq!(stage.inspect().await.problems, []);
        stage.must(&[(database("app"), 6, 3)]).await;
    }
}

#[tokio::test]
async fn users_with_the_same_size_are_told_from_users_without_one() {
    let Some(stage) = Stage::new(Version::Newer).await else { return };
    let users =
        "app = pool_size=4 reserve_pool_size=2\nsame = pool_size=4\nnone = pool_mode=session";
    stage.rewrite(|ini| format!("{ini}\n[users]\n{users}\n"));
    stage.bench.admin("RELOAD").await;
    let reserve = Setting { scope: ScopeKey::User("app".into()), knob: Knob::ReservePoolSize };
    let done = stage.must(&[(reserve.clone(), 2, 3)]).await;
    assert!(done.sent.contains(&"RELOAD".to_owned()), "{done:?}");
    stage.must(&[(reserve, 3, 2)]).await;
    let mut setup = stage.bench.setup();
    setup.target().overrides = format!("path = \"{}\"", stage.file.display());
    let sidecar = stage.bench.sidecar(&setup).await;
    let wanted = (["app", "same"], vec![("app".into(), 2)]);
    stage
        .bench
        .until("each user's own sizes are known, and no others", seconds(15), async || {
            let server = sidecar.target().server;
            let sizes: Vec<_> = server.user_sizes.keys().map(ToString::to_string).collect();
            let reserves: Vec<_> =
                server.user_reserves.iter().map(|(user, size)| (user.to_string(), *size)).collect();
            (sizes == wanted.0 && reserves == wanted.1).then_some(())
        })
        .await;
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn check_beside_a_running_sidecar_takes_its_sizes_for_its_own_and_probes_nothing() {
    let shop = DatabaseOptions { pool_size: Some(3), ..DatabaseOptions::inherited("shop") };
    let options = SandboxOptions {
        databases: vec![DatabaseOptions::inherited("app"), shop],
        ..SandboxOptions::default()
    };
    let bench = Bench::start(options).await;
    let mut setup = bench.setup();
    let path = bench.sandbox.folder().join("override.ini");
    setup.target().overrides = format!("path = \"{}\"", path.display());
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    bench
        .until("the default has grown", seconds(20), async || {
            let target = sidecar.target();
            let scope = target.scopes.iter().find(|one| one.setting == Setting::DEFAULT)?;
            (scope.wanted.is_some() && scope.wanted == scope.size).then_some(())
        })
        .await;
    load.stop().await.expect("stopped");
    let ran = run(&setup, &["check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    let probed = run(&setup, &["check", "--probe"]);
    assert_eq!(probed.code, Some(1), "{}", probed.text);
    assert!(probed.text.contains("nothing is probed beside the sidecar"), "{}", probed.text);
    assert!(sidecar.stop().await);
}

/// A `RELOAD` that reads no file drops the peers of PgBouncer 1.19 and newer.
#[tokio::test]
async fn peers_are_there_again_after_a_file_that_could_not_be_read() {
    let lines = "path_in_pgbouncer = \"/nowhere/override.ini\"";
    let Some(stage) = Stage::with(Version::Newer, |_| {}, lines).await else { return };
    stage.rewrite(|ini| format!("{ini}\n[peers]\n2 = host=127.0.0.1 port=1\n"));
    stage.bench.admin("RELOAD").await;
    stage.must(&[(Setting::DEFAULT, 5, 6)]).await;
    let before = stage.settings().await;
    assert_eq!(stage.rows("SHOW PEERS").await.len(), 1);
    let problem = stage.inspect().await.obstacle(&database("app")).expect("unread").to_string();
    assert!(problem.contains("did not read /nowhere/override.ini"), "{problem}");
    assert_eq!(stage.rows("SHOW PEERS").await.len(), 1);
    assert_eq!(stage.settings().await, before);
    assert_eq!(stage.setting("suspend_timeout").await, "10");
}
