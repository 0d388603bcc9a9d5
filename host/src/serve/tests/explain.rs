//! Stories as a person reads them: one of each kind, compared with what stands in `stories/`.

use std::path::Path;

use super::*;
use crate::ask::explain::chart::Screen;
use crate::ask::explain::text;
use crate::evaluate::PoolSeen;
use crate::model::{EffectPoint, EffectReport, Measure, PoolKey, SessionKey, SessionState};
use crate::record::Stored;
use crate::serve::story::{Source, Story};

/// A terminal without colours; 100 columns.
const SCREEN: Screen = Screen { width: 100, blocks: true, colour: false };

/// Compares a story with its file; `UPDATE_EXAMPLES=1` writes the file.
fn told(name: &str, source: Source<'_>) {
    let story = serde_json::to_value(Story::new(source)).expect("it can be written");
    let text = text(&serde_json::from_value(story).expect("the command line reads it"), SCREEN);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/serve/tests/stories")
        .join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, &text).expect("written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, known, "{}: if it is right, UPDATE_EXAMPLES=1 writes it", path.display());
}

fn seen() -> PoolSeen {
    PoolSeen {
        pool: PoolKey::new("app", "web"),
        scope: Some(ScopeKey::Default),
        size: 20,
        sv_active: 20,
        sv_idle: 0,
        cl_active: 31,
        cl_waiting: 12,
        maxwait_us: 240_000,
        utilization_p95: 1.0,
        transactions_per_s: 401.5,
        transaction_mean_us: 49_800.0,
    }
}

fn steps(decision: &Decision, steps: &[(Status, &str)]) -> Vec<Transition> {
    let step = |(ms, (status, note)): (u64, &(Status, &str))| Transition {
        id: decision.id,
        at: decision.at.plus(Duration::from_millis(ms)),
        status: *status,
        note: (*note).to_owned(),
    };
    (7..).step_by(20).zip(steps).map(step).collect()
}

fn stored(decision: Decision, done: &[(Status, &str)]) -> Stored {
    let transitions = steps(&decision, done);
    let status = transitions.last().map_or(decision.status, |last| last.status);
    Stored { decision: Decision { status, ..decision }, transitions }
}

fn effect(judged: &str, after: f64) -> EffectReport {
    let began = at(1);
    let measure = |throughput_per_s, waiting_mean| Measure {
        observed_s: 10.0,
        polls: 10,
        transactions: throughput_per_s * 10.0,
        throughput_per_s,
        transaction_mean_us: 49_800.0,
        wait_mean_us: 12_000.0,
        waiting_mean,
        waiting_share: if waiting_mean > 0.0 { 1.0 } else { 0.0 },
        busy_mean: 20.0,
        servers_mean: 20.0,
        ..Measure::default()
    };
    let point = |second: u64| {
        let grown = second >= 10;
        EffectPoint {
            at: at(second).minus(Duration::from_secs(9)),
            size: if grown { 30 } else { 20 },
            servers: if grown { 29.0 } else { 20.0 },
            waiting: if grown { 1.0 } else { 12.0 },
            throughput_per_s: if grown { after } else { 400.0 },
            transaction_mean_us: 49_800.0,
        }
    };
    EffectReport {
        decision: id(1),
        began,
        expected: "12 waiting clients are served, and throughput rises".into(),
        expected_numbers: vec![Evidence { name: "throughput_per_s".into(), value: 600.0 }],
        before: measure(400.0, 12.0),
        after: measure(after, 0.5),
        series: (0..30).map(point).collect(),
        judged_at: Some(began.plus(Duration::from_secs(15))),
        judged: judged.into(),
    }
}

fn source<'a>(stored: &'a Stored, evaluation: &'a Evaluation, seen: &'a [PoolSeen]) -> Source<'a> {
    Source { stored, evaluation: Some(evaluation), seen, effect: None }
}

fn own<'a>(stored: &'a Stored) -> Source<'a> {
    Source { stored, evaluation: None, seen: &[], effect: None }
}

