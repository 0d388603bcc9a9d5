//! From the first waiter to the verified resize, and back when the load is gone.

use std::sync::Arc;

use poolwarden::evaluate::{Replay, Replayed, Runtime, replay};
use poolwarden::model::{Decision, Origin, Proposal, Status};
use poolwarden_tests::{Bench, Sidecar, process, seconds};

/// How many decisions of a run may be too few to say anything.
const DECISIONS_MIN: usize = 5;

#[tokio::test]
async fn the_loop_closes_and_every_decision_replays_to_the_identical_answer() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.target().database = bench.database();
    // Small steps make many decisions.
    setup.target().limit("step_up", 1).limit("cooldown_up_ms", 100);
    // The pool is grown so soon that no longer hold time would ever be over.
    setup.alerts = "[settings.pool_exhausted]\nhold_ms = 0\ncooldown_ms = 500\n".to_owned();
    let sidecar = bench.sidecar(&setup).await;
    let sizes = bench.sample_size();
    bench.until("it is up", seconds(5), async || sidecar.scope()).await;

    let load = bench.load(12).await;
    let alert = bench
        .until("an alert fires", seconds(10), async || {
            sidecar.decisions().await.into_iter().find(is_exhausted)
        })
        .await;
    bench
        .until("the pool is grown and nobody waits", seconds(20), async || {
            let pool = sidecar.pool("app")?;
            (pool.row.cl_waiting == 0 && pool.row.sv_active > 3).then_some(())
        })
        .await;
    let grown = bench.size().await;
    assert!(grown > 3, "{grown}");
    bench
        .until("a change explains the size in force", seconds(5), async || {
            let verified = sidecar.in_force_since(alert.at.minus(seconds(5))).await?;
            (verified.size_to?.get() == bench.size().await).then_some(())
        })
        .await;
    bench
        .until("the alert resolves", seconds(10), async || {
            let all = sidecar.decisions().await;
            all.into_iter().find(|one| is_exhausted(one) && one.status == Status::Resolved)
        })
        .await;

    load.stop().await.expect("stopped");
    bench
        .until("the pool is shrunk", seconds(30), async || {
            (bench.size().await < grown).then_some(())
        })
        .await;
    sizes.assert_within(2, 20);
    every_decision_replays(&sidecar).await;
    assert!(sidecar.stop().await, "the grace period was enough");

    let ran = process::run(&setup, &["replay"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    assert!(ran.text.contains(" identical, 0 not, "), "{}", ran.text);
}

fn is_exhausted(decision: &Decision) -> bool {
    matches!(&decision.proposal, Proposal::Alert { name, .. } if name == "pool-exhausted")
}

async fn every_decision_replays(sidecar: &Sidecar) {
    let runtime = Arc::new(Runtime::new(None).expect("a Wasm runtime"));
    let mut limits = poolwarden_tests::setup::plugin_limits();
    // A debug build on a busy machine is slow; what is compared is the answer.
    limits.deadline = seconds(10);
    let mut same = 0;
    for decision in sidecar.decisions().await {
        let Decision { id, origin: Origin::Plugin { digest, evaluation, .. }, .. } = decision
        else {
            continue;
        };
        let recorded = sidecar.store().evaluation(evaluation).await.expect("readable");
        let recorded = recorded.expect("every decision has its input");
        let plugin = sidecar.store().plugin(digest).await.expect("readable");
        let plugin = plugin.expect("every decision has its plugin");
        let again = replay(
            &runtime,
            Replay {
                plugin: &plugin,
                limits: &limits,
                settings: &recorded.settings,
                input: &recorded.input,
                memory: &recorded.memory,
                answer: &recorded.answer,
            },
        );
        assert_eq!(again.expect("it runs again"), Replayed::Identical, "{id}");
        same += 1;
    }
    assert!(same >= DECISIONS_MIN, "only {same} decisions of plugins");
}
