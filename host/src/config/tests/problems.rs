//! What is wrong is said at once, with place, key, value and reason.

use super::{MINIMUM, bad, good};
use crate::config::Config;

#[test]
fn the_minimum_loads_with_the_stated_defaults() {
    let config = good(MINIMUM, &[]);
    assert!(config.monitoring);
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:7432");
    assert_eq!(config.poll.interval.as_millis(), 1000);
    assert_eq!(config.policies.limits.memory_bytes, 64 * 1024 * 1024);
    let target = &config.targets[0];
    assert_eq!((target.limits.floor.get(), target.limits.ceiling.get()), (1, 50));
    assert_eq!(target.mode, crate::model::Mode::Observe);
    assert_eq!((config.source.as_str(), config.warnings.len()), ("p.toml", 0));
}

#[test]
fn all_problems_are_reported_at_once_with_the_nearest_key() {
    let text = r#"
        [poll]
        intervall_ms = 5
        fast_interval_ms = 19
        [log]
        format = "jsn"
        [store]
        size_max_mib = "big"
        [[target]]
        name = "main"
        deadline_ms = 4
        [target.limits]
        ceiling = 1.0
        [target.labels]
        role = 5
    "#;
    let mut expected = vec![
        "p.toml: poll.intervall_ms: is not a known key; did you mean poll.interval_ms?",
        "p.toml: poll.fast_interval_ms: 19: must be a whole number from 20 to 60000",
        "p.toml: log.format: \"jsn\": must be one of text, json; did you mean json?",
        "p.toml: store.size_max_mib: \"big\": must be a whole number from 16 to 1048576",
        "p.toml: target[0].deadline_ms: is not a known key; did you mean \
         policies.limits.deadline_ms?",
        "p.toml: target[0].limits.ceiling: 1.0: must be a whole number from 1 to 2147483647",
        "p.toml: target[0].labels.role: 5: must be text",
    ];
    let (missing, mut lines): (Vec<_>, Vec<_>) =
        bad(text, &[]).into_iter().partition(|line| line.contains("is missing"));
    expected.sort_unstable();
    lines.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(missing.len(), 1);
    assert!(missing[0].starts_with("p.toml: target[0].console_url: is missing (Console of"));
}

#[test]
fn problems_that_span_keys_are_reported_at_once() {
    let text = r#"
        [http]
        listen = "0.0.0.0:80"
        [store]
        inputs_kept_days = 91
        [poll]
        interval_ms = 100
        fast_interval_ms = 101
        [history]
        short_span_s = 20
        long_span_s = 19
        [log]
        filter = "inof"
        [[target]]
        name = "main"
        console_url = "postgres://stats@h/pgbouncer"
        act_user = "admin"
        watch_password_file = "/nonexistent/file"
        [target.limits]
        floor = 51
        [[target]]
        name = "main"
        console_url = "postgres://h:1/other"
        mode = "enforce"
        [target.database]
        url = "mysql://h"
    "#;
    let lines = bad(text, &[]);
    for start in [
        "p.toml: http.listen: 0.0.0.0:80: an address other machines can reach needs a token",
        "p.toml: store.inputs_kept_days: 91: must not be longer than",
        "p.toml: poll.fast_interval_ms: 101: must not be longer than poll.interval_ms (100)",
        "p.toml: history.short_span_s: 20: must not be longer than history.long_span_s (19)",
        "p.toml: log.filter: \"inof\": \"inof\" is not a level",
        "p.toml: target[0].limits.floor: 51: must not be above limits.ceiling (50)",
        "p.toml: target[0].act_user: \"admin\": has no password",
        "p.toml: target[0].watch_password_file: \"/nonexistent/file\": cannot be read: No such",
        "p.toml: target[1].name: \"main\": another target has the same name",
        "p.toml: target[1].mode: enforce: needs a user that may change sizes",
        "p.toml: target[1].console_url: postgres://h:1/other: must name PgBouncer's own",
        "p.toml: target[1].console_url: postgres://h:1/other: names no user",
        "p.toml: target[1].database.url: <secret>: must have the form postgres://",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(start)), "no {start} in {lines:#?}");
    }
    assert_eq!(lines.len(), 13, "{lines:#?}");
}

#[test]
fn a_syntax_error_names_line_and_column() {
    let lines = bad("[poll]\ninterval_ms = = 5\n", &[]);
    assert!(lines[0].starts_with("p.toml:2:15: "), "{lines:?}");
}

#[test]
fn a_table_written_once_instead_of_as_a_list_is_explained() {
    let lines = bad("[target]\nname = \"main\"", &[]);
    assert!(lines[0].starts_with("p.toml: target: a table: must be a list"), "{lines:?}");
}

#[test]
fn no_target_is_an_error_that_says_what_to_do_unless_watching_is_off() {
    let lines = bad("", &[]);
    assert!(lines[0].contains("set PGBOUNCER_URL"), "{lines:?}");
    assert!(good("monitoring = false", &[]).targets.is_empty());
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let path = std::path::Path::new("/nonexistent/p.toml");
    let error = Config::load(Some(path), &super::env(&[])).expect_err("there is no such file");
    assert!(error.to_string().starts_with("/nonexistent/p.toml: cannot be read: "), "{error}");
}

#[test]
fn settings_under_which_nothing_would_be_changed_are_warned_of() {
    let config = good(&format!("[poll]\ninterval_ms = 3001\n{MINIMUM}"), &[]);
    assert!(config.warnings[0].contains("data_age_max_ms"), "{:?}", config.warnings);
    assert!(good(&format!("[poll]\ninterval_ms = 3000\n{MINIMUM}"), &[]).warnings.is_empty());
}

#[test]
fn an_override_file_is_nobody_elses_file() {
    let text = r#"
        [[target]]
        name = "a"
        console_url = "postgres://stats@127.0.0.1:1/pgbouncer"
        [target.override]
        path = "/etc/p.ini"
        ini_path = "/etc/p.ini"
        [[target]]
        name = "b"
        console_url = "postgres://stats@127.0.0.1:2/pgbouncer"
        [target.override]
        path = "/etc/p.ini"
    "#;
    let mut lines = bad(text, &[]);
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "p.toml: target[0].override.path: \"/etc/p.ini\": is the operator's ini, which is never \
             written; name another file",
            "p.toml: target[1].override.path: \"/etc/p.ini\": another target has the same file; each \
             PgBouncer needs its own",
        ]
    );
    let good = good(&text.replacen("path = \"/etc/p.ini\"", "path = \"/run/o.ini\"", 1), &[]);
    let file = good.targets[0].overrides.as_ref().expect("configured");
    assert_eq!(file.path_in_pgbouncer, "/run/o.ini", "the same path unless given");
    assert_eq!(file.tls_reload, crate::config::TlsReload::Refuse);
}
