//! What rules decide, and what is said of wrong ones.

mod equal;
mod wrong;

use poolwarden_policy::contract::{DatabaseServer, TargetStatus, Window as Columns};
use poolwarden_policy::testing::{PoolRow, ScopeRow, columns, name_columns, window};
use poolwarden_policy::{Proposal, Severity, Subject, Window, contract};

use crate::{Rules, Settings};

/// Evaluates rules that are given as the JSON of the policy's settings.
fn ask(settings: &str, window: &Window) -> Result<Vec<Proposal>, String> {
    poolwarden_policy::evaluate::<Rules>(window, settings, &[]).map(|answer| answer.proposals)
}

/// Evaluates one rule on pools, given without its braces.
fn one(rule: &str, window: &Window) -> Vec<Proposal> {
    let settings = format!("{{\"rules\":[{{\"name\":\"r\",{rule}}}]}}");
    ask(&settings, window).unwrap_or_else(|error| panic!("{error}"))
}

fn pools() -> Vec<PoolRow> {
    let mut other = PoolRow::serving("billing", "app", 10, 2);
    other.scope = 1;
    vec![PoolRow::queueing("orders", "app", 10, 12, 14.2), other]
}

fn scopes() -> Vec<ScopeRow> {
    vec![ScopeRow::default_size(10), ScopeRow::database("billing", 10)]
}

fn usual() -> Window {
    window(&scopes(), &pools()).expect("the rows belong together")
}

/// The usual window after a change by hand.
fn changed(change: impl FnOnce(&mut Columns)) -> Window {
    let mut all = columns(&scopes(), &pools());
    change(&mut all);
    name_columns(all, &scopes(), &pools()).expect("the rows belong together")
}

fn alert(proposal: &Proposal) -> &contract::Alert {
    match proposal {
        Proposal::Alert(alert) => alert,
        other => panic!("{other:?} is no alert"),
    }
}

#[test]
fn a_rule_of_five_lines_alerts_where_it_holds() {
    let found = one(
        r#""when":"pool.waiting > 10 && pool.utilization > 0.9","for_ms":5000,
           "severity":"critical""#,
        &usual(),
    );
    let [only] = found.as_slice() else { panic!("{found:?}") };
    let only = alert(only);
    assert_eq!((only.name.as_str(), only.subject), ("r", Subject::Pool(0)));
    assert_eq!((only.severity, only.hold_ms, only.cooldown_ms), (Severity::Critical, 5000, 0));
    assert_eq!(only.summary, "r of orders/app: pool.waiting is 12, pool.utilization is 1");
    let evidence: Vec<_> = only.evidence.iter().map(|e| (e.name.as_str(), e.value)).collect();
    assert_eq!(evidence, [("pool.waiting", 12.0), ("pool.utilization", 1.0)]);
}

#[test]
fn a_message_is_filled_and_labels_and_runbook_are_passed_on() {
    let found = one(
        r#""when":"pool.waiting > 0","runbook":"https://wiki/queue","labels":{"team":"db"},
           "message":"{{pool.waiting}} clients wait for {{ pool.database }} at {{pool.demand}} of \
            {{pool.utilization * 100.0}} % in {{pool.mode}} mode, {{pool.database.size() + 1}}""#
            .replace("\\\n            ", "")
            .as_str(),
        &usual(),
    );
    let only = alert(&found[0]);
    let expected = "12 clients wait for orders at 14.2 of 100 % in transaction mode, 7";
    assert_eq!(only.summary, expected);
    assert_eq!(only.labels, [("team".to_owned(), "db".to_owned())]);
    assert_eq!(only.runbook, "https://wiki/queue");
}

