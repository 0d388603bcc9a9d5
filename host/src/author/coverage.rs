//! Which settings the cases try with another value than the default.

use serde_json::Value;

use crate::evaluate::Setting;

/// How much of a policy's settings its cases try.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Coverage {
    /// Number of settings.
    pub settings: usize,
    /// Settings that no case gave a value other than their default.
    pub untried: Vec<String>,
}

impl Coverage {
    /// Finds what no case tried.
    pub fn of<'a>(settings: &[Setting], cases: impl Iterator<Item = &'a Value> + Clone) -> Self {
        let is_tried = |setting: &&Setting| {
            let steps = setting.path.replace("[]", ".[]");
            let steps: Vec<&str> = steps.split('.').collect();
            cases.clone().any(|given| differs(given, &steps, &setting.default))
        };
        let untried = settings.iter().filter(|setting| !is_tried(setting));
        let untried: Vec<String> = untried.map(|setting| setting.path.clone()).collect();
        Self { settings: settings.len(), untried }
    }
}

fn differs(given: &Value, steps: &[&str], default: &Value) -> bool {
    let Some((first, rest)) = steps.split_first() else {
        return match (given.as_f64(), default.as_f64()) {
            (Some(given), Some(default)) => given != default,
            _ => given != default,
        };
    };
    match (*first, given) {
        ("[]", Value::Array(list)) => list.iter().any(|one| differs(one, rest, default)),
        ("*", Value::Object(table)) => table.values().any(|one| differs(one, rest, default)),
        (key, Value::Object(table)) => {
            table.get(key).is_some_and(|one| differs(one, rest, default))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn setting(path: &str, default: Value) -> Setting {
        let (kind, range, meaning) = Default::default();
        Setting { path: path.to_owned(), kind, default, range, meaning }
    }

    #[test]
    fn only_another_value_than_the_default_counts() {
        let settings = [
            setting("limit", json!(5)),
            setting("queue.share", json!(1)),
            setting("rules[].name", Value::Null),
        ];
        let untried = |cases: &[Value]| Coverage::of(&settings, cases.iter()).untried;
        assert_eq!(untried(&[]).len(), 3);
        let defaults = json!({"limit": 5, "queue": {"share": 1.0}, "rules": []});
        assert_eq!(untried(&[defaults]).len(), 3);
        let some = [json!({"limit": 6}), json!({"rules": [{}, {"name": "a"}]})];
        assert_eq!(untried(&some), ["queue.share"]);
    }
}
