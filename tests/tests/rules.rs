//! Rules in CEL through the built plugin: what is said of wrong ones, and that right ones decide.

use std::fs;
use std::path::Path;

use poolwarden::evaluate::{PolicyState, Replayed};
use poolwarden::model::{Proposal, Severity, Subject, Window};
use poolwarden_tests::plugins::{Folder, answered, evidence, result_of, shipped, summary, window};

/// A folder in which the policy `rules` has these rules.
fn with_rules(rules: &str) -> Folder {
    let folder = Folder::default();
    folder.put("rules.wasm", shipped("rules"));
    folder.put("rules.toml", format!("plugin = \"rules.wasm\"\n{rules}"));
    folder.scan();
    folder
}

/// A window in which the first pool queues.
fn queueing(pools: usize) -> Window {
    let mut window = window(pools);
    window.pools.condition[0] = 2;
    window.pools.cl_waiting[0] = 12;
    window.pools.utilization[0] = 1.0;
    window
}

const FIVE_LINES: &str = "\
[[settings.rules]]
name = \"queue-too-long\"
when = \"pool.waiting > 10 && pool.utilization > 0.9\"
for_ms = 5000
severity = \"critical\"
";

#[test]
fn five_lines_are_an_alert() {
    let folder = with_rules(FIVE_LINES);
    assert_eq!(folder.status("rules").problem, None);
    let mut odd = queueing(3);
    odd.pools.condition.fill(2);
    let results = folder.tick(odd);
    let result = result_of(&results, "rules");
    let [Proposal::Alert { name, subject, severity, hold, .. }] =
        answered(result).proposals.as_slice()
    else {
        panic!("{:?}", answered(result).proposals)
    };
    assert_eq!((name.as_str(), *severity), ("queue-too-long", Severity::Critical));
    assert!(matches!(subject, Subject::Pool(key) if &*key.database == "db0"), "{subject:?}");
    assert_eq!(hold.as_millis(), 5000);
    assert_eq!(evidence(result, "pool.waiting"), 12.0);
    assert_eq!(
        summary(result),
        "queue-too-long of db0/app: pool.waiting is 12, pool.utilization is 1"
    );
    assert_eq!(folder.replay(result).expect("it runs"), Replayed::Identical);
}

#[test]
fn a_wrong_rule_is_told_with_file_rule_column_and_what_was_expected() {
    let wrong = "[[settings.rules]]\nname = \"first\"\nwhen = \"pool.wating > 10\"\n\
                 [[settings.rules]]\nname = \"second\"\nwhen = \"pool.size >\"\n";
    let folder = with_rules(wrong);
    let status = folder.status("rules");
    assert_eq!(status.state, PolicyState::Broken);
    assert_eq!(
        folder.problem("rules"),
        "rules.toml: the dry run on an empty window answered with an error: rule \"first\": when: \
         column 6: expected a field of pool, found `wating`; the nearest is pool.waiting; rule \
         \"second\": when: column 12: expected an expression, found the end"
    );
}

#[test]
fn a_wrong_change_leaves_the_rules_that_served() {
    let folder = with_rules(FIVE_LINES);
    folder.put("rules.toml", FIVE_LINES.replace("waiting", "wayting"));
    folder.scan();
    assert_eq!(folder.status("rules").state, PolicyState::LastGood);
    assert!(folder.problem("rules").contains("the nearest is pool.waiting"));
    let results = folder.tick(queueing(3));
    assert_eq!(answered(result_of(&results, "rules")).proposals.len(), 1);
}

#[test]
fn the_shipped_file_and_the_measured_rules_are_right() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, rules) in [("../policies/rules.toml", 0), ("benches/bench/rules.toml", 20)] {
        let text = fs::read_to_string(here.join(file)).expect("it is in the repository");
        assert_eq!(text.matches("\n[[settings.rules]]").count(), rules, "{file}");
        let folder = with_rules(&text.replace("plugin = \"rules.wasm\"\n", ""));
        assert_eq!(folder.status("rules").problem, None, "{file}");
    }
    let shipped = fs::read_to_string(here.join("../policies/rules.toml")).expect("shipped");
    // Its examples, taken out of their comments, are right too.
    let at = shipped.find("[settings]").expect("a table of settings");
    let examples: String = shipped[at..]
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with("[[") || line.contains(" = "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(examples.matches("[[settings.rules]]").count(), 4);
    let folder = with_rules(&examples);
    assert_eq!(folder.status("rules").problem, None, "{examples}");
}

#[test]
fn the_worst_hour_of_many_pools_is_told_within_the_limits() {
    let all = (0..20).fold(String::new(), |all, at| {
        format!("{all}[[settings.rules]]\nname = \"r{at}\"\nwhen = \"pool.size > 0\"\n")
    });
    let folder = with_rules(&all);
    for pools in [10, 400, 2_000] {
        let mut window = window(pools);
        window.pools.condition.fill(2);
        let results = folder.tick(window);
        let told = &answered(result_of(&results, "rules")).proposals;
        let is_cut = |one: &Proposal| matches!(one, Proposal::Alert { name, .. } if name == "too-many-alerts");
        assert!(told.iter().any(is_cut) && told.len() > pools, "{pools} pools: {}", told.len());
    }
}
