//! Two sidecars with two stores on one PgBouncer: one acts, the other is there for when it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use poolwarden::actuate::{Actuated, Actuator, Change, Probe, log_in, reconnect_databases};
use poolwarden::config::{Console, Target};
use poolwarden::console::{Instance, Role as ConsoleUse, Session};
use poolwarden::control::Role;
use poolwarden::model::{Claim, Knob, PoolSize, ScopeKey, Setting};
use poolwarden::sandbox::{DatabaseOptions, SandboxOptions};
use poolwarden_tests::{Bench, Setup, Sidecar, SidecarProcess, ask_json, seconds};
use uuid::Uuid;

use super::people::order;

fn restless(bench: &Bench) -> Setup {
    let mut setup = bench.setup();
    let target = setup.target();
    target.limit("step_up", 1).limit("cooldown_up_ms", 300).limit("changes_per_hour", 10_000);
    setup
}

fn url(process: &SidecarProcess) -> Option<String> {
    let log = process.log();
    let line = log.lines().rev().find(|line| line.contains("serving"))?;
    let address = line.split("127.0.0.1:").nth(1)?;
    let port: String = address.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("127.0.0.1:{port}"))
}

/// The role of a sidecar in a process of its own.
async fn role(process: &SidecarProcess) -> Option<String> {
    let shown = ask_json(&url(process)?, "/v1/targets").await?;
    shown["targets"][0]["writer"]["role"].as_str().map(str::to_owned)
}

fn acts(sidecar: &Sidecar) -> bool {
    sidecar.target().writer.acts
}

async fn one_that_acts_and_one_that_waits(bench: &Bench) -> (SidecarProcess, Sidecar) {
    let first = SidecarProcess::start(&restless(bench));
    bench
        .until("the first acts", seconds(15), async || {
            (role(&first).await.as_deref() == Some("self")).then_some(())
        })
        .await;
    let second = bench.sidecar(&restless(bench)).await;
    bench
        .until("the second waits", seconds(10), async || {
            matches!(second.target().writer.role, Role::Waits(_)).then_some(())
        })
        .await;
    (first, second)
}

#[tokio::test]
async fn one_acts_and_the_other_takes_over_when_it_is_killed() {
    let bench = Bench::small().await;
    let (first, second) = one_that_acts_and_one_that_waits(&bench).await;
    let mut loads = vec![bench.load(6).await];
    bench
        .until("the first grows the pool", seconds(20), async || {
            (bench.size().await >= 6).then_some(())
        })
        .await;
    bench
        .stays("one of them acts", seconds(3), async || {
            !acts(&second) && role(&first).await.as_deref() == Some("self")
        })
        .await;
    assert!(second.changes().await.is_empty(), "{}", bench.story().await);
    assert!(second.firing("size-set-by-a-person").is_none(), "what the first sets is no person's");

    first.kill9();
    let (killed, size) = (Instant::now(), bench.size().await);
    bench.until("the second takes over", seconds(16), async || acts(&second).then_some(())).await;
    println!("taken over {} ms after the kill", killed.elapsed().as_millis());
    assert!(
        killed.elapsed() >= Duration::from_secs(7),
        "one that is away for a moment is waited for"
    );
    let changes = second.changes().await;
    let from = changes.first().map(|one| one.size_from.map(PoolSize::get));
    assert!(from.is_none_or(|from| from == Some(size)), "it goes on from there: {changes:?}");
    bench
        .until("it tells that it took over", seconds(5), async || second.firing("writer-changed"))
        .await;
    loads.push(bench.load(10).await);
    bench
        .until("it goes on growing", seconds(20), async || {
            (bench.size().await > size + 2).then_some(())
        })
        .await;
    assert!(second.firing("size-set-by-a-person").is_none());

    let again = SidecarProcess::start(&restless(&bench));
    bench
        .until("the restarted one waits", seconds(15), async || {
            (role(&again).await.as_deref() == Some("other")).then_some(())
        })
        .await;
    bench
        .stays("it does not take the role back", seconds(5), async || {
            acts(&second) && role(&again).await.as_deref() == Some("other")
        })
        .await;
}

