//! Looks at single sessions and ends of them, without any I/O.

use std::sync::Arc;

use super::scene::Scene;
use super::*;
use crate::model::{
    BackendIdentity, ClientGroup, Ended, Holder, Look, PoolKey, SessionKey, SessionState, Subject,
};

fn session(pid: u32) -> SessionKey {
    SessionKey {
        pool: PoolKey::new("app", "app"),
        client: "8".into(),
        application: "shop".into(),
        address: "10.0.0.9:4711".into(),
        backend_pid: pid,
        state: SessionState::IdleInTransaction,
        identity: Some(BackendIdentity { backend_start_us: 1, state_change_us: pid.into() }),
    }
}

fn holder(session: SessionKey) -> Arc<Holder> {
    let age = Duration::from_secs(60);
    Arc::new(Holder {
        session,
        connected: age,
        request_age: age,
        state_age: age,
        transaction_age: age,
        statement_age: age,
    })
}

fn look(sessions: &[SessionKey]) -> Look {
    let group = ClientGroup {
        pool: PoolKey::new("app", "app"),
        application: "shop".into(),
        address: "10.0.0.9".into(),
        clients: 3,
        holding: 1,
        oldest: Duration::from_secs(60),
    };
    Look {
        holders: sessions.iter().cloned().map(holder).collect(),
        groups: vec![Arc::new(group)],
        ..Look::default()
    }
}

fn end(session: SessionKey) -> Proposal {
    Proposal::EndSession { session, reason: "it idles".into(), evidence: Vec::new() }
}

/// A target that was polled, and of which a look saw these sessions just now.
fn seen(mode: Mode, sessions: &[SessionKey]) -> Scene {
    let mut scene = Scene::new(mode);
    scene.may_end_sessions = true;
    scene.polled(5, 0);
    assert_eq!(scene.heard_asking(Vec::new()).looks(), 1);
    scene.looked(look(sessions));
    scene
}

#[test]
fn nobody_looks_unasked_and_those_who_ask_wait_their_turn() {
    let mut scene = Scene::new(Mode::Observe);
    scene.polled(5, 0);
    assert_eq!(scene.heard(Vec::new()).looks(), 0, "nobody asked");
    assert_eq!(scene.heard_asking(Vec::new()).looks(), 1);
    scene.pass(Duration::from_secs(60));
    assert_eq!(scene.heard_asking(Vec::new()).looks(), 0, "the last one has not ended");
    scene.look_failed();
    assert_eq!(scene.heard_asking(Vec::new()).looks(), 1);
    scene.looked(look(&[]));
    scene.pass(Duration::from_millis(14_999));
    assert_eq!(scene.heard_asking(Vec::new()).looks(), 0, "too early");
    scene.pass(Duration::from_millis(1));
    assert_eq!(scene.heard_asking(Vec::new()).looks(), 1);
    assert_eq!(scene.view().looks_refused, 2);
}

#[test]
fn a_target_that_does_not_answer_is_not_looked_at() {
    let mut scene = Scene::new(Mode::Observe);
    scene.polled(5, 0);
    scene.poll_failed();
    assert_eq!(scene.heard_asking(Vec::new()).looks(), 0);
}

#[test]
fn what_was_seen_is_shown_until_it_is_old() {
    let mut scene = Scene::new(Mode::Observe);
    assert_eq!(scene.shown(), None);
    let elsewhere = SessionKey { pool: PoolKey::new("gone", "app"), ..session(9) };
    let shown = scene.looked(look(&[session(7), elsewhere])).expect("shown at once");
    let [row] = shown.holders.as_slice() else { panic!("{shown:?}: a pool is gone") };
    assert_eq!((row.pool, row.endable, row.holder.session.backend_pid), (0, true, 7));
    assert_eq!(shown.groups.len(), 1);
    scene.pass(Duration::from_secs(28));
    let later = scene.shown().expect("29 seconds old");
    assert_eq!(later.age, Duration::from_secs(29));
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.shown(), None, "31 seconds are too old");
}

#[test]
fn an_idle_session_is_ended_once_with_its_intent_recorded_before() {
    let mut scene = seen(Mode::Enforce, &[session(7)]);
    let ends = scene.heard(vec![end(session(7))]).ends();
    let [one] = ends.as_slice() else { panic!("{ends:?} is not one end") };
    assert_eq!(one.session, session(7));
    let [decision] = one.intent.decisions.as_slice() else { panic!("one decision is intended") };
    assert_eq!((decision.kind(), decision.status), (Kind::EndSession, Status::Proposed));
    let Origin::Plugin { evaluation, .. } = decision.origin else { panic!("a plugin decided") };
    assert_eq!(one.intent.evaluations[0].id, evaluation, "the input goes with the intent");
    let again = scene.heard(vec![end(session(7))]);
    assert!(again.0.is_empty(), "it is being ended, which is said once: {again:?}");
    let batch = scene.ended(one.id, Ended::Gone).batch();
    let statuses: Vec<Status> = batch.transitions.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Status::Applied, Status::Verified]);
    assert_eq!(scene.shown().expect("a look").holders, [], "it is gone from the look too");
}

