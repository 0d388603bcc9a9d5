//! The dialect's corners, each as PgBouncer 1.18 and 1.24 were seen to read it.

use std::collections::BTreeMap;
use std::io;

use super::{Ini, IniError, leading_int, read, read_alone};

fn load(files: &[(&str, &str)]) -> Result<Ini, IniError> {
    load_at(0, files)
}

fn load_at(level: u32, files: &[(&str, &str)]) -> Result<Ini, IniError> {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    let get = |name: &str| {
        let text = files.get(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(text.as_bytes().to_vec())
    };
    read("main.ini", level, &get)
}

fn one(text: &str) -> Ini {
    load(&[("main.ini", text)]).expect("a good ini")
}

fn problem(files: &[(&str, &str)]) -> String {
    load(files).expect_err("a bad ini").to_string()
}

#[test]
fn a_plain_file_is_read() {
    let ini = one(
        "# note\n [databases] a = host=h pool_size=7\n* = host=x\n\n[users]\nu=pool_mode=session\n\
                   [pgbouncer]\n  default_pool_size =  12 \r\nadmin_users=; none\n",
    );
    assert_eq!(ini.databases["a"].number(&["pool_size"]), Some(7));
    assert_eq!(ini.databases["*"].text("host").as_deref(), Some("x"));
    assert_eq!(ini.users["u"].text("pool_mode").as_deref(), Some("session"));
    assert_eq!(ini.settings["default_pool_size"].text, "12");
    assert_eq!(ini.settings["default_pool_size"].place.to_string(), "main.ini:8");
    assert_eq!(ini.settings["admin_users"].text, "; none", "no comment behind a value");
}

#[test]
fn a_later_entry_replaces_the_whole_and_a_second_header_resets() {
    let ini = one("[pgbouncer]\nmax_client_conn=5\n[databases]\na=host=h user=u\na=port=3\n\
                   [databases]\nb=port=4\n[pgbouncer]\nverbose=1\n");
    assert_eq!(ini.databases["a"].keys().collect::<Vec<_>>(), ["port"]);
    assert_eq!(ini.databases["b"].number(&["port"]), Some(4));
    assert!(!ini.settings.contains_key("max_client_conn"));
    assert!(ini.settings.contains_key("verbose"));
}

#[test]
fn quoted_values_are_unquoted_and_any_name_of_a_key_counts() {
    let ini =
        one("[pgbouncer]\n[databases]\na=password='a b''c' reserve_pool=2 reserve_pool_size=3\n");
    let entry = &ini.databases["a"];
    assert_eq!(entry.text("password").as_deref(), Some("a b'c"));
    assert_eq!(entry.number(&["reserve_pool", "reserve_pool_size"]), Some(3));
    assert_eq!(entry.expose(), b"password='a b''c' reserve_pool=2 reserve_pool_size=3");
}

#[test]
fn sections_go_on_across_included_files() {
    let ini = load(&[
        ("main.ini", "[pgbouncer]\n%include more.ini\nverbose = 2\n"),
        ("more.ini", "default_pool_size=4\n[databases]\n%include /dbs\n[pgbouncer]\n"),
        ("/dbs", "a=host=h"),
    ]);
    let ini = ini.expect("a good ini");
    assert_eq!(ini.files, ["main.ini", "more.ini", "/dbs"]);
    assert_eq!(ini.settings.keys().collect::<Vec<_>>(), ["verbose"]);
    assert!(ini.databases.contains_key("a"));
}

#[test]
fn errors_name_file_and_line_and_no_secret() {
    let secret = "[databases]\na = host=h password=geheim port\n";
    for (text, wanted) in [
        (secret, "main.ini:2: has a connection string"),
        ("[databases]\npgbouncer = host=h\n", "main.ini:2: the database name pgbouncer"),
        ("[databases]\n'we ird' = host=h\n", "main.ini:2: is not of the form"),
        ("\n[nonsense]\n", "main.ini:2: has a section other"),
        ("[pgbouncer\n", "main.ini:1: is not of the form"),
        ("verbose = 1\n", "main.ini:1: has a value before any section"),
        ("[databases]\na=host=h\n", "main.ini has no section [pgbouncer]"),
        ("[pgbouncer]\n\nx=\0\n", "main.ini:3: has a NUL byte"),
        ("[pgbouncer]\n%include gone.ini\n", "gone.ini cannot be read (included at main.ini:2)"),
    ] {
        let said = problem(&[("main.ini", text)]);
        assert!(said.starts_with(wanted), "{said}");
    }
    let ini = one("[pgbouncer]\nauth_query=geheim\n[databases]\na = password=geheim\n");
    assert!(!format!("{ini:?}").contains("geheim"));
}

#[test]
fn includes_go_as_deep_as_pgbouncer_goes() {
    let names: Vec<_> = (0..=11).map(|n| format!("{n}")).collect();
    let texts: Vec<_> = (0..=11).map(|n| format!("%include {}\n", n + 1)).collect();
    let chain = |deepest: usize| {
        let mut files = vec![("main.ini", "[pgbouncer]\n%include 1\n")];
        for n in 1..=deepest {
            let text = if n == deepest { "" } else { texts[n].as_str() };
            files.push((names[n].as_str(), text));
        }
        files
    };
    assert!(load(&chain(10)).is_ok());
    assert!(load_at(1, &chain(9)).is_ok());
    let said = load_at(1, &chain(10)).expect_err("too deep").to_string();
    assert!(said.starts_with("9:1: includes a file more than 10 levels deep"), "{said}");
    assert!(load(&chain(11)).is_err());
}

#[test]
fn a_file_that_includes_itself_is_an_error_and_no_endless_loop() {
    assert!(matches!(load(&[("main.ini", "%include main.ini\n")]), Err(IniError::Depth { .. })));
}

#[test]
fn numbers_read_as_pgbouncer_reads_them() {
    let all = ["7", " 7x", "abc", "-1", "+3"].map(leading_int);
    assert_eq!(all, [7, 7, 0, -1, 3]);
}

#[test]
fn one_file_can_be_read_without_its_includes() {
    let ini = read_alone("o", b"%include /etc/x.ini\n[databases]\na=pool_size=3\n").expect("good");
    assert_eq!(ini.files, ["o", "/etc/x.ini"]);
    assert_eq!(ini.databases["a"].number(&["pool_size"]), Some(3));
}
