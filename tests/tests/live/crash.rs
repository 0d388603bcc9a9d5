//! `kill -9` of the sidecar, of PgBouncer and of PostgreSQL, at whatever they are doing.

use std::collections::BTreeSet;
use std::time::Duration;

use poolwarden::model::{
    Decision, DecisionId, Mode, Origin, PolicyName, PoolSize, Proposal, ScopeKey, Setting, Status,
    Subject, TargetName, TargetStatus, Timestamp,
};
use poolwarden::record::{Batch, Store, StoreOptions};
use poolwarden_tests::sidecar::{changes, decisions};
use poolwarden_tests::{Bench, Setup, Sidecar, SidecarProcess, came_into_force, seconds};
use uuid::Uuid;

/// Sizes change as often as they can.
fn restless(bench: &Bench) -> Setup {
    let mut setup = bench.setup();
    setup.autosize = "shrink_after_ms = 600000\n".to_owned();
    let target = setup.target();
    target.limit("step_up", 1).limit("cooldown_up_ms", 100).limit("changes_per_hour", 10_000);
    setup
}

async fn open(setup: &Setup) -> Store {
    let config = setup.config();
    let options = StoreOptions {
        dir: config.store.dir,
        decisions_kept: config.store.decisions_kept,
        inputs_kept: config.store.inputs_kept,
        size_max_bytes: config.store.size_max_bytes,
    };
    Store::open(&options).await.unwrap_or_else(|error| panic!("{error}"))
}

fn size_of(decision: &Decision) -> u32 {
    decision.size_to.map_or(0, PoolSize::get)
}

#[tokio::test]
async fn a_killed_sidecar_loses_nothing_recorded_and_settles_what_it_had_begun() {
    let bench = Bench::small().await;
    let setup = restless(&bench);
    let sizes = bench.sample_size();
    let mut loads = Vec::new();
    let mut known: BTreeSet<DecisionId> = BTreeSet::new();
    let mut unsettled = 0;
    for (round, moment_ms) in [900, 350, 1300, 600, 420, 780].into_iter().enumerate() {
        let sidecar = SidecarProcess::start(&setup);
        let started = round + 1;
        bench
            .until("it serves", seconds(20), async || {
                (sidecar.log().matches("serving").count() >= started).then_some(())
            })
            .await;
        loads.push(bench.load(4).await);
        // The file's size makes it act at once, also when the load is content.
        bench.admin("RELOAD").await;
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        sidecar.kill9();
        let store = open(&setup).await;
        let now: BTreeSet<_> = decisions(&store).await.iter().map(|one| one.id).collect();
        assert!(known.is_subset(&now), "round {round}: decisions are lost");
        known = now;
        unsettled += store.unsettled().await.expect("readable").len();
        store.close().await.expect("closed");
    }
    println!("{} decisions, {unsettled} killed between intent and outcome", known.len());
    assert!(known.len() > 6, "{}", bench.story().await);

    // All of it keeps more than the 20 servers busy that the limits allow: some would always wait.
    loads.truncate(4);
    let sidecar = bench.sidecar(&setup).await;
    bench
        .until("nothing is unsettled and the load is content", seconds(60), async || {
            let open = sidecar.store().unsettled().await.expect("readable");
            let content = sidecar.pool("app").is_some_and(|pool| pool.row.cl_waiting == 0);
            (open.is_empty() && content).then_some(())
        })
        .await;
    let all = sidecar.changes().await;
    let newest = all.iter().rev().find(|one| came_into_force(one));
    assert_eq!(newest.map(size_of), Some(bench.size().await), "a decision explains the size");
    assert!(sidecar.firing("size-set-by-a-person").is_none());
    sizes.assert_within(3, 20);
}

/// The intent to go from 3 to 6, as a sidecar leaves it that dies right after.
fn intent() -> Batch {
    let size = |size| PoolSize::new(size).expect("a fine size");
    let at = Timestamp::from_millis(1_795_000_000_000);
    let decision = Decision {
        id: DecisionId(Uuid::now_v7()),
        at,
        target: TargetName::new("main").expect("a fine name"),
        policy: PolicyName::host(),
        origin: Origin::Host,
        subject: Subject::Scope(ScopeKey::Default),
        mode: Mode::Enforce,
        status: Status::Proposed,
        proposal: Proposal::Resize {
            setting: Setting::DEFAULT,
            size: 6,
            reason: "a test".to_owned(),
            evidence: Vec::new(),
        },
        verdict: None,
        size_from: Some(size(3)),
        size_to: Some(size(6)),
    };
    Batch { decisions: vec![decision], ..Batch::default() }
}

