//! Names who holds servers and does nothing: one alert a pool and kind, with the worst of them.
//!
//! Without PostgreSQL's word a client that holds a server, sends nothing and runs no query is as good
//! as one that left a transaction open: in transaction pooling nothing else holds a server.

use std::collections::BTreeMap;
use std::time::Duration;

use poolwarden_policy::{
    Alert, EndSession, Holder, HolderState, Pool, PoolMode, Proposal, Sessions, Severity, Window,
};

use crate::remedy;
use crate::settings::Settings;

/// Most offenders that a summary names.
const NAMED: usize = 3;
/// Most sessions that one evaluation asks to end.
const ENDS_MAX: usize = 20;

/// What a session does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// It left a transaction open.
    IdleInTransaction,
    /// It holds its server for the session, idles, and others wait.
    SessionHeldIdle,
}

impl Wrong {
    /// Returns the name of the alert.
    pub(crate) fn alert(self) -> &'static str {
        match self {
            Self::IdleInTransaction => "idle-in-transaction",
            Self::SessionHeldIdle => "session-held-idle",
        }
    }

    /// Returns where to read what to do.
    fn runbook(self) -> &'static str {
        match self {
            Self::IdleInTransaction => "docs/runbooks/idle-in-transaction.md",
            Self::SessionHeldIdle => "docs/runbooks/session-held-idle.md",
        }
    }
}

/// A session that is to be blamed, and for how long it has idled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offender<'w> {
    pub holder: Holder<'w>,
    pub idle: Duration,
}

/// Offenders by pool and kind, those that have idled longest first.
pub(crate) type Offenders<'w> = BTreeMap<(usize, Wrong), Vec<Offender<'w>>>;

/// Finds the offenders of a look.
pub(crate) fn find<'w>(settings: &Settings, sessions: &Sessions<'w>) -> Offenders<'w> {
    let mut found = Offenders::new();
    for holder in sessions.holders() {
        if let Some((wrong, idle)) = judge(settings, &holder) {
            let offenders = found.entry((holder.pool().index(), wrong)).or_default();
            offenders.push(Offender { holder, idle });
        }
    }
    for offenders in found.values_mut() {
        offenders.sort_by_key(|one| std::cmp::Reverse(one.idle));
    }
    found
}

fn judge(settings: &Settings, holder: &Holder<'_>) -> Option<(Wrong, Duration)> {
    let pool = holder.pool();
    let (wrong, idle) = match (holder.state(), pool.mode()) {
        (HolderState::Running, _) => return None,
        (HolderState::IdleInTransaction, _) => (Wrong::IdleInTransaction, holder.state_age()),
        (HolderState::Idle, PoolMode::Session) => (Wrong::SessionHeldIdle, holder.state_age()),
        // On its way back to the pool.
        (HolderState::Idle, _) => return None,
        (HolderState::Unknown, PoolMode::Session) => (Wrong::SessionHeldIdle, holder.request_age()),
        (HolderState::Unknown, _) => (Wrong::IdleInTransaction, holder.request_age()),
    };
    let least = match wrong {
        Wrong::IdleInTransaction => settings.idle_in_transaction_min(),
        Wrong::SessionHeldIdle if pool.cl_waiting() == 0 => return None,
        Wrong::SessionHeldIdle => settings.session_idle_min(),
    };
    (idle >= least).then_some((wrong, idle))
}

/// Proposes what follows from the offenders of a look.
pub(crate) fn propose(
    settings: &Settings,
    window: &Window,
    found: &Offenders<'_>,
    proposals: &mut Vec<Proposal>,
) {
    for ((_, wrong), offenders) in found {
        let Some(worst) = offenders.first() else { continue };
        let pool = worst.holder.pool();
        proposals.push(alert(settings, *wrong, &pool, offenders).into());
        if settings.recommendations_enabled {
            proposals.push(remedy::of(window, *wrong, &pool, offenders).into());
        }
    }
    let Some(end_after) = settings.end_after() else { return };
    let due = found.values().flatten().filter(|one| one.idle >= end_after);
    let endable = due.filter(|one| one.holder.is_endable());
    proposals.extend(endable.take(ENDS_MAX).map(|one| end(one).into()));
}

fn alert(settings: &Settings, wrong: Wrong, pool: &Pool<'_>, offenders: &[Offender<'_>]) -> Alert {
    let worst = &offenders[0];
    let severity = if pool.cl_waiting() > 0 { Severity::Critical } else { Severity::Warning };
    let holder = &worst.holder;
    Alert::new(wrong.alert(), pool.subject())
        .severity(severity)
        .summary(summary(wrong, pool, offenders))
        .hold(settings.hold())
        .cooldown(settings.cooldown())
        .label("application", worst.holder.application())
        .label("address", worst.holder.address())
        .label("client", worst.holder.client())
        .label("backend_pid", worst.holder.backend_pid().to_string())
        .runbook(wrong.runbook())
        .evidence("sessions", u32::try_from(offenders.len()).unwrap_or(u32::MAX))
        .evidence("idle-s", worst.idle.as_secs_f64())
        .evidence("backend-pid", worst.holder.backend_pid())
        .evidence("connected-s", holder.connected().as_secs_f64())
        .evidence("transaction-s", holder.transaction_age().as_secs_f64())
        .evidence("last-statement-s", holder.statement_age().as_secs_f64())
        .evidence("waiting", pool.cl_waiting())
}

fn summary(wrong: Wrong, pool: &Pool<'_>, offenders: &[Offender<'_>]) -> String {
    let who: Vec<String> = offenders.iter().take(NAMED).map(named).collect();
    let count = match offenders.len() {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    };
    let does = match wrong {
        Wrong::IdleInTransaction => "in a transaction that nobody goes on with",
        Wrong::SessionHeldIdle => "for a session that does nothing while others wait",
    };
    let more = match offenders.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{count} of {} held {does}: {}{more}.", pool.name(), who.join("; "))
}

/// Writes who it is, from the application down to the backend.
pub(crate) fn named(one: &Offender<'_>) -> String {
    let holder = &one.holder;
    let application = match holder.application() {
        "" => "an application without a name".to_owned(),
        name => format!("application {name}"),
    };
    let backend = match holder.backend_pid() {
        0 => String::new(),
        pid => format!(", backend {pid}"),
    };
    let statement = match holder.statement_age() {
        Duration::ZERO => String::new(),
        age => format!(", last statement {} s ago", age.as_secs()),
    };
    format!(
        "{application} at {} (client {}{backend}), idle for {} s, connected for {} s{statement}",
        holder.address(),
        holder.client(),
        one.idle.as_secs(),
        holder.connected().as_secs(),
    )
}

fn end(one: &Offender<'_>) -> EndSession {
    EndSession::new(one.holder)
        .reason(format!("{}.", named(one)))
        .evidence("idle-s", one.idle.as_secs_f64())
        .evidence("backend-pid", one.holder.backend_pid())
}
