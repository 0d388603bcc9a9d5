//! Reads a plugin's answer, believing nothing in it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Fault;
use super::bindings::types;
use super::convert::Input;
use crate::model::{
    Evidence, Knob, LABELS_MAX, Proposal, Setting, Severity, Subject, is_label_name,
};

/// Longest name, in bytes.
const NAME_BYTES: usize = 64;
/// Longest sentence, in bytes.
const TEXT_BYTES: usize = 2048;
/// Most pieces of evidence of one proposal.
const EVIDENCE_MAX: usize = 32;
/// Longest value of a label, in bytes.
const LABEL_BYTES: usize = 256;
/// Longest runbook, in bytes.
const RUNBOOK_BYTES: usize = 512;
/// Longest hold time or cooldown: a day.
const WAIT_MAX_MS: u64 = 86_400_000;

/// Converts all proposals; one bad one makes the whole answer a fault.
pub(super) fn proposals(
    input: &Input,
    proposals: &[types::Proposal],
) -> Result<Vec<Proposal>, Fault> {
    let most = proposals_max(input.pools());
    if proposals.len() > most {
        let count = proposals.len();
        return Err(Fault::TooMuch(format!("{count} proposals, {most} are allowed")));
    }
    let mut sized = BTreeSet::new();
    for one in proposals {
        if let types::Proposal::Resize(resize) = one
            && !sized.insert((resize.scope, knob(resize.knob)))
        {
            let knob = knob(resize.knob);
            return Err(Fault::Nonsense(format!("two of {knob} for scope {}", resize.scope)));
        }
    }
    proposals.iter().filter_map(|one| proposal(input, one.clone()).transpose()).collect()
}

/// Gives the reason of the first wish for a look at single sessions.
pub(super) fn look(proposals: &[types::Proposal]) -> Result<Option<String>, Fault> {
    let mut reasons = proposals.iter().filter_map(|one| match one {
        types::Proposal::LookAtSessions(reason) => Some(reason.clone()),
        _ => None,
    });
    reasons.next().map(|reason| text("reason", reason)).transpose()
}

/// Most proposals about so many pools: several about each, in the worst hour.
fn proposals_max(pools: usize) -> usize {
    pools.saturating_mul(8).saturating_add(100)
}

/// Bytes of an answer beyond the policy's limit that each pool adds: many pools, many words.
pub(super) const ANSWER_BYTES_PER_POOL: u64 = 4096;

fn proposal(input: &Input, proposal: types::Proposal) -> Result<Option<Proposal>, Fault> {
    Ok(Some(match proposal {
        types::Proposal::Alert(alert) => Proposal::Alert {
            subject: subject(input, alert.subject)?,
            severity: match alert.severity {
                types::Severity::Info => Severity::Info,
                types::Severity::Warning => Severity::Warning,
                types::Severity::Critical => Severity::Critical,
            },
            hold: wait("hold-ms", alert.hold_ms)?,
            cooldown: wait("cooldown-ms", alert.cooldown_ms)?,
            labels: labels(alert.labels)?,
            runbook: runbook(alert.runbook)?,
            evidence: evidence(alert.evidence)?,
            summary: text("summary", alert.summary)?,
            name: name(alert.name)?,
        },
        types::Proposal::Recommendation(advice) => Proposal::Recommendation {
            subject: subject(input, advice.subject)?,
            action: text("action", advice.action)?,
            evidence: evidence(advice.evidence)?,
            summary: text("summary", advice.summary)?,
            name: name(advice.name)?,
        },
        types::Proposal::EndSession(end) => {
            let session = input.session(end.holder);
            Proposal::EndSession {
                session: session.ok_or_else(|| outside("session", end.holder))?,
                reason: text("reason", end.reason)?,
                evidence: evidence(end.evidence)?,
            }
        }
        types::Proposal::Resize(resize) => {
            let scope = input.scope(resize.scope).cloned();
            let scope = scope.ok_or_else(|| outside("scope", resize.scope))?;
            Proposal::Resize {
                setting: Setting { scope, knob: knob(resize.knob) },
                size: resize.size,
                reason: text("reason", resize.reason)?,
                evidence: evidence(resize.evidence)?,
            }
        }
        types::Proposal::LookAtSessions(_) => return Ok(None),
    }))
}

fn subject(input: &Input, subject: types::Subject) -> Result<Subject, Fault> {
    match subject {
        types::Subject::Target => Ok(Subject::Target),
        types::Subject::DatabaseServer => Ok(Subject::DatabaseServer),
        types::Subject::Scope(at) => {
            input.scope(at).cloned().map(Subject::Scope).ok_or_else(|| outside("scope", at))
        }
        types::Subject::Pool(at) => {
            input.pool(at).cloned().map(Subject::Pool).ok_or_else(|| outside("pool", at))
        }
    }
}

fn knob(knob: types::Knob) -> Knob {
    match knob {
        types::Knob::PoolSize => Knob::PoolSize,
        types::Knob::MinPoolSize => Knob::MinPoolSize,
        types::Knob::ReservePoolSize => Knob::ReservePoolSize,
    }
}

fn outside(what: &str, index: u32) -> Fault {
    Fault::Nonsense(format!("{what} {index} is not in the window"))
}

fn wait(what: &str, millis: u64) -> Result<Duration, Fault> {
    if millis > WAIT_MAX_MS {
        return Err(Fault::Nonsense(format!("{what} {millis} is longer than a day")));
    }
    Ok(Duration::from_millis(millis))
}

