//! Sizes that change without the sidecar: put back after a restart or RELOAD, a person's respected.

use poolwarden::model::{Decision, Kind, Origin, Outcome, Proposal, Rule, Status, Word};
use poolwarden::sandbox::Stop;
use poolwarden_tests::{Bench, Setup, Sidecar, seconds};

/// A setup whose sizes do not shrink by themselves within a test.
fn steady(bench: &Bench) -> Setup {
    let mut setup = bench.setup();
    setup.autosize = "shrink_after_ms = 600000\n".to_owned();
    setup
}

/// Waits until the size has outgrown the file's 3 and is left alone; returns it.
async fn grown(bench: &Bench, sidecar: &Sidecar) -> u32 {
    bench
        .until("it has grown enough", seconds(20), async || {
            let (pool, scope) = (sidecar.pool("app")?, sidecar.scope()?);
            let calm = pool.row.cl_waiting == 0 && pool.row.sv_active > 3;
            (calm && scope.in_flight.is_none()).then_some(scope.wanted?.get())
        })
        .await
}

async fn put_back(sidecar: &Sidecar) -> Vec<Decision> {
    let host = |one: &Decision| {
        one.origin == Origin::Host && one.kind() == Kind::Resize && one.status == Status::Verified
    };
    sidecar.decisions().await.into_iter().filter(host).collect()
}

/// Waits until the host has put a size back once more; returns the decision.
async fn put_back_again(bench: &Bench, sidecar: &Sidecar, before: usize, word: &str) -> Decision {
    let newest = bench
        .until("the size is put back", seconds(15), async || {
            let all = put_back(sidecar).await;
            (all.len() > before).then(|| all.last().cloned()).flatten()
        })
        .await;
    assert!(newest.reason().contains(word), "{word}: {newest:?}");
    newest
}

#[tokio::test]
async fn a_lost_size_is_applied_again_after_each_sort_of_reload_and_restart() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&steady(&bench)).await;
    let sizes = bench.sample_size();
    let mut load = bench.load(12).await;
    let pgbouncer = bench.sandbox.pgbouncer();
    for (event, word) in [
        ("RELOAD", "reloaded PgBouncer"),
        ("SIGHUP", "reloaded PgBouncer"),
        ("-R", "restarted online (-R"),
        ("restart", "PgBouncer was restarted, "),
        ("kill -9", "PgBouncer was restarted, "),
    ] {
        let wanted = grown(&bench, &sidecar).await;
        let before = put_back(&sidecar).await.len();
        match event {
            "RELOAD" => bench.admin("RELOAD").await,
            "SIGHUP" => pgbouncer.reload().expect("it runs"),
            "-R" => {
                pgbouncer.restart_online().await.expect("taken over");
                assert!(load.is_running(), "the clients stayed");
            }
            "restart" => {
                pgbouncer.stop(Stop::Smart).await.expect("stopped");
                pgbouncer.start().await.expect("started");
            }
            _ => {
                pgbouncer.kill9().await.expect("killed");
                pgbouncer.start().await.expect("started");
            }
        }
        let decision = put_back_again(&bench, &sidecar, before, word).await;
        assert_eq!(decision.size_from.map(|size| size.get()), Some(3), "{event}");
        assert_eq!(decision.size_to.map(|size| size.get()), Some(wanted), "{event}");
        assert!(bench.size().await >= wanted, "{event}");
        if !load.is_running() {
            load = bench.load(12).await;
        }
    }
    assert!(load.is_running());
    sizes.assert_within(3, 20);
}

#[tokio::test]
async fn a_size_set_by_a_person_is_theirs_until_a_reload_hands_it_back() {
    let bench = Bench::small().await;
    let setup = steady(&bench);
    let sidecar = bench.sidecar(&setup).await;
    bench.until("it is up", seconds(5), async || sidecar.scope()).await;

    // Before the sidecar has ever changed anything.
    bench.admin("SET default_pool_size = 4").await;
    stood_down(&bench, &sidecar).await;
    let _load = bench.load(12).await;
    bench
        .until("a growth is refused for that reason", seconds(10), async || {
            let all = sidecar.decisions().await;
            all.into_iter().find(refused_for_a_person)
        })
        .await;
    bench.stays("it is left alone", seconds(2), async || bench.size().await == 4).await;
    bench.admin("RELOAD").await;
    let wanted = grown(&bench, &sidecar).await;
    handed_back(&bench, &sidecar).await;

    // After changes of its own, and across a restart of the sidecar.
    let theirs = wanted + 1;
    bench.admin(&format!("SET default_pool_size = {theirs}")).await;
    stood_down(&bench, &sidecar).await;
    assert!(sidecar.stop().await);
    assert_eq!(bench.size().await, theirs);
    let sidecar = bench.sidecar(&setup).await;
    stood_down(&bench, &sidecar).await;
    bench.stays("it is left alone", seconds(2), async || bench.size().await == theirs).await;
    let before = put_back(&sidecar).await.len();
    bench.admin("RELOAD").await;
    let decision = put_back_again(&bench, &sidecar, before, "reloaded PgBouncer").await;
    assert_eq!(decision.size_to.map(|size| size.get()), Some(wanted));
    handed_back(&bench, &sidecar).await;
}

