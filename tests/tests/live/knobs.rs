//! The sizes beside a database's own, through the whole loop: the default's warm servers and reserve, by
//! `SET`, and a user's size, by the override file.

use poolwarden::model::{Decision, Knob, Origin, Proposal, ScopeKey, Setting, Status};
use poolwarden::sandbox::{ConsoleRole, SandboxOptions};
use poolwarden_tests::{Bench, Sidecar, Version, seconds};

use super::overrides::text;

/// A policy that wants two warm servers, and a reserve of one.
const KNOBS: &str = r#"[[settings.rules]]
name = "warm"
when = "pool.database == 'app'"
knob = "min_pool_size"
resize = "2"
[[settings.rules]]
name = "spare"
when = "pool.database == 'app'"
knob = "reserve_pool_size"
resize = "1"
"#;

/// Reads a column of the row of that name on the console.
async fn read(bench: &Bench, show: &str, name: (&str, &str), column: &str) -> String {
    let rows = bench.sandbox.pgbouncer().console(ConsoleRole::Stats, show).await;
    let rows = rows.unwrap_or_else(|error| panic!("{show}: {error}"));
    let row = rows.iter().find(|row| text(row, name.0) == name.1).expect("it is there");
    text(row, column)
}

async fn knobs(bench: &Bench) -> [String; 2] {
    let config = async |key| read(bench, "SHOW CONFIG", ("key", key), "value").await;
    [config("min_pool_size").await, config("reserve_pool_size").await]
}

fn is_of(decision: &Decision, knob: Knob) -> bool {
    matches!(&decision.proposal, Proposal::Resize { setting, .. } if setting.knob == knob)
}

/// Waits until the newest change of each of the two is by such a one and has such a status.
async fn both(bench: &Bench, sidecar: &Sidecar, what: &str, is: impl Fn(&Decision) -> bool) {
    bench
        .until(what, seconds(30), async || {
            let all = sidecar.changes().await;
            let newest = |knob| all.iter().rev().find(|one| is_of(one, knob));
            let mut two = [Knob::MinPoolSize, Knob::ReservePoolSize].into_iter().map(newest);
            two.all(|one| one.is_some_and(&is)).then_some(())
        })
        .await;
}

#[tokio::test]
async fn warm_servers_and_reserve_are_set_verified_put_back_after_a_reload_and_handed_back() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.rules = Some(KNOBS.to_owned());
    setup.sizes = "hand_back";
    let file = knobs(&bench).await;
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(2).await;
    both(&bench, &sidecar, "both are verified", |one| one.status == Status::Verified).await;
    assert_eq!(knobs(&bench).await, ["2", "1"]);
    bench.admin("RELOAD").await;
    let put_back = |one: &Decision| one.origin == Origin::Host && one.status == Status::Verified;
    both(&bench, &sidecar, "both are put back", put_back).await;
    assert_eq!(knobs(&bench).await, ["2", "1"]);
    assert!(sidecar.stop().await);
    assert_eq!(knobs(&bench).await, file);
}

#[tokio::test]
async fn a_user_s_size_follows_the_load() {
    let Some(program) = Version::Newer.program() else { return };
    let options = SandboxOptions { pgbouncer_program: program, ..SandboxOptions::default() };
    let bench = Bench::start(options).await;
    let pgbouncer = bench.sandbox.pgbouncer();
    pgbouncer.rewrite(|ini| format!("{ini}\n[users]\napp = pool_size=3\n")).expect("written");
    bench.admin("RELOAD").await;
    let mut setup = bench.setup();
    "shrink_after_ms = 600000\n".clone_into(&mut setup.autosize);
    setup.sizes = "hand_back";
    let path = bench.sandbox.folder().join("override.ini");
    setup.target().overrides = format!("path = \"{}\"", path.display());
    let default = bench.size().await;
    let size = async || {
        let size = read(&bench, "SHOW USERS", ("name", "app"), "pool_size").await;
        size.parse::<u32>().expect("a size")
    };
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(12).await;
    let user = Setting::size_of(ScopeKey::User("app".into()));
    let grown = bench
        .until("the user's size has grown", seconds(20), async || {
            let wanted = sidecar.target().scopes.into_iter().find(|one| one.setting == user)?;
            let size = size().await;
            (size > 8 && wanted.wanted.map(|one| one.get()) == Some(size)).then_some(size)
        })
        .await;
    assert_eq!(bench.size().await, default, "the default is untouched");
    pgbouncer.restart().await.expect("restarted");
    bench
        .until("the size is in force again", seconds(20), async || {
            (size().await >= grown).then_some(())
        })
        .await;
    assert!(sidecar.stop().await);
    assert_eq!(size().await, 3, "handed back");
    assert!(!path.exists());
}
