//! What people order: pause, panic, approve, reject; and what they are told of any decision.

use poolwarden::control::AdviceView;
use poolwarden::model::{Decision, DecisionId, Kind, Outcome, Proposal, Rule, Status, Word};
use poolwarden_tests::process::{Ran, ask};
use poolwarden_tests::{Bench, Setup, Sidecar, seconds};
use serde_json::Value;

/// A setup whose sizes do not shrink by themselves within a test.
fn steady(bench: &Bench) -> Setup {
    let mut setup = bench.setup();
    setup.autosize = "shrink_after_ms = 600000\n".to_owned();
    setup
}

/// Runs a command of the command line against the sidecar, which goes on meanwhile.
pub async fn order(sidecar: &Sidecar, words: &[&str]) -> Ran {
    let url = sidecar.url();
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        ask(&url, &words)
    });
    ran.await.expect("it ran")
}

pub fn fine(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}", ran.text);
}

/// Waits until the size has outgrown the file's 3 and nothing is under way; returns it.
async fn grown(bench: &Bench, sidecar: &Sidecar) -> u32 {
    bench
        .until("it has grown", seconds(20), async || {
            let scope = sidecar.scope()?;
            let wanted = scope.wanted.filter(|wanted| wanted.get() > 3)?;
            scope.in_flight.is_none().then_some(wanted.get())
        })
        .await
}

fn refused_by(decision: &Decision, rule: Rule) -> bool {
    let verdict = decision.verdict.as_ref();
    verdict.is_some_and(|verdict| {
        verdict.outcome == Outcome::Rejected
            && verdict.rules.iter().any(|said| said.rule == rule && said.word == Word::Reject)
    })
}

