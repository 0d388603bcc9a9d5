//! Secrets come from where they should and never come out again.

use std::os::unix::fs::PermissionsExt;

use super::{MINIMUM, bad, file, good, load};

const HIDDEN: &str = "hunter2";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[test]
fn a_password_comes_from_the_url_then_the_file_then_the_environment() {
    let dir = folder();
    let path = file(&dir, "pw", "of-file\n");
    let pairs = [("POOLWARDEN_WATCH_PASSWORD", "of-env")];
    let password = |text: &str| {
        let target = good(text, &pairs).targets.remove(0);
        target.console.watch.password.expect("there is one").expose().to_owned()
    };
    assert_eq!(password(MINIMUM), "of-env");
    assert_eq!(password(&format!("{MINIMUM}watch_password_file = {path:?}")), "of-file");
    assert_eq!(password(&MINIMUM.replace("stats@", "stats:of%2Furl@")), "of/url");
}

#[test]
fn only_one_newline_at_the_end_of_a_file_is_taken_off() {
    let dir = folder();
    for (written, read) in [("pw\n", "pw"), ("pw\r\n", "pw"), (" pw \n\n", " pw \n")] {
        let path = file(&dir, "pw", written);
        let config = good(MINIMUM, &[("POOLWARDEN_WATCH_PASSWORD_FILE", &path)]);
        let password = config.targets[0].console.watch.password.as_ref();
        assert_eq!(password.map(|password| password.expose()), Some(read));
        assert!(config.warnings.is_empty());
    }
}

#[test]
fn each_login_gets_its_own_password() {
    let text = format!("{MINIMUM}act_user = \"admin\"\ndatabase.url = \"postgres://u@h\"");
    let config = good(
        &text,
        &[
            ("POOLWARDEN_WATCH_PASSWORD", "1"),
            ("POOLWARDEN_ADMIN_PASSWORD", "2"),
            ("POOLWARDEN_DATABASE_PASSWORD", "3"),
        ],
    );
    let target = &config.targets[0];
    let database = target.database.as_ref().map(|database| &database.login);
    let logins = [Some(&target.console.watch), target.console.act.as_ref(), database];
    let password = |login: Option<&crate::config::Login>| {
        login.and_then(|login| login.password.clone()).map(|secret| secret.expose().to_owned())
    };
    let expected = [Some("1".to_owned()), Some("2".to_owned()), Some("3".to_owned())];
    assert_eq!(logins.map(password), expected);
}

#[test]
fn a_password_given_twice_is_refused() {
    let dir = folder();
    let path = file(&dir, "pw", HIDDEN);
    let url = MINIMUM.replace("stats@", "stats:hunter2@");
    let cases = [
        (format!("{url}watch_password_file = {path:?}"), vec![]),
        (
            MINIMUM
                .replace("stats@", "stats:hunter2@")
                .replace("/pgbouncer", "/pgbouncer?password=x"),
            vec![],
        ),
        (format!("http.token = \"{HIDDEN}\"\nhttp.token_file = {path:?}\n{MINIMUM}"), vec![]),
        (
            MINIMUM.to_owned(),
            vec![
                ("POOLWARDEN_WATCH_PASSWORD", HIDDEN),
                ("POOLWARDEN_WATCH_PASSWORD_FILE", path.as_str()),
            ],
        ),
    ];
    for (text, pairs) in cases {
        let lines = bad(&text, &pairs);
        assert!(lines.len() == 1 && lines[0].contains("is given twice"), "{lines:?}");
        assert!(!lines[0].contains(HIDDEN), "{lines:?}");
    }
}

#[test]
fn an_unreadable_or_empty_secret_file_is_an_error_that_the_environment_does_not_hide() {
    let dir = folder();
    let empty = file(&dir, "empty", "\n");
    let pairs = [("POOLWARDEN_WATCH_PASSWORD", "of-env")];
    for (path, reason) in [("/nonexistent", "cannot be read"), (empty.as_str(), "is empty")] {
        let lines = bad(&format!("{MINIMUM}watch_password_file = {path:?}"), &pairs);
        assert!(lines.len() == 1 && lines[0].contains(reason), "{lines:?}");
    }
    let lines = bad(MINIMUM, &[("POOLWARDEN_ADMIN_PASSWORD_FILE", "/nonexistent")]);
    assert!(lines[0].starts_with("POOLWARDEN_ADMIN_PASSWORD_FILE: /nonexistent: "), "{lines:?}");
}

