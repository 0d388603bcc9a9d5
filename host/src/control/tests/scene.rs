//! One target with one pool and one policy, driven by hand.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use super::fixtures::{effect, limits, size, snapshot, spans};
use crate::control::{
    Acted, Answer, Control, Effect, EndSession, Event, HandBack, Heard, Known, Memories, Order,
    OrderRefusal, Replayable, Resize, SilenceRefusal, TargetSetup, TargetView,
};
use crate::history::TargetFacts;
use crate::model::{
    Counters, DecisionId, Digest, Ended, Limits, Look, Mode, PolicyName, PoolKey, Proposal,
    ScopeKey, SessionLimits, SessionsWindow, Setting, Severity, Silence, Snapshot, Subject,
    TargetName, Timestamp, Window,
};
use crate::record::{Batch, Evaluation, SilenceChange};

/// The moment at which every scene begins.
pub fn start() -> Timestamp {
    Timestamp::from_millis(1_000_000)
}

pub fn target() -> TargetName {
    TargetName::new("main").expect("a fine name")
}

pub fn resize(size: u32) -> Proposal {
    let reason = "because".to_owned();
    Proposal::Resize { setting: Setting::DEFAULT, size, reason, evidence: Vec::new() }
}

pub fn resize_setting(setting: Setting, size: u32) -> Proposal {
    Proposal::Resize { setting, size, reason: "because".to_owned(), evidence: Vec::new() }
}

/// A policy that may act, saying this.
pub fn heard(proposals: Vec<Proposal>) -> Heard {
    Heard {
        policy: PolicyName::new("p").expect("a fine name"),
        mode: Mode::Enforce,
        priority: 0,
        shadow_of: None,
        may_end_sessions: false,
        digest: Digest([7; 32]),
        version: Arc::from("1.0.0"),
        beyond: Vec::new(),
        answer: Some(Answer { proposals, look: None, memory: Arc::from([]) }),
        evaluation: Arc::new(Blank),
    }
}

pub fn alert() -> Proposal {
    Proposal::Alert {
        name: "pool-exhausted".into(),
        subject: Subject::Pool(PoolKey::new("app", "app")),
        severity: Severity::Warning,
        summary: "all servers are busy".into(),
        hold: Duration::ZERO,
        cooldown: Duration::ZERO,
        labels: Vec::new(),
        runbook: String::new(),
        evidence: Vec::new(),
    }
}

/// An evaluation that writes down nothing but its identity.
#[derive(Debug)]
struct Blank;

impl Replayable for Blank {
    fn write_down(&self, id: Uuid, at: Timestamp, target: &TargetName) -> Evaluation {
        Evaluation {
            id,
            at,
            target: target.clone(),
            policy: PolicyName::new("p").expect("a fine name"),
            digest: Digest([7; 32]),
            settings: "{}".into(),
            input: b"{}".to_vec(),
            memory: Vec::new(),
            answer: b"{}".to_vec(),
        }
    }
}

/// One policy's word in a turn: name, priority, whom it shadows, what it says.
pub type Said<'a> = (&'a str, i32, Option<&'a str>, Option<Vec<Proposal>>);

/// What came of one event.
#[derive(Debug)]
pub struct Effects(pub Vec<Effect>);

impl Effects {
    pub fn resizes(self) -> Vec<Resize> {
        let resize = |effect| match effect {
            Effect::Resize(resize) => Some(*resize),
            _ => None,
        };
        self.0.into_iter().filter_map(resize).collect()
    }

    pub fn looks(&self) -> usize {
        self.0.iter().filter(|effect| matches!(effect, Effect::Look { .. })).count()
    }

    pub fn ends(self) -> Vec<EndSession> {
        let end = |effect| match effect {
            Effect::EndSession(end) => Some(*end),
            _ => None,
        };
        self.0.into_iter().filter_map(end).collect()
    }

    pub fn take_resizes(&mut self) -> Vec<Resize> {
        Self(std::mem::take(&mut self.0)).resizes()
    }

    pub fn batch(mut self) -> Batch {
        self.take_batch()
    }

