//! Which sizes can be acted on, as a table and as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::ask::print::Table;
use crate::model::{Knob, Means, Obstacle, Reach, Setting, TargetName};

/// Makes a table of one row a scope, and of the reasons below it.
pub(super) fn table(reaches: &[(TargetName, Reach)]) -> String {
    let mut table =
        Table::new(&["TARGET", "SCOPE", "POOL_SIZE", "MIN_POOL_SIZE", "RESERVE_POOL_SIZE"]);
    let mut reasons = BTreeMap::new();
    for (target, reach) in reaches {
        let scopes: BTreeSet<_> = reach.settings.keys().map(|setting| &setting.scope).collect();
        for scope in scopes {
            let cells = Knob::ALL.map(|knob| {
                let setting = Setting { scope: scope.clone(), knob };
                cell(reach.settings.get(&setting).map(|known| &known.means), &mut reasons)
            });
            let row = [target.to_string(), scope.to_string()];
            table.row(row.into_iter().chain(cells));
        }
        let others = Err(reach.others.clone());
        let cells = Knob::ALL.map(|_| cell(Some(&others), &mut reasons));
        table.row([target.to_string(), "any other".to_owned()].into_iter().chain(cells));
    }
    let mut text = table.text();
    let mut reasons: Vec<_> = reasons.into_iter().map(|(why, number)| (number, why)).collect();
    reasons.sort_unstable();
    for (number, why) in reasons {
        text.push_str(&format!("({number}) {}\n", crate::ask::print::clean(&why)));
    }
    text
}

fn cell(means: Option<&Result<Means, Obstacle>>, reasons: &mut BTreeMap<String, usize>) -> String {
    match means {
        Some(Ok(means)) => means.as_str().to_owned(),
        Some(Err(obstacle)) => {
            let next = reasons.len() + 1;
            let number = reasons.entry(obstacle.to_string()).or_insert(next);
            format!("recommended ({number})")
        }
        None => "-".to_owned(),
    }
}

/// Makes one document of everything that was found.
pub(super) fn as_json(findings: &[(&str, String)], reaches: &[(TargetName, Reach)]) -> Value {
    let finding = |(level, text): &(&str, String)| json!({ "level": level, "text": text });
    let findings: Vec<_> = findings.iter().map(finding).collect();
    let reaches: Vec<_> = reaches.iter().map(|(target, reach)| one(target, reach)).collect();
    json!({ "findings": findings, "targets": reaches })
}

fn one(target: &TargetName, reach: &Reach) -> Value {
    let obstacle =
        |obstacle: &Obstacle| json!({ "reason": obstacle.reason, "remedy": obstacle.remedy });
    let settings: Vec<_> = reach
        .settings
        .iter()
        .map(|(setting, known)| {
            json!({
                "scope": setting.scope.to_string(),
                "knob": setting.knob.as_str(),
                "means": known.means.as_ref().ok().map(|means| means.as_str()),
                "obstacle": known.means.as_ref().err().map(obstacle),
                "file_size": known.file,
            })
        })
        .collect();
    json!({ "target": target.as_str(), "settings": settings, "others": obstacle(&reach.others) })
}
