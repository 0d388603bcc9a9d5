//! The rules between a proposal to end a session and PostgreSQL, in the order in which they are asked.
//!
//! A list of its own: a session has no size to clamp, and what makes ending one safe is that it does
//! nothing at that very moment. The last word on that is PostgreSQL's, in the statement that ends it.

use std::time::Duration;

use crate::model::{
    Mode, OWN_APPLICATION, Outcome, Rule, RuleWord, SessionKey, SessionState, TargetStatus,
    Verdict, Word,
};

/// Oldest look on which a session may be ended.
pub const LOOK_AGE_MAX: Duration = Duration::from_secs(10);

/// What the guard must know of a session at the moment of a proposal.
#[derive(Debug, Clone)]
pub struct SessionFacts<'a> {
    /// The session.
    pub session: &'a SessionKey,
    /// Whether the policy's file has `end_sessions = true`.
    pub allowed: bool,
    /// Whether the client's pool gives servers for whole sessions.
    pub session_pooling: bool,
    /// State of the target.
    pub status: TargetStatus,
    /// Why nothing is to be changed, if a person has said so.
    pub held: Option<String>,
    /// Age of the look that saw it; `None` when there is none any more.
    pub look_age: Option<Duration>,
    /// Whether it is being ended, or was.
    pub tried: bool,
    /// Sessions ended within the last minute.
    pub ends_last_minute: u32,
    /// Most sessions to be ended within a minute.
    pub ends_per_minute: u32,
    /// The effective mode: the stricter of the target's and the policy's.
    pub mode: Mode,
}

