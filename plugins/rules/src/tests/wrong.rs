//! What is said of a rule that is wrong: rule, key, column, what was expected and what was found.

use super::{ask, usual};

/// Returns what is said of a rule with this condition.
fn said(when: &str) -> String {
    let settings = format!("{{\"rules\":[{{\"name\":\"r\",\"when\":{when:?}}}]}}");
    ask(&settings, &usual()).expect_err(when)
}

fn check(when: &str, expected: &str) {
    assert_eq!(said(when), format!("rule \"r\": when: {expected}"), "{when}");
}

#[test]
fn a_syntax_error_names_column_and_what_was_expected() {
    check("pool.waiting >", "column 15: expected an expression, found the end");
    check("pool.waiting > > 3", "column 16: expected an expression, found `>`");
    check(
        "pool.waiting = 10",
        "column 14: expected an operator or the end (`==` compares), found `=`",
    );
    check("a and b", "column 3: expected an operator or the end (and is `&&`), found `and`");
    check("(pool.waiting > 10", "column 19: expected `)`, found the end");
    check("pool.waiting > 1 & true", "column 18: expected `&&`, found `&`");
    check(
        "'é' == pool.user = 1",
        "column 18: expected an operator or the end (`==` compares), found `=`",
    );
    check("", "column 1: expected an expression, found the end");
    check(
        "'abc",
        "column 1: expected an expression in CEL (unterminated string literal), found `'`",
    );
    check(
        "true &&\n  pool.size 3",
        "line 2, column 13: expected an operator or the end, found `3`",
    );
}

#[test]
fn an_unknown_name_offers_the_nearest_known_one() {
    check(
        "pool.wating > 10",
        "column 6: expected a field of pool, found `wating`; the nearest is pool.waiting",
    );
    check(
        "true && pool . cl_activ > 10",
        "column 16: expected a field of pool, found `cl_activ`; the nearest is pool.cl_active",
    );
    check("pol.size > 1", "column 1: expected a known name, found `pol`; the nearest is pool");
    check(
        "utilization > 0.9",
        "column 1: expected a known name, found `utilization`; the nearest is pool.utilization",
    );
    check(
        "database_server.lock > 1",
        "column 17: expected a field of database_server, found `lock`; the nearest is \
         database_server.waiting_on_lock",
    );
    check("pool.frobnicated", "column 6: expected a field of pool, found `frobnicated`");
    check(
        "pool.database.startWith('a')",
        "column 24: expected a known function, found `startWith`; the nearest is startsWith",
    );
    check(
        "pool.condition == 'wegded'",
        "column 19: expected one of \"idle\", \"serving\", \"queueing\", \"login_queue\", \"paused\", \
         \"wedged\", \"stale\", found \"wegded\"; the nearest is \"wedged\"",
    );
    check(
        "pool > 3",
        "column 1: expected a field of pool, for example pool.database, found `pool`",
    );
}

#[test]
fn a_type_error_is_found_before_anything_is_evaluated() {
    check("pool.waiting", "column 1: expected a bool, found an int");
    check("pool.waiting && true", "column 6: expected a bool, found an int");
    check(
        "pool.database > 3",
        "column 15: expected two numbers or two strings, found a string and an int",
    );
    check(
        "pool.size == '3'",
        "column 11: expected two values that can be equal, found an int and a string",
    );
    check(
        "pool.waiting * 0.5 > 3.0",
        "column 14: expected two numbers of one type around `*`, found an int and a double; write \
         double(pool.waiting)",
    );
    check(
        "pool.utilization * 100 > 90",
        "column 18: expected two numbers of one type around `*`, found a double and an int; write \
         100.0",
    );
    check(
        "has(pool.size)",
        "column 1: expected a label in has(), for example has(target.labels.role), \
         found `pool.size`; whether PostgreSQL is looked at says database_server.known",
    );
    check("size(3) > 1", "column 6: expected a string, a list or a map for `size`, found an int");
    check("math.abs('a') > 1", "column 10: expected a number for `math.abs`, found a string");
    check(
        "math.greatest(1, 'a') > 1",
        "column 18: expected a number for `math.greatest`, found a string",
    );
    check(
        "pool.user.startsWith('a', 'b')",
        "column 21: expected 1 argument of `startsWith`, found 2",
    );
}

#[test]
fn what_types_cannot_tell_is_tried_out() {
    let error = said("[1, 'a'].exists(x, x + 'b' == pool.user)");
    assert!(
        error.starts_with("rule \"r\": when: column 1: expected values that go together"),
        "{error}"
    );
    check("dyn(pool.waiting)", "column 1: expected a bool, found an int");
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    let said = |rule: &str| {
        let settings = format!("{{\"rules\":[{{\"name\":\"r\",{rule}}}]}}");
        ask(&settings, &usual()).expect_err(rule)
    };
    let cases = [
        (
            r#""when":"pool.size > 1","on":"target""#,
            "on: expected \"pool\" for a rule that mentions pool.size, found \"target\"",
        ),
        (
            r#""when":"target.clients > 1","resize":"3""#,
            "resize: expected a rule on pools or scopes, which have a size, found none",
        ),
        (
            r#""when":"pool.size > 1","resize":"3","for_ms":5"#,
            "for_ms: expected nothing beside `resize`: it belongs to alerts",
        ),
        (
            r#""when":"pool.size > 1","resize":"3","recommend":{"action":"x"}"#,
            "resize: expected `resize` or `recommend`, found both",
        ),
        (
            r#""when":"pool.size > 1","resize":"pool.database""#,
            "resize: column 1: expected a number, found a string",
        ),
        (
            r#""when":"pool.size > 1","message":"é {{pool.siz}}""#,
            "message: column 10: expected a field of pool, found `siz`; the nearest is pool.size",
        ),
        (
            r#""when":"pool.size > 1","message":"é {{pool.size""#,
            "message: column 3: expected `}}` for this `{{`, found the end",
        ),
        (
            r#""when":"pool.size > 1","message":"{{target.labels}}""#,
            "message: column 3: expected a number, a string or a bool, found a map",
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(said(rule), format!("rule \"r\": {expected}"), "{rule}");
    }
}

#[test]
fn every_problem_of_every_rule_is_said_at_once() {
    let settings = r#"{"rules":[{"name":"a b","when":"pool.size >"},{"name":"c","when":"x"},
                                {"name":"c","when":"true"}]}"#;
    let said = ask(settings, &usual()).expect_err("three wrong rules");
    let parts: Vec<&str> = said.split("; rule ").collect();
    assert_eq!(parts.len(), 4, "{said}");
    assert!(parts[0].contains("name: expected 1 to 64 letters"), "{said}");
    assert!(parts[1].starts_with("\"a b\": when: column 12"), "{said}");
    assert!(parts[3].starts_with("\"c\": name: expected a name of its own"), "{said}");
}

#[test]
fn what_nests_too_deep_is_refused_and_not_run() {
    let deep = format!("{}pool.size{} > 1", "(1 + ".repeat(400), ")".repeat(400));
    assert!(said(&deep).contains("recursion"), "{}", said(&deep));
    let long = format!("pool.size{} > 1", " + 1".repeat(400));
    assert!(said(&long).contains("expected at most 100 nested parts"), "{}", said(&long));
}
