//! What the policy said, and which policy it was.

use super::words::{number, subject};
use super::{Section, Source};
use crate::model::{Evidence, Origin, Proposal};

pub(super) fn policy(source: Source<'_>) -> Section {
    let decision = &source.stored.decision;
    let name = decision.policy.as_str();
    let mode = decision.mode.as_str();
    let mut text = match &decision.origin {
        Origin::Plugin { digest, version, .. } => {
            vec![format!("Policy {name} in mode {mode}, plugin version {version} ({digest}).")]
        }
        Origin::Host => vec![format!("The sidecar itself ({name}); the target's mode was {mode}.")],
    };
    match (&decision.origin, source.evaluation) {
        (Origin::Plugin { .. }, Some(evaluation)) => {
            text.push(format!("Its settings: {}", evaluation.settings));
            text.push(
                "Its input is kept: `poolwarden replay` decides it again, from a copy of the store or \
                 when the sidecar is stopped."
                    .to_owned(),
            );
        }
        (Origin::Plugin { .. }, None) => {
            text.push("Its input is no longer kept, so it cannot be replayed.".to_owned());
        }
        (Origin::Host, _) => {}
    }
    Section::of("policy", "Who decided", text)
}

pub(super) fn section(source: Source<'_>) -> Section {
    let decision = &source.stored.decision;
    let mut text = vec![format!("It {}.", asked(source))];
    text.push(format!("Because: {}", decision.reason()));
    if let Proposal::Alert { labels, .. } = &decision.proposal
        && !labels.is_empty()
    {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text.push(format!("Labels: {}", labels.join(" ")));
    }
    let row = |one: &Evidence| vec![one.name.clone(), number(one.value)];
    let rows = decision.evidence().iter().map(row).collect();
    Section::of("said", "What it said", text).with(&["NUMBER", ">VALUE"], rows)
}

/// Who wanted what, as a sentence.
pub(super) fn sentence(source: Source<'_>) -> String {
    let decision = &source.stored.decision;
    let who = match decision.origin {
        Origin::Plugin { .. } => format!("Policy {}", decision.policy),
        Origin::Host => "Poolwarden itself".to_owned(),
    };
    let reason = decision.reason().trim_end_matches('.');
    format!("{who} {}, because: {reason}.", asked(source))
}

fn asked(source: Source<'_>) -> String {
    let decision = &source.stored.decision;
    let about = subject(decision);
    match &decision.proposal {
        Proposal::Alert { name, severity, hold, .. } => {
            let hold = match hold.as_millis() {
                0 => "at once".to_owned(),
                ms => format!("after {ms} ms without a break"),
            };
            format!("raised the alert {name} ({}) about {about}, to fire {hold}", severity.as_str())
        }
        Proposal::Recommendation { name, .. } => format!("recommended {name} about {about}"),
        Proposal::Resize { size, .. } => {
            let from = decision.size_from.map(|from| format!(" instead of {from}"));
            format!("asked for {about} = {size}{}", from.unwrap_or_default())
        }
        Proposal::EndSession { session, .. } => format!(
            "asked to end the session of {about} ({}, {}), backend process {}, seen {}",
            session.application,
            session.address,
            session.backend_pid,
            session.state.as_str().replace('_', " ")
        ),
    }
}
