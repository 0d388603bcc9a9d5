//! Gauges of the sidecar's own, taken from the view.

use super::Scrape;
use super::text::Text;
use crate::control::{Account, AlertView, Role, ScopeView, TargetView, View};
use crate::evaluate::PolicyState;
use crate::history::PoolView;
use crate::model::{Condition, HoldKind, PoolSize, Proposal, Severity, Status, TargetStatus};

const CONDITIONS: [Condition; 7] = [
    Condition::Idle,
    Condition::Serving,
    Condition::Queueing,
    Condition::LoginQueue,
    Condition::Paused,
    Condition::Wedged,
    Condition::Stale,
];
const STATUSES: [TargetStatus; 3] = [TargetStatus::Up, TargetStatus::Paused, TargetStatus::Down];
const STATES: [PolicyState; 4] =
    [PolicyState::Serving, PolicyState::LastGood, PolicyState::Quarantined, PolicyState::Broken];
const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

const CHANGES: [Status; 5] = [
    Status::Applied,
    Status::Verified,
    Status::RolledBack,
    Status::Inconclusive,
    Status::Superseded,
];

type PoolColumn = (&'static str, &'static str, fn(&PoolView) -> f64);

const POOLS: [PoolColumn; 6] = [
    ("poolwarden_pool_size", "Servers that the pool may have.", |pool| pool.size.into()),
    ("poolwarden_pool_utilization_ratio", "Busy servers / size.", |pool| pool.utilization),
    ("poolwarden_pool_utilization_p95_ratio", "95th percentile of busy servers / size.", |pool| {
        pool.utilization_p95
    }),
    ("poolwarden_pool_demand_connections", "Servers that the pool could use.", |pool| pool.demand),
    ("poolwarden_pool_maxwait_seconds", "Age of the oldest waiting client.", |pool| {
        pool.row.maxwait.as_secs_f64()
    }),
    ("poolwarden_pool_idle_in_transaction_sessions", "Sessions idle in a transaction.", |pool| {
        pool.backends.idle_in_transaction.into()
    }),
];

type ScopeColumn = (&'static str, &'static str, fn(&ScopeView) -> Option<u32>);

const SCOPES: [ScopeColumn; 4] = [
    ("poolwarden_scope_size", "The size in force.", |scope| scope.size.map(PoolSize::get)),
    ("poolwarden_scope_base_size", "The size of PgBouncer's file.", |scope| Some(scope.base.get())),
    ("poolwarden_scope_wanted_size", "The size that the sidecar keeps up.", |scope| {
        scope.wanted.map(PoolSize::get)
    }),
    ("poolwarden_scope_stood_down", "1 while a person's size is respected.", |scope| {
        Some(scope.stood_down.is_some().into())
    }),
];

/// Writes every family.
pub(super) fn write(text: &mut Text, scrape: &Scrape<'_>) {
    let version = env!("CARGO_PKG_VERSION");
    text.gauge("poolwarden_build_info", "Version of the sidecar.")
        .sample(&[("version", version)], 1);
    let age = scrape.now.since(scrape.view.at);
    text.gauge("poolwarden_view_age_seconds", "Time since the loop last showed its state.")
        .sample(&[], age.as_secs_f64());
    write_targets(text, scrape.view);
    write_budgets(text, scrape.view);
    write_writers(text, scrape.view);
    write_holds(text, scrape.view);
    write_pools(text, scrape.view);
    write_scopes(text, scrape.view);
    write_changes(text, scrape.view);
    write_alerts(text, scrape.view);
    write_policies(text, scrape);
    write_looks(text, scrape.view);
    write_store(text, scrape);
}

fn write_targets(text: &mut Text, view: &View) {
    let mut status =
        text.gauge("poolwarden_target_status", "1 for the status that the target has.");
    for target in &view.targets {
        for one in STATUSES {
            let labels = [("target", target.name.as_str()), ("status", one.as_str())];
            status.sample(&labels, u8::from(target.status == one));
        }
    }
    let mut age =
        text.gauge("poolwarden_target_data_age_seconds", "Time since the newest good poll.");
    for target in &view.targets {
        if let Some(data_age) = target.data_age {
            age.sample(&[("target", target.name.as_str())], data_age.as_secs_f64());
        }
    }
}

type BudgetColumn = (&'static str, &'static str, fn(&Account) -> u32);

