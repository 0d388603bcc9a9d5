//! Writes the exact commands and lines that help, for a person to run.

use poolwarden_policy::{Pool, Recommendation, Window};

use crate::offenders::{Offender, Wrong, named};

/// Most sessions for which commands are written.
const COMMANDS_MAX: usize = 5;
/// `KILL_CLIENT` exists from here on.
const KILL_CLIENT_SINCE: u32 = 12_400;

/// Returns the remedy for the offenders of one pool.
pub(crate) fn of(
    window: &Window,
    wrong: Wrong,
    pool: &Pool<'_>,
    offenders: &[Offender<'_>],
) -> Recommendation {
    let mut lines = Vec::new();
    for one in offenders.iter().take(COMMANDS_MAX) {
        lines.extend(commands(window, one));
    }
    lines.extend(lasting(window, wrong));
    let fix = match offenders[0].holder.application() {
        "" => "have the application set application_name, and close what it opens".to_owned(),
        name => format!("fix {name}: it must end its transaction or close its connection"),
    };
    let (name, what) = match wrong {
        Wrong::IdleInTransaction => {
            ("end-idle-transaction", "End the transaction that was left open")
        }
        Wrong::SessionHeldIdle => ("end-idle-session", "Give the server back that is held unused"),
    };
    Recommendation::new(name, pool.subject())
        .summary(format!("{what}: {}; then {fix}.", named(&offenders[0])))
        .action(lines.join("\n"))
        .evidence("sessions", u32::try_from(offenders.len()).unwrap_or(u32::MAX))
        .evidence("idle-s", offenders[0].idle.as_secs_f64())
}

fn commands(window: &Window, one: &Offender<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let pid = one.holder.backend_pid();
    if pid > 0 {
        lines.push(format!("select pg_terminate_backend({pid}); -- in PostgreSQL"));
    }
    let client = one.holder.client();
    let is_id = client.bytes().all(|byte| byte.is_ascii_digit());
    if window.target().version >= KILL_CLIENT_SINCE && is_id {
        lines.push(format!("KILL_CLIENT {client}; -- in PgBouncer's console"));
    }
    lines
}

/// Lines that keep it from happening again; a limit that is set already is not set twice.
fn lasting(window: &Window, wrong: Wrong) -> Vec<String> {
    let (key, value) = match wrong {
        Wrong::IdleInTransaction => ("idle_transaction_timeout", 60),
        Wrong::SessionHeldIdle => ("client_idle_timeout", 600),
    };
    let set = window.setting(key).and_then(|text| text.parse::<f64>().ok());
    if set.is_some_and(|seconds| seconds > 0.0) {
        return Vec::new();
    }
    let line =
        format!("{key} = {value} ; seconds, in pgbouncer.ini below [pgbouncer], then RELOAD");
    vec![line]
}
