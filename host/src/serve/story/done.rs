//! What was done, what came of it, and what a person can do now.

use super::words::moment;
use super::{Section, Source};
use crate::model::{Decision, Kind, Mode, Outcome, Proposal, Status, Transition};

const NOT_KNOWN: &str = "What came of it is not known yet.";

pub(super) fn section(source: Source<'_>) -> Section {
    let row = |step: &Transition| {
        vec![moment(step.at), step.status.as_str().to_owned(), step.note.clone()]
    };
    let rows: Vec<_> = source.stored.transitions.iter().map(row).collect();
    let text = match (rows.is_empty(), source.stored.decision.kind()) {
        (false, _) => Vec::new(),
        (true, Kind::Alert | Kind::Recommendation) => {
            vec!["It was recorded and shown; nothing has happened since.".to_owned()]
        }
        (true, Kind::Resize) => vec!["Nothing was sent to PgBouncer.".to_owned()],
        (true, Kind::EndSession) => vec!["No session was ended.".to_owned()],
    };
    Section::of("done", "What was done", text).with(&["WHEN", "STATUS", "WHAT"], rows)
}

/// What came of it, as a section of its own.
pub(super) fn outcome(source: Source<'_>) -> Section {
    Section::of("outcome", "What came of it", vec![sentence(source)])
}

/// What came of it, as a sentence.
pub(super) fn sentence(source: Source<'_>) -> String {
    let decision = &source.stored.decision;
    let note = source.stored.transitions.last().map_or("", |last| last.note.as_str());
    let mut steps = source.stored.transitions.iter();
    let did_harm = steps.any(|step| step.status == Status::RolledBack);
    let judged = source.effect.map_or("", |effect| effect.judged.as_str());
    let to = decision.size_to.map_or_else(|| "it".to_owned(), |size| size.to_string());
    let why = if judged.is_empty() { note } else { judged };
    let why = why.trim_end_matches('.');
    match (decision.kind(), decision.status) {
        (_, Status::Proposed) if is_under_way(source) => NOT_KNOWN.to_owned(),
        (_, Status::Proposed) => waiting(decision).to_owned(),
        (Kind::Resize, Status::Applied) => format!("{to} is in force; its effect is measured."),
        (Kind::Resize, Status::Verified) => format!("{to} was brought into force: {why}."),
        (Kind::Resize, Status::RolledBack) => {
            format!("It did harm, and the size before goes back into force: {why}.")
        }
        (Kind::Resize, Status::Inconclusive) if did_harm => {
            format!("{to} was brought into force: {}.", note.trim_end_matches('.'))
        }
        (Kind::Resize, Status::Inconclusive) => {
            format!("{to} was brought into force, and what it did cannot be told: {why}.")
        }
        (Kind::EndSession, Status::Verified) => format!("The session was ended: {why}."),
        (_, Status::Failed) => format!("It failed: {why}."),
        (_, Status::Superseded) if note.is_empty() => "Another one was heard instead.".to_owned(),
        (_, Status::Superseded) => format!("Another one took its place: {why}."),
        (_, Status::Rejected) => format!("A person said no: {why}."),
        (_, Status::Firing) => "The alert fires.".to_owned(),
        (_, Status::Resolved) => format!("It is over: {why}."),
        (_, other) => format!("It is {}.", other.as_str()),
    }
}

/// Says whether a person has approved it, or something was sent for it.
fn is_under_way(source: Source<'_>) -> bool {
    source.stored.transitions.iter().any(|step| step.status == Status::Proposed)
}

fn waiting(decision: &Decision) -> &'static str {
    let outcome = decision.verdict.as_ref().map(|verdict| verdict.outcome);
    match (decision.kind(), outcome, decision.mode) {
        (Kind::Recommendation, ..) => "It stands, for a person to carry out.",
        (_, Some(Outcome::Rejected), _) => "Nothing was done.",
        (_, Some(Outcome::Shadowed), _) => "It was recorded, and nothing was done.",
        (_, _, Mode::Recommend) => "It waits for a person.",
        _ => NOT_KNOWN,
    }
}

/// What a person can do, where there is something.
pub(super) fn next(source: Source<'_>) -> Option<Section> {
    let decision = &source.stored.decision;
    let id = decision.id;
    let passed = decision
        .verdict
        .as_ref()
        .is_some_and(|verdict| matches!(verdict.outcome, Outcome::Approved | Outcome::Clamped));
    let text = match (&decision.proposal, decision.status) {
        (Proposal::Alert { runbook, .. }, Status::Firing) if !runbook.is_empty() => {
            vec![format!("What to do: {runbook}")]
        }
        (Proposal::Recommendation { action, .. }, Status::Proposed) => {
            vec![action.clone(), format!("To put it away: poolwarden reject {id}")]
        }
        (Proposal::Resize { .. } | Proposal::EndSession { .. }, Status::Proposed)
            if passed && decision.mode == Mode::Recommend && !is_under_way(source) =>
        {
            vec![
                format!("To do it: poolwarden approve {id}"),
                format!("To put it away: poolwarden reject {id}"),
            ]
        }
        _ => return None,
    };
    Some(Section::of("next", "What you can do", text))
}
