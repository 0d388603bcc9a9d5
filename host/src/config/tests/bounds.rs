//! Each bound that the schema states: taken at the bound, refused beyond it.

use super::{bad, load};
use crate::config::schema::{Field, fields, range, schema};

/// Writes a file in which one key has the given value, and all else is such that the key's whole
/// range fits.
fn with(field: &Field, value: i64) -> String {
    let key = field.path.join(".");
    let mut lines = vec![("target.database.url", "\"postgres://u@h/d\"".to_owned())];
    // Keys that another key bounds get that one's extreme.
    match key.as_str() {
        "poll.fast_interval_ms" => lines.push(("poll.interval_ms", "60000".into())),
        "store.inputs_kept_days" => lines.push(("store.decisions_kept_days", "3650".into())),
        "store.decisions_kept_days" => lines.push(("store.inputs_kept_days", "1".into())),
        "history.short_span_s" => lines.push(("history.long_span_s", "3600".into())),
        "target.limits.floor" => lines.push(("target.limits.ceiling", "2147483647".into())),
        _ => {}
    }
    lines.push((&key, value.to_string()));
    let (of_target, top): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|(key, _)| key.starts_with("target."));
    let write = |(key, value): &(&str, String)| format!("{key} = {value}\n");
    let top: String = top.iter().map(write).collect();
    let inner = of_target.iter().map(|(key, value)| (&key["target.".len()..], value.clone()));
    let inner: String = inner.map(|line| write(&line)).collect();
    format!("{top}{}{inner}", super::MINIMUM)
}

#[test]
fn each_number_is_taken_at_its_bounds_and_refused_beyond_them() {
    let mut checked = 0;
    for field in fields(&schema()) {
        let Some((min, max)) = range(&field.schema) else { continue };
        let number = |bound: &serde_json::Value| bound.as_i64().expect("bounds are small");
        let (min, max) = (number(min), number(max));
        for inside in [min, max] {
            let text = with(&field, inside);
            assert!(load(&text, &[]).is_ok(), "{text}\n{:?}", load(&text, &[]));
        }
        for outside in [min - 1, max + 1] {
            let lines = bad(&with(&field, outside), &[]);
            let said = format!(": {outside}: must be a whole number from {min} to {max}");
            assert!(lines.len() == 1 && lines[0].ends_with(&said), "{lines:?}");
        }
        checked += 1;
    }
    assert!(checked > 30, "only {checked} bounds were found");
}

#[test]
fn every_number_has_a_range_and_every_key_a_description() {
    for field in fields(&schema()) {
        assert!(!field.doc().is_empty(), "{} has no description", field.path.join("."));
        let number = field.schema["type"] == "integer";
        assert_eq!(range(&field.schema).is_some(), number, "{}", field.path.join("."));
        if number {
            let key = field.key().to_owned();
            let default = &field.schema["default"];
            assert!(default.is_u64(), "{key} has no default");
        }
    }
}

#[test]
fn a_bound_between_two_keys_is_taken_when_equal() {
    let equal = "poll = { interval_ms = 500, fast_interval_ms = 500 }\n\
        store = { decisions_kept_days = 7, inputs_kept_days = 7 }\n\
        history = { short_span_s = 10, long_span_s = 10 }\n";
    let limits = "limits = { floor = 7, ceiling = 7 }";
    assert!(load(&format!("{equal}{}{limits}", super::MINIMUM), &[]).is_ok());
}

#[test]
fn names_are_taken_up_to_63_characters() {
    let named = |length| super::MINIMUM.replace("main", &"x".repeat(length));
    assert!(load(&named(63), &[]).is_ok());
    assert!(bad(&named(64), &[])[0].ends_with("must be text of 1 to 63 characters"));
    assert!(bad(&named(0), &[])[0].contains("target[0].name"));
    let slash = super::MINIMUM.replace("main", "a/b");
    assert!(bad(&slash, &[])[0].contains("\"a/b\" may hold only letters"));
}
