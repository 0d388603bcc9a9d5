//! Failing logins, queues without an end, and trouble that many pools share.

use super::*;

/// Has room and no free server, and clients that have waited for longer than a login takes.
fn starved() -> PoolRow {
    PoolRow { sv_active: 2, sv_idle: 0, utilization: 0.2, waiting_for_ms: 5_000, ..queueing() }
}

fn stuck(database: &str) -> PoolRow {
    PoolRow {
        condition: 5,
        unserved_for_ms: 6_000,
        waiting_for_ms: 6_000,
        name: poolwarden_policy::PoolName::new(database, "app"),
        ..starved()
    }
}

#[test]
fn waiters_beside_room_that_is_not_filled_are_failing_logins() {
    let answer = run_pool(starved());
    assert_eq!(names(&answer), ["server-logins-failing"]);
    let said = &alert(&answer, "server-logins-failing").summary;
    assert!(said.starts_with("3 clients wait for orders/app, which has 2 of 10 servers"), "{said}");
    assert!(said.contains("none is being opened"), "{said}");
    for fine in [
        PoolRow { waiting_for_ms: 4_999, ..starved() },
        PoolRow { sv_idle: 1, ..starved() },
        PoolRow { cl_waiting: 0, ..starved() },
        PoolRow { condition: 4, ..starved() },
    ] {
        assert!(names(&run_pool(fine.clone())).is_empty(), "{fine:?}");
    }
}

#[test]
fn a_login_that_does_not_end_is_told_as_that() {
    let answer = run_pool(PoolRow { sv_login: 1, ..starved() });
    let said = &alert(&answer, "server-logins-failing").summary;
    assert!(said.contains("the login under way does not end"), "{said}");
}

#[test]
fn a_full_or_dead_postgresql_is_named_as_the_cause() {
    let with = |server: DatabaseServer| {
        let answer = run(&[starved()], "{}", |it| it.database = Some(server));
        alert(&answer, "server-logins-failing").summary.clone()
    };
    let full = with(DatabaseServer { connections: 97, ..database() });
    assert!(full.ends_with("PostgreSQL has 97 of 97 connections in use: it is full."), "{full}");
    let gone = with(DatabaseServer { reachable: false, ..database() });
    assert!(gone.ends_with("PostgreSQL does not answer the sidecar either."), "{gone}");
}

#[test]
fn what_is_queued_at_login_nears_the_timeout_too() {
    let at = |unserved_for_ms| PoolRow {
        condition: 3,
        maxwait_us: 0,
        sv_active: 0,
        unserved_for_ms,
        ..starved()
    };
    assert_eq!(names(&run_pool(at(95_999))), ["login-queue"]);
    let answer = run_pool(at(96_000));
    assert_eq!(names(&answer), ["login-queue", "timeout-near"]);
    let said = &alert(&answer, "timeout-near").summary;
    assert!(said.contains("ends it in 24.0 s"), "{said}");
}

#[test]
fn a_queue_without_an_end_is_told_when_somebody_is_long_in_it() {
    let at = |maxwait_us, timeout_ms| {
        run(&[PoolRow { maxwait_us, ..queueing() }], "{}", |it| {
            it.target.query_wait_timeout_ms = timeout_ms;
        })
    };
    assert!(!names(&at(29_999_999, 0)).contains(&"unbounded-queue"));
    assert!(!names(&at(30_000_000, 120_000)).contains(&"unbounded-queue"));
    let answer = at(30_000_000, 0);
    let alert = alert(&answer, "unbounded-queue");
    assert_eq!((alert.subject, alert.severity), (Subject::Target, Severity::Warning));
    assert!(alert.summary.contains("orders/app"), "{}", alert.summary);
}

#[test]
fn most_pools_stuck_at_once_are_postgresqls_trouble() {
    let pools = [stuck("a"), stuck("b"), serving(), serving()];
    let answer = run(&pools, "{}", |_| {});
    let trouble = alert(&answer, "database-trouble");
    assert_eq!(trouble.subject, Subject::DatabaseServer);
    assert!(trouble.summary.starts_with("In 2 of 4 pools in use"), "{}", trouble.summary);
    let fewer = run(&[stuck("a"), stuck("b"), serving(), serving(), serving()], "{}", |_| {});
    assert!(!names(&fewer).contains(&"database-trouble"), "less than half");
    let one = run(&[stuck("a")], "{}", |_| {});
    assert!(!names(&one).contains(&"database-trouble"), "one pool may be its own fault");
    let idle = PoolRow { condition: 0, ..serving() };
    let paused = PoolRow { condition: 4, ..serving() };
    let answer = run(&[stuck("a"), stuck("b"), idle, paused], "{}", |_| {});
    let trouble = &alert(&answer, "database-trouble").summary;
    assert!(trouble.starts_with("In 2 of 2 pools in use"), "{trouble}");
}

