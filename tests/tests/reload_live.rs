//! Hot reload of a running sidecar, on a real PgBouncer that has more to do than it can.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use poolwarden::app::App;
use poolwarden::clock::Clock;
use poolwarden::config::Config;
use poolwarden::control::View;
use poolwarden::evaluate::{PolicyStatus, Replay, Replayed, replay};
use poolwarden::model::{AlertState, Decision, DecisionId, Evidence, Origin, Proposal, Status};
use poolwarden::record::{DecisionFilter, Store};
use poolwarden::sandbox::{ConsoleRole, Load, LoadOptions, Sandbox, SandboxOptions};
use poolwarden_tests::plugins::{eventually, fixture, label, limits, runtime, shipped, variant};
use tempfile::TempDir;

/// The sidecar's folder: policies, store and password.
struct Place {
    folder: TempDir,
    config: String,
}

impl Place {
    fn new(sandbox: &Sandbox) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("policies")).expect("created");
        let password = folder.path().join("password");
        fs::write(&password, sandbox.pgbouncer().console_password()).expect("written");
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("ours");
        let config = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n\
             [store]\ndir = \"{dir}/store\"\n\
             [policies]\ndir = \"{dir}/policies\"\n\
             [poll]\ninterval_ms = 300\nfast_interval_ms = 50\n\
             [[target]]\nname = \"main\"\nmode = \"enforce\"\nconsole_url = \"{console}\"\n\
             act_user = \"{user}\"\nact_password_file = \"{dir}/password\"\n\
             [target.limits]\ncooldown_up_ms = 200\n",
            dir = folder.path().display(),
            console = sandbox.pgbouncer().console_url(ConsoleRole::Stats),
            user = ConsoleRole::Admin.user(),
        );
        Self { folder, config }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("policies").join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let partial = self.file(&format!(".{name}.tmp"));
        fs::write(&partial, bytes).expect("written");
        fs::rename(&partial, self.file(name)).expect("renamed");
    }

    async fn start(&self) -> App {
        let config = Config::from_text("test.toml", &self.config, &BTreeMap::new());
        App::start(config.expect("a good configuration")).await.expect("it starts")
    }
}

/// The alert that `counter` raises: the decision under which it fires, and its count.
fn alert(view: &View) -> Option<(DecisionId, u64)> {
    let target = view.targets.first()?;
    let one = target.alerts.iter().find(|one| one.alert.key.policy.as_str() == "counter")?;
    let (AlertState::Firing(id), Some(Proposal::Alert { evidence, .. })) =
        (one.alert.state, &one.proposal)
    else {
        return None;
    };
    let count = evidence.iter().find(|one| one.name == "count")?;
    Some((id, whole(count)))
}

fn whole(evidence: &Evidence) -> u64 {
    format!("{:.0}", evidence.value).parse().expect("a count")
}

fn status(app: &App, name: &str) -> Option<PolicyStatus> {
    app.registry().statuses().into_iter().find(|status| status.name.as_str() == name)
}

/// Waits for a moment between two evaluations, and checks that all of them were remembered.
async fn all_are_remembered(app: &App, before: u64) {
    let (mut view, start) = (app.view(), Instant::now());
    loop {
        view.changed().await.expect("the sidecar runs");
        let counted = alert(&view.borrow()).map_or(0, |(_, count)| count);
        let evaluations = status(app, "counter").expect("it serves").evaluations;
        if counted == before + evaluations {
            return;
        }
        assert!(counted < before + evaluations, "{counted} of {evaluations} after {before}");
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{counted} remembered, {evaluations} made after {before}: some were lost"
        );
    }
}

async fn decisions(store: &Store) -> Vec<Decision> {
    let filter = DecisionFilter { limit: DecisionFilter::LIMIT_MAX, ..DecisionFilter::default() };
    store.decisions(&filter).await.expect("readable").decisions
}

/// Evaluates what a decision rests on again.
async fn is_replayed(store: &Store, decision: &Decision) -> bool {
    let Origin::Plugin { digest, evaluation, .. } = &decision.origin else { return false };
    let record = store.evaluation(*evaluation).await.expect("readable").expect("recorded");
    let plugin = store.plugin(*digest).await.expect("readable");
    let plugin = plugin.unwrap_or_else(|| panic!("no plugin of {decision:?}"));
    let limits = limits();
    let came = replay(
        &runtime(),
        Replay {
            plugin: &plugin,
            limits: &limits,
            settings: &record.settings,
            input: &record.input,
            memory: &record.memory,
            answer: &record.answer,
        },
    );
    assert_eq!(came.expect("it runs"), Replayed::Identical, "{decision:?}");
    true
}

