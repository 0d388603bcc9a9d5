//! What is compared, rendered and reached, on rows as some version of PgBouncer would give them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compare::{Ours, differences};
use super::overrides::{Found, Owned, PutError, found, head, mode, put, text};
use super::reach::reach;
use crate::console::{ConfigRow, InForce};
use crate::ini::{Ini, read};
use crate::model::{DatabaseRow, Knob, Means, Obstacle, ScopeKey, Setting};

const INI: &str = "[databases]\n\
    app = host=h port=6000 password='a b''c' pool_size=7\n\
    plain = host=h\n\
    * = host=star\n\
    [users]\n\
    u = pool_size=4 max_user_connections=9\n\
    [pgbouncer]\n\
    default_pool_size = 0x14\n\
    query_wait_timeout = 1000000\n\
    pool_mode = Transaction\n\
    logfile = ~/p/b.log\n";

fn ini(text: &str) -> Ini {
    let get = |_: &str| Ok(text.as_bytes().to_vec());
    read("/etc/p.ini", 1, &get).expect("a good ini")
}

fn row(name: &str, host: &str, size: u32) -> DatabaseRow {
    DatabaseRow {
        name: Arc::from(name),
        database: Arc::from(name),
        host: Some(host.to_owned()),
        port: Some(5432),
        force_user: None,
        pool_size: Some(size),
        min_pool_size: Some(0),
        reserve_pool: Some(0),
        pool_mode: None,
        max_connections: Some(0),
        current_connections: Some(0),
        paused: false,
        disabled: false,
    }
}

/// What is in force once [`INI`] was read.
fn in_force(version: u32) -> InForce {
    let config = [
        ("default_pool_size", "20", Some("20")),
        ("min_pool_size", "0", Some("0")),
        ("reserve_pool_size", "0", Some("0")),
        ("max_db_connections", "0", Some("0")),
        ("query_wait_timeout", "1e+06", Some("120")),
        ("pool_mode", "transaction", Some("session")),
        ("logfile", "/home/x/p/b.log", Some("")),
        ("verbose", "2", None),
        ("conffile", "/etc/p.ini", None),
    ];
    let config = config.map(|(key, value, default)| {
        let default = default.map(str::to_owned);
        let row = ConfigRow { value: Some(value.to_owned()), default, changeable: true };
        (key.to_owned(), row)
    });
    let app = DatabaseRow { port: Some(6000), ..row("app", "h", 7) };
    let rows = [app, row("plain", "h", 20), row("auto", "star", 20)];
    InForce {
        version,
        config: config.into_iter().collect(),
        databases: rows.into_iter().map(|row| (Arc::clone(&row.name), row)).collect(),
        users: BTreeMap::from([(
            Arc::from("u"),
            crate::console::UserRow {
                pool_size: (version >= 12_300).then_some(4),
                max_user_connections: (version >= 12_300).then_some(9),
                ..Default::default()
            },
        )]),
    }
}

fn size_of(name: &str) -> Setting {
    Setting::size_of(ScopeKey::Database(Arc::from(name)))
}

fn told(ini: &Ini, now: &InForce) -> Vec<String> {
    differences(ini, now, &Ours::default())
}

#[test]
fn what_means_the_same_is_no_difference() {
    for version in [11_800, 12_401] {
        assert_eq!(told(&ini(INI), &in_force(version)), Vec::<String>::new());
    }
}

#[test]
fn every_difference_is_named_with_its_line_and_no_secret() {
    let edits = [
        ("0x14", "19", "default_pool_size (20 in force, 19 in /etc/p.ini:8)"),
        ("pool_mode = Transaction", "", "pool_mode (the default)"),
        ("plain = host=h", "plain = host=other", "host of database plain (/etc/p.ini:3)"),
        ("pool_size=7", "pool_size=8", "pool_size of database app (/etc/p.ini:2)"),
        ("plain = host=h\n", "\n", "database plain, which is not in the file"),
        ("* = host=star\n", "\n", "database auto, which is not in the file"),
        ("pool_size=4", "pool_size=5", "pool_size of user u (/etc/p.ini:6)"),
        ("pool_size=4", "colour=5", "user u (/etc/p.ini:6), whose key colour"),
        ("pool_size=7", "port=x", "database app (/etc/p.ini:2), whose port is no number"),
        ("logfile", "log_file", "log_file (/etc/p.ini:11), which this PgBouncer does not know"),
    ];
    for (from, to, wanted) in edits {
        let edited = INI.replacen(from, to, 1);
        let told = told(&ini(&edited), &in_force(12_401));
        assert!(told.iter().any(|one| one.starts_with(wanted)), "{wanted}: {told:?}");
        assert!(!format!("{told:?}").contains("a b"));
    }
}

