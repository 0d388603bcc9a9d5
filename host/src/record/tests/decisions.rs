//! Decisions of every shape read back, and are found by filter and page.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::model::{BackendIdentity, Kind, PoolKey, SessionKey, SessionState, Setting, Severity};
use crate::record::{Approval, DecisionFilter};

const OUTCOMES: [Outcome; 4] =
    [Outcome::Approved, Outcome::Clamped, Outcome::Rejected, Outcome::Shadowed];
const MODES: [Mode; 3] = [Mode::Observe, Mode::Recommend, Mode::Enforce];

fn subjects() -> [Subject; 6] {
    [
        Subject::Target,
        Subject::DatabaseServer,
        Subject::Scope(ScopeKey::Default),
        Subject::Scope(ScopeKey::Database("a:b\n'; --".into())),
        Subject::Scope(ScopeKey::User("ünï".into())),
        Subject::Pool(PoolKey::new("shop", "web")),
    ]
}

fn evidence() -> Vec<Evidence> {
    [0.1 + 0.2, -0.0, f64::MAX, f64::MIN_POSITIVE, 1e-300, 1.0 / 3.0]
        .map(|value| Evidence { name: format!("of_{value}"), value })
        .into()
}

fn proposals(subject: &Subject) -> Vec<Proposal> {
    let alert = |severity| Proposal::Alert {
        name: "exhausted".into(),
        subject: subject.clone(),
        severity,
        summary: "no \"server\" is free".into(),
        hold: Duration::from_millis(1500),
        cooldown: Duration::from_millis(u64::MAX),
        labels: vec![("team".into(), "shop \"a\"".into())],
        runbook: "docs/runbooks/pool-exhausted.md".into(),
        evidence: evidence(),
    };
    let mut all = [Severity::Info, Severity::Warning, Severity::Critical].map(alert).to_vec();
    all.push(Proposal::Recommendation {
        name: "raise".into(),
        subject: subject.clone(),
        summary: "raise it".into(),
        action: "[databases]\nshop = pool_size=30\n".into(),
        evidence: Vec::new(),
    });
    if let Subject::Scope(scope) = subject {
        all.push(Proposal::Resize {
            setting: Setting::size_of(scope.clone()),
            size: u32::MAX,
            reason: String::new(),
            evidence: evidence(),
        });
    }
    if let Subject::Pool(pool) = subject {
        all.extend(
            [None, Some(BackendIdentity { backend_start_us: 1, state_change_us: i64::MAX })].map(
                |identity| Proposal::EndSession {
                    session: SessionKey {
                        pool: pool.clone(),
                        client: "0x5581 \"c\"".into(),
                        application: "shöp".into(),
                        address: "[::1]:4711".into(),
                        backend_pid: u32::MAX,
                        state: SessionState::IdleInTransaction,
                        identity,
                    },
                    reason: "it idles".into(),
                    evidence: evidence(),
                },
            ),
        );
    }
    all
}

fn verdict(number: usize) -> Option<Verdict> {
    let words = [Word::Pass, Word::Clamp, Word::Reject, Word::Shadow];
    let rule = |(index, rule)| RuleWord {
        rule,
        word: words[(index + number) % words.len()],
        reason: format!("reason {index}"),
    };
    Some(Verdict {
        outcome: OUTCOMES[number % OUTCOMES.len()],
        rules: Rule::ALL.into_iter().enumerate().map(rule).collect(),
    })
}

/// Every subject with every proposal, and the other parts in turn.
fn every_shape() -> Vec<Decision> {
    let mut all = Vec::new();
    for subject in subjects() {
        for proposal in proposals(&subject) {
            for status in Status::ALL {
                let number = all.len();
                let resize = matches!(proposal, Proposal::Resize { .. });
                let origin = match number % 3 {
                    0 => Origin::Host,
                    _ => resize_origin(),
                };
                all.push(Decision {
                    origin,
                    subject: subject.clone(),
                    mode: MODES[number % MODES.len()],
                    status,
                    proposal: proposal.clone(),
                    verdict: verdict(number).filter(|_| resize),
                    size_from: Some(PoolSize::ONE).filter(|_| resize),
                    size_to: Some(size(PoolSize::MAX)).filter(|_| resize && number % 2 == 0),
                    ..resize_numbered(number)
                });
            }
        }
    }
    all
}

