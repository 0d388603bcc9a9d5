//! `observe` and `recommend` never touch PgBouncer.

use poolwarden::model::{Decision, Kind, Mode, Outcome, Status};
use poolwarden_tests::{Bench, seconds};

fn outcome(decision: &Decision) -> Option<Outcome> {
    decision.verdict.as_ref().map(|verdict| verdict.outcome)
}

#[tokio::test]
async fn observe_records_what_it_would_do_and_changes_nothing() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.target().mode = "observe";
    let sidecar = bench.sidecar(&setup).await;
    let sizes = bench.sample_size();
    let _load = bench.load(12).await;
    let shadowed = bench
        .until("a shadowed decision", seconds(10), async || {
            let all = sidecar.decisions().await;
            all.into_iter().find(|one| outcome(one) == Some(Outcome::Shadowed))
        })
        .await;
    assert!(shadowed.size_to > shadowed.size_from, "{shadowed:?}");
    assert_eq!((shadowed.mode, shadowed.status), (Mode::Observe, Status::Proposed));
    bench
        .until("an alert fires all the same", seconds(10), async || {
            sidecar.firing("pool-exhausted")
        })
        .await;
    bench.stays("the size is the file's", seconds(2), async || bench.size().await == 3).await;
    sizes.assert_within(3, 3);
    assert_eq!(sidecar.changes().await, []);
}

#[tokio::test]
async fn recommend_has_one_standing_recommendation_also_after_a_restart() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.target().mode = "recommend";
    let mut sidecar = bench.sidecar(&setup).await;
    let sizes = bench.sample_size();
    let _load = bench.load(12).await;
    let standing = |decisions: Vec<Decision>| -> Vec<Decision> {
        let stands = |one: &Decision| {
            let passed = outcome(one).is_some_and(|outcome| outcome != Outcome::Rejected);
            one.kind() == Kind::Resize && one.status == Status::Proposed && passed
        };
        decisions.into_iter().filter(stands).collect()
    };
    for round in 0..2 {
        let advice = bench
            .until("a recommended size", seconds(10), async || {
                let advice = sidecar.target().advice.into_iter();
                advice
                    .into_iter()
                    .find(|one| matches!(one.proposal, poolwarden::model::Proposal::Resize { .. }))
            })
            .await;
        bench.stays("nothing is changed", seconds(1), async || bench.size().await == 3).await;
        let recorded = standing(sidecar.decisions().await);
        let ids: Vec<_> = recorded.iter().map(|one| one.id).collect();
        assert_eq!(ids, [advice.id], "one stands in round {round}: {recorded:?}");
        assert_eq!(recorded.first().map(|one| one.mode), Some(Mode::Recommend));
        assert!(sidecar.stop().await);
        sidecar = bench.sidecar(&setup).await;
    }
    sizes.assert_within(3, 3);
}
