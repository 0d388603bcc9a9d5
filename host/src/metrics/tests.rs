//! What a scrape must offer.

use super::sample::{self, target_name};
use super::*;
use crate::model::TargetStatus;

/// Name and labels of every metric of `pgbouncer_exporter` whose column some PgBouncer has
/// (`requests`, the source of `..._queries_total`, was removed in PgBouncer 1.8).
const EXPORTER: &[(&str, &str, &[&str])] = &[
    (
        "database,user",
        "gauge",
        &[
            "pgbouncer_pools_client_active_connections",
            "pgbouncer_pools_client_active_cancel_connections",
            "pgbouncer_pools_client_waiting_connections",
            "pgbouncer_pools_client_waiting_cancel_connections",
            "pgbouncer_pools_server_active_connections",
            "pgbouncer_pools_server_active_cancel_connections",
            "pgbouncer_pools_server_being_canceled_connections",
            "pgbouncer_pools_server_idle_connections",
            "pgbouncer_pools_server_used_connections",
            "pgbouncer_pools_server_testing_connections",
            "pgbouncer_pools_server_login_connections",
            "pgbouncer_pools_client_maxwait_seconds",
        ],
    ),
    (
        "database",
        "counter",
        &[
            "pgbouncer_stats_totals_queries_pooled_total",
            "pgbouncer_stats_totals_queries_duration_seconds_total",
            "pgbouncer_stats_totals_received_bytes_total",
            "pgbouncer_stats_totals_sent_bytes_total",
            "pgbouncer_stats_totals_client_wait_seconds_total",
            "pgbouncer_stats_totals_sql_transactions_pooled_total",
            "pgbouncer_stats_totals_server_in_transaction_seconds_total",
            "pgbouncer_stats_totals_client_parses_total",
            "pgbouncer_stats_totals_server_parses_total",
            "pgbouncer_stats_totals_binds_total",
            "pgbouncer_stats_totals_server_assignments_total",
        ],
    ),
    (
        "name,host,port,database,force_user,pool_mode",
        "gauge",
        &[
            "pgbouncer_databases_pool_size",
            "pgbouncer_databases_reserve_pool",
            "pgbouncer_databases_max_connections",
            "pgbouncer_databases_current_connections",
            "pgbouncer_databases_paused",
            "pgbouncer_databases_disabled",
        ],
    ),
    (
        "",
        "gauge",
        &[
            "pgbouncer_databases",
            "pgbouncer_users",
            "pgbouncer_pools",
            "pgbouncer_free_clients",
            "pgbouncer_used_clients",
            "pgbouncer_login_clients",
            "pgbouncer_free_servers",
            "pgbouncer_used_servers",
            "pgbouncer_cached_dns_names",
            "pgbouncer_cached_dns_zones",
            "pgbouncer_in_flight_dns_queries",
            "pgbouncer_config_max_client_connections",
            "pgbouncer_config_max_user_connections",
            "pgbouncer_up",
        ],
    ),
    ("version", "gauge", &["pgbouncer_version_info"]),
];

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn rendered(metrics: &Metrics, view: &View) -> String {
    metrics.render(&Scrape {
        now: NOW,
        view,
        policies: &[],
        folder_failing: false,
        store_bytes: Some(4_096),
        store_failing: false,
    })
}

/// Gives the label names of the first sample of a metric.
fn labels<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' '])))?;
    let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once("} ")).unwrap_or_default();
    Some(inside.0.split_terminator("\",").filter_map(|l| Some(l.split_once('=')?.0)).collect())
}

#[test]
fn every_metric_of_the_exporter_is_there_with_its_labels_and_type() {
    let text = rendered(&Metrics::new(), &sample::view(NOW));
    for (wanted, kind, names) in EXPORTER {
        for name in *names {
            let found = labels(&text, name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(found.join(","), *wanted, "{name}");
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}");
        }
    }
}

#[test]
fn several_targets_are_told_apart_by_one_more_label() {
    let mut view = sample::view(NOW);
    view.targets.push(sample::target("other", NOW));
    let text = rendered(&Metrics::new(), &view);
    for (wanted, _, names) in EXPORTER {
        for name in *names {
            let found = labels(&text, name).unwrap_or_else(|| panic!("{name} is missing"));
            let wanted =
                if wanted.is_empty() { "target".into() } else { format!("target,{wanted}") };
            assert_eq!(found.join(","), wanted, "{name}");
        }
    }
}

#[test]
fn times_are_seconds() {
    let text = rendered(&Metrics::new(), &sample::view(NOW));
    for line in [
        "pgbouncer_stats_totals_server_in_transaction_seconds_total{database=\"app\"} 5.5",
        "pgbouncer_pools_client_maxwait_seconds{database=\"app\",user=\"web\"} 2",
        "poolwarden_pool_maxwait_seconds{target=\"main\",database=\"app\",user=\"web\"} 2.5",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is missing");
    }
}

#[test]
fn a_target_that_is_down_shows_no_frozen_numbers() {
    let mut view = sample::view(NOW);
    view.targets[0].status = TargetStatus::Down;
    let text = rendered(&Metrics::new(), &view);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("pgbouncer_")).collect();
    assert_eq!(lines, ["pgbouncer_up 0"]);
}

#[test]
fn what_a_poll_costs_is_counted_by_command() {
    let metrics = Metrics::new();
    let main = target_name("main");
    let cost = |command| Cost { command, took: Duration::from_millis(2), rows: 5 };
    metrics.polled(&main, &[cost("pools"), cost("connect")]);
    metrics.polled(&main, &[cost("pools")]);
    metrics.poll_failed(&main, "timeout");
    metrics.tick(&main, Duration::from_millis(3));
    metrics.resized(&main, Duration::from_millis(4), "in_force");
    metrics.store_failed("disk_full");
    let text = rendered(&metrics, &View::default());
    for line in [
        "poolwarden_poll_seconds_count{target=\"main\",command=\"pools\"} 2",
        "poolwarden_poll_seconds_sum{target=\"main\",command=\"pools\"} 0.004",
        "poolwarden_poll_rows_total{target=\"main\",command=\"pools\"} 10",
        "poolwarden_polls_failed_total{target=\"main\",kind=\"timeout\"} 1",
        "poolwarden_tick_seconds_count{target=\"main\"} 1",
        "poolwarden_resizes_total{target=\"main\",outcome=\"in_force\"} 1",
        "poolwarden_resize_seconds_count{target=\"main\"} 1",
        "poolwarden_store_failures_total{kind=\"disk_full\"} 1",
        "poolwarden_store_bytes 4096",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is missing in {text}");
    }
}

#[test]
fn each_family_stands_together_and_once() {
    let mut view = sample::view(NOW);
    view.targets.push(sample::target("other", NOW));
    let text = rendered(&Metrics::new(), &view);
    let mut families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let all = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), all);
    assert!(text.contains("process_resident_memory_bytes "));
    assert!(text.contains("process_cpu_seconds_total "));
}