#[test]
fn a_session_that_moved_on_supersedes_its_end_and_a_refusal_tells_the_remedy() {
    let mut scene = seen(Mode::Enforce, &[session(7), session(8)]);
    let ends = scene.heard(vec![end(session(7)), end(session(8))]).ends();
    let moved = scene.ended(ends[0].id, Ended::MovedOn).batch().transitions;
    assert_eq!(moved[0].status, Status::Superseded);
    let refused = Ended::Failed("allow it with: GRANT".into());
    let failed = scene.ended(ends[1].id, refused).batch().transitions;
    assert_eq!(
        (failed[0].status, failed[0].note.as_str()),
        (Status::Failed, "allow it with: GRANT")
    );
}

#[test]
fn an_end_that_could_not_be_recorded_has_failed_and_may_be_tried_again() {
    let mut scene = seen(Mode::Enforce, &[session(7)]);
    let ends = scene.heard(vec![end(session(7))]).ends();
    let failed = scene.ended(ends[0].id, Ended::NotRecorded("the disk is full".into())).batch();
    let [failed] = failed.transitions.as_slice() else { panic!("{failed:?} is not one move") };
    assert_eq!((failed.id, failed.status), (ends[0].id, Status::Failed));
    assert_eq!(scene.heard(vec![end(session(7))]).ends().len(), 1);
}

#[test]
fn not_more_sessions_are_ended_than_a_minute_allows() {
    let sessions = [session(7), session(8), session(9)];
    let mut scene = seen(Mode::Enforce, &sessions);
    let ends = scene.heard(sessions.iter().cloned().map(end).collect()).ends();
    assert_eq!(ends.len(), 2, "two are allowed");
    scene.pass(Duration::from_secs(60));
    scene.polled(5, 0);
    scene.looked(look(&sessions));
    assert_eq!(scene.heard(vec![end(session(9))]).ends().len(), 1);
}

#[test]
fn without_leave_nothing_is_ended_and_the_verdict_says_why() {
    let mut scene = seen(Mode::Enforce, &[session(7)]);
    scene.may_end_sessions = false;
    let effects = scene.heard(vec![end(session(7))]);
    let mut batch = effects.batch();
    let verdict = batch.decisions.remove(0).verdict.expect("a verdict");
    assert_eq!(verdict.outcome, Outcome::Rejected);
    assert!(verdict.rules[0].reason.contains("end_sessions = true"), "{:?}", verdict.rules[0]);
    let repeated = scene.heard(vec![end(session(7))]);
    assert!(repeated.0.is_empty(), "a verdict that repeats itself is not recorded: {repeated:?}");
}

#[test]
fn a_flood_of_refusals_does_not_fill_the_store() {
    let sessions: Vec<SessionKey> = (1..=100).map(session).collect();
    let mut scene = seen(Mode::Observe, &sessions);
    let batch = scene.heard(sessions.iter().cloned().map(end).collect()).batch();
    assert_eq!(batch.decisions.len(), 30);
    assert!(batch.decisions.iter().all(|one| one.mode == Mode::Observe));
}

#[test]
fn in_recommend_it_stands_as_advice() {
    let mut scene = seen(Mode::Recommend, &[session(7)]);
    scene.may_end_sessions = false;
    let effects = scene.heard(vec![end(session(7))]);
    let decision = effects.batch().decisions.remove(0);
    assert_eq!((decision.kind(), decision.mode), (Kind::EndSession, Mode::Recommend));
    let advice = scene.view().advice;
    assert_eq!(advice.len(), 1);
    assert_eq!(advice[0].subject, Subject::Pool(PoolKey::new("app", "app")));
}

#[test]
fn an_end_of_which_nobody_knows_the_outcome_is_settled_at_the_start() {
    let mut scene = seen(Mode::Enforce, &[session(7)]);
    let mut ends = scene.heard(vec![end(session(7))]).ends();
    let unsettled = ends.remove(0).intent.decisions;
    let mut scene = Scene::knowing(Mode::Enforce, Known { unsettled, ..Known::default() });
    let batch = scene.polled(5, 0).batch();
    assert_eq!(batch.transitions[0].status, Status::Failed);
    assert!(batch.scopes.iter().all(|scope| scope.wanted.is_none()), "it is no size");
}
