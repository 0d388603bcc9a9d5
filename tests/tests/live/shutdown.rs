//! SIGTERM, and what a sidecar needs of its surroundings.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

use poolwarden::sandbox::{ConsoleRole, Stop};
use poolwarden_tests::process::{self, binary};
use poolwarden_tests::{Bench, Setup, SidecarProcess, seconds};
use sqlx::Row;

/// `nobody` and `nogroup`, as on every Debian.
const NOBODY: u32 = 65_534;

async fn until_grown(bench: &Bench) {
    let grown = async || (bench.size().await > 3).then_some(());
    bench.until("the pool is grown", seconds(20), grown).await;
}

async fn sessions_of_the_sidecar(bench: &Bench) -> usize {
    let clients = bench.sandbox.pgbouncer().console(ConsoleRole::Admin, "SHOW CLIENTS").await;
    let clients = clients.unwrap_or_else(|error| panic!("{error}"));
    let own = |name: &str| name.starts_with("poolwarden ");
    clients.iter().filter(|row| own(row.get::<&str, _>("application_name"))).count()
}

#[tokio::test]
async fn sigterm_in_mid_tick_ends_in_time_and_does_with_the_sizes_as_configured() {
    let bench = Bench::small().await;
    for (sizes, moment_ms) in [("hand_back", 0), ("keep", 37), ("hand_back", 260)] {
        let mut setup = bench.setup();
        setup.sizes = sizes;
        setup.target().limit("step_up", 2).limit("cooldown_up_ms", 100);
        let load = bench.load(16).await;
        let mut sidecar = SidecarProcess::start(&setup);
        until_grown(&bench).await;
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        bench
            .until("its session is seen", seconds(5), async || {
                (sessions_of_the_sidecar(&bench).await > 0).then_some(())
            })
            .await;
        let start = Instant::now();
        sidecar.terminate();
        let status = sidecar.ended().await;
        assert_eq!(status.code(), Some(0), "{}", bench.story().await);
        assert!(start.elapsed() < seconds(10), "the grace period is ten seconds");
        let size = bench.size().await;
        assert_eq!(size == 3, sizes == "hand_back", "{size}: {}", bench.story().await);
        assert_eq!(sessions_of_the_sidecar(&bench).await, 0);
        load.stop().await.expect("stopped");
        bench.admin("RELOAD").await;
    }
}

#[tokio::test]
async fn a_running_sidecar_does_not_hold_up_pgbouncers_own_end() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&bench.setup()).await;
    bench.until("it is up", seconds(5), async || sidecar.scope()).await;
    let start = Instant::now();
    // From 1.23 on this waits until every session is gone, the console's included.
    bench.sandbox.pgbouncer().stop(Stop::Smart).await.expect("stopped");
    assert!(start.elapsed() < seconds(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_second_sidecar_on_the_same_store_is_refused_and_the_first_goes_on() {
    let bench = Bench::small().await;
    let setup = bench.setup();
    let sidecar = bench.sidecar(&setup).await;
    let second = process::run(&setup, &["run"]);
    assert_eq!(second.code, Some(1), "{}", second.text);
    assert!(second.text.contains("another poolwarden uses"), "{}", second.text);
    let replay = process::run(&setup, &["replay"]);
    assert_eq!(replay.code, Some(1), "{}", replay.text);
    assert!(replay.text.contains("another poolwarden uses"), "{}", replay.text);
    let _load = bench.load(12).await;
    until_grown(&bench).await;
    assert!(sidecar.stop().await);
}

#[tokio::test]
async fn it_runs_as_nobody_with_one_writable_folder() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: becoming another user needs root");
        return;
    }
    let bench = Bench::small().await;
    let setup = bench.setup();
    let config = setup.write();
    fs::create_dir(&setup.store).expect("made");
    chown(&setup.store, Some(NOBODY), Some(NOBODY)).expect("given away");
    give_to_read(&setup);
    // The build's own folder may be closed to others.
    let program = setup.dir.join("poolwarden");
    fs::copy(binary(), &program).expect("copied");

    let load = bench.load(12).await;
    let mut sidecar = SidecarProcess::start_as(NOBODY, NOBODY, &program, &config, &setup.dir);
    until_grown(&bench).await;
    sidecar.terminate();
    assert_eq!(sidecar.ended().await.code(), Some(0), "{}", sidecar.log());
    load.stop().await.expect("stopped");
    let written: Vec<_> = files_of(&setup, NOBODY);
    assert!(written.iter().all(|path| path.starts_with(&setup.store)), "{written:?}");
    assert!(!written.is_empty());
}

/// Lets nobody read the configuration and the passwords, and write nothing.
fn give_to_read(setup: &Setup) {
    for entry in fs::read_dir(&setup.dir).expect("readable").flatten() {
        let path = entry.path();
        if path.is_file() {
            chown(&path, Some(0), Some(NOBODY)).expect("given away");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        }
    }
}

/// Finds what belongs to a user below the setup's folder.
fn files_of(setup: &Setup, uid: u32) -> Vec<std::path::PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let mut folders = vec![setup.dir.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable").flatten() {
            let meta = entry.metadata().expect("readable");
            if meta.is_dir() {
                folders.push(entry.path());
            }
            if meta.uid() == uid {
                found.push(entry.path());
            }
        }
    }
    found
}
