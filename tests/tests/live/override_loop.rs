//! The whole sidecar on a database with a size of its own, and what it says where it cannot act.

use poolwarden::actuate::Probe;
use poolwarden::model::{Kind, Status};
use poolwarden::sandbox::{ConsoleRole, DatabaseOptions, SandboxOptions};
use poolwarden_tests::process::run;
use poolwarden_tests::{Bench, Setup, Sidecar, Version, seconds};

use super::overrides::{Stage, database, text};
use super::people::{fine, order};

async fn bench(version: Version) -> Option<Bench> {
    let app = DatabaseOptions { pool_size: Some(3), ..DatabaseOptions::inherited("app") };
    let options = SandboxOptions {
        databases: vec![app],
        pgbouncer_program: version.program()?,
        ..SandboxOptions::default()
    };
    Some(Bench::start(options).await)
}

fn with_override(bench: &Bench) -> Setup {
    let mut setup = bench.setup();
    "shrink_after_ms = 600000\n".clone_into(&mut setup.autosize);
    let path = bench.sandbox.folder().join("override.ini");
    setup.target().overrides = format!("path = \"{}\"", path.display());
    setup
}

async fn size(bench: &Bench) -> u32 {
    let rows = bench.sandbox.pgbouncer().console(ConsoleRole::Stats, "SHOW DATABASES").await;
    let rows = rows.unwrap_or_else(|error| panic!("{error}"));
    let app = rows.iter().find(|row| text(row, "name") == "app").expect("the database");
    text(app, "pool_size").parse().expect("a size")
}

async fn wanted(sidecar: &Sidecar) -> Option<u32> {
    let target = sidecar.target();
    let scope = target.scopes.iter().find(|scope| scope.setting == database("app"))?;
    Some(scope.wanted?.get())
}

async fn a_database_s_own_size_follows_the_load(version: Version) {
    let Some(bench) = bench(version).await else { return };
    let mut setup = with_override(&bench);
    setup.sizes = "hand_back";
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(12).await;
    let grown = bench
        .until("the database's size has grown", seconds(20), async || {
            let size = size(&bench).await;
            (size > 8 && wanted(&sidecar).await == Some(size)).then_some(size)
        })
        .await;
    assert_eq!(bench.size().await, 5, "the default is untouched");
    let changes = sidecar.changes().await;
    let change = changes.iter().find(|one| one.kind() == Kind::Resize).expect("a change");
    assert_ne!(change.status, Status::Failed);
    let shown = sidecar.json(&format!("/v1/decisions/{}", change.id)).await.to_string();
    assert!(shown.contains("RELOAD") && shown.contains("SET conffile"), "{shown}");
    let password = bench.sandbox.postgres().password("app").to_owned();
    let reach = sidecar.json("/v1/targets").await["targets"][0]["reach"].clone();
    let settings = reach["settings"].as_array().expect("settings");
    let app = settings.iter().find(|one| one["scope"] == "database:app").expect("the database");
    assert_eq!((app["means"].as_str(), app["file_size"].as_u64()), (Some("override"), Some(3)));
    assert!(!reach.to_string().contains(&password));

    bench.sandbox.pgbouncer().restart().await.expect("restarted");
    bench
        .until("the size is in force again", seconds(20), async || {
            (size(&bench).await >= grown).then_some(())
        })
        .await;
    assert!(sidecar.stop().await);
    assert_eq!(size(&bench).await, 3, "handed back");
    assert!(!bench.sandbox.folder().join("override.ini").exists());
}