#[tokio::test]
async fn a_new_size_in_the_file_is_where_a_restart_starts_from() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&steady(&bench)).await;
    let load = bench.load(12).await;
    grown(&bench, &sidecar).await;
    load.stop().await.expect("stopped");
    let pgbouncer = bench.sandbox.pgbouncer();
    pgbouncer.rewrite_setting("default_pool_size", "4").expect("written");
    pgbouncer.restart().await.expect("restarted");
    bench
        .until("the file's size is the base", seconds(10), async || {
            let scope = sidecar.scope()?;
            (scope.base.get() == 4 && scope.wanted.is_none()).then_some(())
        })
        .await;
    assert!(sidecar.scope().expect("seen").stood_down.is_none());
    assert!(sidecar.firing("size-set-by-a-person").is_none());
    let told = bench
        .until("it is told and recorded", seconds(5), async || sidecar.firing("file-size-changed"))
        .await;
    let Some(Proposal::Alert { summary, .. }) = told.proposal else { panic!("{told:?}") };
    assert!(summary.starts_with("PgBouncer was restarted, and the file's"), "{summary}");
    assert!(summary.contains("4 instead of 3"), "{summary}");
    let _load = bench.load(12).await;
    bench
        .until("it grows from there", seconds(15), async || {
            sidecar.scope()?.wanted.filter(|wanted| wanted.get() > 4)
        })
        .await;
}

#[tokio::test]
async fn a_sidecar_that_no_longer_enforces_changes_nothing_and_takes_its_word_back() {
    let bench = Bench::small().await;
    let mut setup = steady(&bench);
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    let wanted = grown(&bench, &sidecar).await;
    load.stop().await.expect("stopped");
    assert!(sidecar.stop().await);
    let enforcing = setup.clone();
    setup.target().mode = "observe";
    setup.sizes = "hand_back";
    let sidecar = bench.sidecar(&setup).await;
    bench.until("it has polled", seconds(5), async || sidecar.target().data_age).await;
    assert!(sidecar.stop().await);
    assert_eq!(bench.size().await, wanted, "an end in observe hands nothing back");

    let sidecar = bench.sidecar(&enforcing).await;
    bench.until("it has polled", seconds(5), async || sidecar.target().data_age).await;
    bench.admin("SET default_pool_size = 19").await;
    stood_down(&bench, &sidecar).await;
    assert!(sidecar.stop().await);
    let sidecar = bench.sidecar(&setup).await;
    handed_back(&bench, &sidecar).await;
    bench.admin("RELOAD").await;
    bench.stays("nothing is put back", seconds(1), async || bench.size().await == 3).await;
    assert_eq!(put_back(&sidecar).await, []);
}

async fn stood_down(bench: &Bench, sidecar: &Sidecar) {
    bench
        .until("the sidecar stands down and says so", seconds(5), async || {
            sidecar.scope()?.stood_down?;
            let alert = sidecar.firing("size-set-by-a-person")?;
            let Some(Proposal::Alert { summary, .. }) = alert.proposal else { return None };
            summary.contains("on the admin console (SET) or in the file").then_some(())
        })
        .await;
}

#[tokio::test]
async fn an_edited_file_that_is_reloaded_is_respected_until_a_person_adopts_it() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&steady(&bench)).await;
    let load = bench.load(12).await;
    grown(&bench, &sidecar).await;
    load.stop().await.expect("stopped");
    let pgbouncer = bench.sandbox.pgbouncer();
    // The file alone changes nothing; with a RELOAD its value is in force, and looks like a person's.
    pgbouncer.rewrite_setting("default_pool_size", "5").expect("written");
    bench.stays("nothing happens", seconds(1), async || sidecar.scope().is_some()).await;
    assert!(sidecar.firing("size-set-by-a-person").is_none());
    bench.admin("RELOAD").await;
    stood_down(&bench, &sidecar).await;
    assert_eq!(bench.size().await, 5);
    // A person takes it for the new start.
    let (status, body) = sidecar
        .http("POST", "/v1/targets/main/resume", r#"{"author": "ada", "adopt": true}"#)
        .await;
    assert_eq!(status, 200, "{body}");
    handed_back(&bench, &sidecar).await;
    assert_eq!(sidecar.scope().and_then(|scope| scope.wanted).map(|size| size.get()), Some(5));
}

async fn handed_back(bench: &Bench, sidecar: &Sidecar) {
    bench
        .until("the sidecar no longer stands down", seconds(5), async || {
            let up = sidecar.scope()?.stood_down.is_none();
            (up && sidecar.firing("size-set-by-a-person").is_none()).then_some(())
        })
        .await;
}

fn refused_for_a_person(decision: &Decision) -> bool {
    decision.verdict.as_ref().is_some_and(|verdict| {
        verdict.outcome == Outcome::Rejected
            && verdict
                .rules
                .iter()
                .any(|said| said.rule == Rule::StandDown && said.word == Word::Reject)
    })
}