fn resize_origin() -> Origin {
    resize(1).origin
}

fn resize_numbered(number: usize) -> Decision {
    resize(u64::try_from(number).expect("small"))
}

#[tokio::test]
async fn a_decision_of_any_shape_reads_back_identical() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let decisions = every_shape();
    assert!(decisions.len() > 200);
    write(&store, &Batch { decisions: decisions.clone(), ..Batch::default() }).await;
    for decision in &decisions {
        let stored = store.decision(decision.id).await.expect("read").expect("there");
        assert_eq!(&stored.decision, decision);
        // -0.0 equals 0.0; its text does not.
        assert_eq!(format!("{:?}", stored.decision), format!("{decision:?}"));
    }
}

#[tokio::test]
async fn a_number_that_is_not_finite_does_not_make_a_decision_unreadable() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let mut decision = resize(1);
    if let Proposal::Resize { evidence, .. } = &mut decision.proposal {
        evidence[0].value = f64::INFINITY;
    }
    write(&store, &Batch { decisions: vec![decision], ..Batch::default() }).await;
    let stored = store.decision(id(1)).await.expect("read").expect("there");
    assert!(stored.decision.evidence()[0].value.is_nan());
}

fn passes(filter: &DecisionFilter, decision: &Decision) -> bool {
    let (database, user) = match &decision.subject {
        Subject::Scope(ScopeKey::Database(name)) => (Some(&**name), None),
        Subject::Scope(ScopeKey::User(name)) => (None, Some(&**name)),
        Subject::Pool(pool) => (Some(&*pool.database), Some(&*pool.user)),
        _ => (None, None),
    };
    filter.kind.is_none_or(|kind| kind == decision.kind())
        && filter.target.as_ref().is_none_or(|target| *target == decision.target)
        && filter.policy.as_ref().is_none_or(|policy| *policy == decision.policy)
        && filter.status.is_none_or(|status| status == decision.status)
        && filter.database.as_ref().is_none_or(|name| database == Some(name))
        && filter.user.as_ref().is_none_or(|name| user == Some(name))
        && filter.since.is_none_or(|since| decision.at >= since)
        && filter.until.is_none_or(|until| decision.at < until)
}

fn filters() -> Vec<DecisionFilter> {
    let all = DecisionFilter { limit: 500, ..DecisionFilter::default() };
    let since = Some(at(Duration::from_secs(137)));
    let until = Some(at(Duration::from_secs(163)));
    vec![
        all.clone(),
        DecisionFilter { kind: Some(Kind::Alert), ..all.clone() },
        DecisionFilter { kind: Some(Kind::Resize), status: Some(Status::Failed), ..all.clone() },
        DecisionFilter { target: Some(target("main")), since, ..all.clone() },
        DecisionFilter { target: Some(target("other")), ..all.clone() },
        DecisionFilter { policy: Some(policy("autosize")), until, ..all.clone() },
        DecisionFilter { database: Some("shop".into()), ..all.clone() },
        DecisionFilter { database: Some("a:b\n'; --".into()), since, until, ..all.clone() },
        DecisionFilter { user: Some("ünï".into()), kind: Some(Kind::Resize), ..all.clone() },
        DecisionFilter { user: Some("nobody".into()), ..all.clone() },
        DecisionFilter { since: Some(at(100 * DAY)), ..all },
    ]
}

#[tokio::test]
async fn filters_find_what_they_say_newest_first() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    // A page holds no more.
    let most = usize::try_from(DecisionFilter::LIMIT_MAX).expect("a small number");
    let mut decisions = every_shape();
    decisions.retain(|one| !matches!(one.status, Status::Inconclusive | Status::Rejected));
    assert!(decisions.len() <= most, "{}", decisions.len());
    for decision in decisions.iter_mut().step_by(7) {
        decision.target = target("other");
        decision.policy = policy("mine");
    }
    write(&store, &Batch { decisions: decisions.clone(), ..Batch::default() }).await;
    decisions.reverse();
    for filter in filters() {
        let page = store.decisions(&filter).await.expect("read");
        let expected: Vec<_> = decisions.iter().filter(|one| passes(&filter, one)).collect();
        assert_eq!(page.decisions.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        assert_eq!(page.next, None);
    }
    assert!(filters().iter().filter(|f| decisions.iter().any(|d| passes(f, d))).count() >= 9);
}