fn many(pools: usize) -> Vec<PoolRow> {
    let row = |at: usize| PoolRow {
        // The later in the window, the longer have clients waited.
        waiting_for_ms: u64::try_from(at).expect("a small number"),
        ..PoolRow::queueing(&format!("db{at}"), "app", 10, 9, 12.0)
    };
    (0..pools).map(row).collect()
}

#[test]
fn trouble_that_many_pools_share_is_told_of_the_longest_and_summed_up() {
    let few = run(&many(20), "{}", |_| {});
    assert!(!names(&few).contains(&"many-pools"), "each is told");
    assert_eq!(names(&few).iter().filter(|name| **name == "pool-exhausted").count(), 20);
    let answer = run(&many(2_000), "{}", |_| {});
    let subjects: Vec<_> = alerts(&answer)
        .iter()
        .filter(|alert| alert.name == "pool-exhausted")
        .map(|alert| alert.subject)
        .collect();
    let longest: Vec<_> = (1_980..2_000).map(Subject::Pool).collect();
    assert_eq!(subjects, longest);
    let all = alert(&answer, "many-pools");
    assert_eq!((all.subject, all.severity), (Subject::Target, Severity::Critical));
    assert!(all.summary.contains("pool-exhausted on 2000, long-wait on 2000"), "{}", all.summary);
    let count = all.evidence.iter().find(|one| one.name == "pools-pool-exhausted");
    assert_eq!(count.map(|one| one.value), Some(2_000.0));
}

#[test]
fn a_pool_that_was_told_of_is_not_displaced_by_one_that_comes_later() {
    let told = |pools: &[PoolRow]| -> Vec<Subject> {
        let answer = run(pools, r#"{"many_pools": {"told_max": 2}}"#, |_| {});
        let exhausted = alerts(&answer).into_iter().filter(|it| it.name == "pool-exhausted");
        exhausted.map(|alert| alert.subject).collect()
    };
    let mut pools = vec![serving(); 4];
    let queueing = |waiting_for_ms| PoolRow { waiting_for_ms, ..queueing() };
    (pools[2], pools[3]) = (queueing(1_000), queueing(2_000));
    assert_eq!(told(&pools), [Subject::Pool(2), Subject::Pool(3)]);
    (pools[0], pools[2], pools[3]) = (queueing(500), queueing(1_500), queueing(2_500));
    assert_eq!(told(&pools), [Subject::Pool(2), Subject::Pool(3)]);
}

#[test]
fn an_alert_that_is_switched_off_is_not_summed_up_either() {
    let off = r#"{"pool_exhausted": {"enabled": false}, "high_utilization": {"enabled": false}}"#;
    let answer = run(&many(100), off, |_| {});
    let said = &alert(&answer, "many-pools").summary;
    assert!(said.contains("long-wait on 100") && !said.contains("exhausted"), "{said}");
    let silent = run(&many(100), r#"{"many_pools": {"enabled": false}}"#, |_| {});
    assert!(!names(&silent).contains(&"many-pools"));
    assert_eq!(alerts(&silent).iter().filter(|it| it.name == "long-wait").count(), 20);
}

#[test]
fn every_alert_has_its_runbook_and_the_operators_labels() {
    let labels = r#"{"labels": {"team": "shop"}, "clients_growing": {"enabled": true}}"#;
    let mut all: Vec<String> = Vec::new();
    let growing = PoolRow { clients_trend_per_min: 50.0, ..serving() };
    let leaking = PoolRow { busy_mean: 4.0, busy_finished: 1.0, ..serving() };
    let waiting = PoolRow { maxwait_us: 100_000_000, ..queueing() };
    let login = PoolRow { condition: 3, ..starved() };
    let mut rows = many(21);
    rows.extend([growing, leaking, waiting, stuck("a"), login]);
    rows.extend((0..40).map(|at| stuck(&format!("s{at}"))));
    type Change = fn(&mut Columns);
    let changes: [Change; 4] = [
        |it| {
            it.target.clients = 1_000;
            it.database = Some(DatabaseServer { connections: 97, ..database() });
        },
        |it| it.target.query_wait_timeout_ms = 0,
        |it| it.target.status = TargetStatus::Down,
        |it| {
            it.target.status = TargetStatus::Paused;
            it.database = Some(DatabaseServer { reachable: false, ..database() });
        },
    ];
    for change in changes {
        for alert in alerts(&run(&rows, labels, change)) {
            assert_eq!(alert.runbook, format!("docs/runbooks/{}.md", alert.name));
            assert_eq!(alert.labels, [("team".to_owned(), "shop".to_owned())]);
            all.push(alert.name.clone());
        }
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 17, "{all:?}");
}