#[tokio::test]
async fn a_frozen_sidecar_is_taken_over_from_and_does_not_act_when_it_goes_on() {
    let bench = Bench::small().await;
    let (first, second) = one_that_acts_and_one_that_waits(&bench).await;
    first.freeze();
    let frozen = Instant::now();
    bench.until("the second takes over", seconds(40), async || acts(&second).then_some(())).await;
    println!("taken over {} ms after it froze", frozen.elapsed().as_millis());
    let _load = bench.load(6).await;
    bench
        .until("the second grows the pool", seconds(20), async || {
            (bench.size().await >= 6).then_some(())
        })
        .await;
    let by_first = tries(&first);
    first.thaw();
    bench
        .until("the first waits", seconds(15), async || {
            (role(&first).await.as_deref() == Some("other")).then_some(())
        })
        .await;
    bench
        .stays("the second goes on acting", seconds(4), async || {
            acts(&second) && role(&first).await.as_deref() == Some("other")
        })
        .await;
    assert_eq!(tries(&first), by_first, "{}", first.log());
}

/// How often a sidecar in a process of its own has changed a size, or tried to.
fn tries(process: &SidecarProcess) -> usize {
    let log = process.log();
    log.matches("a size was changed").count() + log.matches("a size could not be changed").count()
}

#[tokio::test]
async fn a_sidecar_that_is_stopped_hands_over_at_once() {
    let bench = Bench::small().await;
    let first = bench.sidecar(&restless(&bench)).await;
    bench.until("the first acts", seconds(15), async || acts(&first).then_some(())).await;
    let second = bench.sidecar(&restless(&bench)).await;
    bench
        .until("the second waits", seconds(10), async || {
            matches!(second.target().writer.role, Role::Waits(_)).then_some(())
        })
        .await;
    // Told to the one that waits it would hold nowhere.
    let me = first.target().writer.instance.expect("it may act").to_string();
    let why = ["--comment", "a migration", "--author", "ada"];
    for words in [&["pause", "main"][..], &["resume", "main"], &["panic", "main", "--yes"]] {
        let ran = order(&second, &[words, &why[..]].concat()).await;
        assert!(ran.code == Some(1) && ran.text.contains(&me), "{words:?}: {}", ran.text);
    }
    assert_eq!((second.target().hold, first.target().hold), (None, None));
    let asked = Instant::now();
    assert!(first.stop().await, "the grace period is enough");
    bench.until("the second acts", seconds(8), async || acts(&second).then_some(())).await;
    println!("taken over {} ms after the stop", asked.elapsed().as_millis());
    assert!(asked.elapsed() < seconds(6), "nobody waited for it to come back");
}

/// A sidecar with an override file of its own.
fn overriding(bench: &Bench, file: &str) -> Setup {
    let mut setup = restless(bench);
    let path = bench.sandbox.folder().join(file);
    setup.target().overrides = format!("path = \"{}\"", path.display());
    setup
}

/// How often PgBouncer was told to read its files anew.
fn reloads(bench: &Bench) -> usize {
    bench.sandbox.pgbouncer().log().matches("RELOAD command issued").count()
}

#[tokio::test]
async fn one_that_waits_tries_nothing_out_until_it_acts() {
    let app = DatabaseOptions { pool_size: Some(3), ..DatabaseOptions::inherited("app") };
    let options = SandboxOptions { databases: vec![app], ..SandboxOptions::default() };
    let bench = Bench::start(options).await;
    let first = bench.sidecar(&overriding(&bench, "first.ini")).await;
    bench
        .until("the first has tried its file out", seconds(15), async || {
            (acts(&first) && reloads(&bench) > 0).then_some(())
        })
        .await;
    let tried = reloads(&bench);
    let second = bench.sidecar(&overriding(&bench, "second.ini")).await;
    bench
        .until("the second waits and has looked", seconds(10), async || {
            let target = second.target();
            (matches!(target.writer.role, Role::Waits(_)) && target.reach.is_some()).then_some(())
        })
        .await;
    bench
        .stays("it reloads nothing", seconds(3), async || {
            reloads(&bench) == tried && !bench.sandbox.folder().join("second.ini").exists()
        })
        .await;
    assert!(first.stop().await);
    bench
        .until("it tries its own file out when it acts", seconds(15), async || {
            (acts(&second) && reloads(&bench) > tried).then_some(())
        })
        .await;
    assert!(second.stop().await);
}

