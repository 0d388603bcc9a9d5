//! The environment wins over the file, and what it says wrongly is reported under its own name.

use super::{MINIMUM, bad, env, good};
use crate::config::schema::{fields, schema};
use crate::config::{Address, Config, environment_table};
use crate::model::Mode;

const TWO: &str = r#"
[[target]]
name = "eu-1.a"
console_url = "postgres://stats@eu/pgbouncer"
[target.database]
url = "postgres://u@eu"
[[target]]
name = "us"
console_url = "postgres://stats@us/pgbouncer"
act_user = "own"
"#;

#[test]
fn each_variable_beats_the_file() {
    let text = format!("[poll]\ninterval_ms = 2000\n{TWO}");
    let config = good(
        &text,
        &[
            ("POOLWARDEN_POLL__INTERVAL_MS", "3000"),
            ("POOLWARDEN_HTTP__LISTEN", "[::1]:0"),
            ("POOLWARDEN_TARGET__EU_1_A__LIMITS__CEILING", "9"),
            ("POOLWARDEN_TARGET__US__MODE", "enforce"),
            ("POOLWARDEN_MODE", "recommend"),
            ("POOLWARDEN_ADMIN_USER", "general"),
            ("POOLWARDEN_ADMIN_PASSWORD", "pw"),
            ("POOLWARDEN_STORE__DIR", ""),
        ],
    );
    assert_eq!(config.poll.interval.as_millis(), 3000);
    assert_eq!(config.http.listen.to_string(), "[::1]:0");
    assert_eq!(config.store.dir.to_str(), Some("./data"), "an empty variable is not set");
    let [eu, us] = &config.targets[..] else { panic!("two targets") };
    assert_eq!((eu.limits.ceiling.get(), us.limits.ceiling.get()), (9, 50));
    assert_eq!((eu.mode, us.mode), (Mode::Recommend, Mode::Enforce), "the nearer name wins");
    let user = |target: &crate::config::Target| target.console.act.clone().map(|act| act.user);
    assert_eq!((user(eu).as_deref(), user(us).as_deref()), (Some("general"), Some("own")));
}

#[test]
fn a_bad_variable_is_reported_under_its_name() {
    let lines = bad(
        MINIMUM,
        &[
            ("POOLWARDEN_POLL__INTERVAL_MS", "99"),
            ("POOLWARDEN_HTTP__LISTEN", "here"),
            ("POOLWARDEN_POLL_FAST_INTERVAL_MS", "50"),
            ("POOLWARDEN_TARGET__MIAN__MODE", "observe"),
            ("USE_PGBOUNCER", "perhaps"),
        ],
    );
    let known = "is not a known variable; did you mean POOLWARDEN_";
    for expected in [
        "POOLWARDEN_POLL__INTERVAL_MS: poll.interval_ms: 99: must be a whole number from 100"
            .to_owned(),
        format!("POOLWARDEN_POLL_FAST_INTERVAL_MS: {known}POLL__FAST_INTERVAL_MS?"),
        format!("POOLWARDEN_TARGET__MIAN__MODE: {known}TARGET__MAIN__MODE?"),
        "USE_PGBOUNCER: perhaps: must be true or false".to_owned(),
    ] {
        assert!(lines.iter().any(|line| line.starts_with(&expected)), "{expected}: {lines:#?}");
    }
    assert_eq!(lines.len(), 4, "what spans keys is only looked at once each key is right");
    let lines = bad(MINIMUM, &[("POOLWARDEN_HTTP__LISTEN", "here")]);
    assert!(lines[0].starts_with("POOLWARDEN_HTTP__LISTEN: http.listen: \"here\": must be"));
}

