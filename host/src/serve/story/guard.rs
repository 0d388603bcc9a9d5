//! What the guard said, and for a refusal what would have to change.

use super::Section;
use crate::model::{Decision, Outcome, Rule, RuleWord, Word};

pub(super) fn section(decision: &Decision) -> Option<Section> {
    let verdict = decision.verdict.as_ref()?;
    let mut text = vec![sentence(decision)];
    let refusals = verdict.rules.iter().filter(|said| said.word == Word::Reject);
    text.extend(refusals.map(|said| {
        format!("For {} to let it pass: {}.", said.rule.as_str(), remedy(said.rule, decision))
    }));
    if verdict.outcome == Outcome::Shadowed {
        text.push(format!("For it to act: {}.", remedy(Rule::Mode, decision)));
    }
    let row = |said: &RuleWord| {
        vec![said.rule.as_str().to_owned(), said.word.as_str().to_owned(), said.reason.clone()]
    };
    let rows = verdict.rules.iter().map(row).collect();
    let section = Section::of("guard", "What the guard said", text);
    Some(section.with(&["RULE", "WORD", "WHY"], rows))
}

/// What the guard made of it, as a sentence.
pub(super) fn sentence(decision: &Decision) -> String {
    let Some(verdict) = &decision.verdict else { return String::new() };
    let by = |word: Word| {
        let said = verdict.rules.iter().filter(|said| said.word == word);
        let said = said.map(|one| format!("{} ({})", one.rule.as_str(), one.reason));
        said.collect::<Vec<_>>().join(", ")
    };
    let size = decision.size_to.map_or_else(|| "another".to_owned(), |size| size.to_string());
    match verdict.outcome {
        Outcome::Approved => "The guard let it pass as asked.".to_owned(),
        Outcome::Clamped => format!("The guard let it pass as {size}: {}.", by(Word::Clamp)),
        Outcome::Rejected => format!("The guard refused it: {}.", by(Word::Reject)),
        Outcome::Shadowed => format!("It is only recorded: {}.", by(Word::Shadow)),
    }
}

/// Says what would have to change for a rule to say yes.
fn remedy(rule: Rule, decision: &Decision) -> String {
    let target = &decision.target;
    match rule {
        Rule::StandDown => format!(
            "set it to what Poolwarden wants or to the file's value, or hand it back with \
             `poolwarden resume {target} --adopt`"
        ),
        Rule::Held => format!("a person must resume it: `poolwarden resume {target}`"),
        other => general(other).to_owned(),
    }
}

/// The same where no name has to be said.
const fn general(rule: Rule) -> &'static str {
    match rule {
        Rule::Actionable => {
            "the sidecar must be able to change this setting; see `scopes` in /v1/targets, and give \
             it an act login or the override file"
        }
        Rule::FreshData => {
            "PgBouncer must answer again, or limits.data_age_max_ms be longer than a poll takes"
        }
        Rule::TargetState => "the target must be up and not paused (RESUME on its console)",
        Rule::Writer => "the other sidecar must stop, or hand over",
        Rule::StandDown | Rule::Held => "a person must hand it back",
        Rule::InFlight => "the change under way must end; it is tried again by itself",
        Rule::Bounds => "limits.floor and limits.ceiling must leave room for it",
        Rule::Step => "limits.step_up or limits.step_down must allow a step of this size",
        Rule::Budget => {
            "PostgreSQL must answer, and for a growth have more connections to give: fewer of others, a \
             smaller margin, or a larger max_connections"
        }
        Rule::Change => "a size that differs from the one in force must be left by the limits",
        Rule::Cooldown => "wait; limits.cooldown_up_ms and limits.cooldown_down_ms say how long",
        Rule::Effect => {
            "what the last change did must be known, or the wait after a roll-back be over"
        }
        Rule::ChangesPerHour => "wait, or allow more with limits.changes_per_hour",
        Rule::Priority => {
            "the other policy must ask for something else, or this one have a higher priority"
        }
        Rule::EndingAllowed => "the policy's file must have [actions] end_sessions = true",
        Rule::IdleSession => "the session must be idle and hold its server",
        Rule::KnownBackend => "PostgreSQL must tell which session it is ([target.database])",
        Rule::OwnSession => "nothing: the sidecar's own session is never ended",
        Rule::EndsPerMinute => "wait, or allow more with sessions.ends_per_minute",
        Rule::Mode => "the mode of the target and of the policy must be enforce",
    }
}