#[test]
fn what_a_rule_is_about_follows_from_what_it_mentions() {
    let seen = usual();
    let about = |rule: &str| alert(&one(rule, &seen)[0]).subject;
    assert_eq!(about(r#""when":"pool.size > 0 && target.clients > 0""#), Subject::Pool(0));
    assert_eq!(about(r#""when":"scope.kind == 'database'""#), Subject::Scope(1));
    assert_eq!(about(r#""when":"target.pools == 2 && target.waiting == 12""#), Subject::Target);
    assert_eq!(about(r#""when":"window.hour == 13 && window.weekday == 1""#), Subject::Target);
    assert_eq!(about(r#""when":"!database_server.known""#), Subject::DatabaseServer);
    assert_eq!(about(r#""when":"target.clients > 0","on":"pool""#), Subject::Pool(0));
    assert_eq!(one(r#""when":"target.clients > 0","on":"pool""#, &seen).len(), 2);
}

#[test]
fn ints_and_doubles_are_compared_with_one_another() {
    let seen = usual();
    for holds in [
        "pool.utilization >= 1 && pool.waiting > 11.5",
        "pool.cl_waiting == 12.0",
        "double(pool.waiting) / double(pool.size) > 1.1",
        "pool.waiting * 2 == 24 && pool.waiting / 5 == 2 && -pool.waiting % 5 == -2",
        "pool.condition in ['queueing', 'wedged'] && pool.database.startsWith('or')",
        "(pool.waiting > 100 ? pool.demand : pool.demand_max_long) > 14",
        "[1, 2].exists(x, x + 10 == pool.waiting)",
        "math.greatest(pool.waiting, 20) == 20 && math.ceil(pool.demand) == 15.0",
        "pool.user.upperAscii() == 'APP' && pool.waiting > 0",
    ] {
        let found = one(&format!(r#""when":{holds:?}"#), &seen);
        assert_eq!(found.len(), 1, "{holds}: {found:?}");
        assert_eq!(alert(&found[0]).subject, Subject::Pool(0), "{holds}");
    }
}

#[test]
fn labels_are_looked_up_and_a_missing_one_holds_nothing() {
    let seen = changed(|all| all.target.labels = vec![("role".to_owned(), "replica".to_owned())]);
    let count = |when: &str| one(&format!(r#""when":{when:?}"#), &seen).len();
    assert_eq!(count("target.labels.role == 'replica'"), 1);
    assert_eq!(count("target.labels['role'] != 'primary' && pool.waiting > 0"), 1);
    assert_eq!(count("has(target.labels.role) && target.labels.role != 'primary'"), 1);
    assert_eq!(count("target.labels.shard == '1'"), 0);
    assert_eq!(count("target.labels.shard != '1'"), 0, "neither equal nor unequal: unknown");
    assert_eq!(count("!has(target.labels.shard)"), 1);
    assert_eq!(count("'role' in target.labels"), 1);
    assert_eq!(count("target.labels.shard == '1' || pool.waiting > 0"), 1, "CEL's `||`");
}

#[test]
fn nothing_follows_from_a_database_server_that_is_not_known() {
    let rule = |when: &str| format!(r#""when":{when:?}"#);
    let unknown = usual();
    assert_eq!(one(&rule("database_server.connections < 5"), &unknown).len(), 0);
    assert_eq!(one(&rule("database_server.known"), &unknown).len(), 0);
    let known = changed(|all| all.database = Some(server()));
    assert_eq!(one(&rule("database_server.connections < 5"), &known).len(), 1);
    assert_eq!(one(&rule("database_server.known && database_server.reachable"), &known).len(), 1);
}

fn server() -> DatabaseServer {
    DatabaseServer {
        reachable: true,
        data_age_ms: 0,
        max_connections: 100,
        reserved_connections: 3,
        connections: 4,
        active: 1,
        idle_in_transaction: 0,
        running: 1,
        waiting_on_lock: 0,
        waiting_on_io: 0,
        waiting_on_other: 0,
        others: 0,
        budget: 90,
    }
}

#[test]
fn a_recommendation_names_the_action() {
    let found = one(
        r#""when":"pool.waiting > 10","message":"{{pool.database}} queues",
           "recommend":{"action":"pool_size={{pool.size * 2}}"}"#,
        &usual(),
    );
    let [Proposal::Recommendation(advice)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((advice.name.as_str(), advice.subject), ("r", Subject::Pool(0)));
    assert_eq!(
        (advice.summary.as_str(), advice.action.as_str()),
        ("orders queues", "pool_size=20")
    );
}

#[test]
fn a_scope_gets_the_largest_size_rounded_up_and_within_its_bounds() {
    let mut rows = pools();
    rows[1].scope = 0;
    let seen = window(&scopes()[..1], &rows).expect("rows");
    let size = |resize: &str, seen: &Window| {
        let found = one(&format!(r#""when":"pool.size > 0","resize":{resize:?}"#), seen);
        let [Proposal::Resize(resize)] = found.as_slice() else { panic!("{found:?}") };
        (resize.scope, resize.size)
    };
    assert_eq!(size("pool.demand", &seen), (0, 15));
    assert_eq!(size("pool.waiting + pool.size", &seen), (0, 22));
    assert_eq!(size("math.least(pool.size, 3)", &seen), (0, 3));
    assert_eq!(size("-5", &seen), (0, 1));
    assert_eq!(size("1000", &seen), (0, 100), "the scope's ceiling");
    assert!(one(r#""when":"pool.size > 0","resize":"pool.size""#, &seen).is_empty());
    let both = r#"{"rules":[{"name":"a","when":"pool.size > 0","resize":"12"},
                            {"name":"b","when":"scope.size > 0","resize":"17"}]}"#;
    let found = ask(both, &seen).expect("rules");
    let [Proposal::Resize(resize)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(resize.size, 17);
}

#[test]
fn a_rule_sizes_any_number_of_a_scope() {
    let rule = |rest: &str| format!(r#""when":"scope.kind == 'default'",{rest}"#);
    let found = one(&rule(r#""resize":"scope.min_size + 3","knob":"min_pool_size""#), &usual());
    let [Proposal::Resize(resize)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((resize.knob, resize.size), (contract::Knob::MinPoolSize, 3));
    assert!(one(&rule(r#""resize":"0","knob":"reserve_pool_size""#), &usual()).is_empty());

    let unable = changed(|all| all.scopes.actionable[0] = 1);
    let found = one(&rule(r#""resize":"4","knob":"reserve_pool_size""#), &unable);
    let [Proposal::Recommendation(advice)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(advice.action, "[pgbouncer]\nreserve_pool_size = 4");

    let both = r#"{"rules":[{"name":"a","when":"scope.kind == 'default'","resize":"12"},
        {"name":"b","when":"scope.kind == 'default'","resize":"2","knob":"min_pool_size"}]}"#;
    assert_eq!(ask(both, &usual()).expect("rules").len(), 2);
    let alone = r#"{"rules":[{"name":"a","when":"true","knob":"pool_size"}]}"#;
    let refused = ask(alone, &usual()).expect_err("a knob needs a size");
    assert!(refused.contains("knob: expected `resize` beside it"), "{refused}");
}

#[test]
fn a_size_that_the_sidecar_cannot_set_is_recommended() {
    let found = one(r#""when":"pool.database == 'billing'","resize":"25""#, &usual());
    let [Proposal::Recommendation(advice)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(advice.subject, Subject::Scope(1));
    assert_eq!(advice.action, "[databases]\nbilling = … pool_size=25");
}

#[test]
fn a_target_that_is_down_says_nothing_of_its_pools() {
    let down = changed(|all| all.target.status = TargetStatus::Down);
    assert!(one(r#""when":"pool.size > 0""#, &down).is_empty());
    assert_eq!(one(r#""when":"target.status == 'down'""#, &down).len(), 1);
    let paused = changed(|all| all.target.status = TargetStatus::Paused);
    assert_eq!(one(r#""when":"pool.size > 0""#, &paused).len(), 2);
    assert!(one(r#""when":"pool.size > 0","resize":"99""#, &paused).is_empty());
    let stale = changed(|all| all.pools.condition = vec![6, 1]);
    assert_eq!(one(r#""when":"pool.size > 0""#, &stale).len(), 1);
}

#[test]
fn a_condition_that_cannot_be_told_is_remembered_and_no_fault() {
    let settings = r#"{"rules":[{"name":"r","when":"10 / (pool.size - 10) > 1"}]}"#;
    let answer = poolwarden_policy::evaluate::<Rules>(&usual(), settings, &[]).expect("no fault");
    assert!(answer.proposals.is_empty());
    assert_eq!(String::from_utf8_lossy(&answer.memory), r#"{"untold":["r"]}"#);
}

#[test]
fn more_than_the_sidecar_takes_is_told_in_one_alert() {
    let rows: Vec<_> = (0..700).map(|n| PoolRow::serving(&format!("d{n}"), "u", 10, 2)).collect();
    let seen = window(&scopes(), &rows).expect("rows");
    let rules: Vec<String> =
        (0..20).map(|n| format!(r#"{{"name":"r{n}","when":"pool.size > 0"}}"#)).collect();
    let found = ask(&format!("{{\"rules\":[{}]}}", rules.join(",")), &seen).expect("rules");
    assert_eq!(found.len(), 7 * 700 + 1);
    assert_eq!(alert(found.last().expect("one")).name, "too-many-alerts");
}

#[test]
fn no_rules_are_valid_settings() {
    assert_eq!(ask("{}", &usual()), Ok(Vec::new()));
    assert_eq!(ask(r#"{"rules":[]}"#, &usual()), Ok(Vec::new()));
    assert_eq!(Settings::default().rules, []);
}

#[test]
fn the_readme_lists_every_field_with_its_type_and_meaning() {
    let readme = include_str!("../README.md");
    let mut rest = readme;
    for root in crate::field::Root::ALL {
        let title = format!("`{}.…`:", root.name());
        rest = rest.split_once(&title).unwrap_or_else(|| panic!("no section {title}")).1;
        for field in root.fields() {
            let short = match field.short {
                "" => String::new(),
                short => format!(" or `{short}`"),
            };
            let kind = field.kind().to_string();
            let kind = kind.trim_start_matches("an ").trim_start_matches("a ");
            let row = format!("| `{}`{short} | {kind} | {} |", field.name, field.means);
            assert!(rest.contains(&row), "{}: no row {row}", root.name());
        }
    }
}
