//! A moment of a running sidecar becomes a case, with one command, and the case passes.

use std::fs;
use std::path::Path;

use poolwarden_tests::process::{Ran, run_in};
use poolwarden_tests::{Bench, seconds};

fn policy(folder: &Path, arguments: &[&str]) -> Ran {
    run_in(folder, &[&["policy"], arguments].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_saw_and_said_is_captured_as_a_case_that_passes() {
    let bench = Bench::small().await;
    let setup = bench.setup();
    let sidecar = bench.sidecar(&setup).await;
    let _load = bench.load(12).await;
    bench.until("a size was changed", seconds(20), async || sidecar.changes().await.pop()).await;
    let change = sidecar.changes().await.remove(0);
    let (folder, url) = (bench.sandbox.folder().to_owned(), sidecar.url());

    let id = change.id.to_string();
    let ran =
        policy(&folder, &["capture", "--decision", &id, "--into", "cases/grew", "--url", &url]);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    assert!(ran.text.contains("resize of scope default"), "{}", ran.text);
    let arguments = ["capture", "--policy", "autosize", "--target", "main", "--into", "cases/now"];
    let ran = policy(&folder, &[&arguments[..], &["--url", &url]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    for name in ["window.toml", "expected.toml", "settings.toml", "memory.json"] {
        assert!(folder.join("cases/grew").join(name).is_file(), "no {name}: {}", ran.text);
    }
    let wasm = setup.dir.join("policies/autosize.wasm").display().to_string();
    let ran = policy(&folder, &["test", &wasm, "--cases", "cases"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    assert!(ran.text.contains("2 cases: 2 passed"), "{}", ran.text);

    // A case that is there is somebody's work.
    let ran = policy(&folder, &[&arguments[..], &["--url", &url]].concat());
    assert!(ran.code == Some(1) && ran.text.contains("is there already"), "{}", ran.text);
    let arguments = ["capture", "--policy", "autosise", "--into", "cases/none", "--url", &url];
    let ran = policy(&folder, &arguments);
    assert!(ran.text.contains("there is no policy \"autosise\""), "{}", ran.text);
    let arguments = ["capture", "--policy", "autosize", "--target", "mian", "--into", "cases/none"];
    let ran = policy(&folder, &[&arguments[..], &["--url", &url]].concat());
    assert!(ran.text.contains("not been evaluated for \"mian\", but for main"), "{}", ran.text);
    assert!(!folder.join("cases/none").exists());
    let window = fs::read_to_string(folder.join("cases/now/window.toml")).expect("captured");
    assert!(!window.contains("password"), "a secret: {window}");
    assert!(sidecar.stop().await, "it stops in time");
}