    pub fn take_batch(&mut self) -> Batch {
        let at = self.0.iter().position(|effect| matches!(effect, Effect::Record(_)));
        match self.0.remove(at.expect("something is recorded")) {
            Effect::Record(batch) => *batch,
            _ => unreachable!("it is a record"),
        }
    }

    pub fn take_batch_or_none(&mut self) -> Batch {
        let recorded = self.0.iter().any(|effect| matches!(effect, Effect::Record(_)));
        if recorded { self.take_batch() } else { Batch::default() }
    }

    pub fn memories(self) -> Memories {
        let memories = |effect| match effect {
            Effect::Evaluate { memories, .. } => Some(memories),
            _ => None,
        };
        self.0.into_iter().find_map(memories).expect("the policies are asked")
    }
}

/// What the pool's servers do: how many are busy, what finishes, and how long one takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Works {
    pub busy: u32,
    pub per_s: u64,
    pub us: u64,
}

pub struct Scene {
    control: Control,
    now: Timestamp,
    full_at: Timestamp,
    polled_at: Timestamp,
    pub works: Option<Works>,
    pub more: fn(&mut Snapshot),
    counters: Counters,
    pub may_end_sessions: bool,
}

impl Scene {
    pub fn new(mode: Mode) -> Self {
        Self::make(mode, HandBack::Keep, Known::default())
    }

    pub fn knowing(mode: Mode, known: Known) -> Self {
        Self::make(mode, HandBack::Keep, known)
    }

    pub fn reconnecting() -> Self {
        Self::reconnecting_knowing(Known::default())
    }

    pub fn reconnecting_knowing(known: Known) -> Self {
        let limits = Limits { reconnect: true, ..limits() };
        Self::make_with(Mode::Enforce, HandBack::Keep, known, limits)
    }

    /// One that may grow as often as it likes.
    pub fn tireless() -> Self {
        let limits = Limits { cooldown_up: Duration::ZERO, ..limits() };
        Self::make_with(Mode::Enforce, HandBack::Keep, Known::default(), limits)
    }

    pub fn handing_back() -> Self {
        Self::make(Mode::Enforce, HandBack::HandBack, Known::default())
    }

    /// One that may have to wait for others, and hands back.
    pub fn one_of_several(instance: Uuid, known: Known) -> Self {
        Self::make_as(Mode::Enforce, HandBack::HandBack, known, limits(), Some(instance))
    }

    fn make(mode: Mode, hand_back: HandBack, known: Known) -> Self {
        Self::make_with(mode, hand_back, known, limits())
    }

    fn make_with(mode: Mode, hand_back: HandBack, known: Known, limits: Limits) -> Self {
        Self::make_as(mode, hand_back, known, limits, None)
    }

    fn make_as(
        mode: Mode,
        hand_back: HandBack,
        known: Known,
        limits: Limits,
        instance: Option<Uuid>,
    ) -> Self {
        let mut next = 0_u128;
        let ids = Box::new(move |_| {
            next += 1;
            Uuid::from_u128(next)
        });
        let facts = TargetFacts { name: target(), labels: Arc::default(), limits, can_act: true };
        let setup = TargetSetup {
            facts,
            mode,
            spans: spans(),
            sessions: SessionLimits {
                look_every: Some(Duration::from_secs(15)),
                ends_per_minute: 2,
            },
            effect: effect(),
            hand_back,
            rejected_for: Duration::from_secs(3_600),
            known,
            looks_every: None,
            instance,
        };
        let now = start();
        Self {
            control: Control::new(vec![setup], ids),
            now,
            full_at: now,
            polled_at: now,
            works: None,
            more: |_| (),
            counters: Counters::default(),
            may_end_sessions: false,
        }
    }

