//! What a person meets first: `poolwarden check`, and a configuration that is wrong.

use std::fs;

use poolwarden::sandbox::{ConsoleRole, SandboxOptions};
use poolwarden_tests::process::{run, run_with};
use poolwarden_tests::{Bench, Setup, TargetSetup, seconds};

const WRONG: &str = r#"
[http]
listen = "nowhere"
[poll]
interval_ms = 1
colour = "blue"
[[target]]
name = "main"
console_url = "postgres://watch:very-secret@127.0.0.1:1/pgbouncer"
mode = "enforce"
[target.limits]
floor = 9
ceiling = 4
"#;

#[test]
fn a_wrong_configuration_is_told_as_a_whole_with_exit_code_64() {
    let dir = std::env::temp_dir().join(format!("poolwarden-wrong-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a temporary folder");
    let path = dir.join("wrong.toml");
    fs::write(&path, WRONG).expect("written");
    for command in ["run", "check", "replay"] {
        let ran = run_with(&path, &[command]);
        assert_eq!(ran.code, Some(64), "{command}: {}", ran.text);
        for part in ["wrong.toml", "poll.interval_ms", "poll.colour"] {
            assert!(ran.text.contains(part), "{command} does not name {part}: {}", ran.text);
        }
        assert!(!ran.text.contains("very-secret"), "{}", ran.text);
    }
    // What only sense can tell comes when every key has the right form.
    let formed = WRONG.replace("interval_ms = 1\n", "").replace("colour = \"blue\"\n", "");
    fs::write(&path, formed).expect("written");
    let ran = run_with(&path, &["run"]);
    assert_eq!(ran.code, Some(64), "{}", ran.text);
    for part in ["http.listen", "act_user", "floor"] {
        assert!(ran.text.contains(part), "it does not name {part}: {}", ran.text);
    }
    let ran = run_with(&dir.join("missing.toml"), &["run"]);
    assert_eq!(ran.code, Some(64), "{}", ran.text);
    assert!(ran.text.contains("missing.toml"), "{}", ran.text);
    assert_eq!(run_with(&path, &["walk"]).code, Some(2), "wrong usage");
    fs::remove_dir_all(&dir).expect("removed");
}

#[tokio::test]
async fn check_says_what_is_good_and_what_is_not() {
    let bench = Bench::small().await;
    let mut setup = bench.setup();
    setup.target().database = bench.database();
    let good = run(&setup, &["check"]);
    assert_eq!(good.code, Some(0), "{}", good.text);
    for part in ["policy autosize", "policy pool-alerts", "PgBouncer 1.", "may act", "connections"]
    {
        assert!(good.text.contains(part), "no {part:?}: {}", good.text);
    }
    assert!(!good.text.contains("FAILED"), "{}", good.text);
    assert_eq!(bench.size().await, 3, "a check changes nothing");

    let options = SandboxOptions { default_pool_size: 3, ..SandboxOptions::default() };
    let other = bench.sandbox.another_pgbouncer("other", &options).await.expect("started");
    let bad = bad_ones(&bench, &other);
    let mut setup = bench.setup();
    setup.targets.extend(bad);
    let ran = run(&setup, &["check"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    for line in [
        "ok      target main: PgBouncer",
        "FAILED  target refuses: ",
        "FAILED  target looks-only: user \"poolwarden_stats\" may not run",
        "FAILED  target gone: the console at 127.0.0.1:1 cannot be reached",
        "FAILED  target blind: PostgreSQL",
    ] {
        assert!(ran.text.contains(line), "no {line:?}: {}", ran.text);
    }
    assert!(ran.text.contains("check the password"), "{}", ran.text);
    assert!(!ran.text.contains("not-the-password"), "{}", ran.text);
    let offline = run(&setup, &["check", "--offline"]);
    assert_eq!(offline.code, Some(0), "{}", offline.text);
    a_broken_policy_fails(&bench.setup());
    bench.stays("still nothing is changed", seconds(1), async || bench.size().await == 3).await;
}

fn bad_ones(bench: &Bench, other: &poolwarden::sandbox::PgBouncer) -> [TargetSetup; 4] {
    let of = |name| TargetSetup::of(name, other);
    let url = |login: &str, port: u16| format!("postgres://{login}@127.0.0.1:{port}/pgbouncer");
    let stats = ConsoleRole::Stats.user();
    let wrong = format!("{stats}:not-the-password");
    let postgres = bench.sandbox.postgres().port();
    [
        TargetSetup { console_url: url(&wrong, other.port()), ..of("refuses") },
        TargetSetup {
            act: Some((stats.to_owned(), other.console_password().to_owned())),
            ..of("looks-only")
        },
        TargetSetup { console_url: url(&wrong, 1), ..of("gone") },
        TargetSetup {
            database: Some(format!(
                "postgres://postgres:not-the-password@127.0.0.1:{postgres}/postgres"
            )),
            ..of("blind")
        },
    ]
}

fn a_broken_policy_fails(setup: &Setup) {
    let config = setup.write();
    let policy = setup.dir.join("policies").join("autosize.toml");
    fs::write(&policy, "plugin = \"autosize.wasm\"\n[settings]\nshrink_after_ms = \"soon\"\n")
        .expect("written");
    let ran = run_with(&config, &["check"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text);
    assert!(ran.text.contains("FAILED  policy autosize: "), "{}", ran.text);
    assert!(ran.text.contains("shrink_after_ms"), "{}", ran.text);
}
