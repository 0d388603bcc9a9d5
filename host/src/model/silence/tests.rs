//! What a silence means, and what is refused.

use super::*;
use crate::model::{PolicyName, PoolKey};

fn silence(matchers: Matchers) -> Silence {
    Silence {
        id: SilenceId(Uuid::nil()),
        matchers,
        since: Timestamp::from_millis(1_000),
        until: Timestamp::from_millis(61_000),
        author: "ada".into(),
        comment: "a migration runs".into(),
    }
}

fn glob(text: &str) -> Option<Glob> {
    Some(Glob::new(text))
}

fn every_alert() -> Matchers {
    Matchers { alert: glob("*"), ..Matchers::default() }
}

/// Says whether an alert `long-wait` about a subject on `main` is meant.
fn means(matchers: &Matchers, subject: Subject) -> bool {
    let key = AlertKey {
        policy: PolicyName::new("pool-alerts").expect("a fine name"),
        name: "long-wait".into(),
        subject,
    };
    silence(matchers.clone()).matches(Alerting {
        target: &TargetName::new("main").expect("a fine name"),
        target_labels: &Labels::from([
            ("role".into(), "primary".into()),
            ("team".into(), "db".into()),
        ]),
        key: &key,
        labels: &[("team".into(), "shop".into())],
    })
}

fn pool() -> Subject {
    Subject::Pool(PoolKey::new("app_7", "web"))
}

#[test]
fn every_matcher_narrows() {
    let whole = Matchers {
        policy: glob("pool-*"),
        alert: glob("long-wait"),
        target: glob("main"),
        database: glob("app_*"),
        user: glob("*"),
        labels: BTreeMap::new(),
    };
    assert!(means(&whole, pool()));
    for narrower in [
        Matchers { policy: glob("rules"), ..whole.clone() },
        Matchers { alert: glob("long"), ..whole.clone() },
        Matchers { target: glob("m*2"), ..whole.clone() },
        Matchers { database: glob("app"), ..whole.clone() },
        Matchers { user: glob("web?"), ..whole.clone() },
    ] {
        assert!(!means(&narrower, pool()), "{narrower:?}");
    }
}

#[test]
fn what_an_alert_is_not_about_is_empty() {
    let of_app = Matchers { database: glob("app*"), ..Matchers::default() };
    assert!(!means(&of_app, Subject::Target));
    assert!(means(&of_app, Subject::Scope(ScopeKey::Database("app".into()))));
    let of_any = Matchers { database: glob("*"), ..Matchers::default() };
    assert!(means(&of_any, Subject::Target));
}

#[test]
fn labels_of_the_alert_come_before_those_of_its_target() {
    let with = |name: &str, value: &str| Matchers {
        labels: [(name.to_owned(), Glob::new(value))].into(),
        ..Matchers::default()
    };
    assert!(means(&with("team", "shop"), pool()));
    assert!(!means(&with("team", "db"), pool()));
    assert!(means(&with("role", "prim*"), pool()));
    assert!(means(&with("shard", ""), pool()), "a missing label is empty");
    assert!(!means(&with("shard", "1"), pool()));
}

#[test]
fn a_question_mark_is_a_character_like_any_other() {
    assert!(Glob::new("why?").fits("why?"));
    assert!(!Glob::new("why?").fits("whyx"));
}

#[test]
fn the_longest_silence_is_allowed_and_a_longer_one_is_not() {
    let mut longest = silence(every_alert());
    longest.until = longest.since.plus(Silence::LONGEST);
    assert_eq!(longest.check(), Ok(()));
    longest.until = longest.until.plus(Duration::from_millis(1));
    assert_eq!(longest.check(), Err(SilenceError::TooLong));
    longest.until = longest.since;
    assert_eq!(longest.check(), Err(SilenceError::Over));
}

#[test]
fn what_is_missing_is_named() {
    let fine = silence(every_alert());
    assert_eq!(fine.check(), Ok(()));
    let cases = [
        (silence(Matchers::default()), "matchers"),
        (silence(Matchers { user: glob(""), ..every_alert() }), "user"),
        (silence(Matchers { database: glob(&"x".repeat(257)), ..every_alert() }), "database"),
        (
            silence(Matchers {
                labels: [("1st".to_owned(), Glob::new("x"))].into(),
                ..Matchers::default()
            }),
            "labels",
        ),
        (Silence { comment: " ".into(), ..fine.clone() }, "comment"),
        (Silence { author: String::new(), ..fine }, "author"),
    ];
    for (silence, field) in cases {
        let error = silence.check().expect_err(field);
        assert_eq!(error.field(), field, "{error}");
    }
}

#[test]
fn a_label_is_named_as_prometheus_has_it() {
    for name in ["team", "_x", "A9_"] {
        assert!(is_label_name(name), "{name}");
    }
    for name in ["", "9a", "a-b", "ä", "a b"] {
        assert!(!is_label_name(name), "{name:?}");
    }
}