pub(super) type Ask = fn(&SessionFacts<'_>) -> (Word, String);

/// Every rule, in order.
pub(super) const ALL: [(Rule, Ask); 10] = [
    (Rule::EndingAllowed, allowed),
    (Rule::FreshData, fresh_data),
    (Rule::TargetState, target_state),
    (Rule::Held, held),
    (Rule::IdleSession, idle_session),
    (Rule::KnownBackend, known_backend),
    (Rule::OwnSession, own_session),
    (Rule::InFlight, in_flight),
    (Rule::EndsPerMinute, ends_per_minute),
    (Rule::Mode, mode),
];

/// Asks every rule about ending a session.
pub fn judge_ending(facts: &SessionFacts<'_>) -> Verdict {
    let word = |(rule, ask): (Rule, Ask)| {
        let (word, reason) = ask(facts);
        RuleWord { rule, word, reason }
    };
    let rules: Vec<RuleWord> = ALL.into_iter().map(word).collect();
    let has = |word| rules.iter().any(|said| said.word == word);
    let outcome = match (has(Word::Reject), has(Word::Shadow)) {
        (true, _) => Outcome::Rejected,
        (false, true) => Outcome::Shadowed,
        (false, false) => Outcome::Approved,
    };
    Verdict { outcome, rules }
}

fn pass(reason: impl Into<String>) -> (Word, String) {
    (Word::Pass, reason.into())
}

fn reject(reason: impl Into<String>) -> (Word, String) {
    (Word::Reject, reason.into())
}

/// Who owns the policies says which of them may end sessions.
fn allowed(facts: &SessionFacts<'_>) -> (Word, String) {
    match (facts.allowed, facts.mode) {
        (true, _) => pass("the policy's file has end_sessions = true"),
        (false, Mode::Recommend) => pass("a person would end it, so the policy needs no leave"),
        (false, _) => reject("the policy's file does not have [actions] end_sessions = true"),
    }
}

/// A session may have moved on since it was seen.
fn fresh_data(facts: &SessionFacts<'_>) -> (Word, String) {
    let most = LOOK_AGE_MAX.as_millis();
    match facts.look_age.map(|age| age.as_millis()) {
        Some(age) if age <= most => pass(format!("it was seen {age} ms ago")),
        Some(age) => reject(format!("it was seen {age} ms ago, {most} ms are allowed")),
        None => reject("no look at sessions is kept any more"),
    }
}

/// Without PgBouncer's word nobody knows whose session it is, and a person's pause is not disturbed.
fn target_state(facts: &SessionFacts<'_>) -> (Word, String) {
    match facts.status {
        TargetStatus::Up => pass("the target is up"),
        TargetStatus::Paused => reject("the target is paused: a person is at work"),
        TargetStatus::Down => reject("the target does not answer"),
    }
}

/// A person's word stops everything.
fn held(facts: &SessionFacts<'_>) -> (Word, String) {
    match &facts.held {
        Some(why) => reject(why.clone()),
        None => pass("nobody has said to leave it"),
    }
}

/// A session that runs a statement is never ended.
fn idle_session(facts: &SessionFacts<'_>) -> (Word, String) {
    match (facts.session.state, facts.session_pooling) {
        (SessionState::IdleInTransaction, _) => pass("it idles inside a transaction"),
        (SessionState::Idle, true) => pass("it idles and holds its server for the session"),
        (SessionState::Idle, false) => {
            reject("it idles outside of a transaction and gives its server back by itself")
        }
        (SessionState::Running, _) => reject("it runs a statement"),
        (SessionState::Unknown, _) => reject("what it does is not known: PostgreSQL is not asked"),
    }
}

/// What is ended must be the very session that was seen.
fn known_backend(facts: &SessionFacts<'_>) -> (Word, String) {
    let session = facts.session;
    if session.backend_pid == 0 {
        return reject("its backend is not known");
    }
    let pid = session.backend_pid;
    match session.identity {
        Some(_) => pass(format!("its backend is process {pid}")),
        None => reject(format!("PostgreSQL does not tell which session process {pid} is")),
    }
}

/// The sidecar does not blind itself.
fn own_session(facts: &SessionFacts<'_>) -> (Word, String) {
    if facts.session.application == OWN_APPLICATION {
        return reject("it is the sidecar's own, or calls itself so");
    }
    pass("it is not the sidecar's own")
}

/// Once is enough.
fn in_flight(facts: &SessionFacts<'_>) -> (Word, String) {
    if facts.tried {
        return reject("this session was to be ended before");
    }
    pass("nothing was done to this session yet")
}

/// Whatever goes wrong, it goes wrong a bounded number of times.
fn ends_per_minute(facts: &SessionFacts<'_>) -> (Word, String) {
    let (done, most) = (facts.ends_last_minute, facts.ends_per_minute);
    let reason = format!("{done} sessions ended in the last minute, {most} are allowed");
    if done >= most { reject(reason) } else { pass(reason) }
}

/// Who acts.
fn mode(facts: &SessionFacts<'_>) -> (Word, String) {
    match facts.mode {
        Mode::Observe => {
            (Word::Shadow, "the mode is observe: recorded, the session is left alone".to_owned())
        }
        Mode::Recommend => pass("the mode is recommend: it waits for a person"),
        Mode::Enforce => pass("the mode is enforce"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BackendIdentity, PoolKey};

    fn session() -> SessionKey {
        SessionKey {
            pool: PoolKey::new("app", "web"),
            client: "8".into(),
            application: "shop".into(),
            address: "10.0.0.9:4711".into(),
            backend_pid: 77,
            state: SessionState::IdleInTransaction,
            identity: Some(BackendIdentity { backend_start_us: 1, state_change_us: 2 }),
        }
    }

    fn facts(session: &SessionKey) -> SessionFacts<'_> {
        SessionFacts {
            session,
            allowed: true,
            session_pooling: false,
            status: TargetStatus::Up,
            held: None,
            look_age: Some(Duration::from_secs(1)),
            tried: false,
            ends_last_minute: 0,
            ends_per_minute: 6,
            mode: Mode::Enforce,
        }
    }

    /// The rules that say no, given what differs from a session that may be ended.
    fn against(change: impl FnOnce(&mut SessionFacts<'_>)) -> Vec<Rule> {
        let session = session();
        let mut facts = facts(&session);
        change(&mut facts);
        let verdict = judge_ending(&facts);
        assert_eq!(verdict.rules.len(), ALL.len(), "every rule has its say");
        let no = verdict.rules.iter().filter(|said| said.word == Word::Reject);
        no.map(|said| said.rule).collect()
    }

    #[test]
    fn an_idle_session_that_is_known_may_be_ended() {
        let session = session();
        assert_eq!(judge_ending(&facts(&session)).outcome, Outcome::Approved);
        let observed = SessionFacts { mode: Mode::Observe, ..facts(&session) };
        assert_eq!(judge_ending(&observed).outcome, Outcome::Shadowed);
    }

    #[test]
    fn each_rule_alone_keeps_a_session_alive() {
        assert_eq!(against(|facts| facts.allowed = false), [Rule::EndingAllowed]);
        assert_eq!(against(|facts| facts.look_age = None), [Rule::FreshData]);
        let late = LOOK_AGE_MAX + Duration::from_millis(1);
        assert_eq!(against(|facts| facts.look_age = Some(late)), [Rule::FreshData]);
        assert_eq!(against(|facts| facts.look_age = Some(LOOK_AGE_MAX)), []);
        assert_eq!(against(|facts| facts.status = TargetStatus::Down), [Rule::TargetState]);
        assert_eq!(against(|facts| facts.tried = true), [Rule::InFlight]);
        assert_eq!(against(|facts| facts.ends_last_minute = 6), [Rule::EndsPerMinute]);
        assert_eq!(against(|facts| facts.ends_last_minute = 5), []);
    }

    #[test]
    fn a_session_that_runs_a_statement_is_never_ended() {
        let rule = |state, session_pooling| {
            let session = SessionKey { state, ..session() };
            let facts = SessionFacts { session_pooling, ..facts(&session) };
            judge_ending(&facts).outcome
        };
        assert_eq!(rule(SessionState::Running, false), Outcome::Rejected);
        assert_eq!(rule(SessionState::Running, true), Outcome::Rejected);
        assert_eq!(rule(SessionState::Unknown, true), Outcome::Rejected);
        assert_eq!(rule(SessionState::Idle, false), Outcome::Rejected);
        assert_eq!(rule(SessionState::Idle, true), Outcome::Approved);
    }

    #[test]
    fn a_session_that_is_not_known_for_sure_is_left_alone() {
        for strange in [
            SessionKey { identity: None, ..session() },
            SessionKey { backend_pid: 0, ..session() },
            SessionKey { application: OWN_APPLICATION.into(), ..session() },
        ] {
            assert_eq!(judge_ending(&facts(&strange)).outcome, Outcome::Rejected, "{strange:?}");
        }
    }
}