const BUDGETS: [BudgetColumn; 5] = [
    (
        "poolwarden_database_capacity_connections",
        "What pools and others may have open together in PostgreSQL.",
        Account::capacity,
    ),
    ("poolwarden_database_others_connections", "Connections of nobody's pools.", |it| it.others),
    (
        "poolwarden_database_could_open_connections",
        "What the target's pools could open, reserves included.",
        |it| it.could_open,
    ),
    (
        "poolwarden_database_left_connections",
        "What the sizes of all targets there can still be raised by.",
        Account::left,
    ),
    (
        "poolwarden_database_exceeded_connections",
        "By how much all that could be opened exceeds the capacity.",
        Account::exceeded,
    ),
];

fn write_budgets(text: &mut Text, view: &View) {
    for (name, help, value) in &BUDGETS {
        let mut family = text.gauge(name, help);
        for target in &view.targets {
            if let Some(account) = &target.budget {
                family.sample(&[("target", target.name.as_str())], value(account));
            }
        }
    }
}

const ROLES: [Role; 4] =
    [Role::Acts, Role::Waits(uuid::Uuid::nil()), Role::Starting, Role::Observer];

fn write_writers(text: &mut Text, view: &View) {
    let help = "1 for who acts on the PgBouncer: this sidecar (self) or another one (other).";
    let mut writer = text.gauge("poolwarden_target_writer", help);
    for target in &view.targets {
        for role in ROLES {
            let is = target.writer.role.as_str() == role.as_str();
            let labels = [("target", target.name.as_str()), ("writer", role.as_str())];
            writer.sample(&labels, u8::from(is));
        }
    }
}

fn write_holds(text: &mut Text, view: &View) {
    let help = "1 while a person has said that nothing of the target is changed.";
    let mut held = text.gauge("poolwarden_target_held", help);
    for target in &view.targets {
        for kind in HoldKind::ALL {
            let labels = [("target", target.name.as_str()), ("kind", kind.as_str())];
            let holds = target.hold.as_ref().is_some_and(|hold| hold.kind == kind);
            held.sample(&labels, u8::from(holds));
        }
    }
}

fn write_pools(text: &mut Text, view: &View) {
    let pools = || {
        view.targets.iter().flat_map(|target| {
            target.pools.iter().map(|(key, pool)| {
                let labels = [
                    ("target", target.name.as_str()),
                    ("database", &*key.database),
                    ("user", &*key.user),
                ];
                (labels, pool)
            })
        })
    };
    for (name, help, value) in &POOLS {
        let mut family = text.gauge(name, help);
        pools().for_each(|(labels, pool)| family.sample(&labels, value(pool)));
    }
    let mut condition =
        text.gauge("poolwarden_pool_condition", "1 for the condition that the pool is in.");
    for (labels, pool) in pools() {
        let [target, database, user] = labels;
        for one in CONDITIONS {
            let labels = [target, database, user, ("condition", one.as_str())];
            condition.sample(&labels, u8::from(pool.condition == one));
        }
    }
}

fn write_scopes(text: &mut Text, view: &View) {
    for (name, help, value) in &SCOPES {
        let mut family = text.gauge(name, help);
        for target in &view.targets {
            for scope in &target.scopes {
                let Some(value) = value(scope) else { continue };
                let key = scope.setting.to_string();
                family.sample(&[("target", target.name.as_str()), ("scope", &key)], value);
            }
        }
    }
}

/// Shows what came of each scope's last change, and whether a further growth waits for something.
fn write_changes(text: &mut Text, view: &View) {
    let scopes = || {
        view.targets.iter().flat_map(|target| {
            let name = target.name.as_str();
            target.scopes.iter().map(move |scope| (name, scope.setting.to_string(), scope))
        })
    };
    let help = "1 for what came of the last change; applied while it is measured.";
    let mut change = text.gauge("poolwarden_scope_change", help);
    for (target, key, scope) in scopes() {
        let Some(last) = scope.change else { continue };
        for one in CHANGES {
            let labels = [("target", target), ("scope", &*key), ("status", one.as_str())];
            change.sample(&labels, u8::from(last.status == one));
        }
    }
    let help = "1 while what earlier changes did forbids a further growth.";
    let mut held = text.gauge("poolwarden_scope_growth_held", help);
    for (target, key, scope) in scopes() {
        let labels = [("target", target), ("scope", &*key)];
        held.sample(&labels, u8::from(scope.hindrance.growth.is_some()));
    }
}

/// Right after a start the policies have not spoken yet, and an alert's severity is not known.
fn severity(proposal: Option<&Proposal>) -> &'static str {
    match proposal {
        Some(Proposal::Alert { severity, .. }) => severity.as_str(),
        _ => "unknown",
    }
}