#[tokio::test]
async fn pages_give_every_decision_once_while_new_ones_arrive() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let decisions = (0..95).map(resize).collect();
    write(&store, &Batch { decisions, ..Batch::default() }).await;
    let mut filter = DecisionFilter { limit: 10, ..DecisionFilter::default() };
    let mut seen = Vec::new();
    for arriving in 95.. {
        let page = store.decisions(&filter).await.expect("read");
        assert!(page.decisions.len() <= 10);
        seen.extend(page.decisions.iter().map(|decision| decision.id));
        write(&store, &Batch { decisions: vec![resize(arriving)], ..Batch::default() }).await;
        if page.next.is_none() {
            break;
        }
        filter.cursor = page.next;
    }
    assert!(seen.is_sorted_by(|a, b| a > b));
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), (0..95).map(id).collect());
    let page = store.decisions(&DecisionFilter { limit: 0, ..DecisionFilter::default() }).await;
    assert_eq!(page.expect("read").decisions.len(), 1);
}

#[tokio::test]
async fn an_intent_is_unsettled_until_its_outcome_is_recorded() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let observed = Decision { mode: Mode::Observe, ..resize(1) };
    let mut rejected = resize(2);
    rejected.verdict.as_mut().expect("a resize has one").outcome = Outcome::Rejected;
    let by_host = Decision { origin: Origin::Host, verdict: None, ..resize(3) };
    let (applied, verified) = (resize(4), resize(5));
    let batch = Batch {
        transitions: vec![
            changed(&applied, Status::Applied, Duration::ZERO),
            changed(&verified, Status::Applied, Duration::ZERO),
            changed(&verified, Status::Verified, Duration::from_millis(1)),
        ],
        decisions: vec![observed, rejected, by_host, applied, verified, resize(6)],
        ..Batch::default()
    };
    write(&store, &batch).await;
    let unsettled = store.unsettled().await.expect("read");
    let found: Vec<_> = unsettled.iter().map(|one| (one.id, one.status)).collect();
    let expected = [(id(3), Status::Proposed), (id(4), Status::Applied), (id(6), Status::Proposed)];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn changes_count_whoever_had_them_made_from_when_they_came_into_force() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).await;
    let later = Duration::from_secs(5_000);
    let enforced = resize(1);
    let approved = Decision { mode: Mode::Recommend, ..resize(2) };
    let waiting = Decision { mode: Mode::Recommend, ..resize(3) };
    let panic = Decision {
        mode: Mode::Observe,
        origin: Origin::Host,
        policy: PolicyName::host(),
        verdict: None,
        ..resize(4)
    };
    let failed = resize(5);
    let decisions = [&enforced, &approved, &waiting, &panic, &failed].map(Clone::clone).to_vec();
    let approval = Approval { id: approved.id, size_from: Some(size(20)), size_to: Some(size(30)) };
    let transitions = vec![
        changed(&enforced, Status::Applied, Duration::from_secs(1)),
        changed(&enforced, Status::Verified, later),
        changed(&approved, Status::Applied, later),
        changed(&waiting, Status::Superseded, later),
        changed(&panic, Status::Applied, later),
        changed(&failed, Status::Failed, later),
    ];
    let approvals = vec![approval];
    write(&store, &Batch { decisions, approvals, transitions, ..Batch::default() }).await;
    let since = async |at| store.changes(&target("main"), at).await.expect("read");
    let made = since(at(Duration::ZERO)).await;
    let moments: Vec<_> = made.iter().map(|(_, made)| *made).collect();
    let wanted =
        [enforced.at.plus(Duration::from_secs(1)), approved.at.plus(later), panic.at.plus(later)];
    assert_eq!(moments, wanted);
    assert_eq!(since(at(later)).await.len(), 2);
    assert_eq!(store.changes(&target("other"), at(Duration::ZERO)).await.expect("read"), []);
}