#[test]
fn an_apps_own_variables_are_enough_to_start() {
    let config = Config::from_text(
        "environment",
        "",
        &env(&[
            ("USE_PGBOUNCER", "true"),
            ("PGBOUNCER_URL", "postgresql://app:p%40ss@pgb/appdb?schema=public&connection_limit=5"),
            ("DATABASE_CONNECTION_TIMEOUT_MS", "30000"),
            ("DATABASE_IDLE_TIMEOUT_MS", "40000"),
            ("DATABASE_QUERY_TIMEOUT_MS", "50000"),
            ("ENABLE_CONNECTION_MONITORING", "true"),
            ("CONNECTION_MONITORING_INTERVAL_MS", "2500"),
            ("POOLWARDEN_DATABASE_URL", "postgres://u@db:5433/d"),
            ("OTHER", "ignored"),
        ]),
    );
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let target = &config.targets[0];
    assert_eq!(target.name.as_str(), "main");
    assert_eq!(target.console.address, Address::Tcp { host: "pgb".into(), port: 6432 });
    assert_eq!(target.console.watch.user, "app");
    let password = target.console.watch.password.as_ref().expect("the URL has one");
    assert_eq!(password.expose(), "p@ss");
    assert_eq!(target.console.connect_timeout.as_millis(), 30_000);
    assert_eq!(target.console.command_timeout.as_millis(), 50_000);
    assert_eq!(config.poll.interval.as_millis(), 2500);
    let database = target.database.as_ref().expect("its URL is set");
    assert_eq!(database.address, Address::Tcp { host: "db".into(), port: 5433 });
    assert_eq!(database.connect_timeout.as_millis(), 30_000);
    assert_eq!(database.command_timeout.as_millis(), 50_000);
    assert_eq!(database.idle_timeout.as_millis(), 40_000);
}

#[test]
fn the_nearer_name_wins_over_the_apps_own() {
    let config = good(
        MINIMUM,
        &[
            ("CONNECTION_MONITORING_INTERVAL_MS", "2500"),
            ("POOLWARDEN_POLL__INTERVAL_MS", "700"),
            ("USE_PGBOUNCER", "false"),
            ("POOLWARDEN_MONITORING", "true"),
        ],
    );
    assert_eq!((config.poll.interval.as_millis(), config.monitoring), (700, true));
}

#[test]
fn either_switch_turns_watching_off() {
    for name in ["USE_PGBOUNCER", "ENABLE_CONNECTION_MONITORING"] {
        assert!(!good("", &[(name, "false")]).monitoring);
        assert!(good(MINIMUM, &[(name, "true")]).monitoring);
    }
}

#[test]
fn a_variable_of_the_only_target_is_refused_with_several() {
    let lines = bad(TWO, &[("PGBOUNCER_URL", "postgres://u@h/d")]);
    assert!(lines[0].starts_with("PGBOUNCER_URL: there are 2 targets"), "{lines:?}");
    let lines = bad(TWO, &[("POOLWARDEN_DATABASE_URL", "postgres://u@h/d")]);
    assert!(lines[0].starts_with("POOLWARDEN_DATABASE_URL: there are 2 targets"), "{lines:?}");
}

#[test]
fn a_variable_that_fits_two_targets_is_refused() {
    let text = TWO.replace("\"us\"", "\"eu.1-a\"");
    let lines = bad(&text, &[("POOLWARDEN_TARGET__EU_1_A__MODE", "observe")]);
    assert!(lines[0].contains("names a key of more than one target"), "{lines:?}");
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_are_left_alone() {
    good(
        MINIMUM,
        &[
            ("POOLWARDEN_SERVICE_HOST", "10.0.0.1"),
            ("POOLWARDEN_SERVICE_PORT_HTTP", "7432"),
            ("POOLWARDEN_PORT", "tcp://10.0.0.1:7432"),
            ("POOLWARDEN_PORT_7432_TCP_ADDR", "10.0.0.1"),
        ],
    );
    assert_eq!(bad(MINIMUM, &[("POOLWARDEN_PORT", "7432")]).len(), 1);
}

#[test]
fn the_table_of_variables_has_every_key_that_one_value_can_hold() {
    let table = environment_table();
    for field in fields(&schema()).iter().filter(|field| field.is_scalar()) {
        let key = field.path.join(".");
        assert!(table.contains(&format!("| `{key}`: ")), "{key}");
    }
    assert!(table.contains("`POOLWARDEN_TARGET__<NAME>__LIMITS__CEILING`"), "{table}");
}