#[test]
fn a_reserve_that_may_be_an_echo_is_no_difference_beside_a_size_of_its_own() {
    let mut now = in_force(12_502);
    let row = now.users.get_mut("u").expect("there");
    row.reserve_pool_size = Some(2);
    assert_eq!(told(&ini(INI), &now), ["reserve_pool_size of user u (/etc/p.ini:6)"]);
    let row = now.users.get_mut("u").expect("there");
    row.echoes.insert(Knob::ReservePoolSize);
    assert_eq!(told(&ini(INI), &now), Vec::<String>::new());
}

#[test]
fn sizes_of_ours_are_no_difference_and_others_are() {
    let mut now = in_force(12_401);
    let set = |now: &mut InForce, size: &str| {
        let row = now.config.get_mut("default_pool_size").expect("there");
        row.value = Some(size.to_owned());
    };
    set(&mut now, "31");
    let rows: Vec<_> = now.databases.keys().filter(|name| &***name != "app").cloned().collect();
    let mut databases = now.databases.clone();
    for name in rows {
        databases.get_mut(&name).expect("there").pool_size = Some(31);
    }
    databases.get_mut("app").expect("there").pool_size = Some(9);
    now.databases = databases;
    let sizes = BTreeMap::from([(Setting::DEFAULT, vec![31]), (size_of("app"), vec![8, 9])]);
    let ours = Ours { sizes, ..Ours::default() };
    assert_eq!(differences(&ini(INI), &now, &ours), Vec::<String>::new());
    set(&mut now, "32");
    assert!(!differences(&ini(INI), &now, &ours).is_empty());
}

#[test]
fn an_entry_that_an_override_hides_is_no_difference_after_a_reload() {
    let edited = ini(&INI.replacen("app = host=h", "app = host=new", 1));
    let text = b"[databases]\napp = host=h port=6000 pool_size=7 pool_size=7\n";
    let hiding = crate::ini::read_alone("o", text).expect("good").databases;
    let masks = Ours { masks: Some(&hiding), ..Ours::default() };
    assert_eq!(differences(&edited, &in_force(11_800), &masks), Vec::<String>::new());
    assert!(!told(&edited, &in_force(11_800)).is_empty());
}

fn rendered(version: u32, sizes: &[(Setting, u32)]) -> Option<String> {
    let sizes = sizes.iter().cloned().collect();
    let loaded = [(size_of("app"), 6)].into();
    let text = text("/etc/p.ini", &ini(INI), (&sizes, &loaded), &in_force(version));
    text.map(|text| String::from_utf8(text).expect("UTF-8"))
}

#[test]
fn an_override_repeats_the_whole_entry_and_reads_back() {
    let reserve = Setting { scope: ScopeKey::Database("app".into()), knob: Knob::ReservePoolSize };
    let user = Setting::size_of(ScopeKey::User("u".into()));
    let gone = size_of("gone");
    let sizes = [(size_of("app"), 9), (reserve, 2), (user, 5), (gone.clone(), 3)];
    for (version, name) in [(11_800, "reserve_pool"), (12_401, "reserve_pool_size")] {
        let text = rendered(version, &sizes).expect("something to say");
        let line =
            format!("app = host=h port=6000 password='a b''c' pool_size=7 pool_size=9 {name}=2\n");
        assert!(text.contains(&line), "{text}");
        assert!(
            text.contains("\n[users]\n") && text.contains("u = pool_size=4 max_user"),
            "{text}"
        );
        assert!(!text.contains("[pgbouncer]") && !text.contains("gone"), "{text}");
        let Found { main, sizes: read, loaded, databases } =
            found(text.as_bytes()).expect("our own");
        assert_eq!(main, "/etc/p.ini");
        let wanted = sizes.iter().filter(|(setting, _)| *setting != gone).cloned().collect();
        assert_eq!(read, wanted);
        let user = Setting::size_of(ScopeKey::User("u".into()));
        assert_eq!(loaded, [(size_of("app"), 6), (user, 4)].into(), "as loaded, or as it is");
        assert_eq!(databases["app"].number(&["pool_size"]), Some(9));
    }
    assert_eq!(found(INI.as_bytes()), None, "the operator's file is not ours");
    assert_eq!(found(&head("/x")).map(|found| found.main).as_deref(), Some("/x"));
}

