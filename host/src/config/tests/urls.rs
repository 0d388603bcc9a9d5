//! URLs are read as libpq reads them, or refused.

use std::path::PathBuf;

use crate::config::address::{console_of, parse};
use crate::config::{Address, Tls};

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp { host: host.to_owned(), port }
}

#[test]
fn addresses_are_read_in_every_form() {
    let unix = Address::Unix { dir: PathBuf::from("/run/pg"), port: 6432 };
    for (url, expected) in [
        ("postgres://u@h", tcp("h", 6432)),
        ("postgresql://u@h:1/", tcp("h", 1)),
        ("postgres://u@[::1]:65535/pgbouncer", tcp("::1", 65535)),
        ("postgres://u@/pgbouncer?host=/run/pg", unix.clone()),
        ("postgres:///pgbouncer?host=/run/pg&user=u", unix.clone()),
        ("postgres://u@%2Frun%2Fpg/pgbouncer", unix),
        ("postgres://u@h/pgbouncer?port=7", tcp("h", 7)),
    ] {
        let parts = parse(url, 6432).unwrap_or_else(|reason| panic!("{url}: {reason}"));
        assert_eq!((parts.address, parts.user.as_deref()), (expected, Some("u")), "{url}");
    }
}

#[test]
fn percent_encoding_is_undone_everywhere() {
    let parts = parse("postgres://u%40x:p%3A%2F%25@h/d%20e", 1).expect("it is well formed");
    assert_eq!(parts.user.as_deref(), Some("u@x"));
    assert_eq!(parts.password.expect("there is one").expose(), "p:/%");
    assert_eq!(parts.database.as_deref(), Some("d e"));
}

#[test]
fn tls_follows_sslmode_and_is_never_weakened() {
    let tls = |query: &str| parse(&format!("postgres://u@h/?{query}"), 1).map(|parts| parts.tls);
    assert_eq!(tls(""), Ok(Tls::Prefer));
    assert_eq!(tls("sslmode=disable"), Ok(Tls::Disable));
    assert_eq!(tls("sslmode=require"), Ok(Tls::Require));
    assert_eq!(tls("sslmode=verify-full"), Ok(Tls::VerifyFull { ca_file: None }));
    for refused in [
        "sslmode=verify-ca",
        "sslmode=",
        "sslrootcert=/dev/null",
        "sslmode=verify-full&sslrootcert=/nonexistent",
        "sslmod=require",
    ] {
        assert!(tls(refused).is_err(), "{refused}");
    }
    let unix = parse("postgres:///?host=/run", 1).expect("it is well formed");
    assert_eq!(unix.tls, Tls::Disable);
}

#[test]
fn what_is_not_such_a_url_is_refused() {
    for url in [
        "",
        "h:6432",
        "http://u@h",
        "postgres:h",
        "postgres://",
        "postgres:///d",
        "postgres://u@/d",
        "postgres://u@h:0",
        "postgres://u@h:65536",
        "postgres://u@a,b/",
        "postgres://u:%+1@h",
        "postgres://u:%e9@h",
        "postgres://u:a@h?password=b",
        "postgres://u@h?port=x",
    ] {
        assert!(parse(url, 6432).is_err(), "{url}");
    }
}

#[test]
fn an_apps_url_becomes_that_of_the_console() {
    let of = |url| console_of(url);
    assert_eq!(of("postgres://u:p%40@h:1/app?schema=x"), "postgres://u:p%40@h:1/pgbouncer");
    let kept = of("postgres://u@h/app?sslmode=require&pgbouncer=true");
    assert_eq!(kept, "postgres://u@h/pgbouncer?sslmode=require");
    assert_eq!(of("nonsense"), "nonsense");
}
