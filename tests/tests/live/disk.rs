//! The store's disk is full: nothing is changed that cannot be recorded, and nothing is lost.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use poolwarden::model::AlertState;
use poolwarden_tests::{Bench, came_into_force, seconds};

/// A small disk of our own; the drop unmounts it.
struct Disk(PathBuf);

impl Disk {
    /// Mounts one; `None` where that is not allowed, which the caller says.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("the test's folder can be made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"])
            .arg(at)
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.0.join("ballast")).expect("there is room for a name");
        for size in [65_536, 4_096, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).expect("the ballast is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_stops_changes_and_loses_no_record() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.store = setup.dir.join("disk").join("store");
    let Some(disk) = Disk::mount(&setup.dir.join("disk")) else {
        eprintln!("SKIPPED: mounting a small disk needs root");
        return;
    };
    let sidecar = bench.sidecar(&setup).await;
    bench.until("it is up", seconds(5), async || sidecar.scope()).await;
    disk.fill();
    let _load = bench.load(12).await;
    bench
        .until("it says so", seconds(10), async || {
            bench.log().contains("the disk is full").then_some(())
        })
        .await;
    let id = bench
        .until("an alert fires all the same", seconds(10), async || {
            match sidecar.firing("pool-exhausted")?.alert.state {
                AlertState::Firing(id) => Some(id),
                _ => None,
            }
        })
        .await;
    let tries = |log: &str| log.matches("not_recorded").count();
    let before = tries(&bench.log());
    bench
        .stays("no size is changed that cannot be recorded", seconds(3), async || {
            bench.size().await == 3
        })
        .await;
    let tried = tries(&bench.log()) - before;
    assert!(tried <= 75, "{tried} tries in 3 s are more than the fast polls");
    assert!(sidecar.store().decision(id).await.expect("readable").is_none());

    disk.make_room();
    bench
        .until("the loop goes on", seconds(15), async || {
            let all = sidecar.changes().await;
            all.into_iter().find(came_into_force)
        })
        .await;
    bench
        .until("what waited is recorded", seconds(15), async || {
            sidecar.store().decision(id).await.expect("readable")
        })
        .await;
    assert!(sidecar.stop().await);
}