/// The override hides the size in the operator's file, and his `RELOAD` is his word all the same.
async fn a_new_size_in_the_file_counts_from_the_operator_s_reload(version: Version) {
    let Some(bench) = bench(version).await else { return };
    let mut setup = with_override(&bench);
    setup.sizes = "hand_back";
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    bench
        .until("the database's size has grown", seconds(20), async || {
            let size = size(&bench).await;
            (size > 8 && wanted(&sidecar).await == Some(size)).then_some(())
        })
        .await;
    load.stop().await.expect("stopped");
    let grown = size(&bench).await;
    let pgbouncer = bench.sandbox.pgbouncer();
    let file = bench.sandbox.folder().join("override.ini");
    pgbouncer
        .rewrite(|ini| ini.replacen("dbname=app pool_size=3", "dbname=app pool_size=30", 1))
        .expect("written");
    bench
        .until("the override file repeats the edit", seconds(5), async || {
            std::fs::read_to_string(&file).ok()?.contains("pool_size=30").then_some(())
        })
        .await;
    assert_eq!(size(&bench).await, grown, "it is not loaded yet");
    // While it is paused nothing is reloaded, and the word of his RELOAD is kept.
    fine(&order(&sidecar, &["pause", "main", "--comment", "x", "--author", "ada"]).await);
    bench.admin("RELOAD").await;
    bench
        .until("the override file has it no longer", seconds(5), async || {
            (!std::fs::read_to_string(&file).ok()?.contains("; holds database:app")).then_some(())
        })
        .await;
    bench.stays("nothing is reloaded", seconds(1), async || size(&bench).await == grown).await;
    fine(&order(&sidecar, &["resume", "main", "--author", "ada"]).await);
    bench
        .until("the operator's size is in force", seconds(5), async || {
            (size(&bench).await == 30).then_some(())
        })
        .await;
    bench
        .until("it is where the sidecar starts from", seconds(5), async || {
            sidecar.firing("file-size-changed")
        })
        .await;
    assert!(sidecar.firing("size-set-by-a-person").is_none());
    assert!(sidecar.stop().await);
    assert_eq!(size(&bench).await, 30);
    assert!(!file.exists());
}

mod system {
    use super::Version;

    #[tokio::test]
    async fn a_new_size_in_the_file_counts_from_the_operator_s_reload() {
        super::a_new_size_in_the_file_counts_from_the_operator_s_reload(Version::System).await;
    }

    #[tokio::test]
    async fn a_database_s_own_size_follows_the_load() {
        super::a_database_s_own_size_follows_the_load(Version::System).await;
    }
}

mod newer {
    use super::Version;

    #[tokio::test]
    async fn a_new_size_in_the_file_counts_from_the_operator_s_reload() {
        super::a_new_size_in_the_file_counts_from_the_operator_s_reload(Version::Newer).await;
    }

    #[tokio::test]
    async fn a_database_s_own_size_follows_the_load() {
        super::a_database_s_own_size_follows_the_load(Version::Newer).await;
    }
}

/// Waits for the recommended size and for the alert that says why it is only that.
async fn recommended(bench: &Bench, sidecar: &Sidecar, named: &str) {
    bench
        .until("the size is recommended instead", seconds(15), async || {
            // The policy sees that it cannot be acted on, and recommends it itself.
            let advice = sidecar.target().advice.into_iter();
            advice.into_iter().find(|one| format!("{:?}", one.proposal).contains("database app"))
        })
        .await;
    let alert = bench
        .until("the reason is told", seconds(5), async || sidecar.firing("sizes-out-of-reach"))
        .await;
    let told = format!("{:?}", alert.proposal);
    assert!(told.contains(named), "{told}");
}

/// The operator's edit leaves nothing to override, and nothing may be sent: the file is written once, and
/// what it hid is known when something may be sent again.
async fn a_rest_is_written_once_and_keeps_what_it_hid(version: Version) {
    use std::os::unix::fs::MetadataExt;
    let Some(stage) = Stage::new(version).await else { return };
    stage.must(&[(database("app"), 3, 6)]).await;
    let (old, new) = ("dbname=app pool_size=3", "dbname=shop pool_size=6");
    stage.rewrite(|ini| ini.replacen(old, new, 1));
    stage.bench.admin("RELOAD").await;
    let look = async || {
        stage.actuator.inspect(|| Probe::Never).await.expect("PgBouncer answers");
        std::fs::metadata(&stage.file).expect("the override file").ino()
    };
    let written = look().await;
    for _ in 0..2 {
        assert_eq!(look().await, written, "it says all that there is to say");
    }
    assert_eq!(stage.column("app", "database").await.as_deref(), Some("app"), "not read so far");
    assert_eq!(stage.inspect().await.problems, [], "the edit is the operator's, and reloaded");
    assert_eq!(stage.column("app", "database").await.as_deref(), Some("shop"));
    assert_eq!(stage.setting("conffile").await, stage.ini().display().to_string());
    assert!(!stage.file.exists());
}

#[tokio::test]
async fn what_is_left_of_an_override_is_written_once() {
    for version in [Version::System, Version::Newer] {
        a_rest_is_written_once_and_keeps_what_it_hid(version).await;
    }
}