fn name(name: String) -> Result<String, Fault> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(fits) {
        let shown = cut(&name, NAME_BYTES);
        return Err(Fault::Nonsense(format!(
            "name {shown:?} is not 1 to {NAME_BYTES} letters, digits, '-', '_' or '.'"
        )));
    }
    Ok(name)
}

fn text(what: &str, text: String) -> Result<String, Fault> {
    if text.len() > TEXT_BYTES {
        return Err(Fault::TooMuch(format!("a {what} of {} bytes", text.len())));
    }
    Ok(text)
}

fn labels(labels: Vec<(String, String)>) -> Result<Vec<(String, String)>, Fault> {
    if labels.len() > LABELS_MAX {
        return Err(Fault::TooMuch(format!("{} labels", labels.len())));
    }
    let mut names = BTreeSet::new();
    for (name, value) in &labels {
        if !is_label_name(name) {
            let shown = cut(name, NAME_BYTES);
            return Err(Fault::Nonsense(format!(
                "label {shown:?} is not of the form [a-zA-Z_][a-zA-Z0-9_]*"
            )));
        }
        if value.len() > LABEL_BYTES {
            return Err(Fault::TooMuch(format!("a label {name} of {} bytes", value.len())));
        }
        if !names.insert(name.as_str()) {
            return Err(Fault::Nonsense(format!("two labels {name}")));
        }
    }
    Ok(labels)
}

/// A path below the documentation or a web page: whoever is paged follows it, so that it must not
/// lead anywhere else.
fn runbook(runbook: String) -> Result<String, Fault> {
    if runbook.len() > RUNBOOK_BYTES {
        return Err(Fault::TooMuch(format!("a runbook of {} bytes", runbook.len())));
    }
    let is_page = ["http://", "https://"]
        .iter()
        .any(|scheme| runbook.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    let is_path = runbook.ends_with(".md")
        && !runbook.contains(':')
        && !runbook.split('/').any(|part| part.is_empty() || part == "..");
    let is_plain = runbook.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if runbook.is_empty() || (is_plain && (is_page || is_path)) {
        return Ok(runbook);
    }
    Err(Fault::Nonsense(format!(
        "runbook {:?} is neither a relative path such as docs/runbooks/x.md nor an http(s) URL",
        cut(&runbook, NAME_BYTES)
    )))
}

fn evidence(evidence: Vec<types::Evidence>) -> Result<Vec<Evidence>, Fault> {
    if evidence.len() > EVIDENCE_MAX {
        return Err(Fault::TooMuch(format!("{} pieces of evidence", evidence.len())));
    }
    evidence
        .into_iter()
        .map(|one| {
            let name = name(one.name)?;
            if !one.value.is_finite() {
                return Err(Fault::Nonsense(format!("evidence {name:?} is not a finite number")));
            }
            Ok(Evidence { name, value: one.value })
        })
        .collect()
}

/// Cuts a text at a character border, to at most `bytes`.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("naïve", 3), "na");
        assert_eq!(cut("naïve", 4), "naï");
        assert_eq!(cut("short", 99), "short");
    }

    #[test]
    fn labels_are_named_as_in_prometheus_few_short_and_different() {
        let one = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert!(labels(one("team", &"x".repeat(256))).is_ok());
        assert!(matches!(labels(one("team", &"x".repeat(257))), Err(Fault::TooMuch(_))));
        for name in ["", "a-b", "9a", "ä"] {
            assert!(matches!(labels(one(name, "x")), Err(Fault::Nonsense(_))), "{name:?}");
        }
        assert!(matches!(labels([one("a", "1"), one("a", "2")].concat()), Err(Fault::Nonsense(_))));
        let many = |count| (0..count).map(|at| (format!("l{at}"), String::new())).collect();
        assert!(labels(many(16)).is_ok());
        assert!(matches!(labels(many(17)), Err(Fault::TooMuch(_))));
    }

    #[test]
    fn a_runbook_is_a_page_of_the_documentation_or_of_the_web() {
        for fine in
            ["", "docs/runbooks/long-wait.md", "x.md", "https://wiki.example/x?y=z", "http://w/"]
        {
            assert!(runbook(fine.to_owned()).is_ok(), "{fine:?}");
        }
        for bad in [
            "docs/runbooks/../../etc/passwd.md",
            "/etc/passwd.md",
            "docs/runbooks/x",
            "javascript:alert(1)",
            "https://",
            "https://a b",
            "docs/runbooks/x.md\n",
        ] {
            assert!(matches!(runbook(bad.to_owned()), Err(Fault::Nonsense(_))), "{bad:?}");
        }
        let long = |bytes: usize| runbook(format!("https://{}", "x".repeat(bytes - 8)));
        assert!(long(512).is_ok());
        assert!(matches!(long(513), Err(Fault::TooMuch(_))));
    }

    #[test]
    fn evidence_must_be_finite_and_named() {
        let one = |name: &str, value| vec![types::Evidence { name: name.into(), value }];
        assert!(evidence(one("wait_us", 1.5)).is_ok());
        assert!(matches!(evidence(one("wait_us", f64::NAN)), Err(Fault::Nonsense(_))));
        assert!(matches!(evidence(one("", 1.0)), Err(Fault::Nonsense(_))));
    }
}
