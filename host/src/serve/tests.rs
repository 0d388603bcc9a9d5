//! The API over a real listener, with a made-up view and a real store.

mod client;
mod decisions;
mod explain;
mod limits;
mod now;
mod orders;
mod silences;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ASKS, Ask, Refused, ServeState, router, serve};
use crate::clock::Clock;
use crate::config::{PluginLimits, Policies, Secret};
use crate::control::{Control, Effect, Event, View};
use crate::evaluate::{Registry, Runtime};
use crate::metrics::{Metrics, sample};
use crate::model::{
    Decision, DecisionId, Digest, Evidence, Mode, Origin, Outcome, Proposal, Rule, RuleWord,
    ScopeKey, Setting, Status, Subject, Timestamp, Transition, Verdict, Word,
};
use crate::record::{Batch, Evaluation, Store, StoreOptions};
use client::Answer;

/// A served API and what it answers from.
struct Served {
    address: SocketAddr,
    dir: TempDir,
    clock: Clock,
    store: Arc<Store>,
    show: watch::Sender<Arc<View>>,
    told: broadcast::Sender<Arc<Batch>>,
    problem: watch::Sender<Option<String>>,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    /// Serves without a token, with the sample's view.
    async fn start() -> Self {
        Self::start_with(None).await
    }

    async fn start_with(token: Option<&str>) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let clock = Clock::start();
        let options = StoreOptions {
            dir: dir.path().join("store"),
            decisions_kept: Duration::from_secs(86_400),
            inputs_kept: Duration::from_secs(86_400),
            size_max_bytes: 1 << 30,
        };
        let store = Arc::new(Store::open(&options).await.expect("a fresh store opens"));
        let (show, view) = watch::channel(Arc::new(sample::view(clock.now())));
        let (told, _) = broadcast::channel(4);
        let (problem, store_problem) = watch::channel(None);
        let (asks, orders) = mpsc::channel(ASKS);
        tokio::spawn(take_orders(orders, Arc::clone(&store), show.clone(), clock.clone()));
        let state = ServeState {
            view,
            store: Arc::clone(&store),
            registry: Arc::new(registry(&dir)),
            metrics: Arc::new(Metrics::new()),
            decisions: told.clone(),
            store_problem,
            token: token.map(Secret::new),
            asks,
            clock: clock.clone(),
            expected_interval: Duration::from_secs(1),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router(state), stop.clone()));
        Self { address, dir, clock, store, show, told, problem, stop, task }
    }

    async fn get(&self, path: &str) -> Answer {
        client::get(self.address, path, &[]).await
    }

    async fn write(&self, batch: &Batch) {
        self.store.write(batch).await.expect("the batch is written");
    }

    fn change_view(&self, change: impl FnOnce(&mut View)) {
        self.show.send_modify(|view| change(Arc::make_mut(view)));
    }
}

/// Carries out orders as the control task does, without a loop around it.
async fn take_orders(
    mut orders: mpsc::Receiver<Ask>,
    store: Arc<Store>,
    show: watch::Sender<Arc<View>>,
    clock: Clock,
) {
    let mut control = Control::new(Vec::new(), Box::new(|_| Uuid::nil()));
    while let Some(Ask { order, reply }) = orders.recv().await {
        let mut effects = control.apply(Event::Ordered(Box::new(order)), clock.now());
        let answer = match effects.pop() {
            Some(Effect::KeepOrder { order, batch }) => {
                let kept = store.write(&batch).await.map_err(|error| error.kind().to_owned());
                let event = Event::OrderKept { order, kept: kept.clone() };
                control.apply(event, clock.now());
                kept.map_err(Refused::NotRecorded)
            }
            Some(Effect::RefuseOrder(refusal)) => Err(Refused::Refused(refusal)),
            other => panic!("{other:?} answers no order"),
        };
        let silences = control.view(clock.now()).silences;
        show.send_modify(|view| Arc::make_mut(view).silences = silences);
        reply.send(answer).expect("the route waits");
    }
}

fn registry(dir: &TempDir) -> Registry {
    let runtime = Arc::new(Runtime::new(None).expect("the runtime starts"));
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).expect("a fresh folder");
    std::fs::write(policies.join("bad.wasm"), "not wasm").expect("a file");
    let limits = PluginLimits {
        deadline: Duration::from_millis(50),
        memory_bytes: 16 << 20,
        answer_bytes: 1 << 20,
        blob_bytes: 64 << 10,
        faults_max: 3,
    };
    let rescan_interval = Duration::from_secs(60);
    let registry = Registry::new(runtime, Policies { dir: policies, rescan_interval, limits });
    registry.rescan(Timestamp::from_millis(1));
    registry
}

/// A round moment: 2026-01-01.
const START_MS: u64 = 1_767_225_600_000;

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(START_MS + second * 1_000)
}

fn id(number: u64) -> DecisionId {
    DecisionId(Uuid::from_u64_pair(number, 0x8000_0000_0000_0000 | number))
}

/// An enforced resize, clamped by the guard, taken `number` seconds after the start.
fn resize(number: u64) -> Decision {
    Decision {
        id: id(number),
        at: at(number),
        target: sample::target_name("main"),
        policy: sample::policy_name("autosize"),
        origin: Origin::Plugin {
            digest: Digest([7; 32]),
            version: Arc::from("1.2.3"),
            evaluation: Uuid::from_u128(u128::from(number)),
        },
        subject: Subject::Scope(ScopeKey::Default),
        mode: Mode::Enforce,
        status: Status::Proposed,
        proposal: Proposal::Resize {
            setting: Setting::DEFAULT,
            size: 40,
            reason: "12 clients wait".into(),
            evidence: vec![Evidence { name: "waiting_clients".into(), value: 0.1 + 0.2 }],
        },
        verdict: Some(Verdict {
            outcome: Outcome::Clamped,
            rules: vec![RuleWord {
                rule: Rule::Step,
                word: Word::Clamp,
                reason: "at most 10 at once".into(),
            }],
        }),
        size_from: Some(sample::size(20)),
        size_to: Some(sample::size(30)),
    }
}

/// An alert on the pool `app/web`, raised by the sidecar itself.
fn alert(number: u64) -> Decision {
    let proposal = sample::alert_proposal("pool-exhausted");
    let Proposal::Alert { subject, .. } = &proposal else { unreachable!("the sample's alert") };
    Decision {
        id: id(number),
        at: at(number),
        target: sample::target_name("main"),
        policy: crate::model::PolicyName::host(),
        origin: Origin::Host,
        subject: subject.clone(),
        mode: Mode::Observe,
        status: Status::Firing,
        verdict: None,
        size_from: None,
        size_to: None,
        proposal,
    }
}

fn verified(decision: &Decision) -> Transition {
    Transition {
        id: decision.id,
        at: decision.at.plus(Duration::from_millis(9)),
        status: Status::Verified,
        note: "read back: 30 is in force".into(),
    }
}

fn evaluation(number: u64) -> Evaluation {
    Evaluation {
        id: Uuid::from_u128(u128::from(number)),
        at: at(number),
        target: sample::target_name("main"),
        policy: sample::policy_name("autosize"),
        digest: Digest([7; 32]),
        settings: r#"{"headroom":0.2}"#.into(),
        input: br#"{"window":{"at_ms":1},"pools":[]}"#.to_vec(),
        memory: vec![1, 0xab],
        answer: br#"{"proposals":[]}"#.to_vec(),
    }
}