#[test]
fn a_secret_file_that_anybody_may_read_is_warned_of_once() {
    let dir = folder();
    let path = file(&dir, "pw", HIDDEN);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&path, open).expect("an own file can be changed");
    let text = format!(
        "{MINIMUM}watch_password_file = {path:?}\nact_user = \"a\"\n\
        act_password_file = {path:?}"
    );
    let config = good(&text, &[]);
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].starts_with(&path), "{:?}", config.warnings);
}

#[test]
fn a_loaded_configuration_does_not_print_its_secrets() {
    let text = format!(
        "http.token = \"{HIDDEN}\"\n{MINIMUM}act_user = \"a\"\n\
        database.url = \"postgres://u:{HIDDEN}@h\""
    );
    let config = good(
        &text,
        &[("POOLWARDEN_WATCH_PASSWORD", HIDDEN), ("POOLWARDEN_ADMIN_PASSWORD", HIDDEN)],
    );
    let token = config.http.token.clone().expect("it was given");
    assert_eq!(token.expose(), HIDDEN);
    for printed in [format!("{config:?}"), format!("{token} {token:?}")] {
        assert!(!printed.contains(HIDDEN), "{printed}");
        assert!(printed.contains("<secret>"), "{printed}");
    }
}

#[test]
fn no_error_shows_a_secret_wherever_it_was_put() {
    let url = |rest: &str| format!("{MINIMUM}database.url = \"{rest}\"");
    let texts = [
        format!("{MINIMUM}password = \"{HIDDEN}\""),
        format!("http = \"{HIDDEN}\"\n{MINIMUM}"),
        format!("http.token = [\"{HIDDEN}\"]\n{MINIMUM}"),
        format!("http.token = \"{HIDDEN}\\n\"\n{MINIMUM}"),
        format!("http.token = \"{HIDDEN}\n{MINIMUM}"),
        format!("http.token = {HIDDEN}\n{MINIMUM}"),
        format!("http.token = \"{HIDDEN}\" {HIDDEN}\n{MINIMUM}"),
        url(&format!("postgres://u:{HIDDEN}")),
        url(&format!("postgres://u:{HIDDEN}@")),
        url(&format!("postgres://u:{HIDDEN}@h:99999/d")),
        url(&format!("postgres://u:1/{HIDDEN}@h/d")),
        url(&format!("postgres://u:1?{HIDDEN}@h/d")),
        url(&format!("postgres://u:1#{HIDDEN}@h/d")),
        url(&format!("postgres://u:%zz{HIDDEN}@h/d")),
        url(&format!("postgres://:{HIDDEN}@h/d")),
        url(&format!("mysql://u:{HIDDEN}@h/d")),
        url(&format!("u:{HIDDEN}@h/d")),
        url(HIDDEN),
        url(&format!("postgres://u:{HIDDEN}@h/d?sslmode=no")),
        url(&format!("postgres://h/d?password={HIDDEN}")),
        MINIMUM.replace("stats@127.0.0.1:6432/pgbouncer", &format!("u:{HIDDEN}@h/other")),
    ];
    for text in texts {
        for line in bad(&text, &[]) {
            assert!(!line.contains(HIDDEN), "{line}\nof {text}");
        }
    }
    for name in ["PGBOUNCER_URL", "POOLWARDEN_WATCH_PASWORD", "POOLWARDEN_HTTP__TOKEN"] {
        let value = format!("{HIDDEN} {HIDDEN}");
        assert!(bad(MINIMUM, &[(name, &value)]).iter().all(|line| !line.contains(HIDDEN)));
    }
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    let listen = |address: &str| format!("http.listen = \"{address}\"\n{MINIMUM}");
    assert!(load(&listen("127.0.0.2:1"), &[]).is_ok());
    assert!(bad(&listen("[::]:1"), &[])[0].contains("needs a token"));
    assert!(load(&listen("[::]:1"), &[("POOLWARDEN_HTTP__TOKEN", "t")]).is_ok());
}

#[test]
fn a_password_that_nobody_uses_is_told() {
    let config = good(MINIMUM, &[("POOLWARDEN_ADMIN_PASSWORD", HIDDEN)]);
    assert!(config.warnings[0].starts_with("POOLWARDEN_ADMIN_PASSWORD is set, but"));
    let text = format!("{MINIMUM}act_password_file = \"/f\"");
    assert!(bad(&text, &[])[0].contains("is the password of nobody"));
}