#[tokio::test]
async fn a_pause_holds_under_load_and_over_a_restart_until_it_is_resumed() {
    let bench = Bench::small().await;
    let setup = steady(&bench);
    let sidecar = bench.sidecar(&setup).await;
    bench.until("it is up", seconds(5), async || sidecar.scope()).await;
    let words = ["pause", "main", "--comment", "a migration", "--author", "ada"];
    let ran = order(&sidecar, &words).await;
    fine(&ran);
    assert!(ran.text.contains("main: paused by ada (a migration)"), "{}", ran.text);
    let load = bench.load(12).await;
    bench
        .until("a growth is refused for that", seconds(10), async || {
            let all = sidecar.decisions().await;
            all.into_iter().find(|one| refused_by(one, Rule::Held))
        })
        .await;
    bench.stays("nothing is changed", seconds(2), async || bench.size().await == 3).await;
    assert!(sidecar.firing("target-held").is_some());
    let series = "poolwarden_target_held{target=\"main\",kind=\"pause\"}";
    assert!((sidecar.metric(series).await - 1.0).abs() < f64::EPSILON);
    assert_eq!(sidecar.json("/health").await["targets"][0]["hold"]["author"], "ada");
    let pools = order(&sidecar, &["pools"]).await;
    assert!(pools.text.starts_with("main: paused by ada"), "{}", pools.text);

    assert!(sidecar.stop().await);
    let sidecar = bench.sidecar(&setup).await;
    bench.until("it is up", seconds(5), async || sidecar.pool("app")).await;
    assert_eq!(sidecar.json("/v1/targets").await["targets"][0]["hold"]["kind"], "pause");
    bench.stays("it is still paused", seconds(2), async || bench.size().await == 3).await;
    let ran = order(&sidecar, &["resume", "main", "--author", "ada"]).await;
    fine(&ran);
    grown(&bench, &sidecar).await;
    bench
        .until("it is over", seconds(5), async || {
            sidecar.firing("target-held").is_none().then_some(())
        })
        .await;
    let report = load.stop().await.expect("stopped");
    assert_eq!((report.aborted_clients, report.errors.len()), (0, 0), "{report:?}");
    let ran = order(&sidecar, &["pause", "nowhere", "--comment", "x", "--author", "ada"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    assert!(ran.text.contains("no target nowhere"), "{}", ran.text);
}

#[tokio::test]
async fn the_panic_switch_brings_the_files_size_back_without_a_client_error() {
    let bench = Bench::small().await;
    let setup = steady(&bench);
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    grown(&bench, &sidecar).await;
    // Nobody is there to say yes.
    let ran = order(&sidecar, &["panic"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    assert!(bench.size().await > 3);
    let ran = order(&sidecar, &["panic", "--yes", "--author", "ada"]).await;
    fine(&ran);
    assert!(ran.text.contains("the panic switch was pulled by ada"), "{}", ran.text);
    bench.until("it is back", seconds(5), async || (bench.size().await == 3).then_some(())).await;
    bench.stays("it stays", seconds(2), async || bench.size().await == 3).await;
    fine(&order(&sidecar, &["panic", "main", "--yes", "--output", "json"]).await);
    let back: Vec<Decision> = taken_back(&sidecar).await;
    assert!(!back.is_empty() && back.len() <= 2, "{back:#?}");
    assert!(back.iter().all(|one| one.size_to.map(|size| size.get()) == Some(3)), "{back:#?}");

    assert!(sidecar.stop().await);
    let sidecar = bench.sidecar(&setup).await;
    bench.until("it is up", seconds(5), async || sidecar.pool("app")).await;
    bench.stays("over a restart too", seconds(1), async || bench.size().await == 3).await;
    let report = load.stop().await.expect("stopped");
    assert_eq!((report.aborted_clients, report.errors.len()), (0, 0), "{report:?}");
}

async fn taken_back(sidecar: &Sidecar) -> Vec<Decision> {
    let all = sidecar.decisions().await;
    let back = |one: &Decision| one.kind() == Kind::Resize && one.reason().contains("panic switch");
    all.into_iter().filter(back).collect()
}

#[tokio::test]
async fn a_panic_while_the_target_is_down_is_done_when_it_is_back() {
    let bench = Bench::small().await;
    let sidecar = bench.sidecar(&steady(&bench)).await;
    let load = bench.load(12).await;
    let wanted = grown(&bench, &sidecar).await;
    load.stop().await.expect("stopped");
    let pgbouncer = bench.sandbox.pgbouncer();
    pgbouncer.freeze().expect("frozen");
    bench
        .until("it is down", seconds(15), async || {
            (sidecar.json("/v1/targets").await["targets"][0]["status"] == "down").then_some(())
        })
        .await;
    let ran = order(&sidecar, &["panic", "--yes", "--author", "ada"]).await;
    fine(&ran);
    assert!(ran.text.contains("when it answers again: default"), "{}", ran.text);
    pgbouncer.thaw().expect("thawed");
    bench.until("it is back", seconds(15), async || (bench.size().await == 3).then_some(())).await;
    let back = async || taken_back(&sidecar).await.pop();
    let back = bench.until("it is recorded", seconds(5), back).await;
    assert_eq!(back.size_to.map(|size| size.get()), Some(3), "from {wanted}: {back:#?}");
}

/// Waits until a size stands for a person; returns it.
async fn standing(bench: &Bench, sidecar: &Sidecar) -> AdviceView {
    bench
        .until("a size is recommended", seconds(10), async || {
            let is_size = |one: &AdviceView| matches!(one.proposal, Proposal::Resize { .. });
            let found = sidecar.target().advice.into_iter().find(is_size)?;
            // It stands a moment before it is in the store.
            let stored = sidecar.store().decision(found.id).await.expect("readable");
            stored.map(|_| found)
        })
        .await
}

async fn explained(sidecar: &Sidecar, id: DecisionId) -> String {
    let ran = order(sidecar, &["explain", &id.to_string()]).await;
    fine(&ran);
    ran.text
}

#[tokio::test]
async fn what_a_person_approves_is_done_and_what_they_reject_stays_away() {
    let bench = Bench::small().await;
    let mut setup = steady(&bench);
    setup.target().mode = "recommend";
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;

    let rejected = standing(&bench, &sidecar).await.id;
    let story = explained(&sidecar, rejected).await;
    assert!(story.contains(&format!("poolwarden approve {rejected}")), "{story}");
    let words = ["reject", &rejected.to_string(), "--reason", "not now", "--author", "ada"];
    let ran = order(&sidecar, &words).await;
    fine(&ran);
    assert!(ran.text.contains("rejected by ada (not now)"), "{}", ran.text);
    let sizes = |one: &AdviceView| matches!(one.proposal, Proposal::Resize { .. });
    let quiet = async || !sidecar.target().advice.iter().any(sizes);
    bench.until("it is put away", seconds(5), async || quiet().await.then_some(())).await;
    bench.stays("it does not stand again", seconds(3), quiet).await;
    // It stays away over a restart.
    assert!(sidecar.stop().await);
    let sidecar = bench.sidecar(&setup).await;
    bench.until("it is up", seconds(5), async || sidecar.pool("app")).await;
    bench
        .stays("it does not stand again", seconds(2), async || {
            !sidecar.target().advice.iter().any(sizes)
        })
        .await;
    assert!(sidecar.stop().await);

    let mut anew = steady(&bench);
    anew.target().mode = "recommend";
    let sidecar = bench.sidecar(&anew).await;
    let approved = standing(&bench, &sidecar).await.id;
    let words = ["approve", &approved.to_string(), "--comment", "ticket 7", "--author", "bo"];
    let ran = order(&sidecar, &words).await;
    fine(&ran);
    assert!(bench.size().await > 3);
    let stored = sidecar.store().decision(approved).await.expect("read").expect("there");
    let notes: Vec<_> = stored.transitions.iter().map(|one| one.note.as_str()).collect();
    assert!(notes[0].contains("approved by bo (ticket 7)"), "{notes:?}");
    let story = explained(&sidecar, approved).await;
    assert!(story.contains("approved by bo (ticket 7)"), "{story}");
    let again = order(&sidecar, &["approve", &approved.to_string(), "--author", "bo"]).await;
    assert_eq!(again.code, Some(1), "{}", again.text);
    assert!(again.text.contains("does not wait"), "{}", again.text);
    let report = load.stop().await.expect("stopped");
    assert_eq!((report.aborted_clients, report.errors.len()), (0, 0), "{report:?}");
}

#[tokio::test]
async fn growth_clamp_refusal_and_going_back_are_explained() {
    let bench = Bench::small().await;
    let mut setup = steady(&bench);
    setup.target().limit("step_up", 2);
    let sidecar = bench.sidecar(&setup).await;
    let load = bench.load(12).await;
    let clamped = bench
        .until("a growth is clamped", seconds(15), async || {
            let all = sidecar.changes().await;
            all.into_iter().find(|one| {
                let outcome = one.verdict.as_ref().map(|verdict| verdict.outcome);
                outcome == Some(Outcome::Clamped) && one.status != Status::Proposed
            })
        })
        .await;
    let story = explained(&sidecar, clamped.id).await;
    for part in [
        "What was seen",
        "app/app",
        "Policy autosize in mode enforce",
        "Its settings: {",
        "The guard let it pass as",
        "step (a step is at most 2 up",
        "What was done",
        "is in force",
    ] {
        assert!(story.contains(part), "no {part:?} in\n{story}");
    }
    fine(&order(&sidecar, &["pause", "main", "--comment", "x", "--author", "ada"]).await);
    let refused = bench
        .until("a growth is refused", seconds(15), async || {
            sidecar.decisions().await.into_iter().find(|one| refused_by(one, Rule::Held))
        })
        .await;
    let story = explained(&sidecar, refused.id).await;
    assert!(story.contains("The guard refused it: held (it is paused by ada (x))"), "{story}");
    assert!(story.contains("`poolwarden resume main`"), "{story}");
    fine(&order(&sidecar, &["resume", "main", "--author", "ada"]).await);
    fine(&order(&sidecar, &["panic", "--yes", "--author", "ada"]).await);
    let back = bench
        .until("it is taken back", seconds(10), async || {
            let mut back = taken_back(&sidecar).await.into_iter();
            back.find(|one| one.status != Status::Proposed)
        })
        .await;
    let story = explained(&sidecar, back.id).await;
    assert!(story.contains("Poolwarden itself asked for default_pool_size = 3"), "{story}");
    load.stop().await.expect("stopped");

    let words = ["explain", &clamped.id.to_string(), "--output", "json"];
    let json: Value = serde_json::from_str(&order(&sidecar, &words).await.text).expect("JSON");
    assert_eq!(json["id"], clamped.id.to_string());
    let wrong = order(&sidecar, &["explain", &clamped.id.to_string()[..20]]).await;
    assert_eq!(wrong.code, Some(1), "{}", wrong.text);
    assert!(wrong.text.contains("did you mean"), "{}", wrong.text);
}
