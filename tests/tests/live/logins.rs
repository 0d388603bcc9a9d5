//! Wrong logins: said in so many words, without a secret, and the rest goes on.

use poolwarden::model::{Status, TargetStatus};
use poolwarden::sandbox::{ConsoleRole, SandboxOptions};
use poolwarden_tests::{Bench, TargetSetup, seconds};

#[tokio::test]
async fn a_target_that_refuses_the_watcher_does_not_stop_the_other() {
    let bench = Bench::small().await;
    let options = SandboxOptions { default_pool_size: 3, ..SandboxOptions::default() };
    let other = bench.sandbox.another_pgbouncer("other", &options).await.expect("started");
    let mut setup = bench.setup();
    let mut bad = TargetSetup::of("bad", &other);
    let user = ConsoleRole::Stats.user();
    let port = other.port();
    bad.console_url = format!("postgres://{user}:not-the-password@127.0.0.1:{port}/pgbouncer");
    setup.targets.insert(0, bad);
    let sidecar = bench.sidecar(&setup).await;
    let (kind, text) = bench
        .until("the refusal is shown", seconds(5), async || sidecar.target_of("bad").problem)
        .await;
    assert_eq!(kind, "refused");
    assert!(text.contains(user) && text.contains("check the password"), "{text}");
    let _load = bench.load(12).await;
    bench
        .until("the other's loop closes", seconds(20), async || {
            let good = sidecar.target_of("main");
            good.pools.iter().find(|(_, pool)| pool.row.sv_active > 3).map(drop)
        })
        .await;
    assert_eq!(sidecar.target_of("bad").status, TargetStatus::Down);
    let log = bench.log();
    assert!(log.contains("check the password") && !log.contains("not-the-password"), "{log}");
}

#[tokio::test]
async fn a_login_that_may_not_act_is_told_and_sizes_are_recommended() {
    let bench = Bench::small().await;
    let (stats, admin) = (ConsoleRole::Stats.user(), ConsoleRole::Admin.user());
    let password = bench.sandbox.pgbouncer().console_password().to_owned();
    let _load = bench.load(12).await;
    for (user, password, reason) in [
        (stats, password.as_str(), "admin_users"),
        (admin, "not-the-password", "check the password"),
        ("nobody_there", "not-the-password", "nobody_there"),
    ] {
        let mut setup = bench.setup();
        setup.target().act = Some((user.to_owned(), password.to_owned()));
        let sidecar = bench.sidecar(&setup).await;
        let alert = bench
            .until("it is told", seconds(15), async || sidecar.firing("sizes-out-of-reach"))
            .await;
        let told = format!("{:?}", alert.proposal);
        assert!(told.contains(reason) && told.contains(user), "{told}");
        assert!(!told.contains("not-the-password"), "{told}");
        bench
            .until("a size is recommended instead", seconds(15), async || {
                let mut advice = sidecar.target().advice.into_iter();
                advice.find(|one| format!("{:?}", one.proposal).contains("default_pool_size"))
            })
            .await;
        assert_eq!(sidecar.target().status, TargetStatus::Up);
        assert_eq!(bench.size().await, 3);
        // One may have been tried before it was known.
        let tries = sidecar.changes().await;
        assert!(tries.len() <= 1 && tries.iter().all(|one| one.status == Status::Failed));
        assert!(sidecar.stop().await);
    }
    assert!(!bench.log().contains("not-the-password"));
}