type FiringAlert<'a> = (&'a str, &'a str, &'static str);

/// Gives the firing alerts that somebody is to hear of, or those that a silence mutes.
fn firing(target: &TargetView, which: Which) -> impl Iterator<Item = FiringAlert<'_>> {
    let wanted = move |alert: &&AlertView| match which {
        Which::Heard => alert.is_heard(),
        Which::Silenced => alert.is_firing() && alert.silenced_by.is_some(),
    };
    target.alerts.iter().filter(wanted).map(|alert| {
        let key = &alert.alert.key;
        (key.policy.as_str(), key.name.as_str(), severity(alert.proposal.as_ref()))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Heard,
    Silenced,
}

const BY_SEVERITY: [(&str, &str, Which); 2] = [
    (
        "poolwarden_alerts_firing",
        "Alerts that fire, by severity, without silenced ones.",
        Which::Heard,
    ),
    (
        "poolwarden_alerts_silenced",
        "Alerts that fire and are silenced, by severity.",
        Which::Silenced,
    ),
];

const BY_NAME: [(&str, &str, Which); 2] = [
    (
        "poolwarden_alert_firing",
        "Subjects for which the alert fires, without silenced ones.",
        Which::Heard,
    ),
    (
        "poolwarden_alert_silenced",
        "Subjects for which the alert fires and is silenced.",
        Which::Silenced,
    ),
];

fn write_alerts(text: &mut Text, view: &View) {
    for (name, help, which) in BY_SEVERITY {
        let mut family = text.gauge(name, help);
        for target in &view.targets {
            let known = SEVERITIES.iter().map(|severity| severity.as_str());
            for severity in known.chain(["unknown"]) {
                let count = firing(target, which).filter(|(_, _, is)| *is == severity).count();
                family.sample(&[("target", target.name.as_str()), ("severity", severity)], count);
            }
        }
    }
    for (name, help, which) in BY_NAME {
        let mut family = text.gauge(name, help);
        for target in &view.targets {
            let mut counts = std::collections::BTreeMap::new();
            firing(target, which).for_each(|alert| *counts.entry(alert).or_insert(0_u32) += 1);
            for ((policy, name, severity), count) in counts {
                let labels = [
                    ("target", target.name.as_str()),
                    ("policy", policy),
                    ("alert", name),
                    ("severity", severity),
                ];
                family.sample(&labels, count);
            }
        }
    }
    text.gauge("poolwarden_silences", "Silences that hold.").sample(&[], view.silences.len());
    let mut family = text.gauge("poolwarden_recommendations", "Recommendations that stand.");
    for target in &view.targets {
        family.sample(&[("target", target.name.as_str())], target.advice.len());
    }
}

fn write_policies(text: &mut Text, scrape: &Scrape<'_>) {
    let mut state = text.gauge("poolwarden_policy_state", "1 for the state of the policy.");
    for policy in scrape.policies {
        for one in STATES {
            let labels = [("policy", policy.name.as_str()), ("state", one.as_str())];
            state.sample(&labels, u8::from(policy.state == one));
        }
    }
    let mut info = text.gauge("poolwarden_policy_info", "What serves under the policy's name.");
    for policy in scrape.policies {
        let digest = policy.digest.map(|digest| digest.to_string()).unwrap_or_default();
        let labels = [
            ("policy", policy.name.as_str()),
            ("plugin", &policy.plugin),
            ("version", &policy.plugin_version),
            ("digest", &digest),
            ("mode", policy.mode.as_str()),
        ];
        info.sample(&labels, 1);
    }
    text.gauge("poolwarden_policies_failing", "1 while the policies folder cannot be read.")
        .sample(&[], u8::from(scrape.folder_failing));
}

fn write_looks(text: &mut Text, view: &View) {
    let help = "Asks for a look at single sessions that came too early.";
    let mut refused = text.counter("poolwarden_session_looks_refused_total", help);
    for target in &view.targets {
        refused.sample(&[("target", target.name.as_str())], target.looks_refused);
    }
}

fn write_store(text: &mut Text, scrape: &Scrape<'_>) {
    if let Some(bytes) = scrape.store_bytes {
        text.gauge("poolwarden_store_bytes", "What the store takes on disk.").sample(&[], bytes);
    }
    text.gauge("poolwarden_store_failing", "1 while nothing can be recorded.")
        .sample(&[], u8::from(scrape.store_failing));
}