/// A sidecar that acts, as others see it.
async fn acting(target: &Target, id: u128) -> Session {
    let instance = Some(Instance::new(Uuid::from_u128(id), Claim::Acts));
    let console = Console { instance, ..target.console.clone() };
    Session::open(&console, ConsoleUse::Watch).await.expect("PgBouncer answers")
}

#[tokio::test]
async fn nothing_is_sent_beside_another_one_or_too_late() {
    let app = DatabaseOptions { pool_size: Some(3), ..DatabaseOptions::inherited("app") };
    let options = SandboxOptions { databases: vec![app], ..SandboxOptions::default() };
    let bench = Bench::start(options).await;
    let mut target = overriding(&bench, "own.ini").config().targets.remove(0);
    target.console.instance = Some(Instance::new(Uuid::from_u128(5), Claim::Acts));
    let target = Arc::new(target);
    let actuator = Actuator::new(Arc::clone(&target), Default::default());
    let own = Setting::size_of(ScopeKey::Database("app".into()));
    let size = |size| PoolSize::of(Knob::PoolSize, size).expect("a size");
    let change = async |setting: &Setting, from, to, in_time| {
        let change = Change { setting: setting.clone(), from: Some(size(from)), to: size(to) };
        let login = log_in(&target.console).await;
        actuator.apply(login, &[change], || in_time).await
    };
    let refused = async |setting: &Setting, from, to, in_time| {
        let done = change(setting, from, to, in_time).await;
        assert_eq!(done.sent, Vec::<String>::new());
        format!("{:?}", done.came)
    };
    let databases: [Arc<str>; 1] = ["app".into()];
    let reconnect = async |in_force, in_time| {
        let shrunk = (&own, size(in_force));
        reconnect_databases(&target.console, &databases, shrunk, || in_time).await
    };

    // An older one and a younger one: of two that say they act neither sends.
    for id in [1, 9] {
        let other = acting(&target, id).await;
        for (setting, from) in [(&Setting::DEFAULT, 5), (&own, 3)] {
            let why = refused(setting, from, 8, true).await;
            assert!(why.contains("another sidecar acts here"), "{why}");
        }
        let why = reconnect(3, true).await.expect_err("refused");
        assert!(why.contains("another sidecar acts here"), "{why}");
        let reach = actuator.inspect(|| Probe::Once).await.expect("PgBouncer answers");
        assert_eq!(reach.problems, []);
        assert_eq!(reloads(&bench), 0);
        other.close().await;
    }
    for (setting, from) in [(&Setting::DEFAULT, 5), (&own, 3)] {
        let why = refused(setting, from, 8, false).await;
        assert!(why.contains("too old"), "{why}");
    }
    assert!(reconnect(3, false).await.expect_err("refused").contains("too old"));
    let why = reconnect(2, true).await.expect_err("refused");
    assert!(why.contains("3 is in force and not 2"), "{why}");
    assert!(!bench.sandbox.pgbouncer().log().contains("RECONNECT"));
    // A leave that ends while PgBouncer is asked.
    let asked = AtomicUsize::new(0);
    let ending = || match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Probe::Once,
        _ => Probe::LookOnly,
    };
    actuator.inspect(ending).await.expect("PgBouncer answers");
    assert!(asked.load(Ordering::Relaxed) > 1 && reloads(&bench) == 0);

    actuator.inspect(|| Probe::Once).await.expect("PgBouncer answers");
    assert_eq!(reloads(&bench), 1, "it tries its file out");
    reconnect(3, true).await.expect("nothing is in the way");
    for (setting, from) in [(&Setting::DEFAULT, 5), (&own, 3)] {
        let done = change(setting, from, 8, true).await;
        assert_eq!(done.came, [(setting.clone(), Actuated::InForce)]);
    }
}
