//! Reads tables that people write, naming everything that is wrong with them at once.
//!
//! By hand rather than by serde, which stops at the first mistake, does not offer the nearest key
//! and cannot give a default that depends on the row's other values.

use std::cell::RefCell;

use serde_json::{Map, Number, Value};

use crate::config::nearest;

/// What was found to be wrong, in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<String>>);

impl Problems {
    pub fn add(&self, path: &str, what: &str) {
        let text = if path.is_empty() { what.to_owned() } else { format!("{path}: {what}") };
        self.0.borrow_mut().push(text);
    }

    pub fn all(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// One table that is being read.
#[derive(Debug)]
pub(super) struct Row<'a> {
    problems: &'a Problems,
    path: String,
    table: &'a Map<String, Value>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Row<'a> {
    pub fn new(problems: &'a Problems, path: &str, table: &'a Map<String, Value>) -> Self {
        Self { problems, path: path.to_owned(), table, asked: RefCell::default() }
    }

    /// Reports every key that nobody asked for; to be called when all has been read.
    pub fn finish(self) {
        let asked = self.asked.into_inner();
        for key in self.table.keys().filter(|key| !asked.contains(&key.as_str())) {
            let hint = nearest(key, asked.iter().copied());
            let hint = hint.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
            self.problems.add(&join(&self.path, key), &format!("is not a known key{hint}"));
        }
    }

    pub fn wrong(&self, key: &str, what: &str) {
        self.problems.add(&join(&self.path, key), what);
    }

    /// Gives a value as it stands.
    pub fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    pub fn u64(&self, key: &'static str, default: u64) -> u64 {
        let whole = "must be a whole number that is not negative";
        self.read(key, default, Value::as_u64, whole)
    }

    pub fn u32(&self, key: &'static str, default: u32) -> u32 {
        let read = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.read(key, default, read, &format!("must be a whole number from 0 to {}", u32::MAX))
    }

    pub fn f64(&self, key: &'static str, default: f64) -> f64 {
        self.read(key, default, Value::as_f64, "must be a finite number")
    }

    pub fn flag(&self, key: &'static str, default: bool) -> bool {
        let read = |value: &Value| match value {
            Value::Number(number) => number.as_u64().filter(|bit| *bit < 2).map(|bit| bit == 1),
            other => other.as_bool(),
        };
        self.read(key, default, read, "must be true or false")
    }

    pub fn text(&self, key: &'static str, default: &str) -> String {
        let read = |value: &Value| value.as_str().map(str::to_owned);
        self.read(key, default.to_owned(), read, "must be a text")
    }

    /// Reads one of several names and gives its place among them, which is the contract's number.
    pub fn named(&self, key: &'static str, names: &[&str], default: usize) -> usize {
        let Some(value) = self.get(key) else { return default };
        let by_number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        let by_name = value.as_str().and_then(|name| names.iter().position(|one| *one == name));
        if let Some(at) = by_name.or(by_number.filter(|at| *at < names.len())) {
            return at;
        }
        let given = value.as_str().unwrap_or_default();
        let hint = nearest(given, names.iter().copied());
        let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        self.wrong(key, &format!("{value} is not one of {}{hint}", names.join(", ")));
        default
    }

    /// Gives the table of a key, if there is one.
    pub fn table(&self, key: &'static str) -> Option<Row<'a>> {
        match self.get(key)? {
            Value::Object(table) => Some(Row::new(self.problems, &join(&self.path, key), table)),
            _ => {
                self.wrong(key, "must be a table");
                None
            }
        }
    }

    /// Gives the tables of a list; `None` when the key is not there.
    pub fn rows(&self, key: &'static str) -> Option<Vec<Row<'a>>> {
        let value = self.get(key)?;
        let Some(list) = value.as_array() else {
            self.wrong(key, &format!("must be a list of tables: [[{}]]", join(&self.path, key)));
            return Some(Vec::new());
        };
        let mut rows = Vec::with_capacity(list.len());
        for (at, one) in list.iter().enumerate() {
            let path = format!("{}[{at}]", join(&self.path, key));
            match one {
                Value::Object(table) => rows.push(Row::new(self.problems, &path, table)),
                _ => self.problems.add(&path, "must be a table"),
            }
        }
        Some(rows)
    }

    fn read<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl Fn(&Value) -> Option<T>,
        wanted: &str,
    ) -> T {
        let Some(value) = self.get(key) else { return default };
        read(value).unwrap_or_else(|| {
            self.wrong(key, &format!("{value}: {wanted}"));
            default
        })
    }
}

/// Columns of the contract that are filled row by row.
#[derive(Debug, Default)]
pub(super) struct Columns(Map<String, Value>);

impl Columns {
    /// Makes columns that are there even without any row.
    pub fn of(names: &[&str]) -> Self {
        let empty = names.iter().map(|name| ((*name).to_owned(), Value::Array(Vec::new())));
        Self(empty.collect())
    }

    pub fn push(&mut self, column: &str, value: impl Into<Value>) {
        let list = self.0.entry(column).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(value.into());
        }
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// Gives a float as JSON; what is not finite cannot be read from a file in the first place.
pub(super) fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Reads TOML, or JSON where the file's name ends so, as one table.
pub(super) fn parse(is_json: bool, text: &str) -> Result<Map<String, Value>, String> {
    if is_json {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    toml::from_str(text).map_err(|error| {
        let message = error.message().trim().replace('\n', ", ");
        let Some(span) = error.span() else { return message };
        let line = text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1);
        format!("line {line}: {message}")
    })
}