fn rule(rule: Rule, word: Word, reason: &str) -> RuleWord {
    RuleWord { rule, word, reason: reason.to_owned() }
}

fn judged(outcome: Outcome, rules: Vec<RuleWord>) -> Option<Verdict> {
    Some(Verdict { outcome, rules })
}

#[test]
fn a_growth_that_helped() {
    let decision = Decision {
        verdict: judged(
            Outcome::Approved,
            vec![rule(
                Rule::Budget,
                Word::Pass,
                "PostgreSQL is not asked; the ceiling of 60 holds",
            )],
        ),
        size_to: Some(sample::size(40)),
        ..resize(1)
    };
    let stored = stored(
        decision,
        &[
            (Status::Applied, "sent: SET default_pool_size = 40; read back: 40 is in force"),
            (Status::Verified, "it helped"),
        ],
    );
    let (evaluation, seen) = (evaluation(1), [seen()]);
    let effect = effect("throughput rose from 400 to 590 a second", 590.0);
    told("growth", Source { effect: Some(&effect), ..source(&stored, &evaluation, &seen) });
}

#[test]
fn a_growth_that_was_clamped() {
    let stored = stored(resize(1), &[(Status::Applied, "read back: 30 is in force")]);
    let (evaluation, seen) = (evaluation(1), [seen()]);
    told("clamp", source(&stored, &evaluation, &seen));
}

#[test]
fn a_growth_that_was_refused() {
    let decision = Decision {
        verdict: judged(
            Outcome::Rejected,
            vec![
                rule(Rule::StandDown, Word::Reject, "a person set this size"),
                rule(Rule::Held, Word::Reject, "it is paused by ada (a migration)"),
                rule(Rule::Mode, Word::Pass, "the mode is enforce"),
            ],
        ),
        size_to: None,
        ..resize(1)
    };
    let (stored, evaluation, seen) = (stored(decision, &[]), evaluation(1), [seen()]);
    told("refusal", source(&stored, &evaluation, &seen));
}

#[test]
fn a_growth_that_harmed() {
    let stored = stored(
        resize(1),
        &[(Status::Applied, "read back: 30 is in force"), (Status::RolledBack, "20 is back")],
    );
    let (evaluation, seen) = (evaluation(1), [seen()]);
    let effect = effect("throughput fell from 400 to 300 a second", 300.0);
    told("roll_back", Source { effect: Some(&effect), ..source(&stored, &evaluation, &seen) });
}

#[test]
fn a_growth_that_harmed_and_could_not_be_taken_back() {
    let steps = [
        (Status::RolledBack, "throughput fell"),
        (Status::Inconclusive, "it did harm and is not taken back: the sidecar 7 acts here"),
    ];
    let stored = stored(resize(1), &steps);
    let (evaluation, seen) = (evaluation(1), [seen()]);
    let effect = effect("throughput fell from 400 to 300 a second", 300.0);
    let source = Source { effect: Some(&effect), ..source(&stored, &evaluation, &seen) };
    let story = serde_json::to_string(&Story::new(source)).expect("it can be written");
    let outcome =
        "30 was brought into force: it did harm and is not taken back: the sidecar 7 acts here.";
    assert!(story.contains(outcome), "{story}");
}

#[test]
fn a_growth_that_waits_for_a_person() {
    let decision = Decision { mode: Mode::Recommend, ..resize(1) };
    let (stored, evaluation) = (stored(decision, &[]), evaluation(1));
    told("waiting", source(&stored, &evaluation, &[]));
}

#[test]
fn an_alert_that_fires() {
    told("alert", own(&stored(alert(1), &[])));
}

#[test]
fn a_recommendation_that_stands() {
    let proposal = Proposal::Recommendation {
        name: "bound-the-queue".into(),
        subject: Subject::Target,
        summary: "clients queue for ever".into(),
        action: "[pgbouncer]\nquery_wait_timeout = 120".into(),
        evidence: Vec::new(),
    };
    let subject = Subject::Target;
    let decision =
        Decision { subject, proposal, verdict: None, size_from: None, size_to: None, ..resize(1) };
    let stored = stored(decision, &[]);
    told("recommendation", Source { evaluation: None, ..own(&stored) });
}

