//! Makes rules out of settings, or says everything that is wrong with them.
//!
//! A message names rule, key and column, says what was expected and what was found, and offers the
//! nearest known name: whoever wrote the rule has to find the place without this file.

use cel::Value;

use crate::check::{Findings, check};
use crate::expression::{Expression, Problem, column};
use crate::field::Root;
use crate::formula::{Condition, Formula};
use crate::interpret::Interpreter;
use crate::settings::{On, Rule, Settings};
use crate::template::{Piece, Template, pieces};
use crate::types::Type;

/// Longest name, in bytes; the contract's.
const NAME_BYTES: usize = 64;

/// A checked rule, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Compiled<'s> {
    pub rule: &'s Rule,
    pub on: On,
    pub when: Condition,
    /// What the condition, the size and the message mention.
    pub findings: Findings,
    pub follows: Follows,
}

/// What follows when a rule's condition holds.
#[derive(Debug)]
pub(crate) enum Follows {
    Alert(Option<Template>),
    Recommend { summary: Option<Template>, action: Template },
    Resize { reason: Option<Template>, size: Formula },
}

/// Checks all rules.
///
/// # Errors
/// Every problem, in the order of the rules.
pub(crate) fn compile<'s>(
    settings: &'s Settings,
    interpreter: &Interpreter,
) -> Result<Vec<Compiled<'s>>, Vec<String>> {
    let mut problems = Vec::new();
    let mut rules = Vec::new();
    for (at, rule) in settings.rules.iter().enumerate() {
        let mut compiler = Compiler { rule, interpreter, problems: Vec::new() };
        compiler.check_name(&settings.rules[..at]);
        rules.extend(compiler.compile());
        problems.append(&mut compiler.problems);
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

struct Compiler<'s, 'i> {
    rule: &'s Rule,
    interpreter: &'i Interpreter,
    problems: Vec<String>,
}

impl<'s> Compiler<'s, '_> {
    fn wrong(&mut self, key: &str, text: &str) {
        self.problems.push(format!("rule {:?}: {key}: {text}", self.rule.name));
    }

    fn check_name(&mut self, before: &[Rule]) {
        let name = &self.rule.name;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(fits) {
            let text = "expected 1 to 64 letters, digits, `-`, `_` or `.`, found something else";
            self.wrong("name", text);
        }
        if before.iter().any(|other| other.name == *name) {
            self.wrong("name", "expected a name of its own, found that of another rule");
        }
        for label in self.rule.labels.keys() {
            if label.is_empty() || label.len() > NAME_BYTES || !label.chars().all(fits) {
                let text = format!("expected letters, digits, `-`, `_` or `.`, found {label:?}");
                self.wrong("labels", &text);
            }
        }
    }

    fn compile(&mut self) -> Option<Compiled<'s>> {
        let rule = self.rule;
        let mut findings = Findings::default();
        let when = self.expression("when", &rule.when, &[Type::Bool], &mut findings);
        let mut size = None;
        if let Some(source) = &rule.resize {
            let numbers = [Type::Int, Type::Uint, Type::Double];
            size = Some(self.expression("resize", source, &numbers, &mut findings)?);
        }
        let message = rule.message.as_ref();
        let message = message.and_then(|source| self.template("message", source, &mut findings));
        let action = rule.recommend.as_ref();
        let action =
            action.and_then(|one| self.template("recommend.action", &one.action, &mut findings));
        self.check_keys();
        let on = self.on(&findings)?;
        let when = Condition::new(&when?);
        let follows = match (size, &rule.recommend) {
            (Some(size), _) => Follows::Resize { reason: message, size: Formula::new(&size) },
            (None, Some(_)) => Follows::Recommend { summary: message, action: action? },
            (None, None) => Follows::Alert(message),
        };
        Some(Compiled { rule, on, when, findings, follows })
    }

    /// Refuses keys that would be without effect.
    fn check_keys(&mut self) {
        let rule = self.rule;
        if rule.resize.is_some() && rule.recommend.is_some() {
            self.wrong("resize", "expected `resize` or `recommend`, found both");
        }
        if rule.knob.is_some() && rule.resize.is_none() {
            self.wrong("knob", "expected `resize` beside it, found none");
        }
        let instead = match (&rule.resize, &rule.recommend) {
            (Some(_), _) => "resize",
            (None, Some(_)) => "recommend",
            (None, None) => return,
        };
        let set = [
            ("for_ms", rule.for_ms.is_some()),
            ("cooldown_ms", rule.cooldown_ms.is_some()),
            ("severity", rule.severity.is_some()),
            ("labels", !rule.labels.is_empty()),
            ("runbook", rule.runbook.is_some()),
        ];
        for (key, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
            self.wrong(key, &format!("expected nothing beside `{instead}`: it belongs to alerts"));
        }
    }

    /// Decides what the rule is about, and refuses what is not known there.
    fn on(&mut self, findings: &Findings) -> Option<On> {
        let inferred = match Root::ALL.into_iter().find(|root| findings.mentions(*root)) {
            Some(Root::Pool) | None => On::Pool,
            Some(Root::Scope) => On::Scope,
            Some(Root::DatabaseServer) => On::DatabaseServer,
            Some(Root::Target | Root::Window) => On::Target,
        };
        let on = self.rule.on.unwrap_or(inferred);
        let unknown: &[Root] = match on {
            On::Pool => &[],
            On::Scope => &[Root::Pool],
            On::Target | On::DatabaseServer => &[Root::Pool, Root::Scope],
        };
        let found = findings.mentions.iter().find(|(field, _)| unknown.contains(&field.root));
        if let Some((field, name)) = found {
            let (root, on) = (field.root.name(), on.name());
            let text = format!("expected {root:?} for a rule that mentions {name}, found {on:?}");
            self.wrong("on", &text);
            return None;
        }
        if self.rule.resize.is_some() && matches!(on, On::Target | On::DatabaseServer) {
            let text = "expected a rule on pools or scopes, which have a size, found none";
            self.wrong("resize", text);
            return None;
        }
        Some(on)
    }

    fn template(&mut self, key: &str, source: &str, findings: &mut Findings) -> Option<Template> {
        let pieces = match pieces(source) {
            Ok(pieces) => pieces,
            Err(problem) => {
                self.wrong_at(key, source, &problem);
                return None;
            }
        };
        let mut template = Template::default();
        let wanted = [Type::Int, Type::Uint, Type::Double, Type::Text, Type::Bool];
        for piece in pieces {
            match piece {
                Piece::Text(text) => template.push_text(text),
                Piece::Expression(at, inside) => match self.checked(inside, &wanted) {
                    Ok((expression, found)) => {
                        findings.add(&found);
                        template.push_value(Formula::new(&expression));
                    }
                    Err(problem) => {
                        let problem = Problem { at: at + problem.at, ..problem };
                        self.wrong_at(key, source, &problem);
                        return None;
                    }
                },
            }
        }
        Some(template)
    }

    fn expression(
        &mut self,
        key: &str,
        source: &str,
        wanted: &[Type],
        findings: &mut Findings,
    ) -> Option<Expression> {
        match self.checked(source, wanted) {
            Ok((expression, found)) => {
                findings.add(&found);
                Some(expression)
            }
            Err(problem) => {
                self.wrong_at(key, source, &problem);
                None
            }
        }
    }

    /// Parses and checks an expression that must give one of some types.
    fn checked(&self, source: &str, wanted: &[Type]) -> Result<(Expression, Findings), Problem> {
        let expression = Expression::parse(source)?;
        let (kind, findings) = check(&expression)?;
        let refuse = |found: &str| {
            let text = format!("expected {}, found {found}", listed(wanted));
            Err(Problem { at: 0, text })
        };
        if kind != Type::Unknown && !wanted.contains(&kind) {
            return refuse(&kind.to_string());
        }
        let is_plain = match wanted {
            [Type::Bool] => crate::fast::test(&expression.root).is_some(),
            _ => crate::fast::number(&expression.root).is_some(),
        };
        if !is_plain {
            match self.interpreter.try_out(&expression.root) {
                Ok(Some(value)) if !wanted.contains(&type_of(&value)) => {
                    return refuse(&type_of(&value).to_string());
                }
                Ok(_) => {}
                Err(error) => {
                    let text = format!("expected values that go together, found: {error}");
                    return Err(Problem { at: 0, text });
                }
            }
        }
        Ok((expression, findings))
    }

    fn wrong_at(&mut self, key: &str, source: &str, problem: &Problem) {
        let text = format!("{}: {}", column(source, problem.at), problem.text);
        self.wrong(key, &text);
    }
}

fn listed(wanted: &[Type]) -> String {
    match wanted {
        [Type::Bool] => "a bool".to_owned(),
        [Type::Int, Type::Uint, Type::Double] => "a number".to_owned(),
        _ => "a number, a string or a bool".to_owned(),
    }
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::UInt(_) => Type::Uint,
        Value::Float(_) => Type::Double,
        Value::String(_) => Type::Text,
        Value::Bytes(_) => Type::Bytes,
        Value::Null => Type::Null,
        Value::List(_) => Type::List,
        Value::Map(_) => Type::Map,
        _ => Type::Unknown,
    }
}
