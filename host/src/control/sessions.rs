//! Single sessions: when to look at them, what the last look saw, and which are being ended.
//!
//! A look is costly for PgBouncer, so policies ask and this decides: one at a time, spaced, and never
//! while the target does not answer. What was seen is shown in every window until it is old, so that
//! an alert about it outlives the next evaluation.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::record::Recording;
use super::target::TargetControl;
use super::{Effect, EndSession, Heard, Turn};
use crate::guard::{SessionFacts, judge_ending};
use crate::model::{
    BackendIdentity, DecisionId, Ended, HolderRow, Look, Mode, Origin, Outcome, PolicyName,
    PoolKey, Proposal, Rule, SessionKey, SessionLimits, SessionState, SessionsWindow, Status,
    TargetStatus, Timestamp, Transition, Verdict, Window, Word,
};
use crate::record::Batch;

/// How long a look is shown; longer where looks are rarer.
const KEPT: Duration = Duration::from_secs(30);
/// How long a session that was to be ended is remembered, so that it is not tried twice.
const TRIED: Duration = Duration::from_secs(3_600);
/// The span of [`SessionLimits::ends_per_minute`].
const A_MINUTE: Duration = Duration::from_secs(60);
/// Most verdicts of one policy that are recorded within a minute, whatever it proposes.
const NEWS_MAX: usize = 30;

/// A session that was not, or is not, to be ended twice.
type Tried = (u32, Option<BackendIdentity>);

/// What is known of a target's single sessions.
#[derive(Debug)]
pub(super) struct SessionBook {
    limits: SessionLimits,
    asked: Option<Timestamp>,
    looking: bool,
    latest: Option<Look>,
    /// Asks for a look that came too early.
    pub refused: u64,
    tried: BTreeMap<Tried, Timestamp>,
    ends: VecDeque<Timestamp>,
    flights: BTreeMap<DecisionId, SessionKey>,
    /// Verdicts that were recorded within the last minute.
    said: BTreeMap<(PolicyName, Tried), (Outcome, Option<Rule>, Timestamp)>,
}

impl SessionBook {
    pub fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            asked: None,
            looking: false,
            latest: None,
            refused: 0,
            tried: BTreeMap::new(),
            ends: VecDeque::new(),
            flights: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// Says whether a look that is asked for is to be taken, and notes it.
    fn grant(&mut self, status: TargetStatus, now: Timestamp) -> bool {
        let Some(every) = self.limits.look_every else { return false };
        let early = self.asked.is_some_and(|asked| now.since(asked) < every);
        if self.looking || early || status != TargetStatus::Up {
            self.refused += 1;
            return false;
        }
        (self.looking, self.asked) = (true, Some(now));
        true
    }

    fn looked(&mut self, look: Option<Look>) {
        self.looking = false;
        if look.is_some() {
            self.latest = look;
        }
    }

    /// Gives the last look while it is not too old.
    fn latest(&self, now: Timestamp) -> Option<&Look> {
        let every = self.limits.look_every.unwrap_or(KEPT);
        let kept = KEPT.max(every.saturating_mul(2));
        self.latest.as_ref().filter(|look| now.since(look.at) <= kept)
    }

    /// Forgets a session that is gone or has moved on, so that nothing more is said of it.
    fn forget(&mut self, session: &SessionKey) {
        if let Some(look) = &mut self.latest {
            look.holders.retain(|holder| holder.session != *session);
        }
    }

    fn was_tried(&self, session: &SessionKey) -> bool {
        self.tried.contains_key(&tried(session))
    }

    fn ends_last_minute(&self, now: Timestamp) -> u32 {
        let recent = self.ends.iter().filter(|at| now.since(**at) < A_MINUTE).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }

    fn take_off(&mut self, id: DecisionId, session: &SessionKey, now: Timestamp) {
        self.tried.retain(|_, at| now.since(*at) < TRIED);
        self.tried.insert(tried(session), now);
        self.ends.retain(|at| now.since(*at) < A_MINUTE);
        self.ends.push_back(now);
        self.flights.insert(id, session.clone());
    }

