//! Words that several parts of a story use.

use std::time::Duration;

use crate::model::{Decision, Kind, Mode, Outcome, Proposal, Status, Subject, Timestamp};

/// Writes a moment as UTC.
pub(super) fn moment(at: Timestamp) -> String {
    crate::ask::moment(at.as_millis())
}

/// Writes a span of microseconds with the unit that tells most.
pub(super) fn span_us(us: f64) -> String {
    crate::ask::span(Duration::from_secs_f64((us / 1e6).clamp(0.0, 1e9)))
}

/// Writes a number as a person would: few digits, no tail of zeros.
pub(super) fn number(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Names what a decision is about.
pub(super) fn subject(decision: &Decision) -> String {
    match (&decision.proposal, &decision.subject) {
        (Proposal::Resize { setting, .. }, _) => setting.words(),
        (Proposal::EndSession { session, .. }, Subject::Pool(pool)) => {
            format!("client {} of pool {pool}", session.client)
        }
        (_, Subject::Target) => "the whole PgBouncer".to_owned(),
        (_, Subject::DatabaseServer) => "the PostgreSQL behind it".to_owned(),
        (_, Subject::Scope(scope)) => format!("scope {scope}"),
        (_, Subject::Pool(pool)) => format!("pool {pool}"),
    }
}

/// Says how things stand with a decision.
pub(super) fn status(decision: &Decision) -> &'static str {
    match (decision.status, decision.kind()) {
        (Status::Proposed, Kind::Recommendation) => "it stands",
        (Status::Proposed, _) => unfinished(decision),
        (Status::Applied, _) => "in force",
        (Status::Verified, Kind::EndSession) => "done",
        (Status::Verified, _) => "brought into force and verified",
        (Status::RolledBack, _) => "did harm, goes back",
        (Status::Inconclusive, _) => "brought into force, effect unknown",
        (Status::Failed, _) => "failed",
        (Status::Superseded, _) => "superseded by a newer one",
        (Status::Rejected, _) => "rejected by a person",
        (Status::Firing, _) => "it fires",
        (Status::Resolved, _) => "resolved",
    }
}

/// Says how things stand with what has not been done.
fn unfinished(decision: &Decision) -> &'static str {
    match (decision.verdict.as_ref().map(|verdict| verdict.outcome), decision.mode) {
        (Some(Outcome::Rejected), _) => "refused by the guard",
        (Some(Outcome::Shadowed), _) => "recorded only",
        (_, Mode::Recommend) => "it waits for a person",
        _ => "its outcome is not known yet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits() {
        for (value, text) in
            [(0.3, "0.3"), (0.1 + 0.2, "0.3"), (12.0, "12"), (1234.56, "1235"), (0.004, "0")]
        {
            assert_eq!(number(value), text);
        }
    }
}