#[tokio::test]
async fn an_intent_without_an_outcome_is_settled_by_the_size_in_force() {
    let bench = Bench::small().await;
    for (in_force, expected) in [(3, Status::Failed), (6, Status::Inconclusive)] {
        let setup = bench.setup();
        let store = open(&setup).await;
        let batch = intent();
        let id = batch.decisions.first().expect("one decision").id;
        store.write(&batch).await.expect("written");
        assert_eq!(store.unsettled().await.expect("readable").len(), 1);
        store.close().await.expect("closed");
        bench.admin(&format!("SET default_pool_size = {in_force}")).await;

        let sidecar = bench.sidecar(&setup).await;
        let stored = bench
            .until("it is settled", seconds(10), async || {
                let stored = sidecar.store().decision(id).await.expect("readable")?;
                (stored.decision.status == expected).then_some(stored)
            })
            .await;
        assert_eq!(stored.decision.status, expected);
        let note = &stored.transitions.first().expect("an outcome").note;
        assert!(note.contains("settled afterwards"), "{note}");
        bench
            .stays("the size is left as it is", seconds(1), async || bench.size().await == in_force)
            .await;
        assert!(sidecar.firing("size-set-by-a-person").is_none(), "it is ours, or the file's");
        let scope = sidecar.scope().expect("seen");
        assert_eq!(scope.base.get(), 3, "what the file says is still known");
        let wanted = (expected == Status::Inconclusive).then_some(6);
        assert_eq!(scope.wanted.map(PoolSize::get), wanted);
        assert!(sidecar.stop().await);
    }
}

#[tokio::test]
async fn killed_servers_stop_no_loop_at_any_stage_of_a_decision() {
    let bench = Bench::small().await;
    let mut setup = restless(&bench);
    setup.target().database = bench.database();
    let sidecar = bench.sidecar(&setup).await;
    let sizes = bench.sample_size();
    let (pgbouncer, postgres) = (bench.sandbox.pgbouncer(), bench.sandbox.postgres());
    for (round, moment_ms) in [0, 45, 130, 300].into_iter().enumerate() {
        let load = bench.load(12).await;
        a_change_begins(&bench, &sidecar).await;
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        pgbouncer.kill9().await.expect("killed");
        if round % 2 == 1 {
            // Long enough for the sidecar to find it gone.
            let down = async || (sidecar.target().status == TargetStatus::Down).then_some(());
            bench.until("it is seen to be down", seconds(10), down).await;
        }
        pgbouncer.start().await.expect("started");
        drop(load);
        the_loop_goes_on(&bench, &sidecar).await;

        let load = bench.load(12).await;
        bench.admin("RELOAD").await;
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        postgres.kill9().await.expect("killed");
        tokio::time::sleep(Duration::from_millis(moment_ms)).await;
        // Its orphaned sessions hold the shared memory until they find it dead.
        let started = async || postgres.start().await.ok();
        bench.until("PostgreSQL has started", seconds(20), started).await;
        drop(load);
        the_loop_goes_on(&bench, &sidecar).await;
    }
    sizes.assert_within(3, 20);
    assert!(sidecar.stop().await);
}

/// Gives the sidecar a reason to act, and waits until it has one more intent on record.
async fn a_change_begins(bench: &Bench, sidecar: &Sidecar) {
    let before = sidecar.changes().await.len();
    bench
        .until("a size is being changed", seconds(20), async || {
            bench.admin("RELOAD").await;
            (sidecar.changes().await.len() > before).then_some(())
        })
        .await;
}

/// Makes the sidecar act once more, and checks that nothing is left over from before.
async fn the_loop_goes_on(bench: &Bench, sidecar: &Sidecar) {
    bench.until("PostgreSQL is reached", seconds(20), async || bench.answers().await).await;
    let load = bench.load(12).await;
    bench
        .until("the load is content", seconds(30), async || {
            let pool = sidecar.pool("app")?;
            let up = sidecar.target().status == TargetStatus::Up;
            (up && pool.row.cl_waiting == 0 && pool.row.sv_active > 3).then_some(())
        })
        .await;
    let is_put_back =
        |one: &&Decision| one.origin == Origin::Host && one.status == Status::Verified;
    let before = changes(sidecar.decisions().await).iter().filter(is_put_back).count();
    bench.admin("RELOAD").await;
    bench
        .until("the size is put back", seconds(15), async || {
            let open = sidecar.store().unsettled().await.expect("readable");
            let all = changes(sidecar.decisions().await);
            // The policy may go on from there meanwhile.
            let again = all.iter().filter(is_put_back).count() > before;
            (again && open.is_empty() && size_of(all.last()?) == bench.size().await).then_some(())
        })
        .await;
    drop(load);
}
