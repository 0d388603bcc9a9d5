//! The policies folder changes while policies serve: nothing displaces what works but what works.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use poolwarden::config::Policies;
use poolwarden::evaluate::{PolicyState, Registry};
use poolwarden::model::Mode;
use poolwarden_tests::plugins::{
    Evaluating, Folder, Seeded, Watching, answered, eventually, fixture, label, limits, result_of,
    runtime, summary, variant, window,
};

#[tokio::test(flavor = "multi_thread")]
async fn reloads_lose_no_evaluation() {
    let folder = Arc::new(Folder::with_labelled_counter());
    let watching = Watching::by_events(&folder).await;
    let evaluating = Evaluating::start(&folder);
    let counter = fixture("counter");
    let mut expected = vec!["first".to_owned()];
    for round in 0..6_u8 {
        let now = format!("round {round}");
        folder.put("counter.toml", label(&now));
        eventually("the new label serves", || folder.label() == now).await;
        expected.push(now);
        let before = folder.status("counter").digest;
        // Both ways in which files are replaced.
        if round % 2 == 0 {
            folder.put("counter.wasm", variant(&counter, round));
        } else {
            folder.overwrite("counter.wasm", variant(&counter, round));
        }
        eventually("the new plugin serves", || {
            let status = folder.status("counter");
            status.digest != before && status.problem.is_none()
        })
        .await;
        let served = folder.status("counter").evaluations;
        eventually("it is asked", || folder.status("counter").evaluations > served).await;
    }
    let seen = evaluating.finish();
    assert_eq!(seen.labels, expected);
    let status = folder.status("counter");
    assert_eq!((status.evaluations, status.faults), (u64::from(seen.evaluations), 0));
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_plugin_never_displaces_the_one_that_serves() {
    let folder = Arc::new(Folder::with_labelled_counter());
    let watching = Watching::by_events(&folder).await;
    let evaluating = Evaluating::start(&folder);
    let old = folder.status("counter").digest;
    let new = variant(&fixture("counter"), 1);
    let mut file = File::create(folder.file("counter.wasm")).expect("truncated");
    let mut written = 0;
    for (piece, end) in [0, 4, 8, 1_000, new.len() / 2, new.len() - 9].into_iter().enumerate() {
        file.write_all(&new[written..end]).expect("written");
        written = end;
        // What finds this has looked at the piece before.
        let mark = format!("mark-{piece}");
        folder.put(&format!("{mark}.toml"), "mode = \"observe\"\n");
        eventually("the folder was looked at", || folder.find(&mark).is_some()).await;
        let status = folder.status("counter");
        assert_eq!((status.state, status.digest), (PolicyState::LastGood, old), "{end} bytes");
    }
    file.write_all(&new[written..]).expect("written");
    drop(file);
    eventually("the whole plugin serves", || folder.status("counter").problem.is_none()).await;
    let status = folder.status("counter");
    assert_eq!(status.state, PolicyState::Serving);
    assert_ne!(status.digest, old);
    assert!(evaluating.finish().evaluations > 0);
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_policy_file_never_displaces_the_one_that_serves() {
    let folder = Arc::new(Folder::with_labelled_counter());
    let watching = Watching::by_events(&folder).await;
    let mut file = File::create(folder.file("counter.toml")).expect("truncated");
    let problem = || folder.find("counter").and_then(|status| status.problem).unwrap_or_default();
    eventually("the empty file is refused", || problem().contains("is empty")).await;
    assert_eq!(folder.label(), "first");
    file.write_all(b"[settings]\nlabel = \"sec").expect("written");
    eventually("the half is refused", || problem().contains("counter.toml: line 2: ")).await;
    assert_eq!((folder.label(), folder.serving()), ("first".into(), vec!["counter".into()]));
    file.write_all(b"ond\"\n").expect("written");
    eventually("the whole serves", || folder.label() == "second").await;
    assert_eq!(folder.status("counter").problem, None);
    watching.stop().await;
}

/// Replaces one file by something that may not serve, and checks who says what about it.
fn is_refused(file: &str, bytes: &[u8], problem: &str) {
    let folder = Folder::with_labelled_counter();
    let old = folder.status("counter").digest;
    folder.put(file, bytes);
    folder.scan();
    let status = folder.status("counter");
    assert_eq!((status.state, status.digest), (PolicyState::LastGood, old), "{problem}");
    let said = folder.problem("counter");
    assert!(said.starts_with(problem), "{said}, expected {problem}");
    assert_eq!(folder.names(), ["counter"], "nothing else comes of it");
    assert_eq!(summary(&folder.tick(window(1))[0]), "first: evaluation 1.");
    folder.put("counter.wasm", fixture("counter"));
    folder.put("counter.toml", label("again"));
    folder.scan();
    assert_eq!(folder.status("counter").problem, None);
    assert_eq!(summary(&folder.tick(window(1))[0]), "again: evaluation 2.");
}

#[test]
fn a_plugin_that_cannot_serve_is_refused_and_the_file_named() {
    let counter = fixture("counter");
    let not_wasm = "counter.wasm: the file is not WebAssembly, or not yet written to its end";
    is_refused("counter.wasm", b"", not_wasm);
    is_refused("counter.wasm", b"hello, world", not_wasm);
    is_refused("counter.wasm", &[0xff; 4096], not_wasm);
    let half = "counter.wasm: the plugin does not compile: unexpected end-of-file";
    is_refused("counter.wasm", &counter[..counter.len() / 3], half);
    let empty_component = b"\0asm\x0d\0\x01\0";
    is_refused("counter.wasm", empty_component, "counter.wasm: the plugin exports no function");
    let contract = "counter.wasm: the plugin is built for contract 2.0.0; this Poolwarden speaks";
    is_refused("counter.wasm", &fixture("future-contract"), contract);
    let import = "counter.wasm: the plugin imports \"acme:net/http";
    is_refused("counter.wasm", &fixture("imports-forbidden"), import);
}

#[test]
fn a_core_module_without_the_contract_is_refused() {
    // Empty, and with one function that adds.
    is_refused("counter.wasm", b"\0asm\x01\0\0\0", "counter.wasm: the plugin exports no function");
    let adds = b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\0\x07\x07\x01\x03\
        add\0\0\x0a\x09\x01\x07\0\x20\0\x20\x01\x6a\x0b";
    is_refused("counter.wasm", adds, "counter.wasm: the plugin exports no function");
}

#[test]
fn no_damage_to_a_file_ends_the_look() {
    let folder = Folder::with_labelled_counter();
    let (counter, mut seed) = (fixture("counter"), Seeded::new(11));
    let size = u32::try_from(counter.len()).expect("small");
    for round in 0..60 {
        let at = usize::try_from(seed.below(size)).expect("small");
        let mut damaged = counter.clone();
        if round % 2 == 0 {
            damaged.truncate(at);
        } else {
            // Where the contract's types stand, and anywhere.
            let at = if round % 4 == 1 { at } else { damaged.len() - 1 - at / 4 };
            damaged[at] ^= u8::try_from(1 + seed.below(255)).expect("a byte");
        }
        folder.put("counter.wasm", &damaged);
        assert!(folder.scan(), "round {round}");
        let status = folder.status("counter");
        let expected = [PolicyState::Serving, PolicyState::LastGood];
        assert!(expected.contains(&status.state), "{status:?}");
        assert!(round % 2 == 1 || status.problem.is_some(), "a piece of it served");
    }
}

#[test]
fn a_policy_file_that_cannot_be_used_is_refused_and_the_key_named() {
    for (text, problem) in [
        ("[settings]\nlabel = 3\n", "counter.toml: settings: label: 3 is not of type \"string\""),
        (
            "[settings]\ncolour = \"red\"\n",
            "counter.toml: settings: colour: is not a known setting; known are label",
        ),
        ("mood = \"enforce\"\n", "counter.toml: line 1: unknown field `mood`"),
        ("mode = \"aggressive\"\n", "counter.toml: line 1: unknown variant `aggressive`"),
        ("[limits]\ndeadline_ms = 0\n", "counter.toml: limits.deadline_ms: 0: must be 1 to 10000"),
        ("[limits]\ndeadline = 5\n", "counter.toml: line 2: unknown field `deadline`"),
        ("[scope]\ntargets = \"all\"\n", "counter.toml: line 2: invalid type"),
        ("plugin = \"../counter.wasm\"\n", "counter.toml: plugin: \"../counter.wasm\": must be"),
        ("settings = 3\n", "counter.toml: settings: 3 is not of type \"object\""),
        ("= = =\n", "counter.toml: line 1: "),
    ] {
        is_refused("counter.toml", text.as_bytes(), problem);
    }
    is_refused("counter.toml", b"label = \"\xff\xfe\"", "counter.toml cannot be read: ");
}

#[test]
fn a_missing_plugin_is_named_and_the_last_good_version_serves_on() {
    let folder = Folder::with_labelled_counter();
    folder.delete("counter.wasm");
    folder.scan();
    let status = folder.status("counter");
    assert_eq!(status.state, PolicyState::LastGood);
    let said = folder.problem("counter");
    assert!(said.starts_with("counter.wasm cannot be read: No such file"), "{said}");
    assert_eq!(summary(&folder.tick(window(1))[0]), "first: evaluation 1.");
    folder.put("counter.wasm", fixture("counter"));
    folder.scan();
    assert_eq!(folder.status("counter").problem, None);
}

#[test]
fn a_file_too_large_to_be_a_plugin_is_not_read() {
    let folder = Folder::with_labelled_counter();
    let file = File::create(folder.file("large.wasm")).expect("created");
    file.set_len((64 << 20) + 1).expect("sparse");
    folder.put("counter.toml", "plugin = \"large.wasm\"\n");
    folder.scan();
    let said = folder.problem("counter");
    assert_eq!(said, "large.wasm: the file has 67108865 bytes; a plugin may have 67108864");
    assert_eq!(folder.status("counter").state, PolicyState::LastGood);
}

#[test]
fn deleting_its_files_removes_a_policy() {
    let folder = Folder::with_labelled_counter();
    folder.delete("counter.toml");
    folder.delete("counter.wasm");
    assert!(folder.scan());
    assert!(folder.names().is_empty() && folder.serving().is_empty());
    assert!(folder.tick(window(1)).is_empty());
    assert!(!folder.scan(), "nothing more to do");
}

#[test]
fn a_bare_plugin_runs_in_observe_whatever_its_file_said_before() {
    let folder = Folder::default();
    folder.put("counter.wasm", fixture("counter"));
    folder.scan();
    assert_eq!(folder.status("counter").mode, Mode::Observe);
    assert_eq!(summary(&folder.tick(window(1))[0]), ": evaluation 1.");
    folder.put("counter.toml", "mode = \"enforce\"\n");
    folder.scan();
    assert_eq!(folder.status("counter").mode, Mode::Enforce);
    folder.delete("counter.toml");
    folder.scan();
    assert_eq!(folder.status("counter").mode, Mode::Observe);
    assert_eq!(summary(&folder.tick(window(1))[0]), ": evaluation 2.");
}

#[test]
fn a_broken_policy_file_does_not_let_its_plugin_loose() {
    let folder = Folder::default();
    folder.put("shared.wasm", fixture("counter"));
    folder.put("one.toml", "plugin = \"shared.wasm\"\nmode = \"enforce\"\n");
    folder.scan();
    assert_eq!(folder.names(), ["one"]);
    for broken in ["", "plugin = \"sha", "plugin = 3\n"] {
        folder.put("one.toml", broken);
        folder.scan();
        assert_eq!((folder.names(), folder.serving()), (vec!["one".into()], vec!["one".into()]));
        assert_eq!(folder.status("one").state, PolicyState::LastGood);
    }
}

#[test]
fn two_policies_share_a_plugin_and_nothing_else() {
    let folder = Folder::default();
    folder.put("counter.wasm", fixture("counter"));
    for name in ["one", "two"] {
        let text = format!("plugin = \"counter.wasm\"\n{}", label(name));
        folder.put(&format!("{name}.toml"), text);
    }
    folder.scan();
    assert_eq!(folder.names(), ["one", "two"], "the plugin itself is no third policy");
    let results = folder.tick(window(1));
    for name in ["one", "two"] {
        assert_eq!(summary(result_of(&results, name)), format!("{name}: evaluation 1."));
    }
    let old = folder.status("one").digest;
    folder.put("counter.wasm", variant(&fixture("counter"), 1));
    folder.put("two.toml", "plugin = \"counter.wasm\"\nmood = 1\n");
    folder.scan();
    let (one, two) = (folder.status("one"), folder.status("two"));
    assert_eq!((one.state, two.state), (PolicyState::Serving, PolicyState::LastGood));
    assert_ne!(one.digest, old, "the one has the new plugin");
    assert_eq!(two.digest, old, "the other's last good version has the old one");
    let results = folder.tick(window(1));
    assert_eq!(summary(result_of(&results, "two")), "two: evaluation 2.");
}

#[test]
fn a_touched_file_is_no_new_version() {
    let folder = Folder::with_labelled_counter();
    let loaded = folder.status("counter").loaded_at;
    let set = folder.registry().serving();
    folder.put("counter.wasm", fixture("counter"));
    folder.put("counter.toml", format!("# a comment\n{}", label("first")));
    folder.scan();
    let now = folder.registry().serving();
    assert!(Arc::ptr_eq(&set.policies()[0], &now.policies()[0]), "the very same serves");
    assert_eq!(folder.status("counter").loaded_at, loaded);
}

#[test]
fn a_change_that_keeps_size_and_time_is_noticed() {
    let folder = Folder::with_labelled_counter();
    let before =
        fs::metadata(folder.file("counter.toml")).expect("there").modified().expect("time");
    folder.overwrite("counter.toml", label("third"));
    let file = File::options().append(true).open(folder.file("counter.toml")).expect("there");
    file.set_modified(before).expect("set back, as rsync and tar do");
    folder.scan();
    assert_eq!(folder.label(), "third");
}

#[test]
fn the_sidecars_own_name_is_no_policys() {
    let folder = Folder::default();
    folder.put("poolwarden.wasm", fixture("counter"));
    folder.scan();
    assert_eq!(folder.status("poolwarden").state, PolicyState::Broken);
    assert!(folder.problem("poolwarden").contains("the sidecar's own name"));
}

#[test]
fn an_unreadable_folder_displaces_nothing() {
    let folder = Folder::with_labelled_counter();
    let aside = folder.path().with_extension("aside");
    fs::rename(folder.path(), &aside).expect("renamed");
    folder.scan();
    assert!(folder.registry().folder_problem().is_some_and(|why| why.contains("No such file")));
    answered(&folder.tick(window(1))[0]);
    fs::rename(&aside, folder.path()).expect("renamed back");
    folder.scan();
    assert_eq!(folder.registry().folder_problem(), None);
    assert_eq!(folder.status("counter").state, PolicyState::Serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_is_swapped_as_kubernetes_does_it() {
    let folder = Folder::default();
    let version = |name: &str, text: &str| {
        let dir = folder.file(name);
        fs::create_dir(&dir).expect("created");
        fs::write(dir.join("counter.wasm"), fixture("counter")).expect("written");
        fs::write(dir.join("counter.toml"), text).expect("written");
    };
    version("..2024_1", &label("first"));
    symlink("..2024_1", folder.file("..data")).expect("linked");
    for file in ["counter.wasm", "counter.toml"] {
        symlink(format!("..data/{file}"), folder.file(file)).expect("linked");
    }
    folder.scan();
    assert_eq!((folder.serving(), folder.label()), (vec!["counter".into()], "first".into()));
    let watching = Watching::by_events(&folder).await;
    version("..2024_2", &label("second"));
    symlink("..2024_2", folder.file("..data_tmp")).expect("linked");
    fs::rename(folder.file("..data_tmp"), folder.file("..data")).expect("swapped");
    fs::remove_dir_all(folder.file("..2024_1")).expect("removed");
    eventually("the new map serves", || folder.label() == "second").await;
    assert_eq!(folder.names(), ["counter"]);
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_without_events_are_found_by_the_timer() {
    let (folder, elsewhere) = (Folder::default(), tempfile::tempdir().expect("a folder"));
    let file = elsewhere.path().join("elsewhere.toml");
    fs::write(&file, label("first")).expect("written");
    symlink(&file, folder.file("counter.toml")).expect("linked");
    folder.put("counter.wasm", fixture("counter"));
    folder.scan();
    assert_eq!(folder.label(), "first");
    let watching = Watching::every(&folder, folder.registry(), Duration::from_millis(50));
    // The folder itself does not change, so nobody is told.
    fs::write(&file, label("second")).expect("written");
    eventually("the timer finds it", || folder.label() == "second").await;
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_comes_later_is_found_by_the_timer() {
    let folder = Folder::default();
    let dir = folder.file("later");
    let rescan_interval = Duration::from_millis(50);
    let config = Policies { dir: dir.clone(), rescan_interval, limits: limits() };
    let registry = Arc::new(Registry::new(runtime(), config));
    let watching = Watching::every(&folder, &registry, rescan_interval);
    eventually("its absence is said", || registry.folder_problem().is_some()).await;
    fs::create_dir(&dir).expect("created");
    fs::write(dir.join("counter.wasm"), fixture("counter")).expect("written");
    eventually("the policy serves", || registry.serving().policies().len() == 1).await;
    assert_eq!(registry.folder_problem(), None);
    watching.stop().await;
}