    /// PostgreSQL is looked at every five seconds.
    pub fn looks_at_postgres(&mut self) {
        let every = Some(Duration::from_secs(5));
        self.control.targets.values_mut().for_each(|target| target.looks_every = every);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// A full poll, a second after the last event.
    pub fn polled(&mut self, size: u32, waiting: u32) -> Effects {
        self.pass(Duration::from_secs(1));
        self.full_at = self.now;
        self.poll(size, waiting)
    }

    /// Quick polls for a while; gives all that came of them.
    pub fn run(&mut self, ms: u64, size: u32, waiting: u32) -> Effects {
        let mut all = Vec::new();
        for _ in 0..ms / 100 {
            self.pass(Duration::from_millis(100));
            self.full_at = self.now;
            all.extend(self.poll(size, waiting).0);
        }
        Effects(all)
    }

    /// A poll that keeps the sizes of the last full one.
    pub fn quick_poll(&mut self, size: u32, waiting: u32) -> Effects {
        self.pass(Duration::from_millis(100));
        self.poll(size, waiting)
    }

    fn poll(&mut self, size: u32, waiting: u32) -> Effects {
        let mut snapshot = snapshot(self.now, self.full_at, size, waiting);
        let span_ms = self.now.millis_since(self.polled_at);
        self.polled_at = self.now;
        if let Some(works) = self.works {
            let done = works.per_s * span_ms / 1_000;
            self.counters.xact_count += done;
            self.counters.xact_time_us += done * works.us;
            snapshot.pools[0].sv_active = works.busy;
            // PgBouncer counts those that wait and those that hold a server too.
            let held = u64::from(waiting) + u64::from(works.busy);
            let xact_count = self.counters.xact_count + held;
            let counters = Counters { xact_count, ..self.counters };
            snapshot.counters = vec![(Arc::from("app"), counters)];
        }
        (self.more)(&mut snapshot);
        self.apply(Event::Polled { target: target(), snapshot })
    }

    pub fn poll_failed(&mut self) -> Effects {
        self.pass(Duration::from_secs(1));
        let problem = "refused".to_owned();
        self.apply(Event::PollFailed { target: target(), kind: "unreachable", problem })
    }

    pub fn heard(&mut self, proposals: Vec<Proposal>) -> Effects {
        self.hear(Some(Answer { proposals, look: None, memory: Arc::from([]) }))
    }

    pub fn heard_beyond(&mut self, proposals: Vec<Proposal>, beyond: Vec<ScopeKey>) -> Effects {
        self.hear_with(Some(Answer { proposals, look: None, memory: Arc::from([]) }), beyond)
    }

    pub fn faulted(&mut self) -> Effects {
        self.hear(None)
    }

    pub fn evaluation_died(&mut self) -> Effects {
        self.apply(Event::EvaluationDied { target: target() })
    }

    pub fn remember(&mut self, memory: &[u8]) {
        let (proposals, memory) = (Vec::new(), Arc::from(memory));
        self.hear(Some(Answer { proposals, look: None, memory }));
    }

    /// Hears a policy that also asks for a look at sessions.
    pub fn heard_asking(&mut self, proposals: Vec<Proposal>) -> Effects {
        let look = Some("something is held".to_owned());
        self.hear(Some(Answer { proposals, look, memory: Arc::from([]) }))
    }

    pub fn looked(&mut self, mut look: Look) -> Option<SessionsWindow> {
        look.at = self.now;
        let look = Some(Box::new(look));
        self.asked_with(Event::Looked { target: target(), look })
    }

    pub fn look_failed(&mut self) {
        self.control.apply(Event::Looked { target: target(), look: None }, self.now);
    }

    /// Gives the sessions that the policies are shown after a poll, if they are asked.
    pub fn shown(&mut self) -> Option<SessionsWindow> {
        self.pass(Duration::from_secs(1));
        let snapshot = snapshot(self.now, self.now, 5, 0);
        self.asked_with(Event::Polled { target: target(), snapshot })
    }

    fn asked_with(&mut self, event: Event) -> Option<SessionsWindow> {
        let window = |effect| match effect {
            Effect::Evaluate { window, .. } => Some(window),
            _ => None,
        };
        let window = self.control.apply(event, self.now).into_iter().find_map(window)?;
        self.control.apply(Event::EvaluationDied { target: target() }, self.now);
        window.sessions
    }

    pub fn ended(&mut self, id: DecisionId, ended: Ended) -> Effects {
        self.apply(Event::Ended { target: target(), id, ended })
    }

    fn hear(&mut self, answer: Option<Answer>) -> Effects {
        self.hear_with(answer, Vec::new())
    }

    /// Hears several policies in one turn.
    pub fn hear_all(&mut self, said: &[Said<'_>]) -> Effects {
        let name = |name: &str| PolicyName::new(name).expect("a fine name");
        let heard = said.iter().map(|(policy, priority, shadow_of, proposals)| Heard {
            policy: name(policy),
            mode: if shadow_of.is_some() { Mode::Observe } else { Mode::Enforce },
            priority: *priority,
            shadow_of: shadow_of.map(name),
            may_end_sessions: false,
            digest: Digest([7; 32]),
            version: Arc::from("1.0.0"),
            beyond: Vec::new(),
            answer: proposals.clone().map(|proposals| Answer {
                proposals,
                look: None,
                memory: Arc::from([]),
            }),
            evaluation: Arc::new(Blank),
        });
        let results = heard.collect();
        self.apply(Event::Evaluated { target: target(), results })
    }

    fn hear_with(&mut self, answer: Option<Answer>, beyond: Vec<ScopeKey>) -> Effects {
        let heard = Heard {
            policy: PolicyName::new("p").expect("a fine name"),
            mode: Mode::Enforce,
            priority: 0,
            shadow_of: None,
            may_end_sessions: self.may_end_sessions,
            digest: Digest([7; 32]),
            version: Arc::from("1.0.0"),
            beyond,
            answer,
            evaluation: Arc::new(Blank),
        };
        self.apply(Event::Evaluated { target: target(), results: vec![heard] })
    }

    pub fn acted(&mut self, id: DecisionId, acted: Acted) -> Effects {
        self.apply(Event::Acted { target: target(), id, acted })
    }

    /// Asks for a change of the silences and records it; gives why not, if it is refused.
    pub fn silence(&mut self, change: SilenceChange) -> Result<Batch, SilenceRefusal> {
        let order = Box::new(Order::Silence(change));
        match self.apply(Event::Ordered(order)).0.pop() {
            Some(Effect::KeepOrder { order, batch }) => {
                let kept = Event::OrderKept { order, kept: Ok(()) };
                assert!(self.apply(kept).0.is_empty());
                Ok(*batch)
            }
            Some(Effect::RefuseOrder(OrderRefusal::Silence(refusal))) => Err(refusal),
            other => panic!("{other:?} answers no silence"),
        }
    }

    pub fn event(&mut self, event: Event) -> Effects {
        self.apply(event)
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn silences(&self) -> Vec<Arc<Silence>> {
        self.control.view(self.now).silences
    }

    pub fn stopping(&mut self) -> Effects {
        self.apply(Event::Stopping)
    }

    /// Grows from 5, and lets the cooldown pass.
    pub fn grown_to(&mut self, to: u32) {
        self.polled(5, 8);
        let id = self.heard(vec![resize(to)]).resizes()[0].id;
        self.acted(id, Acted::Verified);
        self.polled(to, 8);
        self.pass(Duration::from_secs(60));
    }

    /// The window that policies are shown at the next poll.
    pub fn window(&mut self, size: u32) -> Box<Window> {
        self.pass(Duration::from_secs(1));
        self.control.apply(Event::EvaluationDied { target: target() }, self.now);
        self.control.apply(Event::EvaluationDied { target: target() }, self.now);
        let event =
            Event::Polled { target: target(), snapshot: snapshot(self.now, self.now, size, 0) };
        let effects = self.control.apply(event, self.now);
        let window = |effect| match effect {
            Effect::Evaluate { window, .. } => Some(window),
            _ => None,
        };
        effects.into_iter().find_map(window).expect("the policies are asked")
    }

    pub fn view(&self) -> TargetView {
        self.control.view(self.now).targets.remove(0)
    }

    fn apply(&mut self, event: Event) -> Effects {
        let effects = self.control.apply(event, self.now);
        let is_news = |effect: &Effect| !matches!(effect, Effect::Evaluate { .. });
        // Being asked is not news, except to those who look for it.
        let (news, asked): (Vec<_>, Vec<_>) = effects.into_iter().partition(is_news);
        let only_asked = news.is_empty() && self.asks_count(&asked);
        Effects(if only_asked { asked } else { news })
    }

    fn asks_count(&self, asked: &[Effect]) -> bool {
        asked.iter().any(|effect| match effect {
            Effect::Evaluate { memories, .. } => !memories.is_empty(),
            _ => false,
        })
    }
}