    /// Says whether a verdict is to be recorded, and notes it.
    fn is_news(
        &mut self,
        policy: &PolicyName,
        session: &SessionKey,
        verdict: &Verdict,
        now: Timestamp,
    ) -> bool {
        self.said.retain(|_, (_, _, at)| now.since(*at) < A_MINUTE);
        let refused = verdict.rules.iter().find(|said| said.word == Word::Reject);
        let refused = refused.map(|said| said.rule);
        // Said while the end is under way, and known from the decision that does it.
        if refused == Some(Rule::InFlight) {
            return false;
        }
        let key = (policy.clone(), tried(session));
        let known = self.said.get(&key).map(|(outcome, by, _)| (*outcome, *by));
        let full = self.said.keys().filter(|(of, _)| of == policy).count() >= NEWS_MAX;
        if known == Some((verdict.outcome, refused)) || (known.is_none() && full) {
            return false;
        }
        self.said.insert(key, (verdict.outcome, refused, now));
        true
    }
}

fn tried(session: &SessionKey) -> Tried {
    (session.backend_pid, session.identity)
}

impl TargetControl {
    /// Asks for a look at single sessions, if one is due.
    pub fn want_look(&mut self, results: &[&Heard], now: Timestamp) -> Option<Effect> {
        let asks = |heard: &&&Heard| heard.answer.as_ref().is_some_and(|a| a.look.is_some());
        let asked = results.iter().find(asks)?;
        let reason = asked.answer.as_ref().and_then(|answer| answer.look.clone())?;
        let status = self.history.status().0;
        self.sessions.grant(status, now).then(|| Effect::Look {
            target: self.facts.name.clone(),
            policy: asked.policy.clone(),
            reason,
            databases: self
                .history
                .latest()
                .map(|latest| Arc::clone(&latest.databases))
                .unwrap_or_default(),
        })
    }

    /// Takes in what a look saw, and asks the policies about it.
    pub fn looked(&mut self, look: Option<Look>, now: Timestamp) -> Vec<Effect> {
        let seen = look.is_some();
        self.sessions.looked(look);
        if seen { self.ask(now) } else { Vec::new() }
    }

    /// Puts the last look into a window.
    pub fn show_sessions(&self, window: &mut Window, now: Timestamp) {
        let Some(look) = self.sessions.latest(now) else { return };
        let index: BTreeMap<&PoolKey, u32> = (0_u32..).zip(&window.pool_keys).map(swap).collect();
        let pool = |key: &PoolKey| index.get(key).copied();
        let holders = look.holders.iter().filter_map(|holder| {
            let session = &holder.session;
            let idle = match session.state {
                SessionState::IdleInTransaction => true,
                SessionState::Idle => self.is_session_pooling(&session.pool),
                SessionState::Unknown | SessionState::Running => false,
            };
            let known = session.identity.is_some() && session.backend_pid > 0;
            let (pool, holder) = (pool(&session.pool)?, Arc::clone(holder));
            Some(HolderRow { pool, endable: idle && known, holder })
        });
        let groups =
            look.groups.iter().filter_map(|group| Some((pool(&group.pool)?, Arc::clone(group))));
        window.sessions = Some(SessionsWindow {
            age: now.since(look.at),
            truncated: look.truncated,
            holders: holders.collect(),
            groups: groups.collect(),
        });
    }

    /// Hears a proposal to end a session; gives the deed if it is to be done.
    pub(super) fn hear_ending(
        &mut self,
        result: &Heard,
        proposal: &Proposal,
        turn: &mut Turn<'_>,
        recording: &mut Recording<'_>,
    ) -> Option<Effect> {
        let Proposal::EndSession { session, .. } = proposal else { return None };
        let mode = self.mode.stricter(result.mode);
        let verdict = self.judge_ending(result, session, mode, turn.now);
        let passed = verdict.outcome == Outcome::Approved;
        if passed && mode == Mode::Recommend {
            return None; // Stands as advice.
        }
        let acts = passed && mode == Mode::Enforce;
        if !acts && !self.sessions.is_news(&result.policy, session, &verdict, turn.now) {
            return None;
        }
        let origin = recording.origin(result, || turn.uuid());
        let evaluation = match &origin {
            Origin::Plugin { evaluation, .. } => recording.evaluation(*evaluation),
            Origin::Host => None,
        };
        let policy = &result.policy;
        let mut decision = self.decision(policy, origin, proposal.clone(), Status::Proposed, turn);
        decision.mode = mode;
        decision.verdict = Some(verdict);
        if acts {
            let evaluations = evaluation.into_iter().collect();
            let intent = Batch { evaluations, ..Batch::default() };
            let mut intent = intent;
            let (id, at) = (decision.id, decision.at);
            intent.decisions.push(decision);
            return Some(self.take_off_ending(id, session, intent, at));
        }
        recording.batch.decisions.push(decision);
        None
    }