#[test]
fn nothing_is_overridden_that_the_file_says_itself() {
    let min = Setting { scope: ScopeKey::Database("app".into()), knob: Knob::MinPoolSize };
    assert_eq!(rendered(11_800, &[(size_of("app"), 7), (min.clone(), 0)]), None);
    assert_eq!(rendered(11_800, &[(Setting::DEFAULT, 9), (size_of("*"), 9)]), None);
    assert!(rendered(11_800, &[(min, 1)]).is_some());
}

#[test]
fn a_written_file_is_whole_and_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (ini, path) = (dir.path().join("p.ini"), dir.path().join("o.ini"));
    std::fs::write(&ini, INI).expect("written");
    for (mode, wanted) in [(0o644, 0o640), (0o600, 0o600), (0o660, 0o640)] {
        std::fs::set_permissions(&ini, PermissionsExt::from_mode(mode)).expect("changed");
        put(&path, b"text", std::slice::from_ref(&ini)).expect("written");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o7777;
        assert_eq!((mode, std::fs::read(&path).expect("there")), (wanted, b"text".to_vec()));
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 2, "nothing else is left");
    let included = dir.path().join("secrets.ini");
    std::fs::write(&included, "").expect("written");
    std::fs::set_permissions(&included, PermissionsExt::from_mode(0o600)).expect("changed");
    put(&path, b"text", &[ini.clone(), included]).expect("written");
    let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600, "as few may read it as may read the strictest of them");
    let nowhere = put(&dir.path().join("no/o.ini"), b"text", std::slice::from_ref(&ini));
    assert!(matches!(nowhere, Err(PutError::Io(_))), "{nowhere:?}");
}

#[test]
fn nobody_reads_an_override_who_may_not_read_the_ini() {
    // The users and groups: 1 is PgBouncer's, 2 the sidecar's.
    let cases = [
        // The ini's mode; whose the file is; its mode, or that there is none.
        (0o600, (1, 1), Some(0o600)),
        (0o640, (1, 1), Some(0o640)),
        (0o640, (2, 1), Some(0o640)),
        (0o600, (1, 2), Some(0o600)),
        (0o640, (1, 2), Some(0o600)),
        // Everybody may read the ini.
        (0o644, (2, 2), Some(0o640)),
        (0o604, (2, 2), Some(0o640)),
        (0o604, (2, 1), None),
        // It would be the sidecar's own group that reads it, or nobody.
        (0o600, (2, 2), None),
        (0o640, (2, 2), None),
        (0o600, (2, 1), None),
    ];
    for (of_ini, (user, group), wanted) in cases {
        let ini = Owned { user: 1, group: 1, mode: 0o100_000 | of_ini };
        let file = Owned { user, group, mode: 0o100_600 };
        assert_eq!(mode(&ini, &file), wanted, "{of_ini:o} {user} {group}");
    }
}

#[test]
fn reach_depends_on_version_and_layout() {
    let file = ini(INI);
    let user = Setting::size_of(ScopeKey::User("u".into()));
    let old = reach(&in_force(11_800), Ok(&file), None);
    assert_eq!(old.settings[&Setting::DEFAULT].means, Ok(Means::Set));
    assert_eq!(old.settings[&size_of("app")].means, Ok(Means::Override));
    assert_eq!(old.settings[&size_of("app")].file, Some(7));
    assert!(old.obstacle(&user).is_some(), "1.18 has no sizes of users");
    assert!(old.obstacle(&size_of("auto")).is_some(), "only * serves it");
    assert_eq!(reach(&in_force(12_401), Ok(&file), None).obstacle(&user), None);
    let obstacle = Obstacle::new("why", "what to do");
    let blocked = reach(&in_force(12_401), Ok(&file), Some(&obstacle));
    assert_eq!(blocked.obstacle(&size_of("app")), Some(&obstacle));
    assert_eq!(blocked.obstacle(&Setting::DEFAULT), None);
    assert!(reach(&in_force(11_500), Ok(&file), None).obstacle(&Setting::DEFAULT).is_some());
}