/// Drops a plugin in that lives for one evaluation: it is gone before its decision can be written.
async fn lives_briefly(place: &Place, app: &App, round: u8) {
    let (name, clock) = (format!("brief-{round}"), Clock::start());
    place.put(&format!("{name}.wasm"), variant(&fixture("counter"), 100 + round));
    let start = Instant::now();
    // Without a pause: the decision is written within a millisecond or two.
    tokio::task::block_in_place(|| {
        while status(app, &name).is_none_or(|status| status.evaluations == 0) {
            assert!(start.elapsed() < Duration::from_secs(30), "{name} is never asked");
            std::thread::yield_now();
        }
    });
    fs::remove_file(place.file(&format!("{name}.wasm"))).expect("deleted");
    app.registry().rescan(clock.now());
    assert!(status(app, &name).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_reload_under_load_loses_no_evaluation_and_no_decision() {
    let options = SandboxOptions { default_pool_size: 2, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await.unwrap_or_else(|error| panic!("{error}"));
    let place = Place::new(&sandbox);
    let counter = fixture("counter");
    place.put("counter.wasm", &counter);
    place.put("counter.toml", label("first"));
    place.put("autosize.wasm", shipped("autosize"));
    place.put("autosize.toml", "mode = \"enforce\"\n");
    let app = place.start().await;
    let load = LoadOptions { clients: 12, ..LoadOptions::default() };
    let load = Load::start(&sandbox, load).await.expect("started");
    let view = app.view();
    eventually("the alert fires", || alert(&view.borrow()).is_some()).await;
    let (id, _) = alert(&view.borrow()).expect("it fires");

    for round in 0..6_u8 {
        let before = status(&app, "counter").expect("it serves").digest;
        place.put("counter.toml", label(&format!("round {round}")));
        place.put("counter.wasm", variant(&counter, round));
        lives_briefly(&place, &app, round).await;
        eventually("the new plugin serves", || {
            status(&app, "counter").is_some_and(|status| status.digest != before)
        })
        .await;
        let evaluations = status(&app, "counter").expect("it serves").evaluations;
        eventually("it is asked", || {
            status(&app, "counter").is_some_and(|status| status.evaluations > evaluations)
        })
        .await;
        let now = alert(&view.borrow()).expect("it fires on");
        assert_eq!(now.0, id, "the same alert, in round {round}");
    }
    load.stop().await.expect("stopped");
    all_are_remembered(&app, 0).await;
    let end = status(&app, "counter").expect("it serves");
    assert_eq!((end.faults, end.problem), (0, None));

    let store = std::sync::Arc::clone(app.store());
    assert!(app.stop().await, "within the grace period");
    let all = decisions(&store).await;
    let of = |policy: &str| all.iter().filter(|one| one.policy.as_str() == policy).count();
    assert_eq!(of("counter"), 1, "one alert, one decision");
    assert!(of("autosize") > 0, "the load outgrew the pool");
    for round in 0..6 {
        assert_eq!(of(&format!("brief-{round}")), 1);
    }
    let fired = all.iter().find(|one| one.id == id).expect("recorded");
    assert_eq!(fired.status, Status::Firing);
    let mut replayed = 0;
    for decision in &all {
        replayed += u32::from(is_replayed(&store, decision).await);
    }
    assert!(replayed >= 8, "{replayed} of {}", all.len());
    let memories = store.memories().await.expect("readable");
    let memory = memories.iter().find(|one| one.policy.as_str() == "counter").expect("stored");
    let stored: u64 = std::str::from_utf8(&memory.blob).expect("text").parse().expect("a count");
    drop(store);

    // A restart is a reload of everything.
    let app = place.start().await;
    let view = app.view();
    eventually("the alert still fires", || alert(&view.borrow()).is_some()).await;
    assert_eq!(alert(&view.borrow()).expect("it fires").0, id);
    all_are_remembered(&app, stored).await;
    app.stop().await;
}
