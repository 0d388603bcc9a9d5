//! The SDKs say what the contract says: nothing that is written down twice has fallen behind.
//!
//! The C bindings, which are generated, are held to it by `plugins/sdk/c/generate.sh --check`.

use std::fs;
use std::path::{Path, PathBuf};

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins")
}

fn read(path: &str) -> String {
    let path = plugins().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fields of a record of the contract, in kebab case.
fn fields(record: &str) -> Vec<String> {
    let contract = read("wit/v1/policy.wit");
    let start = format!("    record {record} {{\n");
    let (_, rest) = contract.split_once(&start).unwrap_or_else(|| panic!("no record {record}"));
    let (body, _) = rest.split_once("\n    }").expect("a record ends");
    let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    lines.filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
}

fn camel(field: &str) -> String {
    let mut parts = field.split('-');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (head, tail) = part.split_at(1);
        name + &head.to_ascii_uppercase() + tail
    })
}

#[test]
fn every_column_of_the_contract_is_in_every_sdk() {
    let (javascript, types) = (read("sdk/javascript/window.js"), read("sdk/javascript/index.d.ts"));
    let (python, c) = (
        read("sdk/python/poolwarden_policy/window.py"),
        read("sdk/c/poolwarden_policy.h") + &read("sdk/c/plugin.c"),
    );
    for record in ["pools", "scopes", "holders", "client-groups"] {
        for field in fields(record) {
            let (camel, snake) = (camel(&field), field.replace('-', "_"));
            let of_row = [
                "scope",
                "condition",
                "mode",
                "kind",
                "actionable",
                "pools",
                "pool",
                "state",
                "endable",
                "change",
            ];
            if !of_row.contains(&field.as_str()) {
                assert!(
                    types.contains(&format!("readonly {camel}: ")),
                    "index.d.ts: {record}.{camel}"
                );
                assert!(
                    python.contains(&format!("_cell(\"{snake}\"")),
                    "window.py: {record}.{snake}"
                );
            }
            let in_list = javascript.contains(&format!("\"{camel}\""));
            assert!(
                in_list || javascript.contains(&format!("_columns.{camel}")),
                "window.js: {camel}"
            );
            let is_cell = c.contains(&format!(", {snake})")) || c.contains(&format!(".{snake}."));
            assert!(is_cell || record == "client-groups", "C: {snake}");
        }
    }
    for field in fields("past") {
        let shown = field == "from-ms" || field.starts_with("step");
        assert!(shown || javascript.contains(&format!("\"{}\"", camel(&field))), "past: {field}");
    }
}