#[test]
fn an_end_of_a_session() {
    let session = SessionKey {
        pool: PoolKey::new("app", "web"),
        client: "0x5581".into(),
        application: "billing".into(),
        address: "10.0.0.7:4711".into(),
        backend_pid: 4711,
        state: SessionState::IdleInTransaction,
        identity: None,
    };
    let subject = Subject::Pool(session.pool.clone());
    let reason = "it has idled inside a transaction for 300 s".to_owned();
    let proposal = Proposal::EndSession { session, reason, evidence: Vec::new() };
    let verdict = judged(
        Outcome::Approved,
        vec![rule(Rule::IdleSession, Word::Pass, "it idles inside a transaction")],
    );
    let decision =
        Decision { subject, proposal, verdict, size_from: None, size_to: None, ..resize(1) };
    let stored = stored(
        decision,
        &[
            (Status::Applied, "PostgreSQL was told to end backend 4711"),
            (Status::Verified, "backend 4711 is gone"),
        ],
    );
    told("end_session", own(&stored));
}

#[test]
fn what_the_sidecar_does_by_itself() {
    for (name, reason, size) in [
        (
            "put_back",
            "PgBouncer was restarted, and default_pool_size is back at the file's 20; 30 is to be in \
             force again",
            30,
        ),
        (
            "panic",
            "the panic switch was pulled by ada: default_pool_size goes back to the file's 20",
            20,
        ),
    ] {
        let proposal = Proposal::Resize {
            setting: Setting::DEFAULT,
            size,
            reason: reason.to_owned(),
            evidence: vec![Evidence { name: "size_in_force".into(), value: f64::from(50 - size) }],
        };
        let decision = Decision {
            policy: crate::model::PolicyName::host(),
            origin: Origin::Host,
            proposal,
            verdict: judged(
                Outcome::Approved,
                vec![rule(Rule::Step, Word::Pass, "going back may take any step")],
            ),
            size_from: Some(sample::size(50 - size)),
            size_to: Some(sample::size(size)),
            ..resize(1)
        };
        told(name, own(&stored(decision, &[(Status::Verified, "read back")])));
    }
}

#[tokio::test]
async fn an_explanation_is_served_and_a_wrong_id_is_answered_with_the_nearest() {
    let served = Served::start().await;
    let decision = resize(1);
    let transitions = vec![verified(&decision)];
    let batch = Batch {
        decisions: vec![decision, alert(2)],
        transitions,
        evaluations: vec![evaluation(1)],
        ..Batch::default()
    };
    served.write(&batch).await;
    let right = id(1).to_string();
    let story = served.get(&format!("/v1/decisions/{right}/explain")).await.json();
    assert_eq!(story["id"], right);
    let names: Vec<_> = story["sections"].as_array().expect("sections").iter().collect();
    let names: Vec<_> = names.iter().map(|one| one["name"].as_str().expect("text")).collect();
    assert_eq!(names, ["seen", "policy", "said", "guard", "done", "outcome"]);
    let told = story.to_string();
    assert!(told.contains("headroom") && told.contains("sha256:07"), "{story}");

    let begun = &right[..right.len() - 4];
    let problem = served.get(&format!("/v1/decisions/{begun}/explain")).await.problem(400);
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains("did you mean") && detail.contains("(resize)"), "{problem}");
    let missing = right.replace("0001-", "0003-");
    let problem = served.get(&format!("/v1/decisions/{missing}/explain")).await.problem(404);
    assert!(problem["detail"].as_str().expect("text").contains("did you mean"), "{problem}");
    let problem = served.get("/v1/decisions/nonsense/explain").await.problem(400);
    assert!(problem["detail"].as_str().expect("text").contains("poolwarden decisions"));
}