#[tokio::test]
async fn a_login_that_may_only_watch_recommends_and_says_so() {
    let bench = bench(Version::System).await.expect("the system's is there");
    let mut setup = with_override(&bench);
    let password = bench.sandbox.pgbouncer().console_password().to_owned();
    setup.target().act = Some((ConsoleRole::Stats.user().to_owned(), password));
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(12).await;
    recommended(&bench, &sidecar, "admin_users").await;
    assert_eq!((size(&bench).await, bench.size().await), (3, 5));
    assert!(bench.log().contains("may only watch"), "said at the start");
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn an_ini_that_cannot_be_parsed_recommends_and_says_so() {
    let bench = bench(Version::System).await.expect("the system's is there");
    bench.sandbox.pgbouncer().rewrite(|ini| format!("{ini}\nnonsense\n")).expect("written");
    let setup = with_override(&bench);
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(12).await;
    recommended(&bench, &sidecar, "is not of the form key = value").await;
    assert_eq!(size(&bench).await, 3);
    // Mended: it acts.
    bench.sandbox.pgbouncer().rewrite(|ini| ini.replace("\nnonsense\n", "")).expect("written");
    bench.until("it acts", seconds(20), async || (size(&bench).await > 3).then_some(())).await;
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn check_shows_what_can_be_acted_on() {
    let bench = bench(Version::System).await.expect("the system's is there");
    let ran = run(&with_override(&bench), &["check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    for part in ["--probe", "RESERVE_POOL_SIZE", "database:app  override"] {
        assert!(ran.text.contains(part), "no {part:?}: {}", ran.text);
    }
    let probed = run(&with_override(&bench), &["check", "--probe"]);
    assert!(probed.code == Some(0) && probed.text.contains("PgBouncer reads /"), "{}", probed.text);
    let plain = run(&bench.setup(), &["check"]);
    assert_eq!(plain.code, Some(0), "{}", plain.text);
    assert!(plain.text.contains("recommended (1)"), "{}", plain.text);
    bench.sandbox.pgbouncer().rewrite_setting("max_client_conn", "77").expect("written");
    let ran = run(&with_override(&bench), &["check", "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    let shown: serde_json::Value = serde_json::from_str(&ran.text).expect("JSON");
    let findings = shown["findings"].to_string();
    assert!(findings.contains("max_client_conn (500 in force, 77 in "), "{findings}");
    let settings = shown["targets"][0]["settings"].as_array().expect("settings");
    let app = settings.iter().find(|one| one["scope"] == "database:app").expect("the database");
    assert!(app["means"].is_null() && app["obstacle"]["remedy"].is_string(), "{app}");
}

#[tokio::test]
async fn a_pause_reloads_nothing_and_what_was_edited_meanwhile_is_read_afterwards() {
    let bench = bench(Version::System).await.expect("the system's is there");
    let sidecar = bench.sidecar(&with_override(&bench)).await;
    let load = bench.load(12).await;
    bench
        .until("the database's size has grown", seconds(20), async || {
            let size = size(&bench).await;
            (size > 3 && wanted(&sidecar).await == Some(size)).then_some(())
        })
        .await;
    fine(&order(&sidecar, &["pause", "main", "--comment", "x", "--author", "ada"]).await);
    load.stop().await.expect("stopped");
    let pgbouncer = bench.sandbox.pgbouncer();
    let reloads = || pgbouncer.log().matches("RELOAD command issued").count();
    pgbouncer
        .rewrite(|ini| ini.replacen("dbname=app", "dbname=app pool_mode=session", 1))
        .expect("written");
    bench.admin("RELOAD").await;
    let before = reloads();
    let file = bench.sandbox.folder().join("override.ini");
    bench
        .until("the override file is brought up to date", seconds(5), async || {
            std::fs::read_to_string(&file).ok()?.contains("pool_mode=session").then_some(())
        })
        .await;
    bench.stays("nothing is reloaded", seconds(2), async || reloads() == before).await;
    fine(&order(&sidecar, &["resume", "main", "--author", "ada"]).await);
    bench
        .until("what the operator edited is in force", seconds(5), async || {
            let rows = pgbouncer.console(ConsoleRole::Stats, "SHOW DATABASES").await.ok()?;
            let app = rows.iter().find(|row| text(row, "name") == "app")?;
            (text(app, "pool_mode") == "session").then_some(())
        })
        .await;
    assert!(reloads() > before);
    assert!(sidecar.stop().await);
}