    /// Marks a session as ending and hands the deed on.
    pub fn take_off_ending(
        &mut self,
        id: DecisionId,
        session: &SessionKey,
        intent: Batch,
        at: Timestamp,
    ) -> Effect {
        let target = self.facts.name.clone();
        self.sessions.take_off(id, session, at);
        let until = at.plus(self.facts.limits.data_age_max);
        let session = session.clone();
        Effect::EndSession(Box::new(EndSession { id, target, session, until, intent }))
    }

    /// Gives the guard's word on ending a session.
    pub fn judge_ending(
        &self,
        result: &Heard,
        session: &SessionKey,
        mode: Mode,
        now: Timestamp,
    ) -> Verdict {
        let facts = self.session_facts(session, mode, now);
        judge_ending(&SessionFacts { allowed: result.may_end_sessions, ..facts })
    }

    /// Gives the guard's word on a person's ending a session, whatever the policy's file allows.
    pub fn judge_ending_in(&self, session: &SessionKey, mode: Mode, now: Timestamp) -> Verdict {
        judge_ending(&self.session_facts(session, mode, now))
    }

    fn session_facts<'a>(
        &self,
        session: &'a SessionKey,
        mode: Mode,
        now: Timestamp,
    ) -> SessionFacts<'a> {
        SessionFacts {
            session,
            allowed: false,
            session_pooling: self.is_session_pooling(&session.pool),
            status: self.history.status().0,
            held: self.held(now).or_else(|| self.writer.objection(now)),
            look_age: self.sessions.latest(now).map(|look| now.since(look.at)),
            tried: self.sessions.was_tried(session),
            ends_last_minute: self.sessions.ends_last_minute(now),
            ends_per_minute: self.sessions.limits.ends_per_minute,
            mode,
        }
    }

    /// Takes in what came of ending a session.
    pub fn ended(&mut self, id: DecisionId, ended: &Ended, now: Timestamp) -> Vec<Effect> {
        let Some(session) = self.sessions.flights.remove(&id) else { return Vec::new() };
        let pid = session.backend_pid;
        if matches!(ended, Ended::Gone | Ended::MovedOn) {
            self.sessions.forget(&session);
        }
        let (status, note) = match ended {
            Ended::Gone => (Status::Verified, format!("backend {pid} is gone")),
            Ended::StillThere => {
                (Status::Failed, format!("backend {pid} was told to end and is still there"))
            }
            Ended::MovedOn => (
                Status::Superseded,
                format!("backend {pid} had moved on and was left alone: it did something again"),
            ),
            // One that could not be recorded may be in the store: an approved decision was before.
            Ended::Failed(why) | Ended::NotRecorded(why) => {
                // A missing right may be granted and a server come back: it may be tried again.
                self.sessions.tried.remove(&tried(&session));
                (Status::Failed, why.clone())
            }
        };
        let transition = |status, note| Transition { id, at: now, status, note };
        let mut batch = Batch::default();
        if matches!(ended, Ended::Gone | Ended::StillThere) {
            let note = format!("PostgreSQL was told to end backend {pid}");
            batch.transitions.push(transition(Status::Applied, note));
        }
        batch.transitions.push(transition(status, note));
        vec![Effect::Record(Box::new(batch))]
    }

    fn is_session_pooling(&self, pool: &PoolKey) -> bool {
        let latest = self.history.latest();
        let row = latest.and_then(|latest| latest.pools.iter().find(|row| row.key == *pool));
        row.is_some_and(|row| row.pool_mode.as_deref() == Some("session"))
    }
}

fn swap<A, B>((a, b): (A, B)) -> (B, A) {
    (b, a)
}
